/** Keeping what one has found: favourites, shared files, exports. */

import { byId } from "./element.js";
import { download, exporting } from "./keep/exporting.js";
import { Favourites } from "./keep/favourites.js";
import { notice, wrong } from "./notices.js";

/** @param {import("./app.js").WithMap} app */
export function keeping({ api, about, session, audition }) {
  const favourites = new Favourites(api, about.families);
  const heart = byId("keep");

  const show = () => {
    const kept = session.instrument && favourites.find(session.instrument.id);
    heart.setAttribute("aria-pressed", String(Boolean(kept)));
    const words = kept ? "No longer a favourite" : "Keep as a favourite";
    heart.setAttribute("aria-label", "Favourite");
    heart.title = words;
  };
  heart.addEventListener("click", () => {
    const { instrument } = session;
    if (!instrument) return;
    const kept = favourites.find(instrument.id);
    if (kept) favourites.remove(kept);
    else favourites.add(instrument.id, instrument.name);
  });
  favourites.addEventListener("change", show);
  session.addEventListener("change", show);
  favourites.addEventListener("choose", (event) => {
    const { instrument } = /** @type {CustomEvent} */ (event).detail;
    session.take(instrument);
  });
  favourites.addEventListener("hear", (event) => {
    const { instrument } = /** @type {CustomEvent} */ (event).detail;
    audition.play(instrument.id, instrument.family);
  });
  favourites.load().catch((error) => wrong(error, "The favourites cannot be read"));

  byId("share").addEventListener("click", () => {
    const { instrument } = session;
    if (!instrument) return;
    download(`/api/instruments/${instrument.id}/share`);
    notice("A small file was saved. Who opens it on this page has the same instrument.");
  });
  exporting(api, () => session.instrument);
  show();
}

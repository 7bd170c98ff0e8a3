/** Keeping what one has found: favourites, shared files, exports. */

import { byId } from "./element.js";
import { download, exporting } from "./saving/export.js";
import { Favourites } from "./saving/favourites.js";
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
  favourites.addEventListener("anew", (event) => {
    const { seed, family } = /** @type {CustomEvent} */ (event).detail;
    session.open({ seed, family });
  });
  favourites.addEventListener("hear", (event) => {
    const { instrument } = /** @type {CustomEvent} */ (event).detail;
    audition.play(instrument.id, instrument.family);
  });
  favourites.load().catch((error) => wrong(error, "The favourites cannot be read"));

  byId("share").addEventListener("click", async () => {
    const { instrument } = session;
    if (!instrument) return;
    try {
      const address = URL.createObjectURL(await api.share(instrument.id));
      download(address, `${instrument.name.replace(/[^\w+ %-]+/g, " ").slice(0, 60).trim()}.json`);
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
      notice("A small file was saved. Who opens it on this page has the same instrument.");
    } catch (error) {
      wrong(error, "It could not be shared");
    }
  });
  exporting(api, () => session.instrument);
  show();
}

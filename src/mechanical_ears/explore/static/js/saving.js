/** Favourites, files to share, and exports of the selected instrument. */

import { byId } from "./element.js";
import { notice, showError } from "./notices.js";
import { download, setUpExport } from "./saving/export.js";
import { Favourites } from "./saving/favourites.js";

/** @param {import("./app.js").AppWithMap} app */
export function setUpSaving({ api, about, session, preview }) {
  const favourites = new Favourites(api, about.families);
  const heart = byId("favourite");

  const showHeart = () => {
    const favourite = session.instrument && favourites.find(session.instrument.id);
    heart.setAttribute("aria-pressed", String(Boolean(favourite)));
    heart.title = favourite ? "Remove from favourites" : "Add to favourites";
  };
  heart.addEventListener("click", () => {
    const { instrument } = session;
    if (!instrument) return;
    const favourite = favourites.find(instrument.id);
    if (favourite) favourites.remove(favourite);
    else favourites.add(instrument.id, instrument.name);
  });
  favourites.addEventListener("change", showHeart);
  session.addEventListener("change", showHeart);
  favourites.addEventListener("select", (event) => {
    const { instrument } = /** @type {CustomEvent} */ (event).detail;
    session.select(instrument);
  });
  favourites.addEventListener("regenerate", (event) => {
    const { seed, family } = /** @type {CustomEvent} */ (event).detail;
    session.open({ seed, family });
  });
  favourites.addEventListener("preview", (event) => {
    const { instrument } = /** @type {CustomEvent} */ (event).detail;
    preview.play(instrument.id, instrument.family);
  });
  favourites.load().catch((error) => showError(error, "The favourites could not be loaded"));

  byId("share").addEventListener("click", async () => {
    const { instrument } = session;
    if (!instrument) return;
    try {
      const url = URL.createObjectURL(await api.share(instrument.id));
      download(url, `${instrument.name.replace(/[^\w+ %-]+/g, " ").slice(0, 60).trim()}.json`);
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
      notice("A small file was saved. Anyone who opens it on this page gets the same instrument.");
    } catch (error) {
      showError(error, "The file could not be saved");
    }
  });
  setUpExport(api, () => session.instrument);
  showHeart();
}

/** Puts the page together. */

import { Api, Problem } from "./api.js";
import { Engine } from "./audio/engine.js";
import { NoteCache } from "./audio/note-cache.js";
import { Voices } from "./audio/voices.js";
import { LiveDisplay } from "./display/live-display.js";
import { setUpDock } from "./dock.js";
import { byId } from "./element.js";
import { setUpMap } from "./explore.js";
import { setUpHearing } from "./hearing.js";
import { setUpInstrumentHeader } from "./instrument-header.js";
import { notice, showError, watchConnection } from "./notices.js";
import { Piano } from "./play/piano.js";
import { Player } from "./play/player.js";
import { Preview } from "./play/preview.js";
import { setUpSaving } from "./saving.js";
import { Session } from "./session.js";
import { setUpTabs } from "./tabs.js";
import { setUpTheme } from "./theme.js";

const RETRY_MS = 2000; // ms between two requests at the start

async function start() {
  const api = new Api();
  watchConnection(api);
  setUpTabs();
  let repaint = () => {};
  setUpTheme(() => repaint());

  const spaceRequest = retryUntilAnswered(() => api.space());
  const about = await retryUntilAnswered(() => api.about());
  const engine = new Engine();
  const notes = new NoteCache(api, engine, about);
  const voices = new Voices(engine, notes);
  const session = new Session(api);
  const player = new Player(engine, voices, () => session.instrument?.id ?? null);
  const piano = new Piano(byId("piano"), player, about);
  const preview = new Preview(voices, player);
  const liveDisplay = new LiveDisplay(byId("scope"), byId("waterfall"), engine, piano);
  const app = { api, about, engine, notes, voices, session, player, piano, preview, liveDisplay };

  notes.addEventListener("problem", (event) =>
    showError(/** @type {CustomEvent} */ (event).detail, "A note could not be loaded"),
  );
  session.addEventListener("problem", (event) =>
    showError(/** @type {CustomEvent} */ (event).detail, "The instrument could not be opened"),
  );
  voices.addEventListener("press", () => liveDisplay.run());

  setUpDock(app);
  setUpInstrumentHeader(app);
  const space = await spaceRequest;
  const map = setUpMap({ ...app, space });
  setUpHearing({ ...app, space, map });
  setUpSaving({ ...app, map });
  repaint = () => {
    map.recolour();
    liveDisplay.recolour();
    map.pad.paint();
  };
  liveDisplay.recolour();
  byId("loading").hidden = true;
  updateWhileBuilding(api, space, map).catch(() => {}); // the banner says if the server is offline
  Object.assign(globalThis, { mechanicalEars: { ...app, space, map } }); // for the console
}

/**
 * Update the map while the server is still building it.
 *
 * @param {Api} api
 * @param {import("./types.js").Space} space is changed in place
 * @param {import("./explore.js").ExploreMap} map
 */
async function updateWhileBuilding(api, space, map) {
  let { mapping } = await api.about();
  while (mapping) {
    byId("map-progress").textContent = `Building the map: ${mapping.done} of ${mapping.of}`;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    const about = await retryUntilAnswered(() => api.about());
    mapping = about.mapping;
    if (about.points === space.id.length) continue;
    Object.assign(space, await retryUntilAnswered(() => api.space()));
    map.setSpace(space);
    map.dispatchEvent(new Event("space"));
  }
  byId("map-progress").textContent = "";
}

/**
 * Repeat a request until the server answers it, and show why the page waits.
 *
 * @template Answer
 * @param {() => Promise<Answer>} request
 * @returns {Promise<Answer>}
 */
async function retryUntilAnswered(request) {
  for (;;) {
    try {
      return await request();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status > 0 && error.status < 500) throw error;
      byId("loading").textContent = error.status > 0 ? error.text : "Waiting for the server…";
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

start().catch((error) => {
  console.error(error);
  const text = error instanceof Problem ? error.text : "This page could not start in this browser.";
  byId("loading").textContent = text;
  notice(text, { isError: true });
});

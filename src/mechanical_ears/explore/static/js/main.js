/** The page, put together. */

import { Api, Problem } from "./api.js";
import { Engine } from "./audio/engine.js";
import { Notes } from "./audio/note-cache.js";
import { Voices } from "./audio/voices.js";
import { byId } from "./element.js";
import { hearing } from "./hearing.js";
import { instrumentHead } from "./instrument-header.js";
import { keeping } from "./saving.js";
import { Session } from "./session.js";
import { notice, watch, wrong } from "./notices.js";
import { Audition } from "./play/preview.js";
import { Piano } from "./play/piano.js";
import { Player } from "./play/player.js";
import { Live } from "./display/live-display.js";
import { stage } from "./dock.js";
import { wander } from "./explore.js";
import { tabs } from "./tabs.js";
import { theme } from "./theme.js";

const RETRY = 2000; // ms until the server is asked again at the start

async function start() {
  const api = new Api();
  watch(api);
  tabs();
  let repaint = () => {};
  theme(() => repaint());

  const coming = patiently(() => api.space());
  const about = await patiently(() => api.about());
  const engine = new Engine();
  const notes = new Notes(api, engine, about);
  const voices = new Voices(engine, notes);
  const session = new Session(api);
  const player = new Player(engine, voices, () => session.instrument?.id ?? null);
  const piano = new Piano(byId("piano"), player, about);
  const audition = new Audition(voices, player);
  const live = new Live(byId("scope"), byId("waterfall"), engine, piano);
  const app = { api, about, engine, notes, voices, session, player, piano, audition, live };

  notes.addEventListener("problem", (event) =>
    wrong(/** @type {CustomEvent} */ (event).detail, "A note is missing"),
  );
  session.addEventListener("problem", (event) =>
    wrong(/** @type {CustomEvent} */ (event).detail, "It cannot be opened"),
  );
  voices.addEventListener("press", () => live.run());

  stage(app);
  instrumentHead(app);
  const space = await coming;
  const map = wander({ ...app, space });
  hearing({ ...app, space, map });
  keeping({ ...app, map });
  repaint = () => {
    map.recolour();
    live.recolour();
    map.pad.paint();
  };
  live.recolour();
  byId("wait").hidden = true;
  growing(api, space, map).catch(() => {}); // the banner tells when the server is gone
  Object.assign(globalThis, { mechanicalEars: { ...app, space, map } }); // for the console
}

/**
 * A map that is still being made grows while one walks on it.
 *
 * @param {Api} api
 * @param {import("./types.js").Space} space is changed in place
 * @param {import("./explore.js").Wander} map
 */
async function growing(api, space, map) {
  let { mapping } = await api.about();
  while (mapping) {
    byId("growing").textContent = `The map is being made: ${mapping.done} of ${mapping.of}`;
    await new Promise((resolve) => setTimeout(resolve, RETRY));
    const coming = patiently(() => api.space());
  const about = await patiently(() => api.about());
    mapping = about.mapping;
    if (about.points === space.id.length) continue;
    Object.assign(space, await patiently(() => api.space()));
    map.setSpace(space);
    map.dispatchEvent(new Event("space"));
  }
  byId("growing").textContent = "";
}

/**
 * Ask until there is an answer, and say what one waits for.
 *
 * @template Answer
 * @param {() => Promise<Answer>} ask
 * @returns {Promise<Answer>}
 */
async function patiently(ask) {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status > 0 && error.status < 500) throw error;
      byId("wait").textContent = error.status > 0 ? error.words : "Waiting for the server…";
      await new Promise((resolve) => setTimeout(resolve, RETRY));
    }
  }
}

start().catch((error) => {
  console.error(error);
  const words = error instanceof Problem ? error.words : "This page could not start in this browser.";
  byId("wait").textContent = words;
  notice(words, { wrong: true });
});

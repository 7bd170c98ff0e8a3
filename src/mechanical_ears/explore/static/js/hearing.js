/** What the ears say: of the instrument in hand, and of recordings that are dropped. */

import { isAbort, Problem } from "./api.js";
import { byId, element } from "./element.js";
import { checkRecording, files, isShare, readShare } from "./saving/open-files.js";
import { notice, speak, wrong } from "./notices.js";
import * as card from "./display/hearing-card.js";
import { showTab } from "./tabs.js";
import { noteHeard } from "./wording.js";

const SETTLE = 500; // ms that an instrument is in hand before the ears are asked

/** @param {import("./app.js").Wandering & import("./app.js").WithMap} app */
export function hearing({ api, about, engine, session, space, map }) {
  /** @type {AbortController | null} */
  let asking = null;
  const recorded = byId("recorded");

  session.addEventListener("change", showInHand);

  function showInHand() {
    const { instrument } = session;
    if (!instrument) return;
    recorded.hidden = !map.scene.recording;
    asking?.abort();
    asking = new AbortController();
    if (instrument.heard) card.showInstrument(instrument, space.novelty);
    else {
      card.waiting();
      ask(instrument, asking.signal);
    }
  }

  /** @param {import("./types.js").Instrument} instrument @param {AbortSignal} signal */
  async function ask(instrument, signal) {
    await new Promise((resolve) => setTimeout(resolve, SETTLE));
    if (signal.aborted) return;
    try {
      Object.assign(instrument, await api.hearing(instrument.id, signal));
      if (session.instrument !== instrument) return;
      card.showInstrument(instrument, space.novelty);
      session.dispatchEvent(new Event("heard"));
    } catch (error) {
      if (isAbort(error)) return;
      card.failed(error instanceof Problem ? error.words : "The ears could not listen.");
    }
  }

  files(async (file) => {
    try {
      if (isShare(file)) {
        session.open({ share: await readShare(file) });
        return;
      }
      checkRecording(file, about.upload?.bytes);
      await listen(file);
    } catch (error) {
      wrong(error, `“${file.name}”`);
    }
  });

  /** @param {File} file */
  async function listen(file) {
    const done = notice(`The ears listen to “${file.name}”…`);
    const [recording, samples] = await Promise.all([
      api.hear(file),
      file.arrayBuffer().then((data) => engine.decode(data)).catch(() => null),
    ]).finally(done);
    const near = recording.nearest.flatMap(({ id }) => map.field?.places.get(id) ?? []);
    if (recording.x !== null && recording.y !== null) {
      map.setRecording({ x: recording.x, y: recording.y, name: file.name, near });
      map.fly({ x: recording.x, y: recording.y }, Math.max(map.view.zoom, 1.8));
    }
    const { instrument } = recording;
    const clear = () => {
      map.setRecording(null);
      showInHand();
    };
    const show = () => {
      asking?.abort();
      recorded.hidden = true;
      card.showRecording(file.name, recording, {
        play: () => samples && engine.play(samples),
        take: instrument && (() => session.take(instrument)),
        choose: (id) => session.choose(id),
        clear,
      });
      showTab("ears");
    };
    recorded.replaceChildren(element("span", {}, `What was heard in “${file.name}”`));
    recorded.onclick = show;
    show();
    speak(`${file.name}: ${noteHeard(recording.heard)}`);
    if (samples) engine.play(samples);
  }
}

/** What the ears hear: in the selected instrument, and in recordings that are dropped on the page. */

import { isAbort, Problem } from "./api.js";
import * as card from "./display/hearing-card.js";
import { byId, element } from "./element.js";
import { announce, notice, showError } from "./notices.js";
import { checkRecording, isSharedInstrument, onFiles, readSharedInstrument } from "./saving/open-files.js";
import { showTab } from "./tabs.js";
import { describeNote } from "./wording.js";

const DELAY_MS = 500; // ms that an instrument stays selected before its hearing is requested

/** @param {import("./app.js").AppWithSpace & import("./app.js").AppWithMap} app */
export function setUpHearing({ api, about, engine, session, space, map }) {
  /** @type {AbortController | null} */
  let pending = null;
  const showRecordingButton = byId("show-recording");

  session.addEventListener("change", showSelected);

  function showSelected() {
    const { instrument } = session;
    if (!instrument) return;
    showRecordingButton.hidden = !map.scene.recording;
    pending?.abort();
    pending = new AbortController();
    if (instrument.heard) card.showInstrument(instrument, space.novelty);
    else {
      card.showListening();
      requestHearing(instrument, pending.signal);
    }
  }

  /** @param {import("./types.js").Instrument} instrument @param {AbortSignal} signal */
  async function requestHearing(instrument, signal) {
    await new Promise((resolve) => setTimeout(resolve, DELAY_MS));
    if (signal.aborted) return;
    try {
      Object.assign(instrument, await api.hearing(instrument.id, signal));
      if (session.instrument !== instrument) return;
      card.showInstrument(instrument, space.novelty);
      session.dispatchEvent(new Event("hearing"));
    } catch (error) {
      if (isAbort(error)) return;
      card.showMessage(error instanceof Problem ? error.text : "This instrument could not be analysed.");
    }
  }

  onFiles(async (file) => {
    try {
      if (isSharedInstrument(file)) {
        session.open({ share: await readSharedInstrument(file) });
        return;
      }
      checkRecording(file, about.upload?.bytes);
      await listen(file);
    } catch (error) {
      showError(error, `“${file.name}”`);
    }
  });

  /** Upload a recording and show what the ears hear in it. @param {File} file */
  async function listen(file) {
    const removeNotice = notice(`Listening to “${file.name}”…`);
    const [recording, samples] = await Promise.all([
      api.upload(file),
      file.arrayBuffer().then((data) => engine.decode(data)).catch(() => null),
    ]).finally(removeNotice);
    const near = recording.nearest.flatMap(({ id }) => map.index?.indexOf.get(id) ?? []);
    if (recording.x !== null && recording.y !== null) {
      map.setRecording({ x: recording.x, y: recording.y, name: file.name, near });
      map.fly({ x: recording.x, y: recording.y }, Math.max(map.view.zoom, 1.8));
    }
    const { instrument } = recording;
    const clear = () => {
      map.setRecording(null);
      showSelected();
    };
    const showRecording = () => {
      pending?.abort();
      showRecordingButton.hidden = true;
      card.showRecording(file.name, recording, {
        play: () => samples && engine.play(samples),
        playOnKeys: instrument && (() => session.select(instrument)),
        select: (id) => session.selectId(id),
        clear,
      });
      showTab("analysis");
    };
    showRecordingButton.replaceChildren(element("span", {}, `Show the analysis of “${file.name}”`));
    showRecordingButton.onclick = showRecording;
    showRecording();
    announce(`${file.name}: ${describeNote(recording.heard)}`);
    if (samples) engine.play(samples);
  }
}

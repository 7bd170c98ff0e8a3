/** The dock: sound, octave, phrase, pedal, MIDI and volume. */

import { Phrase } from "./audio/phrase.js";
import { byId, icon } from "./element.js";
import { announce, notice } from "./notices.js";
import { ComputerKeys } from "./play/computer-keys.js";
import { pitchName } from "./play/key-geometry.js";
import { Midi } from "./play/midi.js";
import { remember, setting } from "./settings.js";

/** Gain of a slider position; 70 leaves the loudness unchanged. @param {number} position 0..100 */
const volumeGain = (position) => (position / 70) ** 2;

/** @param {import("./app.js").App} app */
export function setUpDock({ engine, voices, session, player, piano, liveDisplay }) {
  const setPedal = (/** @type {boolean} */ down) => (voices.sustained = down);
  const keys = new ComputerKeys(player, setPedal);
  const midi = new Midi(player, setPedal);
  const phrase = new Phrase(voices, () => session.instrument?.id ?? null);

  setUpSoundButton(engine);
  setUpPedalButton(voices);
  setUpMidiButton(midi);
  setUpPhraseButton(phrase, engine, player);
  setUpVolumeSlider(engine);
  setUpOctaveButtons(keys, piano);
  setUpWaterfallDrag(piano);

  addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    phrase.stop();
    player.releaseAll();
    voices.silence();
  });
  const dock = /** @type {HTMLElement} */ (document.querySelector(".dock"));
  new ResizeObserver(() =>
    document.documentElement.style.setProperty("--dock-height", `${dock.offsetHeight}px`),
  ).observe(dock);

  const dialog = /** @type {HTMLDialogElement} */ (byId("help-dialog"));
  byId("help").addEventListener("click", () => {
    const { context } = engine;
    byId("latency").textContent = context
      ? `Sound is on at ${context.sampleRate / 1000} kHz; the browser's latency is ${Math.round(engine.latency * 1000)} ms.`
      : "Sound is off.";
    dialog.showModal();
  });
  liveDisplay.run();
}

/** @param {import("./audio/engine.js").Engine} engine */
function setUpSoundButton(engine) {
  const button = byId("turn-on-sound");
  const show = () => (button.hidden = engine.awake);
  const wake = async () => {
    await engine.wake();
    show();
  };
  button.addEventListener("click", async () => {
    await wake();
    if (engine.awake) return announce("Sound is on");
    notice(
      "The browser blocks sound on this page. Allow sound in the page’s settings (next to the address), then press the button again.",
      { isError: true },
    );
  });
  engine.addEventListener("state", show);
  const wakeOnGesture = (/** @type {Event} */ event) =>
    !engine.awake && !(event.target instanceof Node && button.contains(event.target)) && wake();
  for (const type of ["pointerdown", "keydown"])
    addEventListener(type, wakeOnGesture, { capture: true });
}

/** @param {import("./audio/voices.js").Voices} voices */
function setUpPedalButton(voices) {
  const button = byId("pedal");
  button.addEventListener("click", () => (voices.sustained = !voices.sustained));
  voices.addEventListener("pedal", () =>
    button.setAttribute("aria-pressed", String(voices.sustained)),
  );
}

/** @param {Midi} midi */
function setUpMidiButton(midi) {
  const button = byId("midi");
  const show = () => {
    const { names } = midi;
    button.textContent = names.length ? `MIDI: ${names[0]}` : "MIDI";
    button.title = names.length ? names.join(", ") : "No MIDI keyboard is connected yet";
  };
  midi.addEventListener("state", show);
  button.addEventListener("click", async () => {
    if (!Midi.isSupported)
      return notice("This browser does not support MIDI. Chrome, Edge, Opera and Firefox do.");
    try {
      await midi.open();
      if (midi.names.length) notice(`Connected: ${midi.names.join(", ")}.`);
      else notice("No MIDI keyboard is connected. Connect one and it will work at once.");
    } catch {
      notice(
        "The browser blocks MIDI on this page. Allow MIDI in the page’s settings (next to the address), then try again.",
        { isError: true },
      );
    }
  });
}

/**
 * @param {Phrase} phrase
 * @param {import("./audio/engine.js").Engine} engine
 * @param {import("./play/player.js").Player} player
 */
function setUpPhraseButton(phrase, engine, player) {
  const button = byId("phrase");
  button.addEventListener("click", async () => {
    if (phrase.playing) return phrase.stop();
    await engine.wake();
    player.releaseAll();
    phrase.play();
  });
  phrase.addEventListener("state", () => {
    button.setAttribute("aria-pressed", String(phrase.playing));
    button.querySelector(".icon")?.replaceWith(icon(phrase.playing ? "stop" : "play"));
  });
}

/** @param {import("./audio/engine.js").Engine} engine */
function setUpVolumeSlider(engine) {
  const slider = /** @type {HTMLInputElement} */ (byId("volume"));
  slider.value = String(setting("volume", 70));
  const apply = () => (engine.volume = volumeGain(Number(slider.value)));
  slider.addEventListener("input", () => {
    apply();
    remember("volume", Number(slider.value));
  });
  apply();
}

/** @param {ComputerKeys} keys @param {import("./play/piano.js").Piano} piano */
function setUpOctaveButtons(keys, piano) {
  const show = async () => {
    byId("octave").textContent = pitchName(keys.base);
    piano.reveal(keys.base);
    piano.setLabels(matchMedia("(pointer: coarse)").matches ? new Map() : await keys.labels());
  };
  byId("octave-down").addEventListener("click", () => keys.shift(-12));
  byId("octave-up").addEventListener("click", () => keys.shift(12));
  keys.addEventListener("octave", show);
  show();
}

/** Dragging the waterfall scrolls a piano that is wider than the page. @param {import("./play/piano.js").Piano} piano */
function setUpWaterfallDrag(piano) {
  const waterfall = byId("waterfall");
  /** @type {number | null} */
  let lastX = null;
  waterfall.addEventListener("pointerdown", (event) => {
    lastX = event.clientX;
    waterfall.setPointerCapture(event.pointerId);
  });
  waterfall.addEventListener("pointermove", (event) => {
    if (lastX === null) return;
    piano.scroll(lastX - event.clientX);
    lastX = event.clientX;
  });
  for (const type of ["pointerup", "pointercancel"])
    waterfall.addEventListener(type, () => (lastX = null));
}

/** The dock: what the player's hands find there besides the piano. */

import { Phrase } from "./audio/phrase.js";
import { byId, icon } from "./element.js";
import { notice, speak } from "./notices.js";
import { ComputerKeys } from "./play/computer-keys.js";
import { pitchName } from "./play/key-geometry.js";
import { Midi } from "./play/midi.js";
import { remember, setting } from "./settings.js";

/** Volume 70 of 100 leaves the loudness as it is. @param {number} place 0..100 */
const loudness = (place) => (place / 70) ** 2;

/** @param {import("./app.js").App} app */
export function stage({ engine, voices, session, player, piano, live }) {
  const pedal = (/** @type {boolean} */ down) => (voices.sustained = down);
  const keys = new ComputerKeys(player, pedal);
  const midi = new Midi(player, pedal);
  const phrase = new Phrase(voices, () => session.instrument?.id ?? null);

  soundButton(engine);
  pedalButton(voices);
  midiButton(midi);
  phraseButton(phrase, engine, player);
  volumeSlider(engine);
  octaveButtons(keys, piano);
  waterfallMoves(piano);

  addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    phrase.stop();
    player.releaseAll();
    voices.silence();
  });
  const dock = /** @type {HTMLElement} */ (document.querySelector(".dock"));
  new ResizeObserver(() =>
    document.documentElement.style.setProperty("--dock", `${dock.offsetHeight}px`),
  ).observe(dock);

  const guide = /** @type {HTMLDialogElement} */ (byId("guide"));
  byId("help").addEventListener("click", () => {
    const { context } = engine;
    byId("latency").textContent = context
      ? `Sound is on, ${context.sampleRate / 1000} kHz; the browser adds ${Math.round(engine.latency * 1000)} ms.`
      : "Sound is still off.";
    guide.showModal();
  });
  live.run();
}

/** @param {import("./audio/engine.js").Engine} engine */
function soundButton(engine) {
  const button = byId("sound");
  const show = () => (button.hidden = engine.awake);
  const wake = async () => {
    await engine.wake();
    show();
  };
  button.addEventListener("click", async () => {
    await wake();
    if (engine.awake) return speak("Sound is on");
    notice(
      "The browser does not let this page sound. Allow sound in the page’s settings (beside the address), then press the button again.",
      { wrong: true },
    );
  });
  engine.addEventListener("state", show);
  const elsewhere = (/** @type {Event} */ event) =>
    !engine.awake && !(event.target instanceof Node && button.contains(event.target)) && wake();
  for (const type of ["pointerdown", "keydown"]) addEventListener(type, elsewhere, { capture: true });
}

/** @param {import("./audio/voices.js").Voices} voices */
function pedalButton(voices) {
  const button = byId("pedal");
  button.addEventListener("click", () => (voices.sustained = !voices.sustained));
  voices.addEventListener("pedal", () =>
    button.setAttribute("aria-pressed", String(voices.sustained)),
  );
}

/** @param {Midi} midi */
function midiButton(midi) {
  const button = byId("midi");
  const show = () => {
    const { names } = midi;
    button.textContent = names.length ? `MIDI: ${names[0]}` : "MIDI";
    button.title = names.length ? names.join(", ") : "No MIDI keyboard is connected yet";
  };
  midi.addEventListener("state", show);
  button.addEventListener("click", async () => {
    if (!Midi.possible)
      return notice("This browser has no Web MIDI. Chrome, Edge, Opera and Firefox have it.");
    try {
      await midi.open();
      if (midi.names.length) notice(`${midi.names.join(", ")} plays now.`);
      else notice("No MIDI keyboard is connected. Connect one: it will be found.");
    } catch {
      notice(
        "The browser does not let this page use MIDI. Allow MIDI in the page’s settings (beside the address), then try again.",
        { wrong: true },
      );
    }
  });
}

/**
 * @param {Phrase} phrase
 * @param {import("./audio/engine.js").Engine} engine
 * @param {import("./play/player.js").Player} player
 */
function phraseButton(phrase, engine, player) {
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
function volumeSlider(engine) {
  const slider = /** @type {HTMLInputElement} */ (byId("volume"));
  slider.value = String(setting("volume", 70));
  const set = () => (engine.volume = loudness(Number(slider.value)));
  slider.addEventListener("input", () => {
    set();
    remember("volume", Number(slider.value));
  });
  set();
}

/** @param {ComputerKeys} keys @param {import("./play/piano.js").Piano} piano */
function octaveButtons(keys, piano) {
  const show = async () => {
    byId("octave").textContent = pitchName(keys.base);
    piano.reveal(keys.base);
    piano.label(matchMedia("(pointer: coarse)").matches ? new Map() : await keys.printed());
  };
  byId("octave-down").addEventListener("click", () => keys.shift(-12));
  byId("octave-up").addEventListener("click", () => keys.shift(12));
  keys.addEventListener("octave", show);
  show();
}

/** A drag along the waterfall moves a piano that is wider than the page. @param {import("./play/piano.js").Piano} piano */
function waterfallMoves(piano) {
  const strip = byId("waterfall");
  /** @type {number | null} */
  let last = null;
  strip.addEventListener("pointerdown", (event) => {
    last = event.clientX;
    strip.setPointerCapture(event.pointerId);
  });
  strip.addEventListener("pointermove", (event) => {
    if (last === null) return;
    piano.scroll(last - event.clientX);
    last = event.clientX;
  });
  for (const type of ["pointerup", "pointercancel"])
    strip.addEventListener(type, () => (last = null));
}

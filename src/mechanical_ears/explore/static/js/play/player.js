/** Keys that are down, held by fingers, the computer keyboard or MIDI. */

/** Events: `press` (detail: {pitch, velocity}), `release` (detail: {pitch}). */
export class Player extends EventTarget {
  /** @type {Map<string, {pitch: number, voice: import("../audio/voices.js").Voice | null}>} */
  #held = new Map();
  /** MIDI number and velocity of the last note. */
  last = { pitch: 60, velocity: 84 };

  /**
   * @param {import("../audio/engine.js").Engine} engine
   * @param {import("../audio/voices.js").Voices} voices
   * @param {() => string | null} instrument returns the id of the selected instrument
   */
  constructor(engine, voices, instrument) {
    super();
    this.engine = engine;
    this.voices = voices;
    this.instrument = instrument;
  }

  /**
   * @param {string} holder such as `finger 3`
   * @param {number} pitch MIDI number
   * @param {number} velocity MIDI velocity
   */
  press(holder, pitch, velocity) {
    this.release(holder);
    const id = this.instrument();
    if (!id) return;
    if (!this.engine.awake) this.engine.wake(); // allowed in a user gesture
    const voice = this.voices.press(id, pitch, velocity);
    this.#held.set(holder, { pitch, voice });
    this.last = { pitch, velocity };
    this.dispatchEvent(new CustomEvent("press", { detail: { pitch, velocity } }));
  }

  /** @param {string} holder */
  release(holder) {
    const key = this.#held.get(holder);
    if (!key) return;
    this.#held.delete(holder);
    if (key.voice) this.voices.release(key.voice);
    if ([...this.#held.values()].some(({ pitch }) => pitch === key.pitch)) return;
    this.dispatchEvent(new CustomEvent("release", { detail: { pitch: key.pitch } }));
  }

  /** @param {string} holder @returns {number | null} MIDI number of the key it holds */
  holds(holder) {
    return this.#held.get(holder)?.pitch ?? null;
  }

  /** @param {string} [prefix] of the holders to release; all without it */
  releaseAll(prefix = "") {
    for (const holder of [...this.#held.keys()]) if (holder.startsWith(prefix)) this.release(holder);
  }
}

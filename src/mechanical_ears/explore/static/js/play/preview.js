/** Previews: a short note of an instrument, on hover and after each step. */

const HOLD_MS = 900; // ms
const BASS_PITCH = 43; // MIDI number at which basses are previewed
const MAX_BASS_PITCH = 55; // MIDI number up to which a bass is previewed at the last key

export class Preview {
  /** @type {{id: string, voice: import("../audio/voices.js").Voice | null, timer?: ReturnType<typeof setTimeout>} | null} */
  #current = null;

  /**
   * @param {import("../audio/voices.js").Voices} voices
   * @param {import("./player.js").Player} player
   */
  constructor(voices, player) {
    this.voices = voices;
    this.player = player;
  }

  /**
   * Play a note now, or as soon as it is loaded, unless another preview starts before.
   *
   * @param {string} id
   * @param {string | null} [family]
   */
  play(id, family = null) {
    const { notes } = this.voices;
    if (this.#current?.id !== id) this.stop();
    const { pitch, velocity } = this.player.last;
    const key = family === "bass" && pitch > MAX_BASS_PITCH ? BASS_PITCH : pitch;
    const layer = nearest(notes.layers, velocity);
    this.#release();
    const preview = (this.#current = { id, voice: /** @type {any} */ (null) });
    const start = () => {
      if (this.#current !== preview) return;
      const voice = this.voices.press(id, key, layer);
      this.#current = voice && { id, voice, timer: setTimeout(() => this.#release(), HOLD_MS) };
    };
    if (notes.nearest(id, key, layer)) start();
    else notes.whenLoaded(id, key, layer, start);
  }

  /** Release the note; if it is not loaded yet, cancel its request. */
  stop() {
    const id = this.#current?.id;
    this.#release();
    this.#current = null;
    if (id && id !== this.player.instrument()) this.voices.notes.cancelFor(id);
  }

  #release() {
    if (!this.#current?.voice) return;
    clearTimeout(this.#current.timer);
    this.voices.release(this.#current.voice);
    this.#current.voice = null;
  }
}

/** @param {number[]} layers MIDI velocities @param {number} velocity */
function nearest(layers, velocity) {
  return layers.reduce((a, b) => (Math.abs(b - velocity) < Math.abs(a - velocity) ? b : a));
}

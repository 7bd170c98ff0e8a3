/** One note of an instrument, to hear what it is: on hover, on a step of a walk. */

const HELD = 900; // ms
const BASS = 43; // MIDI number at which basses are tried

export class Audition {
  /** @type {{id: string, voice: import("../audio/voices.js").Voice | null, timer?: ReturnType<typeof setTimeout>} | null} */
  #tried = null;

  /**
   * @param {import("../audio/voices.js").Voices} voices
   * @param {import("./player.js").Player} player
   */
  constructor(voices, player) {
    this.voices = voices;
    this.player = player;
  }

  /**
   * Play it now, or as soon as its note is there, unless another is tried before.
   *
   * @param {string} id
   * @param {string | null} [family]
   */
  play(id, family = null) {
    const { notes } = this.voices;
    if (this.#tried?.id !== id) this.stop();
    const { pitch, velocity } = this.player.last;
    const key = family === "bass" && pitch > 55 ? BASS : pitch;
    const layer = nearest(notes.layers, velocity);
    this.#end();
    const tried = (this.#tried = { id, voice: /** @type {any} */ (null) });
    const sound = () => {
      if (this.#tried !== tried) return;
      const voice = this.voices.press(id, key, layer);
      this.#tried = voice && { id, voice, timer: setTimeout(() => this.#end(), HELD) };
    };
    if (notes.nearest(id, key, layer)) sound();
    else notes.when(id, key, layer, sound);
  }

  /** The note ends; one that is still on its way is not wanted any more. */
  stop() {
    const id = this.#tried?.id;
    this.#end();
    this.#tried = null;
    if (id && id !== this.player.instrument()) this.voices.notes.leave(id);
  }

  #end() {
    if (!this.#tried?.voice) return;
    clearTimeout(this.#tried.timer);
    this.voices.release(this.#tried.voice);
    this.#tried.voice = null;
  }
}

/** @param {number[]} layers MIDI velocities @param {number} velocity */
function nearest(layers, velocity) {
  return layers.reduce((a, b) => (Math.abs(b - velocity) < Math.abs(a - velocity) ? b : a));
}

/** One note of an instrument, to hear what it is: on hover, on a step of a walk. */

const HELD = 900; // ms
const BASS = 43; // MIDI number at which basses are tried

export class Audition {
  /** @type {{voice: import("../audio/voices.js").Voice, timer: ReturnType<typeof setTimeout>} | null} */
  #sounding = null;

  /**
   * @param {import("../audio/voices.js").Voices} voices
   * @param {import("./player.js").Player} player
   */
  constructor(voices, player) {
    this.voices = voices;
    this.player = player;
  }

  /**
   * @param {string} id
   * @param {string | null} [family]
   */
  play(id, family = null) {
    this.stop();
    const { pitch, velocity } = this.player.last;
    const key = family === "bass" && pitch > 55 ? BASS : pitch;
    const { layers } = this.voices.notes;
    const layer = layers.reduce((a, b) => (Math.abs(b - velocity) < Math.abs(a - velocity) ? b : a));
    const voice = this.voices.press(id, key, layer);
    if (voice) this.#sounding = { voice, timer: setTimeout(() => this.stop(), HELD) };
  }

  stop() {
    if (!this.#sounding) return;
    clearTimeout(this.#sounding.timer);
    this.voices.release(this.#sounding.voice);
    this.#sounding = null;
  }
}

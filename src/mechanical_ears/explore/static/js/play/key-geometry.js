/** Where keys lie on a piano. Positions count white keys from the lowest one's left edge. */

const BLACK = new Set([1, 3, 6, 8, 10]); // semitones above C
const WHITES_BELOW = [0, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6, 6]; // in the octave, of each semitone
const NAMES = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"];
const BLACK_WIDTH = 0.62; // of a white key
const BLACK_HEIGHT = 0.62;

/** @param {number} pitch MIDI number */
export const isBlack = (pitch) => BLACK.has(pitch % 12);

/** @param {number} pitch MIDI number @returns {string} 60 is C4 */
export const pitchName = (pitch) => `${NAMES[((pitch % 12) + 12) % 12]}${Math.floor(pitch / 12) - 1}`;

/** @param {number} pitch */
const whitesBelow = (pitch) => 7 * Math.floor(pitch / 12) + WHITES_BELOW[pitch % 12];

export class Keys {
  /** @param {number} lowest MIDI number, a white key @param {number} highest MIDI number, a white key */
  constructor(lowest, highest) {
    this.lowest = lowest;
    this.highest = highest;
    this.whites = whitesBelow(highest) - whitesBelow(lowest) + 1;
  }

  /** @param {number} pitch @returns {number} a white key's left edge, a black key's middle */
  position(pitch) {
    return whitesBelow(pitch) - whitesBelow(this.lowest);
  }

  /**
   * Where a frequency belongs, between the middles of the keys.
   *
   * @param {number} pitch MIDI number, need not be whole
   */
  centre(pitch) {
    const below = Math.floor(pitch);
    const middle = (/** @type {number} */ key) => this.position(key) + (isBlack(key) ? 0 : 0.5);
    return middle(below) + (pitch - below) * (middle(below + 1) - middle(below));
  }

  /**
   * The key at a place, and how hard it is struck there: softly at the top, hard near the edge.
   *
   * @param {number} x white keys from the left
   * @param {number} y 0 at the top, 1 at the keys' edge
   * @returns {{pitch: number, velocity: number} | null}
   */
  at(x, y) {
    if (y < 0 || y > 1) return null;
    for (let pitch = this.lowest; pitch <= this.highest; pitch++) {
      if (!isBlack(pitch) || y > BLACK_HEIGHT) continue;
      if (Math.abs(x - this.position(pitch)) < BLACK_WIDTH / 2)
        return { pitch, velocity: struck(y / BLACK_HEIGHT) };
    }
    for (let pitch = this.lowest; pitch <= this.highest; pitch++)
      if (!isBlack(pitch) && Math.floor(x) === this.position(pitch))
        return { pitch, velocity: struck(y) };
    return null;
  }
}

/** @param {number} y 0..1 @returns {number} MIDI velocity 30..124 */
function struck(y) {
  return Math.round(30 + 94 * Math.min(Math.max(y, 0), 1));
}

/** Positions of piano keys, in white keys from the left edge of the lowest one. */

const BLACK = new Set([1, 3, 6, 8, 10]); // semitones above C
const WHITES_BELOW = [0, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6, 6]; // in the octave, for each semitone
const NAMES = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"];
const BLACK_WIDTH = 0.62; // of a white key
const BLACK_HEIGHT = 0.62; // of a white key
const MIN_VELOCITY = 30; // MIDI velocity at the top of a key
const MAX_VELOCITY = 124; // MIDI velocity at its front edge

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
   * Position of a pitch, interpolated between the centres of the keys.
   *
   * @param {number} pitch MIDI number, may be fractional
   */
  centre(pitch) {
    const below = Math.floor(pitch);
    const keyCentre = (/** @type {number} */ key) => this.position(key) + (isBlack(key) ? 0 : 0.5);
    return keyCentre(below) + (pitch - below) * (keyCentre(below + 1) - keyCentre(below));
  }

  /**
   * The key at a position and the velocity there: soft at the top, loud at the front edge.
   *
   * @param {number} x white keys from the left
   * @param {number} y 0 at the top, 1 at the front edge
   * @returns {{pitch: number, velocity: number} | null}
   */
  keyAt(x, y) {
    if (y < 0 || y > 1) return null;
    for (let pitch = this.lowest; pitch <= this.highest; pitch++) {
      if (!isBlack(pitch) || y > BLACK_HEIGHT) continue;
      if (Math.abs(x - this.position(pitch)) < BLACK_WIDTH / 2)
        return { pitch, velocity: velocityAt(y / BLACK_HEIGHT) };
    }
    for (let pitch = this.lowest; pitch <= this.highest; pitch++)
      if (!isBlack(pitch) && Math.floor(x) === this.position(pitch))
        return { pitch, velocity: velocityAt(y) };
    return null;
  }
}

/** @param {number} y 0..1 @returns {number} MIDI velocity */
function velocityAt(y) {
  return Math.round(MIN_VELOCITY + (MAX_VELOCITY - MIN_VELOCITY) * Math.min(Math.max(y, 0), 1));
}

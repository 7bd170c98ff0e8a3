/**
 * Notes held longer than they were rendered, and let go earlier.
 *
 * The server's note is held for a while and then released. Held longer, a stretch of its sustain is
 * gone over: from the end e back to the start s, chosen so that the samples before both are most
 * alike,
 *
 *     max over s of  2 ⟨a, b⟩ / (‖a‖² + ‖b‖²),    a = x[e − w … e), b = x[s − w … s),
 *
 * and the last w samples before e are faded into those before s. What falls while it is held
 * (f dB/s) is first raised to a level stretch, and the voice's gain falls instead, for ever.
 */

const WINDOW = 0.03; // s, that are compared and faded
const EARLIEST = 0.35; // of the held part, where a loop may start
const SHORTEST = 0.25; // of the held part, that a loop has at least
const COARSE = 4; // every so many samples are compared at first
const FRAME = 0.02; // s, of the levels
const SLOWEST = 1; // dB/s, below which a note does not fall
const FASTEST = 40; // dB/s, above which there is nothing to hold
const SILENT = -66; // dB below the loudest frame: nothing is left to hold

/**
 * @typedef {Object} Held
 * @property {{start: number, end: number} | null} loop s, that is gone over
 * @property {number} fall dB/s, by which the gain falls from there on
 * @property {number} fallsFrom s
 * @property {number} held s, from the start to the key-up
 * @property {Float32Array} levels of frames of 20 ms, root mean square
 */

/**
 * Root mean square of frames.
 *
 * @param {Float32Array} samples
 * @param {number} rate Hz
 * @returns {Float32Array}
 */
export function frameLevels(samples, rate) {
  const length = Math.round(FRAME * rate);
  const levels = new Float32Array(Math.floor(samples.length / length));
  for (let frame = 0; frame < levels.length; frame++) {
    let sum = 0;
    for (let i = frame * length; i < (frame + 1) * length; i++) sum += samples[i] * samples[i];
    levels[frame] = Math.sqrt(sum / length);
  }
  return levels;
}

/** @param {number} level */
const decibels = (level) => 20 * Math.log10(level + 1e-9);

/**
 * @param {Float32Array} levels
 * @param {number} time s
 */
export function levelAt(levels, time) {
  return levels[Math.min(Math.max(Math.floor(time / FRAME), 0), levels.length - 1)] ?? 0;
}

/**
 * dB/s by which levels fall between two times, from a line through them; negative where they rise.
 *
 * @param {Float32Array} levels
 * @param {number} from s
 * @param {number} to s
 */
export function fallBetween(levels, from, to) {
  const [first, last] = [Math.round(from / FRAME), Math.round(to / FRAME)];
  const middle = (first + last - 1) / 2;
  let [above, below] = [0, 0];
  for (let frame = first; frame < last; frame++) {
    above += (frame - middle) * decibels(levels[frame]);
    below += (frame - middle) ** 2;
  }
  return below ? -above / below / FRAME : 0;
}

/**
 * Find and make the loop. The samples are changed in place, between the loop's start and end.
 *
 * @param {Float32Array} samples
 * @param {number} rate Hz
 * @param {number} held s, from the start to the key-up
 * @returns {Held}
 */
export function hold(samples, rate, held) {
  const levels = frameLevels(samples, rate);
  const none = { loop: null, fall: 0, fallsFrom: 0, held, levels };
  const window = Math.round(WINDOW * rate);
  const end = Math.floor((held - FRAME) * rate);
  const first = Math.round(EARLIEST * held * rate);
  const last = end - Math.round(SHORTEST * held * rate);
  if (end > samples.length || first < window || last <= first) return none;

  let fall = fallBetween(levels, EARLIEST * held, end / rate);
  const loudest = Math.max(...levels);
  if (fall > FASTEST || decibels(levelAt(levels, end / rate - FRAME)) < decibels(loudest) + SILENT)
    return none;
  if (Math.abs(fall) < SLOWEST) fall = 0;

  const start = likest(samples, end, first, last, window);
  if (fall > 0) raise(samples, start - window, end, rate, fall);
  fade(samples, start, end, window);
  return {
    loop: { start: start / rate, end: end / rate },
    fall: Math.max(fall, 0),
    fallsFrom: (start - window) / rate,
    held,
    levels,
  };
}

/**
 * @param {Float32Array} x
 * @param {number} end
 * @param {number} start
 * @param {number} window
 * @param {number} step
 */
function likeness(x, end, start, window, step) {
  let product = 0;
  let power = 1e-12;
  for (let i = 1; i <= window; i += step) {
    const a = x[end - i];
    const b = x[start - i];
    product += a * b;
    power += a * a + b * b;
  }
  return (2 * product) / power;
}

/**
 * @param {Float32Array} x
 * @param {number} end
 * @param {number} first
 * @param {number} last
 * @param {number} window
 */
function likest(x, end, first, last, window) {
  const best = (
    /** @type {number} */ from,
    /** @type {number} */ to,
    /** @type {number} */ step,
    /** @type {number} */ skip,
  ) => {
    let [place, most] = [from, -Infinity];
    for (let start = from; start <= to; start += step) {
      const alike = likeness(x, end, start, window, skip);
      if (alike > most) [place, most] = [start, alike];
    }
    return place;
  };
  const near = best(first, last, COARSE, 2 * COARSE);
  return best(Math.max(near - COARSE, first), Math.min(near + COARSE, last), 1, 1);
}

/** What falls by `fall` dB/s is made level, from a place on. */
function raise(
  /** @type {Float32Array} */ x,
  /** @type {number} */ from,
  /** @type {number} */ to,
  /** @type {number} */ rate,
  /** @type {number} */ fall,
) {
  const factor = 10 ** (fall / 20 / rate);
  let gain = 1;
  for (let i = from; i < to; i++) {
    x[i] *= gain;
    gain *= factor;
  }
}

/** The last samples before the end become those before the start. */
function fade(
  /** @type {Float32Array} */ x,
  /** @type {number} */ start,
  /** @type {number} */ end,
  /** @type {number} */ window,
) {
  for (let i = 0; i < window; i++) {
    const share = (i + 1) / window;
    const at = end - window + i;
    x[at] += share * (x[start - window + i] - x[at]);
  }
}

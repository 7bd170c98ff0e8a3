/**
 * Sustain loops: how a rendered note is held longer than it was rendered, or released earlier.
 *
 * The server renders a note that is held for a while and then released. To hold it longer, a part of
 * its sustain is looped, from the end e back to the start s, chosen so that the samples before both
 * are most similar,
 *
 *     max over s of  2 ⟨a, b⟩ / (‖a‖² + ‖b‖²),    a = x[e − w … e), b = x[s − w … s),
 *
 * and the last w samples before e are crossfaded into those before s. A note that decays while it is
 * held (by f dB/s) is first raised to a constant level there; the voice's gain decays instead, for as
 * long as the key is held.
 */

const WINDOW_SECONDS = 0.03; // s, that are compared and crossfaded
const MIN_LOOP_START = 0.35; // of the held part
const MIN_LOOP_LENGTH = 0.25; // of the held part
const COARSE_STEP = 4; // samples between two starts in the first search
const FRAME_SECONDS = 0.02; // s, of the levels
const MIN_DECAY_DB = 1; // dB/s, below which a note counts as steady
const MAX_DECAY_DB = 40; // dB/s, above which a note cannot be held
const SILENCE_DB = -66; // dB below the loudest frame, below which there is nothing to hold

/**
 * @typedef {Object} Sustain
 * @property {{start: number, end: number} | null} loop s
 * @property {number} decay dB/s, by which the gain decays from `decayStart` on
 * @property {number} decayStart s
 * @property {number} keyUp s, from the start to the key-up
 * @property {Float32Array} levels root mean square of frames of 20 ms
 */

/**
 * Root mean square of frames.
 *
 * @param {Float32Array} samples
 * @param {number} rate Hz
 * @returns {Float32Array}
 */
export function frameLevels(samples, rate) {
  const length = Math.round(FRAME_SECONDS * rate);
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
  return levels[Math.min(Math.max(Math.floor(time / FRAME_SECONDS), 0), levels.length - 1)] ?? 0;
}

/**
 * Decay of levels between two times in dB/s, by linear regression; negative if they rise.
 *
 * @param {Float32Array} levels
 * @param {number} from s
 * @param {number} to s
 */
export function decayBetween(levels, from, to) {
  const [first, last] = [Math.round(from / FRAME_SECONDS), Math.round(to / FRAME_SECONDS)];
  const middle = (first + last - 1) / 2;
  let [covariance, variance] = [0, 0];
  for (let frame = first; frame < last; frame++) {
    covariance += (frame - middle) * decibels(levels[frame]);
    variance += (frame - middle) ** 2;
  }
  return variance ? -covariance / variance / FRAME_SECONDS : 0;
}

/**
 * Find the loop and prepare the samples for it; they are changed in place, before the loop's end.
 *
 * @param {Float32Array} samples
 * @param {number} rate Hz
 * @param {number} keyUp s, from the start to the key-up
 * @returns {Sustain}
 */
export function prepareSustain(samples, rate, keyUp) {
  const levels = frameLevels(samples, rate);
  const none = { loop: null, decay: 0, decayStart: 0, keyUp, levels };
  const window = Math.round(WINDOW_SECONDS * rate);
  const end = Math.floor((keyUp - FRAME_SECONDS) * rate);
  const first = Math.round(MIN_LOOP_START * keyUp * rate);
  const last = end - Math.round(MIN_LOOP_LENGTH * keyUp * rate);
  if (end > samples.length || first < window || last <= first) return none;

  let decay = decayBetween(levels, MIN_LOOP_START * keyUp, end / rate);
  const loudest = decibels(Math.max(...levels));
  const atEnd = decibels(levelAt(levels, end / rate - FRAME_SECONDS));
  if (decay > MAX_DECAY_DB || atEnd < loudest + SILENCE_DB) return none;
  if (Math.abs(decay) < MIN_DECAY_DB) decay = 0;

  const start = findLoopStart(samples, end, first, last, window);
  if (decay > 0) compensateDecay(samples, start - window, end, rate, decay);
  crossfade(samples, start, end, window);
  return {
    loop: { start: start / rate, end: end / rate },
    decay: Math.max(decay, 0),
    decayStart: (start - window) / rate,
    keyUp,
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
function similarity(x, end, start, window, step) {
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
function findLoopStart(x, end, first, last, window) {
  const search = (
    /** @type {number} */ from,
    /** @type {number} */ to,
    /** @type {number} */ step,
    /** @type {number} */ stride,
  ) => {
    let [best, highest] = [from, -Infinity];
    for (let start = from; start <= to; start += step) {
      const similar = similarity(x, end, start, window, stride);
      if (similar > highest) [best, highest] = [start, similar];
    }
    return best;
  };
  const near = search(first, last, COARSE_STEP, 2 * COARSE_STEP);
  return search(Math.max(near - COARSE_STEP, first), Math.min(near + COARSE_STEP, last), 1, 1);
}

/** Raise a decay of `decay` dB/s to a constant level. */
function compensateDecay(
  /** @type {Float32Array} */ x,
  /** @type {number} */ from,
  /** @type {number} */ to,
  /** @type {number} */ rate,
  /** @type {number} */ decay,
) {
  const factor = 10 ** (decay / 20 / rate);
  let gain = 1;
  for (let i = from; i < to; i++) {
    x[i] *= gain;
    gain *= factor;
  }
}

/** Crossfade the last samples before the end into those before the start. */
function crossfade(
  /** @type {Float32Array} */ x,
  /** @type {number} */ start,
  /** @type {number} */ end,
  /** @type {number} */ window,
) {
  for (let i = 0; i < window; i++) {
    const weight = (i + 1) / window;
    const position = end - window + i;
    x[position] += weight * (x[start - window + i] - x[position]);
  }
}

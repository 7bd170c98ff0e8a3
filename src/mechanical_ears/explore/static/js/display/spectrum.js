/** Where the analyser's bins go on a picture that has the piano's axis; and its colours. */

const A4 = 440; // Hz
const QUIETEST = -96; // dB, ground
const LOUDEST = -28; // dB, brightest

/** @param {number} pitch MIDI number @returns {number} Hz */
export const frequency = (pitch) => A4 * 2 ** ((pitch - 69) / 12);

/**
 * Bins under each pixel.
 *
 * @param {import("../play/piano.js").Piano} piano
 * @param {number} width px
 * @param {number} binWidth Hz
 * @returns {Float32Array} (width + 1,) edges, in bins
 */
export function binEdges(piano, width, binWidth) {
  const { keys, white, offset } = piano;
  const edges = new Float32Array(width + 1);
  let pitch = keys.lowest - 1;
  for (let px = 0; px <= width; px++) {
    const at = (px + offset) / white;
    while (pitch < keys.highest + 1 && keys.centre(pitch + 1) < at) pitch++;
    const [low, high] = [keys.centre(pitch), keys.centre(pitch + 1)];
    edges[px] = frequency(pitch + (at - low) / (high - low)) / binWidth;
  }
  return edges;
}

/**
 * Loudness under each pixel, 0..1; between bins a line, over several the loudest.
 *
 * @param {Float32Array} decibels of the bins
 * @param {Float32Array} edges see `binEdges`
 * @param {Float32Array} levels (width,) is written
 */
export function levelsOf(decibels, edges, levels) {
  for (let px = 0; px < levels.length; px++) {
    const [from, to] = [edges[px], edges[px + 1]];
    const below = Math.floor(from);
    const share = from - below;
    let loud = decibels[below] + share * (decibels[below + 1] - decibels[below]);
    for (let bin = below + 1; bin <= to; bin++) loud = Math.max(loud, decibels[bin]);
    const level = (loud - QUIETEST) / (LOUDEST - QUIETEST);
    levels[px] = level > 0 ? Math.min(level, 1) : 0;
  }
}

/**
 * 256 colours from the ground through the family's to the ink.
 *
 * @param {[number, number, number]} ground
 * @param {[number, number, number]} tint
 * @param {[number, number, number]} ink
 * @returns {Uint32Array} as ImageData has them
 */
export function ramp(ground, tint, ink) {
  const colours = new Uint8ClampedArray(4 * 256);
  for (let level = 0; level < 256; level++) {
    const at = (level / 255) ** 1.4;
    const [from, to, share] = at < 0.6 ? [ground, tint, at / 0.6] : [tint, ink, (at - 0.6) / 0.4];
    for (let band = 0; band < 3; band++)
      colours[4 * level + band] = from[band] + share * (to[band] - from[band]);
    colours[4 * level + 3] = 255;
  }
  return new Uint32Array(colours.buffer);
}

/** Spectra on the axis of the piano: bins of the analyser at each pixel, their levels, colours. */

const A4_HZ = 440; // Hz
const MIN_DB = -96; // dB, drawn as background
const MAX_DB = -28; // dB, drawn brightest

/** @param {number} pitch MIDI number @returns {number} Hz */
export const pitchToHz = (pitch) => A4_HZ * 2 ** ((pitch - 69) / 12);

/**
 * Range of bins at each pixel.
 *
 * @param {import("../play/piano.js").Piano} piano
 * @param {number} width px
 * @param {number} binWidth Hz
 * @returns {Float32Array} (width + 1,) edges, in bins
 */
export function binEdges(piano, width, binWidth) {
  const { keys, keyWidth, offset } = piano;
  const edges = new Float32Array(width + 1);
  let pitch = keys.lowest - 1;
  for (let px = 0; px <= width; px++) {
    const position = (px + offset) / keyWidth; // white keys
    while (pitch < keys.highest + 1 && keys.centre(pitch + 1) < position) pitch++;
    const [low, high] = [keys.centre(pitch), keys.centre(pitch + 1)];
    edges[px] = pitchToHz(pitch + (position - low) / (high - low)) / binWidth;
  }
  return edges;
}

/**
 * Level at each pixel, 0..1: interpolated between bins; the loudest of several bins.
 *
 * @param {Float32Array} decibels of the bins
 * @param {Float32Array} edges see `binEdges`
 * @param {Float32Array} levels (width,) output
 */
export function pixelLevels(decibels, edges, levels) {
  for (let px = 0; px < levels.length; px++) {
    const [from, to] = [edges[px], edges[px + 1]];
    const below = Math.floor(from);
    const fraction = from - below;
    let loudest = decibels[below] + fraction * (decibels[below + 1] - decibels[below]);
    for (let bin = below + 1; bin <= to; bin++) loudest = Math.max(loudest, decibels[bin]);
    const level = (loudest - MIN_DB) / (MAX_DB - MIN_DB);
    levels[px] = level > 0 ? Math.min(level, 1) : 0;
  }
}

/**
 * 256 colours from the background through the accent to the text colour.
 *
 * @param {[number, number, number]} background
 * @param {[number, number, number]} accent
 * @param {[number, number, number]} text
 * @returns {Uint32Array} pixels as in ImageData
 */
export function colourRamp(background, accent, text) {
  const colours = new Uint8ClampedArray(4 * 256);
  for (let level = 0; level < 256; level++) {
    const x = (level / 255) ** 1.4;
    const [from, to, fraction] =
      x < 0.6 ? [background, accent, x / 0.6] : [accent, text, (x - 0.6) / 0.4];
    for (let channel = 0; channel < 3; channel++)
      colours[4 * level + channel] = from[channel] + fraction * (to[channel] - from[channel]);
    colours[4 * level + 3] = 255;
  }
  return new Uint32Array(colours.buffer);
}

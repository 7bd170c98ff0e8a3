/** Small pictures of the families' shapes, as lists of pixels that are laid over others quickly. */

import { PATHS } from "../families.js";

const FILLED = 0.37; // of a sprite's width, that a shape's unit takes
const LINE = 0.5; // of a shape's unit, for shapes that are outlines
const RIM = 0.3; // of a shape's unit, around real instruments

/**
 * @typedef {Object} Sprite
 * @property {number} width device pixels
 * @property {Int16Array} dx from the middle
 * @property {Int16Array} dy
 * @property {Uint8Array} rgb (3 · pixels)
 * @property {Uint16Array} opacity 0..256
 */

/**
 * @param {number} shape place among the families, the mixture's last
 * @param {number} width device pixels
 * @param {string} colour
 * @param {string | null} rim colour of a rim
 * @param {number} opacity 0..1
 * @returns {Sprite}
 */
export function sprite(shape, width, colour, rim, opacity) {
  const canvas = new OffscreenCanvas(width, width);
  const pen = /** @type {OffscreenCanvasRenderingContext2D} */ (
    canvas.getContext("2d", { willReadFrequently: true })
  );
  pen.translate(width / 2, width / 2);
  pen.scale(FILLED * width, FILLED * width);
  const { d, stroke } = PATHS[shape];
  const path = new Path2D(d);
  if (rim) {
    pen.strokeStyle = rim;
    pen.lineWidth = stroke ? LINE + RIM : 2 * RIM;
    pen.stroke(path);
  }
  pen.fillStyle = pen.strokeStyle = colour;
  pen.lineWidth = LINE;
  if (stroke) pen.stroke(path);
  else pen.fill(path);
  const { data } = pen.getImageData(0, 0, width, width);
  const pixels = [...Array(width * width).keys()].filter((pixel) => data[4 * pixel + 3] > 0);
  const middle = width >> 1;
  return {
    width,
    dx: Int16Array.from(pixels, (pixel) => (pixel % width) - middle),
    dy: Int16Array.from(pixels, (pixel) => Math.floor(pixel / width) - middle),
    rgb: Uint8Array.from(pixels.flatMap((pixel) => [...data.slice(4 * pixel, 4 * pixel + 3)])),
    opacity: Uint16Array.from(pixels, (pixel) => Math.round((data[4 * pixel + 3] / 255) * opacity * 256)),
  };
}

/**
 * Lay a sprite over pixels that are opaque.
 *
 * @param {Uint32Array} pixels (width · height) as ImageData has them
 * @param {number} width
 * @param {number} height
 * @param {Sprite} sprite
 * @param {number} x where its middle goes
 * @param {number} y
 */
export function lay(pixels, width, height, { dx, dy, rgb, opacity }, x, y) {
  for (let i = 0; i < dx.length; i++) {
    const [px, py] = [x + dx[i], y + dy[i]];
    if (px < 0 || py < 0 || px >= width || py >= height) continue;
    const at = py * width + px;
    const under = pixels[at];
    const [over, rest] = [opacity[i], 256 - opacity[i]];
    const red = (rgb[3 * i] * over + (under & 255) * rest) >> 8;
    const green = (rgb[3 * i + 1] * over + ((under >> 8) & 255) * rest) >> 8;
    const blue = (rgb[3 * i + 2] * over + ((under >> 16) & 255) * rest) >> 8;
    pixels[at] = 0xff000000 | (blue << 16) | (green << 8) | red;
  }
}

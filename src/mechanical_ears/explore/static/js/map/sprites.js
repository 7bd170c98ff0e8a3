/** Sprites: the families' shapes as lists of pixels, which are blended quickly. */

import { SHAPES } from "../families.js";

const UNIT = 0.37; // of a sprite's width: the unit of a shape
const LINE_WIDTH = 0.5; // units, of shapes that are outlines
const RIM_WIDTH = 0.3; // units, around real instruments

/**
 * @typedef {Object} Sprite
 * @property {number} width device pixels
 * @property {Int16Array} dx from the centre, of each pixel
 * @property {Int16Array} dy
 * @property {Uint8Array} rgb (3 · pixels)
 * @property {Uint16Array} opacity 0..256
 */

/**
 * @param {number} shape number of the family; the last one is a mixture's
 * @param {number} width device pixels
 * @param {string} colour
 * @param {string | null} rim colour of a rim
 * @param {number} opacity 0..1
 * @returns {Sprite}
 */
export function createSprite(shape, width, colour, rim, opacity) {
  const canvas = new OffscreenCanvas(width, width);
  const ctx = /** @type {OffscreenCanvasRenderingContext2D} */ (
    canvas.getContext("2d", { willReadFrequently: true })
  );
  ctx.translate(width / 2, width / 2);
  ctx.scale(UNIT * width, UNIT * width);
  const { d, stroke } = SHAPES[shape];
  const path = new Path2D(d);
  if (rim) {
    ctx.strokeStyle = rim;
    ctx.lineWidth = stroke ? LINE_WIDTH + RIM_WIDTH : 2 * RIM_WIDTH;
    ctx.stroke(path);
  }
  ctx.fillStyle = ctx.strokeStyle = colour;
  ctx.lineWidth = LINE_WIDTH;
  if (stroke) ctx.stroke(path);
  else ctx.fill(path);
  const { data } = ctx.getImageData(0, 0, width, width);
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
 * Blend a sprite into opaque pixels.
 *
 * @param {Uint32Array} pixels (width · height), as in ImageData
 * @param {number} width
 * @param {number} height
 * @param {Sprite} sprite
 * @param {number} x of its centre
 * @param {number} y
 */
export function blendSprite(pixels, width, height, { dx, dy, rgb, opacity }, x, y) {
  for (let i = 0; i < dx.length; i++) {
    const [px, py] = [x + dx[i], y + dy[i]];
    if (px < 0 || py < 0 || px >= width || py >= height) continue;
    const index = py * width + px;
    const below = pixels[index];
    const [alpha, rest] = [opacity[i], 256 - opacity[i]];
    const red = (rgb[3 * i] * alpha + (below & 255) * rest) >> 8;
    const green = (rgb[3 * i + 1] * alpha + ((below >> 8) & 255) * rest) >> 8;
    const blue = (rgb[3 * i + 2] * alpha + ((below >> 16) & 255) * rest) >> 8;
    pixels[index] = 0xff000000 | (blue << 16) | (green << 8) | red;
  }
}

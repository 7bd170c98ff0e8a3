/**
 * The layer of points: up to ten thousand shapes in the families' colours. Their pixels are blended
 * in JavaScript: without a graphics card a frame of 1440 × 900 took 20 ms this way, 94 ms with WebGL
 * and 80 ms with `drawImage` (2 busy cores); with a graphics card it is fast enough.
 */

import { blendSprite, createSprite } from "./sprites.js";

const NORMAL = 2; // a state: see `setStates`
const OPACITIES = [0, 0.15, 0.9, 1]; // by state
const SCALES = [1, 1, 1, 1.5]; // by state
const MIN_RIM_SIZE = 8; // px of a point, from which real instruments have a rim

/** @typedef {[number, number, number]} Colour 0..255 */

export class PointLayer {
  /** @type {Colour[]} */
  #colours = [];
  /** @type {Colour} */
  #rim = [0, 0, 0];
  #background = 0; // a pixel as in ImageData
  /** @type {import("../types.js").Space | null} */
  #space = null;
  /** @type {Uint8Array} */
  #states = new Uint8Array();
  /** @type {Map<number, import("./sprites.js").Sprite>} by family, kind and state */
  #sprites = new Map();
  #spriteSize = 0; // device pixels
  #image = new ImageData(1, 1);
  #pixels = new Uint32Array(this.#image.data.buffer);

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
  }

  /** @param {import("../types.js").Space} space */
  setSpace(space) {
    this.#space = space;
    this.#states = new Uint8Array(space.id.length).fill(NORMAL);
  }

  /** @param {Uint8Array} states 0 hidden, 1 dimmed, 2 normal, 3 highlighted */
  setStates(states) {
    this.#states = states;
  }

  /**
   * @param {Colour[]} colours of the families, of mixtures last
   * @param {Colour} rim around real instruments
   * @param {Colour} background
   */
  setColours(colours, rim, background) {
    this.#colours = colours;
    this.#rim = rim;
    this.#background = 0xff000000 | (background[2] << 16) | (background[1] << 8) | background[0];
    this.#sprites.clear();
  }

  /**
   * @param {number} family
   * @param {number} kind 0 imagined, 1 real
   * @param {number} state
   */
  #sprite(family, kind, state) {
    const key = (family * 2 + kind) * 4 + state;
    let sprite = this.#sprites.get(key);
    if (!sprite) {
      const css = (/** @type {Colour} */ colour) => `rgb(${colour.join(" ")})`;
      const width = Math.ceil(this.#spriteSize * SCALES[state]) + 2;
      const rim = kind && this.#spriteSize >= MIN_RIM_SIZE ? css(this.#rim) : null;
      sprite = createSprite(family, width, css(this.#colours[family]), rim, OPACITIES[state]);
      this.#sprites.set(key, sprite);
    }
    return sprite;
  }

  /** @param {number} width device pixels @param {number} height device pixels */
  #resize(width, height) {
    const { canvas } = this;
    if (canvas.width === width && canvas.height === height && this.#image.width === width) return;
    canvas.width = width;
    canvas.height = height;
    this.#image = new ImageData(width, height);
    this.#pixels = new Uint32Array(this.#image.data.buffer);
  }

  /**
   * @param {import("./view.js").View} view
   * @param {number} size px of a point
   * @param {number} ratio device pixels per px
   */
  draw(view, size, ratio) {
    const [width, height] = [Math.round(view.width * ratio), Math.round(view.height * ratio)];
    this.#resize(width, height);
    this.#pixels.fill(this.#background);
    const space = this.#space;
    if (!space) return;
    const spriteSize = Math.round(size * ratio);
    if (spriteSize !== this.#spriteSize) {
      this.#spriteSize = spriteSize;
      this.#sprites.clear();
    }
    const [maxX, maxY] = [width + spriteSize, height + spriteSize];
    const last = this.#colours.length - 1;
    const { scale, middle } = view;
    const [kx, ky] = [scale.x * ratio, scale.y * ratio];
    const [ox, oy] = [middle.x * ratio - view.x * kx, middle.y * ratio + view.y * ky];
    const { x, y, family, kind } = space;
    for (let i = 0; i < x.length; i++) {
      const state = this.#states[i];
      if (!state) continue;
      const [px, py] = [Math.round(ox + x[i] * kx), Math.round(oy - y[i] * ky)];
      if (px < -spriteSize || py < -spriteSize || px > maxX || py > maxY) continue;
      const sprite = this.#sprite(family[i] < 0 ? last : family[i], kind[i] ? 1 : 0, state);
      blendSprite(this.#pixels, width, height, sprite, px, py);
    }
    this.ctx.putImageData(this.#image, 0, 0);
  }
}

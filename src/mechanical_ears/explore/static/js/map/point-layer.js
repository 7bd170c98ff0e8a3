/**
 * The points: ten thousand shapes in the families' colours. They are laid into the pixels by
 * ourselves: without a graphics card a frame of 1440 × 900 then took 20 ms where WebGL took 94 and
 * `drawImage` 80 (2 busy cores), and with a card it is fast enough.
 */

import { lay, sprite } from "./sprites.js";

const PLAIN = 2; // a state: see `setStates`
const OPACITIES = [0, 0.15, 0.9, 1]; // by state
const ENLARGED = [1, 1, 1, 1.5];
const RIMMED_FROM = 8; // px

/** @typedef {[number, number, number]} Colour 0..255 */

export class Points {
  /** @type {Colour[]} */
  #colours = [];
  /** @type {Colour} */
  #ink = [0, 0, 0];
  #ground = 0; // as ImageData has it
  /** @type {import("../types.js").Space | null} */
  #space = null;
  /** @type {Uint8Array} */
  #states = new Uint8Array();
  /** @type {Map<number, import("./sprites.js").Sprite>} by family, kind and state */
  #sprites = new Map();
  #drawn = 0; // device pixels, the size that the sprites have
  #image = new ImageData(1, 1);
  #pixels = new Uint32Array(this.#image.data.buffer);

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
  }

  /** @param {import("../types.js").Space} space */
  setSpace(space) {
    this.#space = space;
    this.#states = new Uint8Array(space.id.length).fill(PLAIN);
  }

  /** @param {Uint8Array} states 0 hidden, 1 dim, 2 plain, 3 lit */
  setStates(states) {
    this.#states = states;
  }

  /**
   * @param {Colour[]} colours of the families, the mixture's last
   * @param {Colour} ink of the rim that real instruments have
   * @param {Colour} ground
   */
  setColours(colours, ink, ground) {
    this.#colours = colours;
    this.#ink = ink;
    this.#ground = 0xff000000 | (ground[2] << 16) | (ground[1] << 8) | ground[0];
    this.#sprites.clear();
  }

  /**
   * @param {number} family
   * @param {number} kind 0 imagined, 1 real
   * @param {number} state
   */
  #sprite(family, kind, state) {
    const key = (family * 2 + kind) * 4 + state;
    let made = this.#sprites.get(key);
    if (!made) {
      const paint = (/** @type {Colour} */ colour) => `rgb(${colour.join(" ")})`;
      const width = Math.ceil(this.#drawn * ENLARGED[state]) + 2;
      const rim = kind && this.#drawn >= RIMMED_FROM ? paint(this.#ink) : null;
      made = sprite(family, width, paint(this.#colours[family]), rim, OPACITIES[state]);
      this.#sprites.set(key, made);
    }
    return made;
  }

  /** @param {number} width device pixels @param {number} height device pixels */
  #fit(width, height) {
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
   * @param {number} ratio device pixels a px
   */
  draw(view, size, ratio) {
    const [width, height] = [Math.round(view.width * ratio), Math.round(view.height * ratio)];
    this.#fit(width, height);
    this.#pixels.fill(this.#ground);
    const space = this.#space;
    if (!space) return;
    const wanted = Math.round(size * ratio);
    if (wanted !== this.#drawn) {
      this.#drawn = wanted;
      this.#sprites.clear();
    }
    const last = this.#colours.length - 1;
    const { scale, middle } = view;
    const [kx, ky] = [scale.x * ratio, scale.y * ratio];
    const [ox, oy] = [middle.x * ratio - view.x * kx, middle.y * ratio + view.y * ky];
    const { x, y, family, kind } = space;
    for (let i = 0; i < x.length; i++) {
      const state = this.#states[i];
      if (!state) continue;
      const [px, py] = [Math.round(ox + x[i] * kx), Math.round(oy - y[i] * ky)];
      if (px < -wanted || py < -wanted || px > width + wanted || py > height + wanted) continue;
      const made = this.#sprite(family[i] < 0 ? last : family[i], kind[i] ? 1 : 0, state);
      lay(this.#pixels, width, height, made, px, py);
    }
    this.pen.putImageData(this.#image, 0, 0);
  }
}

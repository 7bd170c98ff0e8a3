/** The points where there is no WebGL: the same, by Canvas 2D and without shapes. */

const OPACITIES = [0, 0.16, 0.9, 1]; // hidden, dim, plain, lit

export class PlainPoints {
  /** @type {(() => void) | null} */
  redo = null;
  /** @type {string[]} */
  #colours = [];
  /** @type {import("../types.js").Space | null} */
  #space = null;
  /** @type {Uint8Array} */
  #states = new Uint8Array();

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  }

  /** @param {import("../types.js").Space} space */
  setSpace(space) {
    this.#space = space;
    this.#states = new Uint8Array(space.id.length).fill(2);
  }

  /** @param {Uint8Array} states 0 hidden, 1 dim, 2 plain, 3 lit */
  setStates(states) {
    this.#states = states;
  }

  /** @param {[number, number, number][]} colours of the families, the mixture's last */
  setColours(colours) {
    this.#colours = colours.map((colour) => `rgb(${colour.join(" ")})`);
  }

  /**
   * @param {import("./view.js").View} view
   * @param {number} size px of a point
   * @param {number} ratio device pixels a px
   */
  draw(view, size, ratio) {
    const { canvas, context } = this;
    canvas.width = Math.round(view.width * ratio);
    canvas.height = Math.round(view.height * ratio);
    const space = this.#space;
    if (!space) return;
    const last = this.#colours.length - 1;
    for (let i = 0; i < space.id.length; i++) {
      const [px, py] = view.toScreen(space.x[i], space.y[i]);
      if (!this.#states[i] || !view.sees(px, py, size)) continue;
      context.globalAlpha = OPACITIES[this.#states[i]];
      context.fillStyle = this.#colours[space.family[i] < 0 ? last : space.family[i]];
      context.fillRect((px - size / 2) * ratio, (py - size / 2) * ratio, size * ratio, size * ratio);
    }
  }
}

/**
 * The pad: four instruments in its corners, and one between them under the knob.
 *
 *     weights of the corners: (1 − x)(1 − y), x (1 − y), (1 − x) y, x y
 */

import { colour, familyToken, swatch } from "../families.js";

const STEPS = 20; // places along each side; those between are the same to the server
const CORNERS = ["top left", "top right", "bottom left", "bottom right"];
const ARROWS = /** @type {Record<string, [number, number]>} */ ({
  ArrowRight: [1, 0],
  ArrowLeft: [-1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
});
const INSET = { x: 26, y: 46 }; // px from the pad's edges to where the knob may go: names stay free

/** @typedef {{id: string, name: string, family: string | null}} Corner */

/**
 * @param {number} x 0..1
 * @param {number} y 0..1, downwards
 * @returns {[number, number, number, number]}
 */
export function weights(x, y) {
  return [(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y];
}

export class Pad {
  /** @type {Corner[]} */
  #corners = [];
  #x = 0; // steps
  #y = 0;

  /**
   * @param {HTMLElement} element
   * @param {import("../session.js").Session} session
   * @param {string[]} families
   * @param {() => Corner[]} others three instruments to begin with
   */
  constructor(element, session, families, others) {
    this.session = session;
    this.families = families;
    this.others = others;
    this.pad = document.createElement("div");
    this.pad.className = "pad";
    this.pad.setAttribute("role", "group");
    this.pad.setAttribute("aria-label", "Between four instruments");
    this.canvas = document.createElement("canvas");
    this.canvas.ariaHidden = "true";
    this.knob = document.createElement("div");
    this.knob.className = "knob";
    this.knob.tabIndex = 0;
    this.knob.setAttribute("role", "slider");
    this.knob.setAttribute("aria-roledescription", "two-way slider");
    this.knob.setAttribute("aria-label", "Place between four instruments");
    this.buttons = CORNERS.map((_, corner) => this.#cornerButton(corner));
    this.pad.append(this.canvas, ...this.buttons, this.knob);
    const foot = document.createElement("div");
    foot.className = "pad-foot";
    const hint = document.createElement("p");
    hint.className = "quiet";
    hint.textContent = "Press a corner to put the instrument in hand there.";
    this.shuffle = document.createElement("button");
    this.shuffle.className = "button";
    this.shuffle.textContent = "New corners";
    this.shuffle.addEventListener("click", () => this.fill());
    foot.append(hint, this.shuffle);
    element.append(this.pad, foot);
    this.#pointer();
    this.knob.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.#show()).observe(this.pad);
    session.addEventListener("change", () => this.#follow());
  }

  /** @param {number} corner */
  #cornerButton(corner) {
    const button = document.createElement("button");
    button.className = "corner";
    button.dataset.corner = String(corner);
    button.addEventListener("click", () => {
      const { instrument } = this.session;
      if (instrument) this.put(corner, instrument);
    });
    return button;
  }

  /** The instrument in hand in the first corner, others in the other three. */
  fill() {
    const { instrument } = this.session;
    if (!instrument) return;
    this.#corners = [instrument, ...this.others()].slice(0, 4);
    [this.#x, this.#y] = [0, 0];
    this.#name();
  }

  /** @param {number} corner 0..3 @param {Corner} instrument */
  put(corner, instrument) {
    this.#corners[corner] = instrument;
    [this.#x, this.#y] = [(corner % 2) * STEPS, Math.floor(corner / 2) * STEPS];
    this.#name();
  }

  #name() {
    for (const [corner, button] of this.buttons.entries()) {
      const instrument = this.#corners[corner];
      if (!instrument) continue;
      const words = document.createElement("span");
      words.textContent = instrument.name;
      button.replaceChildren(swatch(instrument.family, this.families), words);
      button.title = `${instrument.name}. Click: the instrument in hand instead`;
      button.setAttribute(
        "aria-label",
        `Put the instrument in hand into the ${CORNERS[corner]} corner, instead of ${instrument.name}`,
      );
    }
    this.#show();
  }

  /** @param {number} x steps @param {number} y steps */
  #go(x, y) {
    const bound = (/** @type {number} */ value) => Math.min(Math.max(Math.round(value), 0), STEPS);
    const [nx, ny] = [bound(x), bound(y)];
    if (this.#corners.length < 4 || (nx === this.#x && ny === this.#y)) return;
    [this.#x, this.#y] = [nx, ny];
    this.#show();
    const shares = weights(nx / STEPS, ny / STEPS);
    const blend = this.#corners.map(({ id }, corner) => ({ id, weight: shares[corner] }));
    const tool = { pad: { corners: [...this.#corners], x: nx, y: ny } };
    this.session.blend(joined(blend), tool, "pad");
  }

  #follow() {
    const told = this.session.step?.tool?.pad;
    if (told && !this.knob.matches(":active")) {
      this.#corners = told.corners;
      [this.#x, this.#y] = [told.x, told.y];
      this.#name();
    } else if (!this.#corners.length) this.fill();
  }

  /** Knob, words and ground. */
  #show() {
    const [x, y] = [this.#x / STEPS, this.#y / STEPS];
    const { clientWidth: width, clientHeight: height } = this.pad;
    this.knob.style.left = `${INSET.x + x * (width - 2 * INSET.x)}px`;
    this.knob.style.top = `${INSET.y + y * (height - 2 * INSET.y)}px`;
    const shares = weights(x, y);
    const words = this.#corners
      .map(({ name }, corner) => ({ name, share: Math.round(100 * shares[corner]) }))
      .filter(({ share }) => share > 0)
      .sort((a, b) => b.share - a.share)
      .map(({ name, share }) => `${share} % ${name}`);
    this.knob.setAttribute("aria-valuemin", "0");
    this.knob.setAttribute("aria-valuemax", "100");
    this.knob.setAttribute("aria-valuenow", String(Math.round(100 * x)));
    this.knob.setAttribute("aria-valuetext", words.join(", ") || "no instruments yet");
    this.paint();
  }

  /** The corners' colours, mixed. */
  paint() {
    const { canvas } = this;
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const size = (canvas.width = canvas.height = 24);
    if (this.#corners.length < 4) return;
    const paints = this.#corners.map(({ family }) => colour(familyToken(family)));
    const image = pen.createImageData(size, size);
    for (let row = 0; row < size; row++)
      for (let column = 0; column < size; column++) {
        const shares = weights(column / (size - 1), row / (size - 1));
        const at = 4 * (row * size + column);
        for (let band = 0; band < 3; band++)
          image.data[at + band] = shares.reduce((sum, s, corner) => sum + s * paints[corner][band], 0);
        image.data[at + 3] = 70;
      }
    pen.putImageData(image, 0, 0);
  }

  #pointer() {
    const { pad } = this;
    let down = false;
    const go = (/** @type {PointerEvent} */ event) => {
      const box = pad.getBoundingClientRect();
      const x = (event.clientX - box.left - INSET.x) / (box.width - 2 * INSET.x);
      const y = (event.clientY - box.top - INSET.y) / (box.height - 2 * INSET.y);
      this.#go(x * STEPS, y * STEPS);
    };
    pad.addEventListener("pointerdown", (event) => {
      if (event.button > 0 || /** @type {Element} */ (event.target).closest(".corner")) return;
      down = true;
      this.knob.focus({ preventScroll: true });
      try {
        pad.setPointerCapture(event.pointerId);
      } catch {
        // the pointer is up already
      }
      event.preventDefault();
      go(event);
    });
    pad.addEventListener("pointermove", (event) => down && go(event));
    for (const type of ["pointerup", "pointercancel"])
      pad.addEventListener(type, () => (down = false));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const arrow = ARROWS[event.key];
    if (!arrow || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const far = event.shiftKey ? 5 : 1;
    this.#go(this.#x + arrow[0] * far, this.#y + arrow[1] * far);
  }
}

/** One instrument in two corners is one. @param {import("../session.js").Blend} blend */
function joined(blend) {
  /** @type {Map<string, number>} */
  const sums = new Map();
  for (const { id, weight } of blend) sums.set(id, (sums.get(id) ?? 0) + weight);
  return [...sums].map(([id, weight]) => ({ id, weight }));
}

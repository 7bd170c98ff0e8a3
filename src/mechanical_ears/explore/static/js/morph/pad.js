/**
 * The pad: a blend of four instruments in its corners, by the position of a knob.
 *
 *     weights of the corners: (1 − x)(1 − y), x (1 − y), (1 − x) y, x y
 */

import { colour, familyVariable, swatch } from "../families.js";

const STEPS = 20; // positions along each side
const LARGE_STEP = 5; // steps of an arrow key with Shift
const CORNERS = ["top left", "top right", "bottom left", "bottom right"];
const ARROWS = /** @type {Record<string, [number, number]>} */ ({
  ArrowRight: [1, 0],
  ArrowLeft: [-1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
});
const INSET = { x: 26, y: 46 }; // px from the pad's edges to the knob's range, so that names stay free

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
   * @param {() => Corner[]} chooseOthers returns three instruments to start with
   */
  constructor(element, session, families, chooseOthers) {
    this.session = session;
    this.families = families;
    this.chooseOthers = chooseOthers;
    this.pad = document.createElement("div");
    this.pad.className = "pad";
    this.pad.setAttribute("role", "group");
    this.pad.setAttribute("aria-label", "Blend of four instruments");
    this.canvas = document.createElement("canvas");
    this.canvas.ariaHidden = "true";
    this.knob = document.createElement("div");
    this.knob.className = "knob";
    this.knob.tabIndex = 0;
    this.knob.setAttribute("role", "slider");
    this.knob.setAttribute("aria-roledescription", "two-way slider");
    this.knob.setAttribute("aria-label", "Position between four instruments");
    this.buttons = CORNERS.map((_, corner) => this.#cornerButton(corner));
    this.pad.append(this.canvas, ...this.buttons, this.knob);
    const footer = document.createElement("div");
    footer.className = "pad-footer";
    const hint = document.createElement("p");
    hint.className = "muted";
    hint.textContent = "Click a corner to replace it.";
    this.shuffle = document.createElement("button");
    this.shuffle.className = "button";
    this.shuffle.textContent = "New corners";
    this.shuffle.addEventListener("click", () => this.fill());
    footer.append(hint, this.shuffle);
    element.append(this.pad, footer);
    this.#listenToPointer();
    this.knob.addEventListener("keydown", (event) => this.#onKey(event));
    new ResizeObserver(() => this.#showKnob()).observe(this.pad);
    session.addEventListener("change", () => this.#showStep());
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

  /** Put the selected instrument into the first corner and others into the other three. */
  fill() {
    const { instrument } = this.session;
    if (!instrument) return;
    this.#corners = [instrument, ...this.chooseOthers()].slice(0, 4);
    [this.#x, this.#y] = [0, 0];
    this.#showCorners();
  }

  /** @param {number} corner 0..3 @param {Corner} instrument */
  put(corner, instrument) {
    this.#corners[corner] = instrument;
    [this.#x, this.#y] = [(corner % 2) * STEPS, Math.floor(corner / 2) * STEPS];
    this.#showCorners();
  }

  #showCorners() {
    for (const [corner, button] of this.buttons.entries()) {
      const instrument = this.#corners[corner];
      if (!instrument) continue;
      const name = document.createElement("span");
      name.textContent = instrument.name;
      button.replaceChildren(swatch(instrument.family, this.families), name);
      button.title = `${instrument.name}. Click to replace it by the selected instrument`;
      button.setAttribute(
        "aria-label",
        `${CORNERS[corner]} corner: ${instrument.name}. Replace it by the selected instrument`,
      );
    }
    this.#showKnob();
  }

  /** @param {number} x steps @param {number} y steps */
  #moveTo(x, y) {
    const clamp = (/** @type {number} */ value) => Math.min(Math.max(Math.round(value), 0), STEPS);
    const [newX, newY] = [clamp(x), clamp(y)];
    if (this.#corners.length < 4 || (newX === this.#x && newY === this.#y)) return;
    [this.#x, this.#y] = [newX, newY];
    this.#showKnob();
    const cornerWeights = weights(newX / STEPS, newY / STEPS);
    const blend = this.#corners.map(({ id }, corner) => ({ id, weight: cornerWeights[corner] }));
    const tool = { pad: { corners: [...this.#corners], x: newX, y: newY } };
    this.session.blend(mergeDuplicates(blend), tool, "pad");
  }

  /** Show the blend of the session's current step. */
  #showStep() {
    const pad = this.session.step?.tool?.pad;
    if (pad && !this.knob.matches(":active")) {
      this.#corners = pad.corners;
      [this.#x, this.#y] = [pad.x, pad.y];
      this.#showCorners();
    } else if (!this.#corners.length) this.fill();
  }

  #showKnob() {
    const [x, y] = [this.#x / STEPS, this.#y / STEPS];
    const { clientWidth: width, clientHeight: height } = this.pad;
    this.knob.style.left = `${INSET.x + x * (width - 2 * INSET.x)}px`;
    this.knob.style.top = `${INSET.y + y * (height - 2 * INSET.y)}px`;
    const cornerWeights = weights(x, y);
    const parts = this.#corners
      .map(({ name }, corner) => ({ name, percent: Math.round(100 * cornerWeights[corner]) }))
      .filter(({ percent }) => percent > 0)
      .sort((a, b) => b.percent - a.percent)
      .map(({ name, percent }) => `${percent} % ${name}`);
    this.knob.setAttribute("aria-valuemin", "0");
    this.knob.setAttribute("aria-valuemax", "100");
    this.knob.setAttribute("aria-valuenow", String(Math.round(100 * x)));
    this.knob.setAttribute("aria-valuetext", parts.join(", ") || "no instruments yet");
    this.paint();
  }

  /** Paint the background: the corners' colours, mixed by their weights. */
  paint() {
    const { canvas } = this;
    const ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const size = (canvas.width = canvas.height = 24);
    if (this.#corners.length < 4) return;
    const colours = this.#corners.map(({ family }) => colour(familyVariable(family)));
    const image = ctx.createImageData(size, size);
    for (let row = 0; row < size; row++)
      for (let column = 0; column < size; column++) {
        const cornerWeights = weights(column / (size - 1), row / (size - 1));
        const index = 4 * (row * size + column);
        for (let channel = 0; channel < 3; channel++)
          image.data[index + channel] = cornerWeights.reduce(
            (sum, weight, corner) => sum + weight * colours[corner][channel],
            0,
          );
        image.data[index + 3] = 70;
      }
    ctx.putImageData(image, 0, 0);
  }

  #listenToPointer() {
    const { pad } = this;
    let down = false;
    const follow = (/** @type {PointerEvent} */ event) => {
      const box = pad.getBoundingClientRect();
      const x = (event.clientX - box.left - INSET.x) / (box.width - 2 * INSET.x);
      const y = (event.clientY - box.top - INSET.y) / (box.height - 2 * INSET.y);
      this.#moveTo(x * STEPS, y * STEPS);
    };
    pad.addEventListener("pointerdown", (event) => {
      if (event.button > 0 || /** @type {Element} */ (event.target).closest(".corner")) return;
      down = true;
      this.knob.focus({ preventScroll: true });
      try {
        pad.setPointerCapture(event.pointerId);
      } catch {
        // the pointer is already up
      }
      event.preventDefault();
      follow(event);
    });
    pad.addEventListener("pointermove", (event) => down && follow(event));
    for (const type of ["pointerup", "pointercancel"])
      pad.addEventListener(type, () => (down = false));
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const arrow = ARROWS[event.key];
    if (!arrow || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const step = event.shiftKey ? LARGE_STEP : 1;
    this.#moveTo(this.#x + arrow[0] * step, this.#y + arrow[1] * step);
  }
}

/** Add the weights of an instrument that is in several corners. @param {import("../session.js").Blend} blend */
function mergeDuplicates(blend) {
  /** @type {Map<string, number>} */
  const sums = new Map();
  for (const { id, weight } of blend) sums.set(id, (sums.get(id) ?? 0) + weight);
  return [...sums].map(([id, weight]) => ({ id, weight }));
}

/** A morph between two instruments: a line on the map, and a slider for the position on it. */

const STEPS = 20; // positions on the line

/**
 * @typedef {Object} EndPoint
 * @property {string} id
 * @property {string} name
 * @property {string | null} family
 * @property {number} x
 * @property {number} y
 */

export class MorphLine {
  /** @type {{from: EndPoint, to: EndPoint} | null} */
  #ends = null;

  /**
   * @param {HTMLElement} element
   * @param {import("../session.js").Session} session
   * @param {import("../map/map.js").SoundMap} map
   */
  constructor(element, session, map) {
    this.element = element;
    this.session = session;
    this.map = map;
    this.slider = /** @type {HTMLInputElement} */ (element.querySelector("input"));
    this.slider.addEventListener("input", () => this.#morph(Number(this.slider.value) / 100));
    element.querySelector("button")?.addEventListener("click", () => this.close());
    map.addEventListener("amount", (event) => {
      const amount = Math.round(/** @type {CustomEvent} */ (event).detail * STEPS) / STEPS;
      if (amount !== Number(this.slider.value) / 100) this.#morph(amount);
    });
    session.addEventListener("change", () => this.#showStep());
  }

  /** @param {EndPoint} from @param {EndPoint} to */
  start(from, to) {
    this.#ends = { from, to };
    this.#morph(0.5, `morph ${from.id} ${to.id}`);
  }

  /** @param {number} amount 0..1 @param {string} [gesture] */
  #morph(amount, gesture = "morph") {
    if (!this.#ends) return;
    const { from, to } = this.#ends;
    this.#show(from, to, amount);
    const blend = [
      { id: from.id, weight: 1 - amount },
      { id: to.id, weight: amount },
    ];
    this.session.blend(blend, { morph: { from, to, amount } }, gesture);
  }

  /** End the morph; the instrument stays selected. */
  close() {
    this.#ends = null;
    this.element.hidden = true;
    this.map.setMorph(null);
  }

  /** Show the morph of the session's current step. */
  #showStep() {
    const morph = this.session.step?.tool?.morph;
    if (!morph) return this.close();
    this.#ends = { from: morph.from, to: morph.to };
    if (!this.slider.matches(":active")) this.#show(morph.from, morph.to, morph.amount);
  }

  /** @param {EndPoint} from @param {EndPoint} to @param {number} amount */
  #show(from, to, amount) {
    this.element.hidden = false;
    const [first, second] = this.element.querySelectorAll(".morph-end");
    first.textContent = from.name;
    second.textContent = to.name;
    const percent = Math.round(100 * amount);
    this.slider.value = String(percent);
    this.slider.setAttribute("aria-valuetext", `${100 - percent} % ${from.name}, ${percent} % ${to.name}`);
    this.map.setMorph({ from, to, amount });
  }
}

/** A morph between two instruments: a thread on the map, with a slider for the way along it. */

const STEPS = 20; // places along it

/**
 * @typedef {Object} End
 * @property {string} id
 * @property {string} name
 * @property {string | null} family
 * @property {number} x
 * @property {number} y
 */

export class Thread {
  /** @type {{from: End, to: End} | null} */
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
    this.slider.addEventListener("input", () => this.go(Number(this.slider.value) / 100));
    element.querySelector("button")?.addEventListener("click", () => this.end());
    map.addEventListener("amount", (event) => {
      const amount = Math.round(/** @type {CustomEvent} */ (event).detail * STEPS) / STEPS;
      if (amount !== Number(this.slider.value) / 100) this.go(amount);
    });
    session.addEventListener("change", () => this.#show());
  }

  /** @param {End} from @param {End} to */
  join(from, to) {
    this.#ends = { from, to };
    this.go(0.5, null);
  }

  /** @param {number} amount 0..1 @param {string | null} gesture */
  go(amount, gesture = "thread") {
    if (!this.#ends) return;
    const { from, to } = this.#ends;
    this.#draw(from, to, amount);
    const blend = [
      { id: from.id, weight: 1 - amount },
      { id: to.id, weight: amount },
    ];
    const tool = { thread: { from, to, amount } };
    this.session.blend(blend, tool, gesture ?? `join ${from.id} ${to.id}`);
  }

  /** Leave it: the instrument stays. */
  end() {
    this.#ends = null;
    this.element.hidden = true;
    this.map.setThread(null);
  }

  #show() {
    const told = this.session.step?.tool?.thread;
    if (!told) return this.end();
    this.#ends = { from: told.from, to: told.to };
    if (!this.slider.matches(":active")) this.#draw(told.from, told.to, told.amount);
  }

  /** @param {End} from @param {End} to @param {number} amount */
  #draw(from, to, amount) {
    this.element.hidden = false;
    const [first, second] = this.element.querySelectorAll(".end");
    first.textContent = from.name;
    second.textContent = to.name;
    this.slider.value = String(Math.round(100 * amount));
    const share = Math.round(100 * amount);
    this.slider.setAttribute("aria-valuetext", `${100 - share} % ${from.name}, ${share} % ${to.name}`);
    this.map.setThread({ from, to, amount });
  }
}

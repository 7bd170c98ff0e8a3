/** The piano on the page: fingers and mouse, glissando, and single keys for the keyboard. */

import { Keys, isBlack, pitchName } from "./key-geometry.js";

const NARROWEST = { fine: 20, coarse: 36 }; // px of a white key
const BRIEF = 600; // ms that a key sounds which was pressed by Enter or a screen reader

/** Events: `moved` when other keys are in view. */
export class Piano extends EventTarget {
  /** @type {Map<number, HTMLButtonElement>} */
  #buttons = new Map();
  #white = 24; // px
  #first = 0; // white keys left of what is seen
  #coarse = matchMedia("(pointer: coarse)");

  /**
   * @param {HTMLElement} element
   * @param {import("./player.js").Player} player
   * @param {{lowest: number, highest: number}} about
   */
  constructor(element, player, { lowest, highest }) {
    super();
    this.element = element;
    this.player = player;
    this.keys = new Keys(lowest, highest);
    for (let pitch = lowest; pitch <= highest; pitch++) this.#add(pitch);
    this.#focusable(60);
    player.addEventListener("press", (event) => this.#show(event, true));
    player.addEventListener("release", (event) => this.#show(event, false));
    this.#fingers();
    element.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.#resize()).observe(element);
    this.#resize();
    this.reveal(60);
  }

  /** @param {number} pitch */
  #add(pitch) {
    const button = document.createElement("button");
    button.type = "button";
    button.tabIndex = -1;
    button.className = `key ${isBlack(pitch) ? "black" : "white"}`;
    button.dataset.pitch = String(pitch);
    button.setAttribute("aria-label", pitchName(pitch).replace("♯", " sharp "));
    button.style.setProperty("--at", String(this.keys.position(pitch)));
    const words = document.createElement("small");
    words.setAttribute("aria-hidden", "true");
    button.append(words);
    button.addEventListener("click", (event) => {
      if (event.detail === 0) this.#brief(pitch); // by Enter or a screen reader
    });
    this.#buttons.set(pitch, button);
    this.element.append(button);
  }

  /** @param {number} pitch */
  #brief(pitch) {
    const holder = `key ${pitch}`;
    this.player.press(holder, pitch, 84);
    setTimeout(() => this.player.release(holder), BRIEF);
  }

  /** @param {number} pitch */
  #focusable(pitch) {
    for (const [each, button] of this.#buttons) button.tabIndex = each === pitch ? 0 : -1;
  }

  /** @param {Event} event @param {boolean} down */
  #show(event, down) {
    const { pitch } = /** @type {CustomEvent} */ (event).detail;
    this.#buttons.get(pitch)?.classList.toggle("down", down);
  }

  /** px of a white key. */
  get white() {
    return this.#white;
  }

  /** px by which the keys are moved to the left. */
  get offset() {
    return this.#first * this.#white;
  }

  #resize() {
    const width = this.element.clientWidth;
    const least = this.#coarse.matches ? NARROWEST.coarse : NARROWEST.fine;
    this.#white = Math.max(width / this.keys.whites, least);
    this.#move(this.#first);
  }

  /** @param {number} first white keys left of what is seen */
  #move(first) {
    const seen = this.element.clientWidth / this.#white;
    this.#first = Math.min(Math.max(first, 0), Math.max(this.keys.whites - seen, 0));
    this.element.style.setProperty("--white", `${this.#white}px`);
    this.element.style.setProperty("--offset", `${-this.offset}px`);
    this.dispatchEvent(new Event("moved"));
  }

  /** @param {number} px to the right */
  scroll(px) {
    this.#move(this.#first + px / this.#white);
  }

  /** Bring the octave above a key into view. @param {number} pitch MIDI number */
  reveal(pitch) {
    const seen = this.element.clientWidth / this.#white;
    const place = this.keys.position(Math.min(Math.max(pitch, this.keys.lowest), this.keys.highest));
    const last = place + Math.min(8, seen);
    if (place < this.#first) this.#move(place);
    else if (last > this.#first + seen) this.#move(last - seen);
  }

  /** Words on the keys. @param {Map<number, string>} words by MIDI number */
  label(words) {
    for (const [pitch, button] of this.#buttons) {
      const text = /** @type {HTMLElement} */ (button.firstElementChild);
      const key = document.createElement("b");
      key.textContent = words.get(pitch) ?? "";
      text.replaceChildren(...(key.textContent ? [key] : []));
      if (pitch % 12 === 0) text.append(pitchName(pitch));
    }
  }

  #fingers() {
    const { element, player } = this;
    /** @type {Set<number>} */
    const down = new Set();
    const at = (/** @type {PointerEvent} */ event) => {
      const box = element.getBoundingClientRect();
      const x = (event.clientX - box.left + this.offset) / this.#white;
      return this.keys.at(x, (event.clientY - box.top) / box.height);
    };
    element.addEventListener("pointerdown", (event) => {
      if (event.button > 0) return;
      const key = at(event);
      if (!key) return;
      event.preventDefault();
      try {
        element.setPointerCapture(event.pointerId);
      } catch {
        // the pointer is up already
      }
      down.add(event.pointerId);
      this.#focusable(key.pitch);
      player.press(`finger ${event.pointerId}`, key.pitch, key.velocity);
    });
    element.addEventListener("pointermove", (event) => {
      if (!down.has(event.pointerId)) return;
      const holder = `finger ${event.pointerId}`;
      const key = at(event);
      if (!key) player.release(holder);
      else if (player.holds(holder) !== key.pitch) player.press(holder, key.pitch, key.velocity);
    });
    const up = (/** @type {PointerEvent} */ event) => {
      down.delete(event.pointerId);
      player.release(`finger ${event.pointerId}`);
    };
    element.addEventListener("pointerup", up);
    element.addEventListener("pointercancel", up);
    element.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const button = /** @type {HTMLElement} */ (event.target);
    const pitch = Number(button.dataset.pitch);
    const steps = /** @type {Record<string, number>} */ ({
      ...{ ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 12, PageDown: -12 },
      ...{ Home: -128, End: 128 },
    });
    if (!(event.key in steps) || Number.isNaN(pitch)) return;
    event.preventDefault();
    const { lowest, highest } = this.keys;
    const next = Math.min(Math.max(pitch + steps[event.key], lowest), highest);
    this.#focusable(next);
    this.reveal(next);
    this.#buttons.get(next)?.focus({ preventScroll: true });
  }
}

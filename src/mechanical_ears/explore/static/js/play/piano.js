/** The piano: played with fingers and mouse (also glissando), and key by key with the keyboard. */

import { Keys, isBlack, pitchName } from "./key-geometry.js";

const MIN_KEY_WIDTH = { fine: 20, coarse: 36 }; // px of a white key, by pointer
const BRIEF_NOTE_MS = 600; // ms that a note sounds when Enter or a screen reader presses its key
const BRIEF_NOTE_VELOCITY = 84;
const START_PITCH = 60; // MIDI number of the key that is in view and focusable at first

/** Events: `scroll-keys` when other keys come into view. */
export class Piano extends EventTarget {
  /** @type {Map<number, HTMLButtonElement>} */
  #buttons = new Map();
  #keyWidth = 24; // px of a white key
  #first = 0; // white keys to the left of the visible ones
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
    for (let pitch = lowest; pitch <= highest; pitch++) this.#addKey(pitch);
    this.#setFocusable(START_PITCH);
    player.addEventListener("press", (event) => this.#showKey(event, true));
    player.addEventListener("release", (event) => this.#showKey(event, false));
    this.#listenToPointers();
    element.addEventListener("keydown", (event) => this.#onKey(event));
    new ResizeObserver(() => this.#resize()).observe(element);
    this.#resize();
    this.reveal(START_PITCH);
  }

  /** @param {number} pitch */
  #addKey(pitch) {
    const button = document.createElement("button");
    button.type = "button";
    button.tabIndex = -1;
    button.className = `key ${isBlack(pitch) ? "black" : "white"}`;
    button.dataset.pitch = String(pitch);
    button.setAttribute("aria-label", pitchName(pitch).replace("♯", " sharp "));
    button.style.setProperty("--position", String(this.keys.position(pitch)));
    const label = document.createElement("small");
    label.setAttribute("aria-hidden", "true");
    button.append(label);
    button.addEventListener("click", (event) => {
      if (event.detail === 0) this.#playBriefly(pitch); // by Enter or a screen reader
    });
    this.#buttons.set(pitch, button);
    this.element.append(button);
  }

  /** @param {number} pitch */
  #playBriefly(pitch) {
    const holder = `key ${pitch}`;
    this.player.press(holder, pitch, BRIEF_NOTE_VELOCITY);
    setTimeout(() => this.player.release(holder), BRIEF_NOTE_MS);
  }

  /** @param {number} pitch */
  #setFocusable(pitch) {
    for (const [each, button] of this.#buttons) button.tabIndex = each === pitch ? 0 : -1;
  }

  /** @param {Event} event @param {boolean} down */
  #showKey(event, down) {
    const { pitch } = /** @type {CustomEvent} */ (event).detail;
    this.#buttons.get(pitch)?.classList.toggle("down", down);
  }

  /** Width of a white key, px. */
  get keyWidth() {
    return this.#keyWidth;
  }

  /** Distance by which the keys are scrolled to the left, px. */
  get offset() {
    return this.#first * this.#keyWidth;
  }

  #resize() {
    const width = this.element.clientWidth;
    const minimum = this.#coarse.matches ? MIN_KEY_WIDTH.coarse : MIN_KEY_WIDTH.fine;
    this.#keyWidth = Math.max(width / this.keys.whites, minimum);
    this.#scrollTo(this.#first);
  }

  /** @param {number} first white keys to the left of the visible ones */
  #scrollTo(first) {
    const visible = this.element.clientWidth / this.#keyWidth;
    this.#first = Math.min(Math.max(first, 0), Math.max(this.keys.whites - visible, 0));
    this.element.style.setProperty("--key-width", `${this.#keyWidth}px`);
    this.element.style.setProperty("--offset", `${-this.offset}px`);
    this.dispatchEvent(new Event("scroll-keys"));
  }

  /** @param {number} px to the right */
  scroll(px) {
    this.#scrollTo(this.#first + px / this.#keyWidth);
  }

  /** Bring the octave above a key into view. @param {number} pitch MIDI number */
  reveal(pitch) {
    const visible = this.element.clientWidth / this.#keyWidth;
    const first = this.keys.position(Math.min(Math.max(pitch, this.keys.lowest), this.keys.highest));
    const last = first + Math.min(8, visible);
    if (first < this.#first) this.#scrollTo(first);
    else if (last > this.#first + visible) this.#scrollTo(last - visible);
  }

  /** Label the keys. @param {Map<number, string>} labels by MIDI number */
  setLabels(labels) {
    for (const [pitch, button] of this.#buttons) {
      const label = /** @type {HTMLElement} */ (button.firstElementChild);
      const key = document.createElement("b");
      key.textContent = labels.get(pitch) ?? "";
      label.replaceChildren(...(key.textContent ? [key] : []));
      if (pitch % 12 === 0) label.append(pitchName(pitch));
    }
  }

  #listenToPointers() {
    const { element, player } = this;
    /** @type {Set<number>} */
    const down = new Set();
    const keyAt = (/** @type {PointerEvent} */ event) => {
      const box = element.getBoundingClientRect();
      const x = (event.clientX - box.left + this.offset) / this.#keyWidth;
      return this.keys.keyAt(x, (event.clientY - box.top) / box.height);
    };
    element.addEventListener("pointerdown", (event) => {
      if (event.button > 0) return;
      const key = keyAt(event);
      if (!key) return;
      event.preventDefault();
      try {
        element.setPointerCapture(event.pointerId);
      } catch {
        // the pointer is already up
      }
      down.add(event.pointerId);
      this.#setFocusable(key.pitch);
      player.press(`finger ${event.pointerId}`, key.pitch, key.velocity);
    });
    element.addEventListener("pointermove", (event) => {
      if (!down.has(event.pointerId)) return;
      const holder = `finger ${event.pointerId}`;
      const key = keyAt(event);
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
  #onKey(event) {
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
    this.#setFocusable(next);
    this.reveal(next);
    this.#buttons.get(next)?.focus({ preventScroll: true });
  }
}

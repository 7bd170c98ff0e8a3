/**
 * The instrument in hand, and the way that led to it.
 *
 * A step is a base (a known instrument, or a blend of some) and how its qualities are turned. The
 * server is asked for one step at a time: what was wished for meanwhile is left out but for the
 * last, so that a slider follows the hand as fast as the server can.
 */

import { isAbort } from "./api.js";
import { History } from "./history.js";

/**
 * @typedef {import("./types.js").Instrument} Instrument
 * @typedef {{id: string, weight: number}[]} Blend weights sum to 1
 * @typedef {{id: string} | {blend: Blend}} Base
 * @typedef {Record<string, number>} Turn standard deviations by quality
 *
 * @typedef {Object} Step
 * @property {Base} base
 * @property {Turn} turn
 * @property {Instrument} instrument
 * @property {any} tool what the tool that led here must know to show it again
 *
 * @typedef {Object} Wish
 * @property {Base | {recipe: object}} base
 * @property {Turn} turn
 * @property {string | null} gesture
 * @property {any} tool
 */

/** Events: `change` (detail: {step, gesture}), `busy` (detail: boolean), `problem` (detail: error). */
export class Session extends EventTarget {
  /** @type {[History<Step>, History<Step>]} */
  #slots = [new History(), new History()];
  #slot = 0;
  /** @type {Wish | null} */
  #wish = null;
  #asking = false;

  /** @param {import("./api.js").Api} api */
  constructor(api) {
    super();
    this.api = api;
  }

  get #history() {
    return this.#slots[this.#slot];
  }

  /** @returns {Step | null} */
  get step() {
    return this.#history.state;
  }

  /** @returns {Instrument | null} */
  get instrument() {
    return this.step?.instrument ?? null;
  }

  get canUndo() {
    return this.#history.canUndo;
  }

  get canRedo() {
    return this.#history.canRedo;
  }

  /** 0 or 1: A or B. */
  get slot() {
    return this.#slot;
  }

  /** A known instrument. @param {string} id */
  choose(id) {
    this.#want({ base: { id }, turn: {}, gesture: null, tool: null });
  }

  /** Any recipe: a seed, a surprise, a file that somebody shared. @param {object} recipe */
  open(recipe) {
    this.#want({ base: { recipe }, turn: {}, gesture: null, tool: null });
  }

  /** One that is open already. @param {Instrument} instrument */
  take(instrument) {
    this.#wish = null;
    this.#push({ base: { id: instrument.id }, turn: {}, instrument, tool: null }, null);
  }

  /**
   * Between some instruments.
   *
   * @param {Blend} blend
   * @param {any} tool see `Step`
   * @param {string} gesture
   */
  blend(blend, tool, gesture) {
    const used = blend.filter(({ weight }) => weight > 0);
    const base = used.length === 1 ? { id: used[0].id } : { blend: used };
    this.#want({ base, turn: this.#latest.turn, gesture, tool });
  }

  /**
   * Turn a quality.
   *
   * @param {string} quality
   * @param {number} amount standard deviations
   */
  turn(quality, amount) {
    const { base, turn, tool } = this.#latest;
    if (!base) return;
    const turned = /** @type {Turn} */ ({ ...turn, [quality]: amount });
    if (!amount) delete turned[quality];
    this.#want({ base, turn: turned, gesture: `turn ${quality}`, tool });
  }

  /** Without any turn. */
  plain() {
    const { base, tool } = this.#latest;
    if (base) this.#want({ base, turn: {}, gesture: "plain", tool });
  }

  /** What is wished for, or else what is there. */
  get #latest() {
    const { base, turn, tool } = this.#wish ?? this.step ?? { base: null, turn: {}, tool: null };
    return { base, turn, tool };
  }

  /** @param {Wish} wish */
  #want(wish) {
    this.#wish = wish;
    if (!this.#asking) this.#ask();
  }

  async #ask() {
    this.#asking = true;
    this.dispatchEvent(new CustomEvent("busy", { detail: true }));
    while (this.#wish) {
      const wish = this.#wish;
      try {
        const instrument = await this.#opened(wish.base, wish.turn);
        const last = this.#wish === wish;
        if (last) this.#wish = null;
        if (!last && wish.gesture === null) continue; // another was chosen meanwhile
        const base = "recipe" in wish.base ? { id: instrument.id } : wish.base;
        this.#push({ base, turn: wish.turn, instrument, tool: wish.tool }, wish.gesture);
      } catch (error) {
        if (this.#wish === wish) this.#wish = null;
        if (!isAbort(error)) this.dispatchEvent(new CustomEvent("problem", { detail: error }));
      }
    }
    this.#asking = false;
    this.dispatchEvent(new CustomEvent("busy", { detail: false }));
  }

  /** @param {Base | {recipe: object}} base @param {Turn} turn @returns {Promise<Instrument>} */
  #opened(base, turn) {
    if ("recipe" in base) return this.api.open(base.recipe);
    const turned = Object.keys(turn).length > 0;
    if ("id" in base && !turned) return this.api.instrument(base.id);
    return this.api.open(turned ? { ...base, turn } : base);
  }

  /** @param {Step} step @param {string | null} gesture */
  #push(step, gesture) {
    this.#history.push(step, gesture);
    this.#tell(gesture);
  }

  /** @param {string | null} gesture */
  #tell(gesture) {
    this.dispatchEvent(new CustomEvent("change", { detail: { step: this.step, gesture } }));
  }

  undo() {
    this.#wish = null;
    if (this.#history.undo()) this.#tell("undo");
  }

  redo() {
    this.#wish = null;
    if (this.#history.redo()) this.#tell("redo");
  }

  /** Over to A or B; an empty one begins with what is in hand. @param {number} slot 0 or 1 */
  compare(slot) {
    if (slot === this.#slot) return;
    this.#wish = null;
    const { step } = this;
    this.#slot = slot;
    if (!this.step && step) this.#history.push(step);
    this.#tell("compare");
  }
}

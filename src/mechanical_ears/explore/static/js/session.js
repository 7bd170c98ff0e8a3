/**
 * The selected instrument, and the steps that led to it.
 *
 * A step is a base (an open instrument, or a blend of some) and the changes of its qualities. One
 * request is sent at a time. Of the steps requested meanwhile only the last one is sent, so that a
 * slider follows the pointer as fast as the server can answer.
 */

import { isAbort } from "./api.js";
import { History } from "./history.js";

/**
 * @typedef {import("./types.js").Instrument} Instrument
 * @typedef {{id: string, weight: number}[]} Blend weights sum to 1
 * @typedef {{id: string} | {blend: Blend}} Base
 * @typedef {Record<string, number>} Turn changes of qualities, standard deviations
 *
 * @typedef {Object} Step
 * @property {Base} base
 * @property {Turn} turn
 * @property {Instrument} instrument
 * @property {any} tool state of the tool that led here, to show it again
 *
 * @typedef {Object} StepRequest
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
  /** @type {StepRequest | null} the next one to send, or the one that is being sent */
  #pending = null;
  #sending = false;

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

  /** Select an instrument of the map. @param {string} id */
  selectId(id) {
    this.#request({ base: { id }, turn: {}, gesture: null, tool: null });
  }

  /** Select the instrument of any recipe: a seed, a surprise, a shared file. @param {object} recipe */
  open(recipe) {
    this.#request({ base: { recipe }, turn: {}, gesture: null, tool: null });
  }

  /** Select an instrument that is already open. @param {Instrument} instrument */
  select(instrument) {
    this.#pending = null;
    this.#push({ base: { id: instrument.id }, turn: {}, instrument, tool: null }, null);
  }

  /**
   * Select a blend of instruments.
   *
   * @param {Blend} blend
   * @param {any} tool see `Step`
   * @param {string} gesture
   */
  blend(blend, tool, gesture) {
    const used = blend.filter(({ weight }) => weight > 0);
    const base = used.length === 1 ? { id: used[0].id } : { blend: used };
    this.#request({ base, turn: this.#latest.turn, gesture, tool });
  }

  /**
   * Change a quality.
   *
   * @param {string} quality
   * @param {number} amount standard deviations
   */
  turn(quality, amount) {
    const { base, turn, tool } = this.#latest;
    if (!base) return;
    const changed = /** @type {Turn} */ ({ ...turn, [quality]: amount });
    if (!amount) delete changed[quality];
    this.#request({ base, turn: changed, gesture: `turn ${quality}`, tool });
  }

  /** Reset all qualities. */
  resetTurn() {
    const { base, tool } = this.#latest;
    if (base) this.#request({ base, turn: {}, gesture: "reset", tool });
  }

  /** The pending step, or else the current one. */
  get #latest() {
    const { base, turn, tool } = this.#pending ?? this.step ?? { base: null, turn: {}, tool: null };
    return { base, turn, tool };
  }

  /** @param {StepRequest} request */
  #request(request) {
    this.#pending = request;
    if (!this.#sending) this.#send();
  }

  async #send() {
    this.#sending = true;
    this.dispatchEvent(new CustomEvent("busy", { detail: true }));
    while (this.#pending) {
      const request = this.#pending;
      try {
        const instrument = await this.#openInstrument(request.base, request.turn);
        const isLast = this.#pending === request;
        if (isLast) this.#pending = null;
        if (!isLast && request.gesture === null) continue; // another one was selected meanwhile
        const base = "recipe" in request.base ? { id: instrument.id } : request.base;
        this.#push({ base, turn: request.turn, instrument, tool: request.tool }, request.gesture);
      } catch (error) {
        if (this.#pending === request) this.#pending = null;
        if (!isAbort(error)) this.dispatchEvent(new CustomEvent("problem", { detail: error }));
      }
    }
    this.#sending = false;
    this.dispatchEvent(new CustomEvent("busy", { detail: false }));
  }

  /** @param {Base | {recipe: object}} base @param {Turn} turn @returns {Promise<Instrument>} */
  #openInstrument(base, turn) {
    if ("recipe" in base) return this.api.open(base.recipe);
    const isTurned = Object.keys(turn).length > 0;
    if ("id" in base && !isTurned) return this.api.instrument(base.id);
    return this.api.open(isTurned ? { ...base, turn } : base);
  }

  /** @param {Step} step @param {string | null} gesture */
  #push(step, gesture) {
    this.#history.push(step, gesture);
    this.#emitChange(gesture);
  }

  /** @param {string | null} gesture */
  #emitChange(gesture) {
    this.dispatchEvent(new CustomEvent("change", { detail: { step: this.step, gesture } }));
  }

  undo() {
    this.#pending = null;
    if (this.#history.undo()) this.#emitChange("undo");
  }

  redo() {
    this.#pending = null;
    if (this.#history.redo()) this.#emitChange("redo");
  }

  /** Switch to A or B; an empty slot starts with the selected instrument. @param {number} slot 0 or 1 */
  switchTo(slot) {
    if (slot === this.#slot) return;
    this.#pending = null;
    const { step } = this;
    this.#slot = slot;
    if (!this.step && step) this.#history.push(step);
    this.#emitChange("switch");
  }
}

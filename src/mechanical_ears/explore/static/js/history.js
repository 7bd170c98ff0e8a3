/** Undo and redo: a list of states and the position of the current one. */

const MERGE_MS = 1500; // ms between two states of one gesture that become one step

/** @template State */
export class History {
  /** @type {{state: State, gesture: string | null, time: number}[]} */
  #steps = [];
  #position = -1;
  #limit;

  /** @param {number} [limit] states that are kept */
  constructor(limit = 200) {
    this.#limit = limit;
  }

  /** @returns {State | null} */
  get state() {
    return this.#steps[this.#position]?.state ?? null;
  }

  get canUndo() {
    return this.#position > 0;
  }

  get canRedo() {
    return this.#position < this.#steps.length - 1;
  }

  /**
   * Add a state; undone states can no longer be redone.
   *
   * @param {State} state
   * @param {string | null} [gesture] states of the same gesture in quick succession become one step
   * @param {number} [time] ms
   */
  push(state, gesture = null, time = performance.now()) {
    const last = this.#steps[this.#position];
    this.#steps.length = this.#position + 1;
    const merge = last && gesture !== null && last.gesture === gesture && time - last.time < MERGE_MS;
    if (merge) this.#steps.pop();
    this.#steps.push({ state, gesture, time });
    if (this.#steps.length > this.#limit) this.#steps.shift();
    this.#position = this.#steps.length - 1;
  }

  /** @returns {State | null} the state before, null if there is none */
  undo() {
    if (!this.canUndo) return null;
    this.#position--;
    return this.state;
  }

  /** @returns {State | null} the state after, null if there is none */
  redo() {
    if (!this.canRedo) return null;
    this.#position++;
    return this.state;
  }
}

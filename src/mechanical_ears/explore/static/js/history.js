/** Undo and redo: a list of states and a place in it. */

const TOGETHER = 1500; // ms within which steps of one gesture are one

/** @template State */
export class History {
  /** @type {{state: State, gesture: string | null, time: number}[]} */
  #steps = [];
  #place = -1;
  #most;

  /** @param {number} [most] states that are kept */
  constructor(most = 200) {
    this.#most = most;
  }

  /** @returns {State | null} */
  get state() {
    return this.#steps[this.#place]?.state ?? null;
  }

  get canUndo() {
    return this.#place > 0;
  }

  get canRedo() {
    return this.#place < this.#steps.length - 1;
  }

  /**
   * Add a state; what could be redone is gone.
   *
   * @param {State} state
   * @param {string | null} [gesture] steps of one name that follow each other closely are one step
   * @param {number} [time] ms
   */
  push(state, gesture = null, time = performance.now()) {
    const last = this.#steps[this.#place];
    this.#steps.length = this.#place + 1;
    const together =
      last && gesture !== null && last.gesture === gesture && time - last.time < TOGETHER;
    if (together) this.#steps.pop();
    this.#steps.push({ state, gesture, time });
    if (this.#steps.length > this.#most) this.#steps.shift();
    this.#place = this.#steps.length - 1;
  }

  /** @returns {State | null} the state before, null where there is none */
  undo() {
    if (!this.canUndo) return null;
    this.#place--;
    return this.state;
  }

  /** @returns {State | null} the state after, null where there is none */
  redo() {
    if (!this.canRedo) return null;
    this.#place++;
    return this.state;
  }
}

/** What is fetched when: few things at once, the urgent first, the newest of them before the older. */

const AT_ONCE = 5; // requests; browsers allow six to one server, one is left for everything else
const SPARE = 2; // of these, at most, for what is not urgent

/**
 * @typedef {Object} Task
 * @property {(signal: AbortSignal) => Promise<void>} run
 * @property {boolean} urgent
 * @property {AbortController} abort
 * @property {boolean} [runs]
 */

export class Loading {
  /** @type {Map<string, Task>} */
  #tasks = new Map();

  /**
   * Do a thing, once; asked for again, it is at most made urgent.
   *
   * @param {string} key
   * @param {(signal: AbortSignal) => Promise<void>} run rejects only when aborted
   * @param {boolean} urgent
   */
  want(key, run, urgent) {
    const task = this.#tasks.get(key);
    if (task) {
      if (urgent && !task.runs) {
        this.#tasks.delete(key); // to the end: it is the newest now
        this.#tasks.set(key, { ...task, urgent });
      }
    } else this.#tasks.set(key, { run, urgent, abort: new AbortController() });
    this.#next();
  }

  /** @param {(key: string) => boolean} which are wanted no more */
  drop(which) {
    for (const [key, task] of this.#tasks) {
      if (!which(key)) continue;
      task.abort.abort();
      this.#tasks.delete(key);
    }
    this.#next();
  }

  #next() {
    for (;;) {
      const tasks = [...this.#tasks];
      const running = tasks.filter(([, task]) => task.runs);
      const waiting = tasks.filter(([, task]) => !task.runs);
      const spare = running.filter(([, task]) => !task.urgent).length < SPARE;
      const chosen =
        waiting.findLast(([, task]) => task.urgent) ??
        (spare ? waiting.find(([, task]) => !task.urgent) : undefined);
      if (!chosen || running.length >= AT_ONCE) return;
      this.#run(...chosen);
    }
  }

  /** @param {string} key @param {Task} task */
  async #run(key, task) {
    task.runs = true;
    try {
      await task.run(task.abort.signal);
    } finally {
      if (this.#tasks.get(key) === task) this.#tasks.delete(key);
      this.#next();
    }
  }
}

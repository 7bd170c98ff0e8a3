/** A queue of requests: a few at once; urgent ones first, and of these the newest first. */

const MAX_RUNNING = 5; // requests; browsers allow six to one server, one is left for everything else
const MAX_PREFETCHING = 2; // of these, that are not urgent

/**
 * @typedef {Object} Task
 * @property {(signal: AbortSignal) => Promise<void>} run
 * @property {boolean} urgent
 * @property {AbortController} abort
 * @property {boolean} [isRunning]
 */

export class RequestQueue {
  /** @type {Map<string, Task>} */
  #tasks = new Map();

  /**
   * Add a task; one with the same key that waits already can only become urgent.
   *
   * @param {string} key
   * @param {(signal: AbortSignal) => Promise<void>} run rejects only when aborted
   * @param {boolean} urgent
   */
  add(key, run, urgent) {
    const task = this.#tasks.get(key);
    if (task) {
      if (urgent && !task.isRunning) {
        this.#tasks.delete(key); // to the end of the map: it is the newest now
        this.#tasks.set(key, { ...task, urgent });
      }
    } else this.#tasks.set(key, { run, urgent, abort: new AbortController() });
    this.#startNext();
  }

  /** @param {(key: string) => boolean} matches selects the tasks to cancel */
  cancel(matches) {
    for (const [key, task] of this.#tasks) {
      if (!matches(key)) continue;
      task.abort.abort();
      this.#tasks.delete(key);
    }
    this.#startNext();
  }

  #startNext() {
    for (;;) {
      const tasks = [...this.#tasks];
      const running = tasks.filter(([, task]) => task.isRunning);
      const waiting = tasks.filter(([, task]) => !task.isRunning);
      const canPrefetch = running.filter(([, task]) => !task.urgent).length < MAX_PREFETCHING;
      const next =
        waiting.findLast(([, task]) => task.urgent) ??
        (canPrefetch ? waiting.find(([, task]) => !task.urgent) : undefined);
      if (!next || running.length >= MAX_RUNNING) return;
      this.#run(...next);
    }
  }

  /** @param {string} key @param {Task} task */
  async #run(key, task) {
    task.isRunning = true;
    try {
      await task.run(task.abort.signal);
    } finally {
      if (this.#tasks.get(key) === task) this.#tasks.delete(key);
      this.#startNext();
    }
  }
}

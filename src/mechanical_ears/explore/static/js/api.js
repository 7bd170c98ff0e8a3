/** The server, as functions. What goes wrong is a `Problem` in words. */

/** @typedef {import("./types.js").Instrument} Instrument */

const AGAIN = 3; // times that a busy server is asked again
const LONGEST_WAIT = 10; // s between two of them
const GONE = "The server does not answer.";

/** What went wrong, in words for the person at the page. */
export class Problem extends Error {
  /**
   * @param {string} message what is wrong
   * @param {string} [remedy] what to do
   * @param {number} [status] HTTP status; 0 where the server was not reached, −1 where it was not
   *     even asked
   */
  constructor(message, remedy = "", status = -1) {
    super(message);
    this.name = "Problem";
    this.remedy = remedy;
    this.status = status;
  }

  /** Whole sentences. */
  get words() {
    return [this.message, this.remedy].filter(Boolean).map(sentence).join(" ");
  }
}

/** @param {string} text */
function sentence(text) {
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(capital) ? capital : `${capital}.`;
}

/** @param {unknown} error */
export const isAbort = (error) => error instanceof DOMException && error.name === "AbortError";

/** @param {number} seconds @param {AbortSignal | null | undefined} signal */
function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("aborted", "AbortError"));
    });
  });
}

/**
 * Events: `gone` when the server does not answer, `back` when it does again.
 */
export class Api extends EventTarget {
  /** @type {Map<string, import("./types.js").Recipe>} how instruments were opened, by id */
  #recipes = new Map();
  /** @type {Map<string, string>} ids of instruments that were opened again, by their former id */
  #again = new Map();
  #gone = false;

  /**
   * @param {string} path
   * @param {RequestInit} [options]
   * @returns {Promise<Response>}
   * @throws {Problem}
   */
  async request(path, options = {}) {
    for (let attempt = 0; ; attempt++) {
      let response;
      try {
        response = await fetch(path, options);
      } catch (error) {
        if (isAbort(error)) throw error;
        this.#lost();
        throw new Problem(GONE, "It may have been stopped: start it again with “ears explore”.", 0);
      }
      this.#found();
      if (response.ok) return response;
      const busy = response.status === 429 || response.status === 503;
      if (!busy || attempt === AGAIN) throw await problem(response);
      const wait = Number(response.headers.get("Retry-After")) || 0.25 * 2 ** attempt;
      await pause(Math.min(wait, LONGEST_WAIT), options.signal);
    }
  }

  #lost() {
    if (this.#gone) return;
    this.#gone = true;
    this.dispatchEvent(new Event("gone"));
  }

  #found() {
    if (!this.#gone) return;
    this.#gone = false;
    this.dispatchEvent(new Event("back"));
  }

  /** @param {string} path @param {RequestInit} [options] @returns {Promise<any>} */
  async json(path, options) {
    return (await this.request(path, options)).json();
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} body
   * @param {AbortSignal} [signal]
   * @returns {Promise<any>}
   */
  async send(method, path, body, signal) {
    const headers = { "Content-Type": "application/json" };
    const options = { method, headers, body: JSON.stringify(body), signal };
    const response = await this.request(path, options);
    return response.status === 204 ? null : response.json();
  }

  /** @returns {Promise<import("./types.js").About>} */
  about() {
    return this.json("/api/about");
  }

  /** @returns {Promise<import("./types.js").Space>} */
  space() {
    return this.json("/api/space");
  }

  /** @param {Instrument} instrument @returns {Instrument} */
  #known(instrument) {
    this.#recipes.set(instrument.id, instrument.recipe);
    return instrument;
  }

  /**
   * @param {import("./types.js").Recipe} recipe
   * @param {AbortSignal} [signal]
   * @returns {Promise<Instrument>}
   */
  async open(recipe, signal) {
    return this.#known(await this.send("POST", "/api/instruments", recipe, signal));
  }

  /**
   * @param {string} id
   * @param {AbortSignal} [signal]
   * @returns {Promise<Instrument>}
   */
  async instrument(id, signal) {
    return this.#known(await this.#of(id, "", { signal }).then((response) => response.json()));
  }

  /**
   * @param {string} id
   * @param {AbortSignal} [signal]
   * @returns {Promise<any>} an `Instrument` with what was heard, or an `Impression`
   */
  async hearing(id, signal) {
    return (await this.#of(id, "/hearing", { signal })).json();
  }

  /**
   * @param {string} id
   * @param {number} pitch MIDI number
   * @param {number} velocity MIDI velocity
   * @param {AbortSignal} [signal]
   * @returns {Promise<ArrayBuffer>} a WAV file
   */
  async note(id, pitch, velocity, signal) {
    return (await this.#of(id, `/notes/${pitch}/${velocity}`, { signal })).arrayBuffer();
  }

  /** @param {string} id @returns {Promise<Blob>} the file that another person opens */
  async share(id) {
    return (await this.#of(id, "/share", {})).blob();
  }

  /**
   * What belongs to an instrument; one that the server has forgotten is opened again.
   *
   * @param {string} id
   * @param {string} rest
   * @param {RequestInit} options
   */
  async #of(id, rest, options) {
    const path = (/** @type {string} */ name) => `/api/instruments/${name}${rest}`;
    try {
      return await this.request(path(this.#again.get(id) ?? id), options);
    } catch (error) {
      const recipe = this.#recipes.get(id);
      if (!(error instanceof Problem) || error.status !== 404 || !recipe) throw error;
      const { id: fresh } = await this.open(recipe, options.signal ?? undefined);
      if (fresh !== id) this.#again.set(id, fresh);
      return this.request(path(fresh), options);
    }
  }

  /**
   * @param {File} file
   * @param {AbortSignal} [signal]
   * @returns {Promise<import("./types.js").Recording>}
   */
  async hear(file, signal) {
    const headers = {
      "Content-Type": file.type.startsWith("audio/") ? file.type : "application/octet-stream",
      "X-File-Name": encodeURIComponent(file.name),
    };
    const recording = await this.json("/api/recordings", {
      method: "POST",
      headers,
      body: file,
      signal,
    });
    if (recording.instrument) this.#known(recording.instrument);
    return recording;
  }

  /** @returns {Promise<import("./types.js").Favourite[]>} */
  async favourites() {
    const all = await this.json("/api/favourites");
    for (const each of all) if (each.instrument) this.#known(each.instrument);
    return all;
  }

  /** @param {string} id @param {string} [name] @returns {Promise<import("./types.js").Favourite>} */
  keep(id, name) {
    return this.send("POST", "/api/favourites", { id, name });
  }

  /** @param {string | number} favourite @param {string} name */
  rename(favourite, name) {
    return this.send("PATCH", `/api/favourites/${favourite}`, { name });
  }

  /** @param {string | number} favourite */
  forget(favourite) {
    return this.request(`/api/favourites/${favourite}`, { method: "DELETE" });
  }

  /**
   * @param {{id: string, format: string, every: number, layers: number}} wish
   * @returns {Promise<{job: string}>}
   */
  export(wish) {
    return this.send("POST", "/api/exports", wish);
  }

  /** @param {string} job @returns {Promise<import("./types.js").Export>} */
  exported(job) {
    return this.json(`/api/exports/${job}`);
  }

  /** @param {string} job */
  cancel(job) {
    return this.request(`/api/exports/${job}`, { method: "DELETE" });
  }
}

/** @param {Response} response */
async function problem(response) {
  try {
    const told = await response.json();
    if (typeof told.problem === "string")
      return new Problem(told.problem, told.remedy ?? "", response.status);
  } catch {
    // not JSON: the status must do
  }
  const words = response.status === 413 ? "The file is too large" : "The server refused this";
  return new Problem(words, `status ${response.status}`, response.status);
}

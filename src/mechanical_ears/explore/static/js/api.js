/** The server's API as functions. Errors are `Problem`s: sentences to show to people. */

/** @typedef {import("./types.js").Instrument} Instrument */

const MAX_RETRIES = 3; // of a request to a busy server
const MAX_RETRY_SECONDS = 10; // s between two of them
const NO_ANSWER = "The server does not answer.";

/** An error that is shown to the person at the page. */
export class Problem extends Error {
  /**
   * @param {string} message what went wrong
   * @param {string} [remedy] what to do about it
   * @param {number} [status] HTTP status; 0 if the server could not be reached, −1 for errors of
   *     the page itself
   */
  constructor(message, remedy = "", status = -1) {
    super(message);
    this.name = "Problem";
    this.remedy = remedy;
    this.status = status;
  }

  /** Message and remedy as sentences. */
  get text() {
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

/** Events: `offline` when the server stops answering, `online` when it answers again. */
export class Api extends EventTarget {
  /** @type {Map<string, import("./types.js").Recipe>} by id: the recipe that opens it again */
  #recipes = new Map();
  /** @type {Map<string, string>} new ids of instruments that were opened again, by their old id */
  #reopened = new Map();
  #offline = false;

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
        this.#setOffline();
        throw new Problem(NO_ANSWER, "It may have been stopped: start it again with “ears explore”.", 0);
      }
      this.#setOnline();
      if (response.ok) return response;
      const busy = response.status === 429 || response.status === 503;
      if (!busy || attempt === MAX_RETRIES) throw await toProblem(response);
      const wait = Number(response.headers.get("Retry-After")) || 0.25 * 2 ** attempt;
      await pause(Math.min(wait, MAX_RETRY_SECONDS), options.signal);
    }
  }

  #setOffline() {
    if (this.#offline) return;
    this.#offline = true;
    this.dispatchEvent(new Event("offline"));
  }

  #setOnline() {
    if (!this.#offline) return;
    this.#offline = false;
    this.dispatchEvent(new Event("online"));
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
  #rememberRecipe(instrument) {
    this.#recipes.set(instrument.id, instrument.recipe);
    return instrument;
  }

  /**
   * @param {import("./types.js").Recipe} recipe
   * @param {AbortSignal} [signal]
   * @returns {Promise<Instrument>}
   */
  async open(recipe, signal) {
    return this.#rememberRecipe(await this.send("POST", "/api/instruments", recipe, signal));
  }

  /**
   * @param {string} id
   * @param {AbortSignal} [signal]
   * @returns {Promise<Instrument>}
   */
  async instrument(id, signal) {
    const response = await this.#requestInstrument(id, "", { signal });
    return this.#rememberRecipe(await response.json());
  }

  /**
   * @param {string} id
   * @param {AbortSignal} [signal]
   * @returns {Promise<any>} the `Instrument` with its `heard`
   */
  async hearing(id, signal) {
    return (await this.#requestInstrument(id, "/hearing", { signal })).json();
  }

  /**
   * @param {string} id
   * @param {number} pitch MIDI number
   * @param {number} velocity MIDI velocity
   * @param {AbortSignal} [signal]
   * @returns {Promise<ArrayBuffer>} a WAV file
   */
  async note(id, pitch, velocity, signal) {
    return (await this.#requestInstrument(id, `/notes/${pitch}/${velocity}`, { signal })).arrayBuffer();
  }

  /** @param {string} id @returns {Promise<Blob>} a file that somebody else can open */
  async share(id) {
    return (await this.#requestInstrument(id, "/share", {})).blob();
  }

  /**
   * Request a path of an instrument; one that the server no longer has open is opened again.
   *
   * @param {string} id
   * @param {string} suffix of the path
   * @param {RequestInit} options
   */
  async #requestInstrument(id, suffix, options) {
    const path = (/** @type {string} */ id) => `/api/instruments/${id}${suffix}`;
    try {
      return await this.request(path(this.#reopened.get(id) ?? id), options);
    } catch (error) {
      const recipe = this.#recipes.get(id);
      if (!(error instanceof Problem) || error.status !== 404 || !recipe) throw error;
      const { id: newId } = await this.open(recipe, options.signal ?? undefined);
      if (newId !== id) this.#reopened.set(id, newId);
      return this.request(path(newId), options);
    }
  }

  /**
   * Upload a recording.
   *
   * @param {File} file
   * @param {AbortSignal} [signal]
   * @returns {Promise<import("./types.js").Recording>}
   */
  async upload(file, signal) {
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
    if (recording.instrument) this.#rememberRecipe(recording.instrument);
    return recording;
  }

  /** @returns {Promise<import("./types.js").Favourite[]>} */
  async favourites() {
    const favourites = await this.json("/api/favourites");
    for (const { instrument } of favourites) if (instrument) this.#rememberRecipe(instrument);
    return favourites;
  }

  /** @param {string} id @param {string} [name] @returns {Promise<import("./types.js").Favourite>} */
  addFavourite(id, name) {
    return this.send("POST", "/api/favourites", { id, name });
  }

  /** @param {string | number} favourite @param {string} name */
  renameFavourite(favourite, name) {
    return this.send("PATCH", `/api/favourites/${favourite}`, { name });
  }

  /** @param {string | number} favourite */
  removeFavourite(favourite) {
    return this.request(`/api/favourites/${favourite}`, { method: "DELETE" });
  }

  /**
   * @param {{id: string, format: string, every: number, layers: number}} options
   * @returns {Promise<{job: string}>}
   */
  startExport(options) {
    return this.send("POST", "/api/exports", options);
  }

  /** @param {string} job @returns {Promise<import("./types.js").Export>} */
  exportStatus(job) {
    return this.json(`/api/exports/${job}`);
  }

  /** @param {string} job */
  cancelExport(job) {
    return this.request(`/api/exports/${job}`, { method: "DELETE" });
  }
}

/** @param {Response} response */
async function toProblem(response) {
  const { status } = response;
  try {
    const { problem, remedy } = await response.json();
    if (typeof problem === "string") return new Problem(problem, remedy ?? "", status);
  } catch {
    // not JSON: report the status
  }
  const message = status === 413 ? "The file is too large" : "The server refused this";
  return new Problem(message, `status ${status}`, status);
}

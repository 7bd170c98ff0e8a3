/** Notes as samples: fetched, decoded, and kept within a bound. */

import { Problem, isAbort } from "../api.js";
import { hold } from "./sustain-loop.js";
import { Loading } from "./request-queue.js";

const BOUND = 192 * 2 ** 20; // bytes of decoded samples
const BYTES = 4; // of a sample
const LOUDNESS = 0.1; // root mean square of the loudest 20 ms of a note, to which all are levelled
const AT_VELOCITY = 80; // MIDI velocity that this is for
const PER_STEP = 0.2; // dB of loudness a velocity step
const MOST_GAIN = 4; // by which an instrument is made louder or softer, at most
const LOUD = 1.6; // times LOUDNESS, that no single note shall pass
const OCTAVE = 12;

/**
 * @typedef {Object} Sample
 * @property {AudioBuffer} buffer
 * @property {import("./sustain-loop.js").Held} held
 * @property {number} pitch MIDI number
 * @property {number} velocity MIDI velocity
 */

/** Events: `problem` (detail: Problem), `loaded` (detail: key). */
export class Notes extends EventTarget {
  /** @type {Map<string, Map<string, Sample>>} by instrument; those used last come last */
  #samples = new Map();
  /** @type {Map<string, number>} gains that bring instruments to one loudness */
  #gains = new Map();
  /** @type {Map<string, ((sample: Sample) => void)[]>} */
  #waiting = new Map();
  #loading = new Loading();
  #bytes = 0;

  /**
   * @param {import("../api.js").Api} api
   * @param {import("./engine.js").Engine} engine
   * @param {{layers?: number[], held?: number}} about
   */
  constructor(api, engine, about) {
    super();
    this.api = api;
    this.engine = engine;
    this.layers = about.layers ?? [40, 80, 120]; // MIDI velocities
    this.held = about.held ?? 3; // s
  }

  /** Bytes of decoded samples that are kept. */
  get bytes() {
    return this.#bytes;
  }

  /**
   * The layers around a velocity with their shares, the nearer first.
   *
   * @param {number} velocity MIDI velocity
   * @returns {{velocity: number, share: number}[]} shares sum to 1
   */
  mixture(velocity) {
    const above = this.layers.findIndex((layer) => layer >= velocity);
    if (above === 0 || above === -1) {
      const only = above === 0 ? this.layers[0] : this.layers[this.layers.length - 1];
      return [{ velocity: only, share: 1 }];
    }
    const [low, high] = [this.layers[above - 1], this.layers[above]];
    const share = (velocity - low) / (high - low);
    const mixed = [
      { velocity: low, share: 1 - share },
      { velocity: high, share },
    ];
    return mixed.filter((each) => each.share > 0).sort((a, b) => b.share - a.share);
  }

  /**
   * @param {string} id
   * @param {number} pitch
   * @param {number} velocity
   * @returns {Sample | undefined}
   */
  get(id, pitch, velocity) {
    return this.#samples.get(id)?.get(`${pitch}/${velocity}`);
  }

  /**
   * The kept sample that stands in best for one: in pitch first, then in velocity.
   *
   * @param {string} id
   * @param {number} pitch
   * @param {number} velocity
   * @returns {Sample | undefined}
   */
  nearest(id, pitch, velocity) {
    const far = (/** @type {Sample} */ sample) =>
      Math.abs(sample.pitch - pitch) + Math.abs(sample.velocity - velocity) / OCTAVE / OCTAVE;
    let best;
    for (const sample of this.#samples.get(id)?.values() ?? [])
      if (!best || far(sample) < far(best)) best = sample;
    return best;
  }

  /** @param {string} id @returns {number} gain that brings an instrument to the common loudness */
  gain(id) {
    return this.#gains.get(id) ?? 1;
  }

  /**
   * See to it that a note will be there.
   *
   * @param {string} id
   * @param {number} pitch
   * @param {number} velocity one of the layers
   * @param {boolean} [urgent] somebody waits for it
   */
  want(id, pitch, velocity, urgent = false) {
    if (this.get(id, pitch, velocity)) return;
    const key = `${id}/${pitch}/${velocity}`;
    this.#loading.want(key, (signal) => this.#load(id, pitch, velocity, signal), urgent);
  }

  /**
   * Call back with a note as soon as it is there; never where it cannot be had.
   *
   * @param {string} id
   * @param {number} pitch
   * @param {number} velocity one of the layers
   * @param {(sample: Sample) => void} then
   */
  when(id, pitch, velocity, then) {
    const sample = this.get(id, pitch, velocity);
    if (sample) return then(sample);
    const key = `${id}/${pitch}/${velocity}`;
    this.#waiting.set(key, [...(this.#waiting.get(key) ?? []), then]);
    this.want(id, pitch, velocity, true);
  }

  /** @param {string} keep id of the instrument whose notes alone are still wanted */
  onlyFor(keep) {
    this.#drop((key) => !key.startsWith(`${keep}/`));
  }

  /** @param {string} id of an instrument whose notes are wanted no more */
  leave(id) {
    this.#drop((key) => key.startsWith(`${id}/`));
  }

  /** @param {(key: string) => boolean} which */
  #drop(which) {
    this.#loading.drop(which);
    for (const key of [...this.#waiting.keys()]) if (which(key)) this.#waiting.delete(key);
  }

  /**
   * @param {string} id
   * @param {number} pitch
   * @param {number} velocity
   * @param {AbortSignal} signal
   */
  async #load(id, pitch, velocity, signal) {
    const key = `${id}/${pitch}/${velocity}`;
    try {
      const buffer = await this.engine.decode(await this.api.note(id, pitch, velocity, signal));
      if (signal.aborted) return;
      const held = hold(buffer.getChannelData(0), buffer.sampleRate, this.held);
      const sample = { buffer, held, pitch, velocity };
      this.#put(id, sample);
      for (const then of this.#waiting.get(key) ?? []) then(sample);
      this.dispatchEvent(new CustomEvent("loaded", { detail: key }));
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      const problem =
        error instanceof Problem
          ? error
          : new Problem("The server's note is no audio this browser can read");
      this.dispatchEvent(new CustomEvent("problem", { detail: problem }));
    } finally {
      this.#waiting.delete(key);
    }
  }

  /** The first note sets an instrument's gain, louder ones lower it. */
  #level(/** @type {string} */ id, /** @type {Sample} */ { velocity, held }) {
    const loudest = Math.max(...held.levels, 1e-6);
    const wanted = LOUDNESS * 10 ** (((velocity - AT_VELOCITY) * PER_STEP) / 20);
    const known = this.#gains.get(id);
    const gain = known === undefined ? wanted / loudest : Math.min(known, (LOUD * wanted) / loudest);
    this.#gains.set(id, Math.min(Math.max(gain, 1 / MOST_GAIN), MOST_GAIN));
  }

  /** @param {string} id @param {Sample} sample */
  #put(id, sample) {
    const samples = this.#samples.get(id) ?? new Map();
    this.#samples.delete(id);
    this.#samples.set(id, samples);
    samples.set(`${sample.pitch}/${sample.velocity}`, sample);
    this.#bytes += sample.buffer.length * BYTES;
    this.#level(id, sample);
    while (this.#bytes > BOUND && this.#samples.size > 1) {
      const [oldest, notes] = /** @type {[string, Map<string, Sample>]} */ (
        this.#samples.entries().next().value
      );
      for (const { buffer } of notes.values()) this.#bytes -= buffer.length * BYTES;
      this.#samples.delete(oldest);
      this.#gains.delete(oldest);
    }
    if (this.#bytes > BOUND) {
      const [first, { buffer }] = /** @type {[string, Sample]} */ (samples.entries().next().value);
      samples.delete(first);
      this.#bytes -= buffer.length * BYTES;
    }
  }
}

/** Notes as samples: requested from the server, decoded, and cached up to a limit. */

import { Problem, isAbort } from "../api.js";
import { RequestQueue } from "./request-queue.js";
import { prepareSustain } from "./sustain-loop.js";

const CACHE_BYTES = 192 * 2 ** 20; // bytes of decoded samples
const SAMPLE_BYTES = 4; // bytes
const TARGET_RMS = 0.1; // root mean square of a note's loudest 20 ms, to which instruments are levelled
const TARGET_VELOCITY = 80; // MIDI velocity of that
const VELOCITY_STEP_DB = 0.2; // dB of loudness for a step of velocity
const MAX_GAIN = 4; // by which an instrument is made louder or softer
const MAX_NOTE_LEVEL = 1.6; // × TARGET_RMS, of any single note
const OCTAVE = 12; // semitones

/**
 * @typedef {Object} Sample
 * @property {AudioBuffer} buffer
 * @property {import("./sustain-loop.js").Sustain} sustain
 * @property {number} pitch MIDI number
 * @property {number} velocity MIDI velocity
 */

/** Events: `problem` (detail: Problem), `loaded` (detail: key). */
export class NoteCache extends EventTarget {
  /** @type {Map<string, Map<string, Sample>>} by instrument, the most recently used last */
  #samples = new Map();
  /** @type {Map<string, number>} gains that bring instruments to the same loudness */
  #gains = new Map();
  /** @type {Map<string, ((sample: Sample) => void)[]>} */
  #callbacks = new Map();
  #queue = new RequestQueue();
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
    this.keyUp = about.held ?? 3; // s
  }

  /** Bytes of decoded samples in the cache. */
  get bytes() {
    return this.#bytes;
  }

  /**
   * The velocity layers around a velocity with their weights, the nearer first.
   *
   * @param {number} velocity MIDI velocity
   * @returns {{velocity: number, weight: number}[]} weights sum to 1
   */
  mixture(velocity) {
    const above = this.layers.findIndex((layer) => layer >= velocity);
    if (above === 0 || above === -1) {
      const only = above === 0 ? this.layers[0] : this.layers[this.layers.length - 1];
      return [{ velocity: only, weight: 1 }];
    }
    const [low, high] = [this.layers[above - 1], this.layers[above]];
    const weight = (velocity - low) / (high - low);
    const layers = [
      { velocity: low, weight: 1 - weight },
      { velocity: high, weight },
    ];
    return layers.filter((layer) => layer.weight > 0).sort((a, b) => b.weight - a.weight);
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
   * The cached sample that is nearest in pitch, and among these in velocity.
   *
   * @param {string} id
   * @param {number} pitch
   * @param {number} velocity
   * @returns {Sample | undefined}
   */
  nearest(id, pitch, velocity) {
    const distance = (/** @type {Sample} */ sample) =>
      Math.abs(sample.pitch - pitch) + Math.abs(sample.velocity - velocity) / OCTAVE / OCTAVE;
    let best;
    for (const sample of this.#samples.get(id)?.values() ?? [])
      if (!best || distance(sample) < distance(best)) best = sample;
    return best;
  }

  /** @param {string} id @returns {number} gain that brings an instrument to the common loudness */
  gain(id) {
    return this.#gains.get(id) ?? 1;
  }

  /**
   * Request a note, unless it is cached or requested already.
   *
   * @param {string} id
   * @param {number} pitch
   * @param {number} velocity one of the layers
   * @param {boolean} [urgent] somebody waits for it
   */
  request(id, pitch, velocity, urgent = false) {
    if (this.get(id, pitch, velocity)) return;
    const key = `${id}/${pitch}/${velocity}`;
    this.#queue.add(key, (signal) => this.#load(id, pitch, velocity, signal), urgent);
  }

  /**
   * Call back with a note as soon as it is loaded; never if it cannot be loaded.
   *
   * @param {string} id
   * @param {number} pitch
   * @param {number} velocity one of the layers
   * @param {(sample: Sample) => void} callback
   */
  whenLoaded(id, pitch, velocity, callback) {
    const sample = this.get(id, pitch, velocity);
    if (sample) return callback(sample);
    const key = `${id}/${pitch}/${velocity}`;
    this.#callbacks.set(key, [...(this.#callbacks.get(key) ?? []), callback]);
    this.request(id, pitch, velocity, true);
  }

  /** Cancel all requests but those of one instrument. @param {string} id */
  cancelAllBut(id) {
    this.#cancel((key) => !key.startsWith(`${id}/`));
  }

  /** Cancel the requests of an instrument. @param {string} id */
  cancelFor(id) {
    this.#cancel((key) => key.startsWith(`${id}/`));
  }

  /** @param {(key: string) => boolean} matches */
  #cancel(matches) {
    this.#queue.cancel(matches);
    for (const key of [...this.#callbacks.keys()]) if (matches(key)) this.#callbacks.delete(key);
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
      const sustain = prepareSustain(buffer.getChannelData(0), buffer.sampleRate, this.keyUp);
      const sample = { buffer, sustain, pitch, velocity };
      this.#put(id, sample);
      for (const callback of this.#callbacks.get(key) ?? []) callback(sample);
      this.dispatchEvent(new CustomEvent("loaded", { detail: key }));
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      const problem =
        error instanceof Problem
          ? error
          : new Problem("This browser cannot decode the server's audio");
      this.dispatchEvent(new CustomEvent("problem", { detail: problem }));
    } finally {
      this.#callbacks.delete(key);
    }
  }

  /** The first note sets an instrument's gain; louder ones lower it. */
  #setGain(/** @type {string} */ id, /** @type {Sample} */ { velocity, sustain }) {
    const loudest = Math.max(...sustain.levels, 1e-6);
    const target = TARGET_RMS * 10 ** (((velocity - TARGET_VELOCITY) * VELOCITY_STEP_DB) / 20);
    const previous = this.#gains.get(id);
    const gain =
      previous === undefined
        ? target / loudest
        : Math.min(previous, (MAX_NOTE_LEVEL * target) / loudest);
    this.#gains.set(id, Math.min(Math.max(gain, 1 / MAX_GAIN), MAX_GAIN));
  }

  /** @param {string} id @param {Sample} sample */
  #put(id, sample) {
    const samples = this.#samples.get(id) ?? new Map();
    this.#samples.delete(id);
    this.#samples.set(id, samples);
    samples.set(`${sample.pitch}/${sample.velocity}`, sample);
    this.#bytes += sample.buffer.length * SAMPLE_BYTES;
    this.#setGain(id, sample);
    while (this.#bytes > CACHE_BYTES && this.#samples.size > 1) {
      const [oldest, notes] = /** @type {[string, Map<string, Sample>]} */ (
        this.#samples.entries().next().value
      );
      for (const { buffer } of notes.values()) this.#bytes -= buffer.length * SAMPLE_BYTES;
      this.#samples.delete(oldest);
      this.#gains.delete(oldest);
    }
    if (this.#bytes > CACHE_BYTES) {
      const [first, { buffer }] = /** @type {[string, Sample]} */ (samples.entries().next().value);
      samples.delete(first);
      this.#bytes -= buffer.length * SAMPLE_BYTES;
    }
  }
}

/**
 * Polyphonic playback: a voice for each key that is down or still sounds.
 *
 * A voice plays one or two samples (the velocity layers around the key's velocity) or, until the
 * exact sample has been loaded, the nearest cached one at another speed. At key-up it crossfades to
 * the release that the note was rendered with, scaled to the level that the voice has then.
 */

import { levelAt } from "./sustain-loop.js";

export const MAX_VOICES = 32; // at once
const STEAL_SECONDS = 0.006; // s, time constant with which a stolen voice fades
const CUT_SECONDS = 0.02; // s, time constant with which a retriggered key fades
const DAMP_SECONDS = 0.05; // s, time constant of a release without samples
const CROSSFADE_SECONDS = 0.012; // s, from the held note to its release
const ATTACK_SECONDS = 0.001; // s, against clicks
const MIN_LATE_SECONDS = 0.12; // s that a note sounds if it was loaded after its key-up
const MAX_LATE_SECONDS = 1.2; // s after which such a note is not played any more
const VELOCITY_STEP_DB = 0.2; // dB for a step of velocity, if only another layer is cached
const MAX_RELEASE_GAIN = 4; // above which a fade is played instead of the release
const FADE_CONSTANTS = 8; // time constants after which a fade is silent

/**
 * @typedef {import("./note-cache.js").Sample} Sample
 *
 * @typedef {Object} Voice
 * @property {string} id
 * @property {number} pitch MIDI number
 * @property {number} velocity MIDI velocity
 * @property {number} pressed s, on the context's clock, when the key went down
 * @property {number} started s, when the sample started; NaN until then
 * @property {{source: AudioBufferSourceNode, sample: Sample, gain: GainNode, level: number}[]} parts
 * @property {GainNode} output
 * @property {boolean} down whether the key is down
 * @property {boolean} ended
 */

/** Events: `press` and `release` (detail: {id, pitch, velocity}). */
export class Voices extends EventTarget {
  /** @type {Set<Voice>} in the order in which they started */
  #voices = new Set();
  #sustained = false;

  /**
   * @param {import("./engine.js").Engine} engine
   * @param {import("./note-cache.js").NoteCache} notes
   */
  constructor(engine, notes) {
    super();
    this.engine = engine;
    this.notes = notes;
  }

  get sounding() {
    return this.#voices.size;
  }

  get sustained() {
    return this.#sustained;
  }

  /**
   * Start a note: a key goes down.
   *
   * @param {string} id of the instrument
   * @param {number} pitch MIDI number
   * @param {number} velocity MIDI velocity 1..127
   * @param {number} [time] s on the context's clock; the default is now
   * @returns {Voice | null} null while sound is off
   */
  press(id, pitch, velocity, time) {
    const { context, input } = this.engine;
    const mixture = this.notes.mixture(velocity);
    for (const [rank, layer] of mixture.entries())
      this.notes.request(id, pitch, layer.velocity, rank === 0);
    if (!context || !input) return null;
    for (const voice of this.#voices)
      if (voice.pitch === pitch && voice.id === id) this.#fade(voice, CUT_SECONDS);
    this.#stealVoices();

    const now = time ?? context.currentTime;
    const output = new GainNode(context);
    output.connect(input);
    /** @type {Voice} */
    const voice = {
      ...{ id, pitch, velocity, output, pressed: now, started: NaN },
      ...{ parts: [], down: true, ended: false },
    };
    this.#voices.add(voice);
    this.#start(voice, mixture, now);
    this.#emit("press", voice);
    return voice;
  }

  /**
   * End a note: its key goes up. While the pedal is down the note is sustained.
   *
   * @param {Voice} voice
   * @param {number} [time] s on the context's clock; the default is now
   */
  release(voice, time) {
    if (!voice.down) return;
    voice.down = false;
    this.#emit("release", voice);
    if (!this.#sustained && !Number.isNaN(voice.started)) this.#startRelease(voice, time);
  }

  /** The sustain pedal. @param {boolean} down */
  set sustained(down) {
    if (this.#sustained === down) return;
    this.#sustained = down;
    if (!down)
      for (const voice of this.#voices)
        if (!voice.down && !Number.isNaN(voice.started)) this.#startRelease(voice);
    this.dispatchEvent(new CustomEvent("pedal", { detail: down }));
  }

  /** Stop all notes. */
  silence() {
    for (const voice of [...this.#voices]) {
      if (voice.down) this.#emit("release", voice);
      voice.down = false;
      this.#fade(voice, CUT_SECONDS);
    }
  }

  /** @param {string} type @param {Voice} voice */
  #emit(type, { id, pitch, velocity }) {
    this.dispatchEvent(new CustomEvent(type, { detail: { id, pitch, velocity } }));
  }

  /** Make room for one more voice. */
  #stealVoices() {
    while (this.#voices.size >= MAX_VOICES) {
      const all = [...this.#voices];
      this.#fade(all.find((voice) => !voice.down) ?? all[0], STEAL_SECONDS);
    }
  }

  /**
   * Start with the cached samples; without any, as soon as the note is loaded.
   *
   * @param {Voice} voice
   * @param {{velocity: number, weight: number}[]} mixture
   * @param {number} time s
   */
  #start(voice, mixture, time) {
    const { id, pitch, velocity } = voice;
    const exact = mixture.map((layer) => this.notes.get(id, pitch, layer.velocity));
    if (exact.every(Boolean)) {
      for (const [rank, { weight }] of mixture.entries())
        this.#play(voice, /** @type {Sample} */ (exact[rank]), weight, time);
      return;
    }
    const near = exact.find(Boolean) ?? this.notes.nearest(id, pitch, velocity);
    if (near) this.#play(voice, near, velocityGain(voice, near), time);
    else
      this.notes.whenLoaded(id, pitch, mixture[0].velocity, (sample) => this.#startLate(voice, sample));
  }

  /** Start a note that was loaded after its key went down. @param {Voice} voice @param {Sample} sample */
  #startLate(voice, sample) {
    const context = /** @type {AudioContext} */ (this.engine.context);
    const now = context.currentTime;
    if (voice.ended) return;
    if (now - voice.pressed > MAX_LATE_SECONDS && !voice.down) return this.#end(voice);
    this.#play(voice, sample, velocityGain(voice, sample), now);
    if (!voice.down && !this.#sustained) this.#startRelease(voice, now + MIN_LATE_SECONDS);
  }

  /**
   * @param {Voice} voice
   * @param {Sample} sample
   * @param {number} sampleGain
   * @param {number} time s
   */
  #play(voice, sample, sampleGain, time) {
    const context = /** @type {AudioContext} */ (this.engine.context);
    const { buffer, sustain } = sample;
    const playbackRate = 2 ** ((voice.pitch - sample.pitch) / 12);
    const source = new AudioBufferSourceNode(context, { buffer, playbackRate });
    const level = sampleGain * this.notes.gain(voice.id);
    const gain = new GainNode(context, { gain: 0 });
    const start = Math.max(time, context.currentTime);
    gain.gain.setValueAtTime(0, start).linearRampToValueAtTime(level, start + ATTACK_SECONDS);
    if (sustain.loop) {
      source.loop = true;
      source.loopStart = sustain.loop.start;
      source.loopEnd = sustain.loop.end;
      if (sustain.decay > 0) {
        const constant = 20 / Math.LN10 / (sustain.decay * playbackRate); // s to decay to 1/e
        gain.gain.setTargetAtTime(0, start + sustain.decayStart / playbackRate, constant);
      }
    }
    source.connect(gain).connect(voice.output);
    source.start(start);
    source.addEventListener("ended", () => {
      if (voice.parts.every((part) => part.source === source) && voice.parts.length)
        this.#end(voice);
    });
    voice.started = start;
    voice.parts.push({ source, sample, gain, level });
  }

  /**
   * Crossfade to the release.
   *
   * @param {Voice} voice
   * @param {number} [time] s
   */
  #startRelease(voice, time) {
    if (voice.ended) return;
    const context = /** @type {AudioContext} */ (this.engine.context);
    const start = Math.max(time ?? 0, context.currentTime, voice.started);
    this.#remove(voice);
    let longest = DAMP_SECONDS * FADE_CONSTANTS;
    for (const part of voice.parts) {
      const { sample, source, gain } = part;
      const rate = source.playbackRate.value;
      const scale = releaseGain(sample, (start - voice.started) * rate);
      if (scale === null) {
        gain.gain.setTargetAtTime(0, start, DAMP_SECONDS);
        source.stop(start + DAMP_SECONDS * FADE_CONSTANTS);
        continue;
      }
      gain.gain.setTargetAtTime(0, start, CROSSFADE_SECONDS / 3);
      source.stop(start + CROSSFADE_SECONDS * FADE_CONSTANTS);
      const release = new AudioBufferSourceNode(context, {
        buffer: sample.buffer,
        playbackRate: rate,
      });
      const fadeIn = new GainNode(context, { gain: 0 });
      fadeIn.gain
        .setValueAtTime(0, start)
        .linearRampToValueAtTime(part.level * scale, start + CROSSFADE_SECONDS);
      release.connect(fadeIn).connect(voice.output);
      release.start(start, sample.sustain.keyUp);
      longest = Math.max(longest, (sample.buffer.duration - sample.sustain.keyUp) / rate);
    }
    const until = start + longest - context.currentTime;
    setTimeout(() => voice.output.disconnect(), (until + 0.1) * 1000);
  }

  /** It can no longer be released or stolen. @param {Voice} voice */
  #remove(voice) {
    voice.ended = true;
    this.#voices.delete(voice);
  }

  /** @param {Voice} voice @param {number} constant s, time constant of the fade */
  #fade(voice, constant) {
    const context = /** @type {AudioContext} */ (this.engine.context);
    const now = context.currentTime;
    this.#remove(voice);
    voice.output.gain.setTargetAtTime(0, now, constant);
    for (const { source } of voice.parts) source.stop(now + constant * FADE_CONSTANTS);
    setTimeout(() => voice.output.disconnect(), constant * FADE_CONSTANTS * 1000 + 100);
  }

  /** @param {Voice} voice */
  #end(voice) {
    if (voice.ended) return;
    this.#remove(voice);
    voice.output.disconnect();
  }
}

/** Gain of a sample of another velocity than the voice's. @param {Voice} voice @param {Sample} sample */
function velocityGain(voice, sample) {
  return 10 ** (((voice.velocity - sample.velocity) * VELOCITY_STEP_DB) / 20);
}

/**
 * The gain at which the release continues the note; null if the note has already ended, or if the
 * gain would be too large.
 *
 * @param {Sample} sample
 * @param {number} position s in the sample as if it were not looped
 * @returns {number | null}
 */
export function releaseGain({ sustain }, position) {
  const { loop, decay, decayStart, keyUp, levels } = sustain;
  if (position >= keyUp && !loop) return null;
  const isLooping = loop !== null && position > decayStart;
  const level = isLooping
    ? levelAt(levels, decayStart) * 10 ** ((-decay * (position - decayStart)) / 20)
    : levelAt(levels, position);
  const gain = level / Math.max(levelAt(levels, keyUp - 0.01), 1e-6);
  return gain <= MAX_RELEASE_GAIN ? gain : null;
}

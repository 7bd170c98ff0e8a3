/**
 * Voices: keys that go down and up, heard at once.
 *
 * A voice plays one or two samples (the velocity layers around what was struck), or, while the
 * exact one is on its way, the nearest there is at another speed. At key-up it goes over to the
 * release that the note was rendered with, brought to the level that it has then.
 */

import { levelAt } from "./sustain-loop.js";

export const MOST = 32; // voices at once
const STEAL = 0.006; // s, time constant of a stolen voice's fade
const CUT = 0.02; // s, of a key struck again
const DAMPED = 0.05; // s, of a note without a release of its own
const JOIN = 0.012; // s, in which the release takes over
const ATTACK = 0.001; // s, against clicks
const SHORTEST = 0.12; // s that a note sounds which came after the key was up
const LATEST = 1.2; // s after which a note that came late is not played any more
const PER_STEP = 0.2; // dB of loudness a velocity step, where only another layer is there
const MOST_RAISED = 4; // gain, at which a release is still played rather than a fade
const GONE = 8; // time constants after which a fade is silence

/**
 * @typedef {import("./note-cache.js").Sample} Sample
 *
 * @typedef {Object} Voice
 * @property {string} id
 * @property {number} pitch MIDI number
 * @property {number} velocity MIDI velocity
 * @property {number} pressed s, on the context's clock
 * @property {number} started s; NaN until a sample was there
 * @property {{source: AudioBufferSourceNode, sample: Sample, gain: GainNode, level: number}[]} parts
 * @property {GainNode} output
 * @property {boolean} down the key
 * @property {boolean} ended
 */

/** Events: `press` and `release` (detail: {id, pitch, velocity}). */
export class Voices extends EventTarget {
  /** @type {Set<Voice>} in the order of their start */
  #voices = new Set();
  #sustained = false;

  /**
   * @param {import("./engine.js").Engine} engine
   * @param {import("./note-cache.js").Notes} notes
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
   * A key goes down.
   *
   * @param {string} id
   * @param {number} pitch MIDI number
   * @param {number} velocity MIDI velocity 1..127
   * @param {number} [at] s on the context's clock; now without it
   * @returns {Voice | null} null while the page may not sound
   */
  press(id, pitch, velocity, at) {
    const { context, input } = this.engine;
    const mixture = this.notes.mixture(velocity);
    for (const [place, layer] of mixture.entries())
      this.notes.want(id, pitch, layer.velocity, place === 0);
    if (!context || !input) return null;
    for (const voice of this.#voices)
      if (voice.pitch === pitch && voice.id === id) this.#fade(voice, CUT);
    this.#makeRoom();

    const now = at ?? context.currentTime;
    const output = new GainNode(context);
    output.connect(input);
    /** @type {Voice} */
    const voice = {
      ...{ id, pitch, velocity, output, pressed: now, started: NaN },
      ...{ parts: [], down: true, ended: false },
    };
    this.#voices.add(voice);
    this.#start(voice, mixture, now);
    this.#tell("press", voice);
    return voice;
  }

  /**
   * A key goes up. With the pedal down the note goes on.
   *
   * @param {Voice} voice
   * @param {number} [at] s on the context's clock; now without it
   */
  release(voice, at) {
    if (!voice.down) return;
    voice.down = false;
    this.#tell("release", voice);
    if (!this.#sustained && !Number.isNaN(voice.started)) this.#letGo(voice, at);
  }

  /** @param {boolean} down the sustain pedal */
  set sustained(down) {
    if (this.#sustained === down) return;
    this.#sustained = down;
    if (!down)
      for (const voice of this.#voices)
        if (!voice.down && !Number.isNaN(voice.started)) this.#letGo(voice);
    this.dispatchEvent(new CustomEvent("pedal", { detail: down }));
  }

  /** All notes off. */
  silence() {
    for (const voice of [...this.#voices]) {
      if (voice.down) this.#tell("release", voice);
      voice.down = false;
      this.#fade(voice, CUT);
    }
  }

  /** @param {string} type @param {Voice} voice */
  #tell(type, { id, pitch, velocity }) {
    this.dispatchEvent(new CustomEvent(type, { detail: { id, pitch, velocity } }));
  }

  #makeRoom() {
    while (this.#voices.size >= MOST) {
      const all = [...this.#voices];
      this.#fade(all.find((voice) => !voice.down) ?? all[0], STEAL);
    }
  }

  /**
   * Start with what is there; if nothing is, when the note comes.
   *
   * @param {Voice} voice
   * @param {{velocity: number, share: number}[]} mixture
   * @param {number} at s
   */
  #start(voice, mixture, at) {
    const { id, pitch, velocity } = voice;
    const exact = mixture.map((layer) => this.notes.get(id, pitch, layer.velocity));
    if (exact.every(Boolean)) {
      for (const [place, { share }] of mixture.entries())
        this.#play(voice, /** @type {Sample} */ (exact[place]), share, at);
      return;
    }
    const near = exact.find(Boolean) ?? this.notes.nearest(id, pitch, velocity);
    if (near) {
      const louder = 10 ** (((velocity - near.velocity) * PER_STEP) / 20);
      this.#play(voice, near, louder, at);
      return;
    }
    this.notes.when(id, pitch, mixture[0].velocity, (sample) => this.#late(voice, sample));
  }

  /** The note of a key that has waited for it. @param {Voice} voice @param {Sample} sample */
  #late(voice, sample) {
    const context = /** @type {AudioContext} */ (this.engine.context);
    if (voice.ended) return;
    if (context.currentTime - voice.pressed > LATEST && !voice.down) return this.#end(voice);
    const louder = 10 ** (((voice.velocity - sample.velocity) * PER_STEP) / 20);
    this.#play(voice, sample, louder, context.currentTime);
    if (!voice.down && !this.#sustained) this.#letGo(voice, context.currentTime + SHORTEST);
  }

  /**
   * @param {Voice} voice
   * @param {Sample} sample
   * @param {number} share gain
   * @param {number} at s
   */
  #play(voice, sample, share, at) {
    const context = /** @type {AudioContext} */ (this.engine.context);
    const { buffer, held } = sample;
    const playbackRate = 2 ** ((voice.pitch - sample.pitch) / 12);
    const source = new AudioBufferSourceNode(context, { buffer, playbackRate });
    const level = share * this.notes.gain(voice.id);
    const gain = new GainNode(context, { gain: 0 });
    const start = Math.max(at, context.currentTime);
    gain.gain.setValueAtTime(0, start).linearRampToValueAtTime(level, start + ATTACK);
    if (held.loop) {
      source.loop = true;
      source.loopStart = held.loop.start;
      source.loopEnd = held.loop.end;
      if (held.fall > 0) {
        const constant = 20 / Math.LN10 / (held.fall * playbackRate); // s to fall to 1/e
        gain.gain.setTargetAtTime(0, start + held.fallsFrom / playbackRate, constant);
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
   * Over to the release.
   *
   * @param {Voice} voice
   * @param {number} [at] s
   */
  #letGo(voice, at) {
    if (voice.ended) return;
    const context = /** @type {AudioContext} */ (this.engine.context);
    const start = Math.max(at ?? 0, context.currentTime, voice.started);
    this.#leave(voice);
    let longest = DAMPED * GONE;
    for (const part of voice.parts) {
      const { sample, source, gain } = part;
      const rate = source.playbackRate.value;
      const raised = releaseGain(sample, (start - voice.started) * rate);
      if (raised === null) {
        gain.gain.setTargetAtTime(0, start, DAMPED);
        source.stop(start + DAMPED * GONE);
        continue;
      }
      gain.gain.setTargetAtTime(0, start, JOIN / 3);
      source.stop(start + JOIN * GONE);
      const release = new AudioBufferSourceNode(context, {
        buffer: sample.buffer,
        playbackRate: rate,
      });
      const rising = new GainNode(context, { gain: 0 });
      rising.gain
        .setValueAtTime(0, start)
        .linearRampToValueAtTime(part.level * raised, start + JOIN);
      release.connect(rising).connect(voice.output);
      release.start(start, sample.held.held);
      longest = Math.max(longest, (sample.buffer.duration - sample.held.held) / rate);
    }
    const until = start + longest - context.currentTime;
    setTimeout(() => voice.output.disconnect(), (until + 0.1) * 1000);
  }

  /** No longer among those that can be let go or stolen. @param {Voice} voice */
  #leave(voice) {
    voice.ended = true;
    this.#voices.delete(voice);
  }

  /** @param {Voice} voice @param {number} constant s, time constant of the fade */
  #fade(voice, constant) {
    const context = /** @type {AudioContext} */ (this.engine.context);
    const now = context.currentTime;
    this.#leave(voice);
    voice.output.gain.setTargetAtTime(0, now, constant);
    for (const { source } of voice.parts) source.stop(now + constant * GONE);
    setTimeout(() => voice.output.disconnect(), constant * GONE * 1000 + 100);
  }

  /** @param {Voice} voice */
  #end(voice) {
    if (voice.ended) return;
    this.#leave(voice);
    voice.output.disconnect();
  }
}

/**
 * What the release must be multiplied by to go on from where the note is; null where it has none
 * that could be heard, or would be raised beyond measure.
 *
 * @param {Sample} sample
 * @param {number} place s in the sample as if it were not looped
 * @returns {number | null}
 */
export function releaseGain({ held }, place) {
  const { loop, fall, fallsFrom, levels } = held;
  const after = levelAt(levels, held.held - 0.01);
  if (place >= held.held && !loop) return null;
  const looped = loop !== null && place > fallsFrom;
  const now = looped
    ? levelAt(levels, fallsFrom) * 10 ** ((-fall * (place - fallsFrom)) / 20)
    : levelAt(levels, place);
  const gain = now / Math.max(after, 1e-6);
  return gain <= MOST_RAISED ? gain : null;
}

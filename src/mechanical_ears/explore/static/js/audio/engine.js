/**
 * The way to the loudspeakers.
 *
 *     voices → input → volume → soft limit → analyser → loudspeakers
 *
 * A browser lets a page sound only after a gesture: until then there is no context, and `awake` is
 * false. Nothing here looks ahead, so that nothing is added to the latency.
 */

const HEADROOM = 4; // of full scale, that the limit takes in
const LINEAR = 0.7; // of full scale, up to which nothing is changed
const CURVE_POINTS = 8193; // odd: one of them is 0
const FFT = 8192; // samples of the analyser's window
const WAKING = 400; // ms to wait for the context to run

/**
 * Samples of the limit's curve: x up to LINEAR, then towards 1 as tanh does.
 *
 * @returns {Float32Array<ArrayBuffer>}
 */
export function limitCurve() {
  const curve = new Float32Array(CURVE_POINTS);
  const room = 1 - LINEAR;
  for (let i = 0; i < CURVE_POINTS; i++) {
    const x = ((2 * i) / (CURVE_POINTS - 1) - 1) * HEADROOM;
    const over = Math.abs(x) - LINEAR;
    curve[i] = over <= 0 ? x : Math.sign(x) * (LINEAR + room * Math.tanh(over / room));
  }
  return curve;
}

/** Events: `state` when it wakes or falls asleep. */
export class Engine extends EventTarget {
  /** @type {AudioContext | null} */
  context = null;
  /** @type {AnalyserNode | null} */
  analyser = null;
  /** @type {GainNode | null} */
  input = null;
  /** @type {GainNode | null} */
  #volume = null;
  #level = 1;
  #decoder = new OfflineAudioContext(1, 1, 48_000);

  get awake() {
    return this.context?.state === "running";
  }

  /**
   * Begin to sound; to be called in the handler of a gesture.
   *
   * @returns {Promise<boolean>} whether the browser allowed it
   */
  async wake() {
    if (!this.context) this.#build();
    const context = /** @type {AudioContext} */ (this.context);
    if (context.state !== "running") {
      // Without permission the promise stays open for ever.
      const late = new Promise((resolve) => setTimeout(resolve, WAKING));
      await Promise.race([context.resume().catch(() => {}), late]);
    }
    return this.awake;
  }

  #build() {
    const context = new AudioContext({ latencyHint: "interactive" });
    this.input = new GainNode(context);
    this.#volume = new GainNode(context, { gain: this.#level / HEADROOM });
    const limit = new WaveShaperNode(context, { curve: limitCurve() });
    this.analyser = new AnalyserNode(context, { fftSize: FFT, smoothingTimeConstant: 0 });
    this.input.connect(this.#volume).connect(limit).connect(this.analyser);
    this.analyser.connect(context.destination);
    context.addEventListener("statechange", () => this.dispatchEvent(new Event("state")));
    this.context = context;
  }

  /** s from a note's start to the ear, as far as the browser knows. */
  get latency() {
    return (this.context?.baseLatency ?? 0) + (this.context?.outputLatency ?? 0);
  }

  /** @param {number} level 0..2, 1 leaves the loudness as it is */
  set volume(level) {
    this.#level = level;
    if (this.context && this.#volume)
      this.#volume.gain.setTargetAtTime(level / HEADROOM, this.context.currentTime, 0.02);
  }

  /** Play samples as they are. @param {AudioBuffer} buffer */
  async play(buffer) {
    if (!(await this.wake())) return;
    const source = new AudioBufferSourceNode(/** @type {AudioContext} */ (this.context), { buffer });
    source.connect(/** @type {GainNode} */ (this.input));
    source.start();
  }

  /**
   * Samples of an audio file at 48 kHz; works before the page may sound.
   *
   * @param {ArrayBuffer} data
   * @returns {Promise<AudioBuffer>}
   * @throws {DOMException} it is no audio that the browser can read
   */
  decode(data) {
    return this.#decoder.decodeAudioData(data);
  }
}

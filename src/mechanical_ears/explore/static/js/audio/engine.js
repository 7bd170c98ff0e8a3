/**
 * Audio output.
 *
 *     voices → input → volume → soft limiter → analyser → loudspeakers
 *
 * A browser lets a page play sound only after a user gesture; until then there is no context, and
 * `awake` is false. The limiter has no look-ahead, so it adds no latency.
 */

const HEADROOM = 4; // × full scale, the largest input of the limiter
const LINEAR = 0.7; // × full scale, below which the limiter changes nothing
const CURVE_POINTS = 8193; // odd, so that one point is 0
const FFT_SIZE = 8192; // samples of the analyser's window
const RESUME_MS = 400; // ms to wait for the context to run

/**
 * The limiter's curve: x up to LINEAR, then a tanh towards 1.
 *
 * @returns {Float32Array<ArrayBuffer>}
 */
export function limitCurve() {
  const curve = new Float32Array(CURVE_POINTS);
  const range = 1 - LINEAR;
  for (let i = 0; i < CURVE_POINTS; i++) {
    const x = ((2 * i) / (CURVE_POINTS - 1) - 1) * HEADROOM;
    const over = Math.abs(x) - LINEAR;
    curve[i] = over <= 0 ? x : Math.sign(x) * (LINEAR + range * Math.tanh(over / range));
  }
  return curve;
}

/** Events: `state` when sound is turned on or off. */
export class Engine extends EventTarget {
  /** @type {AudioContext | null} */
  context = null;
  /** @type {AnalyserNode | null} */
  analyser = null;
  /** @type {GainNode | null} */
  input = null;
  /** @type {GainNode | null} */
  #volume = null;
  #gain = 1;
  #decoder = new OfflineAudioContext(1, 1, 48_000);

  get awake() {
    return this.context?.state === "running";
  }

  /**
   * Turn on sound; call this in the handler of a user gesture.
   *
   * @returns {Promise<boolean>} whether the browser allows it
   */
  async wake() {
    if (!this.context) this.#createContext();
    const context = /** @type {AudioContext} */ (this.context);
    if (context.state !== "running") {
      // Without permission the promise never settles.
      const timeout = new Promise((resolve) => setTimeout(resolve, RESUME_MS));
      await Promise.race([context.resume().catch(() => {}), timeout]);
    }
    return this.awake;
  }

  #createContext() {
    const context = new AudioContext({ latencyHint: "interactive" });
    this.input = new GainNode(context);
    this.#volume = new GainNode(context, { gain: this.#gain / HEADROOM });
    const limiter = new WaveShaperNode(context, { curve: limitCurve() });
    this.analyser = new AnalyserNode(context, { fftSize: FFT_SIZE, smoothingTimeConstant: 0 });
    this.input.connect(this.#volume).connect(limiter).connect(this.analyser);
    this.analyser.connect(context.destination);
    context.addEventListener("statechange", () => this.dispatchEvent(new Event("state")));
    this.context = context;
  }

  /** Output latency in s, as far as the browser knows. */
  get latency() {
    return (this.context?.baseLatency ?? 0) + (this.context?.outputLatency ?? 0);
  }

  /** @param {number} gain 0..2, 1 leaves the loudness unchanged */
  set volume(gain) {
    this.#gain = gain;
    if (this.context && this.#volume)
      this.#volume.gain.setTargetAtTime(gain / HEADROOM, this.context.currentTime, 0.02);
  }

  /** Play a sound. @param {AudioBuffer} buffer */
  async play(buffer) {
    if (!(await this.wake())) return;
    const source = new AudioBufferSourceNode(/** @type {AudioContext} */ (this.context), { buffer });
    source.connect(/** @type {GainNode} */ (this.input));
    source.start();
  }

  /**
   * Decode an audio file to 48 kHz; works before sound is turned on.
   *
   * @param {ArrayBuffer} data
   * @returns {Promise<AudioBuffer>}
   * @throws {DOMException} if the browser cannot decode it
   */
  decode(data) {
    return this.#decoder.decodeAudioData(data);
  }
}

/**
 * Live pictures of the sound: the waveform, and a waterfall of spectra that rise from the keys.
 *
 * If the person prefers reduced motion, the waterfall is replaced by a curve of the spectrum that is
 * redrawn a few times a second while something sounds.
 */

import { colour } from "../families.js";
import { binEdges, pixelLevels, colourRamp } from "./spectrum.js";

const WAVE_SAMPLES = 1200; // samples of the waveform that are shown
const CURVE_MS = 400; // ms between two curves with reduced motion
const RUN_OUT_MS = 2500; // ms that the display keeps running in silence
const SILENCE_AMPLITUDE = 0.0005; // of full scale

export class LiveDisplay {
  #runUntil = 0; // ms
  #running = false;
  #lastCurve = 0; // ms
  #reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
  /** @type {Uint32Array | null} */
  #ramp = null;
  /** @type {Float32Array<ArrayBuffer>} */
  #wave = new Float32Array(0);
  /** @type {Float32Array<ArrayBuffer>} */
  #decibels = new Float32Array(0);
  /** @type {Float32Array} */
  #edges = new Float32Array(1);
  #levels = new Float32Array(0);

  /**
   * @param {HTMLCanvasElement} scope
   * @param {HTMLCanvasElement} waterfall
   * @param {import("../audio/engine.js").Engine} engine
   * @param {import("../play/piano.js").Piano} piano
   */
  constructor(scope, waterfall, engine, piano) {
    this.scope = scope;
    this.waterfall = waterfall;
    this.engine = engine;
    this.piano = piano;
    new ResizeObserver(() => this.#resize()).observe(waterfall);
    new ResizeObserver(() => this.#resize()).observe(scope);
    piano.addEventListener("scroll-keys", () => this.#updateAxis());
    this.#resize();
  }

  /** Read the colours again, after a change of theme or instrument. @param {boolean} [clear] the picture */
  recolour(clear = true) {
    this.background = colour("--map-background");
    this.text = colour("--text");
    this.accent = colour("--accent");
    this.#ramp = colourRamp(this.background, this.accent, this.text);
    if (clear) this.#clear();
    else if (!this.#running) this.#drawWave(null);
  }

  /** Start drawing, when something begins to sound. */
  run() {
    this.#runUntil = performance.now() + RUN_OUT_MS;
    if (this.#running || !this.engine.analyser) return;
    this.#running = true;
    this.#updateAxis();
    requestAnimationFrame(() => this.#frame());
  }

  #resize() {
    for (const canvas of [this.scope, this.waterfall]) {
      canvas.width = Math.max(canvas.clientWidth, 1);
      canvas.height = Math.max(canvas.clientHeight, 1);
    }
    this.#updateAxis();
    this.#clear();
  }

  #updateAxis() {
    const { analyser, context } = this.engine;
    this.#levels = new Float32Array(this.waterfall.width);
    if (!analyser || !context) return;
    const binWidth = context.sampleRate / analyser.fftSize;
    this.#edges = binEdges(this.piano, this.waterfall.width, binWidth);
    this.#decibels = new Float32Array(analyser.frequencyBinCount);
    this.#wave = new Float32Array(analyser.fftSize);
    this.#clear();
  }

  #clear() {
    const ctx = this.waterfall.getContext("2d");
    ctx?.clearRect(0, 0, this.waterfall.width, this.waterfall.height);
    this.#drawWave(null);
  }

  #frame() {
    const { analyser } = this.engine;
    if (!analyser) return;
    analyser.getFloatTimeDomainData(this.#wave);
    const now = performance.now();
    if (peak(this.#wave) > SILENCE_AMPLITUDE) this.#runUntil = now + RUN_OUT_MS;
    if (!this.#reducedMotion.matches) {
      this.#drawWave(this.#wave);
      this.#drawWaterfallRow(analyser);
    } else if (now - this.#lastCurve > CURVE_MS) {
      this.#lastCurve = now;
      this.#drawWave(this.#wave);
      this.#drawCurve(analyser);
    }
    this.#running = now < this.#runUntil && !document.hidden;
    if (this.#running) requestAnimationFrame(() => this.#frame());
    else this.#drawWave(null);
  }

  /** @param {AnalyserNode} analyser */
  #measureLevels(analyser) {
    analyser.getFloatFrequencyData(this.#decibels);
    pixelLevels(this.#decibels, this.#edges, this.#levels);
  }

  /** @param {AnalyserNode} analyser */
  #drawWaterfallRow(analyser) {
    this.#measureLevels(analyser);
    const { width, height } = this.waterfall;
    const ctx = this.waterfall.getContext("2d");
    if (!ctx || !this.#ramp) return;
    ctx.drawImage(this.waterfall, 0, 1, width, height - 1, 0, 0, width, height - 1);
    const row = ctx.createImageData(width, 1);
    const pixels = new Uint32Array(row.data.buffer);
    for (let px = 0; px < width; px++) pixels[px] = this.#ramp[Math.round(255 * this.#levels[px])];
    ctx.putImageData(row, 0, height - 1);
  }

  /** @param {AnalyserNode} analyser */
  #drawCurve(analyser) {
    this.#measureLevels(analyser);
    const { width, height } = this.waterfall;
    const ctx = this.waterfall.getContext("2d");
    if (!ctx) return;
    ctx.clearRect(0, 0, width, height);
    ctx.beginPath();
    ctx.moveTo(0, height);
    for (let px = 0; px < width; px++) ctx.lineTo(px, height * (1 - this.#levels[px]));
    ctx.lineTo(width, height);
    ctx.fillStyle = `rgb(${this.accent?.join(" ")})`;
    ctx.fill();
  }

  /** @param {Float32Array | null} wave null for silence */
  #drawWave(wave) {
    const { width, height } = this.scope;
    const ctx = this.scope.getContext("2d");
    if (!ctx) return;
    ctx.clearRect(0, 0, width, height);
    ctx.lineWidth = 1.5;
    ctx.lineJoin = "round";
    ctx.strokeStyle = `rgb(${(this.accent ?? [128, 128, 128]).join(" ")})`;
    ctx.beginPath();
    const start = wave ? triggerPosition(wave) : 0;
    const gain = wave ? Math.min(0.9 / Math.max(peak(wave), 0.02), 8) : 0;
    for (let px = 0; px <= width; px++) {
      const sample = wave ? wave[start + Math.floor((px / width) * WAVE_SAMPLES)] * gain : 0;
      ctx.lineTo(px, (height / 2) * (1 - sample * 0.9));
    }
    ctx.stroke();
  }
}

/** @param {Float32Array} wave */
function peak(wave) {
  let highest = 0;
  for (const sample of wave) highest = Math.max(highest, Math.abs(sample));
  return highest;
}

/** Where the wave rises through zero towards its highest peak, so that the picture stands still. */
function triggerPosition(/** @type {Float32Array} */ wave) {
  const last = wave.length - WAVE_SAMPLES - 1;
  let [position, highest] = [0, -1];
  for (let i = 0; i < last; i++) if (wave[i] > highest) [position, highest] = [i, wave[i]];
  let start = position;
  while (start > 0 && wave[start] > 0) start--;
  return start;
}

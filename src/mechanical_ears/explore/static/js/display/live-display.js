/**
 * What sounds, live: the wave, and the spectrum of each moment rising from the keys it belongs to.
 * Nothing moves by itself where less motion is wanted: there the spectrum is a still curve, drawn
 * anew a few times a second while something sounds.
 */

import { colour } from "../families.js";
import { binEdges, levelsOf, ramp } from "./spectrum.js";

const WAVE = 1200; // samples of the wave that are shown
const STILL_EVERY = 400; // ms between still pictures
const RUN_OUT = 2500; // ms that the picture runs on in silence
const SILENCE = 0.0005; // of full scale

export class Live {
  #until = 0;
  #running = false;
  #lastStill = 0;
  #reduced = matchMedia("(prefers-reduced-motion: reduce)");
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
    piano.addEventListener("moved", () => this.#axis());
    this.#resize();
  }

  /** After another theme or another instrument's colour. @param {boolean} [anew] without what was drawn */
  recolour(anew = true) {
    this.field = colour("--field");
    this.ink = colour("--ink");
    this.tint = colour("--tint");
    this.#ramp = ramp(this.field, this.tint, this.ink);
    if (anew) this.#blank();
    else if (!this.#running) this.#drawWave(null);
  }

  /** Something begins to sound. */
  run() {
    this.#until = performance.now() + RUN_OUT;
    if (this.#running || !this.engine.analyser) return;
    this.#running = true;
    this.#axis();
    requestAnimationFrame(() => this.#frame());
  }

  #resize() {
    for (const canvas of [this.scope, this.waterfall]) {
      canvas.width = Math.max(canvas.clientWidth, 1);
      canvas.height = Math.max(canvas.clientHeight, 1);
    }
    this.#axis();
    this.#blank();
  }

  #axis() {
    const { analyser, context } = this.engine;
    this.#levels = new Float32Array(this.waterfall.width);
    if (!analyser || !context) return;
    const binWidth = context.sampleRate / analyser.fftSize;
    this.#edges = binEdges(this.piano, this.waterfall.width, binWidth);
    this.#decibels = new Float32Array(analyser.frequencyBinCount);
    this.#wave = new Float32Array(analyser.fftSize);
    this.#blank();
  }

  #blank() {
    const pen = this.waterfall.getContext("2d");
    pen?.clearRect(0, 0, this.waterfall.width, this.waterfall.height);
    this.#drawWave(null);
  }

  #frame() {
    const { analyser } = this.engine;
    if (!analyser) return;
    analyser.getFloatTimeDomainData(this.#wave);
    const now = performance.now();
    if (loudest(this.#wave) > SILENCE) this.#until = now + RUN_OUT;
    if (!this.#reduced.matches) {
      this.#drawWave(this.#wave);
      this.#scroll(analyser);
    } else if (now - this.#lastStill > STILL_EVERY) {
      this.#lastStill = now;
      this.#drawWave(this.#wave);
      this.#curve(analyser);
    }
    this.#running = now < this.#until && !document.hidden;
    if (this.#running) requestAnimationFrame(() => this.#frame());
    else this.#drawWave(null);
  }

  /** @param {AnalyserNode} analyser */
  #measure(analyser) {
    analyser.getFloatFrequencyData(this.#decibels);
    levelsOf(this.#decibels, this.#edges, this.#levels);
  }

  /** @param {AnalyserNode} analyser */
  #scroll(analyser) {
    this.#measure(analyser);
    const { width, height } = this.waterfall;
    const pen = this.waterfall.getContext("2d");
    if (!pen || !this.#ramp) return;
    pen.drawImage(this.waterfall, 0, 1, width, height - 1, 0, 0, width, height - 1);
    const row = pen.createImageData(width, 1);
    const pixels = new Uint32Array(row.data.buffer);
    for (let px = 0; px < width; px++) pixels[px] = this.#ramp[Math.round(255 * this.#levels[px])];
    pen.putImageData(row, 0, height - 1);
  }

  /** @param {AnalyserNode} analyser */
  #curve(analyser) {
    this.#measure(analyser);
    const { width, height } = this.waterfall;
    const pen = this.waterfall.getContext("2d");
    if (!pen) return;
    pen.clearRect(0, 0, width, height);
    pen.beginPath();
    pen.moveTo(0, height);
    for (let px = 0; px < width; px++) pen.lineTo(px, height * (1 - this.#levels[px]));
    pen.lineTo(width, height);
    pen.fillStyle = `rgb(${this.tint?.join(" ")})`;
    pen.fill();
  }

  /** @param {Float32Array | null} wave null for silence */
  #drawWave(wave) {
    const { width, height } = this.scope;
    const pen = this.scope.getContext("2d");
    if (!pen) return;
    pen.clearRect(0, 0, width, height);
    pen.lineWidth = 1.5;
    pen.lineJoin = "round";
    pen.strokeStyle = `rgb(${(this.tint ?? [128, 128, 128]).join(" ")})`;
    pen.beginPath();
    const start = wave ? rising(wave) : 0;
    const gain = wave ? Math.min(0.9 / Math.max(loudest(wave), 0.02), 8) : 0;
    for (let px = 0; px <= width; px++) {
      const sample = wave ? wave[start + Math.floor((px / width) * WAVE)] * gain : 0;
      pen.lineTo(px, (height / 2) * (1 - sample * 0.9));
    }
    pen.stroke();
  }
}

/** @param {Float32Array} wave */
function loudest(wave) {
  let most = 0;
  for (const sample of wave) most = Math.max(most, Math.abs(sample));
  return most;
}

/** Where the wave rises through zero towards its highest peak, so that the picture stands. */
function rising(/** @type {Float32Array} */ wave) {
  const last = wave.length - WAVE - 1;
  let [peak, most] = [0, -1];
  for (let i = 0; i < last; i++) if (wave[i] > most) [peak, most] = [i, wave[i]];
  let start = peak;
  while (start > 0 && wave[start] > 0) start--;
  return start;
}

/** What lies over the points: names of regions, the path walked, the instrument in hand, threads. */

import { colour, familyToken, familyWords } from "../families.js";

const RIPPLE = 900; // ms
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
const NAMED_FROM = 3; // zoom from which single points are named
const MOST_NAMES = 40;
const ABOVE = 14; // px, of a region's name above it

/** @param {[number, number, number]} rgb @param {number} [alpha] */
const css = (rgb, alpha = 1) => `rgb(${rgb.join(" ")} / ${alpha})`;

/**
 * @typedef {Object} Scene all positions in the world
 * @property {{x: number, y: number, family: string | null} | null} current
 * @property {number | null} cursor place of the point under the pointer or the keyboard's cursor
 * @property {{x: number, y: number}[]} trail
 * @property {{from: {x: number, y: number}, to: {x: number, y: number}, amount: number | null} | null} thread
 * @property {{x: number, y: number, name: string, near: number[]} | null} recording
 * @property {{x: number, y: number, time: number}[]} ripples time in ms
 * @property {{family: string, x: number, y: number}[]} regions
 */

export class Overlay {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.ink = this.quiet = this.field = /** @type {[number, number, number]} */ ([128, 128, 128]);
    this.recolour();
  }

  recolour() {
    this.ink = colour("--ink");
    this.quiet = colour("--quiet");
    this.field = colour("--field");
  }

  /**
   * @param {import("./point-index.js").Field} field
   * @param {Scene} scene
   * @param {number} size px of a point
   * @param {number} ratio device pixels a px
   * @param {boolean} still no motion is wanted
   * @returns {boolean} something moves: draw again
   */
  draw(field, scene, size, ratio, still) {
    const { canvas, pen } = this;
    const { view } = field;
    canvas.width = Math.round(view.width * ratio);
    canvas.height = Math.round(view.height * ratio);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, view.width, view.height);
    this.#regions(field, scene);
    this.#trail(view, scene);
    this.#recording(field, scene);
    this.#thread(view, scene);
    if (view.zoom >= NAMED_FROM) this.#names(field, size);
    this.#cursor(field, scene, size);
    this.#current(view, scene, size);
    return !still && this.#ripples(view, scene);
  }

  /** @param {string} text @param {number} x @param {number} y @param {string} paint */
  #halo(text, x, y, paint) {
    const { pen } = this;
    pen.lineJoin = "round";
    pen.lineWidth = 4;
    pen.strokeStyle = css(this.field, 0.8);
    pen.strokeText(text, x, y);
    pen.fillStyle = paint;
    pen.fillText(text, x, y);
  }

  /** @param {import("./point-index.js").Field} field @param {Scene} scene */
  #regions(field, scene) {
    const { pen } = this;
    const strength = Math.max(0, 1 - (field.view.zoom - 1) / 5);
    if (!strength) return;
    pen.font = `600 13px ${FONT}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.globalAlpha = strength;
    /** @type {[number, number][]} */
    const taken = scene.current ? [field.view.toScreen(scene.current.x, scene.current.y)] : [];
    for (const { family, x, y } of scene.regions) {
      let [px, py] = field.view.toScreen(x, y);
      py = Math.max(py - ABOVE, 12);
      while (taken.some(([tx, ty]) => Math.abs(tx - px) < 84 && Math.abs(ty - py) < 18)) py -= 9;
      taken.push([px, py]);
      this.#halo(familyWords(family), px, py, css(this.ink));
    }
    pen.globalAlpha = 1;
  }

  /** @param {import("./view.js").View} view @param {Scene} scene */
  #trail(view, { trail }) {
    const { pen } = this;
    pen.lineCap = "round";
    for (let i = 1; i < trail.length; i++) {
      const [ax, ay] = view.toScreen(trail[i - 1].x, trail[i - 1].y);
      const [bx, by] = view.toScreen(trail[i].x, trail[i].y);
      pen.strokeStyle = css(this.ink, 0.05 + (0.25 * i) / trail.length);
      pen.lineWidth = 1.5;
      pen.beginPath();
      pen.moveTo(ax, ay);
      pen.lineTo(bx, by);
      pen.stroke();
    }
  }

  /** @param {import("./view.js").View} view @param {Scene} scene */
  #thread(view, { thread }) {
    if (!thread) return;
    const { pen } = this;
    const [ax, ay] = view.toScreen(thread.from.x, thread.from.y);
    const [bx, by] = view.toScreen(thread.to.x, thread.to.y);
    pen.strokeStyle = css(this.ink, 0.9);
    pen.lineWidth = 2;
    pen.setLineDash([2, 6]);
    pen.beginPath();
    pen.moveTo(ax, ay);
    pen.lineTo(bx, by);
    pen.stroke();
    pen.setLineDash([]);
    for (const [x, y] of [[ax, ay], [bx, by]]) this.#ring(x, y, 7, 2, css(this.ink));
    if (thread.amount === null) return;
    const [x, y] = [ax + (bx - ax) * thread.amount, ay + (by - ay) * thread.amount];
    pen.beginPath();
    pen.arc(x, y, 9, 0, 2 * Math.PI);
    pen.fillStyle = css(this.field);
    pen.fill();
    this.#ring(x, y, 9, 3, css(this.ink));
  }

  /** @param {number} x @param {number} y @param {number} radius @param {number} width @param {string} paint */
  #ring(x, y, radius, width, paint) {
    const { pen } = this;
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    pen.lineWidth = width;
    pen.strokeStyle = paint;
    pen.stroke();
  }

  /** @param {import("./point-index.js").Field} field @param {Scene} scene */
  #recording(field, { recording }) {
    if (!recording) return;
    const { pen } = this;
    const [x, y] = field.view.toScreen(recording.x, recording.y);
    pen.strokeStyle = css(this.ink, 0.7);
    pen.lineWidth = 1;
    for (const place of recording.near) {
      const [px, py] = field.at(place);
      pen.beginPath();
      pen.moveTo(x, y);
      pen.lineTo(px, py);
      pen.stroke();
    }
    pen.beginPath();
    for (let i = 0; i < 10; i++) {
      const [radius, angle] = [i % 2 ? 5 : 12, (i * Math.PI) / 5 - Math.PI / 2];
      pen.lineTo(x + radius * Math.cos(angle), y + radius * Math.sin(angle));
    }
    pen.closePath();
    pen.fillStyle = css(this.ink);
    pen.fill();
    pen.font = `600 14px ${FONT}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    this.#halo(recording.name, x, y - 22, css(this.ink));
  }

  /** @param {import("./point-index.js").Field} field @param {number} size */
  #names(field, size) {
    const { pen } = this;
    const { view, space } = field;
    pen.font = `12px ${FONT}`;
    pen.textAlign = "center";
    pen.textBaseline = "top";
    /** @type {[number, number, number][]} */
    const taken = [];
    for (let i = 0; i < field.count && taken.length < MOST_NAMES; i++) {
      if (!field.visible[i]) continue;
      const [x, y] = field.at(i);
      if (!view.sees(x, y, -20)) continue;
      const half = pen.measureText(space.name[i]).width / 2 + 5;
      const top = y + size / 2 + 2;
      if (taken.some(([tx, ty, th]) => Math.abs(tx - x) < th + half && Math.abs(ty - top) < 18)) continue;
      taken.push([x, top, half]);
      this.#halo(space.name[i], x, top, css(this.quiet));
    }
  }

  /** @param {import("./point-index.js").Field} field @param {Scene} scene @param {number} size */
  #cursor(field, { cursor }, size) {
    if (cursor === null) return;
    const [x, y] = field.at(cursor);
    this.#ring(x, y, size / 2 + 4, 2, css(this.ink));
  }

  /** @param {import("./view.js").View} view @param {Scene} scene @param {number} size */
  #current(view, { current }, size) {
    if (!current) return;
    const { pen } = this;
    const [x, y] = view.toScreen(current.x, current.y);
    const radius = size / 2 + 5;
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    pen.fillStyle = css(colour(familyToken(current.family)));
    pen.fill();
    this.#ring(x, y, radius, 3, css(this.field));
    this.#ring(x, y, radius + 3, 2.5, css(this.ink));
  }

  /** @param {import("./view.js").View} view @param {Scene} scene */
  #ripples(view, scene) {
    const now = performance.now();
    scene.ripples = scene.ripples.filter(({ time }) => now - time < RIPPLE);
    for (const { x, y, time } of scene.ripples) {
      const age = (now - time) / RIPPLE;
      const [px, py] = view.toScreen(x, y);
      this.#ring(px, py, 10 + 46 * Math.sqrt(age), 2 * (1 - age), css(this.ink, 0.7 * (1 - age)));
    }
    return scene.ripples.length > 0;
  }
}

/** The layer above the points: labels, trail, morph line, recording, cursor and selection. */

import { colour, familyName, familyVariable } from "../families.js";

const RIPPLE_MS = 900; // ms
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
const NAMES_ZOOM = 3; // zoom from which names of instruments are shown
const MAX_NAMES = 40;
const LABEL_OFFSET = 14; // px, of a family's label above its densest part

/** @param {[number, number, number]} rgb @param {number} [alpha] */
const css = (rgb, alpha = 1) => `rgb(${rgb.join(" ")} / ${alpha})`;

/**
 * @typedef {Object} Scene all positions in world units
 * @property {{x: number, y: number, family: string | null} | null} selected
 * @property {number | null} cursor index of the instrument under the pointer or the keyboard's cursor
 * @property {{x: number, y: number}[]} trail former positions of the selected instrument
 * @property {{from: {x: number, y: number}, to: {x: number, y: number}, amount: number | null} | null} morph
 * @property {{x: number, y: number, name: string, near: number[]} | null} recording
 * @property {{x: number, y: number, time: number}[]} ripples time in ms
 * @property {{family: string, x: number, y: number}[]} labels
 */

export class Overlay {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.text = this.muted = this.background = /** @type {[number, number, number]} */ ([128, 128, 128]);
    this.recolour();
  }

  recolour() {
    this.text = colour("--text");
    this.muted = colour("--muted");
    this.background = colour("--map-background");
  }

  /**
   * @param {import("./point-index.js").PointIndex} index
   * @param {Scene} scene
   * @param {number} size px of a point
   * @param {number} ratio device pixels per px
   * @param {boolean} reducedMotion
   * @returns {boolean} whether something moves and the next frame must be drawn as well
   */
  draw(index, scene, size, ratio, reducedMotion) {
    const { canvas, ctx } = this;
    const { view } = index;
    canvas.width = Math.round(view.width * ratio);
    canvas.height = Math.round(view.height * ratio);
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.clearRect(0, 0, view.width, view.height);
    this.#drawLabels(index, scene);
    this.#drawTrail(view, scene);
    this.#drawRecording(index, scene);
    this.#drawMorph(view, scene);
    if (view.zoom >= NAMES_ZOOM) this.#drawNames(index, size);
    this.#drawCursor(index, scene, size);
    this.#drawSelected(view, scene, size);
    return !reducedMotion && this.#drawRipples(view, scene);
  }

  /** Draw text with an outline. @param {string} text @param {number} x @param {number} y @param {string} colour */
  #drawText(text, x, y, colour) {
    const { ctx } = this;
    ctx.lineJoin = "round";
    ctx.lineWidth = 4;
    ctx.strokeStyle = css(this.background, 0.8);
    ctx.strokeText(text, x, y);
    ctx.fillStyle = colour;
    ctx.fillText(text, x, y);
  }

  /** @param {import("./point-index.js").PointIndex} index @param {Scene} scene */
  #drawLabels({ view }, scene) {
    const { ctx } = this;
    const opacity = Math.max(0, 1 - (view.zoom - 1) / 5);
    if (!opacity) return;
    ctx.font = `600 13px ${FONT}`;
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    ctx.globalAlpha = opacity;
    /** @type {[number, number][]} */
    const occupied = scene.selected ? [view.toScreen(scene.selected.x, scene.selected.y)] : [];
    for (const { family, x, y } of scene.labels) {
      let [px, py] = view.toScreen(x, y);
      py = Math.max(py - LABEL_OFFSET, 12);
      while (occupied.some(([ox, oy]) => Math.abs(ox - px) < 84 && Math.abs(oy - py) < 18)) py -= 9;
      occupied.push([px, py]);
      this.#drawText(familyName(family), px, py, css(this.text));
    }
    ctx.globalAlpha = 1;
  }

  /** @param {import("./view.js").View} view @param {Scene} scene */
  #drawTrail(view, { trail }) {
    const { ctx } = this;
    ctx.lineCap = "round";
    for (let i = 1; i < trail.length; i++) {
      const [ax, ay] = view.toScreen(trail[i - 1].x, trail[i - 1].y);
      const [bx, by] = view.toScreen(trail[i].x, trail[i].y);
      ctx.strokeStyle = css(this.text, 0.05 + (0.25 * i) / trail.length);
      ctx.lineWidth = 1.5;
      ctx.beginPath();
      ctx.moveTo(ax, ay);
      ctx.lineTo(bx, by);
      ctx.stroke();
    }
  }

  /** @param {import("./view.js").View} view @param {Scene} scene */
  #drawMorph(view, { morph }) {
    if (!morph) return;
    const { ctx } = this;
    const [ax, ay] = view.toScreen(morph.from.x, morph.from.y);
    const [bx, by] = view.toScreen(morph.to.x, morph.to.y);
    ctx.strokeStyle = css(this.text, 0.9);
    ctx.lineWidth = 2;
    ctx.setLineDash([2, 6]);
    ctx.beginPath();
    ctx.moveTo(ax, ay);
    ctx.lineTo(bx, by);
    ctx.stroke();
    ctx.setLineDash([]);
    for (const [x, y] of [[ax, ay], [bx, by]]) this.#drawRing(x, y, 7, 2, css(this.text));
    if (morph.amount === null) return;
    const [x, y] = [ax + (bx - ax) * morph.amount, ay + (by - ay) * morph.amount];
    ctx.beginPath();
    ctx.arc(x, y, 9, 0, 2 * Math.PI);
    ctx.fillStyle = css(this.background);
    ctx.fill();
    this.#drawRing(x, y, 9, 3, css(this.text));
  }

  /** @param {number} x @param {number} y @param {number} radius @param {number} width @param {string} colour */
  #drawRing(x, y, radius, width, colour) {
    const { ctx } = this;
    ctx.beginPath();
    ctx.arc(x, y, radius, 0, 2 * Math.PI);
    ctx.lineWidth = width;
    ctx.strokeStyle = colour;
    ctx.stroke();
  }

  /** @param {import("./point-index.js").PointIndex} index @param {Scene} scene */
  #drawRecording(index, { recording }) {
    if (!recording) return;
    const { ctx } = this;
    const [x, y] = index.view.toScreen(recording.x, recording.y);
    ctx.strokeStyle = css(this.text, 0.7);
    ctx.lineWidth = 1;
    for (const near of recording.near) {
      const [px, py] = index.position(near);
      ctx.beginPath();
      ctx.moveTo(x, y);
      ctx.lineTo(px, py);
      ctx.stroke();
    }
    ctx.beginPath();
    for (let i = 0; i < 10; i++) {
      const [radius, angle] = [i % 2 ? 5 : 12, (i * Math.PI) / 5 - Math.PI / 2];
      ctx.lineTo(x + radius * Math.cos(angle), y + radius * Math.sin(angle));
    }
    ctx.closePath();
    ctx.fillStyle = css(this.text);
    ctx.fill();
    ctx.font = `600 14px ${FONT}`;
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    this.#drawText(recording.name, x, y - 22, css(this.text));
  }

  /** @param {import("./point-index.js").PointIndex} index @param {number} size */
  #drawNames(index, size) {
    const { ctx } = this;
    const { view, space } = index;
    ctx.font = `12px ${FONT}`;
    ctx.textAlign = "center";
    ctx.textBaseline = "top";
    /** @type {[number, number, number][]} */
    const occupied = [];
    for (let i = 0; i < index.count && occupied.length < MAX_NAMES; i++) {
      if (!index.visible[i]) continue;
      const [x, y] = index.position(i);
      if (!view.contains(x, y, -20)) continue;
      const half = ctx.measureText(space.name[i]).width / 2 + 5;
      const top = y + size / 2 + 2;
      const overlaps = occupied.some(
        ([ox, oy, otherHalf]) => Math.abs(ox - x) < otherHalf + half && Math.abs(oy - top) < 18,
      );
      if (overlaps) continue;
      occupied.push([x, top, half]);
      this.#drawText(space.name[i], x, top, css(this.muted));
    }
  }

  /** @param {import("./point-index.js").PointIndex} index @param {Scene} scene @param {number} size */
  #drawCursor(index, { cursor }, size) {
    if (cursor === null) return;
    const [x, y] = index.position(cursor);
    this.#drawRing(x, y, size / 2 + 4, 2, css(this.text));
  }

  /** @param {import("./view.js").View} view @param {Scene} scene @param {number} size */
  #drawSelected(view, { selected }, size) {
    if (!selected) return;
    const { ctx } = this;
    const [x, y] = view.toScreen(selected.x, selected.y);
    const radius = size / 2 + 5;
    ctx.beginPath();
    ctx.arc(x, y, radius, 0, 2 * Math.PI);
    ctx.fillStyle = css(colour(familyVariable(selected.family)));
    ctx.fill();
    this.#drawRing(x, y, radius, 3, css(this.background));
    this.#drawRing(x, y, radius + 3, 2.5, css(this.text));
  }

  /** @param {import("./view.js").View} view @param {Scene} scene */
  #drawRipples(view, scene) {
    const now = performance.now();
    scene.ripples = scene.ripples.filter(({ time }) => now - time < RIPPLE_MS);
    for (const { x, y, time } of scene.ripples) {
      const age = (now - time) / RIPPLE_MS;
      const [px, py] = view.toScreen(x, y);
      this.#drawRing(px, py, 10 + 46 * Math.sqrt(age), 2 * (1 - age), css(this.text, 0.7 * (1 - age)));
    }
    return scene.ripples.length > 0;
  }
}

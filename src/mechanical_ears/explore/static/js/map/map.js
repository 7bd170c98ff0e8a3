/** The map of instruments: points, overlay, gestures and keyboard. */

import { colour, familyVariable } from "../families.js";
import { listenForGestures } from "./gestures.js";
import { Overlay } from "./overlay.js";
import { PointIndex } from "./point-index.js";
import { PointLayer } from "./point-layer.js";
import { View } from "./view.js";

const MIN_SIZE = 3.5; // px of a point
const MAX_SIZE = 11; // px
const MAX_SIZE_ZOOMED = 26; // px
const GRAB_RADIUS = 20; // px around the selected instrument and the handle of the morph line
const TRAIL_LENGTH = 24; // former positions that are drawn
const FLIGHT_MS = 450; // ms
const ZOOM_STEP = 1.5; // by a key or a button
const ARROWS = /** @type {Record<string, number>} */ ({
  ArrowRight: 0,
  ArrowUp: Math.PI / 2,
  ArrowLeft: Math.PI,
  ArrowDown: -Math.PI / 2,
});

/** @typedef {import("../types.js").Space} Space */

/**
 * Events: `hover` and `select` (detail: index of an instrument), `leave`, `morph` (detail: index of
 * the instrument to morph the selected one with), `amount` (detail: 0..1, of the morph line's handle).
 */
export class SoundMap extends EventTarget {
  view = new View();
  /** @type {PointIndex | null} */
  index = null;
  /** @type {import("./overlay.js").Scene} */
  scene = {
    ...{ selected: null, cursor: null, trail: [], morph: null, recording: null },
    ...{ ripples: [], labels: [] },
  };
  /** @type {Set<number> | null} indices of highlighted instruments; all others are dimmed */
  #highlighted = null;
  #drawRequested = false;
  #reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

  /**
   * @param {HTMLElement} element
   * @param {string[]} families
   */
  constructor(element, families) {
    super();
    this.element = element;
    this.families = families;
    const [points, overlay] = element.querySelectorAll("canvas");
    this.points = new PointLayer(points);
    this.overlay = new Overlay(overlay);
    new ResizeObserver(() => this.#resize()).observe(element);
    this.#resize();
    listenForGestures(element, this.#gestureHandlers());
    element.addEventListener("keydown", (event) => this.#onKey(event));
    element.addEventListener("blur", () => this.setCursor(null));
  }

  /** @param {Space} space */
  setSpace(space) {
    this.index = new PointIndex(space, this.view);
    this.scene.labels = this.index.familyLabels(this.families);
    this.recolour();
  }

  /** Read the colours again, after a change of theme. */
  recolour() {
    if (!this.index) return;
    this.points.setSpace(this.index.space);
    const familyColours = [...this.families, null].map((family) => colour(familyVariable(family)));
    this.points.setColours(familyColours, colour("--text"), colour("--map-background"));
    this.overlay.recolour();
    this.#updateStates();
  }

  /** @param {Set<number>} hidden numbers of the families to hide; −1 for mixtures */
  hide(hidden) {
    const { index } = this;
    if (!index) return;
    for (let i = 0; i < index.count; i++)
      index.visible[i] = hidden.has(index.space.family[i]) ? 0 : 1;
    this.#updateStates();
  }

  /** @param {number[] | null} indices of instruments to highlight; null for none */
  highlight(indices) {
    this.#highlighted = indices && new Set(indices);
    this.#updateStates();
  }

  #updateStates() {
    const { index } = this;
    if (!index) return;
    const state = (/** @type {number} */ i) => {
      if (!index.visible[i]) return 0;
      if (!this.#highlighted) return 2;
      return this.#highlighted.has(i) ? 3 : 1;
    };
    this.points.setStates(Uint8Array.from({ length: index.count }, (_, i) => state(i)));
    this.draw();
  }

  #resize() {
    const box = this.element.getBoundingClientRect();
    this.view.resize(box.width, box.height);
    this.draw();
  }

  /** Size of a point in px: smaller if there are many, larger when zoomed in. */
  get size() {
    const { width, height, zoom } = this.view;
    const spacing = Math.sqrt((width * height) / Math.max(this.index?.count ?? 1, 1));
    const size = Math.min(Math.max(0.5 * spacing, MIN_SIZE), MAX_SIZE);
    return Math.min(size * zoom ** 0.4, MAX_SIZE_ZOOMED);
  }

  /** Draw in the next frame. */
  draw() {
    if (this.#drawRequested) return;
    this.#drawRequested = true;
    requestAnimationFrame(() => {
      this.#drawRequested = false;
      if (this.drawNow()) this.draw();
    });
  }

  /** @returns {boolean} whether something moves and the next frame must be drawn as well */
  drawNow() {
    if (!this.index) return false;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    this.points.draw(this.view, this.size, ratio);
    return this.overlay.draw(this.index, this.scene, this.size, ratio, this.#reducedMotion.matches);
  }

  /** @returns {import("./gestures.js").GestureHandlers} */
  #gestureHandlers() {
    const nearest = (/** @type {number} */ px, /** @type {number} */ py, /** @type {number} */ reach) =>
      this.index?.nearest(px, py, reach) ?? null;
    return {
      hover: (px, py, reach) => {
        const index = nearest(px, py, reach);
        const canGrab = index !== null || this.#grabbedAt(px, py) !== null;
        this.element.classList.toggle("over-point", canGrab);
        if (index === this.scene.cursor) return;
        this.setCursor(index);
        this.#emit(index === null ? "leave" : "hover", index);
      },
      leave: () => {
        this.setCursor(null);
        this.#emit("leave");
      },
      click: (px, py, reach) => {
        const index = nearest(px, py, reach);
        if (index !== null) this.#emit("select", index);
      },
      pan: (dx, dy) => {
        this.view.pan(dx, dy);
        this.draw();
      },
      zoom: (factor, px, py) => this.zoom(factor, px, py),
      grab: (px, py, reach, shift) => {
        const grabbed = this.#grabbedAt(px, py);
        if (grabbed) return grabbed;
        const index = shift ? nearest(px, py, reach) : null;
        if (index !== null) this.#emit("select", index);
        return index !== null ? "line" : null;
      },
      drag: (grabbed, px, py, reach) => {
        const { morph, selected } = this.scene;
        if (grabbed === "handle" && morph) this.#dragHandle(px, py);
        else if (selected) {
          const index = nearest(px, py, 2 * reach);
          this.setCursor(index);
          const [x, y] = this.view.toWorld(px, py);
          const to = index === null ? { x, y } : this.#worldPosition(index);
          this.scene.morph = { from: selected, to, amount: null };
          this.draw();
        }
      },
      drop: (grabbed, px, py, reach) => {
        if (grabbed === "handle") return;
        const index = nearest(px, py, 2 * reach);
        this.scene.morph = null;
        this.draw();
        const { selected } = this.scene;
        if (index !== null && selected && !this.#isWithinGrab(px, py, selected))
          this.#emit("morph", index);
      },
      dragging: (dragging) => {
        this.element.classList.toggle("dragging", dragging);
        if (dragging) this.#emit("leave");
      },
    };
  }

  /** @param {number} px @param {number} py @param {{x: number, y: number}} point world units */
  #isWithinGrab(px, py, { x, y }) {
    const [sx, sy] = this.view.toScreen(x, y);
    return Math.hypot(px - sx, py - sy) < GRAB_RADIUS;
  }

  /** @param {number} px @param {number} py @returns {import("./gestures.js").Grabbed | null} */
  #grabbedAt(px, py) {
    const { morph, selected } = this.scene;
    if (morph && morph.amount !== null) {
      const { from, to, amount } = morph;
      const handle = { x: from.x + (to.x - from.x) * amount, y: from.y + (to.y - from.y) * amount };
      if (this.#isWithinGrab(px, py, handle)) return "handle";
    }
    return selected && this.#isWithinGrab(px, py, selected) ? "line" : null;
  }

  /** Move the handle to the position on the line that is nearest to the pointer. */
  #dragHandle(/** @type {number} */ px, /** @type {number} */ py) {
    const { morph } = this.scene;
    if (!morph) return;
    const [ax, ay] = this.view.toScreen(morph.from.x, morph.from.y);
    const [bx, by] = this.view.toScreen(morph.to.x, morph.to.y);
    const amount = ((px - ax) * (bx - ax) + (py - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2 || 1);
    this.#emit("amount", Math.min(Math.max(amount, 0), 1));
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.index) return;
    const { cursor, selected } = this.scene;
    if (event.key in ARROWS) {
      const from = cursor !== null ? this.#worldPosition(cursor) : (selected ?? this.view);
      const index = this.index.nearestTowards(from.x, from.y, ARROWS[event.key]);
      if (index !== null) {
        this.setCursor(index);
        this.#bringIntoView(index);
        this.#emit("hover", index);
      }
    } else if (event.key === "Enter" && cursor !== null) this.#emit("select", cursor);
    else if (event.code === "KeyM" && cursor !== null && !event.repeat) this.#emit("morph", cursor);
    else if (event.key === "+" || event.key === "=") this.zoomBy(ZOOM_STEP);
    else if (event.key === "-") this.zoomBy(1 / ZOOM_STEP);
    else if (event.code === "Digit0") this.zoomToFit();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {string} type @param {number | null} [detail] */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** @param {number} index */
  #worldPosition(index) {
    const { space } = /** @type {PointIndex} */ (this.index);
    return { x: space.x[index], y: space.y[index] };
  }

  /** Ring the instrument under the pointer or the keyboard's cursor. @param {number | null} index */
  setCursor(index) {
    if (this.scene.cursor === index) return;
    this.scene.cursor = index;
    this.draw();
  }

  /** @param {number} index */
  #bringIntoView(index) {
    const [px, py] = /** @type {PointIndex} */ (this.index).position(index);
    if (!this.view.contains(px, py, -50)) this.fly(this.#worldPosition(index));
  }

  /**
   * @param {number} factor
   * @param {number} px
   * @param {number} py
   */
  zoom(factor, px, py) {
    this.view.zoomAt(factor, px, py);
    this.draw();
  }

  /** Zoom about the cursor, or the selected instrument. */
  zoomBy(factor = ZOOM_STEP) {
    const { cursor, selected } = this.scene;
    const about = cursor !== null ? this.#worldPosition(cursor) : (selected ?? this.view);
    const [px, py] = this.view.toScreen(about.x, about.y);
    const { middle } = this.view;
    if (this.view.contains(px, py)) this.zoom(factor, px, py);
    else this.zoom(factor, middle.x, middle.y);
  }

  zoomToFit() {
    this.fly({ x: 0, y: 0 }, 1);
  }

  /**
   * Move the view smoothly.
   *
   * @param {{x: number, y: number}} target world units
   * @param {number} [zoom]
   */
  fly(target, zoom = this.view.zoom) {
    const from = { x: this.view.x, y: this.view.y, zoom: this.view.zoom };
    const start = performance.now();
    const step = () => {
      const passed = (performance.now() - start) / FLIGHT_MS;
      const progress = this.#reducedMotion.matches ? 1 : Math.min(passed, 1);
      const eased = 1 - (1 - progress) ** 3;
      this.view.zoom = from.zoom * (zoom / from.zoom) ** eased;
      this.view.centre(from.x + (target.x - from.x) * eased, from.y + (target.y - from.y) * eased);
      this.draw();
      if (progress < 1) requestAnimationFrame(step);
    };
    step();
  }

  /**
   * Show the selected instrument.
   *
   * @param {{x: number, y: number, family: string | null} | null} selected
   */
  setSelected(selected) {
    const { trail } = this.scene;
    const last = trail[trail.length - 1];
    if (selected && (!last || last.x !== selected.x || last.y !== selected.y)) {
      trail.push({ x: selected.x, y: selected.y });
      if (trail.length > TRAIL_LENGTH) trail.shift();
    }
    this.scene.selected = selected;
    this.draw();
  }

  /** @param {import("./overlay.js").Scene["morph"]} morph */
  setMorph(morph) {
    this.scene.morph = morph;
    this.draw();
  }

  /** @param {import("./overlay.js").Scene["recording"]} recording */
  setRecording(recording) {
    this.scene.recording = recording;
    this.highlight(recording ? recording.near : null);
  }

  /** Show that the selected instrument plays a note. */
  ripple() {
    const { selected, ripples } = this.scene;
    if (!selected || this.#reducedMotion.matches) return;
    ripples.push({ x: selected.x, y: selected.y, time: performance.now() });
    this.draw();
  }
}

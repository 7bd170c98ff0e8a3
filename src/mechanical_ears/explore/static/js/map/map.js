/** The map: where instruments lie, what is heard there, and the way one has walked. */

import { colour, familyToken } from "../families.js";
import { Field } from "./point-index.js";
import { gestures } from "./gestures.js";
import { Overlay } from "./overlay.js";
import { Points } from "./point-layer.js";
import { View } from "./view.js";

const SMALLEST = 3.5; // px of a point
const LARGEST = 11;
const LARGEST_NEAR = 26; // … zoomed in
const GRIP = 20; // px around the instrument in hand and the thread's handle
const TRAIL = 24; // places of the way that are drawn
const FLIGHT = 450; // ms
const STEP = 1.5; // of zoom, by a key or a button
const ARROWS = /** @type {Record<string, number>} */ ({
  ArrowRight: 0,
  ArrowUp: Math.PI / 2,
  ArrowLeft: Math.PI,
  ArrowDown: -Math.PI / 2,
});

/** @typedef {import("../types.js").Space} Space */

/**
 * Events: `hover` and `choose` (detail: place), `leave`, `join` (detail: place of the instrument
 * that the one in hand is to be morphed with), `amount` (detail: 0..1, of the thread's handle).
 */
export class SoundMap extends EventTarget {
  view = new View();
  /** @type {Field | null} */
  field = null;
  /** @type {import("./overlay.js").Scene} */
  scene = {
    ...{ current: null, cursor: null, trail: [], thread: null, recording: null },
    ...{ ripples: [], regions: [] },
  };
  /** @type {Set<number> | null} places that are lit, all others dim */
  #lit = null;
  #drawing = false;
  #still = matchMedia("(prefers-reduced-motion: reduce)");

  /**
   * @param {HTMLElement} element
   * @param {string[]} families
   */
  constructor(element, families) {
    super();
    this.element = element;
    this.families = families;
    const [points, overlay] = element.querySelectorAll("canvas");
    this.points = new Points(points);
    this.overlay = new Overlay(overlay);
    new ResizeObserver(() => this.#resize()).observe(element);
    this.#resize();
    gestures(element, this.#meanings());
    element.addEventListener("keydown", (event) => this.#key(event));
    element.addEventListener("blur", () => this.point(null));
  }

  /** @param {Space} space */
  setSpace(space) {
    this.field = new Field(space, this.view);
    this.scene.regions = this.field.regions(this.families);
    this.#paint();
  }

  #paint() {
    if (!this.field) return;
    this.points.setSpace(this.field.space);
    const tokens = [...this.families, null].map(familyToken);
    this.points.setColours(tokens.map(colour), colour("--ink"), colour("--field"));
    this.overlay.recolour();
    this.#states();
  }

  recolour() {
    this.#paint();
  }

  /** @param {Set<number>} hidden families that are not shown, by number; −1 mixtures */
  hide(hidden) {
    const { field } = this;
    if (!field) return;
    for (let i = 0; i < field.count; i++)
      field.visible[i] = hidden.has(field.space.family[i]) ? 0 : 1;
    this.#states();
  }

  /** @param {number[] | null} places that are lit, null for none in particular */
  light(places) {
    this.#lit = places && new Set(places);
    this.#states();
  }

  #states() {
    const { field } = this;
    if (!field) return;
    const state = (/** @type {number} */ i) => {
      if (!field.visible[i]) return 0;
      if (!this.#lit) return 2;
      return this.#lit.has(i) ? 3 : 1;
    };
    this.points.setStates(Uint8Array.from({ length: field.count }, (_, i) => state(i)));
    this.draw();
  }

  #resize() {
    const box = this.element.getBoundingClientRect();
    this.view.resize(box.width, box.height);
    this.draw();
  }

  /** px of a point: smaller where there are many, larger when zoomed in. */
  get size() {
    const { width, height, zoom } = this.view;
    const room = Math.sqrt((width * height) / Math.max(this.field?.count ?? 1, 1));
    const whole = Math.min(Math.max(0.5 * room, SMALLEST), LARGEST);
    return Math.min(whole * zoom ** 0.4, LARGEST_NEAR);
  }

  draw() {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      if (this.drawNow()) this.draw();
    });
  }

  /** @returns {boolean} something moves: draw again */
  drawNow() {
    if (!this.field) return false;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    this.points.draw(this.view, this.size, ratio);
    return this.overlay.draw(this.field, this.scene, this.size, ratio, this.#still.matches);
  }

  /** @returns {import("./gestures.js").Meanings} */
  #meanings() {
    const far = (/** @type {number} */ px, /** @type {number} */ py, /** @type {[number, number]} */ at) =>
      Math.hypot(px - at[0], py - at[1]);
    const to = (/** @type {{x: number, y: number}} */ { x, y }) => this.view.toScreen(x, y);
    const near = (/** @type {number} */ px, /** @type {number} */ py, /** @type {number} */ reach) =>
      this.field?.nearest(px, py, reach) ?? null;
    return {
      hover: (px, py, reach) => {
        const place = near(px, py, reach);
        this.element.classList.toggle("over", place !== null || this.#grabs(px, py) !== null);
        if (place === this.scene.cursor) return;
        this.point(place);
        this.#tell(place === null ? "leave" : "hover", place);
      },
      leave: () => {
        this.point(null);
        this.#tell("leave");
      },
      click: (px, py, reach) => {
        const place = near(px, py, reach);
        if (place !== null) this.#tell("choose", place);
      },
      pan: (dx, dy) => {
        this.view.pan(dx, dy);
        this.draw();
      },
      zoom: (factor, px, py) => this.zoom(factor, px, py),
      grab: (px, py, reach, forced) => {
        const what = this.#grabs(px, py);
        if (what) return what;
        const place = forced ? near(px, py, reach) : null;
        if (place !== null) this.#tell("choose", place);
        return place !== null ? "thread" : null;
      },
      drag: (what, px, py, reach) => {
        const { thread, current } = this.scene;
        if (what === "handle" && thread) this.#slide(px, py);
        else if (current) {
          const place = near(px, py, 2 * reach);
          this.point(place);
          const [x, y] = this.view.toWorld(px, py);
          this.scene.thread = { from: current, to: place === null ? { x, y } : this.#xy(place), amount: null };
          this.draw();
        }
      },
      drop: (what, px, py, reach) => {
        if (what === "handle") return;
        const place = near(px, py, 2 * reach);
        this.scene.thread = null;
        this.draw();
        const { current } = this.scene;
        if (place !== null && current && far(px, py, to(current)) > GRIP) this.#tell("join", place);
      },
      moving: (moving) => {
        this.element.classList.toggle("moving", moving);
        if (moving) this.#tell("leave");
      },
    };
  }

  /** @param {number} px @param {number} py @returns {"thread" | "handle" | null} */
  #grabs(px, py) {
    const { thread, current } = this.scene;
    const within = (/** @type {{x: number, y: number}} */ { x, y }) => {
      const [sx, sy] = this.view.toScreen(x, y);
      return Math.hypot(px - sx, py - sy) < GRIP;
    };
    if (thread && thread.amount !== null) {
      const { from, to, amount } = thread;
      if (within({ x: from.x + (to.x - from.x) * amount, y: from.y + (to.y - from.y) * amount }))
        return "handle";
    }
    return current && within(current) ? "thread" : null;
  }

  /** The handle goes to the place of the thread nearest to the pointer. */
  #slide(/** @type {number} */ px, /** @type {number} */ py) {
    const { thread } = this.scene;
    if (!thread) return;
    const [ax, ay] = this.view.toScreen(thread.from.x, thread.from.y);
    const [bx, by] = this.view.toScreen(thread.to.x, thread.to.y);
    const along = ((px - ax) * (bx - ax) + (py - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2 || 1);
    this.#tell("amount", Math.min(Math.max(along, 0), 1));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.field) return;
    const { cursor, current } = this.scene;
    if (event.key in ARROWS) {
      const from = cursor !== null ? this.#xy(cursor) : (current ?? this.view);
      const place = this.field.towards(from.x, from.y, ARROWS[event.key]);
      if (place !== null) {
        this.point(place);
        this.#follow(place);
        this.#tell("hover", place);
      }
    } else if (event.key === "Enter" && cursor !== null) this.#tell("choose", cursor);
    else if (event.code === "KeyM" && cursor !== null && !event.repeat) this.#tell("join", cursor);
    else if (event.key === "+" || event.key === "=") this.zoomBy(STEP);
    else if (event.key === "-") this.zoomBy(1 / STEP);
    else if (event.code === "Digit0") this.whole();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {string} type @param {number | null} [detail] */
  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** @param {number} place */
  #xy(place) {
    const { space } = /** @type {Field} */ (this.field);
    return { x: space.x[place], y: space.y[place] };
  }

  /** @param {number | null} place of the point that is ringed */
  point(place) {
    if (this.scene.cursor === place) return;
    this.scene.cursor = place;
    this.draw();
  }

  /** Keep a point in view. @param {number} place */
  #follow(place) {
    const [px, py] = /** @type {Field} */ (this.field).at(place);
    if (!this.view.sees(px, py, -50)) this.fly(this.#xy(place));
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

  /** By a button or a key: about the point that is ringed, or the instrument in hand. */
  zoomBy(factor = STEP) {
    const { cursor, current } = this.scene;
    const about = cursor !== null ? this.#xy(cursor) : (current ?? this.view);
    const [px, py] = this.view.toScreen(about.x, about.y);
    const { middle } = this.view;
    if (this.view.sees(px, py)) this.zoom(factor, px, py);
    else this.zoom(factor, middle.x, middle.y);
  }

  whole() {
    this.fly({ x: 0, y: 0 }, 1);
  }

  /**
   * @param {{x: number, y: number}} target
   * @param {number} [zoom]
   */
  fly(target, zoom = this.view.zoom) {
    const from = { x: this.view.x, y: this.view.y, zoom: this.view.zoom };
    const begin = performance.now();
    const step = () => {
      const passed = this.#still.matches ? 1 : Math.min((performance.now() - begin) / FLIGHT, 1);
      const eased = 1 - (1 - passed) ** 3;
      this.view.zoom = from.zoom * (zoom / from.zoom) ** eased;
      this.view.centre(from.x + (target.x - from.x) * eased, from.y + (target.y - from.y) * eased);
      this.draw();
      if (passed < 1) requestAnimationFrame(step);
    };
    step();
  }

  /**
   * The instrument in hand.
   *
   * @param {{x: number, y: number, family: string | null} | null} current
   */
  setCurrent(current) {
    const { trail } = this.scene;
    const last = trail[trail.length - 1];
    if (current && (!last || last.x !== current.x || last.y !== current.y)) {
      trail.push({ x: current.x, y: current.y });
      if (trail.length > TRAIL) trail.shift();
    }
    this.scene.current = current;
    this.draw();
  }

  /** @param {import("./overlay.js").Scene["thread"]} thread */
  setThread(thread) {
    this.scene.thread = thread;
    this.draw();
  }

  /** @param {import("./overlay.js").Scene["recording"]} recording */
  setRecording(recording) {
    this.scene.recording = recording;
    this.light(recording ? recording.near : null);
  }

  /** A note sounds at the instrument in hand, or at a point. @param {number | null} [place] */
  ripple(place = null) {
    const at = place === null ? this.scene.current : this.#xy(place);
    if (!at || this.#still.matches) return;
    this.scene.ripples.push({ x: at.x, y: at.y, time: performance.now() });
    this.draw();
  }
}

/** Fingers, mouse and wheel on the map, told as what they mean. */

const STILL = 6; // px that a click may move
const REACH = { mouse: 14, pen: 18, touch: 26 }; // px around a point
const WHEEL = 0.0016; // of zoom a px of the wheel
const PINCH_WHEEL = 0.01; // … of a trackpad's pinch

/**
 * @typedef {Object} Meanings
 * @property {(px: number, py: number, reach: number) => void} hover
 * @property {() => void} leave
 * @property {(px: number, py: number, reach: number) => void} click
 * @property {(dx: number, dy: number) => void} pan
 * @property {(factor: number, px: number, py: number) => void} zoom
 * @property {(px: number, py: number, reach: number, forced: boolean) => "thread" | "handle" | null} grab
 *     what is grabbed there instead of the map
 * @property {(what: "thread" | "handle", px: number, py: number, reach: number) => void} drag
 * @property {(what: "thread" | "handle", px: number, py: number, reach: number) => void} drop
 * @property {(moving: boolean) => void} moving
 */

/**
 * @param {HTMLElement} element
 * @param {Meanings} meanings
 */
export function gestures(element, meanings) {
  /** @type {Map<number, {x: number, y: number}>} */
  const down = new Map();
  /** @type {{x: number, y: number} | null} */
  let start = null;
  let moved = false;
  /** @type {"thread" | "handle" | null} */
  let held = null;

  const place = (/** @type {PointerEvent | WheelEvent} */ event) => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const reach = (/** @type {PointerEvent} */ event) =>
    REACH[/** @type {keyof typeof REACH} */ (event.pointerType)] ?? REACH.mouse;

  element.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    try {
      element.setPointerCapture(event.pointerId);
    } catch {
      // the pointer is up already
    }
    const at = place(event);
    down.set(event.pointerId, at);
    if (down.size > 1) {
      moved = true;
      held = null;
      return;
    }
    start = at;
    moved = false;
    held = meanings.grab(at.x, at.y, reach(event), event.shiftKey);
  });

  element.addEventListener("pointermove", (event) => {
    const at = place(event);
    const before = down.get(event.pointerId);
    if (!before) {
      if (event.pointerType !== "touch") meanings.hover(at.x, at.y, reach(event));
      return;
    }
    if (!moved && start && Math.hypot(at.x - start.x, at.y - start.y) < STILL) return;
    if (!moved) meanings.moving(true);
    moved = true;
    if (down.size === 2) {
      const other = [...down].find(([id]) => id !== event.pointerId)?.[1];
      if (other) pinch(before, at, other);
    } else if (held) meanings.drag(held, at.x, at.y, reach(event));
    else meanings.pan(at.x - before.x, at.y - before.y);
    down.set(event.pointerId, at);
  });

  /**
   * @param {{x: number, y: number}} before
   * @param {{x: number, y: number}} at
   * @param {{x: number, y: number}} other
   */
  function pinch(before, at, other) {
    const factor =
      Math.hypot(at.x - other.x, at.y - other.y) /
      Math.max(Math.hypot(before.x - other.x, before.y - other.y), 1);
    meanings.pan((at.x - before.x) / 2, (at.y - before.y) / 2);
    meanings.zoom(factor, (at.x + other.x) / 2, (at.y + other.y) / 2);
  }

  const up = (/** @type {PointerEvent} */ event) => {
    if (!down.delete(event.pointerId)) return;
    const at = place(event);
    if (down.size) return;
    meanings.moving(false);
    const cancelled = event.type === "pointercancel";
    if (held && moved) meanings.drop(held, at.x, at.y, reach(event));
    else if (!moved && !cancelled) meanings.click(at.x, at.y, reach(event));
    held = null;
  };
  element.addEventListener("pointerup", up);
  element.addEventListener("pointercancel", up);
  element.addEventListener("pointerleave", () => meanings.leave());
  element.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const at = place(event);
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1;
      const speed = event.ctrlKey ? PINCH_WHEEL : WHEEL;
      meanings.zoom(Math.exp(-event.deltaY * lines * speed), at.x, at.y);
    },
    { passive: false },
  );
}

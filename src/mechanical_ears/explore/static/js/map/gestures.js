/** Translates pointer and wheel events on the map into gestures. */

const MAX_CLICK_MOVEMENT = 6; // px that a click may move
const REACH = { mouse: 14, pen: 18, touch: 26 }; // px around a point
const WHEEL_ZOOM = 0.0016; // of zoom for a px of the wheel
const PINCH_ZOOM = 0.01; // … of a trackpad's pinch

/**
 * @typedef {"line" | "handle"} Grabbed a new morph line, or the handle of the present one
 *
 * @typedef {Object} GestureHandlers
 * @property {(px: number, py: number, reach: number) => void} hover
 * @property {() => void} leave
 * @property {(px: number, py: number, reach: number) => void} click
 * @property {(dx: number, dy: number) => void} pan
 * @property {(factor: number, px: number, py: number) => void} zoom
 * @property {(px: number, py: number, reach: number, shift: boolean) => Grabbed | null} grab
 *     returns what is grabbed there instead of the map
 * @property {(grabbed: Grabbed, px: number, py: number, reach: number) => void} drag
 * @property {(grabbed: Grabbed, px: number, py: number, reach: number) => void} drop
 * @property {(dragging: boolean) => void} dragging
 */

/**
 * @param {HTMLElement} element
 * @param {GestureHandlers} handlers
 */
export function listenForGestures(element, handlers) {
  /** @type {Map<number, {x: number, y: number}>} */
  const down = new Map();
  /** @type {{x: number, y: number} | null} */
  let start = null;
  let moved = false;
  /** @type {Grabbed | null} */
  let grabbed = null;

  const position = (/** @type {PointerEvent | WheelEvent} */ event) => {
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
      // the pointer is already up
    }
    const at = position(event);
    down.set(event.pointerId, at);
    if (down.size > 1) {
      moved = true;
      grabbed = null;
      return;
    }
    start = at;
    moved = false;
    grabbed = handlers.grab(at.x, at.y, reach(event), event.shiftKey);
  });

  element.addEventListener("pointermove", (event) => {
    const at = position(event);
    const before = down.get(event.pointerId);
    if (!before) {
      if (event.pointerType !== "touch") handlers.hover(at.x, at.y, reach(event));
      return;
    }
    if (!moved && start && Math.hypot(at.x - start.x, at.y - start.y) < MAX_CLICK_MOVEMENT) return;
    if (!moved) handlers.dragging(true);
    moved = true;
    if (down.size === 2) {
      const other = [...down].find(([id]) => id !== event.pointerId)?.[1];
      if (other) pinch(before, at, other);
    } else if (grabbed) handlers.drag(grabbed, at.x, at.y, reach(event));
    else handlers.pan(at.x - before.x, at.y - before.y);
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
    handlers.pan((at.x - before.x) / 2, (at.y - before.y) / 2);
    handlers.zoom(factor, (at.x + other.x) / 2, (at.y + other.y) / 2);
  }

  const up = (/** @type {PointerEvent} */ event) => {
    if (!down.delete(event.pointerId)) return;
    const at = position(event);
    if (down.size) return;
    handlers.dragging(false);
    const cancelled = event.type === "pointercancel";
    if (grabbed && moved) handlers.drop(grabbed, at.x, at.y, reach(event));
    else if (!moved && !cancelled) handlers.click(at.x, at.y, reach(event));
    grabbed = null;
  };
  element.addEventListener("pointerup", up);
  element.addEventListener("pointercancel", up);
  element.addEventListener("pointerleave", () => handlers.leave());
  element.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const at = position(event);
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1;
      const speed = event.ctrlKey ? PINCH_ZOOM : WHEEL_ZOOM;
      handlers.zoom(Math.exp(-event.deltaY * lines * speed), at.x, at.y);
    },
    { passive: false },
  );
}

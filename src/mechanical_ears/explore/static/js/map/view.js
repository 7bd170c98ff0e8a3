/**
 * The visible part of the map: transforms between world units and pixels.
 *
 *     screen = middle + zoom · fit · (world − centre),  y upwards in the world, downwards on screen
 */

const FILLED = 0.9; // of the screen, by the whole map
const MAX_ZOOM = 60;
const MAX_ASPECT = 1.8; // width to height, to which the map is stretched
const LEGEND_HEIGHT = 40; // px at the bottom, free for the legend
const MAX_CENTRE = 1.1; // world units, of the centre from the origin

export class View {
  width = 1; // px
  height = 1; // px
  zoom = 1;
  x = 0; // world units, of the centre
  y = 0;

  /** @param {number} width px @param {number} height px */
  resize(width, height) {
    this.width = Math.max(width, 1);
    this.height = Math.max(height, 1);
  }

  /** px per world unit, horizontally and vertically. */
  get scale() {
    const halfHeight = ((this.height - LEGEND_HEIGHT) / 2) * FILLED;
    const halfWidth = (this.width / 2) * FILLED;
    const x = Math.min(halfWidth, halfHeight * MAX_ASPECT);
    return { x: x * this.zoom, y: Math.min(halfHeight, halfWidth * MAX_ASPECT) * this.zoom };
  }

  /** Centre of the map on the screen, px. */
  get middle() {
    return { x: this.width / 2, y: (this.height - LEGEND_HEIGHT) / 2 };
  }

  /** @param {number} x @param {number} y @returns {[number, number]} px */
  toScreen(x, y) {
    const { scale, middle } = this;
    return [middle.x + (x - this.x) * scale.x, middle.y - (y - this.y) * scale.y];
  }

  /** @param {number} px @param {number} py @returns {[number, number]} */
  toWorld(px, py) {
    const { scale, middle } = this;
    return [this.x + (px - middle.x) / scale.x, this.y - (py - middle.y) / scale.y];
  }

  /** @param {number} dx px @param {number} dy px */
  pan(dx, dy) {
    const { scale } = this;
    this.centre(this.x - dx / scale.x, this.y + dy / scale.y);
  }

  /** @param {number} x @param {number} y */
  centre(x, y) {
    this.x = Math.min(Math.max(x, -MAX_CENTRE), MAX_CENTRE);
    this.y = Math.min(Math.max(y, -MAX_CENTRE), MAX_CENTRE);
  }

  /**
   * Zoom about a fixed point (px, py) of the screen.
   *
   * @param {number} factor
   * @param {number} px
   * @param {number} py
   */
  zoomAt(factor, px, py) {
    const [x, y] = this.toWorld(px, py);
    this.zoom = Math.min(Math.max(this.zoom * factor, 1), MAX_ZOOM);
    const { scale, middle } = this;
    this.centre(x - (px - middle.x) / scale.x, y + (py - middle.y) / scale.y);
    if (this.zoom === 1) this.centre(0, 0);
  }

  /** @param {number} px @param {number} py @param {number} [margin] px */
  contains(px, py, margin = 0) {
    return px >= -margin && py >= -margin && px <= this.width + margin && py <= this.height + margin;
  }
}

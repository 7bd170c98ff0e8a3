/**
 * Which part of the map is seen.
 *
 *     screen = middle + zoom · fit · (world − centre),  y upwards in the world, downwards on screen
 */

const MARGIN = 0.9; // of the screen, that the whole map fills
const FARTHEST_IN = 60; // zoom
const WIDEST = 1.8; // width to height, to which the map is stretched
const LEGEND = 40; // px at the bottom that the legend takes

export class View {
  width = 1; // px
  height = 1; // px
  zoom = 1;
  x = 0; // world, of the middle
  y = 0;

  /** @param {number} width px @param {number} height px */
  resize(width, height) {
    this.width = Math.max(width, 1);
    this.height = Math.max(height, 1);
  }

  /** px a unit of the world, horizontally and vertically. */
  get scale() {
    const high = ((this.height - LEGEND) / 2) * MARGIN;
    const wide = (this.width / 2) * MARGIN;
    const fit = Math.min(wide, high * WIDEST);
    return { x: fit * this.zoom, y: Math.min(high, wide * WIDEST) * this.zoom };
  }

  /** px of the middle of what is seen. */
  get middle() {
    return { x: this.width / 2, y: (this.height - LEGEND) / 2 };
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
    const bound = 1.1;
    this.x = Math.min(Math.max(x, -bound), bound);
    this.y = Math.min(Math.max(y, -bound), bound);
  }

  /**
   * What is under (px, py) stays there.
   *
   * @param {number} factor
   * @param {number} px
   * @param {number} py
   */
  zoomAt(factor, px, py) {
    const [x, y] = this.toWorld(px, py);
    this.zoom = Math.min(Math.max(this.zoom * factor, 1), FARTHEST_IN);
    const { scale, middle } = this;
    this.centre(x - (px - middle.x) / scale.x, y + (py - middle.y) / scale.y);
    if (this.zoom === 1) this.centre(0, 0);
  }

  /** @param {number} px @param {number} py @param {number} [margin] px */
  sees(px, py, margin = 0) {
    return px >= -margin && py >= -margin && px <= this.width + margin && py <= this.height + margin;
  }
}

/** Finds instruments of the map: at a position, in a direction, by id. */

/** @typedef {import("../types.js").Space} Space */

const MAX_ANGLE = Math.PI / 3; // to each side of an arrow's direction
const ANGLE_WEIGHT = 1.5; // by which points off the direction count as farther away
const NEIGHBOURHOOD = 0.12; // world units, in which the density of a family is counted
const MAX_SAMPLED = 250; // instruments of a family that are counted

export class PointIndex {
  /**
   * @param {Space} space
   * @param {import("./view.js").View} view
   */
  constructor(space, view) {
    this.space = space;
    this.view = view;
    this.count = space.id.length;
    this.visible = new Uint8Array(this.count).fill(1);
    /** @type {Map<string, number>} by id */
    this.indexOf = new Map(space.id.map((id, index) => [id, index]));
  }

  /** Position on the screen. @param {number} index @returns {[number, number]} px */
  position(index) {
    return this.view.toScreen(this.space.x[index], this.space.y[index]);
  }

  /**
   * @param {number} px
   * @param {number} py
   * @param {number} radius px
   * @returns {number | null} index of the nearest visible instrument
   */
  nearest(px, py, radius) {
    const { x, y } = this.space;
    const { scale } = this.view;
    const [wx, wy] = this.view.toWorld(px, py);
    let [best, smallest] = [-1, radius * radius];
    for (let i = 0; i < this.count; i++) {
      const [dx, dy] = [(x[i] - wx) * scale.x, (y[i] - wy) * scale.y];
      const distance = dx * dx + dy * dy;
      if (distance < smallest && this.visible[i]) [best, smallest] = [i, distance];
    }
    return best < 0 ? null : best;
  }

  /**
   * The nearest visible instrument in a direction.
   *
   * @param {number} x of the start, world units
   * @param {number} y
   * @param {number} angle radians, 0 right, π/2 up
   * @returns {number | null} index
   */
  nearestTowards(x, y, angle) {
    const { scale } = this.view;
    let [best, smallest] = [-1, Infinity];
    for (let i = 0; i < this.count; i++) {
      if (!this.visible[i]) continue;
      const [dx, dy] = [(this.space.x[i] - x) * scale.x, (this.space.y[i] - y) * scale.y];
      const distance = Math.hypot(dx, dy);
      if (distance < 0.5) continue;
      const turned = Math.atan2(dy, dx) - angle;
      const off = Math.abs(Math.atan2(Math.sin(turned), Math.cos(turned)));
      if (off > MAX_ANGLE) continue;
      const weighted = distance * (1 + ANGLE_WEIGHT * off * off);
      if (weighted < smallest) [best, smallest] = [i, weighted];
    }
    return best < 0 ? null : best;
  }

  /**
   * Positions of the families' labels: above the densest part of each.
   *
   * @param {string[]} families
   * @returns {{family: string, x: number, y: number}[]} world units
   */
  familyLabels(families) {
    const { x, y } = this.space;
    return families.flatMap((family, number) => {
      const all = [...this.space.family.keys()].filter((i) => this.space.family[i] === number);
      if (all.length < 3) return [];
      const sampled = all.filter((_, i) => i % Math.ceil(all.length / MAX_SAMPLED) === 0);
      const neighbours = (/** @type {number} */ i) =>
        sampled.filter((j) => Math.hypot(x[i] - x[j], y[i] - y[j]) < NEIGHBOURHOOD);
      const densest = sampled.map(neighbours).reduce((a, b) => (b.length > a.length ? b : a));
      const meanX = densest.reduce((sum, i) => sum + x[i], 0) / densest.length;
      return [{ family, x: meanX, y: Math.max(...densest.map((i) => y[i])) }];
    });
  }
}

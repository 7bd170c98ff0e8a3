/** The instruments of the map, and which of them is near what. All in pixels of the screen. */

/** @typedef {import("../types.js").Space} Space */

const CONE = Math.PI / 3; // to each side of an arrow's direction
const SKEW = 1.5; // how much farther what lies askew seems
const NEIGHBOURHOOD = 0.12; // of the world, in which a family is dense
const SAMPLED = 250; // instruments of a family that are looked at for that

export class Field {
  /**
   * @param {Space} space
   * @param {import("./view.js").View} view
   */
  constructor(space, view) {
    this.space = space;
    this.view = view;
    this.count = space.id.length;
    this.visible = new Uint8Array(this.count).fill(1);
    /** @type {Map<string, number>} */
    this.places = new Map(space.id.map((id, place) => [id, place]));
  }

  /** @param {number} place @returns {[number, number]} px */
  at(place) {
    return this.view.toScreen(this.space.x[place], this.space.y[place]);
  }

  /**
   * @param {number} px
   * @param {number} py
   * @param {number} within px
   * @returns {number | null} place of the nearest visible instrument
   */
  nearest(px, py, within) {
    const { x, y } = this.space;
    const { scale } = this.view;
    const [wx, wy] = this.view.toWorld(px, py);
    let [best, least] = [-1, within * within];
    for (let i = 0; i < this.count; i++) {
      const [dx, dy] = [(x[i] - wx) * scale.x, (y[i] - wy) * scale.y];
      const far = dx * dx + dy * dy;
      if (far < least && this.visible[i]) [best, least] = [i, far];
    }
    return best < 0 ? null : best;
  }

  /**
   * The nearest visible instrument in a direction.
   *
   * @param {number} x world, from where
   * @param {number} y
   * @param {number} angle radians, 0 right, π/2 up
   * @returns {number | null}
   */
  towards(x, y, angle) {
    const { scale } = this.view;
    let [best, least] = [-1, Infinity];
    for (let i = 0; i < this.count; i++) {
      if (!this.visible[i]) continue;
      const [dx, dy] = [(this.space.x[i] - x) * scale.x, (this.space.y[i] - y) * scale.y];
      const far = Math.hypot(dx, dy);
      if (far < 0.5) continue;
      const askew = Math.abs(Math.atan2(Math.sin(Math.atan2(dy, dx) - angle), Math.cos(Math.atan2(dy, dx) - angle)));
      if (askew > CONE) continue;
      const felt = far * (1 + SKEW * askew * askew);
      if (felt < least) [best, least] = [i, felt];
    }
    return best < 0 ? null : best;
  }

  /**
   * Where the families' names go: above the densest place of each that has some instruments.
   *
   * @param {string[]} families
   * @returns {{family: string, x: number, y: number}[]} world
   */
  regions(families) {
    const { x, y } = this.space;
    return families.flatMap((family, number) => {
      const all = [...this.space.family.keys()].filter((i) => this.space.family[i] === number);
      if (all.length < 3) return [];
      const some = all.filter((_, i) => i % Math.ceil(all.length / SAMPLED) === 0);
      const near = (/** @type {number} */ i) =>
        some.filter((j) => Math.hypot(x[i] - x[j], y[i] - y[j]) < NEIGHBOURHOOD);
      const densest = some.map(near).reduce((a, b) => (b.length > a.length ? b : a));
      const across = densest.reduce((sum, i) => sum + x[i], 0) / densest.length;
      return [{ family, x: across, y: Math.max(...densest.map((i) => y[i])) }];
    });
  }
}

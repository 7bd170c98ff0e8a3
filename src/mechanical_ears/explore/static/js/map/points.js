/** Ten thousand points in one draw call (WebGL): colour and shape by family. */

const STATES = { hidden: 0, dim: 0.16, plain: 0.9, lit: 1 }; // opacities
const SHAPE_COUNT = 12;

const VERTEX = `
attribute vec2 place;
attribute float family;
attribute float kind;
attribute float opacity;
uniform vec2 centre;
uniform vec2 scale;
uniform float size;
uniform float shift;
uniform vec3 colours[${SHAPE_COUNT}];
varying vec4 paint;
varying float shape;
varying float real;
void main() {
  gl_Position = vec4((place - centre) * scale + vec2(0.0, shift), 0.0, 1.0);
  float lit = step(0.95, opacity);
  gl_PointSize = opacity < 0.01 ? 0.0 : size * (1.0 + 0.7 * lit);
  int wanted = int(family + 0.5);
  vec3 colour = colours[0];
  for (int i = 1; i < ${SHAPE_COUNT}; i++) if (i == wanted) colour = colours[i];
  paint = vec4(colour, opacity);
  shape = family;
  real = kind;
}`;

// Distances to each shape's edge, negative inside, in a box of −1..1.
const FRAGMENT = `
precision mediump float;
uniform float soft;
uniform vec3 ink;
varying vec4 paint;
varying float shape;
varying float real;
float box(vec2 p, vec2 half_size) { vec2 d = abs(p) - half_size; return max(d.x, d.y); }
float away(vec2 p) {
  int s = int(shape + 0.5);
  if (s == 0) return length(p) - 0.8;
  if (s == 1) return box(p, vec2(0.66));
  if (s == 2) return (abs(p.x) + abs(p.y) - 0.9) * 0.707;
  if (s == 3) return max(abs(p.x) * 0.874 + p.y * -0.486 - 0.38, p.y * 1.0 - 0.62) ;
  if (s == 4) return max(abs(p.x) * 0.874 + p.y * 0.486 - 0.38, -p.y - 0.62);
  if (s == 5) return min(box(p, vec2(0.84, 0.27)), box(p, vec2(0.27, 0.84)));
  vec2 q = vec2(p.x + p.y, p.x - p.y) * 0.707;
  if (s == 6) return min(box(q, vec2(0.86, 0.27)), box(q, vec2(0.27, 0.86)));
  if (s == 7) return abs(length(p) - 0.6) - 0.22;
  if (s == 8) return abs(box(p, vec2(0.52))) - 0.19;
  if (s == 9) return box(p, vec2(0.34, 0.86));
  if (s == 10) return box(p, vec2(0.86, 0.34));
  return length(p) - 0.45;
}
void main() {
  vec2 p = gl_PointCoord * 2.0 - 1.0;
  float d = away(p);
  float inside = 1.0 - smoothstep(-soft, soft, d);
  float rim = real * step(soft, 0.25) * (1.0 - smoothstep(-soft, soft, abs(d + soft) - 1.2 * soft));
  float alpha = inside * paint.a;
  gl_FragColor = vec4(mix(paint.rgb, ink, rim) * alpha, alpha);
}`;

/** @param {WebGLRenderingContext} gl @param {number} type @param {string} source */
function shader(gl, type, source) {
  const made = /** @type {WebGLShader} */ (gl.createShader(type));
  gl.shaderSource(made, source);
  gl.compileShader(made);
  return made;
}

export class Points {
  /**
   * @param {HTMLCanvasElement} canvas
   * @returns {Points | null} null where there is no WebGL
   */
  static on(canvas) {
    const gl = canvas.getContext("webgl", { antialias: false, premultipliedAlpha: true });
    return gl ? new Points(canvas, gl) : null;
  }

  #count = 0;
  /** @type {Map<string, WebGLUniformLocation>} */
  #places = new Map();

  /** @param {HTMLCanvasElement} canvas @param {WebGLRenderingContext} gl */
  constructor(canvas, gl) {
    this.canvas = canvas;
    this.gl = gl;
    this.#build();
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      this.#build();
      this.redo?.();
    });
    /** @type {(() => void) | null} called when everything must be given again */
    this.redo = null;
  }

  #build() {
    const { gl } = this;
    const program = /** @type {WebGLProgram} */ (gl.createProgram());
    gl.attachShader(program, shader(gl, gl.VERTEX_SHADER, VERTEX));
    gl.attachShader(program, shader(gl, gl.FRAGMENT_SHADER, FRAGMENT));
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost())
      throw new Error(`the points' shaders: ${gl.getProgramInfoLog(program)}`);
    gl.useProgram(program);
    this.#places.clear();
    this.program = program;
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    /** @type {Record<string, WebGLBuffer>} */
    this.buffers = {};
    for (const name of ["place", "family", "kind", "opacity"])
      this.buffers[name] = /** @type {WebGLBuffer} */ (gl.createBuffer());
  }

  /** @param {string} name @param {number} size @param {number[] | Float32Array} values */
  #attribute(name, size, values) {
    const { gl, program } = this;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array(values), gl.DYNAMIC_DRAW);
    const place = gl.getAttribLocation(/** @type {WebGLProgram} */ (program), name);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, size, gl.FLOAT, false, 0, 0);
  }

  /** @param {string} name */
  #uniform(name) {
    const known = this.#places.get(name);
    if (known) return known;
    const found = this.gl.getUniformLocation(/** @type {WebGLProgram} */ (this.program), name);
    if (found) this.#places.set(name, found);
    return found;
  }

  /** @param {import("../types.js").Space} space */
  setSpace(space) {
    this.#count = space.id.length;
    this.#attribute("place", 2, space.x.flatMap((x, i) => [x, space.y[i]]));
    this.#attribute("family", 1, space.family.map((f) => (f < 0 ? SHAPE_COUNT - 1 : f)));
    this.#attribute("kind", 1, space.kind);
    this.setStates(new Uint8Array(this.#count).fill(2));
  }

  /** @param {Uint8Array} states 0 hidden, 1 dim, 2 plain, 3 lit */
  setStates(states) {
    const opacities = Object.values(STATES);
    this.#attribute("opacity", 1, Float32Array.from(states, (state) => opacities[state]));
  }

  /**
   * @param {[number, number, number][]} colours of the families, 0..255, the mixture's last
   * @param {[number, number, number]} ink
   */
  setColours(colours, ink) {
    const { gl } = this;
    gl.uniform3fv(this.#uniform("colours"), colours.flat().map((value) => value / 255));
    gl.uniform3fv(this.#uniform("ink"), ink.map((value) => value / 255));
  }

  /**
   * @param {import("./view.js").View} view
   * @param {number} size px of a point
   * @param {number} ratio device pixels a px
   */
  draw(view, size, ratio) {
    const { gl, canvas } = this;
    const [width, height] = [Math.round(view.width * ratio), Math.round(view.height * ratio)];
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    const { scale, middle } = view;
    gl.uniform2f(this.#uniform("centre"), view.x, view.y);
    gl.uniform2f(this.#uniform("scale"), (2 * scale.x) / view.width, (2 * scale.y) / view.height);
    gl.uniform1f(this.#uniform("shift"), 1 - (2 * middle.y) / view.height);
    gl.uniform1f(this.#uniform("size"), size * ratio);
    gl.uniform1f(this.#uniform("soft"), 2 / (size * ratio));
    gl.drawArrays(gl.POINTS, 0, this.#count);
  }
}

/** Instrument families: names, colours and shapes. Colour alone does not work for everyone. */

/** Names to show, where they differ from the server's. */
const DISPLAY_NAMES = /** @type {Record<string, string>} */ ({
  synth_lead: "synth lead",
  none: "mixture",
});

/** @param {string | null | undefined} family */
export const familyName = (family) => DISPLAY_NAMES[family ?? "none"] ?? family ?? "";

/** SVG paths of the families' shapes in a box of −1..1, mixtures last; `stroke` for outlines. */
export const SHAPES = [
  { d: "M-1 0A1 1 0 1 1 1 0 1 1 0 1 1-1 0Z" },
  { d: "M-.85-.85H.85V.85H-.85Z" },
  { d: "M0-1.1 1.1 0 0 1.1-1.1 0Z" },
  { d: "M0-1 1 .8H-1Z" },
  { d: "M0 1 1-.8H-1Z" },
  { d: "M-.33-1H.33V-.33H1V.33H.33V1H-.33V.33H-1V-.33H-.33Z" },
  { d: "M-.95-.5-.5-.95 0-.45.5-.95.95-.5.45 0 .95.5.5.95 0 .45-.5.95-.95.5-.45 0Z" },
  { d: "M-.8 0A.8.8 0 1 1 .8 0 .8.8 0 1 1-.8 0Z", stroke: true },
  { d: "M-.7-.7H.7V.7H-.7Z", stroke: true },
  { d: "M-.4-1H.4V1H-.4Z" },
  { d: "M-1-.4H1V.4H-1Z" },
  { d: "M-.5 0A.5.5 0 1 1 .5 0 .5.5 0 1 1-.5 0Z" },
];

/** @type {HTMLElement | undefined} */
let probe;

/**
 * A colour of the style sheet in the current theme.
 *
 * @param {string} variable name of a CSS variable, such as `--text`
 * @returns {[number, number, number]} 0..255
 */
export function colour(variable) {
  if (!probe) {
    probe = document.createElement("i");
    probe.hidden = true;
    document.body.append(probe);
  }
  probe.style.color = `var(${variable})`;
  const [red, green, blue] = getComputedStyle(probe).color.match(/[\d.]+/g)?.map(Number) ?? [];
  return [red ?? 0, green ?? 0, blue ?? 0];
}

/** @param {string | null | undefined} family @returns {string} name of a CSS variable */
export const familyVariable = (family) => `--family-${family ?? "none"}`;

/**
 * An icon of a family: its shape in its colour.
 *
 * @param {string | null | undefined} family
 * @param {string[]} families all families, in the server's order
 */
export function swatch(family, families) {
  const index = families.indexOf(family ?? "");
  const { d, stroke } = SHAPES[index < 0 ? SHAPES.length - 1 : index];
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "-1.2 -1.2 2.4 2.4");
  svg.setAttribute("class", "swatch");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", d);
  const paint = `var(${familyVariable(index < 0 ? null : family)})`;
  path.style.fill = stroke ? "none" : paint;
  path.style.stroke = stroke ? paint : "none";
  path.style.strokeWidth = "0.5";
  svg.append(path);
  return svg;
}

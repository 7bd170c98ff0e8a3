/** Families: words, colours and shapes. Colours alone would not do for everyone. */

/** Name in the server's words → in a musician's. */
const WORDS = /** @type {Record<string, string>} */ ({
  synth_lead: "synth lead",
  none: "mixture",
});

/** @param {string | null | undefined} family */
export const familyWords = (family) => WORDS[family ?? "none"] ?? family ?? "";

/** Shapes of the families, the mixture's last: paths in a box of −1..1, `stroke` for outlines. */
export const PATHS = [
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
 * A colour of the style sheet, in the theme that is on.
 *
 * @param {string} token such as `--ink`
 * @returns {[number, number, number]} 0..255
 */
export function colour(token) {
  if (!probe) {
    probe = document.createElement("i");
    probe.hidden = true;
    document.body.append(probe);
  }
  probe.style.color = `var(${token})`;
  const [red, green, blue] = getComputedStyle(probe).color.match(/[\d.]+/g)?.map(Number) ?? [];
  return [red ?? 0, green ?? 0, blue ?? 0];
}

/** @param {string | null | undefined} family @returns {string} a token */
export const familyToken = (family) => `--family-${family ?? "none"}`;

/**
 * A small picture of a family's shape in its colour.
 *
 * @param {string | null | undefined} family
 * @param {string[]} families all, in the server's order
 */
export function swatch(family, families) {
  const place = families.indexOf(family ?? "");
  const { d, stroke } = PATHS[place < 0 ? PATHS.length - 1 : place];
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "-1.2 -1.2 2.4 2.4");
  svg.setAttribute("class", "swatch");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", d);
  const paint = `var(${familyToken(place < 0 ? null : family)})`;
  path.style.fill = stroke ? "none" : paint;
  path.style.stroke = stroke ? paint : "none";
  path.style.strokeWidth = "0.5";
  svg.append(path);
  return svg;
}

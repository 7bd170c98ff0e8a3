/** Sliders that turn an instrument: brighter, softer attack, noisier, longer. */

const FARTHEST = 3; // standard deviations
const STEP = 0.1;
/** Words at the two ends. */
const ENDS = /** @type {Record<string, [string, string]>} */ ({
  bright: ["dark", "bright"],
  attack: ["sharp", "soft"],
  noisy: ["pure", "noisy"],
  sustain: ["short", "long"],
});
const NAMES = /** @type {Record<string, string>} */ ({
  bright: "Brightness",
  attack: "Attack",
  noisy: "Noisiness",
  sustain: "Sustain",
});

/**
 * @param {HTMLElement} element
 * @param {string[]} qualities
 * @param {import("../session.js").Session} session
 */
export function shape(element, qualities, session) {
  /** @type {Map<string, HTMLInputElement>} */
  const sliders = new Map();
  for (const quality of qualities) {
    const [low, high] = ENDS[quality] ?? ["less", "more"];
    const row = document.createElement("label");
    row.className = "slide";
    const [before, after] = [document.createElement("span"), document.createElement("span")];
    before.textContent = low;
    after.textContent = high;
    before.ariaHidden = after.ariaHidden = "true";
    const slider = document.createElement("input");
    Object.assign(slider, { type: "range", min: -FARTHEST, max: FARTHEST, step: STEP, value: 0 });
    slider.dataset.quality = quality;
    slider.setAttribute("aria-label", NAMES[quality] ?? quality);
    slider.addEventListener("input", () => {
      words(slider);
      session.turn(quality, Number(slider.value));
    });
    slider.addEventListener("dblclick", () => {
      slider.value = "0";
      slider.dispatchEvent(new Event("input"));
    });
    row.append(before, slider, after);
    element.append(row);
    sliders.set(quality, slider);
  }
  const reset = document.createElement("button");
  reset.className = "button reset plain";
  reset.textContent = "As it was";
  reset.addEventListener("click", () => session.plain());
  element.append(reset);

  /** @param {HTMLInputElement} slider */
  function words(slider) {
    const value = Number(slider.value);
    const [low, high] = ENDS[slider.dataset.quality ?? ""] ?? ["less", "more"];
    const text = value ? `${Math.abs(value).toFixed(1)} towards ${value < 0 ? low : high}` : "as it is";
    slider.setAttribute("aria-valuetext", text);
  }

  session.addEventListener("change", () => {
    const turn = session.step?.turn ?? {};
    for (const [quality, slider] of sliders) {
      if (slider.matches(":active")) continue; // the hand knows better
      slider.value = String(turn[quality] ?? 0);
      words(slider);
    }
    reset.disabled = Object.keys(turn).length === 0;
  });
}

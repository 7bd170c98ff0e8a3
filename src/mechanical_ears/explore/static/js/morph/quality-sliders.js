/** Sliders that change the qualities of the selected instrument. */

const MAX_CHANGE = 3; // standard deviations
const STEP = 0.1; // standard deviations
/** Labels of the two ends, by quality. */
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
export function setUpQualitySliders(element, qualities, session) {
  /** @type {Map<string, HTMLInputElement>} */
  const sliders = new Map();
  for (const quality of qualities) {
    const [low, high] = ENDS[quality] ?? ["less", "more"];
    const row = document.createElement("label");
    row.className = "slider-row";
    const [lowLabel, highLabel] = [document.createElement("span"), document.createElement("span")];
    lowLabel.textContent = low;
    highLabel.textContent = high;
    lowLabel.ariaHidden = highLabel.ariaHidden = "true";
    const slider = document.createElement("input");
    Object.assign(slider, { type: "range", min: -MAX_CHANGE, max: MAX_CHANGE, step: STEP, value: 0 });
    slider.dataset.quality = quality;
    slider.setAttribute("aria-label", NAMES[quality] ?? quality);
    slider.addEventListener("input", () => {
      describeValue(slider);
      session.turn(quality, Number(slider.value));
    });
    slider.addEventListener("dblclick", () => {
      slider.value = "0";
      slider.dispatchEvent(new Event("input"));
    });
    row.append(lowLabel, slider, highLabel);
    element.append(row);
    sliders.set(quality, slider);
  }
  const reset = document.createElement("button");
  reset.className = "button reset plain";
  reset.textContent = "Reset";
  reset.addEventListener("click", () => session.resetTurn());
  element.append(reset);

  /** @param {HTMLInputElement} slider */
  function describeValue(slider) {
    const value = Number(slider.value);
    const [low, high] = ENDS[slider.dataset.quality ?? ""] ?? ["less", "more"];
    const text = value ? `${Math.abs(value).toFixed(1)} towards ${value < 0 ? low : high}` : "unchanged";
    slider.setAttribute("aria-valuetext", text);
  }

  session.addEventListener("change", () => {
    const turn = session.step?.turn ?? {};
    for (const [quality, slider] of sliders) {
      if (slider.matches(":active")) continue; // it is being dragged
      slider.value = String(turn[quality] ?? 0);
      describeValue(slider);
    }
    reset.disabled = Object.keys(turn).length === 0;
  });
}

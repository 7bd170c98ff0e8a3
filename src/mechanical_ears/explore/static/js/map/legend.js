/** The legend: what the colours and shapes mean; a click shows one family alone, or all again. */

import { familyWords, swatch } from "../families.js";

/**
 * @param {HTMLElement} list
 * @param {string[]} families
 * @param {import("../types.js").Space} space
 * @param {(hidden: Set<number>) => void} show called with the families not to be shown
 */
export function legend(list, families, space, show) {
  const counts = families.map((_, number) => space.family.filter((f) => f === number).length);
  const mixtures = space.family.filter((f) => f < 0).length;
  const entries = families.map((family, number) => ({ family, number, count: counts[number] }));
  if (mixtures) entries.push({ family: "none", number: -1, count: mixtures });
  const present = entries.filter(({ count }) => count > 0);
  /** @type {Set<number>} */
  const hidden = new Set();
  list.replaceChildren();
  const buttons = present.map(({ family, number, count }) => {
    const button = document.createElement("button");
    const words = document.createElement("span");
    words.textContent = familyWords(family);
    button.append(swatch(family, families), words);
    button.title = `${count} instruments. Click: only these; with Shift: all but these`;
    button.setAttribute("aria-pressed", "true");
    button.addEventListener("click", (event) => press(number, event.shiftKey || event.ctrlKey));
    const item = document.createElement("li");
    item.append(button);
    list.append(item);
    return { button, number };
  });

  /** @param {number} number @param {boolean} single toggle this one and leave the others */
  function press(number, single) {
    const all = present.map((entry) => entry.number);
    const shown = all.filter((each) => !hidden.has(each));
    const alone = shown.length === 1 && shown[0] === number;
    if (single) hidden.has(number) ? hidden.delete(number) : hidden.add(number);
    else if (alone) hidden.clear();
    else if (shown.length === all.length) {
      for (const each of all) if (each !== number) hidden.add(each);
    } else hidden.has(number) ? hidden.delete(number) : hidden.add(number);
    if (hidden.size === all.length) hidden.clear();
    for (const { button, number: each } of buttons)
      button.setAttribute("aria-pressed", String(!hidden.has(each)));
    show(hidden);
  }
}

/** The legend of colours and shapes; a click shows one family alone, or all families again. */

import { familyName, swatch } from "../families.js";

/**
 * @param {HTMLElement} list
 * @param {string[]} families
 * @param {import("../types.js").Space} space
 * @param {(hidden: Set<number>) => void} onChange called with the hidden families
 */
export function legend(list, families, space, onChange) {
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
    const name = document.createElement("span");
    name.textContent = familyName(family);
    button.append(swatch(family, families), name);
    button.title = `${count} instruments. Click: show only these; Shift-click: hide or show these`;
    button.setAttribute("aria-pressed", "true");
    button.addEventListener("click", (event) => press(number, event.shiftKey || event.ctrlKey));
    const item = document.createElement("li");
    item.append(button);
    list.append(item);
    return { button, number };
  });

  /** @param {number} number @param {boolean} alone toggle this family and leave the others as they are */
  function press(number, alone) {
    const all = present.map((entry) => entry.number);
    const shown = all.filter((each) => !hidden.has(each));
    const isOnlyShown = shown.length === 1 && shown[0] === number;
    const allShown = shown.length === all.length;
    if (!alone && isOnlyShown) hidden.clear();
    else if (!alone && allShown) all.filter((each) => each !== number).forEach((each) => hidden.add(each));
    else hidden.has(number) ? hidden.delete(number) : hidden.add(number);
    if (hidden.size === all.length) hidden.clear();
    for (const { button, number: each } of buttons)
      button.setAttribute("aria-pressed", String(!hidden.has(each)));
    onChange(hidden);
  }
}

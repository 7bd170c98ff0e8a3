/** Tabs after the ARIA pattern: arrow keys move from one to the next. */

import { byId } from "./element.js";

const TABS = ["shape", "analysis", "saved"];

/** @param {string} selected @param {boolean} [focus] */
export function showTab(selected, focus = false) {
  for (const name of TABS) {
    const tab = byId(`tab-${name}`);
    const isSelected = name === selected;
    tab.setAttribute("aria-selected", String(isSelected));
    tab.tabIndex = isSelected ? 0 : -1;
    byId(`panel-${name}`).hidden = !isSelected;
    if (isSelected && focus) tab.focus();
  }
}

export function setUpTabs() {
  for (const [index, name] of TABS.entries()) {
    const tab = byId(`tab-${name}`);
    tab.addEventListener("click", () => showTab(name));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) showTab(TABS[(index + step + TABS.length) % TABS.length], true);
    });
  }
}

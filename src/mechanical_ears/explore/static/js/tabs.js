/** Tabs as ARIA has them: arrows go from one to the next. */

import { byId } from "./element.js";

const TABS = ["walk", "ears", "kept"];

/** @param {string} chosen @param {boolean} [focus] */
export function showTab(chosen, focus = false) {
  for (const name of TABS) {
    const tab = byId(`tab-${name}`);
    const on = name === chosen;
    tab.setAttribute("aria-selected", String(on));
    tab.tabIndex = on ? 0 : -1;
    byId(`panel-${name}`).hidden = !on;
    if (on && focus) tab.focus();
  }
}

export function tabs() {
  for (const [place, name] of TABS.entries()) {
    const tab = byId(`tab-${name}`);
    tab.addEventListener("click", () => showTab(name));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) showTab(TABS[(place + step + TABS.length) % TABS.length], true);
    });
  }
}

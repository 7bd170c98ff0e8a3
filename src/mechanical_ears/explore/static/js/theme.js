/** Light or dark theme: the system's, until the button chooses the other one. */

import { byId } from "./element.js";
import { remember, setting } from "./settings.js";

/** @param {() => void} onChange called when the colours have changed */
export function setUpTheme(onChange) {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  let chosen = setting("theme", "");
  const apply = () => {
    root.dataset.theme = chosen || (dark.matches ? "dark" : "light");
    onChange();
  };
  dark.addEventListener("change", apply);
  byId("theme").addEventListener("click", () => {
    const other = root.dataset.theme === "dark" ? "light" : "dark";
    chosen = other === (dark.matches ? "dark" : "light") ? "" : other;
    remember("theme", chosen);
    apply();
  });
  apply();
}

/** Light or dark: as the system has it, until the button says otherwise. */

import { byId } from "./element.js";
import { remember, setting } from "./settings.js";

/** @param {() => void} changed called when colours are others */
export function theme(changed) {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  let chosen = setting("theme", "");
  const show = () => {
    root.dataset.theme = chosen || (dark.matches ? "dark" : "light");
    changed();
  };
  dark.addEventListener("change", show);
  byId("theme").addEventListener("click", () => {
    const other = root.dataset.theme === "dark" ? "light" : "dark";
    chosen = other === (dark.matches ? "dark" : "light") ? "" : other;
    remember("theme", chosen);
    show();
  });
  show();
}

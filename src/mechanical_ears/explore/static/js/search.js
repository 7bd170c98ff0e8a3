/** The search box: finds instruments by family and name, and previews them while one browses. */

import { byId, element } from "./element.js";
import { familyName, swatch } from "./families.js";

const MAX_RESULTS = 40; // in the list
const NONE = -1;

/**
 * @param {import("./types.js").Space} space
 * @param {string[]} families
 * @param {string} query
 * @returns {number[]} indices of instruments; those whose name begins with the query first
 */
export function search(space, families, query) {
  const terms = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (!terms.length) return [];
  /** @type {[number, number][]} */
  const matches = [];
  for (let i = 0; i < space.id.length; i++) {
    const name = space.name[i].toLowerCase();
    const kind = space.kind[i] ? "real recorded" : "imagined";
    const text = `${name} ${familyName(families[space.family[i]])} ${kind}`.toLowerCase();
    if (terms.every((term) => text.includes(term))) matches.push([name.startsWith(terms[0]) ? 0 : 1, i]);
  }
  return matches.sort((a, b) => a[0] - b[0]).map(([, index]) => index);
}

/**
 * Set up the search box.
 *
 * @param {import("./types.js").Space} space
 * @param {string[]} families
 * @param {{highlight: (indices: number[] | null) => void, preview: (index: number) => void,
 *     select: (index: number) => void}} actions
 */
export function setUpSearch(space, families, actions) {
  const field = /** @type {HTMLInputElement} */ (byId("search"));
  const list = byId("search-results");
  /** @type {number[]} */
  let results = [];
  let active = NONE;

  const setOpen = (/** @type {boolean} */ open) => {
    list.hidden = !open;
    field.setAttribute("aria-expanded", String(open));
    if (!open) activate(NONE);
  };

  /** @param {number} row */
  function activate(row) {
    active = row;
    field.removeAttribute("aria-activedescendant");
    for (const [i, option] of [...list.querySelectorAll('[role="option"]')].entries()) {
      option.setAttribute("aria-selected", String(i === row));
      if (i !== row) continue;
      field.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    }
  }

  function showResults() {
    results = search(space, families, field.value);
    actions.highlight(field.value.trim() ? results : null);
    const options = results.slice(0, MAX_RESULTS).map((index, row) => {
      const family = families[space.family[index]];
      const option = element(
        "li",
        { role: "option", id: `result-${row}`, "aria-selected": "false" },
        swatch(family, families),
        element("span", {}, space.name[index]),
        element("small", {}, space.kind[index] ? "recorded" : familyName(family)),
      );
      option.addEventListener("pointerdown", (event) => event.preventDefault()); // keeps the focus
      option.addEventListener("click", () => select(row));
      option.addEventListener("pointerenter", (event) => {
        if (event.pointerType !== "mouse") return;
        activate(row);
        actions.preview(index);
      });
      return option;
    });
    const rest = results.length - options.length;
    const footer = !results.length
      ? "No results. Try a family, such as mallet."
      : rest > 0
        ? `and ${rest} more, highlighted on the map`
        : "";
    list.replaceChildren(...options);
    if (footer) list.append(element("li", { class: "empty", role: "option", "aria-disabled": "true", "aria-selected": "false" }, element("small", {}, footer)));
    active = NONE;
    setOpen(field.value.trim() !== "");
  }

  /** @param {number} row */
  function select(row) {
    const index = results[row];
    if (index === undefined) return;
    setOpen(false);
    actions.select(index);
  }

  field.addEventListener("input", showResults);
  field.addEventListener("focus", () => field.value.trim() && showResults());
  field.addEventListener("blur", () => setOpen(false));
  field.addEventListener("keydown", (event) => {
    const last = Math.min(results.length, MAX_RESULTS) - 1;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) return showResults();
      const step = event.key === "ArrowDown" ? 1 : -1;
      activate(active + step < 0 ? last : active + step > last ? 0 : active + step);
      if (results[active] !== undefined) actions.preview(results[active]);
    } else if (event.key === "Enter") {
      event.preventDefault();
      select(Math.max(active, 0));
    } else if (event.key === "Escape") {
      event.stopPropagation();
      if (field.value) {
        field.value = "";
        actions.highlight(null);
      }
      setOpen(false);
    }
  });
}

/** The search box: families and names, heard while one goes through what is found. */

import { byId, element } from "./element.js";
import { familyWords, swatch } from "./families.js";

const MOST = 40; // that are listed
const NONE = -1;

/**
 * @param {import("./types.js").Space} space
 * @param {string[]} families
 * @param {string} query
 * @returns {number[]} places: those whose name begins so first
 */
export function search(space, families, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  /** @type {[number, number][]} */
  const found = [];
  for (let i = 0; i < space.id.length; i++) {
    const name = space.name[i].toLowerCase();
    const kind = space.kind[i] ? "real recorded" : "imagined";
    const all = `${name} ${familyWords(families[space.family[i]])} ${kind}`.toLowerCase();
    if (words.every((word) => all.includes(word))) found.push([name.startsWith(words[0]) ? 0 : 1, i]);
  }
  return found.sort((a, b) => a[0] - b[0]).map(([, place]) => place);
}

/**
 * Wire the box.
 *
 * @param {import("./types.js").Space} space
 * @param {string[]} families
 * @param {{found: (places: number[] | null) => void, hear: (place: number) => void,
 *     choose: (place: number) => void}} told
 */
export function searchBox(space, families, told) {
  const field = /** @type {HTMLInputElement} */ (byId("find"));
  const list = byId("found");
  /** @type {number[]} */
  let places = [];
  let active = NONE;

  const open = (/** @type {boolean} */ shown) => {
    list.hidden = !shown;
    field.setAttribute("aria-expanded", String(shown));
    if (!shown) point(NONE);
  };

  /** @param {number} row */
  function point(row) {
    active = row;
    field.removeAttribute("aria-activedescendant");
    for (const [i, option] of [...list.querySelectorAll('[role="option"]')].entries()) {
      option.setAttribute("aria-selected", String(i === row));
      if (i !== row) continue;
      field.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    }
  }

  function show() {
    places = search(space, families, field.value);
    told.found(field.value.trim() ? places : null);
    const lines = places.slice(0, MOST).map((place, row) => {
      const family = families[space.family[place]];
      const option = element(
        "li",
        { role: "option", id: `found-${row}`, "aria-selected": "false" },
        swatch(family, families),
        element("span", {}, space.name[place]),
        element("small", {}, space.kind[place] ? "real" : familyWords(family)),
      );
      option.addEventListener("pointerdown", (event) => event.preventDefault()); // focus stays
      option.addEventListener("click", () => choose(row));
      option.addEventListener("pointerenter", (event) => {
        if (event.pointerType !== "mouse") return;
        point(row);
        told.hear(place);
      });
      return option;
    });
    const rest = places.length - lines.length;
    const foot = !places.length
      ? "Nothing of that name. Try a family, such as mallet."
      : rest > 0
        ? `and ${rest} more, lit on the map`
        : "";
    list.replaceChildren(...lines);
    if (foot) list.append(element("li", { class: "none", role: "option", "aria-disabled": "true", "aria-selected": "false" }, element("small", {}, foot)));
    active = NONE;
    open(field.value.trim() !== "");
  }

  /** @param {number} row */
  function choose(row) {
    const place = places[row];
    if (place === undefined) return;
    open(false);
    told.choose(place);
  }

  field.addEventListener("input", show);
  field.addEventListener("focus", () => field.value.trim() && show());
  field.addEventListener("blur", () => open(false));
  field.addEventListener("keydown", (event) => {
    const last = Math.min(places.length, MOST) - 1;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) return show();
      const step = event.key === "ArrowDown" ? 1 : -1;
      point(active + step < 0 ? last : active + step > last ? 0 : active + step);
      if (places[active] !== undefined) told.hear(places[active]);
    } else if (event.key === "Enter") {
      event.preventDefault();
      choose(Math.max(active, 0));
    } else if (event.key === "Escape") {
      event.stopPropagation();
      if (field.value) {
        field.value = "";
        told.found(null);
      }
      open(false);
    }
  });
}

/** Favourites: they stay when the server is stopped. */

import { byId, element, icon } from "../element.js";
import { swatch } from "../families.js";
import { notice, wrong } from "../notices.js";

/** @typedef {import("../types.js").Favourite} Favourite */

/** Events: `choose`, `hear` and `anew` (detail: Favourite), `change`. */
export class Favourites extends EventTarget {
  /** @type {Favourite[]} */
  #all = [];

  /**
   * @param {import("../api.js").Api} api
   * @param {string[]} families
   */
  constructor(api, families) {
    super();
    this.api = api;
    this.families = families;
    this.list = byId("favourites");
  }

  async load() {
    this.#all = await this.api.favourites();
    this.#show();
  }

  /** @param {string} id of an instrument @returns {Favourite | undefined} */
  find(id) {
    return this.#all.find(({ instrument }) => instrument?.id === id);
  }

  /** @param {string} id of an instrument @param {string} name */
  async add(id, name) {
    try {
      await this.api.keep(id, name);
      await this.load();
      notice(`“${name}” is kept.`);
    } catch (error) {
      wrong(error, "It could not be kept");
    }
  }

  /** @param {Favourite} favourite */
  async remove(favourite) {
    const { name, instrument } = favourite;
    try {
      await this.api.forget(favourite.favourite);
      await this.load();
      byId("tab-kept").focus();
      const back = { action: "Undo", onAction: () => instrument && this.add(instrument.id, name) };
      notice(`“${name}” is no longer kept.`, instrument ? back : {});
    } catch (error) {
      wrong(error, "It could not be removed");
    }
  }

  #show() {
    const none = element("li", { class: "none" }, "Nothing yet. The heart keeps the instrument in hand.");
    const lines = this.#all.map((favourite) => this.#line(favourite));
    this.list.replaceChildren(...(lines.length ? lines : [none]));
    byId("kept-count").textContent = lines.length ? String(lines.length) : "";
    this.dispatchEvent(new Event("change"));
  }

  /** @param {Favourite} favourite */
  #line(favourite) {
    const { name, instrument, problem } = favourite;
    const line = element("li");
    const pick = element(
      "button",
      { class: "pick", title: problem ?? name },
      swatch(instrument?.family, this.families),
      element("span", {}, name),
    );
    pick.addEventListener("click", () => {
      if (instrument) this.dispatchEvent(new CustomEvent("choose", { detail: favourite }));
      else this.#lost(favourite);
    });
    pick.addEventListener("pointerenter", (event) => {
      if (instrument && event.pointerType === "mouse")
        this.dispatchEvent(new CustomEvent("hear", { detail: favourite }));
    });
    const rename = element("button", { class: "button square plain", "aria-label": `Rename ${name}`, title: "Rename" }, icon("pencil"));
    rename.addEventListener("click", () => this.#rename(line, favourite));
    const remove = element("button", { class: "button square plain", "aria-label": `Remove ${name}`, title: "Remove" }, icon("close"));
    remove.addEventListener("click", () => this.remove(favourite));
    line.append(pick, rename, remove);
    return line;
  }

  /** Of other weights: what can be done is to imagine the seed anew. @param {Favourite} favourite */
  #lost(favourite) {
    const words = favourite.problem ?? "It cannot be opened.";
    const anew = () => this.dispatchEvent(new CustomEvent("anew", { detail: favourite }));
    const seeded = typeof favourite.seed === "number";
    notice(words, { wrong: true, ...(seeded ? { action: "Imagine it anew", onAction: anew } : {}) });
  }

  /** @param {HTMLElement} line @param {Favourite} favourite */
  #rename(line, favourite) {
    const field = element("input", { type: "text", "aria-label": "New name", maxlength: "100" });
    field.value = favourite.name;
    let done = false;
    const finish = async (/** @type {boolean} */ save) => {
      if (done) return;
      done = true;
      const name = field.value.trim();
      try {
        if (save && name && name !== favourite.name) await this.api.rename(favourite.favourite, name);
      } catch (error) {
        wrong(error, "It could not be renamed");
      }
      await this.load().catch(wrong);
    };
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") finish(true);
      else if (event.key === "Escape") finish(false);
    });
    field.addEventListener("blur", () => finish(true));
    line.replaceChildren(field);
    field.focus();
    field.select();
  }
}

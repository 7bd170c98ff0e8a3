/** The list of favourites, which the server stores. */

import { byId, element, icon } from "../element.js";
import { swatch } from "../families.js";
import { notice, showError } from "../notices.js";

/** @typedef {import("../types.js").Favourite} Favourite */

/** Events: `select`, `preview` and `regenerate` (detail: Favourite), `change`. */
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
      await this.api.addFavourite(id, name);
      await this.load();
      notice(`“${name}” was added to the favourites.`);
    } catch (error) {
      showError(error, "The favourite could not be added");
    }
  }

  /** @param {Favourite} favourite */
  async remove(favourite) {
    const { name, instrument } = favourite;
    try {
      await this.api.removeFavourite(favourite.favourite);
      await this.load();
      byId("tab-saved").focus();
      const undo = { action: "Undo", onAction: () => instrument && this.add(instrument.id, name) };
      notice(`“${name}” was removed from the favourites.`, instrument ? undo : {});
    } catch (error) {
      showError(error, "The favourite could not be removed");
    }
  }

  #show() {
    const empty = element("li", { class: "empty" }, "No favourites yet. The heart adds the selected instrument.");
    const items = this.#all.map((favourite) => this.#listItem(favourite));
    this.list.replaceChildren(...(items.length ? items : [empty]));
    byId("favourite-count").textContent = items.length ? String(items.length) : "";
    this.dispatchEvent(new Event("change"));
  }

  /** @param {Favourite} favourite */
  #listItem(favourite) {
    const { name, instrument, problem } = favourite;
    const item = element("li");
    const open = element(
      "button",
      { class: "open-favourite", title: problem ?? name },
      swatch(instrument?.family, this.families),
      element("span", {}, name),
    );
    open.addEventListener("click", () => {
      if (instrument) this.dispatchEvent(new CustomEvent("select", { detail: favourite }));
      else this.#explainProblem(favourite);
    });
    open.addEventListener("pointerenter", (event) => {
      if (instrument && event.pointerType === "mouse")
        this.dispatchEvent(new CustomEvent("preview", { detail: favourite }));
    });
    const rename = element("button", { class: "button square plain", "aria-label": `Rename ${name}`, title: "Rename" }, icon("pencil"));
    rename.addEventListener("click", () => this.#rename(item, favourite));
    const remove = element("button", { class: "button square plain", "aria-label": `Remove ${name}`, title: "Remove" }, icon("close"));
    remove.addEventListener("click", () => this.remove(favourite));
    item.append(open, rename, remove);
    return item;
  }

  /** A favourite of other weights cannot be opened, but its seed can be generated again. @param {Favourite} favourite */
  #explainProblem(favourite) {
    const text = favourite.problem ?? "It cannot be opened.";
    const onAction = () => this.dispatchEvent(new CustomEvent("regenerate", { detail: favourite }));
    const hasSeed = typeof favourite.seed === "number";
    notice(text, { isError: true, ...(hasSeed ? { action: "Generate it again", onAction } : {}) });
  }

  /** @param {HTMLElement} item @param {Favourite} favourite */
  #rename(item, favourite) {
    const field = element("input", { type: "text", "aria-label": "New name", maxlength: "100" });
    field.value = favourite.name;
    let done = false;
    const finish = async (/** @type {boolean} */ save) => {
      if (done) return;
      done = true;
      const name = field.value.trim();
      try {
        if (save && name && name !== favourite.name) await this.api.renameFavourite(favourite.favourite, name);
      } catch (error) {
        showError(error, "The favourite could not be renamed");
      }
      await this.load().catch(showError);
    };
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") finish(true);
      else if (event.key === "Escape") finish(false);
    });
    field.addEventListener("blur", () => finish(true));
    item.replaceChildren(field);
    field.focus();
    field.select();
  }
}

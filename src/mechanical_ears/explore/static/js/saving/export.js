/** Export for samplers: a wish, a bar that fills, a file. */

import { Problem } from "../api.js";
import { byId } from "../element.js";
import { wrong } from "../notices.js";
import { size } from "../wording.js";

const EVERY = 300; // ms between two looks

/**
 * @param {import("../api.js").Api} api
 * @param {() => import("../types.js").Instrument | null} instrument the one in hand
 */
export function exporting(api, instrument) {
  const form = /** @type {HTMLFormElement} */ (byId("export"));
  const start = /** @type {HTMLButtonElement} */ (byId("export-start"));
  const cancel = /** @type {HTMLButtonElement} */ (byId("export-cancel"));
  const bar = /** @type {HTMLProgressElement} */ (byId("export-progress"));
  const state = byId("export-state");
  /** @type {string | null} */
  let job = null;

  /** @param {boolean} busy */
  const show = (busy) => {
    start.disabled = busy;
    bar.hidden = cancel.hidden = !busy;
    if (busy) bar.value = 0;
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const chosen = instrument();
    if (!chosen || job) return;
    const wish = new FormData(form);
    show(true);
    state.textContent = `Preparing “${chosen.name}”…`;
    try {
      const asked = await api.export({
        id: chosen.id,
        format: String(wish.get("format")),
        every: Number(wish.get("every")),
        layers: Number(wish.get("layers")),
      });
      job = asked.job;
      await follow(job, chosen.name);
    } catch (error) {
      state.textContent = error instanceof Problem ? error.words : "";
      wrong(error, "The export failed");
    } finally {
      job = null;
      show(false);
    }
  });

  /** @param {string} running @param {string} name */
  async function follow(running, name) {
    for (;;) {
      const told = await api.exported(running);
      bar.value = told.progress;
      if (told.state === "failed") throw new Problem(told.problem ?? "It failed");
      if (told.state === "cancelled") {
        state.textContent = "Cancelled.";
        return;
      }
      if (told.state === "done") {
        state.textContent = `“${name}” is ready: ${told.size ? size(told.size) : "downloading"}.`;
        download(`/api/exports/${running}/file`);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, EVERY));
    }
  }

  cancel.addEventListener("click", async () => {
    if (job) await api.cancel(job).catch(wrong);
  });
}

/** @param {string} address whose answer is a file to be kept @param {string} [name] of the file */
export function download(address, name = "") {
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
}

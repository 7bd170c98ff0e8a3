/** Export of the selected instrument for samplers: a form, its progress and the file. */

import { Problem } from "../api.js";
import { byId } from "../element.js";
import { showError } from "../notices.js";
import { fileSize } from "../wording.js";

const POLL_MS = 300; // ms between two requests for the progress

/**
 * @param {import("../api.js").Api} api
 * @param {() => import("../types.js").Instrument | null} selectedInstrument
 */
export function setUpExport(api, selectedInstrument) {
  const form = /** @type {HTMLFormElement} */ (byId("export"));
  const start = /** @type {HTMLButtonElement} */ (byId("export-start"));
  const cancel = /** @type {HTMLButtonElement} */ (byId("export-cancel"));
  const progress = /** @type {HTMLProgressElement} */ (byId("export-progress"));
  const state = byId("export-state");
  /** @type {string | null} */
  let job = null;

  /** @param {boolean} busy */
  const showBusy = (busy) => {
    start.disabled = busy;
    progress.hidden = cancel.hidden = !busy;
    if (busy) progress.value = 0;
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const instrument = selectedInstrument();
    if (!instrument || job) return;
    const options = new FormData(form);
    showBusy(true);
    state.textContent = `Preparing “${instrument.name}”…`;
    try {
      const started = await api.startExport({
        id: instrument.id,
        format: String(options.get("format")),
        every: Number(options.get("every")),
        layers: Number(options.get("layers")),
      });
      job = started.job;
      await waitAndDownload(job, instrument.name);
    } catch (error) {
      state.textContent = error instanceof Problem ? error.text : "";
      showError(error, "The export failed");
    } finally {
      job = null;
      showBusy(false);
    }
  });

  /** @param {string} runningJob @param {string} name */
  async function waitAndDownload(runningJob, name) {
    for (;;) {
      const status = await api.exportStatus(runningJob);
      progress.value = status.progress;
      if (status.state === "failed") throw new Problem(status.problem ?? "It failed");
      if (status.state === "cancelled") {
        state.textContent = "Cancelled.";
        return;
      }
      if (status.state === "done") {
        state.textContent = `“${name}” is ready: ${status.size ? fileSize(status.size) : "downloading"}.`;
        download(`/api/exports/${runningJob}/file`);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  cancel.addEventListener("click", async () => {
    if (job) await api.cancelExport(job).catch(showError);
  });
}

/** @param {string} url @param {string} [name] of the file */
export function download(url, name = "") {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
}

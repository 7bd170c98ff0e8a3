/** Files that are opened or dropped on the page: recordings and shared instruments. */

import { Problem } from "../api.js";
import { byId } from "../element.js";

const MAX_INSTRUMENT_BYTES = 8 * 2 ** 20; // bytes
const MAX_RECORDING_BYTES = 64 * 2 ** 20; // bytes, if the server gives no limit

/** @param {(file: File) => void} handleFile called for each file */
export function onFiles(handleFile) {
  const field = /** @type {HTMLInputElement} */ (byId("file"));
  byId("open").addEventListener("click", () => field.click());
  field.addEventListener("change", () => {
    for (const file of field.files ?? []) handleFile(file);
    field.value = "";
  });
  const overlay = byId("drop-overlay");
  const hasFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
  let depth = 0;
  addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth++;
    overlay.hidden = false;
  });
  addEventListener("dragover", (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  addEventListener("dragleave", () => {
    depth = Math.max(depth - 1, 0);
    overlay.hidden = depth === 0;
  });
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    overlay.hidden = true;
    const [file] = event.dataTransfer?.files ?? [];
    if (file) handleFile(file);
  });
}

/** @param {File} file */
export const isSharedInstrument = (file) => /\.json$/i.test(file.name) || file.type === "application/json";

/**
 * Read a shared instrument.
 *
 * @param {File} file
 * @returns {Promise<object>}
 * @throws {Problem} if it is not JSON or too large
 */
export async function readSharedInstrument(file) {
  if (file.size > MAX_INSTRUMENT_BYTES)
    throw new Problem(`“${file.name}” is too large for an instrument`);
  try {
    return JSON.parse(await file.text());
  } catch {
    throw new Problem(`“${file.name}” is not an instrument file`, "The share button saves such files");
  }
}

/** @param {File} file @param {number} [maxBytes] @throws {Problem} if it is empty or too large */
export function checkRecording(file, maxBytes = MAX_RECORDING_BYTES) {
  if (!file.size) throw new Problem(`“${file.name}” is empty`);
  const megabytes = (/** @type {number} */ bytes) => `${Math.round(bytes / 2 ** 20)} MB`;
  if (file.size > maxBytes)
    throw new Problem(
      `“${file.name}” has ${megabytes(file.size)}; the limit is ${megabytes(maxBytes)}`,
      "Cut out one note and drop that",
    );
}

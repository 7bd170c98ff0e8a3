/** Files that are opened or dropped: recordings, and instruments that somebody shared. */

import { Problem } from "../api.js";
import { byId } from "../element.js";

const LARGEST_SHARE = 8 * 2 ** 20; // bytes
const LARGEST = 64 * 2 ** 20; // bytes, where the server does not say

/**
 * @param {(file: File) => void} take called with each file, one at a time
 */
export function files(take) {
  const field = /** @type {HTMLInputElement} */ (byId("file"));
  byId("open").addEventListener("click", () => field.click());
  field.addEventListener("change", () => {
    for (const file of field.files ?? []) take(file);
    field.value = "";
  });
  const veil = byId("veil");
  const holdsFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
  let depth = 0;
  addEventListener("dragenter", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    depth++;
    veil.hidden = false;
  });
  addEventListener("dragover", (event) => {
    if (holdsFiles(event)) event.preventDefault();
  });
  addEventListener("dragleave", () => {
    depth = Math.max(depth - 1, 0);
    veil.hidden = depth === 0;
  });
  addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    depth = 0;
    veil.hidden = true;
    const [file] = event.dataTransfer?.files ?? [];
    if (file) take(file);
  });
}

/** @param {File} file */
export const isShare = (file) => /\.json$/i.test(file.name) || file.type === "application/json";

/**
 * An instrument that somebody shared.
 *
 * @param {File} file
 * @returns {Promise<object>}
 * @throws {Problem} it is none
 */
export async function readShare(file) {
  if (file.size > LARGEST_SHARE) throw new Problem(`“${file.name}” is too large for an instrument`);
  try {
    return JSON.parse(await file.text());
  } catch {
    throw new Problem(`“${file.name}” is no instrument file`, "Share writes such files");
  }
}

/** @param {File} file @param {number} [largest] bytes @throws {Problem} it is too large or empty */
export function checkRecording(file, largest = LARGEST) {
  if (!file.size) throw new Problem(`“${file.name}” is empty`);
  if (file.size > largest)
    throw new Problem(
      `“${file.name}” has ${Math.round(file.size / 2 ** 20)} MB, more than the ${Math.round(largest / 2 ** 20)} MB that are taken`,
      "Cut out one note and drop that",
    );
}

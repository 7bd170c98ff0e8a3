/** Settings that the page remembers in this browser; nothing important, so they may be lost. */

const STORAGE_KEY = "mechanical-ears";

/** @returns {Record<string, any>} */
function read() {
  try {
    const stored = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "{}");
    return stored && typeof stored === "object" ? stored : {};
  } catch {
    return {};
  }
}

/** @template Value @param {string} name @param {Value} fallback @returns {Value} */
export function setting(name, fallback) {
  const value = read()[name];
  return typeof value === typeof fallback ? value : fallback;
}

/** @param {string} name @param {unknown} value */
export function remember(name, value) {
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify({ ...read(), [name]: value }));
  } catch {
    // private windows store nothing
  }
}

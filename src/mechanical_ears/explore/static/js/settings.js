/** What the page remembers of how it was left; nothing that matters, so that it may be lost. */

const PLACE = "mechanical-ears";

/** @returns {Record<string, any>} */
function read() {
  try {
    const kept = JSON.parse(localStorage.getItem(PLACE) ?? "{}");
    return kept && typeof kept === "object" ? kept : {};
  } catch {
    return {};
  }
}

/** @template Value @param {string} name @param {Value} otherwise @returns {Value} */
export function setting(name, otherwise) {
  const value = read()[name];
  return typeof value === typeof otherwise ? value : otherwise;
}

/** @param {string} name @param {unknown} value */
export function remember(name, value) {
  try {
    localStorage.setItem(PLACE, JSON.stringify({ ...read(), [name]: value }));
  } catch {
    // a private window keeps nothing
  }
}

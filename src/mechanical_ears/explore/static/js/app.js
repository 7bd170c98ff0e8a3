/**
 * What the parts of the page share. Types only.
 *
 * @typedef {Object} App
 * @property {import("./api.js").Api} api
 * @property {import("./types.js").About} about
 * @property {import("./audio/engine.js").Engine} engine
 * @property {import("./audio/note-cache.js").Notes} notes
 * @property {import("./audio/voices.js").Voices} voices
 * @property {import("./session.js").Session} session
 * @property {import("./play/player.js").Player} player
 * @property {import("./play/piano.js").Piano} piano
 * @property {import("./play/preview.js").Audition} audition
 * @property {import("./display/live-display.js").Live} live
 *
 * @typedef {App & {space: import("./types.js").Space}} Wandering
 * @typedef {App & {map: import("./explore.js").Wander}} WithMap
 */

export {};

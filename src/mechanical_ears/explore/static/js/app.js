/**
 * Types of what the modules of the page share.
 *
 * @typedef {Object} App
 * @property {import("./api.js").Api} api
 * @property {import("./types.js").About} about
 * @property {import("./audio/engine.js").Engine} engine
 * @property {import("./audio/note-cache.js").NoteCache} notes
 * @property {import("./audio/voices.js").Voices} voices
 * @property {import("./session.js").Session} session
 * @property {import("./play/player.js").Player} player
 * @property {import("./play/piano.js").Piano} piano
 * @property {import("./play/preview.js").Preview} preview
 * @property {import("./display/live-display.js").LiveDisplay} liveDisplay
 *
 * @typedef {App & {space: import("./types.js").Space}} AppWithSpace
 * @typedef {App & {map: import("./explore.js").ExploreMap}} AppWithMap
 */

export {};

/**
 * Types of the server's answers.
 *
 * @typedef {Object} About
 * @property {string} version
 * @property {string} weights first 12 hexadecimal digits of the weights' SHA-256
 * @property {string[]} families 11 names
 * @property {string[]} qualities names of the sliders
 * @property {number} farthest largest change of a quality, standard deviations
 * @property {number} lowest MIDI number of the lowest key
 * @property {number} highest MIDI number of the highest key
 * @property {number} [seconds] s, length of a note, including its release
 * @property {number} [held] s, from the start of a note to its key-up
 * @property {number[]} [layers] MIDI velocities at which notes are requested
 * @property {number} [points] instruments on the map so far
 * @property {{done: number, of: number} | null} [mapping] progress of building the map; null once it
 *     is complete
 * @property {{bytes: number, seconds: number}} [upload] limits of an uploaded recording
 *
 * @typedef {Object} Space the instruments of the map: columns of equal length
 * @property {string[]} id
 * @property {string[]} name
 * @property {number[]} x −1..1
 * @property {number[]} y −1..1, upwards
 * @property {number[]} family index into the families, −1 for a mixture
 * @property {number[]} kind 0 imagined, 1 recorded
 * @property {number[]} novelty 0..2: 1 − likeness of the nearest known instrument
 * @property {string[]} [nearest] name of the nearest known instrument
 *
 * @typedef {Object} Hearing what the ears hear in one note
 * @property {number} [played] MIDI number of the key
 * @property {number | null} pitch MIDI number of the recognised key
 * @property {number} pitch_confidence 0..1
 * @property {number | null} frequency Hz
 * @property {number | null} [sounding_pitch] MIDI number nearest to the frequency
 * @property {number | null} cents above that number, −50..50
 * @property {string | null} family
 * @property {number} [family_confidence] 0..1
 * @property {string | null} [source] acoustic, electronic, synthetic
 * @property {number | null} [velocity] MIDI velocity
 * @property {string[]} [qualities]
 * @property {[string, number][]} [nearest] known instruments with their likeness, −1..1
 *
 * @typedef {Object} InstrumentHearing what the ears hear in an instrument
 * @property {string | null} family
 * @property {number} family_confidence 0..1
 * @property {[string, number][]} nearest
 * @property {Hearing[]} notes
 *
 * @typedef {Object} Recipe how an instrument is opened: see the server's OpenAPI
 *
 * @typedef {Object} Instrument
 * @property {string} id
 * @property {string} name
 * @property {string | null} family
 * @property {number} [kind] 0 imagined, 1 recorded
 * @property {Recipe} recipe
 * @property {number | null} x
 * @property {number | null} y
 * @property {number | null} novelty
 * @property {InstrumentHearing | null} heard null until it has been requested
 * @property {string} [licence]
 *
 * @typedef {Object} Favourite
 * @property {string | number} favourite its number
 * @property {string} name
 * @property {string} added
 * @property {Instrument | null} instrument
 * @property {string | null} [problem] why it cannot be opened
 * @property {number | null} [seed]
 * @property {string | null} [family]
 *
 * @typedef {Object} Export
 * @property {"waiting" | "running" | "done" | "failed" | "cancelled"} state
 * @property {number} progress 0..1
 * @property {string | null} problem
 * @property {number | null} size bytes
 *
 * @typedef {Object} Recording
 * @property {Hearing} heard
 * @property {number | null} x
 * @property {number | null} y
 * @property {{id: string, name: string, likeness: number}[]} nearest
 * @property {Instrument | null} instrument
 * @property {string | null} problem
 */

export {};

/** What the ears say, in words a musician understands. */

import { familyWords } from "./families.js";
import { pitchName } from "./play/key-geometry.js";
import { programName } from "./general-midi.js";

const IN_TUNE = 3; // cents
const SURE = 0.75; // probability
const LIKELY = 0.5;

/** @param {number} share 0..1 */
export const percent = (share) => `${Math.round(100 * share)} %`;

/** @param {number} frequency Hz */
export const hertz = (frequency) =>
  `${frequency.toFixed(frequency < 100 ? 2 : 1)} Hz`;

/** @param {number} cents */
export function tuning(cents) {
  const off = Math.round(Math.abs(cents));
  if (Math.abs(cents) < IN_TUNE) return "in tune";
  return `${off} cents ${cents < 0 ? "flat" : "sharp"}`;
}

/** @param {string} word */
const article = (word) => (/^[aeiou]/.test(word) ? "an" : "a");

/** @param {string | null} family @param {number} confidence 0..1 */
export function soundsLike(family, confidence) {
  if (!family) return "No family that the ears know";
  const words = familyWords(family);
  if (confidence >= SURE) return `Clearly ${article(words)} ${words}`;
  if (confidence >= LIKELY) return `Most like ${article(words)} ${words}`;
  return `Between families, nearest to ${article(words)} ${words}`;
}

/**
 * A known instrument's name, readable: `keyboard_electronic_fluidr3_gm-000-007` is the clavinet of
 * FluidR3.
 *
 * @param {string} name
 */
export function knownName(name) {
  const told = /^([a-z_]+?)_(acoustic|electronic|synthetic)_(.+)$/.exec(name);
  if (!told) return name.replaceAll("_", " ");
  const [, family, source, rest] = told;
  const preset = /^(.*)-(\d+)-(\d+)$/.exec(rest);
  if (!preset) return `${source} ${familyWords(family)} ${rest.replaceAll("_", " ")}`;
  const [, font, bank, program] = preset;
  const variation = Number(bank) ? `, variation ${Number(bank)}` : "";
  return `${programName(Number(program))}${variation} (${fontName(font)})`;
}

/** @param {string} font */
function fontName(font) {
  const known = /** @type {Record<string, string>} */ ({
    fluidr3_gm: "FluidR3",
    musescore_general_full: "MuseScore General",
    timgm6mb: "TimGM6mb",
  });
  return known[font] ?? font.replaceAll("_", " ");
}

/**
 * How new a sound is, beside those of the map.
 *
 * @param {number} novelty
 * @param {number[]} others novelties of the map's instruments
 * @returns {{share: number, words: string}} share of the others that are less new, 0..1
 */
export function newness(novelty, others) {
  const share = others.filter((other) => other < novelty).length / Math.max(others.length, 1);
  const words =
    share > 0.9
      ? "Hardly anything known is like it"
      : share > 0.6
        ? "Newer than most"
        : share > 0.3
          ? "As new as many"
          : "Close to what is known";
  return { share, words };
}

/**
 * One note that was heard, in a sentence.
 *
 * @param {import("./types.js").Hearing} heard
 */
export function noteHeard(heard) {
  if (heard.pitch === null || heard.frequency === null) return "No single pitch is heard.";
  const key = pitchName(heard.pitch);
  const sounding = heard.sounding_pitch ?? heard.pitch;
  const octave = sounding === heard.pitch ? "" : `, sounding at ${pitchName(sounding)}`;
  return `The key is ${key}${octave}: ${hertz(heard.frequency)}, ${tuning(heard.cents ?? 0)}.`;
}

const QUALITIES = /** @type {Record<string, string>} */ ({
  fast_decay: "dies away fast",
  long_release: "rings on when let go",
  nonlinear_env: "swells",
  "tempo-synced": "pulses",
  distortion: "distorted",
  multiphonic: "several notes in one",
});

/** @param {string} quality */
export const qualityWords = (quality) => QUALITIES[quality] ?? quality;

/** @param {number} bytes */
export function size(bytes) {
  const mega = bytes / 2 ** 20;
  return mega < 1 ? `${Math.ceil(bytes / 1024)} kB` : `${mega.toFixed(mega < 10 ? 1 : 0)} MB`;
}

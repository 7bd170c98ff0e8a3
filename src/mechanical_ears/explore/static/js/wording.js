/** Wording: what the ears hear, in musicians' terms. */

import { familyName } from "./families.js";
import { pitchName } from "./play/key-geometry.js";
import { programName } from "./general-midi.js";

const IN_TUNE_CENTS = 3; // cents
const SURE_PROBABILITY = 0.75;
const LIKELY_PROBABILITY = 0.5;

/** @param {number} fraction 0..1 */
export const percent = (fraction) => `${Math.round(100 * fraction)} %`;

/** @param {number} frequency Hz */
export const hertz = (frequency) =>
  `${frequency.toFixed(frequency < 100 ? 2 : 1)} Hz`;

/** @param {number} cents */
export function tuning(cents) {
  if (Math.abs(cents) < IN_TUNE_CENTS) return "in tune";
  return `${Math.round(Math.abs(cents))} cents ${cents < 0 ? "flat" : "sharp"}`;
}

/** @param {string} word */
const article = (word) => (/^[aeiou]/.test(word) ? "an" : "a");

/** @param {string | null} family @param {number} confidence 0..1 */
export function describeFamily(family, confidence) {
  if (!family) return "Unknown family";
  const name = `${article(familyName(family))} ${familyName(family)}`;
  if (confidence >= SURE_PROBABILITY) return `Clearly ${name}`;
  if (confidence >= LIKELY_PROBABILITY) return `Most likely ${name}`;
  return `Between families, nearest to ${name}`;
}

/**
 * A readable name of a known instrument: `keyboard_electronic_fluidr3_gm-000-007` is the clavinet of
 * FluidR3.
 *
 * @param {string} name
 */
export function knownInstrumentName(name) {
  const match = /^([a-z_]+?)_(acoustic|electronic|synthetic)_(.+)$/.exec(name);
  if (!match) return name.replaceAll("_", " ");
  const [, family, source, rest] = match;
  const preset = /^(.*)-(\d+)-(\d+)$/.exec(rest);
  if (!preset) return `${source} ${familyName(family)} ${rest.replaceAll("_", " ")}`;
  const [, font, bank, program] = preset;
  const variation = Number(bank) ? `, variation ${Number(bank)}` : "";
  return `${programName(Number(program))}${variation} (${soundfontName(font)})`;
}

/** @param {string} font */
function soundfontName(font) {
  const names = /** @type {Record<string, string>} */ ({
    fluidr3_gm: "FluidR3",
    musescore_general_full: "MuseScore General",
    timgm6mb: "TimGM6mb",
  });
  return names[font] ?? font.replaceAll("_", " ");
}

/**
 * How novel a sound is, compared with the instruments of the map.
 *
 * @param {number} novelty
 * @param {number[]} others novelties of the map's instruments
 * @returns {{fraction: number, text: string}} fraction of the others that are less novel, 0..1
 */
export function describeNovelty(novelty, others) {
  const fraction = others.filter((other) => other < novelty).length / Math.max(others.length, 1);
  const text =
    fraction > 0.9
      ? "Unlike any known instrument"
      : fraction > 0.6
        ? "More novel than most"
        : fraction > 0.3
          ? "Moderately novel"
          : "Close to known instruments";
  return { fraction, text };
}

/**
 * What the ears hear in one note, as a sentence.
 *
 * @param {import("./types.js").Hearing} hearing
 */
export function describeNote(hearing) {
  if (hearing.pitch === null || hearing.frequency === null) return "No single pitch was found.";
  const key = pitchName(hearing.pitch);
  const sounding = hearing.sounding_pitch ?? hearing.pitch;
  const octave = sounding === hearing.pitch ? "" : `, sounding at ${pitchName(sounding)}`;
  return `The key is ${key}${octave}: ${hertz(hearing.frequency)}, ${tuning(hearing.cents ?? 0)}.`;
}

/** Qualities whose names need explaining. */
const QUALITIES = /** @type {Record<string, string>} */ ({
  fast_decay: "fast decay",
  long_release: "long release",
  nonlinear_env: "swells",
  "tempo-synced": "pulses",
  distortion: "distorted",
  multiphonic: "several notes in one",
});

/** @param {string} quality */
export const qualityName = (quality) => QUALITIES[quality] ?? quality;

/** @param {number} bytes */
export function fileSize(bytes) {
  const megabytes = bytes / 2 ** 20;
  return megabytes < 1
    ? `${Math.ceil(bytes / 1024)} kB`
    : `${megabytes.toFixed(megabytes < 10 ? 1 : 0)} MB`;
}

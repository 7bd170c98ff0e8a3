/** The hearing card: what the ears hear in the instrument in hand, or in a recording. */

import { byId, element } from "../element.js";
import { familyWords } from "../families.js";
import { pitchName } from "../play/key-geometry.js";
import * as words from "../wording.js";

/** @typedef {import("../types.js").Instrument} Instrument */

/** @param {[string, Node | string][]} rows */
function list(rows) {
  const terms = rows.flatMap(([term, told]) => [element("dt", {}, term), element("dd", {}, told)]);
  return element("dl", {}, ...terms);
}

/** @param {[string, number][]} nearest */
function nearestList(nearest) {
  const lines = nearest.map(([name, likeness]) =>
    element("div", { class: "alike", title: name }, words.knownName(name), alike(likeness)),
  );
  return element("div", {}, ...lines);
}

/** @param {number} likeness −1..1 */
function alike(likeness) {
  return element("span", {}, `${words.percent(likeness)} alike`);
}

/** @param {number} novelty @param {number[]} others */
function noveltyMeter(novelty, others) {
  const { share, words: told } = words.newness(novelty, others);
  const needle = element("i");
  needle.style.left = words.percent(share).replace(" ", "");
  const meter = element("div", { class: "meter", "aria-hidden": "true" }, needle);
  const text = `${told}: ${words.percent(share)} of the map are less new`;
  return element("div", {}, text, meter);
}

/**
 * @param {Instrument} instrument
 * @param {number[]} others novelties of the map's instruments
 */
export function showInstrument(instrument, others) {
  const { heard, novelty } = instrument;
  if (!heard) return waiting();
  const right = heard.notes.filter((note) => note.pitch === note.played).length;
  const say = `${words.soundsLike(heard.family, heard.family_confidence)}. ${played(right, heard.notes.length)}`;
  const rows = /** @type {[string, Node | string][]} */ ([
    [
      "Family",
      `${familyWords(heard.family)}, ${words.percent(heard.family_confidence)} sure` +
        (instrument.family && heard.family !== instrument.family
          ? ` (asked for: ${familyWords(instrument.family)})`
          : ""),
    ],
    ["Nearest known", nearestList(heard.nearest)],
  ]);
  if (novelty !== null) rows.splice(1, 0, ["Novelty", noveltyMeter(novelty, others)]);
  const qualities = counted(heard.notes);
  if (qualities) rows.push(["Character", qualities]);
  if (instrument.licence) rows.push(["Licence", instrument.licence]);
  byId("card").replaceChildren(
    element("div", { class: "card" }, element("p", { class: "say" }, say), list(rows), notes(heard.notes)),
  );
}

/** @param {number} right @param {number} all */
function played(right, all) {
  if (right === all) return "Every key is heard as it was played.";
  if (!right) return "None of its keys is heard as it was played: its pitch is not plain.";
  return `${right} of ${all} keys are heard as they were played.`;
}

/** Qualities that most notes have. @param {import("../types.js").Hearing[]} notes */
function counted(notes) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const note of notes)
    for (const quality of note.qualities ?? [])
      counts.set(quality, (counts.get(quality) ?? 0) + 1);
  const most = [...counts].filter(([, count]) => 2 * count > notes.length);
  return most.map(([quality]) => words.qualityWords(quality)).join(", ");
}

/** @param {import("../types.js").Hearing[]} notes */
function notes(notes) {
  const row = (/** @type {import("../types.js").Hearing} */ note) => {
    const cells = [
      pitchName(note.played ?? note.pitch ?? 0),
      note.pitch === null ? "no pitch" : pitchName(note.pitch),
      note.frequency === null ? "" : words.hertz(note.frequency),
      note.cents === null ? "" : words.tuning(note.cents),
    ];
    return element("tr", {}, ...cells.map((cell) => element("td", {}, cell)));
  };
  const head = ["Played", "Heard", "Frequency", "Tuning"];
  return element(
    "table",
    {},
    element("thead", {}, element("tr", {}, ...head.map((each) => element("th", { scope: "col" }, each)))),
    element("tbody", {}, ...notes.map(row)),
  );
}

/** While the ears still listen. */
export function waiting() {
  byId("card").replaceChildren(element("p", { class: "quiet" }, "The ears are listening…"));
}

/** @param {string} told what went wrong */
export function failed(told) {
  byId("card").replaceChildren(element("p", { class: "quiet" }, told));
}

/**
 * What was heard in a recording.
 *
 * @param {string} name
 * @param {import("../types.js").Recording} recording
 * @param {{play: () => void, take: (() => void) | null, choose: (id: string) => void, clear: () => void}} actions
 */
export function showRecording(name, recording, actions) {
  const { heard } = recording;
  const say = heard.family
    ? `${words.soundsLike(heard.family, heard.family_confidence ?? 0)}. ${words.noteHeard(heard)}`
    : "Silence: the ears hear nothing in it.";
  const rows = /** @type {[string, Node | string][]} */ ([["Recording", name]]);
  if (heard.pitch !== null) rows.push(["Sure of the key", words.percent(heard.pitch_confidence)]);
  if (heard.source) rows.push(["Made by", `${heard.source} means`]);
  if (heard.qualities?.length)
    rows.push(["Character", heard.qualities.map(words.qualityWords).join(", ")]);
  if (heard.nearest?.length) rows.push(["Nearest known", nearestList(heard.nearest)]);
  if (recording.nearest.length) rows.push(["On this map", near(recording.nearest, actions.choose)]);
  const problem = recording.problem && heard.family
    ? element("p", {}, `It cannot be played on keys: ${recording.problem}. Record one note alone.`)
    : null;
  byId("card").replaceChildren(
    element(
      "div",
      { class: "card" },
      element("p", { class: "say" }, say),
      problem,
      element(
        "div",
        { class: "row" },
        button("Hear it", actions.play),
        actions.take && button("Play it on all keys", actions.take, "button primary"),
        button("Take it off the map", actions.clear),
      ),
      list(rows),
    ),
  );
}

/** @param {{id: string, name: string, likeness: number}[]} nearest @param {(id: string) => void} choose */
function near(nearest, choose) {
  const lines = nearest.map(({ id, name, likeness }) => {
    return element("div", { class: "alike" }, button(name, () => choose(id), ""), alike(likeness));
  });
  return element("div", { class: "near" }, ...lines);
}

/** @param {string} text @param {() => void} act */
function button(text, act, look = "button") {
  const made = element("button", look ? { class: look } : {}, text);
  made.addEventListener("click", act);
  return made;
}

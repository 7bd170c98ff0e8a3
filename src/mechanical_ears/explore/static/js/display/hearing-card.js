/** The hearing card: what the ears hear in the selected instrument, or in a recording. */

import { byId, element } from "../element.js";
import { familyName } from "../families.js";
import { pitchName } from "../play/key-geometry.js";
import * as wording from "../wording.js";

/** @typedef {import("../types.js").Instrument} Instrument */

/** @param {[string, Node | string][]} rows terms with their descriptions */
function descriptionList(rows) {
  const items = rows.flatMap(([term, value]) => [element("dt", {}, term), element("dd", {}, value)]);
  return element("dl", {}, ...items);
}

/** @param {[string, number][]} nearest */
function nearestList(nearest) {
  const rows = nearest.map(([name, likeness]) =>
    element(
      "div",
      { class: "likeness", title: name },
      wording.knownInstrumentName(name),
      likenessText(likeness),
    ),
  );
  return element("div", {}, ...rows);
}

/** @param {number} likeness −1..1 */
function likenessText(likeness) {
  return element("span", {}, `${wording.percent(likeness)} similar`);
}

/** @param {number} novelty @param {number[]} others */
function noveltyMeter(novelty, others) {
  const { fraction, text } = wording.describeNovelty(novelty, others);
  const needle = element("i");
  needle.style.left = wording.percent(fraction).replace(" ", "");
  const meter = element("div", { class: "meter", "aria-hidden": "true" }, needle);
  const sentence = `${text}: ${wording.percent(fraction)} of the map are less novel`;
  return element("div", {}, sentence, meter);
}

/**
 * @param {Instrument} instrument
 * @param {number[]} others novelties of the map's instruments
 */
export function showInstrument(instrument, others) {
  const { heard, novelty } = instrument;
  if (!heard) return showListening();
  const correct = heard.notes.filter((note) => note.pitch === note.played).length;
  const family = wording.describeFamily(heard.family, heard.family_confidence);
  const summary = `${family}. ${describeKeys(correct, heard.notes.length)}`;
  const rows = /** @type {[string, Node | string][]} */ ([
    [
      "Family",
      `${familyName(heard.family)}, ${wording.percent(heard.family_confidence)} sure` +
        (instrument.family && heard.family !== instrument.family
          ? ` (requested: ${familyName(instrument.family)})`
          : ""),
    ],
    ["Nearest known instruments", nearestList(heard.nearest)],
  ]);
  if (novelty !== null) rows.splice(1, 0, ["Novelty", noveltyMeter(novelty, others)]);
  const qualities = commonQualities(heard.notes);
  if (qualities) rows.push(["Qualities", qualities]);
  if (instrument.licence) rows.push(["Licence", instrument.licence]);
  byId("hearing-card").replaceChildren(
    element(
      "div",
      { class: "card" },
      element("p", { class: "summary" }, summary),
      descriptionList(rows),
      noteTable(heard.notes),
    ),
  );
}

/** @param {number} correct @param {number} all */
function describeKeys(correct, all) {
  if (correct === all) return "The ears recognise every key.";
  if (!correct) return "The ears recognise no key: its pitch is not clear.";
  return `The ears recognise ${correct} of ${all} keys.`;
}

/** Qualities that most notes have. @param {import("../types.js").Hearing[]} notes */
function commonQualities(notes) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const note of notes)
    for (const quality of note.qualities ?? [])
      counts.set(quality, (counts.get(quality) ?? 0) + 1);
  const common = [...counts].filter(([, count]) => 2 * count > notes.length);
  return common.map(([quality]) => wording.qualityName(quality)).join(", ");
}

/** @param {import("../types.js").Hearing[]} notes */
function noteTable(notes) {
  const row = (/** @type {import("../types.js").Hearing} */ note) => {
    const cells = [
      pitchName(note.played ?? note.pitch ?? 0),
      note.pitch === null ? "unclear" : pitchName(note.pitch),
      note.frequency === null ? "" : wording.hertz(note.frequency),
      note.cents === null ? "" : wording.tuning(note.cents),
    ];
    return element("tr", {}, ...cells.map((cell) => element("td", {}, cell)));
  };
  const headings = ["Key", "Heard", "Frequency", "Tuning"];
  return element(
    "table",
    {},
    element("thead", {}, element("tr", {}, ...headings.map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", {}, ...notes.map(row)),
  );
}

/** Shown until the server has answered. */
export function showListening() {
  showMessage("Listening…");
}

/** @param {string} text */
export function showMessage(text) {
  byId("hearing-card").replaceChildren(element("p", { class: "muted" }, text));
}

/**
 * Show what the ears hear in a recording.
 *
 * @param {string} name
 * @param {import("../types.js").Recording} recording
 * @param {{play: () => void, playOnKeys: (() => void) | null, select: (id: string) => void,
 *     clear: () => void}} actions
 */
export function showRecording(name, recording, actions) {
  const { heard } = recording;
  const summary = heard.family
    ? `${wording.describeFamily(heard.family, heard.family_confidence ?? 0)}. ${wording.describeNote(heard)}`
    : "The recording is silent.";
  const rows = /** @type {[string, Node | string][]} */ ([["Recording", name]]);
  if (heard.pitch !== null) rows.push(["Confidence of the key", wording.percent(heard.pitch_confidence)]);
  if (heard.source) rows.push(["Source", heard.source]);
  if (heard.qualities?.length)
    rows.push(["Qualities", heard.qualities.map(wording.qualityName).join(", ")]);
  if (heard.nearest?.length) rows.push(["Nearest known instruments", nearestList(heard.nearest)]);
  if (recording.nearest.length)
    rows.push(["Nearest on this map", similarList(recording.nearest, actions.select)]);
  const problem = recording.problem && heard.family
    ? element("p", {}, `It cannot be played on the keys: ${recording.problem}. Record a single note.`)
    : null;
  byId("hearing-card").replaceChildren(
    element(
      "div",
      { class: "card" },
      element("p", { class: "summary" }, summary),
      problem,
      element(
        "div",
        { class: "row" },
        button("Play recording", actions.play),
        actions.playOnKeys && button("Play on all keys", actions.playOnKeys, "button primary"),
        button("Remove from map", actions.clear),
      ),
      descriptionList(rows),
    ),
  );
}

/** @param {{id: string, name: string, likeness: number}[]} nearest @param {(id: string) => void} select */
function similarList(nearest, select) {
  const rows = nearest.map(({ id, name, likeness }) =>
    element("div", { class: "likeness" }, button(name, () => select(id), ""), likenessText(likeness)),
  );
  return element("div", { class: "similar" }, ...rows);
}

/** @param {string} text @param {() => void} onClick @param {string} [className] */
function button(text, onClick, className = "button") {
  const created = element("button", className ? { class: className } : {}, text);
  created.addEventListener("click", onClick);
  return created;
}

/** Wandering: map, legend, search, thread, pad and sliders, and what one hears on the way. */

import { byId } from "./element.js";
import { familyWords } from "./families.js";
import { legend } from "./map/legend.js";
import { SoundMap } from "./map/map.js";
import { speak } from "./notices.js";
import { searchBox } from "./search.js";
import { remember, setting } from "./settings.js";
import { Pad } from "./morph/pad.js";
import { shape } from "./morph/quality-sliders.js";
import { Thread } from "./morph/morph-line.js";
import { knownName } from "./wording.js";

/** The map, with what stands on it. */
export class Wander extends SoundMap {
  /** @type {Pad} */
  pad = /** @type {any} */ (null);
}

/** @param {import("./app.js").Wandering} app @returns {Wander} */
export function wander({ about, session, space, player, audition }) {
  const { families } = about;
  const map = new Wander(byId("map"), families);
  map.setSpace(space);
  const explained = () => legend(byId("legend"), families, space, (hidden) => map.hide(hidden));
  explained();
  map.addEventListener("space", explained);
  const familyOf = (/** @type {number} */ place) => families[space.family[place]] ?? null;
  const end = (/** @type {number} */ place) => ({
    ...{ id: space.id[place], name: space.name[place], family: familyOf(place) },
    ...{ x: space.x[place], y: space.y[place] },
  });
  const hear = (/** @type {number} */ place) => {
    speak(`${space.name[place]}, ${familyWords(familyOf(place))}`);
    if (hovering.checked) audition.play(space.id[place], familyOf(place));
  };

  const hovering = /** @type {HTMLInputElement} */ (byId("hovering"));
  hovering.checked = setting("hovering", true);
  hovering.addEventListener("change", () => remember("hovering", hovering.checked));

  const tip = byId("tip");
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let waiting;
  map.addEventListener("hover", (event) => {
    const place = /** @type {CustomEvent} */ (event).detail;
    showTip(map, tip, end(place), space.nearest?.[place]);
    clearTimeout(waiting);
    waiting = setTimeout(() => hear(place), 45); // ms: what is passed over is not heard
  });
  map.addEventListener("leave", () => {
    clearTimeout(waiting);
    tip.hidden = true;
    audition.stop();
  });
  map.element.addEventListener("blur", () => (tip.hidden = true));
  map.addEventListener("choose", (event) => session.choose(space.id[/** @type {CustomEvent} */ (event).detail]));

  const thread = new Thread(byId("thread"), session, map);
  map.addEventListener("join", (event) => {
    const { instrument } = session;
    const to = end(/** @type {CustomEvent} */ (event).detail);
    if (!instrument || instrument.id === to.id) return;
    const { id, name, family } = instrument;
    thread.join({ id, name, family, x: instrument.x ?? to.x, y: instrument.y ?? to.y }, to);
  });

  shape(byId("shape"), about.qualities, session);
  map.pad = new Pad(byId("pad"), session, families, () => farApart(space, session.instrument).map(end));
  searchBox(space, families, {
    found: (places) => map.light(places),
    hear: (place) => {
      map.point(place);
      hear(place);
    },
    choose: (place) => {
      session.choose(space.id[place]);
      map.fly({ x: space.x[place], y: space.y[place] }, Math.max(map.view.zoom, 2));
    },
  });

  byId("zoom-in").addEventListener("click", () => map.zoomBy());
  byId("zoom-out").addEventListener("click", () => map.zoomBy(1 / 1.5));
  byId("zoom-whole").addEventListener("click", () => map.whole());

  function place() {
    const { instrument } = session;
    if (!instrument || instrument.x === null || instrument.y === null) return;
    const family = instrument.family ?? instrument.heard?.family ?? null;
    map.setCurrent({ x: instrument.x, y: instrument.y, family });
  }
  session.addEventListener("change", (event) => {
    const { instrument } = session;
    if (!instrument) return;
    const { gesture } = /** @type {CustomEvent} */ (event).detail;
    place();
    if (gesture !== "first") audition.play(instrument.id, instrument.family);
  });
  session.addEventListener("heard", place);
  player.addEventListener("press", () => map.ripple());
  hint(map);
  begin(session, space);
  return map;
}

/** What to do first, and next, until it has been done once. @param {SoundMap} map */
function hint(map) {
  const touch = matchMedia("(pointer: coarse)").matches;
  const steps = [
    touch
      ? "Tap an instrument to take it in hand, then play the keys below."
      : "Point at an instrument to hear it. A click takes it in hand: play it with the keys.",
    "Drag from the ringed instrument to another one: there is a way between them.",
    "",
  ];
  const show = (/** @type {number} */ step) => {
    byId("hint").textContent = steps[step];
    byId("hint").hidden = !steps[step];
    remember("hint", step);
  };
  map.addEventListener("choose", () => setting("hint", 0) === 0 && show(1));
  map.addEventListener("join", () => show(2));
  show(setting("hint", 0));
}

/** Something to play at once: any imagined instrument of the map. */
function begin(/** @type {import("./session.js").Session} */ session, /** @type {import("./types.js").Space} */ space) {
  const imagined = [...space.id.keys()].filter((place) => !space.kind[place]);
  const places = imagined.length ? imagined : [...space.id.keys()];
  const place = places[Math.floor(Math.random() * places.length)];
  if (place === undefined) session.open({ surprise: true });
  else session.choose(space.id[place]);
}

/**
 * @param {SoundMap} map
 * @param {HTMLElement} tip
 * @param {{name: string, family: string | null, x: number, y: number}} end
 * @param {string} [nearest] name of the nearest known instrument
 */
function showTip(map, tip, { name, family, x, y }, nearest) {
  const small = document.createElement("small");
  small.textContent = nearest ? `${familyWords(family)} · near ${knownName(nearest)}` : familyWords(family);
  tip.replaceChildren(name, small);
  tip.hidden = false;
  const [px, py] = map.view.toScreen(x, y);
  const { offsetWidth: width, offsetHeight: height } = tip;
  const left = Math.min(Math.max(px - width / 2, 6), map.view.width - width - 6);
  const above = py - height - 16;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 4 ? above : py + 18}px`;
}

/**
 * Three instruments far from one and from each other: each time others.
 *
 * @param {import("./types.js").Space} space
 * @param {import("./types.js").Instrument | null} from
 * @returns {number[]} places
 */
function farApart(space, from) {
  const DRAWN = 40; // among which the farthest is taken
  /** @type {number[]} */
  const chosen = [];
  const ends = [{ x: from?.x ?? 0, y: from?.y ?? 0 }];
  while (chosen.length < Math.min(3, space.id.length)) {
    let [best, farthest] = [0, -1];
    for (let i = 0; i < DRAWN; i++) {
      const place = Math.floor(Math.random() * space.id.length);
      const [x, y] = [space.x[place], space.y[place]];
      const near = Math.min(...ends.map((each) => Math.hypot(each.x - x, each.y - y)));
      if (near > farthest && space.id[place] !== from?.id) [best, farthest] = [place, near];
    }
    chosen.push(best);
    ends.push({ x: space.x[best], y: space.y[best] });
  }
  return chosen;
}

/** The map and the controls that change the selected instrument: search, legend, morph, pad, sliders. */

import { byId } from "./element.js";
import { familyName } from "./families.js";
import { legend } from "./map/legend.js";
import { SoundMap } from "./map/map.js";
import { MorphLine } from "./morph/morph-line.js";
import { Pad } from "./morph/pad.js";
import { setUpQualitySliders } from "./morph/quality-sliders.js";
import { announce } from "./notices.js";
import { setUpSearch } from "./search.js";
import { remember, setting } from "./settings.js";
import { knownInstrumentName } from "./wording.js";

const HOVER_DELAY_MS = 45; // ms that the pointer stays on an instrument before it is played

/** The map, and the pad that is repainted with it. */
export class ExploreMap extends SoundMap {
  /** @type {Pad} */
  pad = /** @type {any} */ (null);
}

/** @param {import("./app.js").AppWithSpace} app @returns {ExploreMap} */
export function setUpMap({ about, session, space, player, preview }) {
  const { families } = about;
  const map = new ExploreMap(byId("map"), families);
  map.setSpace(space);
  const showLegend = () => legend(byId("legend"), families, space, (hidden) => map.hide(hidden));
  showLegend();
  map.addEventListener("space", showLegend);
  const familyOf = (/** @type {number} */ index) => families[space.family[index]] ?? null;
  const endPoint = (/** @type {number} */ index) => ({
    ...{ id: space.id[index], name: space.name[index], family: familyOf(index) },
    ...{ x: space.x[index], y: space.y[index] },
  });
  const previewPoint = (/** @type {number} */ index) => {
    announce(`${space.name[index]}, ${familyName(familyOf(index))}`);
    if (hoverPreview.checked) preview.play(space.id[index], familyOf(index));
  };

  const hoverPreview = /** @type {HTMLInputElement} */ (byId("hover-preview"));
  hoverPreview.checked = setting("hovering", true);
  hoverPreview.addEventListener("change", () => remember("hovering", hoverPreview.checked));

  const tooltip = byId("tooltip");
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let hoverTimer;
  map.addEventListener("hover", (event) => {
    const index = /** @type {CustomEvent} */ (event).detail;
    showTooltip(map, tooltip, endPoint(index), space.nearest?.[index]);
    clearTimeout(hoverTimer);
    hoverTimer = setTimeout(() => previewPoint(index), HOVER_DELAY_MS);
  });
  map.addEventListener("leave", () => {
    clearTimeout(hoverTimer);
    tooltip.hidden = true;
    preview.stop();
  });
  map.element.addEventListener("blur", () => (tooltip.hidden = true));
  map.addEventListener("select", (event) => session.selectId(space.id[/** @type {CustomEvent} */ (event).detail]));

  const morphLine = new MorphLine(byId("morph"), session, map);
  map.addEventListener("morph", (event) => {
    const { instrument } = session;
    const to = endPoint(/** @type {CustomEvent} */ (event).detail);
    if (!instrument || instrument.id === to.id) return;
    const { id, name, family } = instrument;
    morphLine.start({ id, name, family, x: instrument.x ?? to.x, y: instrument.y ?? to.y }, to);
  });

  setUpQualitySliders(byId("quality-sliders"), about.qualities, session);
  map.pad = new Pad(byId("pad"), session, families, () => farApart(space, session.instrument).map(endPoint));
  setUpSearch(space, families, {
    highlight: (indices) => map.highlight(indices),
    preview: (index) => {
      map.setCursor(index);
      previewPoint(index);
    },
    select: (index) => {
      session.selectId(space.id[index]);
      map.fly({ x: space.x[index], y: space.y[index] }, Math.max(map.view.zoom, 2));
    },
  });

  byId("zoom-in").addEventListener("click", () => map.zoomBy());
  byId("zoom-out").addEventListener("click", () => map.zoomBy(1 / 1.5));
  byId("zoom-fit").addEventListener("click", () => map.zoomToFit());

  function showSelected() {
    const { instrument } = session;
    if (!instrument || instrument.x === null || instrument.y === null) return;
    const family = instrument.family ?? instrument.heard?.family ?? null;
    map.setSelected({ x: instrument.x, y: instrument.y, family });
  }
  session.addEventListener("change", () => {
    const { instrument } = session;
    if (!instrument) return;
    showSelected();
    preview.play(instrument.id, instrument.family);
  });
  session.addEventListener("hearing", showSelected);
  player.addEventListener("press", () => map.ripple());
  showHints(map);
  selectFirst(session, space);
  return map;
}

/** Hints for the first steps; each is shown until it has been followed once. @param {SoundMap} map */
function showHints(map) {
  const isTouch = matchMedia("(pointer: coarse)").matches;
  const hints = [
    isTouch
      ? "Tap an instrument to select it, then play the keys below."
      : "Point at an instrument to listen to it. Click it to play it on the keys.",
    "Drag from the selected instrument to another one to morph between them.",
    "",
  ];
  const show = (/** @type {number} */ step) => {
    byId("hint").textContent = hints[step];
    byId("hint").hidden = !hints[step];
    remember("hint", step);
  };
  map.addEventListener("select", () => setting("hint", 0) === 0 && show(1));
  map.addEventListener("morph", () => show(2));
  show(setting("hint", 0));
}

/** Select any imagined instrument of the map, so that there is something to play at once. */
function selectFirst(/** @type {import("./session.js").Session} */ session, /** @type {import("./types.js").Space} */ space) {
  const all = [...space.id.keys()];
  const imagined = all.filter((index) => !space.kind[index]);
  const candidates = imagined.length ? imagined : all;
  const index = candidates[Math.floor(Math.random() * candidates.length)];
  if (index === undefined) session.open({ surprise: true });
  else session.selectId(space.id[index]);
}

/**
 * @param {SoundMap} map
 * @param {HTMLElement} tooltip
 * @param {{name: string, family: string | null, x: number, y: number}} point
 * @param {string} [nearest] name of the nearest known instrument
 */
function showTooltip(map, tooltip, { name, family, x, y }, nearest) {
  const small = document.createElement("small");
  small.textContent = nearest
    ? `${familyName(family)} · similar to ${knownInstrumentName(nearest)}`
    : familyName(family);
  tooltip.replaceChildren(name, small);
  tooltip.hidden = false;
  const [px, py] = map.view.toScreen(x, y);
  const { offsetWidth: width, offsetHeight: height } = tooltip;
  const left = Math.min(Math.max(px - width / 2, 6), map.view.width - width - 6);
  const above = py - height - 16;
  tooltip.style.left = `${left}px`;
  tooltip.style.top = `${above > 4 ? above : py + 18}px`;
}

/**
 * Three random instruments far from one and from each other.
 *
 * @param {import("./types.js").Space} space
 * @param {import("./types.js").Instrument | null} from
 * @returns {number[]} indices
 */
function farApart(space, from) {
  const CANDIDATES = 40; // random instruments of which the farthest is chosen
  /** @type {number[]} */
  const chosen = [];
  const points = [{ x: from?.x ?? 0, y: from?.y ?? 0 }];
  while (chosen.length < Math.min(3, space.id.length)) {
    let [best, farthest] = [0, -1];
    for (let i = 0; i < CANDIDATES; i++) {
      const index = Math.floor(Math.random() * space.id.length);
      const [x, y] = [space.x[index], space.y[index]];
      const distance = Math.min(...points.map((point) => Math.hypot(point.x - x, point.y - y)));
      if (distance > farthest && space.id[index] !== from?.id) [best, farthest] = [index, distance];
    }
    chosen.push(best);
    points.push({ x: space.x[best], y: space.y[best] });
  }
  return chosen;
}

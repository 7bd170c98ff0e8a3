/** The header of the panel: the selected instrument; undo, redo, A and B, Surprise me. */

import { byId, element } from "./element.js";
import { familyName, familyVariable, swatch } from "./families.js";
import { announce } from "./notices.js";

const PREFETCHED = [0, -12, 12, 7, -5, 4, -8, 16, 24, -24, 19]; // semitones from the last key

/** @param {import("./app.js").App} app */
export function setUpInstrumentHeader({ about, notes, session, player, liveDisplay }) {
  const [undo, redo] = ["undo", "redo"].map((id) => /** @type {HTMLButtonElement} */ (byId(id)));
  const slots = [byId("slot-a"), byId("slot-b")];
  undo.addEventListener("click", () => session.undo());
  redo.addEventListener("click", () => session.redo());
  for (const [slot, button] of slots.entries())
    button.addEventListener("click", () => session.switchTo(slot));
  byId("surprise").addEventListener("click", () => session.open({ surprise: true }));
  addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
    const isTyping = event.target instanceof Element && event.target.matches("input[type=text], input[type=search]");
    if (isTyping) return;
    const isRedo = event.key === "y" || (event.shiftKey && event.key.toLowerCase() === "z");
    if (isRedo) session.redo();
    else if (event.key === "z") session.undo();
    else return;
    event.preventDefault();
  });

  session.addEventListener("busy", (event) =>
    byId("name").toggleAttribute("data-busy", /** @type {CustomEvent} */ (event).detail),
  );
  session.addEventListener("change", () => {
    const { instrument } = session;
    if (!instrument) return;
    undo.disabled = !session.canUndo;
    redo.disabled = !session.canRedo;
    for (const [slot, button] of slots.entries())
      button.setAttribute("aria-pressed", String(session.slot === slot));
    byId("name").textContent = instrument.name;
    byId("name").title = instrument.name;
    showFamily();
    announce(`${instrument.name}, ${familyName(instrument.family)}`);
    prefetch(instrument.id);
  });

  /** A mixture takes the colour of the family that the ears hear. */
  function showFamily() {
    const { instrument } = session;
    if (!instrument) return;
    const family = instrument.family ?? instrument.heard?.family;
    const mixture = family ? `mixture, sounds like ${familyName(family)}` : "mixture";
    const kind = instrument.kind ? "recorded" : "imagined";
    const text = instrument.family ? `${familyName(family)}, ${kind}` : mixture;
    byId("about").replaceChildren(swatch(family, about.families), element("span", {}, text));
    document.documentElement.style.setProperty("--accent", `var(${familyVariable(family)})`);
    liveDisplay.recolour(false);
  }
  session.addEventListener("hearing", showFamily);

  /** Load notes near the last key, which are likely to be played next. @param {string} id */
  function prefetch(id) {
    notes.cancelAllBut(id);
    const { pitch, velocity } = player.last;
    const layer = notes.mixture(velocity)[0].velocity;
    for (const semitones of PREFETCHED) {
      const key = pitch + semitones;
      if (key >= about.lowest && key <= about.highest) notes.request(id, key, layer);
    }
  }
}

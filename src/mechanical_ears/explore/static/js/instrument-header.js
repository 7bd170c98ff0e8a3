/** The head of the panel: which instrument is in hand, and the steps that led to it. */

import { byId, element } from "./element.js";
import { familyToken, familyWords, swatch } from "./families.js";
import { speak } from "./notices.js";

const AROUND = [0, -12, 12, 7, -5, 4, -8, 16, 24, -24, 19]; // semitones, fetched ahead

/** @param {import("./app.js").App} app */
export function instrumentHead({ about, notes, session, player, live }) {
  const [undo, redo] = ["undo", "redo"].map((id) => /** @type {HTMLButtonElement} */ (byId(id)));
  const slots = [byId("slot-a"), byId("slot-b")];
  undo.addEventListener("click", () => session.undo());
  redo.addEventListener("click", () => session.redo());
  for (const [slot, button] of slots.entries())
    button.addEventListener("click", () => session.compare(slot));
  byId("surprise").addEventListener("click", () => session.open({ surprise: true }));
  addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
    const typing = event.target instanceof Element && event.target.matches("input[type=text], input[type=search]");
    if (typing) return;
    const again = event.key === "y" || (event.shiftKey && event.key.toLowerCase() === "z");
    if (again) session.redo();
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
    speak(`${instrument.name}, ${familyWords(instrument.family)}`);
    ahead(instrument.id);
  });

  /** A mixture takes the colour of what the ears hear in it. */
  function showFamily() {
    const { instrument } = session;
    if (!instrument) return;
    const family = instrument.family ?? instrument.heard?.family;
    const mixture = family ? `a mixture, heard as ${familyWords(family)}` : "a mixture";
    const kind = instrument.kind ? "real" : "imagined";
    const words = instrument.family ? `${familyWords(family)}, ${kind}` : mixture;
    byId("about").replaceChildren(swatch(family, about.families), element("span", {}, words));
    document.documentElement.style.setProperty("--tint", `var(${familyToken(family)})`);
    live.recolour(false);
  }
  session.addEventListener("heard", showFamily);

  /** Notes near the last one, so that the next ones are there. @param {string} id */
  function ahead(id) {
    notes.onlyFor(id);
    const { pitch, velocity } = player.last;
    const layer = notes.mixture(velocity)[0].velocity;
    for (const semitones of AROUND) {
      const key = pitch + semitones;
      if (key >= about.lowest && key <= about.highest) notes.want(id, key, layer);
    }
  }
}

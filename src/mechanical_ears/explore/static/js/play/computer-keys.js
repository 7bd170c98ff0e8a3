/** The computer keyboard as two rows of piano keys, with the space bar as the pedal. */

/** Physical keys in semitones from C, independent of the layout. */
const LOWER = ["KeyZ", "KeyS", "KeyX", "KeyD", "KeyC", "KeyV", "KeyG", "KeyB", "KeyH", "KeyN",
  "KeyJ", "KeyM", "Comma", "KeyL", "Period", "Semicolon", "Slash"];
const UPPER = ["KeyQ", "Digit2", "KeyW", "Digit3", "KeyE", "KeyR", "Digit5", "KeyT", "Digit6",
  "KeyY", "Digit7", "KeyU", "KeyI", "Digit9", "KeyO", "Digit0", "KeyP"];
const LABELS = /** @type {Record<string, string>} */ ({ Comma: ",", Period: ".", Semicolon: ";", Slash: "/" });
const VELOCITY = 88;
const SHIFT_VELOCITY = 120; // with Shift
const MIN_BASE = 24; // MIDI number of the lower row's C
const MAX_BASE = 84;

/** Semitones from the lower row's C. Of two codes for one key the later one labels it. */
const SEMITONES = new Map([
  ...LOWER.map((code, i) => /** @type {[string, number]} */ ([code, i])),
  ...UPPER.map((code, i) => /** @type {[string, number]} */ ([code, i + 12])),
]);

const TEXT_FIELDS = "input:not([type=range], [type=checkbox]), select, textarea, [contenteditable]";
const ACTIVATED_BY_SPACE = "button, input, select, summary, a";

/** Events: `octave` (detail: MIDI number of the lower row's C). */
export class ComputerKeys extends EventTarget {
  base = 48; // MIDI number of the lower row's C

  /**
   * @param {import("./player.js").Player} player
   * @param {(down: boolean) => void} setPedal
   */
  constructor(player, setPedal) {
    super();
    this.player = player;
    addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || this.#isTyping(event)) return;
      if (event.code === "Space") {
        if (this.#activatesElement(event)) return;
        event.preventDefault();
        if (!event.repeat) setPedal(true);
        return;
      }
      if (event.code === "BracketLeft") this.shift(-12);
      else if (event.code === "BracketRight") this.shift(12);
      const semitones = SEMITONES.get(event.code);
      if (semitones === undefined || event.repeat) return;
      event.preventDefault(); // Firefox would start a quick search at "/"
      player.press(event.code, this.base + semitones, event.shiftKey ? SHIFT_VELOCITY : VELOCITY);
    });
    addEventListener("keyup", (event) => {
      if (event.code === "Space" && !this.#isTyping(event) && !this.#activatesElement(event)) {
        event.preventDefault();
        setPedal(false);
      }
      player.release(event.code);
    });
    addEventListener("blur", () => {
      for (const code of SEMITONES.keys()) player.release(code);
      setPedal(false);
    });
  }

  /** @param {KeyboardEvent} event */
  #isTyping(event) {
    const target = /** @type {Element} */ (event.target);
    return target instanceof Element && (target.matches(TEXT_FIELDS) || target.closest("dialog") !== null);
  }

  /** The space bar activates an element focused by the keyboard, not one that the mouse has focused. */
  #activatesElement(/** @type {KeyboardEvent} */ event) {
    const target = event.target;
    if (!(target instanceof Element) || target.closest(".piano")) return false;
    return target.matches(ACTIVATED_BY_SPACE) && target.matches(":focus-visible");
  }

  /** @param {number} semitones */
  shift(semitones) {
    this.base = Math.min(Math.max(this.base + semitones, MIN_BASE), MAX_BASE);
    this.dispatchEvent(new CustomEvent("octave", { detail: this.base }));
  }

  /**
   * Labels of the computer's keys, in the person's keyboard layout.
   *
   * @returns {Promise<Map<number, string>>} by MIDI number
   */
  async labels() {
    /** @type {Map<string, string> | undefined} */
    let layout;
    try {
      // @ts-ignore: not supported by every browser
      layout = await navigator.keyboard?.getLayoutMap();
    } catch {
      // not available in a frame
    }
    const labels = new Map();
    for (const [code, semitones] of SEMITONES) {
      const label = LABELS[code] ?? code.replace(/^(Key|Digit)/, "");
      labels.set(this.base + semitones, (layout?.get(code) ?? label).toUpperCase());
    }
    return labels;
  }
}

/** The computer's keys as two rows of piano keys, and the space bar as the pedal. */

/** Places on the keyboard, whatever is printed there, as semitones above the lower row's C. */
const LOWER = ["KeyZ", "KeyS", "KeyX", "KeyD", "KeyC", "KeyV", "KeyG", "KeyB", "KeyH", "KeyN",
  "KeyJ", "KeyM", "Comma", "KeyL", "Period", "Semicolon", "Slash"];
const UPPER = ["KeyQ", "Digit2", "KeyW", "Digit3", "KeyE", "KeyR", "Digit5", "KeyT", "Digit6",
  "KeyY", "Digit7", "KeyU", "KeyI", "Digit9", "KeyO", "Digit0", "KeyP"];
const PRINTED = /** @type {Record<string, string>} */ ({ Comma: ",", Period: ".", Semicolon: ";", Slash: "/" });
const VELOCITY = 88;
const LOUD = 120; // with Shift
const LOWEST = 24; // MIDI numbers of the lower row's C
const HIGHEST = 84;

/** The lower row first: where both have a key, the upper one's is printed on the piano. */
const SEMITONES = new Map([
  ...LOWER.map((code, i) => /** @type {[string, number]} */ ([code, i])),
  ...UPPER.map((code, i) => /** @type {[string, number]} */ ([code, i + 12])),
]);

const TYPING = "input:not([type=range], [type=checkbox]), select, textarea, [contenteditable]";
const PRESSED_BY_SPACE = "button, input, select, summary, a";

/** Events: `octave` (detail: MIDI number of the lower row's C). */
export class ComputerKeys extends EventTarget {
  base = 48; // MIDI number of the lower row's C

  /**
   * @param {import("./player.js").Player} player
   * @param {(down: boolean) => void} pedal
   */
  constructor(player, pedal) {
    super();
    this.player = player;
    addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || this.#typing(event)) return;
      if (event.code === "Space") {
        if (this.#presses(event)) return;
        event.preventDefault();
        if (!event.repeat) pedal(true);
        return;
      }
      if (event.code === "BracketLeft") this.shift(-12);
      else if (event.code === "BracketRight") this.shift(12);
      const semitones = SEMITONES.get(event.code);
      if (semitones === undefined || event.repeat) return;
      event.preventDefault(); // Firefox would begin a quick search at "/"
      player.press(event.code, this.base + semitones, event.shiftKey ? LOUD : VELOCITY);
    });
    addEventListener("keyup", (event) => {
      if (event.code === "Space" && !this.#typing(event) && !this.#presses(event)) {
        event.preventDefault();
        pedal(false);
      }
      player.release(event.code);
    });
    addEventListener("blur", () => {
      for (const code of SEMITONES.keys()) player.release(code);
      pedal(false);
    });
  }

  /** @param {KeyboardEvent} event */
  #typing(event) {
    const target = /** @type {Element} */ (event.target);
    return target instanceof Element && (target.matches(TYPING) || target.closest("dialog") !== null);
  }

  /** The space bar presses what the keyboard has led to, not what the mouse has left behind. */
  #presses(/** @type {KeyboardEvent} */ event) {
    const target = event.target;
    if (!(target instanceof Element) || target.closest(".piano")) return false;
    return target.matches(PRESSED_BY_SPACE) && target.matches(":focus-visible");
  }

  /** @param {number} semitones */
  shift(semitones) {
    this.base = Math.min(Math.max(this.base + semitones, LOWEST), HIGHEST);
    this.dispatchEvent(new CustomEvent("octave", { detail: this.base }));
  }

  /**
   * What is printed on the keys.
   *
   * @returns {Promise<Map<number, string>>} by MIDI number
   */
  async printed() {
    /** @type {Map<string, string> | undefined} */
    let layout;
    try {
      // @ts-ignore: not every browser tells
      layout = await navigator.keyboard?.getLayoutMap();
    } catch {
      // it does not tell in a frame
    }
    const words = new Map();
    for (const [code, semitones] of SEMITONES) {
      const plain = PRINTED[code] ?? code.replace(/^(Key|Digit)/, "");
      words.set(this.base + semitones, (layout?.get(code) ?? plain).toUpperCase());
    }
    return words;
  }
}

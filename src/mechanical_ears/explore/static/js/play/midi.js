/** MIDI keyboards, where the browser has Web MIDI. */

const NOTE_OFF = 0x80;
const NOTE_ON = 0x90;
const CONTROL = 0xb0;
const SUSTAIN = 64; // controller
const ALL_OFF = 120; // controllers from here on silence

/** Events: `state` when keyboards come or go. */
export class Midi extends EventTarget {
  /** @type {MIDIAccess | null} */
  #access = null;

  /**
   * @param {import("./player.js").Player} player
   * @param {(down: boolean) => void} pedal
   */
  constructor(player, pedal) {
    super();
    this.player = player;
    this.pedal = pedal;
  }

  static get possible() {
    return typeof navigator.requestMIDIAccess === "function";
  }

  /** @returns {string[]} names of the keyboards */
  get names() {
    return [...(this.#access?.inputs.values() ?? [])].map((input) => input.name ?? "MIDI keyboard");
  }

  /**
   * Ask for the keyboards.
   *
   * @throws {DOMException} the person or the browser refused
   */
  async open() {
    if (this.#access) return;
    this.#access = await navigator.requestMIDIAccess();
    this.#access.addEventListener("statechange", () => this.#listen());
    this.#listen();
  }

  #listen() {
    for (const input of this.#access?.inputs.values() ?? [])
      input.onmidimessage = (event) => event.data && this.hear(event.data);
    this.dispatchEvent(new Event("state"));
  }

  /** @param {Uint8Array} message */
  hear([status, first, second]) {
    const [kind, channel] = [status & 0xf0, status & 0x0f];
    const holder = `midi ${channel} ${first}`;
    if (kind === NOTE_ON && second > 0) this.player.press(holder, first, second);
    else if (kind === NOTE_ON || kind === NOTE_OFF) this.player.release(holder);
    else if (kind === CONTROL && first === SUSTAIN) this.pedal(second >= 64);
    else if (kind === CONTROL && first >= ALL_OFF) this.player.releaseAll("midi");
  }
}

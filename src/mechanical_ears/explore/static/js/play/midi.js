/** MIDI keyboards, in browsers that support Web MIDI. */

const NOTE_OFF = 0x80;
const NOTE_ON = 0x90;
const CONTROL_CHANGE = 0xb0;
const SUSTAIN_PEDAL = 64; // controller
const ALL_SOUND_OFF = 120; // this controller and those above it stop all notes
const PEDAL_DOWN = 64; // smallest value of a pedal that is down

/** Events: `state` when a keyboard is connected or disconnected. */
export class Midi extends EventTarget {
  /** @type {MIDIAccess | null} */
  #access = null;

  /**
   * @param {import("./player.js").Player} player
   * @param {(down: boolean) => void} setPedal
   */
  constructor(player, setPedal) {
    super();
    this.player = player;
    this.setPedal = setPedal;
  }

  static get isSupported() {
    return typeof navigator.requestMIDIAccess === "function";
  }

  /** @returns {string[]} names of the keyboards */
  get names() {
    return [...(this.#access?.inputs.values() ?? [])].map((input) => input.name ?? "MIDI keyboard");
  }

  /**
   * Connect to the keyboards.
   *
   * @throws {DOMException} if the person or the browser refuses
   */
  async open() {
    if (this.#access) return;
    this.#access = await navigator.requestMIDIAccess();
    this.#access.addEventListener("statechange", () => this.#listen());
    this.#listen();
  }

  #listen() {
    for (const input of this.#access?.inputs.values() ?? [])
      input.onmidimessage = (event) => event.data && this.handle(event.data);
    this.dispatchEvent(new Event("state"));
  }

  /** @param {Uint8Array} message */
  handle([status, first, second]) {
    const [kind, channel] = [status & 0xf0, status & 0x0f];
    const holder = `midi ${channel} ${first}`;
    if (kind === NOTE_ON && second > 0) this.player.press(holder, first, second);
    else if (kind === NOTE_ON || kind === NOTE_OFF) this.player.release(holder);
    else if (kind === CONTROL_CHANGE && first === SUSTAIN_PEDAL) this.setPedal(second >= PEDAL_DOWN);
    else if (kind === CONTROL_CHANGE && first >= ALL_SOUND_OFF) this.player.releaseAll("midi");
  }
}

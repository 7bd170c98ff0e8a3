/** A short phrase that demonstrates an instrument. */

const BEAT_SECONDS = 0.42; // s
const SCHEDULE_AHEAD_SECONDS = 0.15; // s that notes are scheduled before they sound
const TIMER_MS = 40; // ms between two looks at the clock
const LOADING_MS = 2500; // ms to wait for the notes

/** Start in beats, MIDI number, length in beats, MIDI velocity: chords of A minor, F and A minor. */
const SCORE = [
  [0, 57, 4, 84],
  [0.5, 64, 0.5, 60],
  [1, 69, 0.5, 72],
  [1.5, 72, 0.5, 64],
  [2, 76, 1, 96],
  [3, 74, 0.5, 70],
  [3.5, 72, 0.5, 66],
  [4, 53, 4, 88],
  [4.5, 60, 0.5, 58],
  [5, 69, 0.5, 74],
  [5.5, 72, 0.5, 62],
  [6, 77, 1, 100],
  [7, 76, 0.5, 72],
  [7.5, 72, 0.5, 62],
  [8, 45, 3, 92],
  [8, 57, 3, 70],
  [8.5, 64, 2.5, 62],
  [9, 69, 2, 84],
];

export class Phrase extends EventTarget {
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;
  /** @type {Set<import("./voices.js").Voice>} */
  #voices = new Set();

  /**
   * @param {import("./voices.js").Voices} voices
   * @param {() => string | null} instrument returns the id of the selected instrument
   */
  constructor(voices, instrument) {
    super();
    this.voices = voices;
    this.instrument = instrument;
  }

  get playing() {
    return this.#timer !== undefined;
  }

  stop() {
    if (!this.playing) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const voice of this.#voices) this.voices.release(voice);
    this.#voices.clear();
    this.dispatchEvent(new Event("state"));
  }

  /** Request the notes, wait for them up to LOADING_MS, and play. */
  play() {
    const { notes, engine } = this.voices;
    const context = engine.context;
    const id = this.instrument();
    if (!context || !id) return;
    this.stop();
    for (const [, pitch, , velocity] of SCORE)
      notes.request(id, pitch, notes.mixture(velocity)[0].velocity);
    const requested = performance.now();
    let next = 0;
    let start = 0;
    /** @type {{voice: import("./voices.js").Voice, until: number}[]} */
    const ends = [];
    this.#timer = setInterval(() => {
      const now = context.currentTime;
      if (!start) {
        const isLoaded = SCORE.slice(0, 8).every(
          ([, pitch, , velocity]) => notes.get(id, pitch, notes.mixture(velocity)[0].velocity),
        );
        if (!isLoaded && performance.now() - requested < LOADING_MS) return;
        start = now + SCHEDULE_AHEAD_SECONDS;
      }
      for (; next < SCORE.length; next++) {
        const [beat, pitch, beats, velocity] = SCORE[next];
        const time = start + beat * BEAT_SECONDS;
        if (time > now + SCHEDULE_AHEAD_SECONDS) break;
        const voice = this.voices.press(this.instrument() ?? id, pitch, velocity, time);
        if (!voice) continue;
        this.#voices.add(voice);
        ends.push({ voice, until: time + beats * BEAT_SECONDS });
      }
      for (const end of ends.filter(({ until }) => until <= now + SCHEDULE_AHEAD_SECONDS)) {
        this.voices.release(end.voice, end.until);
        this.#voices.delete(end.voice);
        ends.splice(ends.indexOf(end), 1);
      }
      if (next === SCORE.length && !ends.length) this.stop();
    }, TIMER_MS);
    this.dispatchEvent(new Event("state"));
  }
}

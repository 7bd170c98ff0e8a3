"""Single modules of the page, run in the browser on inputs with known answers."""

import numpy as np
import pytest

STATIC = "/static/js"


def run(page, module: str, script: str, *arguments: object):
    """Call a JavaScript function with a module of the page and other arguments."""
    return page.evaluate(
        f"async (args) => ({script})(await import('{STATIC}/{module}'), ...args)",
        list(arguments),
    )


@pytest.fixture(scope="module")
def empty_page(browser, server):
    """A page of the server without scripts of its own."""
    page = browser.new_page()
    page.goto(f"{server.url}/static/icon.svg")
    yield page
    page.close()


def test_history_undoes_redoes_and_drops_undone_states(empty_page):
    result = run(
        empty_page,
        "history.js",
        """({ History }) => {
          const history = new History(3);
          history.push("a");
          history.push("b");
          const back = history.undo();
          history.push("c");
          const redo = history.canRedo;
          history.push("d1", "slide", 0);
          history.push("d2", "slide", 100);
          const merged = [history.state, history.undo(), history.redo()];
          history.push("e", "slide", 9000);
          return { back, redo, merged, last: [history.undo(), history.undo(), history.undo()] };
        }""",
    )
    assert result == {
        "back": "a",
        "redo": False,
        "merged": ["d2", "c", "d2"],
        "last": ["d2", "c", None],  # three states are kept
    }


def test_a_steady_note_is_looped_without_a_discontinuity(empty_page):
    result = run(
        empty_page,
        "audio/sustain-loop.js",
        """({ prepareSustain }) => {
          const x = new Float32Array(192000);
          for (let i = 0; i < x.length; i++) x[i] = 0.5 * Math.sin(2 * Math.PI * 220.5 * i / 48000);
          const { loop, decay } = prepareSustain(x, 48000, 3);
          const [s, e] = [Math.round(loop.start * 48000), Math.round(loop.end * 48000)];
          return { loop, decay, seam: [x[e - 2], x[e - 1], x[s], x[s + 1]] };
        }""",
    )
    assert result["decay"] == 0
    assert result["loop"]["end"] == pytest.approx(2.98)
    periods = (result["loop"]["end"] - result["loop"]["start"]) * 220.5
    assert abs(periods - round(periods)) < 0.01
    steps = np.diff(result["seam"])
    assert np.abs(np.diff(steps)).max() < 0.0006  # a sine's second difference


def test_a_decaying_note_keeps_its_decay_while_it_is_held(empty_page):
    result = run(
        empty_page,
        "audio/sustain-loop.js",
        """({ prepareSustain, frameLevels }) => {
          const x = new Float32Array(192000);
          for (let i = 0; i < x.length; i++)
            x[i] = 0.5 * 10 ** (-6 * i / 48000 / 20) * Math.sin(2 * Math.PI * 200 * i / 48000);
          const { loop, decay, decayStart } = prepareSustain(x, 48000, 3);
          const levels = frameLevels(x, 48000);
          return { decay, decayStart, start: loop.start,
            levels: [loop.start + 0.1, loop.end - 0.1].map((t) => levels[Math.floor(t / 0.02)]) };
        }""",
    )
    assert result["decay"] == pytest.approx(6, abs=0.05)  # dB/s
    assert result["decayStart"] == pytest.approx(result["start"] - 0.03, abs=0.001)
    first, last = result["levels"]
    assert 20 * np.log10(last / first) == pytest.approx(0, abs=0.1)  # the loop itself is constant


def test_a_note_that_has_faded_out_has_no_loop(empty_page):
    loop = run(
        empty_page,
        "audio/sustain-loop.js",
        """({ prepareSustain }) => {
          const x = new Float32Array(192000);
          for (let i = 0; i < 24000; i++) x[i] = Math.exp(-i / 2000) * Math.sin(i / 20);
          return prepareSustain(x, 48000, 3).loop;
        }""",
    )
    assert loop is None


def test_a_release_starts_at_the_level_of_the_held_note(empty_page):
    result = run(
        empty_page,
        "audio/voices.js",
        """({ releaseGain }) => {
          const levels = new Float32Array(200).fill(0.1);
          levels.fill(0.2, 0, 50);
          const sample = (loop, decay) =>
            ({ sustain: { loop, decay, decayStart: 2, keyUp: 3, levels } });
          return [
            releaseGain(sample(null, 0), 0.5),
            releaseGain(sample(null, 0), 2),
            releaseGain(sample(null, 0), 3.5),
            releaseGain(sample({ start: 2.03, end: 2.98 }, 20), 3),
          ];
        }""",
    )
    after_the_end = result.pop(2)
    assert after_the_end is None
    assert result == pytest.approx([2, 1, 0.1], rel=1e-5)


def test_velocity_layers_are_mixed(empty_page):
    result = run(
        empty_page,
        "audio/note-cache.js",
        """({ NoteCache }) => {
          const notes = new NoteCache(null, null, { layers: [40, 80, 120] });
          return [20, 40, 50, 80, 110, 127].map((v) =>
            notes.mixture(v).map(({ velocity, weight }) => [velocity, weight]));
        }""",
    )
    assert result == [
        [[40, 1]],
        [[40, 1]],
        [[40, 0.75], [80, 0.25]],
        [[80, 1]],
        [[120, 0.75], [80, 0.25]],
        [[120, 1]],
    ]


def test_the_limiter_leaves_quiet_samples_unchanged(empty_page):
    curve = np.array(run(empty_page, "audio/engine.js", "({ limitCurve }) => [...limitCurve()]"))
    x = np.linspace(-4, 4, len(curve))
    quiet = np.abs(x) < 0.69
    assert np.allclose(curve[quiet], x[quiet], atol=1e-6)
    assert np.abs(curve).max() <= 1
    assert (np.diff(curve) >= 0).all()


def test_a_position_on_the_piano_gives_a_key_and_a_velocity(empty_page):
    result = run(
        empty_page,
        "play/key-geometry.js",
        """({ Keys, pitchName }) => {
          const keys = new Keys(21, 108);
          const c4 = keys.position(60);
          return { whites: keys.whites, c4, names: [21, 60, 61, 108].map(pitchName),
            keys_at: [[c4 + 0.5, 0.99], [c4 + 1, 0.3], [c4 + 1, 0.8], [c4 + 1.5, 0.1], [-1, 0.5]]
              .map(([x, y]) => keys.keyAt(x, y)?.pitch ?? null),
            softer: keys.keyAt(c4 + 0.5, 0.65).velocity < keys.keyAt(c4 + 0.5, 0.95).velocity,
            centres: [60, 60.5, 61].map((p) => keys.centre(p) - c4) };
        }""",
    )
    assert result == {
        "whites": 52,
        "c4": 23,
        "names": ["A0", "C4", "C♯4", "C8"],
        "keys_at": [60, 61, 62, 62, None],
        "softer": True,
        "centres": [0.5, 0.75, 1],
    }


def test_the_pads_weights_sum_to_one_and_are_pure_in_its_corners(empty_page):
    result = run(
        empty_page,
        "morph/pad.js",
        """({ weights }) => [[0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0.25]]
          .map(([x, y]) => weights(x, y))""",
    )
    assert result[:4] == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert result[4] == [0.375, 0.375, 0.125, 0.125]


def test_urgent_requests_run_first_and_the_newest_of_them_before_older_ones(empty_page):
    order = run(
        empty_page,
        "audio/request-queue.js",
        """async ({ RequestQueue }) => {
          const order = [];
          const queue = new RequestQueue();
          let go;
          const gate = new Promise((resolve) => (go = resolve));
          const task = (name) => async () => { order.push(name); await gate; };
          for (const name of ["a", "b", "c"]) queue.add(name, task(name), false);
          for (const name of ["1", "2", "3", "4"]) queue.add(name, task(name), true);
          queue.add("c", task("c"), true);
          queue.cancel((name) => name === "4");
          go();
          await new Promise((resolve) => setTimeout(resolve, 50));
          return order;
        }""",
    )
    assert order == ["a", "b", "1", "2", "3", "c"]


def test_names_and_numbers_are_worded_for_musicians(empty_page):
    result = run(
        empty_page,
        "wording.js",
        """(wording) => [
          wording.knownInstrumentName("keyboard_electronic_fluidr3_gm-000-007"),
          wording.knownInstrumentName("guitar_synthetic_017"),
          wording.tuning(-12.4), wording.tuning(1), wording.hertz(440), wording.hertz(27.5),
          wording.describeNovelty(0.5, [0.1, 0.2, 0.6, 0.7]).fraction,
          wording.describeNote({ pitch: 69, sounding_pitch: 57, frequency: 220, cents: 0 }),
        ]""",
    )
    assert result == [
        "clavinet (FluidR3)",
        "synthetic guitar 017",
        "12 cents flat",
        "in tune",
        "440.0 Hz",
        "27.50 Hz",
        0.5,
        "The key is A4, sounding at A3: 220.0 Hz, in tune.",
    ]

"""The page's modules by themselves, in the browser, on inputs with known answers."""

import numpy as np
import pytest

STATIC = "/static/js"


def run(page, module: str, script: str, *arguments: object):
    """Call a script with a module of the page."""
    return page.evaluate(
        f"async (args) => ({script})(await import('{STATIC}/{module}'), ...args)",
        list(arguments),
    )


@pytest.fixture(scope="module")
def bare(browser, server):
    """A page of the server that runs nothing by itself."""
    page = browser.new_page()
    page.goto(f"{server.url}/static/icon.svg")
    yield page
    page.close()


def test_history_goes_back_and_forth_and_forgets_what_was_undone(bare):
    told = run(
        bare,
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
          const together = [history.state, history.undo(), history.redo()];
          history.push("e", "slide", 9000);
          return { back, redo, together, last: [history.undo(), history.undo(), history.undo()] };
        }""",
    )
    assert told == {
        "back": "a",
        "redo": False,
        "together": ["d2", "c", "d2"],
        "last": ["d2", "c", None],  # of three that are kept
    }


def test_a_steady_note_is_looped_without_a_jump(bare):
    told = run(
        bare,
        "audio/sustain-loop.js",
        """({ hold }) => {
          const x = new Float32Array(192000);
          for (let i = 0; i < x.length; i++) x[i] = 0.5 * Math.sin(2 * Math.PI * 220.5 * i / 48000);
          const { loop, fall } = hold(x, 48000, 3);
          const [s, e] = [Math.round(loop.start * 48000), Math.round(loop.end * 48000)];
          return { loop, fall, seam: [x[e - 2], x[e - 1], x[s], x[s + 1]] };
        }""",
    )
    assert told["fall"] == 0
    assert told["loop"]["end"] == pytest.approx(2.98)
    periods = (told["loop"]["end"] - told["loop"]["start"]) * 220.5
    assert abs(periods - round(periods)) < 0.01
    steps = np.diff(told["seam"])
    assert np.abs(np.diff(steps)).max() < 0.0006  # a sine's second difference, not a jump


def test_a_falling_note_goes_on_falling_at_its_own_rate(bare):
    told = run(
        bare,
        "audio/sustain-loop.js",
        """({ hold, frameLevels }) => {
          const x = new Float32Array(192000);
          for (let i = 0; i < x.length; i++)
            x[i] = 0.5 * 10 ** (-6 * i / 48000 / 20) * Math.sin(2 * Math.PI * 200 * i / 48000);
          const { loop, fall, fallsFrom } = hold(x, 48000, 3);
          const levels = frameLevels(x, 48000);
          return { fall, fallsFrom, start: loop.start,
            levels: [loop.start + 0.1, loop.end - 0.1].map((t) => levels[Math.floor(t / 0.02)]) };
        }""",
    )
    assert told["fall"] == pytest.approx(6, abs=0.05)  # dB/s
    assert told["fallsFrom"] == pytest.approx(told["start"] - 0.03, abs=0.001)
    first, last = told["levels"]
    assert 20 * np.log10(last / first) == pytest.approx(0, abs=0.1)  # the loop itself is level


def test_a_note_that_is_gone_is_not_held(bare):
    loop = run(
        bare,
        "audio/sustain-loop.js",
        """({ hold }) => {
          const x = new Float32Array(192000);
          for (let i = 0; i < 24000; i++) x[i] = Math.exp(-i / 2000) * Math.sin(i / 20);
          return hold(x, 48000, 3).loop;
        }""",
    )
    assert loop is None


def test_a_release_is_brought_to_the_level_of_the_moment(bare):
    told = run(
        bare,
        "audio/voices.js",
        """({ releaseGain }) => {
          const levels = new Float32Array(200).fill(0.1);
          levels.fill(0.2, 0, 50);
          const held = (loop, fall) => ({ held: { loop, fall, fallsFrom: 2, held: 3, levels } });
          return [
            releaseGain(held(null, 0), 0.5),
            releaseGain(held(null, 0), 2),
            releaseGain(held(null, 0), 3.5),
            releaseGain(held({ start: 2.03, end: 2.98 }, 20), 3),
          ];
        }""",
    )
    beyond = told.pop(2)
    assert beyond is None  # the note is over by itself
    assert told == pytest.approx([2, 1, 0.1], rel=1e-5)


def test_velocity_layers_are_mixed(bare):
    told = run(
        bare,
        "audio/note-cache.js",
        """({ Notes }) => {
          const notes = new Notes(null, null, { layers: [40, 80, 120] });
          return [20, 40, 50, 80, 110, 127].map((v) =>
            notes.mixture(v).map(({ velocity, share }) => [velocity, share]));
        }""",
    )
    assert told == [
        [[40, 1]],
        [[40, 1]],
        [[40, 0.75], [80, 0.25]],
        [[80, 1]],
        [[120, 0.75], [80, 0.25]],
        [[120, 1]],
    ]


def test_the_limit_leaves_what_is_not_too_loud_as_it_is(bare):
    curve = np.array(run(bare, "audio/engine.js", "({ limitCurve }) => [...limitCurve()]"))
    x = np.linspace(-4, 4, len(curve))
    plain = np.abs(x) < 0.69
    assert np.allclose(curve[plain], x[plain], atol=1e-6)
    assert np.abs(curve).max() <= 1
    assert (np.diff(curve) >= 0).all()


def test_a_place_on_the_piano_is_a_key_and_a_velocity(bare):
    told = run(
        bare,
        "play/key-geometry.js",
        """({ Keys, pitchName }) => {
          const keys = new Keys(21, 108);
          const c4 = keys.position(60);
          return { whites: keys.whites, c4, names: [21, 60, 61, 108].map(pitchName),
            struck: [[c4 + 0.5, 0.99], [c4 + 1, 0.3], [c4 + 1, 0.8], [c4 + 1.5, 0.1], [-1, 0.5]]
              .map(([x, y]) => keys.at(x, y)?.pitch ?? null),
            softer: keys.at(c4 + 0.5, 0.65).velocity < keys.at(c4 + 0.5, 0.95).velocity,
            centres: [60, 60.5, 61].map((p) => keys.centre(p) - c4) };
        }""",
    )
    assert told == {
        "whites": 52,
        "c4": 23,
        "names": ["A0", "C4", "C♯4", "C8"],
        "struck": [60, 61, 62, 62, None],
        "softer": True,
        "centres": [0.5, 0.75, 1],
    }


def test_the_pads_weights_sum_to_one_and_its_corners_are_pure(bare):
    told = run(
        bare,
        "morph/pad.js",
        """({ weights }) => [[0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0.25]]
          .map(([x, y]) => weights(x, y))""",
    )
    assert told[:4] == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert told[4] == [0.375, 0.375, 0.125, 0.125]


def test_what_is_urgent_is_loaded_first_and_the_newest_of_that(bare):
    order = run(
        bare,
        "audio/request-queue.js",
        """async ({ Loading }) => {
          const order = [];
          const loading = new Loading();
          let go;
          const gate = new Promise((resolve) => (go = resolve));
          const task = (name) => async () => { order.push(name); await gate; };
          for (const name of ["a", "b", "c"]) loading.want(name, task(name), false);
          for (const name of ["1", "2", "3", "4"]) loading.want(name, task(name), true);
          loading.want("c", task("c"), true);
          loading.drop((name) => name === "4");
          go();
          await new Promise((resolve) => setTimeout(resolve, 50));
          return order;
        }""",
    )
    assert order == ["a", "b", "1", "2", "3", "c"]


def test_names_and_numbers_are_told_as_musicians_do(bare):
    told = run(
        bare,
        "wording.js",
        """(words) => [
          words.knownName("keyboard_electronic_fluidr3_gm-000-007"),
          words.knownName("guitar_synthetic_017"),
          words.tuning(-12.4), words.tuning(1), words.hertz(440), words.hertz(27.5),
          words.newness(0.5, [0.1, 0.2, 0.6, 0.7]).share,
          words.noteHeard({ pitch: 69, sounding_pitch: 57, frequency: 220, cents: 0 }),
        ]""",
    )
    assert told == [
        "clavinet (FluidR3)",
        "synthetic guitar 017",
        "12 cents flat",
        "in tune",
        "440.0 Hz",
        "27.50 Hz",
        0.5,
        "The key is A4, sounding at A3: 220.0 Hz, in tune.",
    ]

"""Rendering single notes of a SoundFont with FluidSynth, with the same bytes every time.

FluidSynth runs at its best quality: 48 kHz, 7th-order interpolation, no reverb, no chorus, float
frames that are not clipped at full scale; the two channels are averaged, unless both are wanted.
(Rendering at 16 kHz would be four times as fast but, for the worst tenth of the notes, 16 dB off:
components above 8 kHz alias.)

Notes must not depend on each other, but a synthesiser that has played before does not play like a
new one: the amplitude of a voice moves within its first 64 frames from the level of the voice's
previous note. So each note gets a new synthesiser. This costs half a millisecond, because the
loaded SoundFont is passed on from one to the next, and rendering a note takes five.

Only the samples of the selected preset are in memory, and FluidSynth shares them between renderers.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import io
import threading
from ctypes import c_char_p, c_double, c_int, c_void_p
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.errors import CorpusError

RENDER_RATE = 48_000  # Hz
GAIN = 0.8  # FluidSynth's; the loudest notes of common General MIDI fonts then peak near 0.9

_INTERPOLATION = 7  # order, FluidSynth's highest
_CHANNELS = 16  # MIDI channels of a synthesiser
_LOG_LEVELS = 5  # of FluidSynth, from panic to debug
_OK, _FAILED = 0, -1

_SETTINGS: dict[bytes, float] = {
    b"synth.sample-rate": float(RENDER_RATE),
    b"synth.gain": GAIN,
    b"synth.reverb.active": 0,
    b"synth.chorus.active": 0,
    b"synth.dynamic-sample-loading": 1,
    b"synth.lock-memory": 0,
    b"synth.midi-channels": _CHANNELS,
    b"synth.polyphony": 64,
}
_WRITE_ARGUMENTS: list[type] = [c_void_p, c_int, c_void_p, c_int, c_int, c_void_p, c_int, c_int]
_PROTOTYPES: dict[str, tuple[type | None, list[type]]] = {
    "fluid_set_log_function": (c_void_p, [c_int, c_void_p, c_void_p]),
    "new_fluid_settings": (c_void_p, []),
    "delete_fluid_settings": (None, [c_void_p]),
    "fluid_settings_setnum": (c_int, [c_void_p, c_char_p, c_double]),
    "fluid_settings_setint": (c_int, [c_void_p, c_char_p, c_int]),
    "new_fluid_synth": (c_void_p, [c_void_p]),
    "delete_fluid_synth": (None, [c_void_p]),
    "fluid_synth_set_interp_method": (c_int, [c_void_p, c_int, c_int]),
    "fluid_synth_sfload": (c_int, [c_void_p, c_char_p, c_int]),
    "fluid_synth_get_sfont_by_id": (c_void_p, [c_void_p, c_int]),
    "fluid_synth_add_sfont": (c_int, [c_void_p, c_void_p]),
    "fluid_synth_remove_sfont": (c_int, [c_void_p, c_void_p]),
    "fluid_synth_unset_program": (c_int, [c_void_p, c_int]),
    "fluid_synth_program_select": (c_int, [c_void_p, c_int, c_int, c_int, c_int]),
    "fluid_synth_noteon": (c_int, [c_void_p, c_int, c_int, c_int]),
    "fluid_synth_noteoff": (c_int, [c_void_p, c_int, c_int]),
    "fluid_synth_write_float": (c_int, _WRITE_ARGUMENTS),
}
_creation_lock = threading.Lock()  # FluidSynth builds its tables with the first synthesiser


class FluidSynthRenderer:
    """Renders notes of a SoundFont, one at a time.

    A renderer is for one thread at a time; renderers of several threads are independent.

    Args:
        path: the .sf2 or .sf3 file.

    Raises:
        CorpusError: FluidSynth is missing or cannot load the file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._library = _load_library()
        self._selected: tuple[int, int] | None = None
        self._settings = _make_settings(self._library)
        with _creation_lock:
            self._keeper = self._library.new_fluid_synth(self._settings)
            # The keeper renders nothing; it keeps the font and the preset's samples in memory.
            font = self._library.fluid_synth_sfload(self._keeper, bytes(self.path), 0)
        if font == _FAILED:
            self.close()
            raise CorpusError("FluidSynth cannot load this SoundFont", path=self.path)
        self._font = self._library.fluid_synth_get_sfont_by_id(self._keeper, font)
        self._font_id = font

    def render(
        self,
        bank: int,
        program: int,
        pitch: int,
        velocity: int,
        *,
        hold: int,
        length: int,
        channels: int = 1,
    ) -> NDArray[np.float32]:
        """Render one note.

        Args:
            bank: MIDI bank of the preset.
            program: MIDI program of the preset.
            pitch: MIDI pitch 0..127.
            velocity: MIDI velocity 1..127.
            hold: frames at ``RENDER_RATE`` until the key is released.
            length: frames at ``RENDER_RATE`` in total, not fewer than ``hold``.
            channels: 1 for their mean, or 2.

        Returns:
            float32 (length,) or (length, 2); full scale is [-1, 1], but samples may exceed it.

        Raises:
            CorpusError: the font has no such preset.
        """
        library = self._library
        if self._selected != (bank, program):
            self._select(self._keeper, self._font_id, bank, program)
            self._selected = (bank, program)
        frames = np.empty((length, 2), dtype=np.float32)
        synth = library.new_fluid_synth(self._settings)
        try:
            # Without this the new synthesiser would load the font's first preset on each channel.
            for channel in range(_CHANNELS):
                library.fluid_synth_unset_program(synth, channel)
            library.fluid_synth_set_interp_method(synth, -1, _INTERPOLATION)
            font = library.fluid_synth_add_sfont(synth, self._font)
            self._select(synth, font, bank, program)
            library.fluid_synth_noteon(synth, 0, pitch, velocity)
            self._write(synth, frames[:hold])
            library.fluid_synth_noteoff(synth, 0, pitch)
            self._write(synth, frames[hold:])
        finally:
            library.fluid_synth_remove_sfont(synth, self._font)
            library.delete_fluid_synth(synth)
        if channels == 2:
            return frames
        mono: NDArray[np.float32] = (frames[:, 0] + frames[:, 1]) * np.float32(0.5)
        return mono

    def close(self) -> None:
        """Free FluidSynth's memory; the renderer cannot be used any more."""
        if self._keeper is not None:
            self._library.delete_fluid_synth(self._keeper)
            self._library.delete_fluid_settings(self._settings)
            self._keeper = None

    def __enter__(self) -> FluidSynthRenderer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _select(self, synth: int, font: int, bank: int, program: int) -> None:
        if self._library.fluid_synth_program_select(synth, 0, font, bank, program) != _OK:
            raise CorpusError(f"has no preset {bank}:{program}", path=self.path)

    def _write(self, synth: int, frames: NDArray[np.float32]) -> None:
        if len(frames):
            start = frames.ctypes.data
            self._library.fluid_synth_write_float(synth, len(frames), start, 0, 2, start, 1, 2)


@functools.cache
def _load_library() -> ctypes.CDLL:
    """Load libfluidsynth where pyfluidsynth finds it, without its log messages."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints where CI is set
            import fluidsynth

        library = ctypes.CDLL(fluidsynth.lib)
    except ModuleNotFoundError as error:
        problem = "rendering SoundFonts needs the Python package pyfluidsynth"
        raise CorpusError(problem, remedy='run: pip install "mechanical-ears[train]"') from error
    except (ImportError, OSError) as error:
        raise CorpusError(
            "rendering SoundFonts needs the library libfluidsynth, which is not installed",
            remedy="run: apt install libfluidsynth3 (macOS: brew install fluid-synth)",
        ) from error
    for name, (result, arguments) in _PROTOTYPES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    for level in range(_LOG_LEVELS):
        library.fluid_set_log_function(level, None, None)
    return library


def _make_settings(library: ctypes.CDLL) -> int:
    settings: int = library.new_fluid_settings()
    for name, value in _SETTINGS.items():
        kind = "num" if isinstance(value, float) else "int"
        set_value = getattr(library, f"fluid_settings_set{kind}")
        if set_value(settings, name, value) != _OK:
            problem = f'this libfluidsynth does not have the setting "{name.decode()}"'
            raise CorpusError(problem, remedy="install FluidSynth 2.0 or later")
    return settings

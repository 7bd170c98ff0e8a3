"""A synthetic corpus from formulas: for tests, for a first run, for work without downloads.

Velocity sets the level, −0.25 dB · (127 − velocity), and the slope of the spectrum (see
``toy_voices``): as with real instruments, a higher velocity is louder and brighter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mechanical_ears.corpus import toy_voices
from mechanical_ears.corpus.corpus import Corpus, CorpusEntry, Provenance
from mechanical_ears.corpus.toy_voices import RECIPES, Recipe, Timbre
from mechanical_ears.errors import CorpusError
from mechanical_ears.note import NOTE_SAMPLE_RATE, NOTE_SECONDS, VELOCITIES, Note
from mechanical_ears.pitch import PITCH_COUNT, midi_to_hz
from mechanical_ears.sound import Sound

_MAX_PEAK = 0.8  # of full scale, the loudest note of the loudest instrument
_DECIBELS_PER_VELOCITY = 0.25  # dB per step of MIDI velocity
_INSTRUMENTS, _NOTES, _ORDER = range(3)  # streams of random numbers


@dataclass(frozen=True)
class _Instrument:
    """An instrument: name, qualities, level in dB relative to the loudest, timbre and recipe."""

    name: str
    qualities: tuple[str, ...]
    level: float
    timbre: Timbre
    recipe: Recipe


def _make_instrument(seed: int, number: int) -> _Instrument:
    """Instrument ``number``, which depends on (seed, number) only; recipes are used in turn."""
    rng = np.random.default_rng([seed, _INSTRUMENTS, number])
    rounds, index = divmod(number, len(RECIPES))
    recipe = RECIPES[index]
    timbre = recipe.sample_timbre(rng)
    labels = (recipe.family, recipe.source)
    same = [other for other, each in enumerate(RECIPES) if (each.family, each.source) == labels]
    return _Instrument(
        name=f"{recipe.family}_{recipe.source}_{rounds * len(same) + same.index(index):03d}",
        qualities=recipe.qualities(timbre),
        level=-rng.uniform(0, 6),
        timbre=timbre,
        recipe=recipe,
    )


class Toy(Corpus):
    """Synthetic notes, the same for the same arguments.

    Note ``index`` depends on (seed, index) and the timbre of its instrument on (seed, number of the
    instrument), so that a scan may start anywhere, and a longer corpus starts with the notes of a
    shorter one. No combination of instrument, pitch and velocity occurs twice. Twelve instruments
    or more cover all eleven families of NSynth.

    Args:
        count: number of notes.
        seed: of the instruments and notes, not below 0.
        instruments: number of instruments.
        pitches: MIDI numbers to choose from.
        velocities: MIDI velocities to choose from, each 1..127.
        sample_rate: Hz.
        seconds: length of each note in s; the key is held for three quarters of it.

    Raises:
        CorpusError: an argument is out of range, or there are fewer different notes than ``count``.
    """

    def __init__(
        self,
        count: int = 1000,
        *,
        seed: int = 0,
        instruments: int = 24,
        pitches: Sequence[int] = range(21, 109),
        velocities: Sequence[int] = VELOCITIES,
        sample_rate: int = NOTE_SAMPLE_RATE,
        seconds: float = NOTE_SECONDS,
    ) -> None:
        _check("count", count, 0)
        _check("seed", seed, 0)
        _check("instruments", instruments, 1)
        _check("sample_rate", sample_rate, 1)
        for pitch in pitches:
            _check("pitch", pitch, 0, PITCH_COUNT - 1)
            if midi_to_hz(pitch) >= sample_rate / 2:
                raise CorpusError(
                    f"pitch {pitch} ({midi_to_hz(pitch):.0f} Hz) cannot sound at {sample_rate} Hz",
                    remedy="raise the sample rate or omit the pitch",
                )
        for velocity in velocities:
            _check("velocity", velocity, 1, 127)
        if seconds < 4 * toy_voices.FADE_SECONDS:
            raise CorpusError(f'"seconds" is {seconds}, below {4 * toy_voices.FADE_SECONDS}')
        self._shape = (instruments, len(pitches), len(velocities))
        combinations = math.prod(self._shape)
        if count > combinations:
            raise CorpusError(
                f'"count" is {count}, but there are only {combinations} different notes',
                remedy="raise the number of instruments, pitches or velocities",
            )
        self.provenance = Provenance(
            title="toy", licence="CC0-1.0", citation="Mechanical Ears, synthesised by formula"
        )
        self.sample_rate = sample_rate
        self._seed = seed
        self._pitches, self._velocities = tuple(pitches), tuple(velocities)
        self._samples = round(seconds * sample_rate)
        self._instruments = tuple(_make_instrument(seed, n) for n in range(instruments))
        self._order = np.random.default_rng([seed, _ORDER]).permutation(combinations)[:count]

    def __len__(self) -> int:
        """Number of notes."""
        return len(self._order)

    def scan(self, start: int = 0) -> Iterator[CorpusEntry]:
        """Iterate over the notes from ``start`` to the end."""
        for index in range(start, len(self)):
            yield CorpusEntry(index, self.note(index))

    def note(self, index: int) -> Note:
        """Synthesise note number ``index``.

        Raises:
            CorpusError: ``index`` is outside 0..len − 1.
        """
        _check("index", index, 0, len(self) - 1)
        combination = np.unravel_index(self._order[index], self._shape)
        number, pitch_index, velocity_index = (int(axis) for axis in combination)
        pitch, velocity = self._pitches[pitch_index], self._velocities[velocity_index]
        return Note(
            sound=self._synthesise(self._instruments[number], pitch, velocity, index),
            pitch=pitch,
            velocity=velocity,
            instrument=self._instruments[number].name,
            family=self._instruments[number].recipe.family,
            source=self._instruments[number].recipe.source,
            qualities=self._instruments[number].qualities,
            instrument_id=number,
            note_id=index,
        )

    def _synthesise(self, instrument: _Instrument, pitch: int, velocity: int, index: int) -> Sound:
        key_press = toy_voices.KeyPress(
            frequency=midi_to_hz(pitch),
            force=velocity / 127,
            count=self._samples,
            rate=self.sample_rate,
            rng=np.random.default_rng([self._seed, _NOTES, index]),
        )
        timbre = instrument.timbre
        samples = instrument.recipe.voice(timbre, key_press)
        samples *= toy_voices.envelope(key_press, timbre.attack, timbre.release)
        decibels = instrument.level - _DECIBELS_PER_VELOCITY * (127 - velocity)
        samples *= _MAX_PEAK * 10 ** (decibels / 20) / np.abs(samples).max()
        return Sound(samples.astype(np.float32), self.sample_rate)


def _check(name: str, value: int, minimum: int, maximum: int | None = None) -> None:
    if value < minimum or (maximum is not None and value > maximum):
        problem = f"below {minimum}" if maximum is None else f"outside {minimum}..{maximum}"
        raise CorpusError(f'"{name}" is {value}, {problem}')

"""A corpus made of nothing but formulas: for tests, for a first run, for a day without downloads.

Loudness follows the key press in decibels, level = −0.25 dB · (127 − velocity), and so does the
slope of the spectrum (see ``voices``): a harder touch is louder and brighter, as on real ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mechanical_ears.corpus.corpus import Corpus, CorpusEntry, Provenance
from mechanical_ears.corpus.toy_voices import (
    FADE_SECONDS,
    RECIPES,
    KeyPress,
    Recipe,
    Timbre,
    envelope,
)
from mechanical_ears.errors import CorpusError
from mechanical_ears.note import NOTE_SAMPLE_RATE, NOTE_SECONDS, VELOCITIES, Note
from mechanical_ears.pitch import PITCH_COUNT, midi_to_hz
from mechanical_ears.sound import Sound

_PEAK = 0.8  # of full scale, the loudest note of the loudest instrument
_DECIBELS_PER_VELOCITY = 0.25  # dB for one MIDI velocity step
_INSTRUMENTS, _NOTES, _ORDER = range(3)  # streams of random numbers


@dataclass(frozen=True)
class _Instrument:
    """One instrument: name, level in dB of the loudest, and how it sounds."""

    name: str
    qualities: tuple[str, ...]
    level: float
    timbre: Timbre
    recipe: Recipe


def _make_instrument(seed: int, number: int) -> _Instrument:
    """Instrument ``number``, drawn from (seed, number) alone; kinds take turns."""
    chance = np.random.default_rng([seed, _INSTRUMENTS, number])
    turn, place = divmod(number, len(RECIPES))
    recipe = RECIPES[place]
    timbre = recipe.draw(chance)
    kind = (recipe.family, recipe.source)
    alike = [at for at, each in enumerate(RECIPES) if (each.family, each.source) == kind]
    return _Instrument(
        name=f"{recipe.family}_{recipe.source}_{turn * len(alike) + alike.index(place):03d}",
        qualities=recipe.qualities(timbre),
        level=-chance.uniform(0, 6),
        timbre=timbre,
        recipe=recipe,
    )


class Toy(Corpus):
    """Synthetic notes, the same for the same arguments.

    Note ``index`` follows from (seed, index) and the timbre of its instrument from (seed, number of
    the instrument), so that a walk may begin anywhere, and a longer corpus begins with a shorter
    one. No instrument, pitch and velocity come together twice. All eleven families of NSynth are
    there from twelve instruments on.

    Args:
        count: number of notes.
        seed: not below 0; another seed, other instruments.
        instruments: number of instruments.
        pitches: MIDI numbers to draw from.
        velocities: MIDI velocities to draw from, each 1..127.
        sample_rate: Hz.
        seconds: length of each note in s; keys are held for three quarters of it.

    Raises:
        CorpusError: an argument is out of range, or there are not so many different notes.
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
                    remedy="raise the sample rate or leave the pitch out",
                )
        for velocity in velocities:
            _check("velocity", velocity, 1, 127)
        if seconds < 4 * FADE_SECONDS:
            raise CorpusError(f'"seconds" is {seconds}, below {4 * FADE_SECONDS}')
        self._shape = (instruments, len(pitches), len(velocities))
        different = math.prod(self._shape)
        if count > different:
            raise CorpusError(
                f"{count} notes are wanted of {different} different ones",
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
        self._order = np.random.default_rng([seed, _ORDER]).permutation(different)[:count]

    def __len__(self) -> int:
        """Number of notes."""
        return len(self._order)

    def scan(self, start: int = 0) -> Iterator[CorpusEntry]:
        """Walk the notes from ``start`` to the end."""
        for index in range(start, len(self)):
            yield CorpusEntry(index, self.note(index))

    def note(self, index: int) -> Note:
        """Note number ``index``, made anew at every call.

        Raises:
            CorpusError: ``index`` is not one of 0..len - 1.
        """
        _check("index", index, 0, len(self) - 1)
        number, key, step = (int(at) for at in np.unravel_index(self._order[index], self._shape))
        pitch, velocity = self._pitches[key], self._velocities[step]
        return Note(
            sound=self._sound(self._instruments[number], pitch, velocity, index),
            pitch=pitch,
            velocity=velocity,
            instrument=self._instruments[number].name,
            family=self._instruments[number].recipe.family,
            source=self._instruments[number].recipe.source,
            qualities=self._instruments[number].qualities,
            instrument_id=number,
            note_id=index,
        )

    def _sound(self, instrument: _Instrument, pitch: int, velocity: int, index: int) -> Sound:
        touch = KeyPress(
            frequency=midi_to_hz(pitch),
            force=velocity / 127,
            count=self._samples,
            rate=self.sample_rate,
            chance=np.random.default_rng([self._seed, _NOTES, index]),
        )
        timbre = instrument.timbre
        samples = instrument.recipe.voice(timbre, touch)
        samples *= envelope(touch, timbre.attack, timbre.release)
        decibels = instrument.level - _DECIBELS_PER_VELOCITY * (127 - velocity)
        samples *= _PEAK * 10 ** (decibels / 20) / np.abs(samples).max()
        return Sound(samples.astype(np.float32), self.sample_rate)


def _check(name: str, value: int, least: int, most: int | None = None) -> None:
    if value < least or (most is not None and value > most):
        allowed = f"below {least}" if most is None else f"outside {least}..{most}"
        raise CorpusError(f'"{name}" is {value}, {allowed}')

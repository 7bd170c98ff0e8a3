"""`imagine`: an instrument generated from a seed, from recordings, or between two others."""

from __future__ import annotations

import dataclasses
import difflib
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import numpy as np

from mechanical_ears.deprecation import renamed_arguments
from mechanical_ears.errors import EarsError
from mechanical_ears.facade import public
from mechanical_ears.files import SAMPLED_INSTRUMENT_SUFFIXES
from mechanical_ears.imagining.instrument import FILE, ImaginedInstrument
from mechanical_ears.imagining.likeness import analyse_recording, fit_likeness
from mechanical_ears.imagining.loudness_match import match_loudness
from mechanical_ears.imagining.model import Model, open_model
from mechanical_ears.imagining.patch import TIMBRE_SIZE, Patch, mean_patch
from mechanical_ears.imagining.rejection_sampling import MAX_CANDIDATES, choose_candidate
from mechanical_ears.imagining.residual import to_bytes
from mechanical_ears.note import FAMILIES, Note
from mechanical_ears.rng import normal, uniform
from mechanical_ears.sound import Sound

QUALITIES: Final = ("bright", "attack", "noisy", "sustain")  # names of directions of the model
MAX_DEVIATIONS: Final = 10.0  # standard deviations by which a quality may be changed
MAX_SEED: Final = 2**31 - 1
NAMED_RECORDINGS: Final = 3  # recordings in an instrument's name


@runtime_checkable
class NoteSource(Protocol):
    """A recorded instrument, such as a sampler's, that returns some of its notes."""

    @property
    def name(self) -> str:
        """Its name, for people."""

    def representative_notes(self) -> Sequence[Note]:
        """Notes from all over its keys and velocities."""


Source = str | Path | Sound | Note | ImaginedInstrument | NoteSource


@renamed_arguments(amount="mix", bright="brightness", noisy="noisiness", draw="candidate")
def imagine(
    seed: int | None = None,
    *,
    family: str | Mapping[str, float] | None = None,
    like: Source | Sequence[Source] | None = None,
    morph: tuple[Source | int, Source | int] | None = None,
    mix: float = 0.5,
    brightness: float = 0.0,
    attack: float = 0.0,
    noisiness: float = 0.0,
    sustain: float = 0.0,
    candidate: int | None = None,
    model: str | Path | Model | None = None,
) -> ImaginedInstrument:
    """Imagine an instrument.

    Without ``like`` and ``morph`` it is generated from a seed. A seed gives several candidates, of
    which the ears choose the first that is in tune, of its family, and new; see
    `mechanical_ears.imagining.rejection_sampling`.

    >>> from mechanical_ears import imagine
    >>> imagine(7, family="mallet", brightness=1).name
    'mallet-7, bright +1'

    Args:
        seed: the same seed gives the same instrument; None chooses one at random.
        family: one of `FAMILIES`, or shares of several (``{"mallet": 0.5, "vocal": 0.5}``, or
            ``"mallet+vocal"``); None chooses one at random, by the seed.
        like: recordings of one instrument that it sounds like (files, sounds or notes, or an .sfz
            or .sf2); or instruments, of which it is the mean.
        morph: two instruments, each a seed, a recording, an ``instrument.json``, an .sfz or .sf2,
            or an `ImaginedInstrument`.
        mix: position between the two of ``morph``, 0..1.
        brightness: standard deviations among instruments, above 0 brighter, below duller.
        attack: the same, above 0 slower in its attack, below sharper.
        noisiness: the same, above 0 noisier, below purer.
        sustain: the same, above 0 longer in its sustain, below shorter.
        candidate: number of a seed's candidate, from 0; None lets the ears choose. It is kept as
            ``origin["draw"]``.
        model: a folder of weights, or a `Model`; None for the shipped weights.

    Raises:
        EarsError: an unknown family, a recording that cannot be used, a number out of range.
    """
    qualities = (brightness, attack, noisiness, sustain)
    for name, value in zip(
        ("brightness", "attack", "noisiness", "sustain"), qualities, strict=True
    ):
        if not abs(value) <= MAX_DEVIATIONS:
            problem = f'"{name}" is {value:g}, outside −{MAX_DEVIATIONS:g}..{MAX_DEVIATIONS:g}'
            raise EarsError(problem, remedy="1 is a standard deviation among instruments")
    sources = {"like": like, "morph": morph, "seed": seed}
    present = [name for name, value in sources.items() if value is not None]
    if len(present) > 1:
        raise EarsError(f"{' and '.join(present)} are given", remedy="choose one of them")
    if candidate is not None and present not in ([], ["seed"]):
        problem = f'"candidate" is {candidate}, but only seeds have candidates'
        raise EarsError(problem, remedy="leave it out, or leave out like and morph")
    shares = None if family is None else family_shares(family)
    opened = open_model(model)
    if morph is not None:
        instrument = _morph(opened, morph, mix, shares)
    elif like is not None:
        instrument = _from_sources(opened, [like] if isinstance(like, Source) else list(like))
        if shares is not None and instrument.family is not None:
            instrument = _move_towards(instrument, shares)
    else:
        instrument = _from_seed(opened, _check_seed(seed), shares, candidate)
    instrument = _change_qualities(instrument, dict(zip(QUALITIES, qualities, strict=True)))
    return match_loudness(instrument) if instrument.patch.residual is None else instrument


def family_shares(family: str | Mapping[str, float]) -> dict[str, float]:
    """Shares of families, which sum to one.

    Args:
        family: a family, several as ``"mallet+vocal"``, or families with weights.

    Raises:
        EarsError: a family is unknown, or a weight is not above 0.
    """
    weights = dict.fromkeys(family.split("+"), 1.0) if isinstance(family, str) else dict(family)
    for name, weight in weights.items():
        if name not in FAMILIES:
            similar = difflib.get_close_matches(name.lower(), FAMILIES, 1, 0.4)
            hint = f'did you mean "{similar[0]}"? ' if similar else ""
            problem = f'"{name}" is not an instrument family'
            raise EarsError(problem, remedy=f"{hint}use one of {', '.join(FAMILIES)}")
        if not 0 < weight < float("inf"):
            raise EarsError(f'the share of "{name}" is {weight:g}, not above 0')
    if not weights:
        raise EarsError("no family is given", remedy=f"use one of {', '.join(FAMILIES)}")
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def _check_seed(seed: int | None) -> int:
    if seed is None:
        return secrets.randbelow(10_000)
    if not 0 <= seed <= MAX_SEED:
        raise EarsError(f"seed {seed} is outside 0..{MAX_SEED}")
    return seed


def _from_seed(
    model: Model, seed: int, shares: Mapping[str, float] | None, candidate: int | None
) -> ImaginedInstrument:
    if candidate is not None and not 0 <= candidate < MAX_CANDIDATES:
        raise EarsError(f'"candidate" is {candidate}, outside 0..{MAX_CANDIDATES - 1}')
    if shares is None:
        number = float(uniform(seed, TIMBRE_SIZE + 1)[-1])  # the one after those of z
        shares = {FAMILIES[int(number * len(FAMILIES))]: 1.0}
    patch = Patch(
        timbre=np.zeros(TIMBRE_SIZE, dtype=np.float32),
        name=f"{'+'.join(shares)}-{seed}",
        family=next(iter(shares)) if len(shares) == 1 else None,
        licence=model.metadata.get("licence", ""),
        seed=seed,
    )

    def generate(number: int) -> ImaginedInstrument:
        z = normal(seed + number * (MAX_SEED + 1), TIMBRE_SIZE)
        origin = {"seed": seed, "family": dict(shares), "draw": number}
        timbre = model.map_latent(z, shares)
        return ImaginedInstrument(dataclasses.replace(patch, timbre=timbre, origin=origin), model)

    return choose_candidate(generate, shares) if candidate is None else generate(candidate)


def _from_sources(model: Model, sources: Sequence[Source]) -> ImaginedInstrument:
    """An instrument like recordings, or the mean of instruments (and of one like recordings)."""
    opened = [_open(model, source) for source in sources]
    patches = [each.patch for each in opened if isinstance(each, ImaginedInstrument)]
    recorded = [each for each in opened if not isinstance(each, ImaginedInstrument)]
    recordings = [analyse_recording(note) for each in recorded for note in _notes(each)]
    if recordings or not patches:
        like = fit_likeness(model, recordings)
        patches.append(
            Patch(
                timbre=like.timbre,
                name=f"like {' and '.join(map(_title, recorded[:NAMED_RECORDINGS]))}",
                family=FAMILIES[int(like.families.argmax())],
                licence="that of the recordings, of which it has a share",
                gain=like.gain,
                origin={"like": [_title(each) for each in recorded]},
                residual=to_bytes(like.residual),
            )
        )
    weight = 1 / len(patches)
    return ImaginedInstrument(mean_patch([(weight, patch) for patch in patches]), model)


def _morph(
    model: Model,
    ends: tuple[Source | int, Source | int],
    mix: float,
    shares: Mapping[str, float] | None,
) -> ImaginedInstrument:
    if not 0 <= mix <= 1:
        raise EarsError(f'"mix" is {mix:g}, outside 0..1')
    first, second = (_morph_end(model, end, shares) for end in ends)
    if {first.model.sha256, second.model.sha256} != {model.sha256}:
        raise EarsError("the two instruments are of different weights")
    mean = mean_patch([(1 - mix, first.patch), (mix, second.patch)])
    name = f"{first.name} to {second.name}, {mix:.0%}"
    return ImaginedInstrument(dataclasses.replace(mean, name=name), model)


def _morph_end(
    model: Model, end: Source | int, shares: Mapping[str, float] | None
) -> ImaginedInstrument:
    if isinstance(end, str) and end.isdecimal() and not Path(end).exists():
        end = int(end)
    if isinstance(end, int):
        return match_loudness(_from_seed(model, _check_seed(end), shares, None))
    return _from_sources(model, [end])


def _open(model: Model, source: Source) -> Source:
    """The instrument that a path names; anything else as it is."""
    if not isinstance(source, str | Path):
        return source
    path = Path(source)
    if path.suffix.lower() in SAMPLED_INSTRUMENT_SUFFIXES:
        return _open_sampler_file(path)
    if path.suffix == ".json" or (path / FILE).exists():
        return ImaginedInstrument.load(path, model)
    return source


def _open_sampler_file(path: Path) -> NoteSource:
    """Open a sampler's file, of a format that this room does not know."""
    opened = public("open_instrument")(path)
    assert isinstance(opened, NoteSource)
    return opened


def _notes(source: Source) -> Sequence[Note | Sound | str | Path]:
    if isinstance(source, NoteSource):
        return source.representative_notes()
    assert not isinstance(source, ImaginedInstrument)
    return [source]


def _move_towards(
    instrument: ImaginedInstrument, shares: Mapping[str, float]
) -> ImaginedInstrument:
    """The instrument with its timbre moved towards families by one step of their directions."""
    directions = instrument.model.directions
    step = np.zeros(TIMBRE_SIZE, dtype=np.float32)
    for name, share in shares.items():
        if name in directions:
            step += np.float32(share) * directions[name]
    return instrument.replace(
        timbre=instrument.timbre + step,
        family=next(iter(shares)) if len(shares) == 1 else None,
        origin={**instrument.origin, "towards": dict(shares)},
    )


def _change_qualities(
    instrument: ImaginedInstrument, qualities: Mapping[str, float]
) -> ImaginedInstrument:
    """The instrument with its timbre moved along directions, by standard deviations.

    Raises:
        EarsError: the weights have no such direction.
    """
    steps = {name: value for name, value in qualities.items() if value}
    if not steps:
        return instrument
    directions = instrument.model.directions
    timbre = instrument.timbre.copy()
    for name, value in steps.items():
        if name not in directions:
            raise EarsError(f'these weights have no direction "{name}"', path=instrument.model.path)
        timbre += np.float32(value) * directions[name]
    changes = ", ".join(f"{name} {value:+g}" for name, value in steps.items())
    origin = {**instrument.origin, "turned": steps}
    return instrument.replace(timbre=timbre, name=f"{instrument.name}, {changes}", origin=origin)


def _title(source: object) -> str:
    if isinstance(source, ImaginedInstrument | Note | NoteSource):
        return source.name
    return Path(source).name if isinstance(source, str | Path) else "a sound"

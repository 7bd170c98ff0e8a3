"""`imagine`: an instrument drawn by lot, like recordings, or between two others."""

from __future__ import annotations

import difflib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import numpy as np

from mechanical_ears.errors import EarsError
from mechanical_ears.files import SAMPLERS
from mechanical_ears.imagining.instrument import FILE, HEARING_KEYS, ImaginedInstrument
from mechanical_ears.imagining.likeness import likeness, recording
from mechanical_ears.imagining.model import TIMBRE, Model, open_model
from mechanical_ears.imagining.rejection_sampling import DRAWS, chosen, levelled
from mechanical_ears.imagining.residual import mix_residuals
from mechanical_ears.note import FAMILIES, Note
from mechanical_ears.rng import normal, uniform
from mechanical_ears.sound import Sound

QUALITIES: Final = ("bright", "attack", "noisy", "sustain")  # with a direction each
FARTHEST: Final = 10.0  # standard deviations that a quality is turned at most
LARGEST_SEED: Final = 2**31 - 1
NAMED: Final = 3  # recordings in an instrument's name


@runtime_checkable
class Recorded(Protocol):
    """A recorded instrument, such as a sampler's, that gives a few of its notes."""

    @property
    def name(self) -> str:
        """What a musician calls it."""

    def recordings(self) -> Sequence[Note]:
        """Notes from all over its keys and velocities."""


Like = str | Path | Sound | Note | ImaginedInstrument | Recorded
Ground = str | Path | int | Sound | Note | ImaginedInstrument | Recorded  # of a morph


def imagine(
    seed: int | None = None,
    *,
    family: str | Mapping[str, float] | None = None,
    like: Like | Sequence[Like] | None = None,
    morph: tuple[Ground, Ground] | None = None,
    amount: float = 0.5,
    bright: float = 0.0,
    attack: float = 0.0,
    noisy: float = 0.0,
    sustain: float = 0.0,
    draw: int | None = None,
    model: str | Path | Model | None = None,
) -> ImaginedInstrument:
    """Imagine an instrument.

    Without ``like`` and ``morph`` it is drawn by lot. A seed gives several draws, of which the ears
    choose the first that is in tune, of its family, and new; see `audition`.

    Args:
        seed: of the lot; the same seed is the same instrument. None draws one.
        family: one of `FAMILIES`, or shares of several (``{"mallet": 0.5, "vocal": 0.5}``, or
            ``"mallet+vocal"``); None leaves it to the lot.
        like: recordings of one instrument (files, sounds or notes, or an .sfz or .sf2), which it
            shall sound like; or instruments, between which it lies.
        morph: two instruments, each a seed, a recording, an ``instrument.json``, an .sfz or .sf2,
            or an `ImaginedInstrument`.
        amount: where between the two, 0..1.
        bright: standard deviations brighter than it would be, below 0 duller.
        attack: slower in its attack, below 0 sharper.
        noisy: noisier, below 0 purer.
        sustain: longer in its sustain, below 0 shorter.
        draw: which one of a seed's, from 0; None lets the ears choose. ``origin["draw"]`` tells it.
        model: a folder of weights, or an `Model`; None for the shipped weights.

    Raises:
        EarsError: an unknown family, a recording that cannot be used, a number out of range.
    """
    turned = dict(zip(QUALITIES, (bright, attack, noisy, sustain), strict=True))
    for name, value in turned.items():
        if not abs(value) <= FARTHEST:
            raise EarsError(
                f'"{name}" is {value:g}, outside −{FARTHEST:g}..{FARTHEST:g}',
                remedy="1 is a standard deviation among instruments",
            )
    given = {"like": like, "morph": morph, "seed": seed}
    if (like is not None) + (morph is not None) + (seed is not None) > 1:
        names = " and ".join(name for name, value in given.items() if value is not None)
        raise EarsError(f"{names} are given", remedy="choose one of them")
    if draw is not None and (like is not None or morph is not None):
        raise EarsError(
            f'"draw" is {draw}, but nothing is drawn',
            remedy="leave it out, or leave like and morph",
        )
    shares = None if family is None else family_shares(family)
    imagination = open_model(model)
    if morph is not None:
        instrument = _morphed(imagination, morph, amount, shares)
    elif like is not None:
        several = [like] if isinstance(like, Like) else list(like)
        instrument = _like(imagination, several)
        if shares is not None and instrument.family is not None:
            instrument = _towards(instrument, shares)
    else:
        instrument = _drawn(imagination, _seed(seed), shares, draw)
    instrument = _turned(instrument, turned)
    return levelled(instrument) if instrument.carried is None else instrument


def family_shares(family: str | Mapping[str, float]) -> dict[str, float]:
    """Shares of families, which add to one.

    Raises:
        EarsError: one is unknown, or a share is not above 0.
    """
    told = dict.fromkeys(family.split("+"), 1.0) if isinstance(family, str) else dict(family)
    for name, share in told.items():
        if name not in FAMILIES:
            near = difflib.get_close_matches(name.lower(), FAMILIES, 1, 0.4)
            meant = f'did you mean "{near[0]}"? ' if near else ""
            raise EarsError(
                f'"{name}" is no instrument family',
                remedy=f"{meant}use one of {', '.join(FAMILIES)}",
            )
        if not 0 < share < float("inf"):
            raise EarsError(f'the share of "{name}" is {share:g}, not above 0')
    if not told:
        raise EarsError("no family is given", remedy=f"use one of {', '.join(FAMILIES)}")
    whole = sum(told.values())
    return {name: share / whole for name, share in told.items()}


def _seed(seed: int | None) -> int:
    if seed is None:
        return secrets.randbelow(10_000)
    if not 0 <= seed <= LARGEST_SEED:
        raise EarsError(f"seed {seed} is outside 0..{LARGEST_SEED}")
    return seed


def _drawn(
    imagination: Model, seed: int, shares: Mapping[str, float] | None, draw: int | None
) -> ImaginedInstrument:
    if draw is not None and not 0 <= draw < DRAWS:
        raise EarsError(f'"draw" is {draw}, outside 0..{DRAWS - 1}')
    if shares is None:
        lot = float(uniform(seed, TIMBRE + 1)[TIMBRE])  # behind those that z is made of
        shares = {FAMILIES[int(lot * len(FAMILIES))]: 1.0}
    whole = ImaginedInstrument(
        imagination=imagination,
        timbre=np.zeros(TIMBRE, dtype=np.float32),
        name=f"{'+'.join(shares)}-{seed}",
        family=next(iter(shares)) if len(shares) == 1 else None,
        licence=imagination.about.get("licence", ""),
        seed=seed,
    )

    def drawn(number: int) -> ImaginedInstrument:
        z = normal(seed + number * (LARGEST_SEED + 1), TIMBRE)
        origin = {"seed": seed, "family": dict(shares), "draw": number}
        return replace(whole, timbre=imagination.draw(z, shares), origin=origin)

    return chosen(drawn, shares) if draw is None else drawn(draw)


def _like(imagination: Model, several: Sequence[Like]) -> ImaginedInstrument:
    grounds = [_loaded(imagination, each) for each in several]
    instruments = [each for each in grounds if isinstance(each, ImaginedInstrument)]
    recorded = [each for each in grounds if not isinstance(each, ImaginedInstrument)]
    recordings = [recording(note) for each in recorded for note in _notes(each)]
    if recordings or not instruments:
        found = likeness(imagination, recordings)
        instruments.append(
            ImaginedInstrument(
                imagination=imagination,
                timbre=found.timbre,
                name=f"like {' and '.join(map(_called, recorded[:NAMED]))}",
                family=FAMILIES[int(found.families.argmax())],
                licence="that of the recordings, of which it has a share",
                gain=found.gain,
                origin={"like": [_called(each) for each in recorded]},
                carried=found.carried,
            )
        )
    return _mean(instruments, [1 / len(instruments)] * len(instruments))


def _mean(instruments: Sequence[ImaginedInstrument], shares: Sequence[float]) -> ImaginedInstrument:
    if len(instruments) == 1:
        return instruments[0]
    pairs = list(zip(shares, instruments, strict=True))
    families = {each.family for each in instruments}
    licences = dict.fromkeys(each.licence for each in instruments)
    return ImaginedInstrument(
        imagination=instruments[0].imagination,
        timbre=np.sum([share * each.timbre for share, each in pairs], axis=0, dtype=np.float32),
        name=" + ".join(each.name for each in instruments),
        family=families.pop() if len(families) == 1 else None,
        licence="; ".join(licences),
        gain=float(sum(share * each.gain for share, each in pairs)),
        balance=_mean_balance(pairs),
        origin={"between": [[share, each.name, dict(each.origin)] for share, each in pairs]},
        carried=mix_residuals([(share, each.carried) for share, each in pairs]),
    )


def _mean_balance(pairs: Sequence[tuple[float, ImaginedInstrument]]) -> tuple[float, ...]:
    if not any(each.balance for _, each in pairs):
        return ()
    rows = [share * np.array(each.balance or [0.0] * len(HEARING_KEYS)) for share, each in pairs]
    return tuple(float(value) for value in np.sum(rows, axis=0))


def _morphed(
    imagination: Model,
    grounds: tuple[Ground, Ground],
    amount: float,
    shares: Mapping[str, float] | None,
) -> ImaginedInstrument:
    if not 0 <= amount <= 1:
        raise EarsError(f'"amount" is {amount:g}, outside 0..1')
    both = [_ground(imagination, each, shares) for each in grounds]
    for each in both:
        if each.imagination.sha256 != imagination.sha256:
            raise EarsError("the two instruments are of different weights")
    mean = _mean(both, [1 - amount, amount])
    return replace(mean, name=f"{both[0].name} to {both[1].name}, {amount:.0%}")


def _ground(
    imagination: Model, what: Ground, shares: Mapping[str, float] | None
) -> ImaginedInstrument:
    if isinstance(what, str) and what.isdecimal() and not Path(what).exists():
        what = int(what)
    if isinstance(what, int):
        return levelled(_drawn(imagination, _seed(what), shares, None))
    return _like(imagination, [what])


def _loaded(imagination: Model, what: Like) -> Like:
    """An instrument, where a path names one."""
    if isinstance(what, str | Path):
        path = Path(what)
        if path.suffix == ".json" or path.suffix.lower() in SAMPLERS or (path / FILE).exists():
            return ImaginedInstrument.load(path, imagination)
    return what


def _notes(what: Note | Sound | str | Path | Recorded) -> Sequence[Note | Sound | str | Path]:
    return what.recordings() if isinstance(what, Recorded) else [what]


def _towards(instrument: ImaginedInstrument, shares: Mapping[str, float]) -> ImaginedInstrument:
    """Turned towards families by one step of their directions."""
    directions = instrument.imagination.directions
    step = np.zeros(TIMBRE, dtype=np.float32)
    for name, share in shares.items():
        if name in directions:
            step += np.float32(share) * directions[name]
    return replace(
        instrument,
        timbre=instrument.timbre + step,
        family=next(iter(shares)) if len(shares) == 1 else None,
        origin={**instrument.origin, "towards": dict(shares)},
    )


def _turned(instrument: ImaginedInstrument, turned: Mapping[str, float]) -> ImaginedInstrument:
    """With its qualities turned by standard deviations."""
    chosen = {name: value for name, value in turned.items() if value}
    if not chosen:
        return instrument
    directions = instrument.imagination.directions
    timbre = instrument.timbre.copy()
    for name, value in chosen.items():
        if name not in directions:
            raise EarsError(
                f'these weights know no direction "{name}"', path=instrument.imagination.path
            )
        timbre += np.float32(value) * directions[name]
    words = ", ".join(f"{name} {value:+g}" for name, value in chosen.items())
    return replace(
        instrument,
        timbre=timbre,
        name=f"{instrument.name}, {words}",
        origin={**instrument.origin, "turned": chosen},
    )


def _called(what: object) -> str:
    if isinstance(what, ImaginedInstrument | Note | Recorded):
        return what.name
    return Path(what).name if isinstance(what, str | Path) else "a sound"

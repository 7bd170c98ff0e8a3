"""What workers do: open, blend, turn, hear, render and export. All of it runs in their processes."""

from __future__ import annotations

import io
import json
import os
import re
import tempfile
import wave
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from mechanical_ears.errors import EarsError, SoundError
from mechanical_ears.explore.instruments import Playing
from mechanical_ears.explore.patch import Patch
from mechanical_ears.explore.recorded import Recorded, RecordedInstrument, listed, recording
from mechanical_ears.note import FAMILIES, NOTE_SECONDS, Note
from mechanical_ears.sound import Sound

if TYPE_CHECKING:
    from mechanical_ears.corpus.corpus import Corpus
    from mechanical_ears.imagining.imagination import Imagination
    from mechanical_ears.imagining.imagined import Instrument
    from mechanical_ears.instrument.playable import Playable

SAMPLE_RATE: Final = 48_000  # Hz
KEPT: Final = 32  # instruments that a worker keeps open
RECORDING_SECONDS: Final = 60.0  # of a recording that are searched for its note
MOST_CHANNELS: Final = 8
FASTEST: Final = 384_000  # Hz
NICE: Final = 10  # of 19, how much an export gives way
LIKE_NOTES: Final = 5  # recordings that an imagined likeness of a real instrument is made of
LONGEST_NAME: Final = 120  # characters
BLENDED_NAME: Final = 40  # characters of each in the name of a blend

_state: dict[str, Any] = {}


@dataclass(frozen=True)
class Weights:
    """What is known about the weights.

    Attributes:
        sha256: of the generator.
        licence: of them.
        qualities: that can be turned.
    """

    sha256: str
    licence: str
    qualities: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Heard:
    """What the ears hear in an instrument.

    Attributes:
        told: as JSON has it.
        novelty: 1 − likeness of the nearest known instrument.
        likenesses: float32 (known,), to each one the ears know.
    """

    told: dict[str, Any]
    novelty: float
    likenesses: np.ndarray


@dataclass(frozen=True, eq=False)
class HeardRecording:
    """What the ears hear in a recording.

    Attributes:
        told: as JSON has it.
        likenesses: float32 (known,); None for silence.
        patch: an instrument like it; None where there can be none.
        problem: why.
    """

    told: dict[str, Any]
    likenesses: np.ndarray | None
    patch: Patch | None
    problem: str | None


def prepare(model: str | None, corpus: str | None = None, gives_way: bool = False) -> Weights:
    """Open the networks, once in each worker.

    Args:
        model: folder of weights; None for the shipped ones.
        corpus: the user's; None for none.
        gives_way: whether other processes come first.

    Raises:
        EarsError: they are missing or damaged.
    """
    from mechanical_ears.imagining.imagination import opened
    from mechanical_ears.imagining.imagine import QUALITIES

    if gives_way and hasattr(os, "nice"):
        os.nice(NICE)
    imagination = opened(model)
    _state.update(imagination=imagination, instruments=OrderedDict(), corpus=corpus)
    known = tuple(name for name in QUALITIES if name in imagination.directions)
    return Weights(imagination.sha256, imagination.about.get("licence", ""), known)


def imagination() -> Imagination:
    """This worker's."""
    opened: Imagination = _state["imagination"]
    return opened


def corpus() -> Corpus:
    """The user's."""
    from mechanical_ears.corpus.opening import open_corpus

    if isinstance(_state["corpus"], str):
        _state["corpus"] = open_corpus(_state["corpus"])
    opened: Corpus = _state["corpus"]
    return opened


def playable(playing: Playing) -> Playable:
    """The instrument, kept open: what it carries of recordings takes time to read."""
    kept: OrderedDict[str, Playable] = _state["instruments"]
    key = playing.id(imagination().sha256)
    found = kept.pop(key, None)
    if found is None:
        if isinstance(playing, Recorded):
            found = RecordedInstrument(playing, corpus())
        else:
            found = playing.instrument(imagination())
    kept[key] = found
    if len(kept) > KEPT:
        kept.popitem(last=False)
    return found


def imagined(playing: Playing) -> Instrument:
    """An imagined instrument; of a real one, one like it."""
    patch = _like_recorded(playing) if isinstance(playing, Recorded) else playing
    return cast("Instrument", playable(patch))


def _like_recorded(recorded: Recorded) -> Patch:
    from mechanical_ears.imagining.imagine import imagine

    kept: dict[str, Patch] = _state.setdefault("likenesses", {})
    key = recorded.id("")
    if key not in kept:
        notes = []
        for place, pitch, velocity in _spread(recorded):
            sound = recording(corpus(), place)
            notes.append(Note(sound, pitch, velocity, recorded.name, recorded.family))
        kept[key] = Patch.of(
            replace(imagine(like=notes, model=imagination()), name=f"like {recorded.name}")
        )
    return kept[key]


def _spread(recorded: Recorded) -> list[tuple[int, int, int]]:
    """A few recordings, spread over the keys."""
    from mechanical_ears.imagining.imagined import HEARD_KEYS, VELOCITY

    found = dict.fromkeys(recorded.nearest(key, VELOCITY) for key in HEARD_KEYS)
    return list(found)[:LIKE_NOTES]


def note(playing: Playing, pitch: float, velocity: int, seconds: float) -> bytes:
    """A note as a WAV file, 16 bit, mono."""
    sound = playable(playing).note(pitch, velocity, seconds, SAMPLE_RATE)
    return wav(sound.samples, sound.sample_rate)


def wav(samples: np.ndarray, sample_rate: int) -> bytes:
    """A WAV file, 16 bit, mono.

    Args:
        samples: float32 (samples,) in [-1, 1].
        sample_rate: Hz.
    """
    whole = np.rint(np.clip(samples, -1, 1) * np.float32(32767)).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(sample_rate)
        writer.writeframes(whole.tobytes())
    return file.getvalue()


def drawn(seed: int, family: str | None, draw: int | None) -> Patch:
    """An instrument by lot; the ears choose among its draws, if none is given."""
    from mechanical_ears.imagining.imagine import imagine

    return Patch.of(imagine(seed, family=family, draw=draw, model=imagination()))


def blended(parts: Sequence[tuple[float, Playing]], turn: Mapping[str, float]) -> Patch:
    """Between instruments, and turned in its qualities; as loud as all are.

    Args:
        parts: instruments with their shares, which add to one.
        turn: standard deviations by quality.
    """
    from mechanical_ears.imagining.imagine import imagine

    mean = _mean([(share, imagined(playing)) for share, playing in parts])
    patch = Patch.of(imagine(like=mean, model=imagination(), **turn))
    return replace(patch, name=patch.name[:LONGEST_NAME])


def _mean(parts: Sequence[tuple[float, Instrument]]) -> Instrument:
    from mechanical_ears.imagining.carried import mixed

    if len(parts) == 1:
        return parts[0][1]
    families = {each.family for _, each in parts}
    licences = dict.fromkeys(each.licence for _, each in parts)
    timbre = np.sum([share * each.timbre for share, each in parts], axis=0, dtype=np.float32)
    return replace(
        parts[0][1],
        timbre=timbre,
        name=" + ".join(f"{_short(each.name)} {share:.0%}" for share, each in parts),
        family=families.pop() if len(families) == 1 else None,
        licence="; ".join(licences),
        gain=float(sum(share * each.gain for share, each in parts)),
        balance=(),
        seed=None,
        origin={"between": [[share, each.name, each.seed] for share, each in parts]},
        carried=mixed([(share, each.carried) for share, each in parts]),
    )


def _short(name: str) -> str:
    return name if len(name) <= BLENDED_NAME else f"{name[: BLENDED_NAME - 1]}…"


def hearing(playing: Playing) -> Heard:
    """What the ears hear in an instrument."""
    from mechanical_ears.imagining.imagined import impression
    from mechanical_ears.listening.ears import shipped_ears

    keys, sounds = _heard_notes(playing)
    nearness = _nearness(sounds)
    heard = impression(keys, shipped_ears().listen(sounds), nearness)
    told = {
        "family": heard.family,
        "family_confidence": heard.family_confidence,
        "nearest": [list(pair) for pair in heard.nearest],
        "notes": [
            {"played": key, **asdict(each)}
            for key, each in zip(heard.pitches, heard.hearings, strict=True)
        ],
    }
    return Heard(told, heard.novelty, nearness.mean(axis=0))


def likenesses(playing: Playing) -> np.ndarray:
    """How like an instrument is to each one the ears know, float32 (known,): mean over its keys."""
    return np.asarray(_nearness(_heard_notes(playing)[1]).mean(axis=0), dtype=np.float32)


def _heard_notes(playing: Playing) -> tuple[list[int], list[Sound]]:
    """The notes by which the ears judge an instrument, at 16 kHz; of a real one recordings."""
    from mechanical_ears.imagining.imagined import HEARD_KEYS, HEARD_RATE, VELOCITY

    found = playable(playing)
    keys = list(HEARD_KEYS)
    if isinstance(playing, Recorded):
        keys = sorted(pitch for _, pitch, _ in _spread(playing))
    return keys, [found.note(key, VELOCITY, NOTE_SECONDS, HEARD_RATE) for key in keys]


def _nearness(sounds: Sequence[Sound]) -> np.ndarray:
    from mechanical_ears.listening.ears import shipped_ears

    nearness = shipped_ears().probabilities(np.stack([sound.samples for sound in sounds]))
    return nearness["nearness"]


def known_instruments() -> list[str]:
    """Names of the instruments that the ears know."""
    from mechanical_ears.listening.ears import shipped_ears

    return shipped_ears().instruments


def corpus_instruments() -> list[Recorded]:
    """The instruments of the user's corpus."""
    return list(listed(corpus()))


def charted(seed: int, family: str) -> dict[str, Any]:
    """An instrument for the map: what opens it again, and how like it is to those the ears know."""
    patch = drawn(seed, family, None)
    return {
        "seed": seed,
        "family": FAMILIES.index(family),
        "draw": patch.origin["draw"],
        "timbre": patch.timbre,
        "gain": patch.gain,
        "balance": np.array(patch.balance, dtype=np.float32),
        "likenesses": likenesses(patch).astype(np.float16),
    }


def heard_recording(data: bytes, name: str) -> HeardRecording:
    """Hear an uploaded recording, and imagine an instrument like it.

    Args:
        data: a sound file.
        name: of it, for people.

    Raises:
        SoundError: it is no sound file.
    """
    from mechanical_ears.imagining.imagine import imagine
    from mechanical_ears.listening.ears import shipped_ears

    sound = _decoded(data)
    hearing = shipped_ears().listen([sound])[0]
    if hearing.onset is None:
        return HeardRecording(asdict(hearing), None, None, "it is silent")
    nearness = _nearness([_from_onset(sound, hearing.onset)])[0]
    if hearing.pitch is None:
        return HeardRecording(asdict(hearing), nearness, None, "no single pitch is heard in it")
    try:
        like = imagine(like=sound, model=imagination())
    except EarsError as error:
        return HeardRecording(asdict(hearing), nearness, None, error.problem)
    patch = Patch.of(replace(like, name=f"like {name}"[:LONGEST_NAME]))
    return HeardRecording(asdict(hearing), nearness, patch, None)


def _from_onset(sound: Sound, onset: float) -> Sound:
    """The first 4 s of a note at 16 kHz, filled up with silence."""
    from mechanical_ears.imagining.imagined import HEARD_RATE

    count = round(NOTE_SECONDS * HEARD_RATE)
    first = round(onset * sound.sample_rate)
    last = first + round((NOTE_SECONDS + 0.1) * sound.sample_rate)
    least = sound.sample_rate // 100
    taken = sound.samples[first:last]
    taken = np.pad(taken, (0, max(0, least - len(taken))))
    samples = Sound(taken, sound.sample_rate).resample(HEARD_RATE).samples[:count]
    return Sound(np.pad(samples, (0, count - len(samples))), HEARD_RATE)


def _decoded(data: bytes) -> Sound:
    """The sound of a file; its name and its place are ours."""
    import soundfile

    remedy = "give a WAV, FLAC, Ogg or MP3 file"
    with tempfile.TemporaryDirectory(prefix="ears-heard-") as folder:
        path = Path(folder) / "recording"
        path.write_bytes(data)
        try:
            about = soundfile.info(path)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise SoundError("is not a sound that can be read", remedy=remedy) from error
        if about.channels > MOST_CHANNELS or about.samplerate > FASTEST:
            raise SoundError(
                f"has {about.channels} channels at {about.samplerate} Hz",
                remedy=f"give at most {MOST_CHANNELS} channels and {FASTEST} Hz",
            )
        try:
            return Sound.load(path, RECORDING_SECONDS)
        except SoundError as error:
            raise SoundError(error.problem, remedy=error.remedy) from error


def share(patch: Patch) -> dict[str, Any]:
    """An instrument as the JSON of `Instrument.save`."""
    with tempfile.TemporaryDirectory(prefix="ears-share-") as folder:
        path = imagined(patch).save(Path(folder) / "instrument.json")
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return told


def shared(about: Mapping[str, Any], carried: bytes | None) -> Patch:
    """The patch of such JSON.

    Raises:
        EarsError: it is damaged, or of other weights.
    """
    from mechanical_ears.imagining.carried import from_bytes
    from mechanical_ears.imagining.imagined import Instrument

    with tempfile.TemporaryDirectory(prefix="ears-share-") as folder:
        path = Path(folder) / "instrument.json"
        path.write_text(json.dumps({**about, "carried": None}), encoding="utf-8")
        try:
            instrument = Instrument.load(path, imagination())
        except EarsError as error:
            raise EarsError(f"the file {error.problem}", remedy=error.remedy) from error
    if not isinstance(instrument, Instrument):
        raise EarsError("the file is no imagined instrument")
    named = replace(instrument, name=instrument.name[:LONGEST_NAME])
    if carried is None:
        return Patch.of(named)
    return Patch.of(replace(named, carried=from_bytes(carried)))


def exported(
    tell: Callable[[float], None], playing: Playing, folder: str, wish: Mapping[str, Any]
) -> str:
    """Write an instrument for a sampler.

    Args:
        tell: told how much is done, 0..1.
        playing: the instrument.
        folder: to write to.
        wish: ``format`` (sfz, sf2 or dspreset), ``every``, ``layers``, ``seconds``.

    Returns:
        Path of the .sf2, or of a .zip with the rest.
    """
    from mechanical_ears.instrument.export import export
    from mechanical_ears.instrument.sampling import Plan

    found = playable(playing)
    plan = Plan(every=wish["every"], layers=wish["layers"], seconds=wish["seconds"])
    name = re.sub(r"[^A-Za-z0-9]+", "-", found.name).strip("-")[:60] or "instrument"
    path = Path(folder) / f"{name}.{wish['format']}"

    def moved(done: int, of: int | None) -> None:
        tell(0.95 * done / (of or max(done, 1)))

    written = export(found, path, plan=plan, progress=moved)
    if written.folder is None:
        return str(path)
    packed = path.with_suffix(".zip")
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        archive.write(path, path.name)
        for file in sorted(written.folder.iterdir()):
            archive.write(file, f"{written.folder.name}/{file.name}")
    return str(packed)

"""Writing an instrument for a sampler: all of it, or nothing.

NAME.sf2 is one file. NAME.sfz stands beside a folder ``NAME_sfz_samples``, NAME.dspreset beside
``NAME_dspreset_samples``; folder and file are written under temporary names and renamed at the end,
the file last, so that a file that is there is whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mechanical_ears.files import write_atomically, write_folder_atomically, write_text
from mechanical_ears.instrument.autosampler import SamplingPlan, sample_instrument
from mechanical_ears.instrument.formats.decentsampler import format_dspreset
from mechanical_ears.instrument.formats.sf2_writer import encode_sf2
from mechanical_ears.instrument.formats.sfz_writer import format_sfz
from mechanical_ears.instrument.formats.wav import (
    BIT_DEPTHS,
    SamplerMetadata,
    encode_flac,
    encode_wav,
)
from mechanical_ears.instrument.playable import Playable, Progress
from mechanical_ears.instrument.sampled import SampledInstrument
from mechanical_ears.instrument.zones import (
    KEY_RANGE,
    VELOCITY_RANGE,
    InstrumentError,
    check_tiling,
    count_zones,
)
from mechanical_ears.pitch import midi_to_name

FORMATS: Final = (".sfz", ".sf2", ".dspreset")


@dataclass(frozen=True)
class ExportResult:
    """What was written.

    Attributes:
        path: the file that a sampler opens.
        folder: of its samples; None for a SoundFont.
        zones: how many.
        samples: how many.
        size: bytes in all.
    """

    path: Path
    folder: Path | None
    zones: int
    samples: int
    size: int


def check_target(path: str | Path, force: bool = False) -> Path:
    """Where an instrument will be written, refused before any work is done.

    Raises:
        InstrumentError: the suffix is none of ours, there is no such folder, or something stands
            there already.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise InstrumentError(
            f'the suffix "{path.suffix}" names no instrument format',
            path=path,
            remedy=f"use one of {', '.join(FORMATS)}",
        )
    if not path.parent.is_dir():
        raise InstrumentError("no such folder", path=path.parent, remedy="create it first")
    if path.is_dir():
        raise InstrumentError("is a folder", path=path, remedy="choose another name")
    places = [path] if path.suffix.lower() == ".sf2" else [path, _folder(path)]
    for place in places:
        if place.exists() and not force:
            raise InstrumentError(
                "already exists", path=place, remedy="choose another name, or give --force"
            )
    if _folder(path).is_file() and path.suffix.lower() != ".sf2":
        raise InstrumentError("is a file where a folder is needed", path=_folder(path))
    return path


def export(
    instrument: Playable,
    path: str | Path,
    *,
    plan: SamplingPlan | None = None,
    bits: int = 16,
    flac: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> ExportResult:
    """Write an instrument.

    Args:
        instrument: anything that plays notes. One that is made of samples is written as it is,
            where its zones tile all keys and velocities and no plan is given.
        path: .sfz, .sf2 or .dspreset file.
        plan: which notes are sampled.
        bits: of a sample, 16 or 24.
        flac: write FLAC instead of WAV.
        force: take the place of what stands there.
        progress: told how much of the sampling is done, and of how much.

    Raises:
        EarsError: it cannot be written; nothing is left then, and what was there stays.
    """
    path = check_target(path, force)
    if bits not in BIT_DEPTHS:
        raise InstrumentError(f"{bits} bits a sample", remedy="use 16 or 24")
    if flac and path.suffix.lower() == ".sf2":
        raise InstrumentError("a SoundFont 2 holds no FLAC", path=path, remedy="leave it out")
    sampled = as_samples(instrument, plan, progress)
    check_tiling(sampled.zones)
    if path.suffix.lower() == ".sf2":
        data = encode_sf2(sampled, bits)
        with write_atomically(path) as temporary:
            temporary.write_bytes(data)
        return ExportResult(path, None, len(sampled.zones), len(sampled.samples), len(data))
    return _with_folder(sampled, path, bits, flac)


def as_samples(
    instrument: Playable, plan: SamplingPlan | None = None, progress: Progress | None = None
) -> SampledInstrument:
    """An instrument of samples whose zones tile all keys and velocities.

    One that leaves keys at the ends without a sample, as many do, has its outermost zones reach on;
    one with other gaps, or with several samples for a key, is sampled anew between its ends.
    """
    if not isinstance(instrument, SampledInstrument):
        return sample_instrument(instrument, plan, progress)
    reaching = reaching_on(instrument)
    if plan is None and bool((count_zones(reaching.zones)[:, 1:] == 1).all()):
        return reaching
    keys = [key for zone in instrument.zones for key in zone.keys]
    lowest, highest = min(keys), max(keys)
    plan = SamplingPlan() if plan is None else plan
    within = [root for root in plan.roots if lowest <= root <= highest]
    if not within:
        within = [(lowest + highest) // 2]
    return sample_instrument(reaching, replace(plan, keys=tuple(within)), progress)


def reaching_on(instrument: SampledInstrument) -> SampledInstrument:
    """The outermost zones reach to keys 0 and 127, the softest and loudest to 1 and 127."""
    lowest = min(zone.keys[0] for zone in instrument.zones)
    highest = max(zone.keys[1] for zone in instrument.zones)
    softest = min(zone.velocities[0] for zone in instrument.zones)
    loudest = max(zone.velocities[1] for zone in instrument.zones)
    zones = []
    for zone in instrument.zones:
        low, high = zone.keys
        soft, loud = zone.velocities
        keys = (KEY_RANGE[0] if low == lowest else low, KEY_RANGE[1] if high == highest else high)
        velocities = (
            min(VELOCITY_RANGE[0], loud) if soft == softest else soft,
            VELOCITY_RANGE[1] if loud == loudest else loud,
        )
        zones.append(replace(zone, keys=keys, velocities=velocities))
    return replace(instrument, zones=tuple(zones))


def _with_folder(instrument: SampledInstrument, path: Path, bits: int, flac: bool) -> ExportResult:
    folder = _folder(path)
    suffix = ".flac" if flac else ".wav"
    files = {
        name: f"{folder.name}/{file}{suffix}" for name, file in _file_names(instrument).items()
    }
    write = format_sfz if path.suffix.lower() == ".sfz" else format_dspreset
    text = write(instrument, files)
    size = len(text.encode("utf-8"))
    with write_folder_atomically(
        folder, force=True, finish=lambda: write_text(path, text)
    ) as temporary:
        for name, place in files.items():
            data = _encoded(instrument, name, bits, flac)
            size += len(data)
            (temporary / Path(place).name).write_bytes(data)
    return ExportResult(path, folder, len(instrument.zones), len(files), size)


def _folder(path: Path) -> Path:
    stem = re.sub(r"[^\w.+-]+", "_", path.stem)
    return path.with_name(f"{stem}_{path.suffix[1:].lower()}_samples")


def _encoded(instrument: SampledInstrument, name: str, bits: int, flac: bool) -> bytes:
    sample = instrument.samples[name]
    if flac:
        return encode_flac(sample, bits)
    zone = next(zone for zone in instrument.zones if zone.sample == name)
    facts = SamplerMetadata(zone.root, zone.cents, zone.loop)
    title = f"{instrument.name}, {midi_to_name(zone.root)}"
    return encode_wav(sample, bits, facts, title, instrument.licence)


def _file_names(instrument: SampledInstrument) -> dict[str, str]:
    """Names of files that every system takes, none twice, of the samples that zones use."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for zone in instrument.zones:
        if zone.sample in names:
            continue
        plain = re.sub(r"[^\w+-]+", "_", zone.sample.replace("#", "s")) or "sample"
        name, number = plain, 2
        while name.lower() in taken:
            name, number = f"{plain}_{number}", number + 1
        taken.add(name.lower())
        names[zone.sample] = name
    return names

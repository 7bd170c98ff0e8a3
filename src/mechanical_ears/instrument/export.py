"""Exporting an instrument for samplers: SFZ, SoundFont 2 or DecentSampler.

NAME.sf2 is one file. NAME.sfz is written beside a folder ``NAME_sfz_samples``, NAME.dspreset beside
``NAME_dspreset_samples``; folder and file are written under temporary names and renamed at the end,
the file last, so that an existing file is always complete.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mechanical_ears.files import write_atomically, write_folder_atomically, write_text
from mechanical_ears.instrument.autosampler import SamplingPlan, sample_instrument
from mechanical_ears.instrument.formats.decentsampler import format_dspreset
from mechanical_ears.instrument.formats.sf2_writer import encode_sf2, first_round_robins
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

TEXT_FORMATS: Final = {".sfz": format_sfz, ".dspreset": format_dspreset}  # beside a folder
NO_ROUND_ROBINS: Final = "a SoundFont 2 has no round robins: only the first of each was written"
FORMATS: Final = (".sfz", ".sf2", ".dspreset")


@dataclass(frozen=True)
class ExportResult:
    """Files that were written.

    Attributes:
        path: the file to open in a sampler.
        folder: folder of its samples; None for a SoundFont.
        zones: number of zones.
        samples: number of samples.
        size: bytes in all files.
        notices: what the format does not hold.
    """

    path: Path
    folder: Path | None
    zones: int
    samples: int
    size: int
    notices: tuple[str, ...] = ()


def check_target(path: str | Path, force: bool = False) -> Path:
    """Check that an instrument can be written to a path, before any other work.

    Args:
        path: .sfz, .sf2 or .dspreset file.
        force: allow existing files.

    Raises:
        InstrumentError: the suffix names no format, there is no such folder, or the file or its
            folder already exists.
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
    targets = [path] if path.suffix.lower() == ".sf2" else [path, _sample_folder(path)]
    for target in targets:
        if target.exists() and not force:
            raise InstrumentError(
                "already exists", path=target, remedy="choose another name, or give --force"
            )
    if targets[-1] != path and targets[-1].is_file():
        raise InstrumentError("is a file where a folder is needed", path=targets[-1])
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
    """Write an instrument for samplers.

    Args:
        instrument: any playable instrument. One made of samples is written as it is, if its zones
            tile all keys and velocities and no plan is given.
        path: .sfz, .sf2 or .dspreset file.
        plan: which notes are sampled.
        bits: bits per sample, 16 or 24.
        flac: write FLAC instead of WAV files.
        force: replace existing files.
        progress: called with the number of sampling steps done and their total.

    Raises:
        EarsError: the instrument cannot be written; nothing new is left, existing files stay.

    >>> plan = SamplingPlan(key_step=12, layers=1)
    >>> export(instrument, "mine.sfz", plan=plan).zones  # doctest: +SKIP
    7
    """
    path = check_target(path, force)
    if bits not in BIT_DEPTHS:
        raise InstrumentError(f"{bits} bits per sample", remedy="use 16 or 24")
    if flac and path.suffix.lower() == ".sf2":
        raise InstrumentError("a SoundFont 2 holds no FLAC", path=path, remedy="leave out flac")
    sampled = as_samples(instrument, plan, progress)
    check_tiling(sampled.zones)
    if path.suffix.lower() == ".sf2":
        written = first_round_robins(sampled)
        data = encode_sf2(written, bits)
        with write_atomically(path) as temporary:
            temporary.write_bytes(data)
        notices = () if len(written.zones) == len(sampled.zones) else (NO_ROUND_ROBINS,)
        sizes = len(written.zones), len(written.samples), len(data)
        return ExportResult(path, None, *sizes, notices)
    return _write_with_folder(sampled, path, bits, flac)


def as_samples(
    instrument: Playable, plan: SamplingPlan | None = None, progress: Progress | None = None
) -> SampledInstrument:
    """An instrument of samples whose zones tile all keys and velocities.

    A sampled instrument whose lowest and highest keys have no sample, as is common, has its
    outermost zones extended; one with other gaps, or with several samples per key, is sampled
    again between its lowest and its highest key.
    """
    if not isinstance(instrument, SampledInstrument):
        return sample_instrument(instrument, plan, progress)
    extended = extend_zones(instrument)
    if plan is None and bool((count_zones(extended.zones)[:, 1:] == 1).all()):
        return extended
    keys = [key for zone in instrument.zones for key in zone.keys]
    lowest, highest = min(keys), max(keys)
    plan = SamplingPlan() if plan is None else plan
    roots = [root for root in plan.roots if lowest <= root <= highest]
    roots = roots or [(lowest + highest) // 2]
    return sample_instrument(extended, replace(plan, keys=tuple(roots)), progress)


def extend_zones(instrument: SampledInstrument) -> SampledInstrument:
    """The instrument with its outermost zones extended to keys 0..127 and velocities 1..127."""
    keys = _extend_ranges([zone.keys for zone in instrument.zones], KEY_RANGE)
    velocities = _extend_ranges([zone.velocities for zone in instrument.zones], VELOCITY_RANGE)
    zones = zip(instrument.zones, keys, velocities, strict=True)
    return replace(
        instrument, zones=tuple(replace(zone, keys=k, velocities=v) for zone, k, v in zones)
    )


def _extend_ranges(ranges: list[tuple[int, int]], limits: tuple[int, int]) -> list[tuple[int, int]]:
    """Ranges whose lowest value is lowered, and whose highest is raised, to the limits."""
    lowest, highest = min(low for low, _ in ranges), max(high for _, high in ranges)
    return [
        (min(limits[0], high) if low == lowest else low, limits[1] if high == highest else high)
        for low, high in ranges
    ]


def _write_with_folder(
    instrument: SampledInstrument, path: Path, bits: int, flac: bool
) -> ExportResult:
    folder = _sample_folder(path)
    suffix = ".flac" if flac else ".wav"
    files = {
        name: f"{folder.name}/{file}{suffix}" for name, file in _file_names(instrument).items()
    }
    text = TEXT_FORMATS[path.suffix.lower()](instrument, files)
    size = len(text.encode("utf-8"))
    with write_folder_atomically(
        folder, force=True, finish=lambda: write_text(path, text)
    ) as temporary:
        for name, file in files.items():
            data = _encode_sample(instrument, name, bits, flac)
            size += len(data)
            (temporary / Path(file).name).write_bytes(data)
    return ExportResult(path, folder, len(instrument.zones), len(files), size)


def _sample_folder(path: Path) -> Path:
    stem = re.sub(r"[^\w.+-]+", "_", path.stem)
    return path.with_name(f"{stem}_{path.suffix[1:].lower()}_samples")


def _encode_sample(instrument: SampledInstrument, name: str, bits: int, flac: bool) -> bytes:
    sample = instrument.samples[name]
    if flac:
        return encode_flac(sample, bits)
    zone = next(zone for zone in instrument.zones if zone.sample == name)
    metadata = SamplerMetadata(zone.root, zone.cents, zone.loop)
    title = f"{instrument.name}, {midi_to_name(zone.root)}"
    return encode_wav(sample, bits, metadata, title, instrument.licence)


def _file_names(instrument: SampledInstrument) -> dict[str, str]:
    """Distinct file names, valid on every system, by the names of the samples that zones use."""
    names: dict[str, str] = {}
    used: set[str] = set()
    for zone in instrument.zones:
        if zone.sample in names:
            continue
        base = re.sub(r"[^\w+-]+", "_", zone.sample.replace("#", "s")) or "sample"
        name, number = base, 2
        while name.lower() in used:
            name, number = f"{base}_{number}", number + 1
        used.add(name.lower())
        names[zone.sample] = name
    return names

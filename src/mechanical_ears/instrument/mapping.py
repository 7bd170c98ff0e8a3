"""Mapping a folder of recordings to an instrument that a sampler can play.

    files → keys, cents (recordings.py) → layers by loudness (layer_assignment.py)
          → silence trimmed, loops → zones

Loudness is the level. Where all files were normalised to one peak, so that levels say nothing, it
is the brightness and the velocity that the ears predict. Each layer tiles all keys by itself, so
that a gap in one layer is filled by its own neighbours.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.corpus.filenames import family_and_source_from_name
from mechanical_ears.deprecation import renamed_attributes
from mechanical_ears.instrument import autosampler
from mechanical_ears.instrument.edges import PRE_ONSET_SECONDS, fade_in, trim_decay
from mechanical_ears.instrument.layer_assignment import LayeredRecording, assign_layers
from mechanical_ears.instrument.levels import block_powers, measure_release
from mechanical_ears.instrument.loops import find_loop
from mechanical_ears.instrument.playable import Progress
from mechanical_ears.instrument.recordings import (
    RecordingAnalysis,
    SkippedFile,
    analyse_folder,
    resolve_keys,
)
from mechanical_ears.instrument.sampled import Sample, SampledInstrument
from mechanical_ears.instrument.velocity_curve import DEFAULT_POWER, LayerCurve, fit_layer_curves
from mechanical_ears.instrument.zones import (
    KEY_RANGE,
    Envelope,
    InstrumentError,
    Loop,
    VelocityResponse,
    Zone,
    layer_ranges,
    tile_range,
)
from mechanical_ears.pitch import midi_to_hz, midi_to_name
from mechanical_ears.sound import Sound

Trust = Literal["ears", "names"]

MIN_LOOPED_SECONDS: Final = 0.8  # s for which a note is held, below which it is not looped
HELD_BLOCK_SECONDS: Final = 0.02  # s, of the levels by which the key-up is found
MIN_HELD_BLOCKS: Final = 8
KEY_UP_DROP_DB: Final = 6.0  # dB below a note's middle
UNSURE_PROBABILITY: Final = 0.5  # of a key, below which the report advises a check
VELOCITY_STEP_DB: Final = 0.1  # dB of loudness for a step of predicted velocity
VELOCITY_STEP_SEMITONES: Final = 0.5  # semitones of brightness for a step of predicted velocity
MAX_PEAK_DEVIATION_DB: Final = 1.0  # dB, standard deviation of the peaks of normalised files
MAX_NAME_ERROR: Final = 0.6  # semitones, up to which a recording is the note of its name


@renamed_attributes(placed="recordings", aside="skipped", disagreements="name_conflicts")
@dataclass(frozen=True, eq=False)
class MappedFolder:
    """The instrument made of a folder, and what was done with each file.

    Attributes:
        instrument: the instrument.
        recordings: files that are used.
        skipped: files that are not used.
        layers: number of velocity layers.
    """

    instrument: SampledInstrument
    recordings: tuple[LayeredRecording, ...]
    skipped: tuple[SkippedFile, ...]
    layers: int

    @property
    def name_conflicts(self) -> list[RecordingAnalysis]:
        """Recordings whose names say another note than the ears."""
        return [each.recording for each in self.recordings if each.recording.name_contradicts]

    def report(self) -> str:
        """A line for each file, as CSV with a header; see docs/INSTRUMENTS.md."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(
            ("file", "used", "key", "note", "cents", "layer", "level", "sure", "named", "remark")
        )
        for each in sorted(self.recordings, key=lambda each: (each.recording.key, each.layer)):
            recording, labels = each.recording, each.recording.name_labels
            remarks = []
            if recording.name_contradicts:
                remarks.append("its name says another note")
            if recording.confidence < UNSURE_PROBABILITY:
                remarks.append("unsure: listen to it")
            writer.writerow(
                (
                    recording.path.name,
                    "yes",
                    recording.key,
                    midi_to_name(recording.key),
                    f"{recording.cents:.1f}",
                    each.layer + 1,
                    f"{recording.level:.1f}",
                    f"{recording.confidence:.2f}",
                    "" if labels is None else midi_to_name(labels.pitch),
                    "; ".join(remarks),
                )
            )
        for file in self.skipped:
            writer.writerow((file.path.name, "no", *[""] * 7, file.reason))
        return text.getvalue()


def map_folder(
    folder: str | Path,
    *,
    trust: Trust = "ears",
    keep_tuning: bool = False,
    name: str | None = None,
    progress: Progress | None = None,
) -> MappedFolder:
    """Make an instrument of the recordings in a folder.

    Args:
        folder: WAV, FLAC, Ogg and MP3 files of single notes, of any sample rates.
        trust: whether the ears or the files' names decide where they disagree about a note.
        keep_tuning: leave each recording at its pitch; otherwise it is tuned to its key.
        name: name of the instrument; None for that of the folder.
        progress: called with the number of files analysed and their total.

    Raises:
        EarsError: there is no such folder, or no recording of a single pitch in it.

    >>> mapped = map_folder("takes")  # doctest: +SKIP
    >>> mapped.instrument.note(60, velocity=100, seconds=2).save("c4.wav")  # doctest: +SKIP
    """
    folder = Path(folder)
    analysis = analyse_folder(folder, progress)
    recordings, skipped = resolve_keys(analysis.recordings), list(analysis.skipped)
    if trust == "names":
        recordings, wrong = _rename_keys(recordings)
        skipped += wrong
    normalised = have_equal_peaks(recordings)
    loudness = _brightness_order if normalised else _level_order
    velocities = [each.name_labels and each.name_labels.velocity for each in recordings]
    if trust == "names" and None not in velocities:
        loudness = _name_order
    layered, surplus = assign_layers(recordings, loudness)
    skipped += surplus
    if not layered:
        problem = f"holds no recording of a single pitch among {len(skipped)} files"
        raise InstrumentError(problem, path=folder, remedy="give recordings of single notes")
    layers = 1 + max(each.layer for each in layered)
    name = name or folder.resolve().name
    instrument = _build_instrument(name, layered, analysis.sounds, layers, keep_tuning, normalised)
    return MappedFolder(instrument, tuple(layered), tuple(skipped), layers)


def _rename_keys(
    recordings: Sequence[RecordingAnalysis],
) -> tuple[list[RecordingAnalysis], list[SkippedFile]]:
    """Recordings at the keys of their names, octaves apart or not; other notes are skipped."""
    renamed, wrong = [], []
    for recording in recordings:
        labels = recording.name_labels
        if labels is not None and recording.name_contradicts:
            octaves = 12 * round((recording.pitch - labels.pitch) / 12)
            if abs(recording.pitch - octaves - labels.pitch) > MAX_NAME_ERROR:
                notes = f"named {midi_to_name(labels.pitch)}, sounds {midi_to_name(recording.key)}"
                wrong.append(SkippedFile(recording.path, f"a wrong note: {notes}"))
                continue
            recording = replace(recording, key=labels.pitch, pitch=recording.pitch - octaves)
        renamed.append(recording)
    return renamed, wrong


def have_equal_peaks(recordings: Sequence[RecordingAnalysis]) -> bool:
    """Whether the files were all normalised to one peak, so that their levels say nothing."""
    if not recordings:
        return False
    return float(np.std([each.peak for each in recordings])) < MAX_PEAK_DEVIATION_DB


def _name_order(recording: RecordingAnalysis) -> float:
    """The velocity in the file's name."""
    return float(recording.name_labels.velocity or 0) if recording.name_labels else 0.0


def _level_order(recording: RecordingAnalysis) -> float:
    """Level in dB, plus a little of the predicted velocity, for levels that are alike."""
    return recording.level + VELOCITY_STEP_DB * recording.velocity


def _brightness_order(recording: RecordingAnalysis) -> float:
    """Brightness in semitones, plus the predicted velocity."""
    return recording.brightness + VELOCITY_STEP_SEMITONES * recording.velocity


def _build_instrument(
    name: str,
    recordings: Sequence[LayeredRecording],
    sounds: Mapping[Path, Sound],
    layers: int,
    keep_tuning: bool,
    normalised: bool,
) -> SampledInstrument:
    """Zones and samples of the recordings.

    Args:
        name: name of the instrument.
        recordings: with their layers.
        sounds: recordings in memory; the others are read again.
        layers: number of layers, empty ones included.
        keep_tuning: leave each recording at its pitch.
        normalised: whether levels say nothing, so that all layers have the default response.
    """
    ordered = sorted(recordings, key=lambda each: each.recording.key)
    by_layer = [[each for each in ordered if each.layer == layer] for layer in range(layers)]
    ranges = layer_ranges(layers)
    centres = [(low + high + 1) // 2 for low, high in ranges]
    if not all(by_layer):
        by_layer = [group for group in by_layer if group]
        ranges, centres = layer_ranges(len(by_layer)), centres[-len(by_layer) :]
    decay = float(np.median([each.recording.decay for each in recordings]))
    zones: list[Zone] = []
    samples: dict[str, Sample] = {}
    for layer, (group, velocities) in enumerate(zip(by_layer, ranges, strict=True)):
        keys_of_layer = tile_range([each.recording.key for each in group], KEY_RANGE)
        for each, keys in zip(group, keys_of_layer, strict=True):
            recording = each.recording
            sound = sounds.get(recording.path) or Sound.load(recording.path, mono=False)
            sample, loop, release = _prepare_recording(
                recording, sound, sustains=decay <= autosampler.MAX_SUSTAINED_DECAY
            )
            curve = LayerCurve(DEFAULT_POWER, recording.level)
            if not normalised:
                levels = [_nearest(other, each).recording.level for other in by_layer]
                curve = fit_layer_curves(levels, centres, ranges)[layer]
            sample_id = autosampler.sample_name(recording.key, centres[layer])
            gain = np.float32(10 ** ((curve.level - recording.level) / 20))
            samples[sample_id] = replace(sample, audio=sample.audio * gain)
            zones.append(
                Zone(
                    sample=sample_id,
                    root=recording.key,
                    keys=keys,
                    velocities=velocities,
                    cents=0.0 if keep_tuning else float(round(recording.cents)),
                    loop=loop,
                    envelope=Envelope(release=release),
                    velocity_response=VelocityResponse(power=curve.power),
                )
            )
    family, _ = family_and_source_from_name(name)
    return SampledInstrument(name, tuple(zones), autosampler.normalise_peak(samples), family)


def _nearest(layer: Sequence[LayeredRecording], to: LayeredRecording) -> LayeredRecording:
    """The recording of a layer nearest in key to another one, which may be itself."""
    return min(layer, key=lambda each: (abs(each.recording.key - to.recording.key), each is not to))


def _prepare_recording(
    recording: RecordingAnalysis, sound: Sound, sustains: bool
) -> tuple[Sample, Loop | None, float]:
    """A sample without the silence around it, its loop if the instrument sustains, its release."""
    if sound.channels > 2:
        sound = sound.mono()
    rate = sound.sample_rate
    first = max(0, round((recording.onset - PRE_ONSET_SECONDS) * rate))
    audio = fade_in(sound.samples[first:].reshape(-1, sound.channels), rate)
    mono = audio.mean(axis=1)
    hold = _measure_hold(mono, rate)
    if sustains and hold >= MIN_LOOPED_SECONDS:
        frequency = midi_to_hz(recording.pitch)
        looped = find_loop(audio, rate, frequency, autosampler.LOOP_START_SHARE * hold, hold)
        if looped is not None:
            release = measure_release(mono, rate, hold)
            release = autosampler.DEFAULT_RELEASE_SECONDS if release is None else release
            return Sample(looped.audio, rate), looped.loop, release
    return Sample(trim_decay(audio, rate), rate), None, autosampler.DEFAULT_RELEASE_SECONDS


def _measure_hold(mono: NDArray[np.float32], rate: int) -> float:
    """How long a note is held, in s: until it stays 6 dB below the level of its middle."""
    block = max(1, round(HELD_BLOCK_SECONDS * rate))
    levels = 10 * np.log10(block_powers(mono, block) + 1e-14)
    if len(levels) < MIN_HELD_BLOCKS:
        return 0.0
    middle = float(np.median(levels[len(levels) // 4 : 3 * len(levels) // 4]))
    loud = np.flatnonzero(levels > middle - KEY_UP_DROP_DB)
    return float(loud[-1] * block / rate) if len(loud) else 0.0

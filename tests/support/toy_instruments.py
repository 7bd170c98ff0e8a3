"""Instruments with known properties, MIDI files to play on them, and independent measures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np

from mechanical_ears.instrument.sampled import Sample, SampledInstrument
from mechanical_ears.instrument.zones import (
    KEY_RANGE,
    Envelope,
    Loop,
    VelocityResponse,
    Zone,
    layer_ranges,
    tile_range,
)
from mechanical_ears.pitch import midi_to_hz
from mechanical_ears.sound import Sound

RATE = 48_000  # Hz
POWER = 2.5  # of velocity, in the toy instruments' gain


@dataclass(frozen=True)
class Organ:
    """Six steady partials whose gain is a power of the velocity, with a release of 0.2 s."""

    name: str = "Organ"
    family: str | None = "organ"
    licence: str = "CC0-1.0"
    release_seconds: float = 0.5
    decay: float = 0.0  # dB/s

    def note(self, pitch, velocity=100, seconds=None, sample_rate=RATE, round_robin=0, channels=1):
        seconds = 3.0 if seconds is None else seconds
        time = np.arange(round(seconds * sample_rate)) / sample_rate
        frequency = midi_to_hz(pitch)
        audio = np.zeros(len(time))
        for number in range(1, 7):
            if number * frequency < 0.45 * sample_rate:
                audio += np.sin(2 * np.pi * number * frequency * time + number) / number**2
        decibels = 20 * POWER * np.log10(velocity / 127) - self.decay * time
        key_up = seconds - self.release_seconds
        decibels = decibels - np.maximum(time - key_up, 0) * 80 / 0.2
        audio *= 0.3 * 10 ** (decibels / 20) * np.minimum(time / 0.01, 1)
        audio = audio.astype(np.float32)
        return Sound(audio if channels == 1 else np.stack([audio, audio], axis=1), sample_rate)


def sine_instrument(layers: int = 2, roots: tuple[int, ...] = (48, 60, 72), channels: int = 1):
    """A sampled instrument of looped sines; its zones tile all keys and velocities."""
    samples, zones = {}, []
    centres = [(low + high) // 2 for low, high in layer_ranges(layers)]
    for root, keys in zip(roots, tile_range(roots, KEY_RANGE), strict=True):
        for velocities, centre in zip(layer_ranges(layers), centres, strict=True):
            frequency = round(midi_to_hz(root) / 10) * 10  # whole periods in 0.1 s
            time = np.arange(RATE) / RATE
            waves = [
                0.5 * np.sin(2 * np.pi * frequency * time + phase) for phase in range(channels)
            ]
            audio = np.stack(waves, axis=1).astype(np.float32)
            name = f"{root}_{centre}"
            samples[name] = Sample(audio, RATE)
            cents = round(1200 * np.log2(frequency / midi_to_hz(root)))
            zones.append(
                Zone(
                    sample=name,
                    root=root,
                    keys=keys,
                    velocities=velocities,
                    cents=float(cents),
                    loop=Loop(RATE // 10, RATE // 10 * 9),
                    envelope=Envelope(release=0.3),
                    velocity_response=VelocityResponse(power=POWER),
                )
            )
    return SampledInstrument("Sines", tuple(zones), samples, "organ", "CC0-1.0")


def write_midi(path: Path, *tracks: list[tuple[float, mido.Message | mido.MetaMessage]], kind=1):
    """Write a MIDI file with a track for each list of (time in quarter notes, message)."""
    file = mido.MidiFile(type=kind, ticks_per_beat=480)
    for events in tracks:
        track = mido.MidiTrack()
        previous = 0
        for quarter, message in sorted(events, key=lambda event: event[0]):
            tick = round(480 * quarter)
            track.append(message.copy(time=tick - previous))
            previous = tick
        file.tracks.append(track)
    file.save(path)
    return path


def note_events(start, end, note, velocity=100, channel=0):
    """Note on and note off, with their times in quarter notes."""
    return [
        (start, mido.Message("note_on", note=note, velocity=velocity, channel=channel)),
        (end, mido.Message("note_off", note=note, channel=channel)),
    ]


def controller_event(time, number, value, channel=0):
    """A control change, with its time in quarter notes."""
    message = mido.Message("control_change", control=number, value=value, channel=channel)
    return [(time, message)]


def peak_pitch(audio: np.ndarray, rate: int, near: float) -> float:
    """Pitch of the strongest spectral peak within a semitone, a fractional MIDI number.

    A parabola through the logarithms of three bins; independent of the package's own pitch code.
    """
    part = audio * np.blackman(len(audio))
    size = 1 << (len(audio) - 1).bit_length() + 3
    magnitudes = np.abs(np.fft.rfft(part, size))
    low, high = (round(midi_to_hz(near + side) * size / rate) for side in (-1, 1))
    index = low + int(magnitudes[low : high + 1].argmax())
    one, two, three = np.log(magnitudes[index - 1 : index + 2])
    shift = 0.5 * (one - three) / (one - 2 * two + three)
    return 69 + 12 * np.log2((index + shift) * rate / size / 440)


def level(audio: np.ndarray) -> float:
    """Mean square in dB."""
    return float(10 * np.log10(np.mean(np.square(audio, dtype=np.float64)) + 1e-20))


def pluck(pitch, decibels=0.0, brightness=1.0, rate=RATE, seconds=2.0, silence=0.3, seed=0):
    """A decaying string after some silence, with a little noise."""
    time = np.arange(round(seconds * rate)) / rate
    rng = np.random.default_rng([seed, round(100 * pitch)])
    audio = np.zeros(len(time))
    for number in range(1, 15):
        if number * midi_to_hz(pitch) < 0.45 * rate:
            decay = np.exp(-(2 + 0.5 * number) * time)
            phase = 2 * np.pi * (number * midi_to_hz(pitch) * time + rng.random())
            audio += np.sin(phase) * decay / number ** (2 - brightness)
    audio *= 0.3 * 10 ** (decibels / 20) * np.minimum(time / 0.002, 1)
    audio = np.concatenate([np.zeros(round(silence * rate)), audio])
    return audio + 1e-5 * rng.standard_normal(len(audio))

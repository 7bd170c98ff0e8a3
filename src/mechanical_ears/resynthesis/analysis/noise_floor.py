"""The noise of a note: what sounds in the valleys between its partials.

A Hann window of L seconds shows nothing of a steady partial that is 2/L or more away, so that
windows of four periods are blind to partials midway between two of them, and see only noise there.
The level of a band is the mean of the logarithms of its valleys' powers, raised by Euler's constant
(the mean logarithm of an exponential variable lies γ below that of its mean): a mean of logarithms
takes no notice of a few places into which a partial leaks. Where partials move, short windows leak
everywhere. A window of 256 ms, of Nuttall's form without side lobes ("Some windows with very good
sidelobe behavior", 1981), shows valleys that are far deeper; what it finds, outside the attack and
the release, caps the rest.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.matmul import matmul
from mechanical_ears.resynthesis.analysis.framed_spectra import Windows, nuttall, windows
from mechanical_ears.resynthesis.control_map import BANDS, band_edges

GUARD: Final = 1.9  # window bins to a partial, at which nothing is seen of it
TIGHT: Final = 1.6  # the same, where partials stand too close
LEAST: Final = 1e-16  # power below which there is nothing
CAP_WINDOW: Final = 0.256  # s, at least
CAP_PERIODS: Final = 10.0  # of the base, at least
CAP_GUARD: Final = 3.6  # window bins to a partial, where Nuttall's window sees nothing of it
CAP_MARGIN: Final = 2.0  # dB, of the cap above what it finds: the lesser of two estimates is low
CAP_HOP: Final = 0.096  # s
CAP_FROM: Final = 0.10  # s, where the cap begins
CAP_BEFORE: Final = 0.12  # s before the key-up, from where the last that was found is held
GAMMA: Final = 0.5772  # Euler's constant


def valleys(
    partials: NDArray[np.float64], highest: float, length: float, guard: float = GUARD
) -> NDArray[np.float64]:
    """Frequencies at which a window of ``length`` s sees no partial, Hz, ascending.

    Args:
        partials: Hz, float64 (partials,), ascending.
        highest: Hz, where they end.
        length: s, of the window.
        guard: window bins to the nearest partial.
    """
    edges = np.concatenate([[0.0], partials, [2 * highest]])
    even = np.arange(1.0, highest * length) / length
    midway = (edges[1:-2] + edges[2:-1]) / 2
    places = np.sort(np.concatenate([even, midway]))
    after = np.searchsorted(edges, places)
    gap = np.minimum(places - edges[after - 1], edges[after] - places) * length
    is_midway = np.isin(places, midway)
    clear = (gap >= guard) | (is_midway & (gap >= TIGHT))
    return np.asarray(places[clear & (places < highest)])


def noise_levels(
    parts: Windows,
    partials: NDArray[np.float64],
    moving: NDArray[np.float64] | None = None,
    guard: float = GUARD,
) -> NDArray[np.float64]:
    """Levels of the noise bands.

    Args:
        parts: spectra of the frames.
        partials: Hz, float64 (partials,), ascending.
        moving: float64 (frames,), factors on all frequencies, where they move.
        guard: window bins to a partial, at which nothing is seen of it.

    Returns:
        dB of the mean square of 1 Hz, float64 (frames, bands); bands without a valley lie between
        their neighbours.
    """
    highest = parts.sample_rate / 2
    places = valleys(partials, 0.985 * highest, parts.length, guard)
    frames = len(parts.spectra)
    band = np.searchsorted(band_edges(), places) - 1
    inside = (band >= 0) & (band < BANDS)
    places, band = places[inside], band[inside]
    if not len(places):
        return np.full((frames, BANDS), 10 * np.log10(LEAST))
    asked = places if moving is None else moving[:, None] * places
    power = parts.powers(asked) if moving is not None else _at_bins(parts, places)
    logs = np.log(np.maximum(power, LEAST))
    owner = np.zeros((len(places), BANDS), dtype=np.float32)
    owner[np.arange(len(places)), band] = 1
    counts = owner.sum(axis=0)
    known = np.flatnonzero(counts)
    means = matmul(logs, owner[:, known]) / counts[known] + GAMMA - np.log(parts.noise_gain)
    levels = means @ _between(known) * (10 / np.log(10))
    levels[:, band_edges()[:-1] >= highest] = 10 * np.log10(LEAST)
    return np.asarray(levels, dtype=np.float64)


def _at_bins(parts: Windows, places: NDArray[np.float64]) -> NDArray[np.float32]:
    nearest = np.rint(places / parts.bin_width).astype(np.int64)
    found = np.take(parts.spectra, np.minimum(nearest, parts.spectra.shape[1] - 1), axis=1)
    return np.asarray(found.real**2 + found.imag**2, dtype=np.float32)


def _between(known: NDArray[np.int64]) -> NDArray[np.float32]:
    """What each band takes of the known ones, float32 (known, bands): linear between them."""
    at = np.interp(np.arange(BANDS), known, np.arange(len(known)))
    weights = np.maximum(0, 1 - np.abs(at - np.arange(len(known))[:, None]))
    return np.asarray(weights, dtype=np.float32)


def cap(
    samples: NDArray[np.float32],
    sample_rate: int,
    partials: NDArray[np.float64],
    base: float,
    times: NDArray[np.float64],
    key_up: float,
) -> NDArray[np.float64]:
    """What the noise bands hold at most.

    Args:
        samples: float32 (samples,).
        sample_rate: Hz.
        partials: Hz, float64 (partials,), ascending.
        base: Hz, the distance between partials.
        times: s, float64 (frames,).
        key_up: s.

    Returns:
        dB as `noise_levels`, float64 (frames, bands); infinite where nothing is known.
    """
    most = np.full((len(times), BANDS), np.inf)
    last = min(key_up, len(samples) / sample_rate) - CAP_BEFORE
    length = max(CAP_WINDOW, CAP_PERIODS / base)
    moments = np.arange(CAP_FROM + CAP_WINDOW / 4, last, CAP_HOP)
    if len(moments) < 2:
        return most
    parts = windows(samples, sample_rate, moments, length, nuttall)
    levels = noise_levels(parts, partials, None, CAP_GUARD)
    capped = (times > CAP_FROM) & (times < key_up)  # held up to the release: no echo before it
    for band in range(BANDS):
        most[capped, band] = np.interp(times[capped], moments, levels[:, band]) + CAP_MARGIN
    return most

"""Time as a note's own periods count it.

All partials of a note whose frequency moves by c(t) cents have the phase 2π f_m u(t), with

    u(t) = ∫ 2^(c/1200) dt        from 0 to t
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

STEP_SECONDS: Final = 0.001  # s, of the integral


def warp_time(
    frame_times: NDArray[np.float64], cents: NDArray[np.float64], times: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Integrate a pitch track: u(t), s.

    Args:
        frame_times: s, float64 (frames,), of the track.
        cents: float64 (frames,).
        times: s, float64 (points,), at which u is evaluated.

    Returns:
        float64 (points,); ``times`` itself where the pitch is steady, or before 0.
    """
    if not cents.any():
        return times
    fine = np.arange(0, max(frame_times[-1], times.max()) + 2 * STEP_SECONDS, STEP_SECONDS)
    ratio = np.exp2(np.interp(fine, frame_times, cents) / 1200)
    steps = np.cumsum((ratio[1:] + ratio[:-1]) * (STEP_SECONDS / 2))
    warped = np.concatenate([[0.0], steps])
    return np.where(times < 0, times, np.interp(times, fine, warped))

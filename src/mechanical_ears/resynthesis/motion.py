"""Motion: measure how a note moves, and let a smooth note move at random in the same way.

    measure_motion(control_map) → Motion            (analysis/measure_motion.py)
    animate(control_map, motion, seed) → ControlMap (synthesis/animate.py)

The statistics between the two are in `motion_statistics`.
"""

from mechanical_ears.resynthesis.analysis.measure_motion import measure_motion
from mechanical_ears.resynthesis.motion_statistics import Motion, mean_motion
from mechanical_ears.resynthesis.synthesis.animate import animate

__all__ = ["Motion", "animate", "mean_motion", "measure_motion"]

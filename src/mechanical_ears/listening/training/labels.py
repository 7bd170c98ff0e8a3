"""Labels of notes from which the listener is trained, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mechanical_ears.corpus.sounding_offsets import sounding_offset
from mechanical_ears.corpus.store import Store
from mechanical_ears.note import VELOCITIES
from mechanical_ears.pitch import PITCH_COUNT
from mechanical_ears.training.feed import Notes

SYNTHETIC_TITLE = "toy"  # of the corpus of our own synthesised notes
UNKNOWN = -1  # a label that the corpus does not give

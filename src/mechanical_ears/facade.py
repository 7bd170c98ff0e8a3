"""The public names of `mechanical_ears`, looked up when they are called.

Rooms import from their left only. Where a convenience of a room on the left opens or writes what a
room on the right knows (``imagine(like="guitar.sfz")``), it asks for the public function by name.
"""

from __future__ import annotations

import importlib
from typing import Any


def public(name: str) -> Any:
    """The public class or function of a name.

    Raises:
        AttributeError: there is none.

    Examples:
        >>> public("Note").__name__
        'Note'
    """
    return getattr(importlib.import_module(__package__ or "mechanical_ears"), name)

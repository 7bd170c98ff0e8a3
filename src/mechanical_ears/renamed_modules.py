"""Import paths of version 0.1.0: they still work, with a DeprecationWarning.

``renamed.json`` holds, by each module that was moved, its new path under the key "" and those of
its names that have changed or are elsewhere now.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from mechanical_ears.deprecation import warn_deprecated

PACKAGE = __name__.partition(".")[0]


@cache
def _renamed() -> dict[str, dict[str, str]]:
    table: dict[str, dict[str, str]] = json.loads(
        Path(__file__).with_name("renamed.json").read_text(encoding="utf-8")
    )
    return table


class RenamedModules(MetaPathFinder, Loader):
    """Finds modules by their old paths; asked only when there is none of that name."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module that was moved."""
        package, _, name = fullname.partition(".")
        if package != PACKAGE or name not in _renamed():
            return None
        return ModuleSpec(fullname, self)

    def exec_module(self, module: ModuleType) -> None:
        """Let the module look up its names where they are now."""
        names = _renamed()[module.__name__.partition(".")[2]]

        def get(name: str) -> Any:
            path, _, new = names.get(name, f"{names.get('', '')}:{name}").partition(":")
            if name.startswith("__") or not path:
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            value = getattr(importlib.import_module(f"{PACKAGE}.{path}"), new)
            warn_deprecated(f"{module.__name__}.{name} is now {PACKAGE}.{path}.{new}")
            return value

        module.__getattr__ = get  # type: ignore[method-assign]

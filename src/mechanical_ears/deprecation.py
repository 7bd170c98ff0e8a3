"""Old names of arguments and attributes: they still work, with a DeprecationWarning."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=type)


def renamed_arguments(**new_names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function so that its keyword arguments may have their old names.

    Args:
        new_names: new name by old name.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            name = function.__qualname__.removesuffix(".__init__")
            for old in new_names.keys() & kwargs.keys():
                new = new_names[old]
                if new in kwargs:
                    raise TypeError(f'"{new}" is given twice, as "{old}" too')
                warn_deprecated(f'the argument "{old}" of {name} is now "{new}"')
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return wrapper

    return decorate


def renamed_attributes(**new_names: str) -> Callable[[C], C]:
    """Decorate a class so that its attributes and methods may have their old names.

    Args:
        new_names: new name by old name.
    """

    def decorate(cls: C) -> C:
        def get(self: object, name: str) -> Any:
            if name not in new_names:
                raise AttributeError(f"{cls.__name__!r} object has no attribute {name!r}")
            warn_deprecated(f"{cls.__name__}.{name} is now {cls.__name__}.{new_names[name]}")
            return getattr(self, new_names[name])

        cls.__getattr__ = get  # type: ignore[attr-defined]
        return cls

    return decorate


def renamed_fields(**new_names: str) -> Callable[[C], C]:
    """Decorate a dataclass so that its fields may have their old names, also as arguments.

    Args:
        new_names: new name by old name.
    """

    def decorate(cls: C) -> C:
        cls.__init__ = renamed_arguments(**new_names)(cls.__init__)  # type: ignore[misc]
        return renamed_attributes(**new_names)(cls)

    return decorate


def warn_deprecated(message: str) -> None:
    """Warn whoever called the calling function that they use something deprecated."""
    warnings.warn(message, DeprecationWarning, stacklevel=3)

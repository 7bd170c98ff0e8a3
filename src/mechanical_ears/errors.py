"""Errors that users see: one line with file, record, problem and remedy."""

from __future__ import annotations

from pathlib import Path


class EarsError(Exception):
    """Input or environment that Mechanical Ears cannot work with.

    Its text is one line, ``path: record: problem; remedy``, without the parts that are None. The
    ``ears`` command prints it and exits with code 2.

    >>> from mechanical_ears import EarsError, Sound
    >>> try:
    ...     Sound.load("missing.wav")
    ... except EarsError as error:
    ...     print(error)
    missing.wav: no such file

    Args:
        problem: what is wrong (``"pitch" is 300, outside 0..127``).
        path: the file or folder that the problem is in.
        record: position in the file (``record 17``, ``note "bass_018-022-100"``).
        remedy: what to do about it, as an imperative.
    """

    def __init__(
        self,
        problem: str,
        *,
        path: str | Path | None = None,
        record: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.problem = problem
        self.path = None if path is None else str(path)
        self.record = record
        self.remedy = remedy
        where = [part for part in (self.path, record) if part]
        text = ": ".join([*where, problem])
        super().__init__(f"{text}; {remedy}" if remedy else text)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with the keyword arguments, so that worker processes can return errors."""
        state = {"path": self.path, "record": self.record, "remedy": self.remedy}
        return _rebuild, (type(self), self.problem, state)


def _rebuild(kind: type[EarsError], problem: str, state: dict[str, str | None]) -> EarsError:
    return kind(problem, **state)


def check_version(
    found: object,
    expected: object,
    path: str | Path | None = None,
    *,
    remedy: str = "update mechanical-ears",
    kind: type[EarsError] = EarsError,
) -> None:
    """Raise an error of a kind if a file is of another version than the one expected."""
    if found != expected:
        problem = f"is of version {found}, this program reads {expected}"
        raise kind(problem, path=path, remedy=remedy)


class SoundError(EarsError):
    """A sound that cannot be read, written or used."""


class CorpusError(EarsError):
    """A corpus, one of its records or a store that cannot be read or written."""


class TrainingError(EarsError):
    """A run folder, checkpoint or configuration that cannot be used."""

"""A patch: one imagined instrument as plain data, without the networks' weights.

A patch is small, frozen and picklable, and importing this module loads no network;
`ImaginedInstrument` is a patch together with the `Model` that plays it. On disk a patch is JSON
(``instrument.json``, favourites, shared files) with its residual beside it as a safetensors file.
Its id is a digest of everything that decides how it sounds, so that one instrument has the same id
everywhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mechanical_ears.errors import EarsError, check_version
from mechanical_ears.imagining.residual import from_bytes, mix_residuals, to_bytes
from mechanical_ears.note import FAMILIES

TIMBRE_SIZE: Final = 64  # numbers of a timbre, and of the latent z that it is mapped from
HEARING_KEYS: Final = (36, 48, 60, 72, 84)  # MIDI numbers at which the ears judge an instrument
FORMAT: Final = "mechanical-ears-instrument"
VERSION: Final = 1
MAX_GAIN: Final = 200.0  # dB, of what a file may say
ID_DIGITS: Final = 20
WRITE_AGAIN: Final = "write it again with: ears imagine"


@dataclass(frozen=True, eq=False)
class Patch:
    """An imagined instrument without its networks.

    Attributes:
        timbre: float32 (64,).
        name: such as ``mallet-7``.
        family: one of `FAMILIES`; None for a mixture.
        licence: of the sounds, as far as the weights decide it.
        gain: dB, of all keys.
        balance: dB, additional gain at each of `HEARING_KEYS`, interpolated linearly between
            them; empty for none.
        seed: that it was generated from; None if it was not.
        origin: how it came about, as JSON stores it.
        residual: what recordings have beyond the timbre, as the bytes of a safetensors file, see
            `mechanical_ears.imagining.residual`; None without recordings.
    """

    timbre: NDArray[np.float32]
    name: str
    family: str | None = None
    licence: str = ""
    gain: float = 0.0
    balance: tuple[float, ...] = ()
    seed: int | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)
    residual: bytes | None = None

    def id(self, weights: str) -> str:
        """Digest of everything that decides how it sounds, "i" and 20 hexadecimal digits.

        Args:
            weights: SHA-256 of the generator that plays it.
        """
        digest = hashlib.sha256(weights.encode())
        digest.update(np.ascontiguousarray(self.timbre, dtype="<f4").tobytes())
        digest.update(np.array([self.gain, *self.balance], dtype="<f8").tobytes())
        digest.update(f"{self.seed} {self.name}".encode())
        digest.update(self.residual or b"")
        return f"i{digest.hexdigest()[:ID_DIGITS]}"

    def recipe(self) -> dict[str, Any] | None:
        """Seed, family and candidate that generate it again; None if more than that went in."""
        shares: Mapping[str, float] = self.origin.get("family", {})
        if {*self.origin} != {"seed", "family", "draw"} or len(shares) != 1:
            return None
        return {"seed": self.seed, "family": next(iter(shares)), "draw": self.origin["draw"]}

    def to_json(self, weights: str) -> dict[str, Any]:
        """The patch as JSON values, without its residual.

        Args:
            weights: SHA-256 of the generator that plays it.
        """
        return {
            "format": FORMAT,
            "version": VERSION,
            "name": self.name,
            "family": self.family,
            "licence": self.licence,
            "seed": self.seed,
            "gain": self.gain,
            "balance": list(self.balance),
            "weights": {"sha256": weights},
            "origin": dict(self.origin),
            "timbre": [float(value) for value in self.timbre],
        }

    @classmethod
    def from_json(cls, values: object, weights: str, residual: bytes | None = None) -> Patch:
        """The patch of JSON values; keys that a patch has not are ignored.

        Args:
            values: as `to_json` returns them.
            weights: SHA-256 of the generator that is to play it.
            residual: bytes of its safetensors file.

        Raises:
            EarsError: the values are damaged, of a newer version, or of other weights.
        """
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise EarsError("is JSON, but not an instrument", remedy=WRITE_AGAIN)
        check_version(values.get("version"), VERSION)
        try:
            patch = cls(
                timbre=np.array(values["timbre"], dtype=np.float32),
                name=str(values["name"]),
                family=values["family"],
                licence=str(values["licence"]),
                gain=float(values["gain"]),
                balance=tuple(float(value) for value in values.get("balance", ())),
                seed=None if values["seed"] is None else int(values["seed"]),
                origin=dict(values["origin"]),
                residual=residual,
            )
            _check(patch)
            digest = str(values["weights"]["sha256"])
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise EarsError(f"is damaged ({error!r})", remedy=WRITE_AGAIN) from error
        if digest != weights:
            problem = "was imagined with other weights"
            raise EarsError(problem, remedy=f"give those of sha256 {digest[:12]}… as the model")
        return patch


def _check(patch: Patch) -> None:
    """Check the ranges of what a file says.

    Raises:
        ValueError: something is out of range.
    """
    if patch.timbre.shape != (TIMBRE_SIZE,) or not np.isfinite(patch.timbre).all():
        raise ValueError(f'"timbre" is not {TIMBRE_SIZE} finite numbers')
    if len(patch.balance) not in (0, len(HEARING_KEYS)):
        raise ValueError(f'"balance" has {len(patch.balance)} keys, not {len(HEARING_KEYS)}')
    for value in (patch.gain, *patch.balance):
        if not abs(value) <= MAX_GAIN:
            raise ValueError(f"a gain is {value} dB")
    if patch.family is not None and patch.family not in FAMILIES:
        raise ValueError(f'"{patch.family}" is not an instrument family')


def read_patch(path: Path, weights: str) -> Patch:
    """Read a patch from its JSON file, and its residual from the file beside it.

    Args:
        path: the JSON file.
        weights: SHA-256 of the generator that is to play it.

    Raises:
        EarsError: a file is missing, damaged, of a newer version, or of other weights.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EarsError("no such file", path=path) from error
    except (OSError, ValueError) as error:
        raise EarsError(
            f"is not an instrument that can be read ({error})", path=path, remedy=WRITE_AGAIN
        ) from error
    try:
        patch = Patch.from_json(values, weights)
    except EarsError as error:
        raise EarsError(error.problem, path=path, remedy=error.remedy) from error
    if values.get("carried") is None:
        return patch
    residual_file = path.parent / Path(values["carried"]).name
    try:
        residual = residual_file.read_bytes()
    except OSError as error:
        raise EarsError(
            "is missing: it holds what the instrument has of its recordings", path=residual_file
        ) from error
    from_bytes(residual, residual_file)  # so that damage is reported here, with the path
    return replace(patch, residual=residual)


def mean_patch(parts: Sequence[tuple[float, Patch]]) -> Patch:
    """The weighted mean of patches: of timbres, gains, balances and residuals.

    Args:
        parts: weights, which sum to one, and patches; a single patch is returned as it is.
    """
    if len(parts) == 1:
        return parts[0][1]
    patches = [patch for _, patch in parts]
    families = {patch.family for patch in patches}
    residuals = [None if each.residual is None else from_bytes(each.residual) for each in patches]
    weights = [weight for weight, _ in parts]
    residual = mix_residuals(list(zip(weights, residuals, strict=True)))
    return Patch(
        timbre=np.sum([weight * patch.timbre for weight, patch in parts], axis=0, dtype=np.float32),
        name=" + ".join(patch.name for patch in patches),
        family=families.pop() if len(families) == 1 else None,
        licence="; ".join(dict.fromkeys(patch.licence for patch in patches)),
        gain=float(sum(weight * patch.gain for weight, patch in parts)),
        balance=_mean_balance(parts),
        origin={"between": [[weight, each.name, dict(each.origin)] for weight, each in parts]},
        residual=None if residual is None else to_bytes(residual),
    )


def _mean_balance(parts: Sequence[tuple[float, Patch]]) -> tuple[float, ...]:
    if not any(patch.balance for _, patch in parts):
        return ()
    rows = [weight * np.array(each.balance or [0.0] * len(HEARING_KEYS)) for weight, each in parts]
    return tuple(float(value) for value in np.sum(rows, axis=0))

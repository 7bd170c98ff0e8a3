"""A patch: all that makes an imagined instrument but for the weights, so that it can travel.

Its id is a digest of what sounds, so that the same instrument is the same one everywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mechanical_ears.imagining.instrument import ImaginedInstrument
    from mechanical_ears.imagining.model import Model

DIGITS: Final = 20  # of an id
FORMAT: Final = "mechanical-ears-instrument"  # as in imagined.py, which takes long to import
VERSION: Final = 1


@dataclass(frozen=True, eq=False)
class Patch:
    """An imagined instrument without its networks.

    Attributes:
        name: such as ``mallet-7``.
        family: one of `mechanical_ears.note.FAMILIES`; None for a mixture.
        licence: of its sounds.
        timbre: float32 (64,).
        gain: dB.
        balance: dB, of the keys that are heard; see `ImaginedInstrument`.
        seed: from which it was drawn; None where it was not.
        origin: how it came about.
        carried: what recordings have beyond the timbre, as the bytes of a safetensors file.
    """

    name: str
    family: str | None
    licence: str
    timbre: NDArray[np.float32]
    gain: float = 0.0
    balance: tuple[float, ...] = ()
    seed: int | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)
    carried: bytes | None = None

    @classmethod
    def of(cls, instrument: ImaginedInstrument) -> Patch:
        """The patch of an instrument."""
        from mechanical_ears.imagining.residual import to_bytes

        return cls(
            name=instrument.name,
            family=instrument.family,
            licence=instrument.licence,
            timbre=instrument.timbre,
            gain=instrument.gain,
            balance=tuple(instrument.balance),
            seed=instrument.seed,
            origin=dict(instrument.origin),
            carried=None if instrument.carried is None else to_bytes(instrument.carried),
        )

    def instrument(self, imagination: Model) -> ImaginedInstrument:
        """The instrument, on the networks that it was imagined with."""
        from mechanical_ears.imagining.instrument import ImaginedInstrument
        from mechanical_ears.imagining.residual import from_bytes

        return ImaginedInstrument(
            imagination=imagination,
            timbre=self.timbre,
            name=self.name,
            family=self.family,
            licence=self.licence,
            gain=self.gain,
            balance=self.balance,
            seed=self.seed,
            origin=self.origin,
            carried=None if self.carried is None else from_bytes(self.carried),
        )

    def id(self, weights: str) -> str:
        """Digest of what sounds.

        Args:
            weights: SHA-256 of those it was imagined with.
        """
        told = hashlib.sha256(weights.encode())
        told.update(np.ascontiguousarray(self.timbre, dtype="<f4").tobytes())
        told.update(np.array([self.gain, *self.balance], dtype="<f8").tobytes())
        told.update(f"{self.seed} {self.name}".encode())
        told.update(self.carried or b"")
        return f"i{told.hexdigest()[:DIGITS]}"

    def recipe(self) -> dict[str, Any] | None:
        """How it is drawn again; None where more than a seed went into it."""
        shares: Mapping[str, float] = self.origin.get("family", {})
        if {*self.origin} != {"seed", "family", "draw"} or len(shares) != 1:
            return None
        return {"seed": self.seed, "family": next(iter(shares)), "draw": self.origin["draw"]}

    @classmethod
    def read(cls, about: Mapping[str, Any], carried: bytes | None) -> Patch:
        """The patch of what `about` gave."""
        return cls(
            name=str(about["name"]),
            family=about["family"],
            licence=str(about["licence"]),
            timbre=np.array(about["timbre"], dtype=np.float32),
            gain=float(about["gain"]),
            balance=tuple(about["balance"]),
            seed=about["seed"],
            origin=about["origin"],
            carried=carried,
        )

    def about(self, weights: str) -> dict[str, Any]:
        """What `ImaginedInstrument.load` reads, but for what it carries and what is heard in it.

        Args:
            weights: SHA-256 of those it was imagined with.
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

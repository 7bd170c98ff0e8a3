"""Schemas of the HTTP API (pydantic); the OpenAPI document is generated from them.

The names in the JSON do not change. Where they are older than the words that the code uses now,
they are aliases: ``heard`` of a hearing, ``played`` of a key, ``draw`` of a candidate.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mechanical_ears.imagining.imagine import MAX_DEVIATIONS, MAX_SEED, QUALITIES
from mechanical_ears.note import FAMILIES

Family = Literal[FAMILIES]  # type: ignore[valid-type]
Quality = Literal[QUALITIES]  # type: ignore[valid-type]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="opaque")]
Turn = dict[Quality, Annotated[float, Field(ge=-MAX_DEVIATIONS, le=MAX_DEVIATIONS)]]
Weight = Annotated[float, Field(gt=0, le=1e6)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class Schema(BaseModel):
    """An object without further fields."""

    model_config = ConfigDict(extra="forbid")


class Problem(Schema):
    """An error: what went wrong, and what to do about it."""

    problem: str
    remedy: str


class UploadLimits(Schema):
    """The largest recording that can be uploaded."""

    bytes: int
    seconds: float


class MapProgress(Schema):
    """Progress of building the map: instruments done, and of how many."""

    done: int
    of: int


class About(Schema):
    """The server, its weights and its limits."""

    version: str
    weights: str = Field(description="SHA-256 of the generator, its first 12 digits")
    licence: str
    families: list[str]
    qualities: list[str]
    farthest: float = Field(description="largest change of a quality, standard deviations")
    sample_rate: int = Field(description="Hz")
    seconds: float = Field(description="s, length of a note, including its release")
    held: float = Field(description="s, from the start of a note to its key-up")
    lowest: int = Field(description="MIDI number of the lowest key")
    highest: int = Field(description="MIDI number of the highest key")
    layers: list[int] = Field(description="MIDI velocities at which notes should be requested")
    polyphony: int
    formats: list[str]
    upload: UploadLimits
    points: int = Field(description="instruments on the map")
    mapping: MapProgress | None = Field(description="null when the map is complete")
    corpus: str | None = Field(description="title of the user's corpus")


class MapColumns(Schema):
    """The instruments of the map as columns of equal length."""

    id: list[str]
    name: list[str]
    x: list[float]
    y: list[float]
    family: list[int] = Field(description="index into the families; −1 for none")
    kind: list[int] = Field(description="0 imagined, 1 recorded")
    novelty: list[float]
    nearest: list[str] = Field(description="name of the nearest known instrument")


class BlendPart(Schema):
    """An instrument with its weight in a blend."""

    id: Id
    weight: Weight


class Recipe(Schema):
    """How to open an instrument: exactly one of seed, surprise, blend, id and share."""

    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None
    family: Family | None = None
    candidate: Annotated[int, Field(ge=0, le=7)] | None = Field(
        None, alias="draw", description="number of the seed's candidate; null for the best one"
    )
    surprise: Literal[True] | None = Field(None, description="a random seed")
    blend: Annotated[list[BlendPart], Field(min_length=1, max_length=4)] | None = None
    id: Id | None = None
    share: dict[str, Any] | None = Field(None, description="contents of an instrument.json")
    turn: Turn | None = Field(None, description="changes of qualities, standard deviations")

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        sources = ("seed", "surprise", "blend", "id", "share")
        present = [name for name in sources if getattr(self, name) is not None]
        if len(present) != 1:
            raise ValueError(f"give exactly one of {', '.join(sources)}")
        if self.seed is None and self.candidate is not None:
            raise ValueError('"draw" needs a seed')
        if self.seed is None and self.surprise is None and self.family is not None:
            raise ValueError('"family" needs a seed or a surprise')
        return self


class Hearing(Schema):
    """What the ears hear in one note."""

    key: int | None = Field(None, alias="played", description="MIDI number of the key")
    pitch: int | None = Field(description="MIDI number of the key that a player would press")
    pitch_confidence: float
    frequency: float | None = Field(description="Hz")
    sounding_pitch: int | None = Field(description="MIDI number nearest to the frequency")
    cents: float | None = Field(description="from that number's frequency up to this one")
    family: str | None
    family_confidence: float
    source: str | None
    velocity: int | None
    qualities: list[str]
    onset: float | None = Field(description="s")
    duration: float = Field(description="s")
    nearest: list[tuple[str, float]] = Field(description="known instruments, likeness −1..1")
    candidates: list[tuple[int, float]] = Field(
        [], description="the likeliest keys, MIDI numbers, with their probabilities"
    )


class InstrumentHearing(Schema):
    """What the ears hear in an instrument."""

    family: str | None
    family_confidence: float
    nearest: list[tuple[str, float]] = Field(description="known instruments, likeness −1..1")
    notes: list[Hearing]


class Instrument(Schema):
    """An open instrument."""

    id: Id
    name: str
    family: str | None
    kind: Literal[0, 1] = Field(description="0 imagined, 1 recorded")
    recipe: dict[str, Any] = Field(description="a Recipe that opens it again")
    x: float | None = Field(description="position on the map, −1..1")
    y: float | None = Field(description="position on the map, −1..1")
    novelty: float | None = Field(description="1 − likeness of the nearest; null if unknown")
    hearing: InstrumentHearing | None = Field(
        alias="heard", description="null until it has been requested"
    )
    licence: str


class SimilarInstrument(Schema):
    """An instrument of the map and its likeness to a recording."""

    id: Id
    name: str
    likeness: float = Field(description="−1..1")


class Recording(Schema):
    """What the ears hear in an uploaded recording, and its position on the map."""

    hearing: Hearing = Field(alias="heard")
    x: float | None
    y: float | None
    nearest: list[SimilarInstrument]
    instrument: Instrument | None = Field(description="like the recording; null if impossible")
    problem: str | None = Field(description="why there is no instrument")


class ExportRequest(Schema):
    """An export to start."""

    id: Id
    format: Literal["sfz", "sf2", "dspreset"]
    every: Annotated[int, Field(ge=1, le=24, description="keys from one sample to the next")] = 3
    layers: Annotated[int, Field(ge=1, le=8, description="velocity layers")] = 3
    seconds: Annotated[float, Field(ge=0.5, le=10, description="s that a key is held")] = 4.0


class StartedExport(Schema):
    """An export that has been started."""

    job: Id


class ExportStatus(Schema):
    """State and progress of an export."""

    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    progress: float = Field(description="0..1")
    problem: str | None
    size: int | None = Field(description="bytes of the file, once it is done")


class NewFavourite(Schema):
    """An instrument to add to the favourites."""

    id: Id
    name: Name | None = Field(None, description="the instrument's name by default")


class FavouriteName(Schema):
    """A new name of a favourite."""

    name: Name


class Favourite(Schema):
    """A favourite."""

    favourite: int
    name: str
    added: str = Field(description="ISO 8601, UTC")
    instrument: Instrument | None = Field(description="null if it cannot be opened")
    problem: str | None = Field(description="why it cannot be opened")
    seed: int | None = Field(description="of which it was generated")
    family: str | None

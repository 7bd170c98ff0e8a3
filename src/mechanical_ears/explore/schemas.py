"""What travels over HTTP; the OpenAPI is made of it."""

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


class Told(BaseModel):
    """What the server tells; nothing else is in it."""

    model_config = ConfigDict(extra="forbid")


class Problem(Told):
    """What went wrong, and what to do."""

    problem: str
    remedy: str


class Upload(Told):
    """The most of a recording that is taken."""

    bytes: int
    seconds: float


class Mapping(Told):
    """A map that is being made: how many instruments were heard, and of how many."""

    done: int
    of: int


class About(Told):
    """The server, its weights and its limits."""

    version: str
    weights: str = Field(description="SHA-256 of the generator, its first 12 digits")
    licence: str
    families: list[str]
    qualities: list[str]
    farthest: float = Field(description="standard deviations that a quality is turned at most")
    sample_rate: int = Field(description="Hz")
    seconds: float = Field(description="s, of a note, release included")
    held: float = Field(description="s, of a note, to its key-up")
    lowest: int = Field(description="MIDI number of the lowest key")
    highest: int = Field(description="MIDI number of the highest key")
    layers: list[int] = Field(description="MIDI velocities that are worth asking for")
    polyphony: int
    formats: list[str]
    upload: Upload
    points: int = Field(description="instruments on the map")
    mapping: Mapping | None = Field(description="null where the map is whole")
    corpus: str | None = Field(description="name of the user's corpus")


class Space(Told):
    """The map in columns, a row an instrument."""

    id: list[str]
    name: list[str]
    x: list[float]
    y: list[float]
    family: list[int] = Field(description="index into the families; −1 for none")
    kind: list[int] = Field(description="0 imagined, 1 real")
    novelty: list[float]
    nearest: list[str] = Field(description="the nearest instrument that the ears know")


class Part(BaseModel):
    """An instrument with its share of a blend."""

    model_config = ConfigDict(extra="forbid")
    id: Id
    weight: Weight


class Recipe(BaseModel):
    """How an instrument is opened: exactly one of seed, surprise, blend, id and share."""

    model_config = ConfigDict(extra="forbid")
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None
    family: Family | None = None
    draw: Annotated[int, Field(ge=0, le=7)] | None = None
    surprise: Literal[True] | None = None
    blend: Annotated[list[Part], Field(min_length=1, max_length=4)] | None = None
    id: Id | None = None
    share: dict[str, Any] | None = Field(None, description="an instrument.json")
    turn: Turn | None = Field(None, description="standard deviations by quality")

    @model_validator(mode="after")
    def _one(self) -> Recipe:
        ways = ("seed", "surprise", "blend", "id", "share")
        given = [name for name in ways if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(ways)}")
        if self.seed is None and self.draw is not None:
            raise ValueError("a draw goes with a seed")
        if self.seed is None and self.surprise is None and self.family is not None:
            raise ValueError("a family goes with a seed or a surprise")
        return self


class Hearing(Told):
    """What the ears hear in one note."""

    played: int | None = Field(None, description="MIDI number of the key")
    pitch: int | None = Field(description="MIDI number of the key that a player would press")
    pitch_confidence: float
    frequency: float | None = Field(description="Hz")
    sounding_pitch: int | None = Field(description="MIDI number nearest to the frequency")
    cents: float | None = Field(description="by which the frequency is above that number's")
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


class Impression(Told):
    """What the ears hear in an instrument."""

    family: str | None
    family_confidence: float
    nearest: list[tuple[str, float]] = Field(description="known instruments, likeness −1..1")
    notes: list[Hearing]


class Instrument(Told):
    """An open instrument."""

    id: Id
    name: str
    family: str | None
    kind: Literal[0, 1] = Field(description="0 imagined, 1 real")
    recipe: dict[str, Any] = Field(description="a Recipe that opens it again")
    x: float | None = Field(description="on the map, −1..1")
    y: float | None = Field(description="on the map, −1..1")
    novelty: float | None = Field(description="1 − likeness of the nearest; null until heard")
    heard: Impression | None = Field(description="null until it was asked for")
    licence: str


class Near(Told):
    """An instrument of the map that is like a recording."""

    id: Id
    name: str
    likeness: float = Field(description="−1..1")


class Recording(Told):
    """An uploaded recording, heard and placed."""

    heard: Hearing
    x: float | None
    y: float | None
    nearest: list[Near]
    instrument: Instrument | None = Field(description="like it; null where there can be none")
    problem: str | None = Field(description="why there is none")


class Wish(BaseModel):
    """An export that is asked for."""

    model_config = ConfigDict(extra="forbid")
    id: Id
    format: Literal["sfz", "sf2", "dspreset"]
    every: Annotated[int, Field(ge=1, le=24, description="keys from one sample to the next")] = 3
    layers: Annotated[int, Field(ge=1, le=8, description="of velocity")] = 3
    seconds: Annotated[float, Field(ge=0.5, le=10, description="s that a key is held")] = 4.0


class Job(Told):
    """An export that was asked for."""

    job: Id


class Export(Told):
    """How far an export is."""

    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    progress: float = Field(description="0..1")
    problem: str | None
    size: int | None = Field(description="bytes of the file, once it is done")


class Keeping(BaseModel):
    """A favourite that is to be kept."""

    model_config = ConfigDict(extra="forbid")
    id: Id
    name: Name | None = Field(None, description="the instrument's if none is given")


class Renaming(BaseModel):
    """Another name for a favourite."""

    model_config = ConfigDict(extra="forbid")
    name: Name


class Favourite(Told):
    """A favourite."""

    favourite: int
    name: str
    added: str = Field(description="ISO 8601, UTC")
    instrument: Instrument | None = Field(description="null where it cannot be opened")
    problem: str | None = Field(description="why it cannot")
    seed: int | None = Field(description="from which it was drawn")
    family: str | None

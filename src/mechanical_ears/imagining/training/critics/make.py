"""The critics by name.

    latent     one latent: can a note of this family, key and velocity have it?
    pair       two latents: can they be notes of one instrument?
    ears       features and predictions of the trained listener
    article    the article's plan: its pitch detector, on raw audio
    detector   a classifier of family × key with one more class, "generated"

The last two are there for comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from mechanical_ears.errors import TrainingError
from mechanical_ears.imagining.training.critics.article import ArticleCritic, load_article
from mechanical_ears.imagining.training.critics.base import Critic
from mechanical_ears.imagining.training.critics.detector import DetectorCritic
from mechanical_ears.imagining.training.critics.ears import EarsCritic, load_listener
from mechanical_ears.imagining.training.critics.latent import LatentCritic
from mechanical_ears.imagining.training.critics.pair import PairCritic
from mechanical_ears.imagining.training.latents import Codec

REGISTRY: Final[dict[str, Callable[[Codec, Path | None], Critic]]] = {
    "latent": lambda codec, listener: LatentCritic(codec.deviation),
    "pair": lambda codec, listener: PairCritic(codec.deviation),
    "ears": lambda codec, listener: EarsCritic(codec, load_listener(listener)),
    "article": lambda codec, listener: ArticleCritic(codec, load_article()),
    "detector": lambda codec, listener: DetectorCritic(codec),
}
CRITICS: Final = tuple(REGISTRY)
STORED_NAMES: Final = {"latent": "map"}  # in run folders, where the first version named it so


def stored_name(name: str) -> str:
    """Name of a critic in the configuration, log and checkpoints of a run."""
    return STORED_NAMES.get(name, name)


def critic_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names as in `CRITICS`; the old name "map" is accepted for "latent".

    Raises:
        TrainingError: a name is unknown or given twice.
    """
    old_names = {old: name for name, old in STORED_NAMES.items()}
    names = tuple(old_names.get(name, name) for name in names)
    unknown = [name for name in names if name not in REGISTRY]
    if unknown or len(set(names)) < len(names):
        problem = f'there is no critic "{unknown[0]}"' if unknown else "a critic is named twice"
        raise TrainingError(problem, remedy=f"choose among {', '.join(CRITICS)}")
    return names


def make_critics(names: Sequence[str], codec: Codec, listener: Path | None = None) -> list[Critic]:
    """The critics of a training.

    Args:
        names: of `CRITICS`, each at most once.
        codec: of the latents that they judge.
        listener: weights of the ears; default: the shipped ones.

    Raises:
        TrainingError: a critic is unknown or named twice.
        EarsError: the listener cannot be read.
    """
    return [REGISTRY[name](codec, listener) for name in critic_names(names)]

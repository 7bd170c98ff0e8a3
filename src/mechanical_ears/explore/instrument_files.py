"""Instruments that leave: shared files, samplers' files; workers' tasks, as in worker_tasks.py."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mechanical_ears.errors import EarsError
from mechanical_ears.explore.open_instruments import Playing
from mechanical_ears.explore.worker_tasks import LONGEST_NAME, imagination, imagined, playable
from mechanical_ears.imagining.patch import Patch


def share(patch: Patch) -> dict[str, Any]:
    """An instrument as the JSON of `ImaginedInstrument.save`."""
    return imagined(patch).to_json("instrument.safetensors")


def shared(about: Mapping[str, Any], carried: bytes | None) -> Patch:
    """The patch of such JSON.

    Raises:
        EarsError: it is damaged, or of other weights.
    """
    from mechanical_ears.imagining.residual import from_bytes, to_bytes

    residual = None if carried is None else to_bytes(from_bytes(carried))
    try:
        patch = Patch.from_json(about, imagination().sha256, residual)
    except EarsError as error:
        raise EarsError(f"the file {error.problem}", remedy=error.remedy) from error
    return replace(patch, name=patch.name[:LONGEST_NAME])


def exported(
    tell: Callable[[float], None], playing: Playing, folder: str, wish: Mapping[str, Any]
) -> str:
    """Write an instrument for a sampler.

    Args:
        tell: told how much is done, 0..1.
        playing: the instrument.
        folder: to write to.
        wish: ``format`` (sfz, sf2 or dspreset), ``every``, ``layers``, ``seconds``.

    Returns:
        Path of the .sf2, or of a .zip with the rest.
    """
    from mechanical_ears.instrument.autosampler import SamplingPlan
    from mechanical_ears.instrument.export import export

    found = playable(playing)
    plan = SamplingPlan(key_step=wish["every"], layers=wish["layers"], hold_seconds=wish["seconds"])
    name = re.sub(r"[^A-Za-z0-9]+", "-", found.name).strip("-")[:60] or "instrument"
    path = Path(folder) / f"{name}.{wish['format']}"

    def moved(done: int, of: int | None) -> None:
        tell(0.95 * done / (of or max(done, 1)))

    written = export(found, path, plan=plan, progress=moved)
    if written.folder is None:
        return str(path)
    packed = path.with_suffix(".zip")
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        archive.write(path, path.name)
        for file in sorted(written.folder.iterdir()):
            archive.write(file, f"{written.folder.name}/{file.name}")
    return str(packed)

"""Tasks of the workers: files of instruments, to share with other people or for samplers."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from mechanical_ears.errors import EarsError
from mechanical_ears.explore.open_instruments import InstrumentData
from mechanical_ears.explore.worker import ReportProgress
from mechanical_ears.explore.worker_tasks import MAX_NAME_LENGTH, get_model, open_playable
from mechanical_ears.imagining.patch import Patch

MAX_FILE_NAME_LENGTH: Final = 60  # characters, without the suffix
EXPORT_PROGRESS: Final = 0.95  # when all notes are rendered and only files remain to be packed


def to_shared_json(patch: Patch) -> dict[str, Any]:
    """A patch as `ImaginedInstrument.save` writes it, with what the ears hear in it."""
    from mechanical_ears.imagining.instrument import ImaginedInstrument

    instrument = open_playable(patch)
    assert isinstance(instrument, ImaginedInstrument)
    return instrument.to_json("instrument.safetensors")


def from_shared_json(values: Mapping[str, Any], residual: bytes | None) -> Patch:
    """The patch of a shared instrument.

    Raises:
        EarsError: it is damaged, or of other weights.
    """
    from mechanical_ears.imagining.residual import from_bytes

    if residual is not None:
        from_bytes(residual)  # raises if damaged; the id depends on the bytes
    try:
        patch = Patch.from_json(values, get_model().sha256, residual)
    except EarsError as error:
        raise EarsError(f"the file {error.problem}", remedy=error.remedy) from error
    return replace(patch, name=patch.name[:MAX_NAME_LENGTH])


def export_instrument(
    report_progress: ReportProgress, data: InstrumentData, folder: str, options: Mapping[str, Any]
) -> str:
    """Write an instrument for a sampler.

    Args:
        report_progress: called with 0..1.
        data: the instrument.
        folder: to write to.
        options: ``format`` (sfz, sf2 or dspreset), ``every``, ``layers``, ``seconds``, see
            `schemas.ExportRequest`.

    Returns:
        Path of the .sf2, or of a .zip with the .sfz or .dspreset and its samples.
    """
    from mechanical_ears.instrument.autosampler import SamplingPlan
    from mechanical_ears.instrument.export import export

    instrument = open_playable(data)
    plan = SamplingPlan(
        key_step=options["every"], layers=options["layers"], hold_seconds=options["seconds"]
    )
    name = re.sub(r"[^A-Za-z0-9]+", "-", instrument.name).strip("-")
    name = name[:MAX_FILE_NAME_LENGTH] or "instrument"
    path = Path(folder) / f"{name}.{options['format']}"

    def on_note(done: int, total: int | None) -> None:
        report_progress(EXPORT_PROGRESS * done / (total or max(done, 1)))

    result = export(instrument, path, plan=plan, progress=on_note)
    if result.folder is None:
        return str(path)
    archive_path = path.with_suffix(".zip")
    with zipfile.ZipFile(archive_path, "w", zipfile.ZIP_STORED) as archive:
        archive.write(path, path.name)
        for file in sorted(result.folder.iterdir()):
            archive.write(file, f"{result.folder.name}/{file.name}")
    return str(archive_path)

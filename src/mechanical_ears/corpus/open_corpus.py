"""Opening any path as a corpus: a store, NSynth in any of its formats, or recordings."""

from __future__ import annotations

from pathlib import Path

from mechanical_ears.corpus.corpus import Corpus
from mechanical_ears.errors import CorpusError


def open_corpus(path: str | Path) -> Corpus:
    """Open a path as a corpus, whatever its format.

    Args:
        path: a store; a folder with NSynth's examples.json; a .tfrecord file; a .tar.gz of NSynth;
            or a folder of recordings with the notes in their names.

    Raises:
        CorpusError: the path does not exist or is not a corpus.
    """
    path = Path(path)
    if not path.exists():
        raise CorpusError("no such corpus", path=path, remedy="give a store or a folder of notes")
    if (path / "store.json").exists():
        from mechanical_ears.corpus.store import Store

        return Store(path)
    if path.is_file() or (path / "examples.json").exists() or any(path.glob("*.tfrecord*")):
        from mechanical_ears.corpus.nsynth import open_nsynth

        return open_nsynth(path)
    from mechanical_ears.corpus.folder import Folder

    return Folder(path)

"""The tree of subcommands, and the options that several of them share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import arg
from tyro.extras import SubcommandApp

Output = Annotated[Path, arg(aliases=["-o"])]
MaybeOutput = Annotated[Path | None, arg(aliases=["-o"])]
CsvPath = Annotated[Path | None, arg(name="csv")]
JsonLines = Annotated[bool, arg(name="json")]

app, corpus_app, build_app, train_app, evaluate_app = (SubcommandApp() for _ in range(5))
app.command(corpus_app, name="corpus", help="Download and build corpora of notes.")
app.command(train_app, name="train", help="Train networks.")
app.command(evaluate_app, name="evaluate", help="Evaluate trained networks.")
corpus_app.command(build_app, name="build", help="Build a store from a corpus.")

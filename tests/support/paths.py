"""Where the repository's files and the data beside it are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "notes"
GOLDEN = ROOT / "tests" / "golden"
DATA = ROOT.parent / "shared" / "data"  # not part of the repository; tests skip where it is absent

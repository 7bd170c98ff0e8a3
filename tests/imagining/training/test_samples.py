"""Sample sheets: twelve instruments, seen and heard."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from mechanical_ears.imagining.training.networks import ImaginationShape, Networks
from mechanical_ears.imagining.training.samples import (
    KEYS,
    make_sheet,
    outlines_by_lot,
    sheet_picture,
    write_sheet,
)
from mechanical_ears.note import FAMILIES
from mechanical_ears.pictures import encode_png
from mechanical_ears.sound import Sound
from support.toy_latents import toy_codec


@pytest.fixture(scope="module")
def trained():
    """Players that imagine the mean string, near enough."""
    codec, _ = toy_codec(8)
    torch.manual_seed(0)
    players = Networks(ImaginationShape(components=8, heard=8, hidden=32, blocks=1, mapped=32))
    return players, codec


def test_a_sheet_is_written(trained, tmp_path):
    path = write_sheet(tmp_path, 10, *trained, seed=3)
    assert path == tmp_path / "sheets" / "round-0010.png"
    assert path.read_bytes().startswith(b"\x89PNG")
    waves = sorted(tmp_path.glob("sheets/round-0010-*.wav"))
    assert [wave.stem.removeprefix("round-0010-") for wave in waves] == sorted(FAMILIES[:4])
    phrase = Sound.load(waves[0])
    assert phrase.seconds == 4 * len(KEYS)
    assert 0.001 < np.abs(phrase.samples).max() <= 1


def test_the_ears_hear_the_keys_that_were_asked_for(trained):
    sheet = make_sheet(*trained, seed=3)
    assert sheet.families == (*FAMILIES, FAMILIES[0])
    assert [len(row) for row in sheet.sounds] == [3] * 12
    pitches = np.array([[heard.pitch or 0 for heard in row] for row in sheet.hearings])
    assert (pitches == KEYS).mean() > 0.8, "a string is a string at every key"
    assert encode_png(sheet_picture(sheet, "round 10")) == encode_png(
        sheet_picture(sheet, "round 10")
    )


def test_the_same_instruments_each_time(trained):
    one, same, other = (outlines_by_lot(*trained, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.partials, same.partials)
    assert not np.array_equal(one.partials, other.partials)
    assert (one.stiffness <= -1).all()

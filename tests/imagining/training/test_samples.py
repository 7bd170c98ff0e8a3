"""Sample sheets: twelve instruments as picture and audio."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from mechanical_ears.imagining.training.networks import ImaginationShape, Networks
from mechanical_ears.imagining.training.samples import (
    KEYS,
    make_sheet,
    plot_sheet,
    random_grids,
    save_sheet,
)
from mechanical_ears.note import FAMILIES
from mechanical_ears.pictures import encode_png
from mechanical_ears.sound import Sound
from support.toy_latents import toy_codec


@pytest.fixture(scope="module")
def untrained():
    """Untrained networks, which imagine nearly the mean string."""
    codec, _ = toy_codec(8)
    torch.manual_seed(0)
    networks = Networks(
        ImaginationShape(components=8, encoder_components=8, hidden=32, blocks=1, dense=32)
    )
    return networks, codec


def test_sheet_is_saved(untrained, tmp_path):
    path = save_sheet(tmp_path, 10, *untrained, seed=3)
    assert path == tmp_path / "sheets" / "round-0010.png"
    assert path.read_bytes().startswith(b"\x89PNG")
    waves = sorted(tmp_path.glob("sheets/round-0010-*.wav"))
    assert [wave.stem.removeprefix("round-0010-") for wave in waves] == sorted(FAMILIES[:4])
    audio = Sound.load(waves[0])
    assert audio.seconds == 4 * len(KEYS)
    assert 0.001 < np.abs(audio.samples).max() <= 1


def test_ears_detect_the_keys_of_the_condition(untrained):
    sheet = make_sheet(*untrained, seed=3)
    assert sheet.families == (*FAMILIES, FAMILIES[0])
    assert [len(row) for row in sheet.sounds] == [3] * 12
    pitches = np.array([[hearing.pitch or 0 for hearing in row] for row in sheet.hearings])
    assert (pitches == KEYS).mean() > 0.8, "a string is a string at every key"
    assert encode_png(plot_sheet(sheet, "round 10")) == encode_png(plot_sheet(sheet, "round 10"))


def test_same_seed_same_instruments(untrained):
    one, same, other = (random_grids(*untrained, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.partials, same.partials)
    assert not np.array_equal(one.partials, other.partials)
    assert (one.stiffness <= -1).all()

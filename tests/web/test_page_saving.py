"""What stays: favourites, shared files, exports; and the server that comes back."""

import io
import json
import zipfile

import numpy as np
import pytest

from mechanical_ears.errors import EarsError
from support.browser import keep, open_recipe, step, until


def names(page) -> list[str]:
    return page.locator("#favourites .pick span").all_inner_texts()


def test_a_favourite_is_renamed_removed_and_brought_back(shared):
    page = shared
    name = open_recipe(page, seed=41, family="flute")
    keep(page)
    page.click("#tab-kept")
    assert name in names(page)
    page.click(f'[aria-label="Rename {name}"]')
    page.keyboard.type("Night flute")
    page.keyboard.press("Enter")
    page.wait_for_selector('#favourites span:text-is("Night flute")')
    assert name not in names(page)
    page.click('[aria-label="Remove Night flute"]')
    until(
        page,
        "!document.getElementById('favourites').textContent.includes('Night flute')",
    )
    assert page.get_attribute("#keep", "aria-pressed") == "false"
    page.click('.notice button:has-text("Undo")')
    page.wait_for_selector('#favourites span:text-is("Night flute")')
    assert page.get_attribute("#keep", "aria-pressed") == "true"


def test_a_shared_file_is_the_same_instrument_for_another_person(opened, tmp_path):
    page = opened().page
    open_recipe(page, seed=43, family="vocal")
    shared = step(page)["instrument"]["id"]
    with page.expect_download() as waiting:
        page.click("#share")
    path = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(path)
    assert path.suffix == ".json"
    assert json.loads(path.read_text())["format"] == "mechanical-ears-instrument"
    other = opened().page
    other.set_input_files("#file", path)
    until(other, f"mechanicalEars.session.instrument?.id === {shared!r}")


def test_a_file_that_is_no_instrument_is_told_in_words(opened, tmp_path):
    watched = opened()
    watched.watch.expected.append("422")
    page = watched.page
    broken = tmp_path / "broken.json"
    broken.write_text("{ not json")
    page.set_input_files("#file", broken)
    assert "is no instrument file" in page.inner_text(".notice.wrong p")
    other = tmp_path / "other.json"
    other.write_text('{"format": "another"}')
    before = step(page)["instrument"]["id"]
    page.set_input_files("#file", other)
    page.wait_for_selector(".notice.wrong >> nth=1")
    assert step(page)["instrument"]["id"] == before


def export(page, form: str):
    page.click("#tab-kept")
    page.select_option('[name="format"]', form)
    page.select_option('[name="every"]', "12")
    page.select_option('[name="layers"]', "1")
    with page.expect_download(timeout=60_000) as waiting:
        page.click("#export-start")
    return waiting.value


def test_an_exported_soundfont_plays_in_fluidsynth(shared, tmp_path):
    page = shared
    fluid = pytest.importorskip("mechanical_ears.corpus.fluidsynth_renderer")
    open_recipe(page, seed=3, family="flute")
    download = export(page, "sf2")
    path = tmp_path / download.suggested_filename
    download.save_as(path)
    assert path.suffix == ".sf2"
    assert "is ready" in page.inner_text("#export-state")
    try:
        player = fluid.Player(path)
    except EarsError as error:
        pytest.skip(str(error))
    rate = fluid.RENDER_RATE
    audio = player.play(0, 0, 69, 100, hold=rate, length=rate)[rate // 4 :]
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 8 * rate))
    heard = spectrum[8 * 420 : 8 * 460].argmax() / 8 + 420
    assert abs(1200 * np.log2(heard / 440)) < 10


def test_an_exported_sfz_is_an_archive_with_its_samples(shared):
    page = shared
    open_recipe(page, seed=3, family="flute")
    download = export(page, "sfz")
    with zipfile.ZipFile(io.BytesIO(download.path().read_bytes())) as archive:
        entries = archive.namelist()
        [sfz] = [name for name in entries if name.endswith(".sfz")]
        text = archive.read(sfz).decode()
    samples = [name for name in entries if name.endswith(".wav")]
    assert len(samples) >= 7
    assert all(name.rsplit("/", 1)[-1] in text for name in samples)


def test_an_export_is_cancelled(shared):
    page = shared
    page.click("#tab-kept")
    page.select_option('[name="every"]', "1")
    page.click("#export-start")
    page.wait_for_selector("#export-progress")
    page.click("#export-cancel")
    page.wait_for_selector('#export-state:has-text("Cancelled")')
    assert page.is_enabled("#export-start")

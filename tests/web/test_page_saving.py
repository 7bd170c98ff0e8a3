"""Favourites, shared files and exports."""

import io
import json
import zipfile

import numpy as np
import pytest

from mechanical_ears.errors import EarsError
from support.browser import add_favourite, current_step, open_recipe, wait_until


def favourite_names(page) -> list[str]:
    return page.locator("#favourites .open-favourite span").all_inner_texts()


def test_a_favourite_is_renamed_removed_and_restored(shared_page):
    page = shared_page
    name = open_recipe(page, seed=41, family="flute")
    add_favourite(page)
    page.click("#tab-saved")
    assert name in favourite_names(page)
    page.click(f'[aria-label="Rename {name}"]')
    page.keyboard.type("Night flute")
    page.keyboard.press("Enter")
    page.wait_for_selector('#favourites span:text-is("Night flute")')
    assert name not in favourite_names(page)
    page.click('[aria-label="Remove Night flute"]')
    wait_until(
        page,
        "!document.getElementById('favourites').textContent.includes('Night flute')",
    )
    assert page.get_attribute("#favourite", "aria-pressed") == "false"
    page.click('.notice button:has-text("Undo")')
    page.wait_for_selector('#favourites span:text-is("Night flute")')
    assert page.get_attribute("#favourite", "aria-pressed") == "true"


def test_a_shared_file_opens_the_same_instrument_on_another_page(open_page, tmp_path):
    page = open_page().page
    open_recipe(page, seed=43, family="vocal")
    shared = current_step(page)["instrument"]["id"]
    with page.expect_download() as waiting:
        page.click("#share")
    path = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(path)
    assert path.suffix == ".json"
    assert json.loads(path.read_text())["format"] == "mechanical-ears-instrument"
    other = open_page().page
    other.set_input_files("#file", path)
    wait_until(other, f"mechanicalEars.session.instrument?.id === {shared!r}")


def test_a_file_that_is_not_an_instrument_is_explained(open_page, tmp_path):
    opened = open_page()
    opened.watch.expected.append("422")
    page = opened.page
    broken = tmp_path / "broken.json"
    broken.write_text("{ not json")
    page.set_input_files("#file", broken)
    assert "is not an instrument file" in page.inner_text(".notice.error p")
    other = tmp_path / "other.json"
    other.write_text('{"format": "another"}')
    before = current_step(page)["instrument"]["id"]
    page.set_input_files("#file", other)
    page.wait_for_selector(".notice.error >> nth=1")
    assert current_step(page)["instrument"]["id"] == before


def export(page, file_format: str):
    page.click("#tab-saved")
    page.select_option('[name="format"]', file_format)
    page.select_option('[name="every"]', "12")
    page.select_option('[name="layers"]', "1")
    with page.expect_download(timeout=60_000) as waiting:
        page.click("#export-start")
    return waiting.value


def test_an_exported_soundfont_plays_in_fluidsynth(shared_page, tmp_path):
    page = shared_page
    fluid = pytest.importorskip("mechanical_ears.corpus.fluidsynth_renderer")
    open_recipe(page, seed=3, family="flute")
    download = export(page, "sf2")
    path = tmp_path / download.suggested_filename
    download.save_as(path)
    assert path.suffix == ".sf2"
    assert "is ready" in page.inner_text("#export-state")
    try:
        player = fluid.FluidSynthRenderer(path)
    except EarsError as error:
        pytest.skip(str(error))
    rate = fluid.RENDER_RATE
    audio = player.render(0, 0, 69, 100, hold=rate, length=rate)[rate // 4 :]
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 8 * rate))
    frequency = spectrum[8 * 420 : 8 * 460].argmax() / 8 + 420
    assert abs(1200 * np.log2(frequency / 440)) < 10


def test_an_exported_sfz_comes_in_an_archive_with_its_samples(shared_page):
    page = shared_page
    open_recipe(page, seed=3, family="flute")
    download = export(page, "sfz")
    with zipfile.ZipFile(io.BytesIO(download.path().read_bytes())) as archive:
        entries = archive.namelist()
        [sfz] = [name for name in entries if name.endswith(".sfz")]
        text = archive.read(sfz).decode()
    samples = [name for name in entries if name.endswith(".wav")]
    assert len(samples) >= 7
    assert all(name.rsplit("/", 1)[-1] in text for name in samples)


def test_an_export_can_be_cancelled(shared_page):
    page = shared_page
    page.click("#tab-saved")
    page.select_option('[name="every"]', "1")
    page.click("#export-start")
    page.wait_for_selector("#export-progress")
    page.click("#export-cancel")
    page.wait_for_selector('#export-state:has-text("Cancelled")')
    assert page.is_enabled("#export-start")

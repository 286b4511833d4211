"""The page as people use it: by keyboard and on a phone, cancelled, cut off, with bad files."""

from __future__ import annotations

import base64
import shutil
import struct
import time
import zlib

import pytest
from PIL import Image

from keras_perceptual import Upscaler
from keras_perceptual.files import png
from tests.conftest import SAMPLES
from tests.web.browsers import ENDED, download, idle_cpu, pixels, serving

LR = SAMPLES / "LRx4"
ENDING = 3  # seconds after which Chromium ends what a worker computes, whatever it is
WORKING = "/left$/.test(document.querySelector('#items .state')?.textContent ?? '')"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "small.png"
    with Image.open(LR / "chelsea.png") as image:
        image.convert("RGB").crop((30, 15, 62, 43)).save(path)
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A picture that takes a minute."""
    path = tmp_path_factory.mktemp("pictures") / "large.png"
    with Image.open(SAMPLES / "HR" / "coffee.png") as image:
        image.convert("RGB").resize((1800, 1200)).save(path)
    return path


def test_the_page_has_threads(site):
    assert site.evaluate("crossOriginIsolated")


@pytest.mark.long
def test_many_files_come_one_after_the_other(site, small, tmp_path):
    files = [shutil.copyfile(small, tmp_path / f"{name}.png") for name in "abc"]
    site.set(scale="2")
    site("choose", files=files)
    site.ended()
    states = site.evaluate("[...document.querySelectorAll('#items li')].map((e) => e.innerText)")
    assert [state.split()[0] for state in states] == ["a.png", "b.png", "c.png"]
    assert all("Done" in state for state in states)


def test_a_picture_is_dropped(site, small):
    site.set(scale="2")
    site("drop", file=small, type="image/png")
    assert site.ended().startswith("Done")


def test_a_picture_is_pasted(site, small):
    if site.kind == "firefox":
        pytest.skip("Firefox lets no script make a paste with files")
    site.set(scale="2")
    data = base64.b64encode(small.read_bytes()).decode()
    site.evaluate(
        f"const bytes = Uint8Array.from(atob({data!r}), (c) => c.charCodeAt(0));"
        "const clipboardData = new DataTransfer();"
        "clipboardData.items.add(new File([bytes], 'pasted.png', { type: 'image/png' }));"
        "document.dispatchEvent(new ClipboardEvent('paste', { clipboardData }))"
    )
    assert site.ended().startswith("Done")
    assert site.text("#items .name") == "pasted.png"


def test_the_same_picture_with_other_settings(site, small):
    site.set(scale="2")
    site("choose", files=[small])
    site.ended()
    site.set(scale="3")
    site("click", selector="#again")
    site.wait_until("/to 96×84 pixels, /.test(document.getElementById('details').textContent)")
    assert site.ended().startswith("Done")


def test_cancelling_ends_the_work_at_once(site, small, large):
    site("choose", files=[large])
    site.wait_until(WORKING)
    taken = site.evaluate(
        "new Promise((resolve) => { const t = performance.now();"
        "document.querySelector('#items .cancel').click();"
        "resolve(performance.now() - t) })"
    )
    assert taken < 200
    assert site.ended() == "Cancelled"
    time.sleep(ENDING)
    assert idle_cpu(site("pid"), 1) < 0.4
    site("choose", files=[small])
    assert site.ended().startswith("Done")


def _huge(path):
    """Writes the header of a picture of 400 megapixels, and no more than its first row."""
    header = struct.pack(">IIBBBBB", 20000, 20000, 1, 0, 0, 0, 0)
    data = zlib.compress(bytes(2501))
    chunks = [png.chunk(b"IHDR", header), png.chunk(b"IDAT", data), png.chunk(b"IEND")]
    path.write_bytes(png.SIGNATURE + b"".join(chunks))


def test_what_is_no_picture_is_refused_in_words(site, small, tmp_path):
    content = small.read_bytes()
    bad = {
        "empty.png": (b"", "the file is empty"),
        "text.png": (b"hello", "not an image"),
        "short.png": (content[:900], "breaks off"),
        "damaged.jpg": (b"\xff\xd8\xff\xe0" + bytes(100), "the JPEG cannot be decoded"),
        "scan.tif": (b"II*\0" + bytes(100), "reads no TIFF"),
    }
    for name, (content, _) in bad.items():
        (tmp_path / name).write_bytes(content)
    _huge(tmp_path / "huge.png")
    expected = [said for _, said in bad.values()]
    site("choose", files=[*(tmp_path / name for name in bad), tmp_path / "huge.png"])
    site.ended()
    told = site.evaluate("[...document.querySelectorAll('#items .state')].map((e) => e.innerText)")
    for said, wanted in zip(told, [*expected, "megapixels on this device"], strict=True):
        assert said.startswith("Not done: ")
        assert wanted in said
    site("choose", files=[small])
    assert site.ended().startswith("Done")


@pytest.mark.long
def test_a_very_large_result_is_asked_for_twice(site, large):
    site.set(scale="8")
    site("choose", files=[large])
    assert "138 megapixels" in site.ended()
    site("click", selector="#items .confirm")
    site.wait_until(WORKING)


def test_the_slider_obeys_keys_and_pointers(site, small):
    site.set(scale="2")
    site("choose", files=[small])
    site.ended()
    position = "document.getElementById('stage').style.getPropertyValue('--at')"
    site.evaluate("document.getElementById('slider').focus()")
    site("press", keys=["Home", "ArrowRight", "ArrowRight"])
    assert site.evaluate(position) == "1%"
    site("click", selector="#stage")
    assert 45 < float(site.evaluate(position).rstrip("%")) < 55


def test_everything_can_be_reached_by_the_tab_key(site, small):
    site.set(scale="2")
    site("choose", files=[small])
    site.ended()
    site.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(16):
        site("press", keys=["Tab"])
        reached.add(
            site.evaluate("document.activeElement.id || document.activeElement.name"
                          " || document.activeElement.className")
        )  # fmt: skip
    assert {"files", "task", "scale", "restore", "model", "remove", "zoom", "save"} <= reached
    assert "slider" in reached


def test_everything_has_a_name_that_can_be_read_out(site, small):
    site.set(scale="2")
    site("choose", files=[small])
    site.ended()
    nameless = site.evaluate(
        "[...document.querySelectorAll('button, input, select, img, progress')]"
        ".filter((e) => !e.closest('[hidden]') && !(e.labels?.length || e.textContent.trim()"
        " || e.alt || e.getAttribute('aria-label'))).map((e) => e.outerHTML)"
    )
    assert nameless == []


def test_a_newer_picture_never_shows_an_older_result(site, small, large):
    site.set(scale="2")
    site("choose", files=[small])
    site.ended()
    site("choose", files=[large])
    assert site.evaluate("document.getElementById('saving').hidden")
    assert site.evaluate("document.querySelectorAll('#after img').length") == 0


@pytest.mark.long
def test_a_page_closed_in_the_middle_leaves_nothing_behind(browser, address, large):
    browser.open(address)
    browser("choose", files=[large])
    browser.wait_until(WORKING)
    browser("shut")
    browser.shown = None
    time.sleep(ENDING)
    assert idle_cpu(browser("pid"), 1) < 0.4


def test_a_host_without_headers_has_threads_all_the_same(browser, folder, small):
    with serving(folder, isolated=False) as (url, _):
        browser.open(url)
        browser.wait_until("crossOriginIsolated && document.documentElement.dataset.warm")
        browser("choose", files=[small])
        assert browser.ended().startswith("Done")
        assert browser("faults") == []


@pytest.mark.long
def test_one_thread_gives_the_same(browser, address, small, tmp_path):
    browser.open(f"{address}?threads=1")
    browser("choose", files=[small])
    browser.ended()
    made = download(browser, tmp_path / "a.png")
    Upscaler(precision="int8", threads=1).upscale_file(small, tmp_path / "b.png")
    assert (pixels(made) == pixels(tmp_path / "b.png")).all()
    assert browser("faults") == []


def test_it_works_without_a_connection_once_it_is_loaded(browser, folder, small):
    with serving(folder) as (url, end):
        browser.open(url)
        browser.wait_until("document.documentElement.dataset.warm")
        end()
        browser.open(url)
        browser.set(scale="8")
        browser("choose", files=[small])
        assert browser.ended().startswith("Done")
        assert browser("faults") == []


@pytest.mark.long
def test_a_model_that_is_missing_is_named(browser, folder, small, tmp_path):
    lacking = shutil.copytree(folder, tmp_path / "lacking")
    for file in lacking.glob("models/x8-feature*"):
        file.unlink()
    with serving(lacking) as (url, _):
        browser.open(url)
        browser.set(scale="8")
        browser("choose", files=[small])
        said = browser.ended()
        assert said.startswith("Not done: the model models/x8-feature")
        assert said.endswith("the server answered 404")
        browser.set(scale="2")
        browser.clear()
        browser("choose", files=[small])
        assert browser.ended().startswith("Done")
        # The browser tells of the 404 itself, once or twice.
        assert all("404" in fault for fault in browser("faults"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it(browser, address, small, tmp_path, scheme):
    browser.open(address, width=360, height=740, touch=True, scheme=scheme)
    browser.set(scale="2")
    browser("choose", files=[small])
    browser.ended()
    assert browser.evaluate("document.documentElement.scrollWidth") <= 360
    assert browser.evaluate(f"{ENDED}.test(document.querySelector('#items .state').textContent)")
    assert browser("faults") == []

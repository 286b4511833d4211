"""Networks on a GPU: one that the processor imitates, and stand-ins with all kinds of faults."""

from __future__ import annotations

import json
import shutil
import time

import numpy as np
import pytest
from PIL import Image

from keras_perceptual import Upscaler
from tests.conftest import SAMPLES
from tests.web.browsers import (
    HERE,
    SOFTWARE,
    WEBGPU,
    Browser,
    download,
    executable,
    idle_cpu,
    open_trial,
    pixels,
    serving,
)

LIMIT = 0.1  # levels that a GPU may differ by
ENDING = 3  # seconds after which Chromium ends what a worker computes, whatever it is


def _picture(height, width):
    with Image.open(SAMPLES / "HR" / "coffee.png") as image:
        return np.asarray(image.convert("RGB"))[:height, :width]


def _strip():
    """Returns a picture of 8 small tiles."""
    lr = _picture(240, 32)
    return {"width": 32, "height": 240, "levels": lr.ravel().tolist()}


@pytest.fixture(scope="module")
def trial(browser, folder, address):
    if browser.kind == "firefox":
        pytest.skip("the stand-ins are tried in one browser")
    ask = open_trial(browser, folder, address)
    yield lambda how: ask(script=f"gpu_stand_in.js?{how}", picture=_strip(), pause=60)
    assert browser("faults") == []


@pytest.mark.parametrize(
    ("how", "used"),
    [
        ("right", True),
        ("wrong", False),
        ("lost", True),
        pytest.param("throws", False, marks=pytest.mark.long),
        pytest.param("late", True, marks=pytest.mark.long),
        pytest.param("slow", False, marks=pytest.mark.long),
    ],
)
def test_whatever_a_gpu_does_the_picture_is_the_same(trial, how, used):
    found = trial(how)
    assert found["difference"] == 0
    assert (found["used"] > 0) == used
    assert found["used"] < found["tiles"] - 1
    assert found["ready"] == (how == "right")


@pytest.mark.long
def test_a_gpu_that_hangs_is_not_waited_for(trial, browser):
    began = time.monotonic()
    found = trial("hangs")
    assert found["difference"] == found["used"] == 0
    assert time.monotonic() - began < 20
    time.sleep(ENDING)
    assert idle_cpu(browser("pid"), 1) < 0.4


@pytest.mark.long
def test_cancelling_ends_a_gpu_that_hangs(browser, folder, address):
    open_trial(browser, folder, address)
    message = json.dumps({"script": "gpu_stand_in.js?hangs", "picture": _strip(), "pause": 2000})
    browser.evaluate(f"worker.postMessage({message})")
    time.sleep(10)
    assert idle_cpu(browser("pid"), 3) > 0.5  # the GPU's worker computes
    browser.evaluate("worker.terminate()")
    time.sleep(ENDING)
    assert idle_cpu(browser("pid"), 3) < 0.4


@pytest.mark.long
def test_large_pictures_are_made_on_the_gpu(browser, folder, tmp_path):
    """By the page itself, whose GPU is a stand-in."""
    if browser.kind == "firefox":
        pytest.skip("the stand-ins are tried in one browser")
    copy = shutil.copytree(folder, tmp_path / "page")
    script = (HERE / "gpu_stand_in.js").read_text().replace("location.search", "'?right'")
    (copy / "gpu-worker.js").write_text(script)
    (copy / "gpu-worker.js.gz").unlink()
    large, small = tmp_path / "large.png", tmp_path / "small.png"
    with Image.open(SAMPLES / "HR" / "coffee.png") as image:
        image.convert("RGB").resize((1200, 900)).save(large)
        image.convert("RGB").crop((0, 0, 40, 30)).save(small)
    with serving(copy) as (url, _):
        browser.open(url)
        browser.wait_until("document.documentElement.dataset.warm")
        browser.set(scale="2", restore="0")
        browser("choose", files=[small])
        assert "GPU" not in browser.ended()
        browser.clear()
        browser("choose", files=[large])
        assert browser.ended().endswith("by x2-feature on the GPU")
        made = download(browser, tmp_path / "a.png")
        assert browser("faults") == []
    upscaler = Upscaler(scale=2, restore=0, precision="float32", threads=1)
    upscaler.upscale_file(large, tmp_path / "b.png")
    assert np.abs(pixels(made) - pixels(tmp_path / "b.png")).max() == 0


@pytest.mark.long
def test_a_gpu_gives_the_same(folder, address):
    program = executable("chromium")
    if program is None:
        pytest.skip("chromium is not installed")
    browser = Browser("chromium", program, *WEBGPU["chromium"], SOFTWARE)
    try:
        ask = open_trial(browser, folder, address)
        found = ask(networks=["x4-feature", "x8-photo", "styles"], size=32)
        if not found["found"]:
            pytest.skip("this Chromium imitates no GPU")
        assert "failed" not in found
        assert all(row["difference"] < LIMIT for row in found["rows"])
        found = ask(picture=_strip(), pause=4000)
        if not found["ready"]:
            pytest.skip("the imitation takes more than the 30 s that a GPU is given")
        assert found["used"] > 0
        assert found["difference"] <= 1
        assert browser("faults") == []
    finally:
        browser.close()

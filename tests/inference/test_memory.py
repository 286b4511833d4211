from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from keras_perceptual.export import to_tflite
from keras_perceptual.files import formats
from keras_perceptual.files.sink import BUDGET, Sink
from keras_perceptual.models.upscaling import subpixel
from tests.conftest import ROOT

HEIGHT, WIDTH = 2400, 2500  # of the LR image; the result is x4, 288 MB of pixels

PROGRAM = """
import sys
from keras_perceptual import Upscaler
from tests.peak import peak

model, small, large, target = sys.argv[1:]
upscaler = Upscaler(model, memory=2**26)
upscaler.upscale_file(small, target)
before = peak()
print(*upscaler.upscale_file(large, target))
print(peak() - before)
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A generator of next to no work: it is the rows around it that are looked at."""
    path = tmp_path_factory.mktemp("model") / "tiny.tflite"
    path.write_bytes(to_tflite(subpixel(4, channels=4, blocks=1), histogram_match="none"))
    return path


def _ramps(path, height, width):
    rows = (np.arange(height) % 256).astype(np.uint8)[:, None, None]
    with Sink(path, formats.of(path), height, width) as sink:
        sink.append(np.broadcast_to(rows, (height, width, 3)))
        sink.finish()
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of a process")
@pytest.mark.parametrize(("source", "target"), [("tif", "png"), ("png", "tif")])
def test_memory_of_a_whole_file_does_not_grow_with_the_result(tmp_path, model, source, target):
    assert 16 * 3 * HEIGHT * WIDTH > BUDGET  # up to which a result may be held
    small = _ramps(tmp_path / f"small.{source}", 64, 64)
    large = _ramps(tmp_path / f"large.{source}", HEIGHT, WIDTH)
    files = [model, small, large, tmp_path / f"out.{target}"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    size, grown = done.stdout.splitlines()
    assert size == f"{4 * HEIGHT} {4 * WIDTH}"
    assert int(grown) < 180, f"{grown} MB"  # 140, or two tiles more as threads take turns

"""Files that are encoded while their rows come in."""

from __future__ import annotations

import errno
import threading

import numpy as np
import pytest

from keras_perceptual import Upscaler
from keras_perceptual.errors import ImageError
from keras_perceptual.files import flow, formats, images, sink
from keras_perceptual.files.sink import Sink
from tests.files.image_files import some_metadata

HEIGHT, WIDTH = 90, 70


@pytest.fixture(autouse=True)
def _early(monkeypatch):
    monkeypatch.setattr(sink, "EARLY", 0)


def _file(path, pixels, early, gray=False):
    bits = 8 * pixels.itemsize
    about = {"bits": bits, "gray": gray, "alpha": pixels.shape[2] == 4, "early": early}
    with Sink(path, formats.of(path), HEIGHT, WIDTH, metadata=some_metadata(), **about) as one:
        assert bool(one._flow) == early
        for top in range(0, HEIGHT, 40):
            one.append(pixels[top : top + 40])
        assert not path.exists()
        one.finish()
    return path.read_bytes()


@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
def test_it_is_the_same_file(tmp_path, rng, ending, dtype, gray, alpha):
    most = np.iinfo(dtype).max
    pixels = rng.integers(0, most, (HEIGHT, WIDTH, 3 + alpha), dtype, endpoint=True)
    early, late = (
        _file(tmp_path / f"{early}.{ending}", pixels, early, gray) for early in (True, False)
    )
    assert early == late


def test_a_picture_is_converted_so_unless_its_levels_change_in_the_end(tmp_path, monkeypatch):
    made = []
    append = flow.Flow.append
    monkeypatch.setattr(flow.Flow, "append", lambda *given: made.append(given) or append(*given))
    photograph = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    images.write(tmp_path / "a.png", images.Picture(photograph))
    assert not made
    for match in ("affine", "paper"):
        upscaler = Upscaler("x2-pixel", histogram_match=match)
        upscaler.upscale_file(tmp_path / "a.png", tmp_path / f"{match}.png")
        written = images.read(tmp_path / f"{match}.png").pixels
        assert np.array_equal(written, upscaler.upscale(photograph))
        assert bool(made) == (match == "affine")
        made.clear()


def test_what_is_not_finished_is_not_there(tmp_path, rows):
    path = tmp_path / "a.png"
    with Sink(path, formats.of(path), 40, 50, early=True) as one:
        one.append(rows[:10])

    def interrupted():
        raise KeyboardInterrupt

    with Sink(path, formats.of(path), 40, 50, early=True) as one:
        one.append(rows)
        with pytest.raises(KeyboardInterrupt):
            one.finish(alive=interrupted)
    assert not list(tmp_path.iterdir())
    assert not [each for each in threading.enumerate() if each.name == "encoder"]


@pytest.mark.parametrize("when", [0, 1])
def test_a_full_disk_is_told_in_one_line(tmp_path, rows, monkeypatch, when):
    """While rows come in, or when all are there."""
    encode = sink.encode

    class Full:
        def __init__(self, file):
            self.file, self.left = file, when

        def write(self, data):
            self.left -= 1
            if self.left < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return self.file.write(data)

    monkeypatch.setattr(sink, "encode", lambda *given: encode(*given[:4], Full(given[4])))
    path = tmp_path / "a.png"

    def written():
        with Sink(path, formats.of(path), 40, 50, early=True) as one:
            for top in range(40):
                one.append(rows[top : top + 1])
            one.finish()

    with pytest.raises(ImageError, match=r"a\.png: cannot be written: No space left on device"):
        written()
    assert not list(tmp_path.iterdir())


def test_rows_wait_for_a_slow_encoder(tmp_path, rows, monkeypatch):
    monkeypatch.setattr(flow, "MOST", rows[0].nbytes)
    encode, go = sink.encode, threading.Event()
    monkeypatch.setattr(sink, "encode", lambda *given: go.wait(30) and encode(*given))
    path = tmp_path / "a.png"
    with Sink(path, formats.of(path), 40, 50, early=True) as one:

        def feed():
            for top in range(40):
                one.append(rows[top : top + 1])

        feeder = threading.Thread(target=feed)
        feeder.start()
        feeder.join(0.3)
        assert feeder.is_alive()
        assert one._flow._waiting == 2 * rows[0].nbytes  # of which the second waits
        go.set()
        feeder.join(30)
        one.finish()
    assert np.array_equal(images.read(path).pixels, rows)

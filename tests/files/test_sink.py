from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest

from keras_perceptual.files import formats
from keras_perceptual.files.sink import EIGHT_BITS, Sink
from keras_perceptual.files.source import open_source
from tests.conftest import ROOT
from tests.files.image_files import read_rows, some_metadata, write_rows

LOSSLESS = ["png", "tif", "bmp", "gif", "jp2", "ppm"]


@pytest.mark.parametrize("budget", [0, 10**9])
@pytest.mark.parametrize("ending", ["png", "tif", "bmp", "jp2", "ppm"])
@pytest.mark.parametrize("gray", [False, True])
def test_8_bits_round_trip(tmp_path, rows, budget, ending, gray):
    if gray:
        rows = np.repeat(rows[..., :1], 3, 2)
    write_rows(tmp_path / f"a.{ending}", rows, budget=budget, gray=gray)
    with open_source(tmp_path / f"a.{ending}") as source:
        assert source.gray == gray
        assert source.bits == 8
        assert np.array_equal(source.take(40), rows)


@pytest.mark.parametrize("budget", [0, 10**9])
@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("most", [30, 65535])
def test_16_bits_round_trip(tmp_path, rng, budget, ending, gray, alpha, most):
    pixels = rng.integers(0, most, (40, 50, 3 + alpha), dtype=np.uint16, endpoint=True)
    if gray:
        pixels[..., 1] = pixels[..., 2] = pixels[..., 0]
    path = tmp_path / f"a.{ending}"
    write_rows(path, pixels, budget=budget, gray=gray)
    with open_source(path) as source:
        assert (source.bits, source.gray, source.alpha) == (16, gray, alpha)
        assert np.array_equal(source.take(40), pixels)


@pytest.mark.parametrize("budget", [0, 10**9])
@pytest.mark.parametrize("ending", ["jpg", "webp", "bmp", "gif", "jp2"])
def test_16_bits_become_8_where_a_format_has_no_more(tmp_path, rng, budget, ending):
    levels = rng.integers(0, 65536, 100, dtype=np.uint16)
    pixels = rng.choice(levels, (4, 5, 3)).repeat(8, 0).repeat(8, 1)
    write_rows(tmp_path / f"a.{ending}", pixels, budget=budget)
    written = read_rows(tmp_path / f"a.{ending}")
    assert written.dtype == np.uint8
    most = {"jpg": 6, "webp": 90}.get(ending, 0)
    assert np.abs(written.astype(int) - np.rint(pixels / 257)).max() <= most


def test_eight_bits_are_the_nearest():
    assert EIGHT_BITS[[0, 128, 129, 257, 385, 386, 65535]].tolist() == [0, 0, 1, 1, 1, 2, 255]


@pytest.mark.parametrize("budget", [0, 10**9])
@pytest.mark.parametrize("ending", ["png", "tif", "webp", "gif", "jp2", "avif"])
def test_opacity_is_kept(tmp_path, rows, budget, ending):
    if ending == "avif":
        pytest.importorskip("PIL._avif")
    alpha = np.where(np.arange(50) < 25, 0, 255).astype(np.uint8)
    pixels = np.dstack([rows, np.broadcast_to(alpha, rows.shape[:2])])
    write_rows(tmp_path / f"a.{ending}", pixels, budget=budget)
    written = read_rows(tmp_path / f"a.{ending}")
    assert np.abs(written[..., 3].astype(int) - alpha).max() <= 3
    if ending in ("png", "tif", "jp2"):
        assert np.array_equal(written, pixels)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("ending", ["jpg", "bmp", "ppm"])
def test_opacity_over_white(tmp_path, bits, ending):
    pixels = np.zeros((8, 16, 4), np.uint16 if bits == 16 else np.uint8)
    pixels[:, 8:, 3] = 2**bits - 1
    write_rows(tmp_path / f"a.{ending}", pixels)
    written = read_rows(tmp_path / f"a.{ending}")
    assert written.shape == (8, 16, 3)
    assert written[:, :8].min() > 250
    assert written[:, 8:].max() < 5


@pytest.mark.parametrize("ending", LOSSLESS)
@pytest.mark.parametrize("budget", [0, 10**9])
def test_a_table_is_applied_to_colours_alone(tmp_path, rows, ending, budget):
    table = np.stack([np.arange(256)[::-1], np.full(256, 7), np.arange(256)])
    expected = np.stack([255 - rows[..., 0], np.full((40, 50), 7), rows[..., 2]], 2)
    path = tmp_path / f"a.{ending}"
    write_rows(path, rows, table=table, budget=budget)
    assert np.array_equal(read_rows(path), expected)
    if ending in ("png", "tif"):
        alpha = rows[..., :1]
        write_rows(path, np.dstack([rows, alpha]), table=table, budget=budget)
        assert np.array_equal(read_rows(path), np.dstack([expected, alpha]))


def test_tables_of_16_bits_and_of_gray(tmp_path, rng):
    table = np.tile(np.arange(65536)[::-1], (3, 1))
    pixels = rng.integers(0, 65536, (9, 9, 3), dtype=np.uint16)
    write_rows(tmp_path / "a.png", pixels, table=table)
    assert np.array_equal(read_rows(tmp_path / "a.png"), 65535 - pixels)
    write_rows(tmp_path / "a.bmp", pixels, table=table)
    assert np.array_equal(read_rows(tmp_path / "a.bmp"), np.rint((65535 - pixels) / 257))
    gray = np.repeat(pixels[..., :1] // 257, 3, 2).astype(np.uint8)
    table = np.stack([np.full(256, 10), np.full(256, 20), np.full(256, 60)])
    write_rows(tmp_path / "a.png", gray, gray=True, table=table)
    assert set(np.unique(read_rows(tmp_path / "a.png"))) == {30}


def test_gray_is_the_mean(tmp_path):
    pixels = np.array([[[10, 20, 31]]], np.uint8)
    write_rows(tmp_path / "a.png", pixels, gray=True)
    assert read_rows(tmp_path / "a.png").tolist() == [[[20, 20, 20]]]


@pytest.mark.parametrize("form", ["png", "jpg", "tif", "webp", "gif", "bmp"])
def test_a_stream_gets_the_same_bytes(tmp_path, rows, form):
    with Sink(None, formats.of(f"a.{form}"), 40, 50, metadata=some_metadata(), budget=0) as sink:
        sink.append(rows)
        stream = io.BytesIO()
        sink.finish_into(stream)
        with pytest.raises(ValueError, match="expected a target"):
            sink.finish()
    write_rows(tmp_path / f"a.{form}", rows, metadata=some_metadata())
    assert (tmp_path / f"a.{form}").read_bytes() == stream.getvalue()


def test_rows_that_do_not_fit(tmp_path, rows):
    with Sink(tmp_path / "a.png", formats.of("a.png"), 40, 50) as sink:
        for wrong in (rows[:, :49], rows.astype(np.uint16), np.dstack([rows, rows[..., :1]])):
            with pytest.raises(ValueError, match="expected rows of uint8"):
                sink.append(wrong)
        sink.append(rows[:30])
        with pytest.raises(ValueError, match="expected rows"):
            sink.append(rows[:11])
        with pytest.raises(ValueError, match="expected 40 rows, received 30"):
            sink.finish()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of a process")
@pytest.mark.parametrize("ending", ["png", "tif", "jpg"])
def test_memory_does_not_grow_with_the_image(tmp_path, ending):
    """60 megapixels, 180 MB of pixels, written and read in less than that."""
    program = f"""
import numpy as np
from pathlib import Path
from keras_perceptual.files import formats
from keras_perceptual.files.sink import Sink
from keras_perceptual.files.source import open_source
from tests.peak import peak
path = Path({str(tmp_path)!r}) / "a.{ending}"
before = peak()
band = np.repeat(np.arange(64, dtype=np.uint8)[:, None, None], 10000, 1).repeat(3, 2)
table = np.tile(np.arange(256)[::-1], (3, 1))
with Sink(path, formats.of(path), 6000, 10000, budget=2**20) as sink:
    for top in range(0, 6000, 64):
        sink.append(band[: 6000 - top])
    sink.finish(table)
with open_source(path) as source:
    rows = 0
    while len(part := source.take(64)):
        assert abs(part[-1, -1].astype(int) - (255 - band[len(part) - 1, 0])).max() <= 2
        rows += len(part)
    assert rows == 6000
print(peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    grown = int(done.stdout)
    assert grown < 150, f"{grown} MB"

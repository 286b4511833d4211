"""What decoding takes is known before, and compared with what there is."""

from __future__ import annotations

import os
import struct
import subprocess
import sys

import numpy as np
import pytest
import pyvips
from PIL import Image

from keras_perceptual.errors import ImageError
from keras_perceptual.files import decoded
from keras_perceptual.files.source import open_source
from tests.conftest import ROOT
from tests.files.image_files import pillow, vips

SIDE = 22_000
LIMIT = 200_000_000


def _gif():
    data = bytearray(pillow(Image.new("P", (8, 8)), "GIF"))
    data[6:10] = struct.pack("<HH", SIDE, SIDE)
    return data


def _jpeg_2000():
    data = bytearray(pillow(Image.new("L", (8, 8)), "JPEG2000", no_jp2=True))
    at = data.index(b"\xff\x51") + 6
    data[at : at + 8] = struct.pack(">II", SIDE, SIDE)
    data[at + 16 : at + 24] = struct.pack(">II", SIDE, SIDE)  # in one tile
    return data


def _avif():
    data = bytearray(pillow(Image.new("RGB", (8, 8)), "AVIF"))
    at = data.index(b"ispe") + 8
    data[at : at + 8] = struct.pack(">II", 16_000, 16_000)
    return data


def _bmp():
    data = bytearray(pillow(Image.new("RGB", (8, 8)), "BMP"))
    data[18:26] = struct.pack("<II", SIDE, SIDE)
    return data


def _interlaced():
    return pyvips.Image.black(5000, 5000, bands=3).pngsave_buffer(interlace=True)


def _progressive():
    return pyvips.Image.black(5000, 5000, bands=3).jpegsave_buffer(interlace=True)


@pytest.mark.parametrize("make", [_gif, _jpeg_2000, _avif, _bmp, _interlaced, _progressive])
def test_what_would_take_more_is_refused_before(make):
    if make is _avif:
        pytest.importorskip("PIL._avif")
    with pytest.raises(ImageError) as error:
        open_source(bytes(make()), memory=LIMIT)
    message = str(error.value)
    assert message.startswith("stdin: decoding ")
    assert message.endswith(" GB of memory, 0.2 GB are allowed; --memory allows more")


def test_what_is_free_limits_as_well(monkeypatch):
    monkeypatch.setattr(decoded, "available", lambda: 150_000_000)
    with pytest.raises(ImageError, match=r"takes 2\.4 GB of memory, 0\.1 GB are free$"):
        open_source(bytes(_gif()))


def test_what_is_small_is_read_however_little_there_is(photograph):
    with open_source(pillow(Image.fromarray(photograph), "GIF"), memory=1) as source:
        assert source.take(50).shape == photograph.shape


def test_what_is_read_in_rows_needs_none():
    data = pyvips.Image.black(10_000, 10_000, bands=3).pngsave_buffer()
    with open_source(data, memory=1) as source:
        assert source.take(1).shape == (1, 10_000, 3)


HEIGHT, WIDTH = 2400, 2500
WHOLE = {
    "gif": {},
    "bmp": {},
    "ppm": {},
    "webp": {"method": 0},
    "jp2": {},
    "avif": {"speed": 10, "subsampling": "4:4:4"},
    "jpg": {"progressive": True, "subsampling": 0},
    "png": None,
    "tif": {"compression": "zstd"},
}
PROGRAM = """
import sys
from keras_perceptual.files import decoded, open_source
from PIL import Image
from tests.peak import peak
costs = []
check = decoded.check_memory
decoded.check_memory = lambda name, what, needed, memory: costs.append(needed)
small, large = sys.argv[1:]
for path in (small, large):
    before = peak()
    with open_source(path) as source:
        while len(source.take(64)):
            pass
print(peak() - before, costs[-1] / 2**20)
"""


@pytest.mark.parametrize("ending", WHOLE)
@pytest.mark.parametrize("alpha", [False, True])
def test_decoding_takes_no_more_than_it_is_said_to(tmp_path, ending, alpha):
    if ending == "avif":
        pytest.importorskip("PIL._avif")
    if alpha and ending in ("jpg", "ppm", "gif"):
        pytest.skip("has no opacity")
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    channels = [(x * 7 + y) % 251, y * 3 % 253, (x ^ y) % 255, x % 256][: 3 + alpha]
    pixels = np.stack(channels, 2).astype(np.uint8)
    for name, part in (("small", pixels[:30, :30]), ("large", pixels)):
        path = tmp_path / f"{name}.{ending}"
        if WHOLE[ending] is None:
            deep = vips(part.astype(np.uint16) * 257, "rgb16")
            path.write_bytes(deep.pngsave_buffer(interlace=True, compression=1))
        else:
            image = Image.fromarray(part)
            image = image.convert("P") if ending == "gif" else image
            image.save(path, **WHOLE[ending])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / f"small.{ending}", tmp_path / f"large.{ending}"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    taken, said = map(float, done.stdout.split())
    assert taken <= said + 12  # what the process takes beside it
    assert said <= 4 * taken + 12  # and it is no excuse to refuse much

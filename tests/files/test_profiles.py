from __future__ import annotations

import struct

import numpy as np
import pytest

from keras_perceptual.files.metadata import Metadata
from keras_perceptual.files.source import open_source
from tests.files.image_files import read_rows, srgb, vips, write_rows


@pytest.mark.parametrize("ending", ["gif", "bmp", "ppm", "jp2"])
def test_a_profile_that_cannot_be_carried_is_applied(tmp_path, rng, ending):
    wide = _adobe_like()
    pixels = np.full((8, 8, 3), (40, 200, 60), np.uint8)
    write_rows(tmp_path / f"a.{ending}", pixels, metadata=Metadata(icc_profile=wide))
    written = read_rows(tmp_path / f"a.{ending}")[0, 0].astype(int)
    assert np.abs(written - (40, 200, 60)).max() > 10


def _adobe_like() -> bytes:
    """Returns sRGB's profile with red and green exchanged, which is plain to see."""
    profile = bytearray(srgb())
    entries = {bytes(profile[at : at + 4]): at for at in range(132, 132 + 12 * 20, 12)}
    red, green = entries[b"rXYZ"], entries[b"gXYZ"]
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp", "gif"])
@pytest.mark.parametrize("profile", [srgb(), b"broken", b"\0" * 200, b"\1" + srgb()[1:]])
@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
def test_a_profile_that_does_not_fit_does_no_harm(tmp_path, ending, profile, gray, alpha):
    pixels = np.full((8, 8, 3 + alpha), 100, np.uint8)
    pixels[..., 3:] = 255
    path = tmp_path / f"a.{ending}"
    write_rows(path, pixels, gray=gray, metadata=Metadata(icc_profile=profile))
    with open_source(path) as source:
        assert source.gray == (gray and ending in ("png", "jpg", "tif"))
        assert np.abs(source.take(8)[..., :3].astype(int) - 100).max() <= 1


def _linear_gray() -> bytes:
    """Returns a profile of gray that is proportional to light."""
    bodies = {
        b"desc": b"desc" + struct.pack(">4xI", 2) + b"g".ljust(80, b"\0"),
        b"cprt": b"text".ljust(12, b"\0"),
        b"wtpt": b"XYZ " + struct.pack(">4xiii", 63190, 65536, 54061),
        b"kTRC": b"curv" + struct.pack(">4xIHxx", 1, 256),
    }
    table, body = struct.pack(">I", len(bodies)), b""
    for name, data in bodies.items():
        table += name + struct.pack(">II", 132 + 12 * len(bodies) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(
        ">I4sI4s4s4s", 128 + len(table + body), b"lcms", 0x2100000, b"mntr", b"GRAY", b"XYZ "
    )
    head = (head + bytes(12) + b"acsp").ljust(68, b"\0") + struct.pack(">iii", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + body


@pytest.mark.parametrize("ending", ["png", "tif", "jpg", "webp", "bmp", "jp2"])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_profile_of_gray(tmp_path, ending, bits):
    pixels = np.full((8, 8, 3), 100 if bits == 8 else 25700, np.uint8 if bits == 8 else np.uint16)
    path, profile = tmp_path / f"a.{ending}", _linear_gray()
    write_rows(path, pixels, gray=True, metadata=Metadata(icc_profile=profile))
    with open_source(path) as source:
        carried = ending in ("png", "tif", "jpg")
        assert source.metadata.icc_profile == (profile if carried else None)
        assert source.gray == (ending != "webp")
        level = source.take(8)[0, 0, 0] / (257 if source.bits == 16 else 1)
        assert level == pytest.approx(100 if carried else 168, abs=2)


def test_inks_go_through_their_profile(photograph):
    inks = vips(photograph, "srgb").icc_export(output_profile="cmyk")
    assert inks.interpretation == "cmyk"
    for save in ("jpegsave_buffer", "tiffsave_buffer"):
        with open_source(getattr(inks, save)(keep="icc")) as source:
            assert not source.metadata.icc_profile
            through = source.take(50).astype(int)
        naive = read_rows(getattr(inks, save)(keep="none")).astype(int)
        assert np.abs(through - photograph).mean() < 8 < np.abs(naive - photograph).mean()


def test_inks_of_16_bits(photograph):
    deep = vips(photograph.astype(np.uint16) * 257, "rgb16")
    inks = deep.icc_export(output_profile="cmyk", depth=16)
    for keep in ("icc", "none"):
        with open_source(inks.tiffsave_buffer(keep=keep)) as source:
            assert (source.bits, source.alpha) == (16, False)
            rows = source.take(50)
    light = 65535 - inks.numpy().astype(float)
    assert np.abs(rows - light[..., :3] * light[..., 3:] / 65535).max() <= 1

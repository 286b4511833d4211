from __future__ import annotations

import errno
import io
import os
import signal
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from keras_perceptual.errors import ImageError
from keras_perceptual.files import encoders, formats, tags
from keras_perceptual.files import sink as sinks
from keras_perceptual.files.metadata import Metadata, clean
from keras_perceptual.files.sink import EIGHT_BITS, Sink
from keras_perceptual.files.source import open_source
from keras_perceptual.system import atomic
from tests.conftest import ROOT
from tests.files.image_files import srgb

STREAMED = ["png", "tif", "jpg"]
LOSSLESS = ["png", "tif", "bmp", "gif", "jp2", "ppm"]


@pytest.fixture
def rows(rng):
    """Few colours, so that a GIF has them all."""
    return rng.choice(np.array([0, 60, 130, 200, 255], np.uint8), (40, 50, 3))


def _write(path, pixels, *, table=None, budget=0, step=7, **kwargs):
    height, width, channels = pixels.shape
    kwargs = {"bits": 8 * pixels.itemsize, "alpha": channels == 4, "budget": budget, **kwargs}
    with Sink(path, formats.of(path), height, width, **kwargs) as sink:
        for top in range(0, height, step):
            sink.append(pixels[top : top + step])
        sink.finish(table)
    assert [p.name for p in path.parent.iterdir() if p.name.startswith(".")] == []


def _read(path):
    with open_source(path) as source:
        return source.take(source.height)


@pytest.mark.parametrize("budget", [0, 10**9])
@pytest.mark.parametrize("ending", ["png", "tif", "bmp", "jp2", "ppm"])
@pytest.mark.parametrize("gray", [False, True])
def test_8_bits_round_trip(tmp_path, rows, budget, ending, gray):
    if gray:
        rows = np.repeat(rows[..., :1], 3, 2)
    _write(tmp_path / f"a.{ending}", rows, budget=budget, gray=gray)
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
    _write(path, pixels, budget=budget, gray=gray)
    with open_source(path) as source:
        assert (source.bits, source.gray, source.alpha) == (16, gray, alpha)
        assert np.array_equal(source.take(40), pixels)


@pytest.mark.parametrize("budget", [0, 10**9])
@pytest.mark.parametrize("ending", ["jpg", "webp", "bmp", "gif", "jp2"])
def test_16_bits_become_8_where_a_format_has_no_more(tmp_path, rng, budget, ending):
    levels = rng.integers(0, 65536, 100, dtype=np.uint16)
    pixels = rng.choice(levels, (4, 5, 3)).repeat(8, 0).repeat(8, 1)
    _write(tmp_path / f"a.{ending}", pixels, budget=budget)
    written = _read(tmp_path / f"a.{ending}")
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
    _write(tmp_path / f"a.{ending}", pixels, budget=budget)
    written = _read(tmp_path / f"a.{ending}")
    assert np.abs(written[..., 3].astype(int) - alpha).max() <= 3
    if ending in ("png", "tif", "jp2"):
        assert np.array_equal(written, pixels)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("ending", ["jpg", "bmp", "ppm"])
def test_opacity_over_white(tmp_path, bits, ending):
    pixels = np.zeros((8, 16, 4), np.uint16 if bits == 16 else np.uint8)
    pixels[:, 8:, 3] = 2**bits - 1
    _write(tmp_path / f"a.{ending}", pixels)
    written = _read(tmp_path / f"a.{ending}")
    assert written.shape == (8, 16, 3)
    assert written[:, :8].min() > 250
    assert written[:, 8:].max() < 5


@pytest.mark.parametrize("ending", LOSSLESS)
@pytest.mark.parametrize("budget", [0, 10**9])
def test_a_table_is_applied_to_colours_alone(tmp_path, rows, ending, budget):
    table = np.stack([np.arange(256)[::-1], np.full(256, 7), np.arange(256)])
    expected = np.stack([255 - rows[..., 0], np.full((40, 50), 7), rows[..., 2]], 2)
    path = tmp_path / f"a.{ending}"
    _write(path, rows, table=table, budget=budget)
    assert np.array_equal(_read(path), expected)
    if ending in ("png", "tif"):
        alpha = rows[..., :1]
        _write(path, np.dstack([rows, alpha]), table=table, budget=budget)
        assert np.array_equal(_read(path), np.dstack([expected, alpha]))


def test_tables_of_16_bits_and_of_gray(tmp_path, rng):
    table = np.tile(np.arange(65536)[::-1], (3, 1))
    pixels = rng.integers(0, 65536, (9, 9, 3), dtype=np.uint16)
    _write(tmp_path / "a.png", pixels, table=table)
    assert np.array_equal(_read(tmp_path / "a.png"), 65535 - pixels)
    _write(tmp_path / "a.bmp", pixels, table=table)
    assert np.array_equal(_read(tmp_path / "a.bmp"), np.rint((65535 - pixels) / 257))
    gray = np.repeat(pixels[..., :1] // 257, 3, 2).astype(np.uint8)
    table = np.stack([np.full(256, 10), np.full(256, 20), np.full(256, 60)])
    _write(tmp_path / "a.png", gray, gray=True, table=table)
    assert set(np.unique(_read(tmp_path / "a.png"))) == {30}


def test_gray_is_the_mean(tmp_path):
    pixels = np.array([[[10, 20, 31]]], np.uint8)
    _write(tmp_path / "a.png", pixels, gray=True)
    assert _read(tmp_path / "a.png").tolist() == [[[20, 20, 20]]]


def _metadata() -> Metadata:
    exif = Image.Exif()
    exif[0x013B] = "somebody"
    exif.get_ifd(0x8769)[0x9003] = "2024:01:01 00:00:00"
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>here</x:xmpmeta>"
    return clean(tags.parse(exif.tobytes()), srgb(), xmp, (240.0, 240.0))


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp", "avif"])
@pytest.mark.parametrize("budget", [0, 10**9])
def test_metadata_is_carried(tmp_path, rows, ending, budget):
    if ending == "avif":
        pytest.importorskip("PIL._avif")
    path = tmp_path / f"a.{ending}"
    metadata = _metadata()
    _write(path, rows, budget=budget, metadata=metadata)
    with open_source(path) as source:
        kept = source.metadata
    assert kept.icc_profile == metadata.icc_profile
    assert kept.xmp.rstrip(b"\0") == metadata.xmp
    if ending not in ("webp", "avif"):
        assert kept.dpi == pytest.approx(metadata.dpi, abs=0.1)
    with Image.open(path) as image:
        exif = image.getexif()
        assert exif[0x013B] == "somebody"
        assert exif.get_ifd(0x8769)[0x9003] == "2024:01:01 00:00:00"
        assert exif.get(0x0112, 1) == 1


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp"])
def test_files_without_metadata_have_none(tmp_path, rows, ending):
    _write(tmp_path / f"a.{ending}", rows)
    with open_source(tmp_path / f"a.{ending}") as source:
        assert source.metadata == Metadata()


@pytest.mark.parametrize("ending", ["gif", "bmp", "ppm", "jp2"])
def test_a_profile_that_cannot_be_carried_is_applied(tmp_path, rng, ending):
    wide = _adobe_like()
    pixels = np.full((8, 8, 3), (40, 200, 60), np.uint8)
    _write(tmp_path / f"a.{ending}", pixels, metadata=Metadata(icc_profile=wide))
    written = _read(tmp_path / f"a.{ending}")[0, 0].astype(int)
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
    _write(path, pixels, gray=gray, metadata=Metadata(icc_profile=profile))
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
    _write(path, pixels, gray=True, metadata=Metadata(icc_profile=profile))
    with open_source(path) as source:
        carried = ending in ("png", "tif", "jpg")
        assert source.metadata.icc_profile == (profile if carried else None)
        assert source.gray == (ending != "webp")
        level = source.take(8)[0, 0, 0] / (257 if source.bits == 16 else 1)
        assert level == pytest.approx(100 if carried else 168, abs=2)


def test_quality(tmp_path, photographs):
    for ending in ("jpg", "webp", "avif"):
        sizes = []
        for quality in (20, 95):
            _write(tmp_path / f"a.{ending}", photographs[0], quality=quality)
            sizes.append((tmp_path / f"a.{ending}").stat().st_size)
        assert sizes[0] < sizes[1] / 2


def test_jpeg_has_no_chroma_subsampling(tmp_path):
    y, x = np.mgrid[:32, :32]
    pixels = np.where(((x + y) % 2)[..., None], [255, 0, 0], [0, 0, 255]).astype(np.uint8)
    _write(tmp_path / "a.jpg", pixels)
    assert np.abs(_read(tmp_path / "a.jpg").astype(int) - pixels).max() < 25


@pytest.mark.parametrize("form", ["png", "jpg", "tif", "webp", "gif", "bmp"])
def test_a_stream_gets_the_same_bytes(tmp_path, rows, form):
    with Sink(None, formats.of(f"a.{form}"), 40, 50, metadata=_metadata(), budget=0) as sink:
        sink.append(rows)
        stream = io.BytesIO()
        sink.finish_into(stream)
        with pytest.raises(ValueError, match="expected a target"):
            sink.finish()
    _write(tmp_path / f"a.{form}", rows, metadata=_metadata())
    assert (tmp_path / f"a.{form}").read_bytes() == stream.getvalue()


def test_large_tiffs_have_tiles_and_64_bit_offsets(tmp_path, rows, monkeypatch):
    monkeypatch.setattr(encoders, "TILED", 1000)
    monkeypatch.setattr(encoders, "_CLASSIC", 3000)
    path = tmp_path / "a.tif"
    _write(path, rows, metadata=_metadata())
    assert path.read_bytes()[:4] == b"II+\0"
    assert np.array_equal(_read(path), rows)
    with open(path, "rb") as file:
        directory = tags.parse(file)
    assert directory.numbers(322) == (256,)
    assert directory.tags[0x013B].data == b"somebody\0"
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image), rows)


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


def test_folders_are_made_when_all_is_well(tmp_path, rows):
    path = tmp_path / "new" / "folder" / "a.png"
    with Sink(path, formats.of(path), 40, 50, budget=0) as sink:
        sink.append(rows)
        assert not list(tmp_path.iterdir())
        sink.finish()
    assert np.array_equal(_read(path), rows)


def test_targets_that_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    form = formats.of("a.png")
    with pytest.raises(ImageError, match=r"a\.png: cannot be written: .*is not a folder"):
        Sink(tmp_path / "file" / "a.png", form, 4, 4)
    with pytest.raises(ImageError, match=r"folder\.png: is a folder"):
        Sink(tmp_path / "folder.png", form, 4, 4)


def test_a_disk_without_room_is_seen_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(sinks.shutil, "disk_usage", lambda _: _Usage)
    with pytest.raises(ImageError, match=r"a\.tif: needs 3\.0 GB of disk .* 0\.1 GB are free"):
        Sink(tmp_path / "a.tif", formats.of("a.tif"), 10_000, 100_000)


class _Usage:
    free = 10**8


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp", "bmp", "gif"])
@pytest.mark.parametrize("budget", [0, 10**9])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, ending, budget):
    program = f"""
import resource, sys, numpy as np
from pathlib import Path
from keras_perceptual.files import formats
from keras_perceptual.errors import ImageError
from keras_perceptual.files.sink import Sink
path = Path({str(tmp_path)!r}) / "a.{ending}"
path.write_bytes(b"old")
rows = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    with Sink(path, formats.of(path), 200, 200, budget={budget}) as sink:
        sink.append(rows)
        sink.finish()
except ImageError as error:
    print(error)
"""
    result = _run(program)
    assert result.stdout == f"{tmp_path / f'a.{ending}'}: cannot be written: File too large\n"
    assert [p.name for p in tmp_path.iterdir()] == [f"a.{ending}"]
    assert (tmp_path / f"a.{ending}").read_bytes() == b"old"


def _run(program: str, **kwargs) -> subprocess.CompletedProcess:
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, **kwargs
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result


@pytest.mark.parametrize("ending", STREAMED)
def test_kill_9_leaves_nothing(tmp_path, ending):
    program = f"""
import numpy as np
from pathlib import Path
from keras_perceptual.files import formats
from keras_perceptual.files.sink import Sink
path = Path({str(tmp_path)!r}) / "a.{ending}"
rows = np.random.default_rng(0).integers(0, 256, (4000, 4000, 3), dtype=np.uint8)
with Sink(path, formats.of(path), 4000, 4000, budget=0) as sink:
    sink.append(rows)
    print("encoding", flush=True)
    sink.finish()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "encoding\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    if sys.platform == "linux":
        assert list(tmp_path.iterdir()) == []
    assert not (tmp_path / f"a.{ending}").exists()


def test_disks_without_nameless_files(tmp_path, rows, monkeypatch):
    monkeypatch.setattr(atomic, "_nameless", lambda _: None)
    monkeypatch.setattr(atomic.os.path, "isdir", lambda _: False)
    _write(tmp_path / "a.png", rows)
    monkeypatch.undo()
    assert np.array_equal(_read(tmp_path / "a.png"), rows)


def test_two_writers_of_one_target(tmp_path, rows):
    form = formats.of("a.png")
    with (
        Sink(tmp_path / "a.png", form, 40, 50) as one,
        Sink(tmp_path / "a.png", form, 40, 50) as two,
    ):
        one.append(rows)
        two.append(255 - rows)
        two.finish()
        one.finish()
    assert np.array_equal(_read(tmp_path / "a.png"), rows)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_the_mode_of_a_file_follows_the_umask(tmp_path, rows):
    old = os.umask(0o027)
    try:
        _write(tmp_path / "a.png", rows)
    finally:
        os.umask(old)
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o640


def test_an_error_of_the_file_is_told(rows):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    image = encoders.pyvips.Image.new_from_array(rows)
    with pytest.raises(OSError, match="No space left"):
        encoders.encode(image, formats.of("a.png"), Metadata(), 95, Full())


@pytest.mark.parametrize("ending", STREAMED)
def test_memory_does_not_grow_with_the_image(tmp_path, ending):
    """60 megapixels, 180 MB of pixels, written and read in less than that."""
    program = f"""
import resource, sys, numpy as np
from pathlib import Path
from keras_perceptual.files import formats
from keras_perceptual.files.sink import Sink
from keras_perceptual.files.source import open_source
path = Path({str(tmp_path)!r}) / "a.{ending}"
used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = used()
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
print(used() - before)
"""
    grown = int(_run(program, timeout=120).stdout)
    assert grown < 150, f"{grown} MB"

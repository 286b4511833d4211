"""Mutates valid image files and reads them: each must give a picture or an ImageError.

`python tests/files/fuzz_images.py --seeds 5000` tries 5000 mutations of every sample in processes
that may crash or hang, and names the seeds that do. `--keep FOLDER` writes their files.
"""

from __future__ import annotations

import argparse
import io
import random
import re
import resource
import signal
import struct
import subprocess
import sys
import time
import zlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np
import pyvips
from PIL import Image

from keras_perceptual.errors import ImageError
from keras_perceptual.files import animations, formats
from keras_perceptual.files.sink import Sink
from keras_perceptual.files.source import Source, open_source

SECONDS = 20  # for one file, on a busy machine
MOST_PIXELS = 1_000_000
PROFILE = pyvips.Operation.call("profile_load", "srgb")
WRITTEN = ("png", "jpg", "tif", "webp", "gif", "avif", "png", "jp2")
NOISE = re.compile("CRITICAL|Traceback|Warning")
ANIMATED = ("gif", "png", "webp")


@cache
def samples() -> dict[str, bytes]:
    """Returns small valid files, of every format and of what each can hold, by their names."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:24, :40]
    pixels = np.stack([6 * x, 9 * y, 3 * (x + y)], 2).astype(np.uint8)
    pixels[8:16, 10:30] = rng.integers(0, 256, (8, 20, 3))
    alpha = np.dstack([pixels, (x * 6).astype(np.uint8)])
    exif = Image.Exif()
    exif[0x0112], exif[0x013B] = 6, "somebody"
    exif.get_ifd(0x8769)[0x9003] = "2024:01:01 00:00:00"
    rgb, rgba = Image.fromarray(pixels), Image.fromarray(alpha)
    gray, bits = rgb.convert("L"), rgb.convert("1")
    palette = rgb.quantize(16)
    deep = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    beside = {"exif": exif.tobytes(), "icc_profile": bytes(PROFILE)}
    moving = {"save_all": True, "append_images": [rgba.rotate(90), rgba], "duration": 50}
    files: dict[str, bytes] = {}

    def pillow(name: str, image: Image.Image, **options: object) -> None:
        file = io.BytesIO()
        codec = formats.of(f"x.{name.split('-')[0]}").codec or _codec(name)
        image.copy().save(file, codec, **options)
        files[name] = file.getvalue()

    def vips(name: str, array: np.ndarray, space: str, **options: object) -> None:
        kind = name.split("-")[0].replace("tif", "tiff").replace("jpg", "jpeg")
        image = pyvips.Image.new_from_array(array).copy(interpretation=space)
        files[name] = getattr(image, f"{kind}save_buffer")(**options)

    deep_rgba = (alpha * np.uint16(257)).astype(np.uint16)
    pillow("png-rgb", rgb, **beside)
    pillow("png-palette", palette, transparency=0)
    pillow("png-bits", bits)
    pillow("png-animated", rgba, **moving)
    vips("png-deep", deep_rgba, "rgb16")
    vips("png-interlaced", alpha, "srgb", interlace=True)
    pillow("jpg-rgb", rgb, **beside, xmp=xmp)
    pillow("jpg-progressive", rgb, progressive=True)
    pillow("jpg-gray", gray, restart_marker_rows=1)
    pillow("jpg-cmyk", rgb.convert("CMYK"))
    pillow("tif-rgb", rgb, **beside)
    pillow("tif-lzw", rgba, compression="tiff_lzw")
    pillow("tif-zstd", rgb, compression="zstd")
    pillow("tif-lab", rgb.convert("LAB"))
    pillow("tif-palette", palette, compression="packbits")
    pillow("tif-fax", bits, compression="group4")
    pillow("tif-cmyk", rgb.convert("CMYK"))
    pillow("tif-deep", deep)
    pillow("tif-pages", rgb, save_all=True, append_images=[bits])
    vips("tif-tiles", deep_rgba, "rgb16", tile=True, tile_width=16, tile_height=16, bigtiff=True)
    vips("tif-jpeg", pixels, "srgb", compression="jpeg")
    vips("tif-deflate", pixels, "srgb", compression="deflate", predictor="horizontal")
    pillow("webp-rgb", rgb, **beside)
    pillow("webp-lossless", rgba, lossless=True)
    pillow("webp-animated", rgba, **moving)
    pillow("gif-still", palette)
    pillow("gif-animated", rgba, **moving)
    pillow("bmp-rgb", rgb)
    pillow("bmp-palette", palette)
    pillow("jp2-rgb", rgb)
    pillow("jp2-deep", deep)
    pillow("ppm-rgb", rgb)
    pillow("pgm-gray", gray)
    files["ppm-text"] = b"P3\n4 2\n255\n" + b" ".join(b"%d" % v for v in range(24))
    if "AVIF" in Image.SAVE:
        pillow("avif-rgba", rgba, **beside)
    return files


def _codec(name: str) -> str:
    return {"png": "PNG", "jpg": "JPEG", "tif": "TIFF"}[name.split("-")[0]]


def mutate(name: str, seed: int) -> bytes:
    """Returns a sample with a few faults, always the same for a seed."""
    draw = random.Random(f"{name} {seed}")
    data = bytearray(samples()[name])
    if draw.random() < 0.3:
        data = _shuffled(data, draw)
    for _ in range(draw.choice((0, 1, 1, 2, 4, 8))):
        if not data:
            break
        # Headers are short, and where most goes wrong.
        at = draw.randrange(min(len(data), draw.choice((40, 200, len(data)))))
        fault = draw.randrange(8)
        if fault == 0:
            data[at] ^= 1 << draw.randrange(8)
        elif fault == 1:
            data[at] = draw.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF))
        elif fault == 2:
            data[at] = draw.randrange(256)
        elif fault == 3:
            number = draw.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, len(data), 65536))
            data[at : at + 4] = struct.pack(draw.choice("<>") + "I", number)
        elif fault == 4:
            del data[at : at + draw.randrange(1, 40)]
        elif fault == 5:
            data[at:at] = data[at : at + draw.randrange(1, 40)]
        elif fault == 6:
            data[at : at + 16] = draw.randbytes(16)
        elif draw.random() < 0.5:
            del data[at:]
    if data.startswith(b"\x89PNG") and draw.random() < 0.8:
        data = _with_sums(data)
    return bytes(data)


def _shuffled(data: bytearray, draw: random.Random) -> bytearray:
    """Swaps, doubles or drops chunks of a PNG or WebP, or pieces of another file."""
    if data.startswith(b"\x89PNG"):
        start, pieces, at = 8, [], 8
        while at < len(data):
            end = at + 12 + int.from_bytes(data[at : at + 4], "big")
            pieces.append(data[at:end])
            at = end
    elif data.startswith(b"RIFF"):
        start, pieces, at = 12, [], 12
        while at < len(data):
            size = int.from_bytes(data[at + 4 : at + 8], "little")
            pieces.append(data[at : at + 8 + size + size % 2])
            at += 8 + size + size % 2
    else:
        start, step = draw.randrange(20), max(1, len(data) // 8)
        pieces = [data[at : at + step] for at in range(start, len(data), step)]
    if pieces:
        first, second = draw.randrange(len(pieces)), draw.randrange(len(pieces))
        action = draw.randrange(3)
        if action == 0:
            pieces[first], pieces[second] = pieces[second], pieces[first]
        elif action == 1:
            pieces.insert(first, pieces[second])
        else:
            del pieces[first]
    return data[:start] + b"".join(pieces)


def _with_sums(data: bytearray) -> bytearray:
    """Mends the checksums of a PNG, so that what is wrong is seen by more than their check."""
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            break
        data[end : end + 4] = struct.pack(">I", zlib.crc32(data[at + 4 : end]))
        at = end + 4
    return data


def read(name: str, data: bytes) -> str:
    """Reads a file in all ways; returns what came of it: a picture, or an error of one line."""
    outcome = "picture"
    try:
        with open_source(data, most_pixels=MOST_PIXELS) as source:
            parts, rows = [], 0
            while rows < source.height:
                part = source.take(7)
                assert part.shape[1:] == (source.width, 3 + source.alpha), part.shape
                assert part.dtype == (np.uint16 if source.bits == 16 else np.uint8), part.dtype
                assert len(part) == min(7, source.height - rows), part.shape
                rows += len(part)
                parts.append(part)
    except ImageError as error:
        outcome = _checked(error)
    else:
        if source.width * source.height < 100_000:
            _write(source, parts, WRITTEN[zlib.crc32(data) % len(WRITTEN)])
    if name.split("-")[0] in ANIMATED:
        try:
            animation = animations.read_frames(data, most_pixels=MOST_PIXELS)
            assert sum(frame.shape[2] == 4 for frame in animation) == len(animation)
        except ImageError as error:
            _checked(error)
    return outcome


def _write(source: Source, parts: list[np.ndarray], ending: str) -> None:
    """Writes what was read, with its metadata, however strange; that must always succeed."""
    try:
        form = formats.of(f"a.{ending}")
    except ImageError:  # a Pillow without AVIF
        return
    about = {"bits": source.bits, "gray": source.gray, "alpha": source.alpha}
    size = source.height, source.width
    with Sink(None, form, *size, **about, metadata=source.metadata) as sink:
        for part in parts:
            sink.append(part)
        file = io.BytesIO()
        sink.finish_into(file)
    with open_source(file.getvalue()) as written:
        assert (written.height, written.width) == size
        rows = written.take(written.height)
        if ending in ("png", "tif"):
            assert (written.bits, written.gray, written.alpha) == tuple(about.values())
            assert np.array_equal(rows, np.concatenate(parts))


def _checked(error: ImageError) -> str:
    message = str(error)
    assert message.startswith("stdin: "), message
    assert "\n" not in message, message
    return message


def work(names: list[str], seeds: range) -> None:
    """Reads mutations, saying before each which comes; the parent reads along."""
    for name in names:
        for seed in seeds:
            print(f"{name} {seed}", flush=True)
            signal.alarm(SECONDS)
            read(name, mutate(name, seed))
    signal.alarm(0)
    print("done", flush=True)


def run(names: list[str], seeds: range) -> list[str]:
    """Reads mutations in a process of its own, again after each that kills it.

    Returns:
        What failed: sample, seed and how.
    """
    failures = []
    left = [(name, seed) for name in names for seed in seeds]
    while left:
        spec = f"{','.join(names)}:{left[0][0]}:{left[0][1]}:{seeds.start}:{seeds.stop}"
        process = subprocess.run(
            [sys.executable, "-X", "faulthandler", __file__, "--worker", spec],
            capture_output=True,
            text=True,
        )
        *_, last = process.stdout.splitlines() or [""]
        told = process.stderr.splitlines()
        failures += [f"{names[0]}: {line}" for line in told if NOISE.search(line)][:1]
        if process.returncode == 0 and last == "done":
            break
        if not last:
            return [f"no worker: {process.stderr}"]
        name, seed = last.split()
        why = next((line for line in told if "rror" in line), "")
        how = "hangs" if process.returncode == -signal.SIGALRM else f"exit {process.returncode}"
        failures.append(f"{name} {seed}: {how}: {why}")
        left = left[left.index((name, int(seed))) + 1 :]
    return failures


def _work_from(spec: str) -> None:
    listed, first, seed, start, stop = spec.split(":")
    names = listed.split(",")
    at = names.index(first)
    work([first], range(int(seed), int(stop)))
    work(names[at + 1 :], range(int(start), int(stop)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=20, help="mutations of each sample (20)")
    parser.add_argument("--first", type=int, default=0, help="first seed (0)")
    parser.add_argument("--samples", nargs="+", default=list(samples()), metavar="NAME")
    parser.add_argument("--keep", type=Path, help="folder for the files that fail")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        _work_from(arguments.worker)
        return 0
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    began, failures = time.time(), []
    for name in arguments.samples:
        found = run([name], seeds)
        print(f"{name}: {len(seeds)} seeds, {len(found)} failures", *found, sep="\n  ", flush=True)
        failures += found
        if arguments.keep:
            arguments.keep.mkdir(parents=True, exist_ok=True)
            for failure in found:
                seed = failure.split()[1].rstrip(":")
                if seed.isdecimal():
                    (arguments.keep / f"{name}-{seed}").write_bytes(mutate(name, int(seed)))
    total = len(seeds) * len(arguments.samples)
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print(
        f"{total} files, {len(failures)} failures, {time.time() - began:.0f} s, "
        f"at most {most} MB in memory"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

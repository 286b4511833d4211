"""Animated GIF, PNG and WebP: files to whole frames and back, one frame in memory at a time."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import GifImagePlugin, Image

from keras_perceptual.errors import ImageError, image_errors
from keras_perceptual.files import formats, gif, pillow_decoder, png
from keras_perceptual.files.decoded import Given
from keras_perceptual.files.encoders import encode, gif_frame, pillow_options
from keras_perceptual.files.formats import Format
from keras_perceptual.files.metadata import Metadata
from keras_perceptual.files.source import look, open_file
from keras_perceptual.files.vips import pyvips
from keras_perceptual.system.atomic import atomic_file
from keras_perceptual.system.quiet import quiet_warnings

__all__ = ["Animation", "read_frames", "write_frames"]

MOST_PIXELS = 2**26  # of a frame, which is held in memory several times
MOST_PIXELS_IN_ALL = 10**10
_COST = 30  # bytes of memory a pixel of a frame, while one is decoded


@dataclass(frozen=True)
class Animation:
    """The frames of a file, decoded anew each time they are iterated over.

    Iterating yields `[height, width, 4]` uint8, RGB and opacity, each frame as it is shown, with
    what stays of those before it. It raises ImageError where the file is broken.

    Args:
        name: the file's path as given, or `stdin`.
        width: in pixels.
        height: in pixels.
        durations: of the frames, in milliseconds.
        loop: how often it is played, 0 for ever.
        metadata: what belongs to the file beside its frames.
        frames: opens the file and yields (frame, milliseconds).
    """

    name: str
    width: int
    height: int
    durations: tuple[int, ...]
    loop: int
    metadata: Metadata
    frames: Callable[[], Iterator[tuple[Image.Image, int]]]

    def __len__(self) -> int:
        return len(self.durations)

    def __iter__(self) -> Iterator[np.ndarray]:
        for image, _ in self.frames():
            frame = np.zeros((self.height, self.width, 4), np.uint8)
            frame[: image.height, : image.width] = np.asarray(image.convert("RGBA"))
            yield frame


def read_frames(
    path: str | os.PathLike | bytes, *, most_pixels: int = MOST_PIXELS, memory: int | None = None
) -> Animation:
    """Opens an animated file, and decodes it once to see that it is whole.

    Args:
        path: a GIF, PNG or WebP, or the bytes of one; one that stands still has one frame.
        most_pixels: of a frame; what is larger is refused.
        memory: bytes that decoding may take, by default 2 GiB; never more than is free.

    Returns:
        The frames, and how they are played. A GIF whose frames reach beyond its screen is as large
        as they need.

    Raises:
        ImageError: if the file is missing, of another format, broken or too large.
    """
    name, file = open_file(path)
    with file, image_errors(name, "cannot be read"):
        given = look(path, name, file, most_pixels, memory)
        if not given.form.animated:
            raise ImageError(f"{name}: expected an animation: GIF, PNG or WebP")
        size = gif.canvas(file) if given.form.name == "GIF" else _size(given)
        given.check_size(*size, _COST)

    def frames() -> Iterator[tuple[Image.Image, int]]:
        _, file = open_file(path)
        with file, image_errors(name, "cannot be read"):
            with quiet_warnings():
                image = pillow_decoder.open_image(replace(given, file=file))
            with image:
                yield from _frames(name, image, size)

    durations, about, loop = [], Metadata(), 0
    for image, duration in frames():
        durations.append(duration)
        about, _ = pillow_decoder.metadata_of(given, image)
        loop = _loop(given.form, image)
    return Animation(name, *size, tuple(durations), loop, about, frames)


def _size(given: Given) -> tuple[int, int]:
    with quiet_warnings(), pillow_decoder.open_image(given) as image:
        return image.size


def _frames(
    name: str, image: Image.Image, size: tuple[int, int]
) -> Iterator[tuple[Image.Image, int]]:
    with quiet_warnings():
        count = getattr(image, "n_frames", 1)
    if count * size[0] * size[1] > MOST_PIXELS_IN_ALL:
        raise ImageError(
            f"{name}: expected at most {MOST_PIXELS_IN_ALL / 1e9:g} gigapixels in all its frames, "
            f"received {count} of {size[0]}x{size[1]}"
        )
    # An animated PNG may have a picture before its frames, for those who cannot play it.
    for number in range(int(bool(image.info.get("default_image"))), count):
        with quiet_warnings():
            image.seek(number)
            image.load()
        yield image, round(float(image.info.get("duration") or 0))


def _loop(form: Format, image: Image.Image) -> int:
    loop = image.info.get("loop")
    if form.name == "GIF":  # which says how often it is repeated, or nothing
        return 1 if loop is None else loop and loop + 1
    return int(loop or 0)


def write_frames(
    target: Path | BinaryIO,
    form: Format,
    frames: Iterable[np.ndarray],
    durations: Sequence[int],
    *,
    loop: int = 0,
    metadata: Metadata | None = None,
    quality: int | None = 95,
) -> None:
    """Writes an animation, all of it or nothing.

    Args:
        target: the file to write; folders that are missing are made, an existing file is
            replaced. Or an open file.
        form: GIF, PNG or WebP.
        frames: as many as `durations`, each `[H, W, 4]` uint8, RGB and opacity; GIF makes opacity
            of less than half nothing and other opacity full, and has 255 colours a frame.
        durations: of the frames, in milliseconds; GIF rounds to hundredths of a second.
        loop: how often it is played, 0 for ever.
        metadata: carried over as far as the format has a place for it.
        quality: 1 to 100, of WebP; None loses nothing.

    Raises:
        ImageError: if the format is no animated one or does not hold the size, or writing fails.
        ValueError: if the number of frames differs from that of the durations.
    """
    name = os.fspath(target) if isinstance(target, Path) else "stdout"
    writers = {"GIF": _write_gif, "PNG": _write_png, "WebP": _write_webp}
    if form.name not in writers:
        raise ImageError(f"{name}: {form.name} is not animated; .gif, .png or .webp are")
    played = _Played(form, durations, loop, metadata or Metadata(), quality)
    write, checked = writers[form.name], _checked(frames, len(durations), form, name)
    with image_errors(name, "cannot be written"):
        if not isinstance(target, Path):
            write(target, checked, played)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(target) as file:
            write(file, checked, played)


@dataclass(frozen=True)
class _Played:
    """What the frames of an animation have in common."""

    form: Format
    durations: Sequence[int]
    loop: int
    metadata: Metadata
    quality: int | None


def _checked(
    frames: Iterable[np.ndarray], count: int, form: Format, name: str
) -> Iterator[np.ndarray]:
    for number, frame in enumerate(frames, 1):
        formats.check(form, frame.shape[1], frame.shape[0], name)
        yield frame
        if number == count:
            return
    raise ValueError(f"expected {count} frames, received fewer")


def _write_gif(file: BinaryIO, frames: Iterator[np.ndarray], played: _Played) -> None:
    for number, (frame, duration) in enumerate(zip(frames, played.durations, strict=True)):
        if number == 0:
            file.write(b"GIF89a" + struct.pack("<HHBBB", frame.shape[1], frame.shape[0], 0, 0, 0))
            if played.loop != 1:
                repeats = min(65535, max(0, played.loop - 1))
                file.write(b"!\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<HB", repeats, 0))
        # Each frame stands for itself: what was shown before is cleared.
        image = gif_frame(frame)
        hidden = {"transparency": image.info["transparency"]} if image.info else {}
        for block in GifImagePlugin.getdata(
            image, include_color_table=True, duration=duration, disposal=2, **hidden
        ):
            file.write(block)
    file.write(b";")


def _write_webp(file: BinaryIO, frames: Iterator[np.ndarray], played: _Played) -> None:
    about = played.metadata
    profile = about.icc_profile
    if profile and profile[16:20] != b"RGB ":
        profile = None
    options = pillow_options(played.form, about, played.quality, profile)
    Image.fromarray(next(frames)).save(
        file,
        "WEBP",
        save_all=True,
        append_images=map(Image.fromarray, frames),
        duration=list(played.durations),
        loop=played.loop,
        **options,
    )


def _write_png(file: BinaryIO, frames: Iterator[np.ndarray], played: _Played) -> None:
    """Writes every frame as a PNG of its own, and puts their chunks into one file."""
    sequence = 0
    for number, (frame, duration) in enumerate(zip(frames, played.durations, strict=True)):
        height, width = frame.shape[:2]
        still = io.BytesIO()
        image = pyvips.Image.new_from_memory(
            np.ascontiguousarray(frame), width, height, 4, "uchar"
        ).copy(interpretation="srgb")
        about = played.metadata if number == 0 else Metadata()
        encode(image, played.form, about, played.quality, still)
        control = struct.pack(
            ">IIIIIHHBB", sequence, width, height, 0, 0, min(duration, 65535), 1000, 0, 0
        )
        sequence += 1
        begun = False
        for kind, body in png.chunks(still):
            if kind == b"IDAT":
                if not begun:
                    begun = True
                    file.write(png.chunk(b"fcTL", control))
                if number == 0:
                    file.write(png.chunk(b"IDAT", body))
                else:
                    file.write(png.chunk(b"fdAT", struct.pack(">I", sequence), body))
                    sequence += 1
            elif number == 0 and kind != b"IEND":
                if kind == b"IHDR":
                    file.write(png.SIGNATURE)
                file.write(png.chunk(kind, body))
                if kind == b"IHDR":
                    animated = struct.pack(">II", len(played.durations), played.loop)
                    file.write(png.chunk(b"acTL", animated))
    file.write(png.chunk(b"IEND"))

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

from keras_perceptual.errors import ImageError, ImageSizeError, image_errors
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
    frames: Callable[[], Iterator[tuple[np.ndarray, int]]]

    def __len__(self) -> int:
        return len(self.durations)

    def __iter__(self) -> Iterator[np.ndarray]:
        for frame, _ in self.frames():
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
        read = _gif_frames if given.form.name == "GIF" else _pillow_frames
        look_at = _gif_about if read is _gif_frames else _pillow_about
        width, height, count, loop, about = look_at(given)
        given.check_size(width, height, _COST)
        if count * width * height > MOST_PIXELS_IN_ALL:
            raise ImageSizeError(
                f"{name}: expected at most {MOST_PIXELS_IN_ALL / 1e9:g} gigapixels in all its "
                f"frames, received {count} of {width}x{height}"
            )

    def frames() -> Iterator[tuple[np.ndarray, int]]:
        _, file = open_file(path)
        with file, image_errors(name, "cannot be read"):
            yield from read(replace(given, file=file))

    durations = tuple(duration for _, duration in frames())
    return Animation(name, width, height, durations, loop, about, frames)


def _pillow_about(given: Given) -> tuple[int, int, int, int, Metadata]:
    """Returns the width, the height, how many frames there are and how often, the metadata."""
    with quiet_warnings(), pillow_decoder.open_image(given) as image:
        about, _ = pillow_decoder.metadata_of(given, image)
        count = getattr(image, "n_frames", 1)
        return *image.size, count, int(image.info.get("loop") or 0), about


def _pillow_frames(given: Given) -> Iterator[tuple[np.ndarray, int]]:
    with quiet_warnings():
        image = pillow_decoder.open_image(given)
    with image:
        # An animated PNG may have a picture before its frames, for those who cannot play it.
        first = int(bool(image.info.get("default_image")))
        for number in range(first, getattr(image, "n_frames", 1)):
            with quiet_warnings():
                image.seek(number)
                pixels = np.asarray(image.convert("RGBA"))
            yield pixels, round(float(image.info.get("duration") or 0))


def _gif_about(given: Given) -> tuple[int, int, int, int, Metadata]:
    file = given.file
    return *gif.canvas(file), given.header.frames, gif.loop(file), Metadata()


def _gif_frames(given: Given) -> Iterator[tuple[np.ndarray, int]]:
    """Draws each frame at its place on what stays of those before it, as browsers do.

    Pillow shows what nothing is drawn on in the colour that the file calls its ground.
    """
    width, height = gif.canvas(given.file)
    shown = np.zeros((height, width, 4), np.uint8)
    for frame in gif.frames(given.file):
        place = np.s_[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width]
        before = shown[place].copy() if frame.disposal == gif.RESTORED else None
        if frame.width and frame.height:
            pixels = pillow_decoder.gif_frame(given, frame)
            np.copyto(shown[place], pixels, where=pixels[..., 3:] > 0)
        yield shown.copy(), frame.duration
        if frame.disposal == gif.CLEARED:
            shown[place] = 0
        elif before is not None:
            shown[place] = before


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

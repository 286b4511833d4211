"""Pictures to the bytes of a file in one of the formats."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from PIL import Image

from keras_perceptual.files import jp2, png, png_writer, tags
from keras_perceptual.files.formats import Format
from keras_perceptual.files.metadata import RESOLUTION, Metadata, resolution
from keras_perceptual.files.vips import Guarded, pyvips

__all__ = ["COSTS", "encode", "gif_frame", "pillow_options"]

# Bytes of memory a pixel that it takes to encode formats that are encoded as a whole.
COSTS = {"WebP": 38, "GIF": 50, "BMP": 10, "PNM": 10, "AVIF": 48, "HEIC": 48, "JPEG 2000": 54}

TILED = 2**24  # pixels from which a TIFF has tiles, which viewers read in part
_WIDEST = 2**17  # but not beyond: while it is written, tiles beside each other are in memory
_CLASSIC = 4_000_000_000  # bytes of pixels up to which a TIFF's 32-bit offsets surely do
_METRE = 39.3700787  # inches
_EXIF_MOST = 65527  # bytes of EXIF in one segment of a JPEG


def encode(
    image: pyvips.Image, form: Format, metadata: Metadata, quality: int | None, file: BinaryIO
) -> None:
    """Writes an image into an open file.

    Args:
        image: gray or RGB with opacity or not, 8 or 16 bits, of what `form` holds.
        form: the format.
        metadata: carried over as far as the format has a place for it.
        quality: 1 to 100, of lossy formats; None loses nothing.
        file: written from its beginning, and read back where a format needs it (TIFF).

    Raises:
        OSError: if writing fails.
        pyvips.Error: if libvips cannot read the image or encode it.
    """
    image = _with_profile(image, form, metadata)
    if form.name == "AVIF" and quality is None:
        _lossless_avif(image, metadata, file)
        return
    if form.codec:
        _by_pillow(image, form, metadata, quality, file)
        return
    if metadata.dpi:
        x, y = metadata.dpi
        image = image.copy(xres=x / 25.4, yres=y / 25.4)
    if metadata.xmp:
        image.set_type(pyvips.GValue.blob_type, "xmp-data", metadata.xmp)
    {"PNG": _png, "JPEG": _jpeg, "TIFF": _tiff}[form.name](image, metadata, quality, file)


def _with_profile(image: pyvips.Image, form: Format, metadata: Metadata) -> pyvips.Image:
    """Attaches the colour profile, or converts to sRGB where the file cannot have it."""
    image = image.copy()
    image.remove("icc-profile-data")
    profile = metadata.icc_profile
    if not profile:
        return image
    gray = image.bands < 3
    if gray != (profile[16:20] == b"GRAY"):  # of another colour space than the pixels
        return image
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    if form.icc and (form.gray or not gray) and _accepts(form, image):
        return image
    try:
        depth = 16 if image.format == "ushort" else 8
        image = image.icc_transform("srgb", embedded=True, depth=depth)
        if gray and form.gray:
            image = image[0].bandjoin(image[3]) if image.bands > 3 else image[0]
    except pyvips.Error:  # a broken profile
        image = image.copy()
    image.remove("icc-profile-data")
    return image


def _accepts(form: Format, image: pyvips.Image) -> bool:
    """Says whether a PNG can have the profile of an image: libpng fails on a faulty one."""
    if form.name != "PNG":
        return True
    pixel = pyvips.Image.black(1, 1, bands=image.bands).copy(interpretation=image.interpretation)
    pixel.set_type(pyvips.GValue.blob_type, "icc-profile-data", image.get("icc-profile-data"))
    try:
        pixel.pngsave_buffer(keep="icc")
    except pyvips.Error:
        return False
    return True


def _save(
    save: str, image: pyvips.Image, write: Callable, file: BinaryIO, **options: object
) -> None:
    """Runs one of libvips's savers into a file."""
    guarded = Guarded()
    target = pyvips.TargetCustom()
    target.on_write(guarded(write))
    target.on_read(guarded(file.read))
    target.on_seek(guarded(file.seek))
    try:
        getattr(image, save)(target, **{"keep": "xmp:icc", **options})
    except pyvips.Error:
        if guarded.error:
            raise guarded.error from None
        raise
    if guarded.error:
        raise guarded.error


def _png(image: pyvips.Image, metadata: Metadata, _: int | None, file: BinaryIO) -> None:
    more = []
    if image.get_typeof("icc-profile-data"):
        more.append(png_writer.profile(image.get("icc-profile-data")))
    if metadata.dpi:
        x, y = (min(2**31 - 1, round(each * _METRE)) for each in metadata.dpi)
        more.append(png.chunk(b"pHYs", struct.pack(">IIB", x, y, 1)))
    if metadata.exif:
        more.append(png.chunk(b"eXIf", metadata.exif))
    if metadata.xmp:
        more.append(png.international_text(png.XMP, metadata.xmp.rstrip(b"\0")))
    png_writer.write(image, file, *more)


def _jpeg(image: pyvips.Image, metadata: Metadata, quality: int | None, file: BinaryIO) -> None:
    unit, (x, y) = 0, (1, 1)
    if metadata.dpi:
        unit, (x, y) = 1, (min(65535, max(1, round(each))) for each in metadata.dpi)
    segments = struct.pack(">HH5sHBHHBB", 0xFFE0, 16, b"JFIF\0", 0x0101, unit, x, y, 0, 0)
    for at in range(0, len(metadata.exif), _EXIF_MOST):
        exif = b"Exif\0\0" + metadata.exif[at : at + _EXIF_MOST]
        segments += struct.pack(">HH", 0xFFE1, 2 + len(exif)) + exif
    write = _with_segments(file, segments)
    _save("jpegsave_target", image, write, file, Q=quality, subsample_mode="off")


def _with_segments(file: BinaryIO, segments: bytes) -> Callable[[bytes], int]:
    """Returns a function that writes the JPEG it is given, with segments of ours at its head."""
    head = bytearray()

    def write(data: bytes) -> int:
        if len(head) >= 2:
            file.write(data)
        else:
            head.extend(data)
            if len(head) >= 2:
                file.write(head[:2] + segments + head[2:])
        return len(data)

    return write


def _tiff(image: pyvips.Image, metadata: Metadata, _: int | None, file: BinaryIO) -> None:
    pixels = image.width * image.height
    size = pixels * image.bands * (2 if image.format == "ushort" else 1)
    options: dict = {"compression": "deflate", "level": 2, "predictor": "horizontal"}
    if image.width > _WIDEST:
        options.update(tile_height=8)
    elif pixels >= TILED:
        options.update(tile=True, tile_width=256, tile_height=256)
    _save("tiffsave_target", image, file.write, file, bigtiff=size > _CLASSIC, **options)
    unknown = RESOLUTION if metadata.dpi is None else frozenset()  # libvips states one
    if metadata.exif or unknown:
        more = tags.parse(metadata.exif) if metadata.exif else tags.Directory("<")
        tags.add(file, more, unknown)


def _lossless_avif(image: pyvips.Image, metadata: Metadata, file: BinaryIO) -> None:
    """Writes RGB as it is, where Pillow has it go through YCbCr."""
    for name, data in (("exif-data", metadata.exif), ("xmp-data", metadata.xmp)):
        if data:
            image.set_type(pyvips.GValue.blob_type, name, data)
    _save(
        "heifsave_target", image, file.write, file,
        keep="exif:xmp:icc", compression="av1", lossless=True,
    )  # fmt: skip


def _by_pillow(
    image: pyvips.Image, form: Format, metadata: Metadata, quality: int | None, file: BinaryIO
) -> None:
    pixels = image.numpy()
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    profile = image.get("icc-profile-data") if image.get_typeof("icc-profile-data") else None
    if form.name == "GIF" and pixels.ndim == 3:
        picture = gif_frame(pixels)
    else:
        picture = Image.fromarray(np.ascontiguousarray(pixels))
    options = pillow_options(form, metadata, quality, profile)
    dpi = _resolution(metadata)
    if form.name != "JPEG 2000" or not dpi:
        picture.save(file, form.codec, **options)
        return
    made = io.BytesIO()
    picture.save(made, form.codec, **options)
    file.write(jp2.with_resolution(made.getvalue(), dpi))


def _resolution(metadata: Metadata) -> tuple[float, float] | None:
    """Returns the resolution for a format that has no EXIF to state one."""
    exif = tags.parse(metadata.exif) if metadata.exif else None
    return metadata.dpi or resolution(exif)


def gif_frame(pixels: np.ndarray) -> Image.Image:
    """Chooses the colours of a GIF.

    Args:
        pixels: `[H, W, C]` uint8: gray and opacity, RGB, or RGB and opacity.

    Returns:
        An image with a palette of 255 colours at most, and one more for less than half opacity.
    """
    channels = pixels.shape[2]
    colours = np.ascontiguousarray(pixels[..., :3] if channels > 2 else pixels[..., [0, 0, 0]])
    image = Image.fromarray(colours).quantize(255, Image.Quantize.MEDIANCUT)
    if channels in (2, 4) and (hidden := pixels[..., -1] < 128).any():
        palette = image.getpalette() or []
        image.paste(len(palette) // 3, mask=Image.fromarray(hidden))
        image.putpalette([*palette, 0, 0, 0])
        image.info["transparency"] = len(palette) // 3
    return image


def pillow_options(
    form: Format, metadata: Metadata, quality: int | None, profile: bytes | None
) -> dict[str, object]:
    """Returns what Pillow's `save` takes for a format."""
    options: dict[str, object] = {}
    if form.lossy and quality is None:
        options.update(lossless=True, exact=True)
    elif form.lossy:
        options["quality"] = quality
    if form.name == "AVIF":
        options["subsampling"] = "4:4:4"
    if form.icc and profile:
        options["icc_profile"] = profile
    if form.exif and metadata.exif:
        options["exif"] = metadata.exif
    if form.exif and metadata.xmp:
        options["xmp"] = metadata.xmp
    if form.name == "BMP":
        options["dpi"] = _resolution(metadata) or (0, 0)  # without it, Pillow states 96
    return options

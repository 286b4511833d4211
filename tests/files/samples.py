"""Small valid image files, of every format and of what each can hold."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import pyvips
from PIL import Image
from PIL.ExifTags import IFD, Base

from keras_perceptual.files import formats
from tests.files.image_files import srgb


@cache
def samples() -> dict[str, bytes]:
    """Returns small valid files, of every format and of what each can hold, by their names."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:24, :40]
    pixels = np.stack([6 * x, 9 * y, 3 * (x + y)], 2).astype(np.uint8)
    pixels[8:16, 10:30] = rng.integers(0, 256, (8, 20, 3))
    alpha = np.dstack([pixels, (x * 6).astype(np.uint8)])
    exif = Image.Exif()
    exif[Base.Orientation], exif[Base.Artist] = 6, "somebody"
    exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = "2024:01:01 00:00:00"
    rgb, rgba = Image.fromarray(pixels), Image.fromarray(alpha)
    gray, bits = rgb.convert("L"), rgb.convert("1")
    palette = rgb.quantize(16)
    deep = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    beside = {"exif": exif.tobytes(), "icc_profile": srgb()}
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

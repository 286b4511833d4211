"""Image files in a TensorFlow graph: what may be decoded is decided by headers, before it is."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

__all__ = ["decode"]

# Passes over the picture that a JPEG may ask for; progressive ones have about ten.
MOST_SCANS = 64
# Compressed texts in a PNG. Each becomes up to 8 MB, which libpng unpacks and keeps.
MOST_TEXTS = 8
FORMATS = "a PNG, JPEG, WebP or BMP file of one frame"


def decode(content: Any, pixel_limit: int) -> Any:
    """Decodes a PNG, JPEG, BMP, or WebP file that is not animated.

    GIF is refused: TensorFlow decodes every frame of one, of whatever size, to give the first.

    Args:
        content: string, a file.
        pixel_limit: largest number of pixels.

    Returns:
        uint8 `[H, W, C]`, C 1 to 4: gray, gray and opacity, RGB, RGBA. What is refused or cannot
        be decoded fails with InvalidArgument.
    """
    height, width = _size(content)
    checks = [
        _check(height >= 0, f"expected {FORMATS}, received another"),
        _check(
            tf.logical_and(height * width <= pixel_limit, tf.minimum(height, width) != 0),
            f"expected an image of 1 to {pixel_limit} pixels, received", width, "x", height,
        ),
        _check(
            tf.logical_or(~_begins(content, b"\xff\xd8\xff"),
                          _count(content, b"\xff\xda") <= MOST_SCANS),
            f"expected a JPEG of at most {MOST_SCANS} scans",
        ),
        _check(
            tf.logical_or(
                ~_begins(content, b"\x89PNG"),
                _count(content, b"zTXt") + _count(content, b"iTXt") <= MOST_TEXTS,
            ),
            f"expected a PNG of at most {MOST_TEXTS} texts that may be compressed",
        ),
    ]  # fmt: skip
    with tf.control_dependencies([each for each in checks if each is not None]):
        content = tf.identity(content)
    pixels = tf.cond(
        _begins(content, b"WEBP", 8),
        # decode_image drops WebP's opacity.
        lambda: tf.io.decode_webp(content)[0],
        lambda: tf.io.decode_image(content, channels=0, expand_animations=False),
    )
    pixels.set_shape([None, None, None])
    return pixels


def _check(holds: Any, *told: Any) -> Any:
    return tf.debugging.Assert(holds, [*told])


def _begins(content: Any, magic: bytes, at: int = 0) -> Any:
    return tf.strings.substr(_padded(content), at, len(magic)) == magic


def _count(content: Any, pattern: bytes) -> Any:
    """Returns how often bytes occur in a file; in what is packed they hardly do by chance."""
    data = tf.io.decode_raw(_padded(content), tf.uint8)
    places = tf.shape(data)[0] - len(pattern) + 1
    found = tf.ones([places], tf.bool)
    for i, byte in enumerate(pattern):
        found &= data[i : i + places] == byte
    return tf.math.count_nonzero(found)


def _size(content: Any) -> tuple[Any, Any]:
    """Reads (height, width), int64, from a file's header; -1 of what is not decoded here."""
    header = tf.io.decode_raw(tf.strings.substr(_padded(content), 0, 32), tf.uint8)
    header = tf.cast(header, tf.int64)

    def number(first: int, count: int, order: int = 1) -> Any:
        places = range(count)[::order]
        return tf.add_n([header[first + i] * 256**place for i, place in enumerate(places)])

    def jpeg() -> Any:
        return tf.cast(tf.image.extract_jpeg_shape(content)[:2], tf.int64)

    def webp(kind: bytes) -> Any:
        return _begins(content, b"WEBP" + kind, 8)

    half = 2**14  # VP8 and VP8L have 14 bits a side
    still = tf.logical_and(webp(b"VP8X"), header[20] // 2 % 2 == 0)
    cases = [
        (_begins(content, b"\x89PNG"), lambda: [number(20, 4, -1), number(16, 4, -1)]),
        (_begins(content, b"\xff\xd8\xff"), lambda: tf.unstack(jpeg(), 2)),
        (_begins(content, b"BM"), lambda: [_signed_magnitude(number(22, 4)), number(18, 4)]),
        (still, lambda: [1 + number(27, 3), 1 + number(24, 3)]),
        (webp(b"VP8L"), lambda: [1 + number(21, 4) // half % half, 1 + number(21, 4) % half]),
        (webp(b"VP8 "), lambda: [number(28, 2) % half, number(26, 2) % half]),
    ]
    other = tf.constant(-1, tf.int64)
    height, width = tf.case(cases, default=lambda: [other, other])
    return height, width


def _padded(content: Any) -> Any:
    """A file's bytes, at least 32 of them."""
    return tf.strings.join([content, b"\0" * 32])


def _signed_magnitude(value: Any) -> Any:
    """A BMP whose rows run downwards has a negative height, in 32 bits."""
    return tf.where(value >= 2**31, 2**32 - value, value)

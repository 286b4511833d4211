"""Colours of films: which matrix and range, to RGB and back."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from keras_perceptual.errors import FilmError
from keras_perceptual.files.video.codecs import Layout, layout
from keras_perceptual.files.video.containers import pyav

__all__ = ["Colour", "FromRGB", "ToRGB", "colour_of"]

# FFmpeg's numbers (ITU-T H.273): of matrices, and what its converter calls each.
_RGB, _BT709, _UNKNOWN, _BT601 = 0, 1, 2, 6
_MATRICES = {_BT709: 1, 4: 4, 5: 5, _BT601: 5, 7: 7, 9: 9}
_LIMITED, _FULL = 1, 2
_HDR = {16: "PQ", 18: "HLG"}
_SD = 576  # lines up to which a film that does not say so is taken for BT.601, as players do


class Colour(NamedTuple):
    """How a film's numbers stand for colours, in the numbers of ITU-T H.273.

    Args:
        matrix: between RGB and luma and chroma.
        range: 1 limited, 2 full.
        primaries: of the display.
        transfer: the curve.
    """

    matrix: int
    range: int
    primaries: int
    transfer: int

    @property
    def converter(self) -> int:
        """What FFmpeg's converter calls the matrix."""
        return _MATRICES.get(self.matrix, _MATRICES[_BT709])


def colour_of(name: str, frame: Any) -> Colour:
    """Returns what a frame's numbers stand for.

    Args:
        name: of the film, for messages.
        frame: PyAV's.

    Raises:
        FilmError: if they are of high dynamic range, or of a matrix that is not known here.
    """
    if frame.color_trc in _HDR:
        raise FilmError(
            f"{name}: is of high dynamic range ({_HDR[frame.color_trc]}), which the models were "
            "not made for; convert it to BT.709 first"
        )
    rgb, matrix = layout(frame.format).rgb, frame.colorspace
    if rgb or matrix == _UNKNOWN:
        # What is written says what was taken: enlarged, it would be taken for another.
        large = rgb or frame.height > _SD or frame.width > 2 * _SD
        matrix = _BT709 if large else _BT601
    if matrix not in _MATRICES:
        raise FilmError(
            f"{name}: expected colours of BT.601, BT.709 or BT.2020, received matrix {matrix} of "
            "ITU-T H.273"
        )
    full = rgb or frame.color_range == _FULL or frame.format.name.startswith("yuvj")
    return Colour(matrix, _FULL if full else _LIMITED, frame.color_primaries, frame.color_trc)


# Names of packed RGB, by bytes of a level and whether there is opacity.
_PACKED = {(1, 0): "rgb24", (1, 1): "rgba", (2, 0): "rgb48le", (2, 1): "rgba64le"}


class _Converter:
    def __init__(self) -> None:
        av = pyav("films")
        ways = av.video.reformatter.Interpolation
        self._flags = ways.BICUBIC | ways.FULL_CHR_H_INP | ways.FULL_CHR_H_INT | ways.ACCURATE_RND
        self._reformatter = av.video.reformatter.VideoReformatter()


class ToRGB(_Converter):
    """Turns frames to RGB.

    Args:
        colour: of the frames.
        has: what they hold.
    """

    def __init__(self, colour: Colour, has: Layout) -> None:
        super().__init__()
        self._colour = colour
        self._name = _PACKED[1 + (has.depth > 8), int(has.alpha)]

    def __call__(self, frame: Any) -> np.ndarray:
        """Returns a frame's pixels, `[H, W, 3 or 4]` uint8 or uint16."""
        rgb = self._reformatter.reformat(
            frame,
            format=self._name,
            src_colorspace=self._colour.converter,
            src_color_range=self._colour.range,
            dst_colorspace=self._colour.converter,
            dst_color_range=_FULL,
            interpolation=self._flags,
            threads=1,
        )
        return rgb.to_ndarray()


class FromRGB(_Converter):
    """Turns RGB to frames.

    Args:
        colour: of the frames.
        name: of their pixel format.

    Attributes:
        colour: how it is written.
    """

    def __init__(self, colour: Colour, name: str) -> None:
        super().__init__()
        av = pyav("films")
        self._frame = av.VideoFrame
        self._name, self._converter = name, colour.converter
        rgb = layout(av.VideoFormat(name, 2, 2)).rgb
        self.colour = colour._replace(matrix=_RGB, range=_FULL) if rgb else colour

    def __call__(self, pixels: np.ndarray) -> Any:
        """Returns a frame of pixels, `[H, W, 3 or 4]` uint8 or uint16."""
        height, width, channels = pixels.shape
        frame = self._frame(width, height, _PACKED[pixels.itemsize, channels - 3])
        (plane,) = frame.planes  # whose rows are longer than the converter reads at a time
        strides = (plane.line_size, channels * pixels.itemsize, pixels.itemsize)
        np.ndarray(pixels.shape, pixels.dtype, plane, strides=strides)[:] = pixels
        colour = self.colour
        frame.color_range = _FULL
        made = self._reformatter.reformat(
            frame,
            format=self._name,
            src_colorspace=self._converter,
            src_color_range=_FULL,
            dst_colorspace=self._converter,
            dst_color_range=colour.range,
            interpolation=self._flags,
            threads=1,
        )
        made.colorspace, made.color_range = colour.matrix, colour.range
        made.color_primaries, made.color_trc = colour.primaries, colour.transfer
        return made

"""Codecs that films are written in, their settings, and the pixel formats that they have."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras_perceptual.errors import FilmError
from keras_perceptual.files.video.containers import Container, pyav

__all__ = ["CODECS", "Codec", "Layout", "chosen_codec", "layout", "pixel_format"]


class Codec(NamedTuple):
    """How films are coded.

    Args:
        encoder: FFmpeg's.
        factor: what the encoder calls quality, at 95 of 100, and how much one less adds; the
            largest value.
        lossless: its options for no loss at all; None where it always loses something.
        options: others.
        whole: whether both sides must be even where chroma has half their pixels.
        alpha: whether it keeps opacity.
        least: pixels a side of the smallest frames; x265 writes beside its memory below.
        tag: that MP4 and QuickTime files have for it, where players know no other.
    """

    encoder: str
    factor: tuple[str, float, float, int] | None
    lossless: dict[str, str] | None
    options: dict[str, str]
    whole: bool = True
    alpha: bool = False
    least: int = 1
    tag: str = ""

    def settings(self, quality: int | None, name: str) -> dict[str, str]:
        """Returns the encoder's options.

        Args:
            quality: 1 to 100; None loses nothing.
            name: of the film, for messages.

        Raises:
            FilmError: if nothing may be lost and the codec always loses something.
        """
        if quality is None:
            if self.lossless is None:
                raise FilmError(f"{name}: {self.encoder} always loses something; ffv1 does not")
            return {**self.options, **self.lossless}
        if self.factor is None:
            return dict(self.options)
        option, best, step, most = self.factor
        value = min(most, max(1, round(best + (95 - quality) * step)))
        return {**self.options, option: str(value)}


_X265 = "log-level=none"
CODECS = {
    # With the look-ahead that "superfast" lacks, files are about as small as those of "veryfast".
    "h264": Codec(
        "libx264",
        ("crf", 17, 0.4, 51),
        {"qp": "0"},
        {"preset": "superfast", "x264-params": "mbtree=1:rc-lookahead=10"},
    ),
    "hevc": Codec(
        "libx265",
        ("crf", 19, 0.4, 51),
        {"x265-params": f"{_X265}:lossless=1"},
        {"preset": "veryfast", "x265-params": _X265},
        least=64,
        tag="hvc1",
    ),
    "av1": Codec("libsvtav1", ("crf", 22, 0.45, 63), None, {"preset": "8"}),
    "vp9": Codec(
        "libvpx-vp9",
        ("crf", 22, 0.45, 63),
        {"lossless": "1"},
        {"b": "0", "deadline": "good", "cpu-used": "5", "row-mt": "1"},
        whole=False,
        alpha=True,
    ),
    "ffv1": Codec("ffv1", None, {}, {"level": "3", "slicecrc": "1"}, False, True),
    "prores": Codec("prores_ks", ("qscale", 4, 0.5, 40), None, {"vendor": "apl0"}, False, True),
}


class Layout(NamedTuple):
    """What a pixel format holds.

    Args:
        depth: bits of a level.
        across: pixels that share a chroma sample, from left to right.
        down: and from top to bottom.
        rgb: whether it holds red, green and blue.
        gray: whether it has no colour.
        alpha: whether it has opacity.
    """

    depth: int
    across: int
    down: int
    rgb: bool
    gray: bool
    alpha: bool


def layout(form: Any) -> Layout:
    """Returns what one of PyAV's `VideoFormat` holds."""
    parts = form.components
    gray = len(parts) < 3 and not form.has_palette
    alpha = any(each.is_alpha for each in parts)
    across = down = 1
    if not form.is_rgb and not gray:
        across, down = (1024 // side(1024) for side in (form.chroma_width, form.chroma_height))
    depth = 8 if form.has_palette else max(each.bits for each in parts)
    return Layout(depth, across, down, form.is_rgb or form.has_palette, gray, alpha)


def pixel_format(codec: Codec, wanted: Layout) -> str:
    """Returns the codec's pixel format that keeps most of another, and adds least to it."""
    av = pyav(codec.encoder)
    best: tuple[tuple[int, ...], str] | None = None
    for form in av.codec.Codec(codec.encoder, "w").video_formats or ():
        name = form.name
        if name.startswith(("yuvj", "nv")) or "f16" in name or "f32" in name or form.has_palette:
            continue
        has = layout(form)
        lost = (
            (wanted.alpha and codec.alpha) != has.alpha,
            has.gray and not wanted.gray,
            max(0, wanted.depth - has.depth),
            max(0, has.across - wanted.across) + max(0, has.down - wanted.down),
            has.rgb != wanted.rgb,
        )
        added = (
            wanted.gray and not has.gray,
            max(0, has.depth - wanted.depth),
            max(0, wanted.across - has.across) + max(0, wanted.down - has.down),
        )
        order = tuple(map(int, lost + added))
        if best is None or order < best[0]:
            best = order, name
    assert best is not None
    return best[1]


def chosen_codec(name: str, codec: str | None, container: Container, alpha: bool) -> str:
    """Returns the name of the codec that a film gets.

    Args:
        name: of the film that is written, for messages.
        codec: what was asked for; None takes the container's usual one.
        container: of the film.
        alpha: whether it has opacity.

    Raises:
        FilmError: if there is no such codec, or the container does not hold it.
    """
    if codec is None:
        return (container.alpha if alpha else "") or container.codecs[0]
    if codec not in CODECS:
        raise FilmError(f"{name}: expected a codec of {', '.join(CODECS)}, received {codec}")
    if codec not in container.codecs:
        raise FilmError(
            f"{name}: such files hold {', '.join(container.codecs)}, received {codec}; "
            ".mkv holds any"
        )
    return codec

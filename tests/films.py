"""Films for tests, made by PyAV."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np

TICK = Fraction(1, 12800)
STEP = 512  # ticks of a frame


def pattern(number, width=48, height=32):
    """A frame of a moving pattern, smooth enough for chroma of half the size."""
    y, x = np.mgrid[:height, :width]
    waves = (2 * x + 3 * y + 5 * number, 3 * x - y + 3 * number, x + 2 * y - 4 * number)
    return np.stack([127 + 80 * np.sin(w / 17) for w in waves], -1).round().astype(np.uint8)


def make(
    path,
    frames=12,
    *,
    times=None,
    codec="libx264",
    form="yuv420p",
    tick=TICK,
    sound=False,
    rotation=None,
    options=None,
    convert=None,
    chapters=(),
    **context,
):
    """Writes a film.

    Args:
        path: its file.
        frames: their number, or RGB pictures.
        times: when each is shown, in ticks.
        sound: whether there is a sine.
        rotation: (degrees, mirrored) of the display matrix.
        convert: from a picture to the frame; by default FFmpeg's.
        context: attributes of the encoder.
    """
    import av

    pictures = [pattern(i) for i in range(frames)] if isinstance(frames, int) else frames
    times = times or [STEP * i for i in range(len(pictures))]
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "A film"
        stream = container.add_stream(codec, rate=25, options=options or {})
        first = pictures[0] if pictures else pattern(0)
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = form
        stream.time_base = stream.codec_context.time_base = tick
        for name, value in context.items():
            setattr(stream.codec_context, name, value)
        if rotation:
            stream.set_display_rotation(*rotation)
        if chapters:
            container.set_chapters(
                [
                    {"id": i, "start": a, "end": b, "time_base": Fraction(1, 1000),
                     "metadata": {"title": f"{i}"}}
                    for i, (a, b) in enumerate(itertools.pairwise(chapters))
                ]
            )  # fmt: skip
        voice = _voice(container) if sound else None
        container.start_encoding()
        for picture, pts in zip(pictures, times, strict=True):
            frame = (convert or _frame)(picture, form)
            frame.pts, frame.time_base = pts, tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if voice:
            _sing(container, voice, float(times[-1] * tick) + 0.04)
    return path


def _frame(picture, form):
    import av

    packed = "rgb24" if picture.shape[2] == 3 else "rgba"
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), packed).reformat(format=form)


def _voice(container):
    stream = container.add_stream("aac", rate=48000)
    stream.layout = "mono"
    return stream


def _sing(container, stream, seconds):
    import av

    wave = np.sin(np.arange(int(48000 * seconds)) * 2 * np.pi * 440 / 48000).astype(np.float32)
    for first in range(0, len(wave) - 1024, 1024):
        frame = av.AudioFrame.from_ndarray(wave[None, first : first + 1024], "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, first, Fraction(1, 48000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def times_of(path):
    """Seconds at which frames are shown."""
    import av

    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def packets_of(path, kind):
    """Bytes, and times in seconds, of a stream that was copied."""
    import av

    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        return [
            (bytes(packet), packet.pts * packet.time_base)
            for packet in container.demux(stream)
            if packet.size
        ]


def pictures_of(path):
    import av

    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def damage(source: Path, target: Path, number: int):
    """Copies a film, one of its packets overwritten."""
    import av

    with av.open(str(source)) as read, av.open(str(target), "w") as write:
        stream = read.streams.video[0]
        copy = write.add_stream_from_template(stream, opaque=True)
        for count, packet in enumerate(p for p in read.demux(stream) if p.size):
            if count == number:
                broken = av.Packet(b"\xff" * packet.size)
                broken.pts, broken.dts = packet.pts, packet.dts
                broken.time_base = packet.time_base
                packet = broken
            packet.stream = copy
            write.mux(packet)

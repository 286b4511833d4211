"""Films: what is read of them, and what of them is refused."""

from __future__ import annotations

import itertools
import json
import os
import random
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from keras_perceptual.errors import FilmError
from keras_perceptual.files.video import containers, joiner
from keras_perceptual.files.video.codecs import CODECS, chosen_codec, layout, pixel_format
from keras_perceptual.files.video.encoder import Coding, Encoder
from keras_perceptual.files.video.parts import open_parts
from keras_perceptual.files.video.reader import open_film
from tests import films

av = pytest.importorskip("av")

# Weights of red and blue in luma, by the number of the matrix in ITU-T H.273.
WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


def _yuv(rgb, matrix, full, most=255):
    """Y, Cb and Cr as the standards define them."""
    red, blue = WEIGHTS[matrix]
    rgb = rgb / 255
    y = rgb @ [red, 1 - red - blue, blue]
    chroma = [(rgb[..., 2] - y) / (2 - 2 * blue), (rgb[..., 0] - y) / (2 - 2 * red)]
    unit = (most + 1) / 256
    if full:
        return [y * most, *(c * most + 128 * unit for c in chroma)]
    return [(y * 219 + 16) * unit, *((c * 224 + 128) * unit for c in chroma)]


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", WEIGHTS)
def test_colours_of_every_matrix_and_range(tmp_path, rng, matrix, full, deep):
    picture = rng.integers(0, 256, (16, 24, 3)).astype(np.uint8)
    form, most = ("yuv444p10le", 1023) if deep else ("yuv444p", 255)

    def exact(rgb, form):
        frame = av.VideoFrame(24, 16, form)
        kind = np.uint16 if deep else np.uint8
        for plane, values in zip(frame.planes, _yuv(rgb, matrix, full, most), strict=True):
            strides = (plane.line_size, kind().itemsize)
            rows = np.ndarray((16, 24), kind, plane, strides=strides)
            rows[:] = np.clip(values, 0, most).round()
        return frame

    path = films.make(
        tmp_path / "a.mkv", [picture] * 2, codec="ffv1", form=form, convert=exact,
        colorspace=matrix, color_range=1 + full,
    )  # fmt: skip
    film = open_film(str(path))
    assert (film.colour.matrix, film.colour.range) == (matrix, 1 + full)
    frames = [frame.pixels for frame in film.frames()]
    assert frames[0].dtype == (np.uint16 if deep else np.uint8)
    unit = 257 if deep else 1
    assert np.abs(frames[0].astype(int) - picture.astype(int) * unit).max() <= 2 * unit
    coding = Coding("b", "ffv1", None, 24, 16, film.rate, film.has, film.colour, None, threads=1)
    with Encoder(tmp_path / "b.mkv", coding) as encoder:
        encoder.write(frames[0])
    again = open_film(str(tmp_path / "b.mkv"))
    assert (again.colour, again.has) == (film.colour, film.has)
    (frame,) = again.frames()
    assert np.abs(frame.pixels.astype(int) - frames[0]).max() <= 2 * unit


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="no scheduling policies")
def test_an_encoder_leaves_threads_their_priority(tmp_path, rng):
    """SVT-AV1 makes them real-time ones for root."""
    pictures = [rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)] * 2
    film = open_film(str(films.make(tmp_path / "a.mkv", pictures)))
    coding = Coding("b", "av1", 80, 64, 64, film.rate, film.has, film.colour, None)
    with Encoder(tmp_path / "b.mkv", coding) as encoder:
        encoder.write(pictures[0])
        threads = map(int, os.listdir("/proc/self/task"))
        assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_OTHER}


@pytest.mark.parametrize(("lines", "matrix"), [(96, 6), (720, 1)])
def test_a_film_that_does_not_say_its_matrix(tmp_path, lines, matrix):
    film = open_film(str(films.make(tmp_path / "a.mp4", [films.pattern(0, 64, lines)])))
    assert film.colour[:2] == (matrix, 1)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
def test_turned_films_come_upright(tmp_path, degrees, mirrored):
    path = films.make(
        tmp_path / "a.mov", 2, codec="prores_ks", form="yuv444p10le", rotation=(degrees, mirrored)
    )
    film = open_film(str(path))
    (stored, *_) = films.pictures_of(path)
    # PyAV: mirrored after it was turned to the left by so many degrees.
    expected = np.rot90(stored, degrees // 90 % 4)
    expected = expected[:, ::-1] if mirrored else expected
    frame = next(film.frames())
    assert frame.pixels.shape[:2] == (film.height, film.width)
    assert np.abs(frame.pixels / 257 - expected).max() < 3


def test_what_a_film_is(tmp_path):
    path = films.make(
        tmp_path / "a.mp4", 9, form="yuv422p10le", sample_aspect_ratio=Fraction(16, 15)
    )
    film = open_film(str(path))
    assert (film.width, film.height, film.length, film.rate) == (48, 32, 9, 25)
    assert film.aspect == Fraction(16, 15)
    assert film.has[:3] == (10, 2, 1)


def test_frames_from_anywhere(tmp_path):
    path = films.make(tmp_path / "a.mp4", 200, options={"g": "40"})
    film = open_film(str(path))
    whole = list(film.frames())
    assert [frame.pts for frame in whole] == [512 * i for i in range(200)]
    assert {frame.duration for frame in whole} == {512}
    for after in (0, 512 * 77, 512 * 198):
        rest = list(film.frames(after=after))
        assert [f.pts for f in rest] == [f.pts for f in whole if f.pts > after]
        assert np.array_equal(rest[0].pixels, whole[after // 512 + 1].pixels)
    part = list(film.frames(start=Fraction(1), end=Fraction(2)))
    assert [f.pts for f in part] == [512 * i for i in range(25, 50)]


def _sound_only(path):
    with av.open(str(path), "w") as container:
        voice = films._voice(container)
        films._sing(container, voice, 0.5)


def _no_frames(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height = 64, 48
        container.start_encoding()


REFUSED = {
    "text.mp4": (lambda p: p.write_text("not a film"), "cannot be read as a film"),
    "missing.mp4": (lambda p: None, "no such file"),
    "folder.mp4": (Path.mkdir, "is a folder"),
    "sound.mp4": (_sound_only, "found no pictures"),
    "empty.mkv": (_no_frames, "film"),
    "pq.mkv": (lambda p: films.make(p, 2, color_trc=16), r"high dynamic range \(PQ\)"),
    "hlg.mkv": (lambda p: films.make(p, 2, color_trc=18), r"high dynamic range \(HLG\)"),
    "fields.mp4": (
        lambda p: films.make(p, 2, options={"flags": "+ildct+ilme", "x264-params": "tff=1"}),
        "is interlaced",
    ),
    "ycgco.mkv": (lambda p: films.make(p, 2, colorspace=8), "received matrix 8"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tmp_path, name):
    make, message = REFUSED[name]
    make(tmp_path / name)
    with pytest.raises(FilmError, match=message) as error:
        open_film(str(tmp_path / name))
    assert "\n" not in str(error.value)


def test_damage_is_passed_over(tmp_path):
    films.make(tmp_path / "a.mkv", 30, options={"g": "10", "bf": "0"})
    films.damage(tmp_path / "a.mkv", tmp_path / "b.mkv", 14)
    told: list[str] = []
    times = [frame.pts for frame in open_film(str(tmp_path / "b.mkv")).frames(told=told)]
    assert len(times) >= 29
    assert times == sorted(set(times))
    assert len(told) == 1
    assert "damaged" in told[0]


def test_a_film_that_breaks_off(tmp_path):
    films.make(tmp_path / "a.mkv", 100, options={"g": "10"})
    content = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "b.mkv").write_bytes(content[: len(content) // 2])
    told: list[str] = []
    frames = list(open_film(str(tmp_path / "b.mkv")).frames(told=told))
    assert 10 < len(frames) < 90
    assert "breaks off after" in " ".join(told)


def test_pixel_formats_are_kept_where_a_codec_has_them():
    def kept(codec, form):
        return pixel_format(CODECS[codec], layout(av.VideoFormat(form, 2, 2)))

    for form in ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "gray"):
        assert kept("h264", form) == form
    assert kept("h264", "yuvj420p") == "yuv420p"
    assert kept("h264", "nv12") == "yuv420p"
    assert kept("h264", "yuv420p12le") == "yuv420p10le"
    assert kept("h264", "rgb24") == "yuv444p"
    assert kept("h264", "yuva420p") == "yuv420p"
    assert kept("hevc", "yuv420p12le") == "yuv420p12le"
    assert kept("av1", "yuv444p10le") == "yuv420p10le"
    assert kept("ffv1", "yuva444p10le") == "yuva444p10le"
    assert kept("ffv1", "rgba") == "bgra"
    assert kept("prores", "yuv420p") == "yuv422p10le"
    assert kept("prores", "rgba") == "yuva444p10le"


def test_codecs_and_containers():
    assert chosen_codec("a.mp4", None, containers.container_of("a.MP4"), False) == "h264"
    assert chosen_codec("a.webm", None, containers.container_of("a.webm"), False) == "vp9"
    assert chosen_codec("a.mov", None, containers.container_of("a.mov"), True) == "prores"
    with pytest.raises(FilmError, match="such files hold vp9, av1, received h264"):
        chosen_codec("a.webm", "h264", containers.container_of("a.webm"), False)
    with pytest.raises(FilmError, match="expected an ending of"):
        containers.container_of("a.gif")
    with pytest.raises(FilmError, match="always loses something"):
        CODECS["prores"].settings(None, "a.mov")
    assert CODECS["h264"].settings(95, "")["crf"] == "17"
    assert CODECS["h264"].settings(1, "")["crf"] == "51"


def test_without_the_package(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(FilmError, match=r"a\.mp4: films need a package of their own: pip install"):
        open_film("a.mp4")


@pytest.mark.parametrize("depth", [0, 1, 2, 4])
def test_decoding_times_fit_any_order_of_storage(depth):
    choose = random.Random(depth)
    times = sorted(choose.sample(range(10_000), 60))
    stored = list(times)
    for first in range(0, 60, 5):  # segments, in each of which frames come up to `depth` too early
        part = stored[first : first + 5]
        for i in range(len(part) - 1):
            j = min(len(part) - 1, i + choose.randint(0, depth))
            part.insert(i, part.pop(j))
        stored[first : first + 5] = part
    decoded = joiner.decoding_times(stored, 40)
    assert all(a < b for a, b in itertools.pairwise(decoded))
    assert all(d <= s for d, s in zip(decoded, stored, strict=True))
    assert joiner.decoding_times([], 40) == []


def test_parts_of_a_film(tmp_path):
    target = tmp_path / "a.mp4"
    plan = {"source": ["a", 1]}
    state = {"statistics": np.arange(3)}

    def write(parts):
        parts.begin({"condition": [1, 2, 3]})
        parts.next_path.write_bytes(b"coded")
        parts.finish([(0, 1), (1, 1)], state)
        parts.next_path.write_bytes(b"half of some")  # as if it was killed here

    def stop():
        with open_parts(target, dict(plan), False) as parts:
            write(parts)
            with pytest.raises(FilmError, match="another process"), open_parts(target, {}, True):
                pass
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    other = open_parts(target, {"source": ["b", 1]}, True)
    with pytest.raises(FilmError, match="other settings"), other:
        pass
    with open_parts(target, dict(plan), True) as parts:
        assert parts.last == 1
        assert parts.plan["told"] == {"condition": [1, 2, 3]}
        assert np.array_equal(parts.finished[0].state["statistics"], state["statistics"])
        parts.begin({})
        assert not parts.next_path.exists()
        json.loads((parts.folder / "plan.json").read_text())
    assert list(tmp_path.iterdir()) == []
    with open_parts(target, dict(plan), True) as parts:
        assert not parts.finished

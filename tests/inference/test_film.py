"""Films in, films out."""

from __future__ import annotations

import itertools
import os
from fractions import Fraction
from functools import partial

import numpy as np
import pytest

from keras_perceptual import Stylizer, Upscaler
from keras_perceptual.errors import FilmError, ImageError
from keras_perceptual.inference import film as film_module
from keras_perceptual.inference.film import FilmProgress
from tests import films

av = pytest.importorskip("av")


@pytest.fixture(scope="module")
def copier():
    """Enlarges by nothing, so that frames come out as they went in."""
    return Upscaler(scale=1, threads=2)


@pytest.fixture
def short(monkeypatch):
    """Segments of five frames."""
    monkeypatch.setattr(film_module, "LENGTH", 5)


def _uneven(count):
    steps = np.random.default_rng(0).integers(100, 1500, count)
    return [int(t) for t in np.cumsum(steps) - steps[0]]


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9", "ffv1", "prores"])
def test_uneven_times_through_segments_of_every_codec(tmp_path, short, copier, codec):
    pictures = [films.pattern(i, 96, 64) for i in range(13)]
    source = films.make(tmp_path / "a.mp4", pictures, times=_uneven(13))
    target = tmp_path / ("b.mkv" if codec in ("ffv1", "prores") else "b.mp4")
    assert copier.upscale_file(source, target, codec=codec) == (64, 96)
    exact = films.times_of(source)
    tolerance = 0 if target.suffix == ".mp4" else Fraction(1, 2000)  # Matroska has milliseconds
    for before, after in zip(exact, films.times_of(target), strict=True):
        assert abs(after - before) <= tolerance
    with av.open(str(target)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    assert all(a.dts < b.dts for a, b in itertools.pairwise(packets))
    assert all(p.dts <= p.pts for p in packets)
    pairs = zip(films.pictures_of(source), films.pictures_of(target), strict=True)
    assert max(np.abs(a.astype(int) - b).mean() for a, b in pairs) < 8
    assert {*os.listdir(tmp_path)} == {"a.mp4", target.name}


def test_all_that_belongs_to_a_film_is_kept(tmp_path, copier):
    source = films.make(
        tmp_path / "a.mp4", 25, sound=True, chapters=(0, 400, 1000),
        sample_aspect_ratio=Fraction(16, 15), options={"bf": "2"},
    )  # fmt: skip
    for name in ("b.mp4", "b.mkv", "b.mov"):
        target = tmp_path / name
        copier.upscale_file(source, target)
        exact = name != "b.mkv"
        ours, theirs = (films.packets_of(path, "audio") for path in (source, target))
        assert [data for data, _ in ours] == [data for data, _ in theirs]
        off = max(abs(a - b) for (_, a), (_, b) in zip(ours, theirs, strict=True))
        assert off == 0 if exact else off <= Fraction(1, 2000)
        assert films.times_of(target)[:3] == films.times_of(source)[:3]
        with av.open(str(target)) as container:
            assert container.metadata["title"] == "A film"
            chapters = container.chapters()
            spans = [tuple(c[end] * c["time_base"] for end in ("start", "end")) for c in chapters]
            assert spans == [(0, Fraction(2, 5)), (Fraction(2, 5), 1)]
            assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 15)
            assert container.streams.video[0].index == 0


def test_subtitles_are_copied(tmp_path, copier):
    films.make(tmp_path / "a.mkv", 20)
    lines = "1\n00:00:00,100 --> 00:00:00,500\nhello\n\n"
    (tmp_path / "a.srt").write_text(lines)
    with (
        av.open(str(tmp_path / "a.mkv")) as film,
        av.open(str(tmp_path / "a.srt")) as text,
        av.open(str(tmp_path / "b.mkv"), "w") as both,
    ):
        copies = [
            both.add_stream_from_template(each.streams[0], opaque=True) for each in (film, text)
        ]
        copies[1].metadata["language"] = "ger"
        for source, copy in zip((film, text), copies, strict=True):
            for packet in [p for p in source.demux() if p.size]:
                packet.stream = copy
                both.mux(packet)
    notes: list[str] = []
    copier.upscale_file(tmp_path / "b.mkv", tmp_path / "c.mkv", noted=notes.append)
    assert films.packets_of(tmp_path / "c.mkv", "subtitles") == films.packets_of(
        tmp_path / "b.mkv", "subtitles"
    )
    with av.open(str(tmp_path / "c.mkv")) as container:
        assert container.streams.subtitles[0].language == "ger"
    assert not notes
    copier.upscale_file(tmp_path / "b.mkv", tmp_path / "c.avi", noted=notes.append)
    assert notes == ["left out, .avi has no place for it: subtitle srt"]


def test_ten_bits_stay_ten(tmp_path, copier):
    picture = np.tile(np.linspace(0, 1023, 64), (16, 1)).round().astype(np.uint16)

    def deep(_, form):
        frame = av.VideoFrame(64, 16, form)
        for plane, values in zip(frame.planes, (picture, 512, 512), strict=True):
            shape = (plane.height, plane.width)
            np.ndarray(shape, np.uint16, plane, strides=(plane.line_size, 2))[:] = values
        return frame

    source = films.make(
        tmp_path / "a.mkv", [np.zeros((16, 64, 3), np.uint8)] * 3, codec="ffv1",
        form="yuv420p10le", convert=deep, color_range=2,
    )  # fmt: skip
    copier.upscale_file(source, tmp_path / "b.mkv", codec="ffv1")
    with av.open(str(tmp_path / "b.mkv")) as container:
        frame = next(container.decode(video=0))
        assert (frame.format.name, frame.color_range) == ("yuv420p10le", 2)
        levels = np.ndarray(
            (16, 64), np.uint16, frame.planes[0], strides=(frame.planes[0].line_size, 2)
        )
        assert np.abs(levels.astype(int) - picture).max() <= 4
    copier.upscale_file(source, tmp_path / "c.mp4")
    with av.open(str(tmp_path / "c.mp4")) as container:
        assert container.streams.video[0].format.name == "yuv420p10le"


def test_opacity_is_kept_by_what_has_it(tmp_path, copier):
    rgba = np.dstack([films.pattern(0), np.tile(np.arange(48, dtype=np.uint8) * 5, (32, 1))])
    source = films.make(tmp_path / "a.mkv", [rgba] * 2, codec="ffv1", form="bgra")
    copier.upscale_file(source, tmp_path / "b.mkv")
    with av.open(str(tmp_path / "b.mkv")) as container:
        frame = next(container.decode(video=0))
        assert frame.format.name == "bgra"
        assert np.array_equal(frame.to_ndarray(format="rgba"), rgba)
    copier.upscale_file(source, tmp_path / "b.mp4")
    assert len(films.times_of(tmp_path / "b.mp4")) == 2


def test_odd_sizes_one_frame_and_a_turned_one(tmp_path, copier):
    odd = [films.pattern(i, 49, 33) for i in range(2)]
    source = films.make(tmp_path / "a.mkv", odd, codec="ffv1", form="bgr0", rotation=None)
    copier.upscale_file(source, tmp_path / "b.mkv", codec="ffv1")
    assert np.array_equal(films.pictures_of(tmp_path / "b.mkv"), odd)
    subsampled = films.make(tmp_path / "c.mkv", odd, codec="ffv1", form="yuv420p")
    copier.upscale_file(subsampled, tmp_path / "d.mp4")
    (first, _) = films.pictures_of(tmp_path / "d.mp4")
    assert first.shape == (34, 50, 3)  # H.264 has even sizes here: the last ones are repeated
    assert np.abs(first[:33, :49].astype(int) - films.pictures_of(subsampled)[0]).mean() < 8
    one = films.make(tmp_path / "e.mov", 1, rotation=(90, False))
    assert copier.upscale_file(one, tmp_path / "f.mp4") == (48, 32)
    with av.open(str(tmp_path / "f.mp4")) as container:
        (frame,) = container.decode(video=0)
        assert (frame.width, frame.height, frame.rotation) == (32, 48, 0)


def test_a_part_of_a_film(tmp_path, copier):
    source = films.make(tmp_path / "a.mp4", 75, sound=True, chapters=(0, 1500, 3000))
    copier.upscale_file(source, tmp_path / "b.mp4", start=1, end=2.5)
    times = films.times_of(tmp_path / "b.mp4")
    assert (times[0], times[-1], len(times)) == (0, Fraction(37 - 1, 25) + Fraction(1, 25), 38)
    sound = films.packets_of(tmp_path / "b.mp4", "audio")
    whole = films.packets_of(source, "audio")
    assert [data for data, _ in sound] == [data for data, at in whole if 0.978 < at < 2.5]
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert [c["end"] * c["time_base"] for c in container.chapters()] == [0.5, 1.5]
    with pytest.raises(FilmError, match="between --start and --end"):
        copier.upscale_file(source, tmp_path / "c.mp4", start=100)
    assert not (tmp_path / "c.mp4").exists()


def _stop_after(frames):
    def progress(done):
        if done.frames == frames:
            raise KeyboardInterrupt

    return progress


def test_a_stopped_run_goes_on(tmp_path, short, copier):
    source = films.make(tmp_path / "a.mp4", 23, times=_uneven(23))
    # Without loss: of films below 360 lines x264's look-ahead gives other bytes now and then.
    make = partial(copier.upscale_file, source, quality=None)
    make(tmp_path / "whole.mp4")
    target = tmp_path / "b.mp4"
    with pytest.raises(KeyboardInterrupt):
        make(target, _stop_after(13))
    assert not target.exists()
    with pytest.raises(FilmError, match="other settings; without --resume"):
        make(target, quality=50, resume=True)
    seen: list[FilmProgress] = []
    make(target, seen.append, resume=True)
    assert [each.frames for each in seen[:-1]] == list(range(11, 24))
    assert target.read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert {*os.listdir(tmp_path)} == {"a.mp4", "b.mp4", "whole.mp4"}
    with pytest.raises(KeyboardInterrupt):
        make(target, _stop_after(13))
    seen.clear()
    make(target, seen.append)
    assert seen[0].frames == 1
    assert seen[0].total == 23


def test_wrong_targets(tmp_path, copier):
    source = films.make(tmp_path / "a.mp4", 2)
    content = source.read_bytes()
    with pytest.raises(FilmError, match="is the input"):
        copier.upscale_file(source, source)
    with pytest.raises(FilmError, match="expected an ending of"):
        copier.upscale_file(source, tmp_path / "b.png")
    with pytest.raises(ImageError):
        copier.upscale_file(source, tmp_path)
    with pytest.raises(FilmError, match="expected a crop inside 48x32"):
        copier.upscale_file(source, tmp_path / "b.mp4", crop=(0, 0, 49, 1))
    with pytest.raises(FilmError, match="at least 64x64, received 48x32"):
        copier.upscale_file(source, tmp_path / "b.mp4", codec="hevc")
    uneven = films.make(tmp_path / "c.mp4", 5, times=_uneven(5))
    with pytest.raises(FilmError, match="uneven times, which AVI"):
        copier.upscale_file(uneven, tmp_path / "b.avi")
    assert source.read_bytes() == content
    assert not (tmp_path / "b.mp4").exists()
    assert not (tmp_path / "b.avi").exists()


def test_damaged_films_are_made_as_far_as_they_go(tmp_path, copier):
    films.make(tmp_path / "a.mkv", 30, options={"g": "10", "bf": "0"})
    films.damage(tmp_path / "a.mkv", tmp_path / "b.mkv", 14)
    notes: list[str] = []
    copier.upscale_file(tmp_path / "b.mkv", tmp_path / "c.mkv", noted=notes.append)
    assert "damaged" in notes[0]
    assert set(films.times_of(tmp_path / "c.mkv")) <= set(films.times_of(tmp_path / "a.mkv"))


def test_enlarged_frame_by_frame(tmp_path):
    source = films.make(tmp_path / "a.mkv", 5, codec="ffv1", form="bgr0")
    upscaler = Upscaler("x4-video", threads=2)
    frames = list(upscaler.frames(source, start=0.04))
    assert [frame.time for frame in frames] == [Fraction(i, 25) for i in range(4)]
    for number, frame in enumerate(frames, 1):
        assert np.array_equal(frame.pixels, upscaler.upscale(films.pattern(number)))
    upscaler.upscale_file(source, tmp_path / "b.mkv", codec="ffv1", crop=(8, 8, 20, 10))
    assert films.pictures_of(tmp_path / "b.mkv")[0].shape == (40, 80, 3)


def test_one_decision_for_a_film(tmp_path, monkeypatch):
    """A film whose first frames alone are clean is restored as a whole, or not at all."""
    noise = np.random.default_rng(0)
    texture = np.kron(noise.uniform(40, 215, (16, 24, 3)), np.ones((8, 8, 1)))
    dirty = [np.clip(texture + noise.normal(0, 12, texture.shape), 0, 255) for _ in range(40)]
    frames = [np.clip(texture, 0, 255)] * 3 + dirty
    source = films.make(
        tmp_path / "a.mkv", [f.round().astype(np.uint8) for f in frames], codec="ffv1", form="bgr0"
    )
    told = []
    upscaler = Upscaler(scale=2, threads=2)
    first = next(upscaler.frames(source, chosen=told.append))
    assert [each.restore for each in told] == [1.0]
    assert "noise" in told[0].reason
    alone = Upscaler(scale=2, threads=2, restore=1.0).upscale(frames[0].round().astype(np.uint8))
    assert np.array_equal(first.pixels, alone)


def test_a_painted_film_goes_on_as_if_it_had_not_stopped(tmp_path, short):
    stylizer = Stylizer("starry-night", threads=2)
    moving = np.concatenate([films.pattern(0, 80, 48), 255 - films.pattern(9, 80, 48)], 1)
    frames = [moving[:, 2 * i : 2 * i + 64] for i in range(8)]
    source = films.make(tmp_path / "a.mkv", frames, codec="ffv1", form="bgr0")
    whole, target = tmp_path / "whole.mkv", tmp_path / "b.mkv"
    stylizer.stylize_file(source, whole, codec="ffv1")
    with pytest.raises(KeyboardInterrupt):
        stylizer.stylize_file(source, target, _stop_after(6), codec="ffv1")
    stylizer.stylize_file(source, target, codec="ffv1", resume=True)
    assert np.array_equal(films.pictures_of(target), films.pictures_of(whole))


def test_a_gray_film_is_painted_in_colour(tmp_path):
    source = films.make(tmp_path / "a.mkv", 1, codec="ffv1", form="gray")
    Upscaler(scale=1).upscale_file(source, tmp_path / "b.mkv", codec="ffv1")
    Stylizer("starry-night", threads=2).stylize_file(source, tmp_path / "c.mkv", codec="ffv1")
    for name, form in (("b.mkv", "gray"), ("c.mkv", "yuv444p")):
        with av.open(str(tmp_path / name)) as container:
            assert container.streams.video[0].format.name == form

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import GifImagePlugin, Image, ImageSequence

from keras_perceptual.errors import ImageError
from keras_perceptual.files import animations, formats
from keras_perceptual.files.animations import read_frames, write_frames
from keras_perceptual.files.metadata import Metadata
from keras_perceptual.files.source import open_source
from tests.files.image_files import pillow, srgb

MOVING = ["gif", "png", "webp"]


@pytest.fixture
def frames():
    """Four frames of a square that moves, and a ground that goes in the third."""
    made = np.zeros((4, 40, 60, 4), np.uint8)
    for number, frame in enumerate(made):
        frame[5:25, 5 + 8 * number : 25 + 8 * number] = (200, 50 * number, 30, 255)
        if number != 2:
            frame[30:] = (0, 0, 255, 255)
    return made


def _same(found, expected, most):
    seen = expected[..., 3:] > 0
    difference = np.abs(found.astype(int) - expected) * seen
    assert np.array_equal(found[..., 3], expected[..., 3])
    assert difference.mean() <= most


@pytest.mark.parametrize("ending", MOVING)
@pytest.mark.parametrize("loop", [0, 1, 3])
def test_round_trip(tmp_path, frames, ending, loop):
    path = tmp_path / "new" / f"a.{ending}"
    durations = [100, 200, 50, 40]
    write_frames(path, formats.of(path), iter(frames), durations, loop=loop)
    animation = read_frames(path)
    assert (animation.width, animation.height, len(animation)) == (60, 40, 4)
    assert animation.durations == tuple(durations)
    assert animation.loop == loop
    for _ in range(2):  # as often as one likes
        for found, expected in zip(animation, frames, strict=True):
            _same(found, expected, 2 if ending == "webp" else 0)
    with open_source(path) as source:
        assert source.frames == 4
        _same(source.take(40), frames[0], 2 if ending == "webp" else 0)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", MOVING)
def test_frames_are_those_of_pillow(frames, ending):
    file = io.BytesIO()
    durations = [30, 30, 70, 30]
    write_frames(file, formats.of(f"a.{ending}"), frames, durations, loop=2)
    file.seek(0)
    with Image.open(file) as image:
        assert image.n_frames == 4
        assert image.info["loop"] == (1 if ending == "gif" else 2)
        for number, frame in enumerate(ImageSequence.Iterator(image)):
            _same(np.asarray(frame.convert("RGBA")), frames[number], 2 if ending == "webp" else 0)
            assert frame.info["duration"] == durations[number]


@pytest.mark.parametrize("codec", ["GIF", "PNG", "WEBP"])
def test_partial_frames_are_composed(frames, codec):
    """Pillow stores what changes from one frame to the next."""
    images = [Image.fromarray(frame[..., :3]) for frame in frames]
    more = {"save_all": True, "append_images": images[1:], "duration": 40}
    if codec == "WEBP":
        more["lossless"] = True
    for found, expected in zip(read_frames(pillow(images[0], codec, **more)), images, strict=True):
        assert np.array_equal(found[..., :3], np.asarray(expected))


def test_a_picture_before_the_animation_is_no_frame(frames):
    images = [Image.fromarray(frame) for frame in frames]
    data = pillow(images[0], "PNG", save_all=True, append_images=images[1:], default_image=True)
    animation = read_frames(data)
    assert len(animation) == 3
    for found, expected in zip(animation, frames[1:], strict=True):
        _same(found, expected, 0)


@pytest.mark.parametrize("ending", MOVING)
def test_a_still_file_has_one_frame(tmp_path, frames, ending):
    path = tmp_path / f"a.{ending}"
    Image.fromarray(frames[0]).save(path)
    (frame,) = read_frames(path)
    assert frame.shape == (40, 60, 4)


@pytest.mark.parametrize("ending", ["png", "webp"])
def test_metadata_is_carried(tmp_path, frames, ending):
    path = tmp_path / f"a.{ending}"
    profile = srgb()
    write_frames(path, formats.of(path), frames, [40] * 4, metadata=Metadata(icc_profile=profile))
    assert read_frames(path).metadata.icc_profile == profile


def test_a_gif_has_255_colours_and_clear_pixels(photographs):
    pixels = photographs[0]
    alpha = np.where(np.arange(pixels.shape[1]) < 20, 90, 200).astype(np.uint8)
    frame = np.dstack([pixels, np.broadcast_to(alpha, pixels.shape[:2])])
    file = io.BytesIO()
    write_frames(file, formats.of("a.gif"), [frame], [50])
    (found,) = read_frames(file.getvalue())
    assert np.array_equal(found[..., 3], np.where(frame[..., 3] < 128, 0, 255))
    difference = np.abs(found[..., :3].astype(int) - pixels)[:, 20:]
    assert difference.mean() < 8


def test_what_is_not_animated(tmp_path, frames):
    with pytest.raises(ImageError, match=r"a\.jpg: JPEG is not animated; \.gif, \.png or"):
        write_frames(tmp_path / "a.jpg", formats.of("a.jpg"), frames, [1] * 4)
    with pytest.raises(ImageError, match="stdin: expected an animation"):
        read_frames(pillow(Image.new("RGB", (4, 4)), "BMP"))
    with pytest.raises(ImageError, match="no such file"):
        read_frames(tmp_path / "none.gif")


def test_what_goes_wrong_leaves_nothing(tmp_path, frames):
    def broken():
        yield frames[0]
        raise ImageError("in.gif: cannot be read: broken")

    path = tmp_path / "a.webp"
    for ending in MOVING:
        path = tmp_path / f"a.{ending}"
        with pytest.raises(ImageError, match=r"in\.gif: cannot be read: broken"):
            write_frames(path, formats.of(path), broken(), [1] * 4)
        with pytest.raises(ImageError, match="expected 5 frames"):
            write_frames(path, formats.of(path), frames, [1] * 5)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("codec", ["GIF", "PNG", "WEBP"])
def test_broken_animations_are_seen_before_the_work(frames, codec):
    images = [Image.fromarray(frame) for frame in frames]
    data = pillow(images[0], codec, save_all=True, append_images=images[1:], duration=40)
    with pytest.raises(ImageError, match="stdin: cannot be read: "):
        read_frames(data[: len(data) * 2 // 3])


def test_too_large_animations(frames, monkeypatch):
    data = pillow(Image.new("L", (100, 80)), "GIF")
    with pytest.raises(ImageError, match=r"expected at most 0\.001 megapixels, received 100x80"):
        read_frames(data, most_pixels=1000)
    monkeypatch.setattr(animations, "MOST_PIXELS_IN_ALL", 7000)
    with pytest.raises(ImageError, match="gigapixels in all its frames, received 1 of 100x80"):
        read_frames(data)


def _gif(screen, *frames):
    """Makes a GIF of frames of one colour each: (left, top, width, height, colour, disposal)."""
    made = io.BytesIO()
    made.write(b"GIF89a" + struct.pack("<HHBBB", *screen, 0, 0, 0))
    for left, top, width, height, colour, disposal in frames:
        image = Image.new("P", (width, height), 0)
        image.putpalette(colour)
        for block in GifImagePlugin.getdata(
            image, (left, top), include_color_table=True, duration=50, disposal=disposal
        ):
            made.write(block)
    return made.getvalue() + b";"


RED, BLUE = (200, 0, 0), (0, 0, 200)


@pytest.mark.parametrize("disposal", [1, 2])
def test_frames_of_other_sizes_and_places_keep_them(disposal):
    animation = read_frames(_gif((8, 8), (0, 0, 8, 8, RED, disposal), (4, 2, 16, 10, BLUE, 1)))
    assert (animation.width, animation.height, len(animation)) == (20, 12, 2)
    first, second = animation
    assert (first[:8, :8] == [*RED, 255]).all()
    assert (first[8:] == 0).all()
    assert (first[:, 8:] == 0).all()
    assert (second[2:, 4:] == [*BLUE, 255]).all()
    assert (second[:8, :4, 3] == (255 if disposal == 1 else 0)).all()
    assert (second[8:, :4] == 0).all()


def test_frames_smaller_than_the_screen():
    animation = read_frames(_gif((30, 20), (10, 5, 8, 8, RED, 1), (0, 0, 4, 4, BLUE, 1)))
    first, second = animation
    assert first.shape == (20, 30, 4)
    assert (first[5:13, 10:18] == [*RED, 255]).all()
    assert first[..., 3].sum() == 64 * 255
    assert (second[:4, :4] == [*BLUE, 255]).all()
    assert second[..., 3].sum() == 80 * 255


def test_a_later_frame_larger_than_memory_allows():
    """Its screen is small: the place of every frame is looked at before any is decoded."""
    data = _gif((8, 8), (0, 0, 8, 8, RED, 1), (0, 0, 8, 8, BLUE, 1))
    at = data.rindex(b",\0\0\0\0\x08\0\x08\0")
    data = data[: at + 5] + struct.pack("<HH", 8000, 8000) + data[at + 9 :]
    with pytest.raises(
        ImageError, match=r"decoding 8000x8000 of GIF takes 1\.9 GB of memory, 0\.5"
    ):
        read_frames(data, memory=500_000_000)

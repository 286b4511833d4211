from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from keras_perceptual.files import images
from keras_perceptual.pixels.condition import Condition, inspect
from keras_perceptual.pixels.resampling import degrade
from keras_perceptual.pixels.rows import RowReader
from keras_perceptual.training.degradations import compressed, noisy
from tests import films, graphics
from tests.conftest import SAMPLES

NAMES = ("astronaut", "chelsea", "coffee", "rocket")


def _condition(image):
    return inspect(RowReader(image), *image.shape[:2])


@pytest.fixture(scope="module", params=NAMES)
def clean(request):
    """A photograph that lost its blocks and noise when it was reduced."""
    hr = images.read(SAMPLES / "HR" / f"{request.param}.png").pixels
    height, width = (side // 2 * 2 for side in hr.shape[:2])
    return degrade(hr[:height, :width], 2)


def test_a_clean_photograph_shows_nothing(clean):
    found = _condition(clean)
    assert found.blocks < 0.06
    assert found.webp_blocks < 0.06
    assert found.both_blocks == 0
    assert found.noise < 0.9
    assert found.colour_noise < 0.25
    assert found.quality is None


@pytest.mark.parametrize("offset", [(0, 0), (3, 6), (7, 1)])
@pytest.mark.parametrize(("quality", "subsampling"), [(40, 2), (75, 2), (90, 0), (95, 2)])
def test_jpeg_is_found_wherever_its_grid_begins(clean, quality, subsampling, offset):
    assert _condition(compressed(clean, quality, subsampling, offset)).blocks > 0.12


@pytest.mark.parametrize("quality", [8, 12, 20])
def test_strong_jpeg_is_found_though_its_own_blocks_have_no_high_frequencies(clean, quality):
    assert _condition(compressed(clean, quality, 2, (3, 6))).blocks > 0.3


@pytest.mark.parametrize("offset", [(0, 0), (3, 6)])
def test_webp_is_found_wherever_its_grid_begins(clean, offset):
    strong, middle, weak = (
        _condition(compressed(clean, quality, 2, offset, "WebP")).webp_blocks
        for quality in (50, 80, 92)
    )
    assert strong > 0.2
    assert strong > middle > 0.13
    assert weak < 0.1


@pytest.mark.parametrize("offset", [(0, 0), (3, 6)])
def test_an_avif_shows_both_grids(clean, offset):
    assert _condition(compressed(clean, 60, 2, offset, "AVIF")).both_blocks > 0.03


@pytest.mark.parametrize(("form", "quality"), [("JPEG", 95), ("WebP", 60), ("WebP", 95)])
def test_codes_of_one_grid_do_not_show_both(clean, form, quality):
    assert _condition(compressed(clean, quality, form=form)).both_blocks < 0.03


def test_frames_of_a_film_show_both_grids(clean, tmp_path):
    pytest.importorskip("av", reason="needs PyAV")
    height, width = (side // 2 * 2 for side in clean.shape[:2])
    frames = [np.roll(clean, shift, axis=1)[:height, :width] for shift in range(4)]
    film = films.make(tmp_path / "film.mp4", frames, options={"crf": "25"})
    for frame in films.pictures_of(film):
        assert _condition(frame).both_blocks > 0.04


def test_coarser_tables_show_more(clean):
    found = [_condition(compressed(clean, quality)).blocks for quality in (97, 90, 75)]
    assert found == sorted(found)


def test_noise_is_found(clean, rng):
    assert _condition(noisy(clean, 4.0, rng)).colour_noise > 0.8
    gray = _condition(noisy(clean, 8.0, rng, gray=True))
    assert gray.noise > 1.2
    assert gray.colour_noise < 0.35


def test_noise_of_sixteen_bits(clean, rng):
    noisier = noisy(clean, 6.0, rng)
    deep = _condition(noisier.astype(np.uint16) * 257)
    assert deep[:3] == pytest.approx(_condition(noisier)[:3], abs=1e-3)


def _drawn():
    rng = np.random.default_rng(0)
    palette = rng.integers(0, 256, (6, 3)).astype(np.uint8)
    art = palette[rng.integers(0, 6, (20, 30))]
    for factor in (1, 2, 4, 8):
        yield f"pixel art x{factor}", art.repeat(factor, 0).repeat(factor, 1)
    cells = Image.fromarray(art[:15, :20]).resize((20 * 32, 15 * 32), Image.Resampling.NEAREST)
    for side in (4, 8):  # reduced to cells as large as blocks of a WebP and a JPEG
        for way in ("BOX", "BILINEAR", "BICUBIC", "LANCZOS"):
            reduced = cells.resize((20 * side, 15 * side), Image.Resampling[way])
            yield f"pixel art {side} {way}", np.asarray(reduced.crop((3, 5, 160, 120)))
    for mode in ("1", "L"):  # without and with smooth edges
        image = Image.new("RGB", (200, 150), (250, 250, 240))
        draw = ImageDraw.Draw(image)
        draw.fontmode = mode
        for line in range(12):
            draw.text((3, 12 * line), "Sphinx of black quartz, judge 0123", (20, 20, 60))
        yield f"text {mode}", np.asarray(image)
    for colour in ("black", (0, 80, 200)):  # reduced, so that hardly a pixel is like the next
        image = Image.new("RGB", (600, 400), "white")
        draw = ImageDraw.Draw(image)
        for line in range(16):
            draw.text((8, 26 * line), "Sphinx of black quartz, judge " * 4, colour, font_size=20)
        yield f"small text {colour}", np.asarray(image.resize((300, 200), Image.Resampling.BICUBIC))
    y, x = np.mgrid[:128, :160]
    yield "checkerboard", np.repeat(((x + y) % 2 * 255)[..., None], 3, -1).astype(np.uint8)


DRAWN = {**graphics.drawn(), **dict(_drawn())}


@pytest.mark.parametrize("name", DRAWN)
def test_what_is_drawn_shows_nothing(name):
    found = _condition(DRAWN[name])
    assert found.blocks < 0.12
    assert found.webp_blocks < 0.12
    assert found.both_blocks == 0
    assert found.noise < 1.2
    assert found.colour_noise < 0.35


@pytest.mark.parametrize("size", [(1, 1), (15, 400), (400, 9), (16, 16)])
def test_any_size(rng, size):
    assert isinstance(_condition(rng.integers(0, 256, (*size, 3), dtype=np.uint8)), Condition)


def test_rows_are_taken_in_order_and_few_at_a_time(rng):
    """A large picture is never held; each row is asked for once at the most."""
    height, width, asked = 3000, 500, []

    def take(count):
        asked.append(count)
        return rng.integers(0, 256, (count, width, 4), dtype=np.uint8)

    inspect(take, height, width)
    assert max(asked) <= 256
    assert height - 128 <= sum(asked) <= height


def test_parts_lie_all_over():
    """Noise at the bottom is found though there is hardly any at the top."""
    rng = np.random.default_rng(0)
    image = noisy(np.full((1200, 1200, 3), 128, np.uint8), 0.7, rng)
    image[700:] = noisy(image[700:], 8.0, rng)
    assert _condition(image).colour_noise > 0.35


@pytest.mark.parametrize("size", [(26, 40), (48, 64), (64, 64)])
def test_small_pictures_are_not_taken_for_worn_ones(clean, rng, size):
    for _ in range(20):
        y, x = (
            int(rng.integers(0, whole - side))
            for whole, side in zip(clean.shape, size, strict=False)
        )
        assert _condition(clean[y : y + size[0], x : x + size[1]]).blocks == 0

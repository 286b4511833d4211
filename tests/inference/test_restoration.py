from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from keras_perceptual import Upscaler, zoo
from keras_perceptual.errors import ImageError
from keras_perceptual.files import images, open_source
from keras_perceptual.inference.restoration import condition_of, restoration
from keras_perceptual.inference.upscaler import CLEAN, RESTORED
from keras_perceptual.pixels.condition import Condition
from keras_perceptual.pixels.smooth import smooth
from keras_perceptual.training.degradations import compressed, noisy
from tests.conftest import SAMPLES


@pytest.fixture(scope="module")
def clean():
    return images.read(SAMPLES / "LRx4" / "coffee.png").pixels


@pytest.fixture(scope="module")
def upscaler():
    return Upscaler()


def _stored(image, form, **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, form, **options)
    return file.getvalue()


def _decided(upscaler, image):
    choices = []
    upscaler.upscale(image, chosen=choices.append)
    (choice,) = choices
    return choice


def test_a_clean_picture_gets_exactly_the_clean_model(upscaler, clean):
    choice = _decided(upscaler, clean)
    assert (choice.model, choice.restore, choice.reason) == ("x4-feature", 0, "")
    assert np.array_equal(upscaler.upscale(clean), Upscaler(restore=0).upscale(clean))


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_a_damaged_one_gets_the_restoring_model(clean, scale):
    damaged = compressed(clean, 60)
    native = min(each for each in (2, 4, 8) if each >= scale)
    choice = _decided(Upscaler(scale=scale), damaged)
    assert choice.model == f"x{native}-photo"
    assert choice.restore == 1
    assert choice.reason == "blocks of JPEG"


def test_of_two_passes_the_first_restores(clean):
    choice = _decided(Upscaler(scale=9), compressed(clean[:48, :48], 60))
    assert choice.model == "x2-photo + x8-feature"


def test_noise_is_a_reason(upscaler, clean, rng):
    assert _decided(upscaler, noisy(clean, 8.0, rng)).reason == "noise"


def test_tables_of_a_file_decide(clean):
    flat = np.full((40, 40, 3), 90, np.uint8)  # whose pixels show nothing
    with open_source(_stored(flat, "JPEG", quality=50)) as source:
        assert restoration(condition_of(source)) == (1.0, "JPEG of quality 50")
    with open_source(_stored(clean, "JPEG", quality=99, subsampling=0)) as source:
        assert restoration(condition_of(source)) == (0.0, "")
        assert source.take(1).shape == (1, clean.shape[1], 3)  # looking took nothing away
    before = compressed(clean, 40)
    with open_source(_stored(before, "JPEG", quality=99, subsampling=0)) as source:
        assert restoration(condition_of(source)) == (1.0, "blocks of JPEG")


@pytest.mark.parametrize(("quality", "scale", "restored"), [(92, 2, 1), (94, 2, 0), (94, 4, 1)])
def test_a_larger_scale_restores_a_better_jpeg(clean, quality, scale, restored):
    with open_source(_stored(clean, "JPEG", quality=quality)) as source:
        assert restoration(condition_of(source), scale)[0] == restored


@pytest.mark.parametrize(("quality", "scale", "restored"), [(60, 2, 1), (95, 2, 0), (60, 4, 1)])
def test_quantisers_of_a_webp_decide(clean, quality, scale, restored):
    with open_source(_stored(clean, "WebP", quality=quality)) as source:
        found = restoration(condition_of(source), scale)
        assert found == (restored, f"WebP of quality {source.quality}" if restored else "")


@pytest.mark.parametrize(("quality", "scale", "restored"), [(50, 2, 1), (60, 2, 0), (60, 4, 1)])
def test_the_quantiser_of_a_heic_decides(clean, quality, scale, restored):
    pytest.importorskip("pillow_heif").register_heif_opener()
    with open_source(_stored(clean, "HEIF", quality=quality)) as source:
        found = restoration(condition_of(source), scale)
    assert found == (restored, f"HEIC of quality {quality}" if restored else "")


@pytest.mark.parametrize(("quality", "scale"), [(94, 2), (96, 4), (94, 8)])
def test_blocks_of_a_good_jpeg_are_its_own(clean, quality, scale):
    with open_source(_stored(clean, "JPEG", quality=quality)) as source:
        found = condition_of(source)
    assert found.blocks > 0.2
    assert restoration(found, scale) == (0.0, "")


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "WebP"])
def test_pixels_decide_in_any_format(form, clean):
    options = {"lossless": True} if form == "WebP" else {}
    with open_source(_stored(compressed(clean, 60), form, **options)) as source:
        assert restoration(condition_of(source))[0] == 1


def test_what_was_a_webp_is_restored_but_not_for_its_own_blocks(clean):
    pixels = compressed(clean, 60, form="WebP")
    for form, options in (("PNG", {}), ("WebP", {"lossless": True}), ("JPEG", {"quality": 97})):
        with open_source(_stored(pixels, form, **options)) as source:
            assert restoration(condition_of(source)) == (1.0, "blocks of WebP")
    with open_source(_stored(clean, "WebP", quality=88)) as source:
        found = condition_of(source)
    assert restoration(found._replace(webp_blocks=0.3)) == (0.0, "")


def test_blocks_of_several_sizes_are_those_of_a_film():
    found = Condition(both_blocks=0.05)
    assert restoration(found) == (1.0, "blocks of a film, AVIF or HEIC")
    assert restoration(Condition(blocks=0.06, webp_blocks=0.05)) == (0.0, "")
    assert restoration(found._replace(quality=99)) == (0.0, "")


def test_both_reasons_are_told():
    found = Condition(noise=3.0, quality=80)
    assert restoration(found) == (1.0, "JPEG of quality 80 and noise")
    assert restoration(Condition()) == (0.0, "")


def test_the_dial_leads_from_one_to_the_other(clean):
    damaged = compressed(clean, 50)
    results = [
        Upscaler(restore=share, precision="float32", histogram_match="none")
        .upscale(damaged)
        .astype(float)
        for share in (0, 0.25, 1)
    ]
    mixed = 0.75 * results[0] + 0.25 * results[2]
    made = ~smooth(damaged, CLEAN).repeat(4, 0).repeat(4, 1)  # by networks
    assert np.abs(results[1] - mixed)[made].max() <= 1.01
    assert np.abs(results[2] - results[0]).mean() > 1


def test_the_ends_are_the_models_themselves(clean):
    for share, name, how in ((0, "x4-feature", CLEAN), (1, "x4-photo", RESTORED)):
        end, named = (
            Upscaler(**which, histogram_match="none").upscale(clean)
            for which in ({"restore": share}, {"model": name})
        )
        made = ~smooth(clean, how).repeat(4, 0).repeat(4, 1)  # by the network
        assert made.mean() > 0.9
        assert np.array_equal(end[made], named[made])


def test_a_model_that_is_named_is_used_as_it_is(clean):
    damaged = compressed(clean, 50)
    choice = _decided(Upscaler("x4-feature"), damaged)
    assert (choice.model, choice.restore) == ("x4-feature", 0)
    with pytest.raises(ValueError, match="expected restore or a model, received both"):
        Upscaler("x4-feature", restore=0.5)


@pytest.mark.parametrize("restore", [-0.1, 1.1, float("nan"), "some"])
def test_out_of_range(restore):
    with pytest.raises(ValueError, match=r"expected restore auto or 0 to 1"):
        Upscaler(restore=restore)


def test_fidelity_leads_to_the_pixel_model_of_each(clean):
    damaged = compressed(clean, 50)
    faithful = Upscaler(fidelity=1.0, histogram_match="none").upscale(damaged)
    expected = Upscaler("x4-photo-pixel", precision="float32", histogram_match="none").upscale(
        damaged
    )
    assert np.array_equal(faithful, expected)
    for name, partner in (
        ("x4-feature", "x4-pixel"),
        ("x4-gan", "x4-pixel"),
        ("x2-photo", "x2-photo-pixel"),
        ("x8-photo", "x8-photo-pixel"),
    ):
        assert zoo.faithful(zoo.descriptor(name)) == partner


def test_tiles_do_not_matter(clean):
    damaged = np.tile(compressed(clean, 60), (2, 2, 1))
    whole, cut = (
        Upscaler(memory=memory, histogram_match="none").upscale(damaged).astype(int)
        for memory in (None, 1)
    )
    assert np.abs(whole - cut).max() <= 1


@pytest.mark.parametrize("restore", [0, 0.5, 1])
def test_flat_parts_stay_exactly_flat(restore):
    image = np.full((40, 60, 3), (245, 240, 10), np.uint8)
    image[:, 30:] = (30, 60, 90)
    sr = Upscaler(restore=restore).upscale(image)
    away = 4 * 9  # from the edge between both
    assert (sr[:, : 120 - away] == image[0, 0]).all()
    assert (sr[:, 120 + away :] == image[0, -1]).all()
    assert (Upscaler(scale=3, restore=restore).upscale(image)[:, :60] == image[0, 0]).all()
    deep = Upscaler(restore=restore).upscale(image.astype(np.uint16) * 257 + 9)
    assert (deep[:, :84] == image[0, 0].astype(np.uint16) * 257 + 9).all()


def test_a_block_that_jpeg_made_flat_is_no_flat_part():
    steps = np.arange(0, 128, 2, np.uint8).reshape(8, 8).repeat(8, 0).repeat(8, 1)
    image = np.repeat(steps[..., None] + 60, 3, -1)
    restored, plain = (
        Upscaler(model, **options, histogram_match="none").upscale(image)
        for model, options in ((None, {"restore": 1}), ("x4-photo", {}))
    )
    assert np.array_equal(restored, plain)


def test_the_first_frame_decides_for_an_animation(clean, tmp_path):
    frames = [Image.fromarray(each) for each in (clean, compressed(clean, 30))]
    frames[0].save(
        tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True, duration=80
    )
    choices = []
    Upscaler().upscale_file(
        tmp_path / "a.webp", tmp_path / "b.webp", frames=True, chosen=choices.append
    )
    assert [choice.model for choice in choices] == ["x4-feature"]


def test_the_quality_of_an_animation_decides(clean, tmp_path):
    frame = Image.fromarray(clean)
    frame.save(tmp_path / "a.webp", save_all=True, append_images=[frame.rotate(9)], quality=60)
    choices = []
    Upscaler().upscale_file(
        tmp_path / "a.webp", tmp_path / "b.webp", frames=True, chosen=choices.append
    )
    (choice,) = choices
    assert choice.model == "x4-photo"
    assert choice.reason.startswith("WebP of quality")


def test_a_file_that_breaks_off_is_told_once(clean, tmp_path):
    content = _stored(clean, "PNG")
    (tmp_path / "a.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageError, match=r"a\.png"):
        Upscaler().upscale_file(tmp_path / "a.png", tmp_path / "b.png")
    assert not (tmp_path / "b.png").exists()

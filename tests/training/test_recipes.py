from __future__ import annotations

import pytest

from keras_perceptual.training import Recipe, get_recipe


def test_default_recipe_is_the_shipped_one():
    recipe = get_recipe("x4-feature")
    assert recipe.start == "x4-pixel"
    assert get_recipe("paper_x4").steps == 200_000
    with pytest.raises(ValueError, match="received 'x5'"):
        get_recipe("x5")


@pytest.mark.parametrize(
    "bad",
    [
        {"steps": 0}, {"ema": 1.0}, {"shrink": 0.0}, {"decay": "step"}, {"grain": 256.0},
        {"clipping": 0.5}, {"learning_rate": 0.0}, {"patch_size": 33}, {"damage": {"rain": 1.0}},
        {"damage": {"noise": 1.0}, "blur": 1.0}, {"loss": {"stability": 1.0}, "patch_size": 64},
        {"discriminator": "pixels"}, {"patches": 0}, {"discriminator": "unet", "patch_size": 36},
    ],
)  # fmt: skip
def test_numbers_out_of_range(bad):
    with pytest.raises(ValueError, match="expected"):
        get_recipe("x4-pixel", **bad)


def test_a_recipe_outlives_json():
    recipe = get_recipe("x4-photo-pixel")
    assert recipe.damage
    assert Recipe(**recipe.to_dict()) == recipe

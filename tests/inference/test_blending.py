from __future__ import annotations

import numpy as np
import pytest

from keras_perceptual import Upscaler, zoo
from keras_perceptual.errors import BlendError, EngineError
from keras_perceptual.inference import blending
from keras_perceptual.models.upscaling import subpixel


def _file(name):
    return (zoo.folder(name) / "model.tflite").read_bytes()


def test_the_ends_are_the_models_themselves():
    sharp, faithful = _file("x4-feature"), _file("x4-pixel")
    assert blending.blend_tflite(sharp, faithful, 0.0) == sharp
    assert Upscaler("x4-feature", fidelity=1.0).scale == 4
    lr = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    blended = Upscaler("x4-feature", fidelity=1.0).upscale(lr)
    assert np.array_equal(blended, Upscaler("x4-pixel", precision="float32").upscale(lr))


def test_engines_agree_between(photographs):
    lr = photographs[0][:40, :48]
    results = [
        Upscaler("x4-feature", engine=engine, histogram_match="none", fidelity=0.4).upscale(lr)
        for engine in ("litert", "keras")
    ]
    assert np.abs(np.subtract(*results, dtype=int)).max() <= 1
    for name in ("x4-feature", "x4-pixel"):
        alone = Upscaler(name, precision="float32", histogram_match="none").upscale(lr)
        assert np.abs(np.subtract(results[0], alone, dtype=int)).max() > 1


def test_weights_by_hand():
    first, second = [np.float32([0, 4])], [np.float32([8, 0])]
    assert blending.blend_weights(first, second, 0.25)[0].tolist() == [2, 3]
    with pytest.raises(BlendError, match="one architecture"):
        blending.blend_weights(first, [np.float32([1])], 0.5)


def test_another_architecture_is_refused(tmp_path):
    from keras_perceptual import export as exporting

    other = subpixel(4, channels=4, blocks=1)
    (tmp_path / "other.tflite").write_bytes(exporting.to_tflite(other))
    other.save(tmp_path / "other.keras")
    for ending in ("tflite", "keras"):
        with pytest.raises(EngineError, match="one architecture"):
            Upscaler(tmp_path / f"other.{ending}", fidelity=0.5)


def test_a_saved_model_cannot_be_blended(exported):
    with pytest.raises(EngineError, match="cannot blend"):
        Upscaler(exported[0].path, fidelity=0.5)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_fidelity_out_of_range(share):
    with pytest.raises(ValueError, match="fidelity of 0 to 1"):
        Upscaler("x4-feature", fidelity=share)


def test_infer_refuses_a_fidelity(run_script):
    result = run_script("infer.py", "a.png", "--fidelity", "1.5")
    assert result.returncode == 2
    assert "expected a number from 0 to 1, received '1.5'" in result.stderr

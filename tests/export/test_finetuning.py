"""Fine-tuning for 8 bits; skipped where litert-quantizer is absent."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from PIL import Image

from keras_perceptual.errors import ExportError
from keras_perceptual.export import finetuning
from keras_perceptual.export.exporter import Exporter
from keras_perceptual.export.quantization import activation_ranges, patches, quantized
from keras_perceptual.export.tflite import to_tflite
from keras_perceptual.export.verification import open_tflite
from keras_perceptual.models.upscaling import johnson, srcnn, subpixel
from keras_perceptual.pixels.resampling import imresize, to_uint8


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    pytest.importorskip("litert_quantizer")
    short = {"TRIED": 24, "WORST": 4, "DRAWN": 4, "LEARNING_RATE": 1e-4}
    for name, number in short.items():
        monkeypatch.setattr(finetuning, name, number)


def test_8_bits_come_nearer_to_what_it_gave(photographs):
    keras.utils.set_random_seed(2)
    generator = subpixel(2, channels=8, blocks=2)
    # The worst of what it is trained on: black on white, as text is.
    drawn = 255 * (photographs[0].mean(2, keepdims=True) > 100)
    lr = to_uint8(imresize(np.repeat(drawn, 3, 2).astype(np.float32), 0.5))[None].astype(np.float32)
    exact = to_tflite(generator, "none")
    expected = np.clip(open_tflite(exact).upscale(lr), 0, 255)
    before = [layer.get_weights() for layer in generator.layers]
    result, ranges = finetuning.finetuned(generator, photographs, steps=120)
    for layer, weights in zip(generator.layers, before, strict=True):
        assert all(map(np.array_equal, layer.get_weights(), weights))
    assert ranges.keys() == activation_ranges(exact, patches(photographs)).keys()

    def off(content, ranges):
        eight = quantized(content, patches(photographs), most=np.inf, ranges=ranges)
        return np.square(np.clip(open_tflite(eight).upscale(lr), 0, 255) - expected).mean()

    assert off(to_tflite(result, "none"), ranges) < 0.5 * off(exact, None)


def test_it_rounds_as_the_file_does(photographs):
    """What is trained is what runs: the student's result is that of the 8-bit file."""
    keras.utils.set_random_seed(2)
    generator = subpixel(2, channels=8, blocks=2)
    content = to_tflite(generator, "none")
    ranges = activation_ranges(content, patches(photographs))
    student = finetuning.rounding(generator, ranges)
    eight = open_tflite(quantized(content, patches(photographs), most=np.inf, ranges=ranges))
    exact = open_tflite(content)
    lr = photographs[0][None].astype(np.float32)
    wanted, made = eight.upscale(lr), np.asarray(student(lr))
    rounded = np.square(wanted - exact.upscale(lr)).mean()
    assert np.square(made - wanted).mean() < 0.1 * rounded


@pytest.mark.parametrize("build", [srcnn, johnson])
def test_no_blocks(photographs, build):
    with pytest.raises(ExportError, match="there are none"):
        finetuning.finetuned(build(2, channels=8, blocks=1), photographs)


def test_an_exported_file_is_fine_tuned(tiny, photographs, tmp_path):
    exporter = Exporter(str(tiny), tmp_path, photographs)
    path, _, agreement = exporter.tflite("int8", finetune=photographs, steps=20)
    assert path.name == "tiny-int8.tflite"
    assert agreement.largest <= 16
    plain = path.read_bytes()
    exporter.tflite("int8")
    assert path.read_bytes() != plain


def test_photographs_come_from_all_over_a_folder(photographs, tmp_path, monkeypatch):
    with pytest.raises(ExportError, match="expected photographs to fine-tune on, found none"):
        finetuning.read_photographs(tmp_path)
    for number in range(5):
        Image.new("RGB", (4, 4), (number,) * 3).save(tmp_path / f"{number}.png")
    monkeypatch.setattr(finetuning, "PHOTOGRAPHS", 3)
    assert [lr[0, 0, 0] for lr in finetuning.read_photographs(tmp_path)] == [0, 2, 4]

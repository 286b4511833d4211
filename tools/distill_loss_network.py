"""Trains the bundled loss network: a small imitation of VGG16's block2_conv2.

    python tools/distill_loss_network.py --data PHOTOGRAPHS --vgg-weights FILE

writes loss-network.keras to checkpoints/ and card.json to keras_perceptual/zoo/weights/. The card
says how far the imitation agrees with VGG16 on photographs that it was not trained on.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from keras_perceptual.files import images
from keras_perceptual.losses import vgg as loss_network
from keras_perceptual.losses.terms import feature_reconstruction
from keras_perceptual.pixels.resampling import crop_to_multiple, gaussian_blur, imresize, to_uint8
from keras_perceptual.system.atomic import atomic_path
from keras_perceptual.training.dataset import Patches, split

LAYER = "block2_conv2"
ROOT = Path(__file__).parents[1]
MODEL = ROOT / "checkpoints" / "keras_perceptual_checkpoints" / "loss-network.keras"
CARD = ROOT / "keras_perceptual" / "zoo" / "weights" / "loss-network" / "card.json"


def student() -> keras.Model:
    """A network whose output has block2_conv2's stride, channels and about its receptive field."""
    rgb = keras.Input((None, None, 3), name="rgb")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="to_unit", dtype="float32")(rgb)
    convolutions = (24, 3, 1, "float32"), (48, 3, 2, None), (64, 3, 1, None), (64, 3, 1, None)
    for i, (filters, size, stride, dtype) in enumerate((*convolutions, (128, 1, 1, None))):
        # He's, spelt out: Keras saves its own with arguments that older versions do not know.
        deviation = (2 / (size**2 * x.shape[-1])) ** 0.5
        x = layers.Conv2D(
            filters,
            size,
            strides=stride,
            padding="same",
            activation="relu",
            kernel_initializer=keras.initializers.RandomNormal(stddev=deviation),
            name=f"conv{i}",
            dtype=dtype,
        )(x)
    # VGG16's features are in the hundreds; the network's own stay near one.
    x = layers.Rescaling(FEATURE_SCALE, name=LAYER, dtype="float32")(x)
    return keras.Model(rgb, {LAYER: x}, name="distilled")


FEATURE_SCALE = 100.0


def distortions(rng: np.random.Generator) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """What a generator in training does to a photograph, by name; strengths are drawn anew."""
    strength = rng.uniform(0.2, 1.0)

    def jpeg(hr: np.ndarray) -> np.ndarray:
        file = io.BytesIO()
        Image.fromarray(to_uint8(hr)).save(file, "JPEG", quality=int(90 - 70 * strength))
        return np.asarray(Image.open(file), np.float32)

    def weave(hr: np.ndarray) -> np.ndarray:
        tile = rng.normal(0, 12 * strength, (4, 4, 1))
        repeats = (hr.shape[0] // 4 + 1, hr.shape[1] // 4 + 1, 1)
        return hr + np.tile(tile - tile.mean(), repeats)[: hr.shape[0], : hr.shape[1]]

    def enlarged(scale: int) -> Callable[[np.ndarray], np.ndarray]:
        def enlarge(hr: np.ndarray) -> np.ndarray:
            return imresize(imresize(hr, 1 / scale), size=hr.shape[:2])

        return enlarge

    def mixed(hr: np.ndarray) -> np.ndarray:
        return hr + (1 - strength) * (enlarged(4)(hr) - hr) + rng.normal(0, 4 * strength, hr.shape)

    return {
        "blur": lambda hr: gaussian_blur(hr, 3 * strength),
        "bicubic x2": enlarged(2),
        "bicubic x4": enlarged(4),
        "noise": lambda hr: hr + rng.normal(0, 25 * strength, hr.shape),
        "jpeg": jpeg,
        "weave": weave,
        "colour": lambda hr: hr + rng.normal(0, 20 * strength, 3),
        "contrast": lambda hr: hr.mean() + (hr - hr.mean()) * (1 + rng.uniform(-0.4, 0.4)),
        "sharpened": lambda hr: hr + 2 * strength * (hr - gaussian_blur(hr, 1.0)),
        "enlarged and noise": mixed,
    }


def distorted(hr: np.ndarray, rng: np.random.Generator, name: str | None = None) -> np.ndarray:
    """Applies one of the distortions, drawn at random without a name."""
    kinds = distortions(rng)
    result = kinds[name or rng.choice(list(kinds))](hr)
    return np.clip(result, 0, 255).astype(np.float32)


def batches(patches: Patches, teacher: keras.Model, seed: int) -> Iterator:
    """Yields (images, features): photographs in the first half, the same distorted in the other."""
    rng = np.random.default_rng(seed)
    for _, hr in patches.batches():
        hr = hr.astype(np.float32)
        both = np.concatenate([hr, np.stack([distorted(image, rng) for image in hr])])
        yield both, ops.convert_to_numpy(teacher(both)[LAYER])


def feature_and_difference(true, predicted):
    """Squared error of the features, and of what the distortion changed in them."""
    n = ops.shape(true)[0] // 2
    change = (true[n:] - true[:n]) - (predicted[n:] - predicted[:n])
    error = ops.mean(ops.square(true - predicted)) + ops.mean(ops.square(change))
    return error / FEATURE_SCALE**2


def agreement(model: keras.Model, teacher: keras.Model, paths: list[Path], seed: int = 1) -> dict:
    """Measures on held-out photographs how far two loss networks agree."""
    rng = np.random.default_rng(seed)
    residual = total = 0.0
    losses: dict[str, list[tuple[float, float]]] = {name: [] for name in distortions(rng)}
    for path in paths:
        hr = crop_to_multiple(images.read(path).pixels[:320, :320], 4).astype(np.float32)
        truth, features = teacher(hr[None])[LAYER], model(hr[None])[LAYER]
        t = ops.convert_to_numpy(truth)
        residual += float(((t - ops.convert_to_numpy(features)) ** 2).sum())
        total += float(((t - t.mean(axis=(0, 1, 2))) ** 2).sum())
        for name, pairs in losses.items():
            sr = distorted(hr, rng, name)[None]
            taught = feature_reconstruction(teacher(sr)[LAYER], truth)
            learnt = feature_reconstruction(model(sr)[LAYER], features)
            pairs.append((float(taught), float(learnt)))
    every = np.log([pair for pairs in losses.values() for pair in pairs]).T
    return {
        "photographs": len(paths),
        "explained_variance": round(1 - residual / total, 4),
        "loss_correlation_log": round(float(np.corrcoef(every)[0, 1]), 4),
        "loss_correlation_log_by_distortion": {
            name: round(float(np.corrcoef(np.log(pairs).T)[0, 1]), 4)
            for name, pairs in losses.items()
        },
        "mean_loss_ratio": round(float(np.exp(np.mean(every[1] - every[0]))), 4),
    }


def milliseconds(model: keras.Model, side: int = 512) -> float:
    """Times one image of side x side; the best of five."""
    compiled = keras.backend.backend() == "tensorflow"
    if compiled:
        import tensorflow as tf
    call = tf.function(model) if compiled else model
    image = ops.convert_to_tensor(np.random.default_rng(0).uniform(0, 255, (1, side, side, 3)))
    image = ops.cast(image, "float32")
    times = []
    for _ in range(6):
        start = time.perf_counter()
        ops.convert_to_numpy(call(image)[LAYER])
        times.append(time.perf_counter() - start)
    return round(1000 * min(times[1:]), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of photographs")
    parser.add_argument("--vgg-weights", help="VGG16's weights")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--patch-size", type=int, default=96)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    arguments = parser.parse_args()

    keras.utils.set_random_seed(0)
    training_paths, held_out = split(images.list_images(arguments.data), most=50)
    patches = Patches(
        training_paths,
        batch_size=arguments.batch_size,
        patch_size=arguments.patch_size,
        scale=4,
        shrink=0.5,
    )
    keras.config.set_dtype_policy("mixed_bfloat16")
    teacher = loss_network.vgg16((LAYER,), arguments.vgg_weights)
    trained = student()
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, arguments.steps, warmup_target=arguments.learning_rate, warmup_steps=200
    )
    trained.compile(keras.optimizers.Adam(rate), loss=feature_and_difference, jit_compile=False)
    started = time.monotonic()
    trained.fit(
        batches(patches, teacher, seed=2),
        steps_per_epoch=100,
        epochs=arguments.steps // 100,
        verbose=2,
        shuffle=False,
    )
    seconds = time.monotonic() - started

    keras.config.set_dtype_policy("float32")
    teacher = loss_network.vgg16((LAYER,), arguments.vgg_weights)
    model = student()
    model.set_weights(trained.get_weights())
    times = milliseconds(model), milliseconds(teacher)
    card = {
        "name": "loss-network",
        "what": f"imitates VGG16's {LAYER} from RGB in 0..255",
        "parameters": model.count_params(),
        "sha256": loss_network.sha256(model),
        "teacher_sha256": loss_network.sha256(teacher),
        "held_out": agreement(model, teacher, held_out),
        "milliseconds_512": {"distilled": times[0], "vgg16": times[1]},
        "data": "BSDS500 train and test, T91, 100 COCO and 1000 ImageNet photographs",
        "steps": arguments.steps,
        "seconds": round(seconds),
        "date": date.today().isoformat(),
        "command": "python tools/distill_loss_network.py --data PHOTOGRAPHS --vgg-weights FILE "
        f"--steps {arguments.steps} --batch-size {arguments.batch_size} "
        f"--patch-size {arguments.patch_size} --learning-rate {arguments.learning_rate}",
    }
    with atomic_path(MODEL) as beside:
        model.save(beside)
    with atomic_path(CARD) as beside:
        beside.write_text(json.dumps(card, indent=2) + "\n", "utf-8")
    print(json.dumps(card, indent=2))


if __name__ == "__main__":
    main()

"""Loss networks: VGG16 truncated at named layers, and where its weights come from."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

import keras
import numpy as np

from keras_perceptual import zoo
from keras_perceptual.errors import LossNetworkError, first_line

__all__ = [
    "LAYERS",
    "LINEAR",
    "OUTPUTS",
    "WAYS_OUT",
    "WEIGHTS_VARIABLE",
    "distilled",
    "load",
    "sha256",
    "vgg16",
]

# VGG16's convolutions by their names in Keras, in order.
LAYERS = tuple(
    f"block{block}_conv{number}"
    for block, count in enumerate((2, 2, 3, 3, 3), 1)
    for number in range(1, count + 1)
)
# What a feature can be of: a convolution after its ReLU, as Keras has it, or before.
LINEAR = "_linear"
OUTPUTS = (*LAYERS, *(layer + LINEAR for layer in LAYERS))
_WHOLE = {"include_top": False, "input_shape": (None, None, 3)}
WEIGHTS_VARIABLE = "KERAS_PERCEPTUAL_VGG16"
WAYS_OUT = (
    "name a file with --vgg-weights FILE (.npz or Keras .h5), or with the environment variable "
    f"{WEIGHTS_VARIABLE}, or connect to the network once so that Keras can fetch it"
)
logger = logging.getLogger(__name__)


def load(
    kind: str = "auto",
    layers: tuple[str, ...] = ("block2_conv2",),
    weights: str | os.PathLike | None = None,
) -> keras.Model:
    """Loads a frozen loss network.

    Args:
        kind: `vgg16`; `distilled`, the bundled imitation of VGG16's block2_conv2; or `auto`,
            VGG16 if its weights can be had and otherwise the distilled one, with a notice.
        layers: what to take features from, of `OUTPUTS`: `block2_conv2` is after the ReLU of that
            convolution, `block2_conv2_linear` before.
        weights: file of VGG16's weights; without it the environment variable
            `KERAS_PERCEPTUAL_VGG16` names one, else Keras's cache or download has it.

    Returns:
        A model from `[N, H, W, 3]` RGB in 0..255 to a dict of features by layer name; its `name`
        is `vgg16` or `distilled`. The distilled one has block2_conv2 alone, whatever was asked
        for beside it.

    Raises:
        LossNetworkError: if no weights can be had, or those named do not fit.
        ValueError: for another kind, or a layer that VGG16 does not have.
    """
    if kind not in ("auto", "vgg16", "distilled"):
        raise ValueError(f"expected a loss network auto, vgg16 or distilled, received {kind!r}")
    _check(layers)
    if kind == "distilled":
        return distilled(layers)
    weights = weights or os.environ.get(WEIGHTS_VARIABLE)
    if weights or kind == "vgg16":
        return vgg16(layers, weights)
    try:
        full = _fetched()
    except LossNetworkError:
        logger.warning(
            "no VGG16 weights here and none could be fetched: using the bundled distilled loss "
            "network, which has block2_conv2 only (--vgg-weights FILE takes VGG16's)"
        )
        return distilled(layers)
    return _truncated(full, layers)


def vgg16(
    layers: tuple[str, ...] = ("block2_conv2",), weights: str | os.PathLike | None = None
) -> keras.Model:
    """Builds VGG16 up to the last of the named layers, frozen, its preprocessing inside.

    Args:
        layers: as for `load`.
        weights: an .npz with keys `blockB_convC_kernel` and `blockB_convC_bias`, or a file of
            Keras's (.h5, .weights.h5) for the network without its top; None lets Keras find or
            fetch ImageNet's.

    Returns:
        A model from `[N, H, W, 3]` RGB in 0..255 to a dict of features by layer name.

    Raises:
        LossNetworkError: if the weights cannot be had, read, or do not fit.
        ValueError: for a layer that VGG16 does not have.

    Source: Simonyan and Zisserman 2015; the paper's section 4.
    """
    _check(layers)
    full = _fetched() if weights is None else _stored(Path(weights), layers)
    return _truncated(full, layers)


def _check(layers: tuple[str, ...]) -> None:
    unknown = [layer for layer in layers if layer not in OUTPUTS]
    if unknown or not layers:
        raise ValueError(
            f"expected VGG16 layers among {', '.join(OUTPUTS)}; "
            f"received {', '.join(unknown) or 'none'}"
        )


def _fetched() -> keras.Model:
    """Returns all of VGG16's convolutions, with the weights that Keras has or downloads."""
    try:
        return keras.applications.VGG16(weights="imagenet", **_WHOLE)
    except Exception as error:  # whatever the download raises
        raise LossNetworkError(f"no VGG16 weights could be fetched ({error}): {WAYS_OUT}") from None


def _stored(path: Path, layers: tuple[str, ...]) -> keras.Model:
    """Returns VGG16's convolutions, up to the last of these layers with a file's weights."""
    if not path.is_file():
        raise LossNetworkError(f"{path}: no such file of VGG16 weights: {WAYS_OUT}")
    full = keras.applications.VGG16(weights=None, **_WHOLE)
    try:
        if path.suffix != ".npz":
            full.load_weights(path)
            return full
        last = max(LAYERS.index(layer.removesuffix(LINEAR)) for layer in layers)
        needed = LAYERS[: last + 1]
        with np.load(path, allow_pickle=False) as arrays:
            missing = [n for n in needed if f"{n}_kernel" not in arrays]
            if missing:
                raise LossNetworkError(f"{path}: has no {', '.join(missing)}")
            for name in needed:
                full.get_layer(name).set_weights([arrays[f"{name}_kernel"], arrays[f"{name}_bias"]])
    except LossNetworkError:
        raise
    except Exception as error:  # h5py, zipfile and Keras each raise their own
        raise LossNetworkError(
            f"{path}: does not hold VGG16's weights: {first_line(error)}"
        ) from None
    return full


def _truncated(full: keras.Model, layers: tuple[str, ...]) -> keras.Model:
    """Returns the part of VGG16 that these layers need, frozen, its preprocessing inside."""
    rgb = keras.Input((None, None, 3), name="rgb")
    # The first convolution stays in float32: bfloat16 cannot tell 254 from 255.
    x = keras.applications.vgg16.preprocess_input(rgb)
    features = {}
    for layer in full.layers[1:]:
        dtype = "float32" if layer.name == LAYERS[0] else keras.config.dtype_policy().name
        config = {**layer.get_config(), "dtype": dtype}
        linear = layer.name + LINEAR
        if linear in layers:
            config["activation"] = "linear"
        twin = type(layer).from_config(config)
        x = twin(x)
        twin.set_weights(layer.get_weights())
        if linear in layers:
            features[linear] = x
            x = keras.layers.ReLU(dtype=dtype)(x)
        if layer.name in layers:
            features[layer.name] = x
        if len(features) == len(set(layers)):
            break
    model = keras.Model(rgb, features, name="vgg16")
    model.trainable = False
    return model


def distilled(layers: tuple[str, ...] = ("block2_conv2",)) -> keras.Model:
    """Loads the bundled network that imitates VGG16's block2_conv2; see its card.json.

    Raises:
        LossNetworkError: if block2_conv2 is not among the layers asked for.
    """
    if "block2_conv2" not in layers:
        raise LossNetworkError(
            f"the distilled loss network has block2_conv2 only, received {list(layers)}: {WAYS_OUT}"
        )
    model = keras.saving.load_model(zoo.checkpoint("loss-network"))
    model.trainable = False
    return model


def sha256(model: keras.Model) -> str:
    """Returns the SHA-256 of a network's weights as float32, in their order."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight, np.float32).tobytes())
    return digest.hexdigest()

"""The terms of a loss, as functions in `keras.ops`.

Images are `[N, H, W, 3]` in 0..255; every loss is a scalar, the mean over the batch.
"""

from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_perceptual.pixels.levels import YCBCR

__all__ = [
    "chroma",
    "feature_reconstruction",
    "gram_matrix",
    "luma_absolute",
    "luma_squared",
    "palette",
    "palette_distance",
    "phase_bias",
    "pixel_absolute",
    "pixel_squared",
    "style_reconstruction",
    "texture_reconstruction",
    "total_variation",
]

# Directions of colour space: the axes, face diagonals and space diagonals of the cube.
_DIRECTIONS = np.array(
    [d for d in itertools.product((-1, 0, 1), repeat=3) if d > (0, 0, 0)], np.float32
)
_DIRECTIONS /= np.linalg.norm(_DIRECTIONS, axis=1, keepdims=True)
_QUANTILES = 4096


def feature_reconstruction(hr_features, sr_features):
    """Feature reconstruction: ||phi(sr) - phi(hr)||^2 / (C H W), the paper's equation 2.

    Args:
        hr_features: `[N, H, W, C]`, the loss network's features of the ground truth.
        sr_features: the same of the generated image.

    Returns:
        A float32 scalar.
    """
    return _mean_square(sr_features, hr_features)


def gram_matrix(features):
    """How strongly channels occur together: G[c, d] = sum over pixels of f[c] f[d] / (C H W).

    Args:
        features: `[N, H, W, C]`.

    Returns:
        `[N, C, C]` float32.

    Source: the paper's equation 3.
    """
    features = ops.cast(features, "float32")
    batch, height, width, channels = ops.shape(features)
    flat = ops.reshape(features, (batch, height * width, channels))
    total = ops.matmul(ops.transpose(flat, (0, 2, 1)), flat)
    return total / ops.cast(channels * height * width, "float32")


def style_reconstruction(style_gram, sr_features):
    """Style reconstruction: ||G(sr) - G(style)||_F^2 / ||G(style)||_F^2.

    The paper's equation 4, made relative: 0 is the style, 1 about what an image without
    features has. Every painting and every layer then counts alike, where the equation itself
    varies by orders of magnitude and would want weights for each painting.

    Args:
        style_gram: `[N, C, C]`, or one for all, the Gram matrix of the style image.
        sr_features: `[N, H, W, C]`, the loss network's features of the generated image.

    Returns:
        A float32 scalar.
    """
    off = ops.sum(ops.square(gram_matrix(sr_features) - style_gram), axis=(-2, -1))
    return ops.mean(off / ops.sum(ops.square(style_gram), axis=(-2, -1)))


def texture_reconstruction(hr_features: Any, sr_features: Any, window: int) -> Any:
    """Style reconstruction place by place: mean of ||G(sr) - G(hr)||_F^2 / (||G(hr)||_F^2 + e).

    The mean is over windows side by side; e is a hundredth of the mean of ||G(hr)||_F^2. A window
    of skin counts as much as one of black on white. Features may move inside one: it is what a
    texture is like that counts, where feature reconstruction wants each blade of grass in its
    place.

    Args:
        hr_features: `[N, H, W, C]`, the loss network's features of the ground truth.
        sr_features: the same of the generated image.
        window: side of the windows in pixels of the features.

    Returns:
        A float32 scalar.

    Source: Sajjadi et al., "EnhanceNet: single image super-resolution through automated texture
    synthesis", 2017, the texture matching loss, here relative to each window.
    """
    hr, sr = (gram_matrix(_windows(features, window)) for features in (hr_features, sr_features))
    off, size = (ops.sum(ops.square(each), axis=(1, 2)) for each in (sr - hr, hr))
    return ops.mean(off / (size + 0.01 * ops.mean(size) + keras.config.epsilon()))


def palette(images):
    """Which colours images have, and how many pixels of each.

    Args:
        images: `[N, H, W, 3]`.

    Returns:
        `[N, 13, 4096]` float32, the quantiles of the pixels projected on 13 directions of colour
        space.
    """
    images = ops.convert_to_numpy(images)
    colours = images.reshape(len(images), -1, 3) @ _DIRECTIONS.T
    levels = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    found = np.quantile(colours, levels, axis=1, method="inverted_cdf")
    return found.transpose(1, 2, 0).astype(np.float32)


def palette_distance(style_palette, sr):
    """Sliced Wasserstein distance of colours, squared and relative to the style's variance.

    The mean over directions of colour space of ||sort(sr . d) - sort(style . d)||^2 / (H W), over
    the mean of the variance of style . d: 0 for the painting's colours wherever they stand, 1 for a
    gray like its mean. Gram matrices are mostly of the mean, and leave colours pale.

    Args:
        style_palette: `[N, 13, 4096]`, or one for all, the `palette` of the style image.
        sr: `[N, H, W, 3]`, the generated image.

    Returns:
        A float32 scalar.

    Source: Heitz et al., "A sliced Wasserstein loss for neural texture synthesis", 2021, here of
    pixels.
    """
    batch, height, width, _ = ops.shape(sr)
    count = height * width
    colours = ops.matmul(ops.reshape(ops.cast(sr, "float32"), (batch, count, 3)), _DIRECTIONS.T)
    ordered = ops.sort(ops.transpose(colours, (0, 2, 1)), axis=-1)
    rank = (ops.cast(ops.arange(count), "float32") + 0.5) / ops.cast(count, "float32")
    quantile = ops.minimum(ops.cast(rank * _QUANTILES, "int32"), _QUANTILES - 1)
    wanted = ops.take(style_palette, quantile, axis=-1)
    off = ops.mean(ops.square(ordered - wanted), axis=(-2, -1))
    variance = ops.mean(ops.var(style_palette, axis=-1), axis=-1)
    return ops.mean(off / ops.maximum(variance, 1.0))  # of a painting of one colour it is 0


def pixel_squared(hr, sr):
    """Squared pixel loss: ||sr - hr||^2 / (C H W), the paper's section 3.2."""
    return _mean_square(sr, hr)


def pixel_absolute(hr, sr):
    """Absolute pixel loss: sum |sr - hr| / (C H W).

    Source: Zhao et al., "Loss functions for image restoration with neural networks", 2016.
    """
    return ops.mean(ops.abs(ops.cast(sr, "float32") - ops.cast(hr, "float32")))


def total_variation(sr):
    """Anisotropic total variation, squared, over the pixels that have a neighbour.

    mean (sr[y+1,x] - sr[y,x])^2 + mean (sr[y,x+1] - sr[y,x])^2

    Args:
        sr: `[N, H, W, C]` with H and W of at least 2.

    Returns:
        A float32 scalar.

    Source: the paper's section 3.2, after Mahendran and Vedaldi 2015 with beta = 2.
    """
    sr = ops.cast(sr, "float32")
    down = ops.mean(ops.square(sr[:, 1:] - sr[:, :-1]))
    right = ops.mean(ops.square(sr[:, :, 1:] - sr[:, :, :-1]))
    return down + right


def phase_bias(hr: Any, sr: Any, scale: int, window: int = 4) -> Any:
    """How much each sub-pixel position errs on average over a window.

    With e = sr - hr and p one of the scale^2 positions inside an LR pixel, the mean over windows
    and positions of (mean of e at p over the window)^2. Positions that err each their own way show
    as a weave, positions that err alike as a wrong colour; texture averages out.

    Args:
        hr: `[N, scale h, scale w, C]`.
        sr: of the same shape.
        scale: the generator's scale.
        window: side of the window in LR pixels.

    Returns:
        A float32 scalar.
    """
    error = ops.cast(sr, "float32") - ops.cast(hr, "float32")
    batch, height, width, channels = ops.shape(error)
    window = min(window, height // scale, width // scale)
    down, across = height // (scale * window), width // (scale * window)
    error = error[:, : down * window * scale, : across * window * scale]
    shape = (batch, down, window, scale, across, window, scale, channels)
    by_phase = ops.mean(ops.reshape(error, shape), axis=(2, 5))
    return ops.mean(ops.square(by_phase))


def chroma(hr: Any, sr: Any, reduction: int = 4) -> Any:
    """Absolute difference of colour: mean |C(sr) - C(hr)| of images reduced by a factor.

    C are Cb and Cr of ITU-R BT.601 in levels. VGG's features hardly notice wrong colours that
    change slowly, as noise and 4:2:0 leave them.

    Args:
        hr: `[N, H, W, 3]`.
        sr: of the same shape.
        reduction: factor by which both are reduced, by means.

    Returns:
        A float32 scalar.
    """
    error = ops.cast(sr, "float32") - ops.cast(hr, "float32")
    error = ops.average_pool(error, reduction, reduction)
    return ops.mean(ops.abs(ops.matmul(error, YCBCR[1:].T)))


def luma_absolute(hr: Any, sr: Any) -> Any:
    """Absolute difference of luma: mean |Y(sr) - Y(hr)|, Y of ITU-R BT.601 in levels.

    The field's PSNR is of luma, and the eye sees more of it than of colour.

    Args:
        hr: `[N, H, W, 3]`.
        sr: of the same shape.

    Returns:
        A float32 scalar.
    """
    return ops.mean(ops.abs(_luma_error(hr, sr)))


def luma_squared(hr: Any, sr: Any) -> Any:
    """Squared difference of luma: mean (Y(sr) - Y(hr))^2, which the PSNR is of.

    Where doubt is large, as in a strong JPEG, the mean of what may have been there has a higher
    PSNR than the median, to which the absolute loss leads.

    Args:
        hr: `[N, H, W, 3]`.
        sr: of the same shape.

    Returns:
        A float32 scalar.
    """
    return ops.mean(ops.square(_luma_error(hr, sr)))


def _luma_error(hr, sr):
    return ops.matmul(ops.cast(sr, "float32") - ops.cast(hr, "float32"), YCBCR[0])


def _windows(features, side):
    """Cuts `[N, H, W, C]` into `[windows, side, side, C]`; what is left at the ends is dropped."""
    batch, height, width, channels = ops.shape(features)
    side = min(side, height, width)
    down, across = height // side, width // side
    features = features[:, : down * side, : across * side]
    features = ops.reshape(features, (batch, down, side, across, side, channels))
    features = ops.transpose(features, (0, 1, 3, 2, 4, 5))
    return ops.reshape(features, (-1, side, side, channels))


def _mean_square(a, b):
    return ops.mean(ops.square(ops.cast(a, "float32") - ops.cast(b, "float32")))

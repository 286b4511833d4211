"""Resampling: MATLAB-compatible bicubic `imresize`, Gaussian blur, and `degrade`.

Benchmarks of super-resolution are defined on files made by MATLAB's `imresize`; training and
evaluation here share this one implementation of it.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = [
    "RowResizer",
    "crop_to_multiple",
    "degrade",
    "enlarged_pixels",
    "gaussian_blur",
    "imresize",
    "to_uint8",
]


def to_uint8(pixels: np.ndarray) -> np.ndarray:
    """Rounds pixels in 0..255 to the nearest of 256 levels, clipping what lies outside."""
    if pixels.dtype == np.uint8:
        return pixels
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def crop_to_multiple(image: np.ndarray, scale: int) -> np.ndarray:
    """Cuts the bottom and right of `[H, W, ...]` so that both sides are multiples of `scale`."""
    height, width = image.shape[:2]
    return image[: height - height % scale, : width - width % scale]


def imresize(
    image: np.ndarray,
    scale: float | None = None,
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """Resizes an image as MATLAB's `imresize(image, scale, "bicubic")` does.

    The kernel is Keys' cubic convolution with a = -1/2; a reduction stretches it by 1/scale, which
    is MATLAB's antialiasing. Borders mirror the image with its edge pixels repeated.

    Args:
        image: `[H, W]` or `[H, W, C]`, uint8 or floating point.
        scale: output size over input size; the output has `ceil(scale * side)` pixels a side.
        size: output (height, width) in pixels, instead of `scale`.

    Returns:
        The resized image in the input's dtype. A uint8 image is rounded after each of the two
        passes, as MATLAB does; a floating-point one is never rounded nor clipped.

    Raises:
        ValueError: if not exactly one of `scale` and `size` is given, either is not positive, or
            the image is empty or of another rank.

    Source: R. Keys, "Cubic convolution interpolation for digital image processing", 1981.
    """
    if image.ndim not in (2, 3) or 0 in image.shape:
        raise ValueError(f"expected a non-empty [H, W] or [H, W, C] image, received {image.shape}")
    height, width = image.shape[:2]
    if size is None and scale is not None and scale > 0:
        size = (math.ceil(scale * height), math.ceil(scale * width))
        scales = (float(scale), float(scale))
    elif scale is None and size is not None and min(size) > 0:
        scales = (size[0] / height, size[1] / width)
    else:
        raise ValueError(
            f"expected a scale above 0 or a size from 1x1, received scale={scale}, size={size}"
        )
    # MATLAB takes the axis that shrinks most first; with uint8 rounding the order matters.
    for axis in sorted((0, 1), key=lambda axis: scales[axis]):
        image = _resize_axis(image, axis, size[axis], scales[axis])
    return image


def enlarged_pixels(
    image: np.ndarray, rows: np.ndarray, columns: np.ndarray, scale: int
) -> np.ndarray:
    """Enlarges single pixels of an image as `imresize` does.

    Args:
        image: `[H, W, C]`, floating point.
        rows: `[N]`, of the pixels, at least 2 from the first and the last row.
        columns: the same of columns.
        scale: output size over input size, an integer.

    Returns:
        `[scale, scale, C, N]` of the same type, by row and column inside a pixel.
    """
    around = np.lib.stride_tricks.sliding_window_view(image, (5, 5), axis=(0, 1))
    seen = np.ascontiguousarray(around[rows - 2, columns - 2].transpose(2, 3, 1, 0))
    # What each of 5 pixels counts for those that the one in the middle becomes.
    unit = imresize(np.eye(9, dtype=image.dtype), size=(9 * scale, 9))
    taps = unit[4 * scale : 5 * scale, 2:7].T[..., None, None, None]  # [5, scale, 1, 1, 1]
    down, across = (np.zeros(1, image.dtype) for _ in range(2))
    for row, tap in zip(seen, taps, strict=True):
        down = down + row * tap  # [scale, 5, C, N]
    for column, tap in zip(down.swapaxes(0, 1), taps[:, :, 0], strict=True):
        across = across + column[:, None] * tap
    return across


class RowResizer:
    """Resizes an image as `imresize` does while its rows come in from the top.

    Holds no more rows than the kernel sees at once. Input is floating point: nothing is rounded.

    Args:
        height: of the input, in pixels.
        width: of the input.
        size: output (height, width).
    """

    def __init__(self, height: int, width: int, size: tuple[int, int]) -> None:
        self._columns = _contributions(width, size[1], size[1] / width)
        self._weights, self._rows = _contributions(height, size[0], size[0] / height)
        self._same = (height, width) == tuple(size)
        self._held: np.ndarray | None = None
        self._top = self._fed = self._given = 0

    def feed(self, rows: np.ndarray) -> np.ndarray:
        """Takes the next rows, `[n, width, C]`, and returns those output rows that are complete.

        Returns:
            `[m, size[1], C]`; m may be 0.
        """
        if self._same:
            return rows
        rows = _gather_taps(rows, 1, *self._columns)
        held = rows if self._held is None else np.concatenate([self._held, rows])
        self._fed += len(rows)
        last = self._rows.max(axis=1)
        until = int(np.searchsorted(np.maximum.accumulate(last), self._fed))
        wanted = slice(self._given, until)
        result = _gather_taps(held, 0, self._weights[wanted], self._rows[wanted] - self._top)
        self._given = until
        needed = int(self._rows[until:].min()) if until < len(self._rows) else self._fed
        self._held, self._top = held[needed - self._top :], needed
        return result


def gaussian_blur(image: np.ndarray, sigma: float = 1.0, filter_size: int = 0) -> np.ndarray:
    """Blurs `[H, W, C]` with a Gaussian, reflecting at the borders.

    Equal to `tensorflow_addons.image.gaussian_filter2d(padding="REFLECT")`.

    Args:
        image: `[H, W]` or `[H, W, C]` floating-point or uint8 pixels.
        sigma: standard deviation in pixels; 0 leaves the image as it is.
        filter_size: odd number of taps; 0 takes all within three standard deviations.

    Returns:
        The blurred image as float32 (float64 for a float64 input), of the same shape.

    Raises:
        ValueError: if `sigma` is negative or `filter_size` is even.
    """
    if sigma < 0 or (filter_size and filter_size % 2 == 0):
        raise ValueError(
            "expected sigma >= 0 and an odd filter_size, "
            f"received sigma={sigma}, filter_size={filter_size}"
        )
    image = _as_float(image)
    if sigma == 0:
        return image
    radius = filter_size // 2 if filter_size else math.ceil(3 * sigma)
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-(offsets**2) / (2.0 * sigma**2))
    kernel /= kernel.sum()
    for axis in (0, 1):
        indices = _reflect(np.arange(image.shape[axis])[:, None] + offsets, image.shape[axis])
        image = _gather_taps(image, axis, np.broadcast_to(kernel, indices.shape), indices)
    return image


def degrade(hr: np.ndarray, scale: int, blur: float = 0.0) -> np.ndarray:
    """Makes the low-resolution image of a high-resolution one.

    Args:
        hr: `[H, W, C]` pixels in 0..255, both sides multiples of `scale`.
        scale: the factor of the reduction, an integer of at least 1.
        blur: standard deviation in HR pixels of the Gaussian that comes first; the paper's is 1.0
            (section 4.2), the benchmark files' is 0.

    Returns:
        lr: `[H/scale, W/scale, C]` uint8, rounded as a stored file is.

    Raises:
        ValueError: if a side of `hr` is not a multiple of `scale`.
    """
    if hr.shape[0] % scale or hr.shape[1] % scale:
        raise ValueError(f"expected sides that are multiples of {scale}, received {hr.shape}")
    if blur:
        hr = gaussian_blur(hr, blur)
    return to_uint8(imresize(hr, 1 / scale))


def _resize_axis(image: np.ndarray, axis: int, out: int, scale: float) -> np.ndarray:
    length = image.shape[axis]
    if out == length and scale == 1:
        return image
    weights, indices = _contributions(length, out, scale)
    result = _gather_taps(_as_float(image), axis, weights, indices)
    return to_uint8(result) if image.dtype == np.uint8 else result


def _contributions(length: int, out: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the weights and the input indices, both `[out, taps]`, of every output pixel."""
    stretch = min(scale, 1.0)
    support = 4.0 / stretch
    centres = (np.arange(out) + 0.5) / scale - 0.5
    first = np.floor(centres - support / 2).astype(np.int64)
    indices = first[:, None] + np.arange(math.ceil(support) + 2)
    weights = stretch * _cubic(stretch * (centres[:, None] - indices))
    weights /= weights.sum(axis=1, keepdims=True)
    used = np.any(weights != 0, axis=0)
    indices = np.mod(indices[:, used], 2 * length)
    indices = np.minimum(indices, 2 * length - 1 - indices)
    return weights[:, used], indices


def _cubic(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def _reflect(indices: np.ndarray, length: int) -> np.ndarray:
    """Mirrors indices at the borders without repeating the edge pixel."""
    if length == 1:
        return np.zeros_like(indices)
    indices = np.mod(indices, 2 * length - 2)
    return np.minimum(indices, 2 * length - 2 - indices)


def _gather_taps(
    image: np.ndarray, axis: int, weights: np.ndarray, indices: np.ndarray
) -> np.ndarray:
    """Sums `weights[:, t] * image[indices[:, t]]` along `axis`, tap by tap to bound the memory."""
    image = np.ascontiguousarray(np.moveaxis(image, axis, 0))  # whole rows are taken faster
    total = np.zeros((len(weights), *image.shape[1:]), image.dtype)
    for tap_weights, tap_indices in zip(weights.T.astype(image.dtype), indices.T, strict=True):
        part = image[tap_indices]
        part *= tap_weights.reshape(-1, *[1] * (image.ndim - 1))
        total += part
    return np.ascontiguousarray(np.moveaxis(total, 0, axis))


def _as_float(image: np.ndarray) -> np.ndarray:
    return image if image.dtype in (np.float32, np.float64) else image.astype(np.float32)

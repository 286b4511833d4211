from __future__ import annotations

import numpy as np
import pytest

from keras_perceptual.pixels.resampling import RowResizer, imresize
from keras_perceptual.pixels.rows import RowReader, windows


@pytest.mark.parametrize("counts", [[10], [1] * 10, [3, 7], [4, 6]])
def test_reader_gives_rows_in_order(rng, counts):
    rows = rng.integers(0, 256, (10, 4, 3), dtype=np.uint8)
    for parts in (rows, iter([rows[:1], rows[1:1], rows[1:8], rows[8:]])):
        take = RowReader(parts)
        assert np.array_equal(np.concatenate([take(count) for count in counts]), rows)


@pytest.mark.parametrize(
    "ranges", [[(0, 11)], [(0, 4), (4, 8), (8, 11)], [(0, 6), (0, 7), (3, 9), (9, 11)], [(0, 3)]]
)
def test_windows_overlap(rng, ranges):
    rows = rng.integers(0, 256, (11, 4, 3), dtype=np.uint8)
    given = list(windows(RowReader(rows), ranges))
    assert len(given) == len(ranges)
    for part, (first, last) in zip(given, ranges, strict=True):
        assert np.array_equal(part, rows[first:last])


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((64, 48), (37, 30)),
        ((64, 48), (16, 12)),
        ((50, 40), (50, 40)),
        ((9, 7), (3, 20)),
        ((40, 30), (80, 60)),
        ((100, 20), (1, 1)),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 100])
def test_row_resizer_equals_imresize(rng, shape, size, step):
    image = rng.uniform(0, 255, (*shape, 3)).astype(np.float32)
    resizer = RowResizer(*shape, size)
    parts = [resizer.feed(image[top : top + step]) for top in range(0, shape[0], step)]
    np.testing.assert_allclose(np.concatenate(parts), imresize(image, size=size), atol=1e-3)


def test_row_resizer_holds_few_rows(rng):
    resizer = RowResizer(1000, 8, (250, 2))
    held = 0
    for _ in range(1000):
        resizer.feed(np.zeros((1, 8, 3), np.float32))
        held = max(held, len(resizer._held))
    assert held <= 17  # the cubic kernel at a quarter's size has 16 taps

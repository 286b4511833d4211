from __future__ import annotations

import numpy as np
import pytest

from keras_perceptual.pixels.resampling import RowResizer, imresize
from keras_perceptual.pixels.rows import RowReader, blocks


@pytest.mark.parametrize("counts", [[10], [1] * 10, [3, 7], [4, 6]])
def test_reader_gives_rows_in_order(rng, counts):
    rows = rng.integers(0, 256, (10, 4, 3), dtype=np.uint8)
    for parts in (rows, iter([rows[:1], rows[1:1], rows[1:8], rows[8:]])):
        take = RowReader(parts)
        assert np.array_equal(np.concatenate([take(count) for count in counts]), rows)


@pytest.mark.parametrize(("size", "reach"), [(4, 0), (4, 3), (3, 10), (100, 5), (1, 2)])
def test_blocks_have_their_surroundings(rng, size, reach):
    rows = rng.integers(0, 256, (11, 4, 3), dtype=np.uint8)
    largest, covered = 0, 0
    for block in blocks(RowReader(rows), 11, size, reach):
        assert block.start == covered
        covered = block.stop
        first = block.start - block.above
        assert block.above == min(reach, block.start)
        wanted = rows[first : min(11, block.stop + reach)]
        assert np.array_equal(block.rows[: len(wanted)], wanted)
        largest = max(largest, len(block.rows))
    assert covered == 11
    assert largest <= size + 2 * reach


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

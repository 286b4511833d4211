from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from keras_perceptual.cli import jobs as batch
from keras_perceptual.files import formats
from keras_perceptual.files.sink import Sink


def _jobs(count):
    return [batch.Job(Path(f"{i}.png"), Path(f"out/{i}.png")) for i in range(count)]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyError("what"), "1.png: 'what'"),
        (OSError(36, "File name too long"), "1.png: File name too long"),
        (MemoryError(), "1.png: not enough memory; --memory makes tiles smaller"),
    ],
)
@pytest.mark.parametrize("workers", [1, 3])
def test_no_error_stops_the_others(error, message, workers):
    def work(job, progress):
        if job.source.name == "1.png":
            raise error
        return batch.Done((4, 4))

    results = list(batch.run(_jobs(5), work, workers, lambda job, done: None))
    assert sorted(r.error for r in results) == ["", "", "", "", message]
    assert [r.done for r in results if not r.error] == [batch.Done((4, 4))] * 4


@pytest.mark.parametrize("ending", [".png", ".jpg", ".tif", ".webp", ".bmp"])
def test_what_is_given_up_while_it_is_encoded_is_not_there(tmp_path, rng, ending):
    def work(job, progress):
        target = tmp_path / f"a{ending}"
        with Sink(target, formats.of(target), 300, 300) as sink:
            sink.append(rng.integers(0, 256, (300, 300, 3), dtype=np.uint8))

            def alive():
                raise batch.Cancelled

            sink.finish(alive=alive)
        return (300, 300)

    (result,) = batch.run(_jobs(1), work, 1, lambda job, done: None)
    assert result.error == "cancelled"
    assert list(tmp_path.iterdir()) == []

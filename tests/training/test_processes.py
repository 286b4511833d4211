"""Two processes that train together, in a network that has loopback only.

benchmarks/cluster_training.py kills each of them, at more moments, which takes minutes.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from keras_perceptual.errors import ClusterError
from keras_perceptual.files import images
from keras_perceptual.training import Patches, processes
from keras_perceptual.training.watch import torn
from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
machines = pytest.importorskip("machines", reason="needs Linux", exc_type=ImportError)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photographs of one level each, the two last ones broken and too small."""
    folder = tmp_path_factory.mktemp("levels")
    for level in range(11):
        pixels = np.full((24, 24, 3), 20 * level, np.uint8)
        images.write(folder / f"{level}.png", images.Picture(pixels))
    (folder / "x.png").write_bytes(b"no image")
    images.write(folder / "y.png", images.Picture(np.zeros((9, 9, 3), np.uint8)))
    return folder


@pytest.mark.parametrize("parts", [2, 3, 40])
def test_parts_decode_what_one_decodes(folder, parts, monkeypatch):
    """Each decodes its share of the files, and all have the batches that one has."""
    settings = {"batch_size": 8, "patch_size": 16, "scale": 4, "seed": 1, "workers": 1}
    paths, cut, barrier = images.list_images(folder), Patches._cut, threading.Barrier(parts)
    expected = list(itertools.islice(Patches(paths, **settings).batches(), 70))
    sent, decoded = [None] * parts, [set() for _ in range(parts)]

    def photograph(self, position):
        decoded[self._part[0]].add(position)
        return cut(self, position)

    def batches(part):
        def gather(array):
            sent[part] = array
            barrier.wait(60)
            everybody = np.stack(sent)
            barrier.wait(60)
            return everybody

        mine = Patches(paths, **settings, part=(part, parts), gather=gather)
        return list(itertools.islice(mine.batches(), len(expected)))

    monkeypatch.setattr(Patches, "_cut", photograph)
    with ThreadPoolExecutor(parts) as pool:
        results = list(pool.map(batches, range(parts)))
    for batch, other in itertools.chain(*(zip(each, expected, strict=True) for each in results)):
        np.testing.assert_array_equal(batch[0], other[0])
        np.testing.assert_array_equal(batch[1], other[1])
    assert sum(map(len, decoded)) == len(set.union(*decoded))
    chunks = 4  # three that are taken, and the one that comes next
    assert max(map(len, decoded)) <= chunks * -(-Patches.PHOTOGRAPHS // parts)


def test_one_process_is_all(folder):
    assert (processes.rank(), processes.count(), processes.first()) == (0, 1, True)
    batch = ((np.zeros((6, 2)), np.ones((6, 2))), np.zeros((6, 2)))
    assert next(processes.share(iter([batch])))[1].shape == (6, 2)
    processes.check_batch(7)
    processes.agree({"anything": object()})
    with processes.together("nothing") as first:
        assert first


def test_tensorflow_is_refused_with_the_reason():
    with pytest.raises(ClusterError, match=r"KERAS_BACKEND=jax, received tensorflow.*20585"):
        processes.join(None, pytest.fail)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("UNKNOWN: Gloo AllGather failed: Connection closed by peer [127.0.0.1]:8322", True),
        ("UNAVAILABLE: failed to connect to all addresses", True),
        ("INTERNAL: NCCL operation ncclAllReduce failed", True),
        ("INTERNAL: ptxas exited with 1", False),
        ("RESOURCE_EXHAUSTED: Out of memory allocating 99 bytes", False),
        ("expected a --batch-size in a multiple of the 2 devices", False),
    ],
)
def test_which_errors_are_those_of_a_lost_process(message, expected):
    assert torn(ValueError(message)) is expected


def _run(run_script, *arguments):
    if why := machines.refused():
        pytest.skip(f"no network namespaces here: {why}")
    result = run_script(
        "benchmarks/cluster_training.py", "--recipe", "x4-pixel", "--steps", 12, "--epoch", 3,
        *arguments,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    *rows, last = result.stdout.splitlines()
    assert last.startswith("largest difference ")
    assert float(last.split()[-1]) < 1e-5
    return [json.loads(row) for row in rows if row.startswith("{")]


@pytest.mark.long
def test_two_are_one(run_script, photographs_folder):
    """The loss and the validation are those of one process."""
    assert _run(run_script, "--moments", "--data", photographs_folder) == []


@pytest.mark.long
def test_two_go_on_after_one_was_killed(run_script, photographs_folder):
    (row,) = _run(
        run_script, "--ranks", 1, "--moments", "step", "--killed-only", "--data", photographs_folder
    )
    assert row["statuses"] == [75]
    assert row["resumed"] == [0, 0]
    assert 0 < row["epochs"] < 4
    assert max(row["seconds"]) < 10
    assert row["told"][0].startswith("train.py: ")
    assert "start all processes again with --resume" in row["told"][0]

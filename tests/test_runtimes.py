"""benchmarks/runtimes.py: what it counts and refuses. Nothing here is timed."""

from __future__ import annotations

import importlib.util

import pytest

from keras_perceptual import generators

from .conftest import ROOT


@pytest.fixture(scope="module")
def runtimes():
    spec = importlib.util.spec_from_file_location("runtimes", ROOT / "benchmarks" / "runtimes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_multiply_adds_of_subpixel(runtimes):
    generator = generators.build("subpixel", channels=5, blocks=2)
    weights = 9 * (3 * 5 + 4 * 5 * 5 + 5 * 48)  # head, two blocks, tail: all at LR size
    assert runtimes.multiply_adds(generator, (6, 7)) == weights * 6 * 7


def test_multiply_adds_of_johnson(runtimes):
    generator = generators.build("johnson", channels=5, blocks=1)
    head, block, up, tail = 81 * 3 * 5, 2 * 9 * 5 * 5, 9 * 5 * 5, 81 * 5 * 3
    # The transposed convolutions spread what they read: x1 and x2, not x2 and x4.
    expected = (head + block + up + 4 * up + 16 * tail) * 6 * 7
    assert runtimes.multiply_adds(generator, (6, 7)) == expected


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--size", "128"], "expected HEIGHTxWIDTH"),
        (["--rounds", "0"], "at least 1"),
        (["--generators", "none"], "invalid choice"),
    ],
)
def test_refuses(run_script, flags, message):
    result = run_script("benchmarks/runtimes.py", *flags)
    assert result.returncode == 2
    assert message in result.stderr.splitlines()[-1]

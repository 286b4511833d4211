"""What the tests share: where research data may lie, sample photographs, small helpers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "PYTEST_XDIST_WORKER" in os.environ:  # each has a core
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "data" / "samples"
# Benchmark sets and third-party weights; none is part of the project.
DATA = Path(os.environ.get("KERAS_PERCEPTUAL_DATA", ROOT.parent / "shared" / "data"))
ALL = os.environ.get("KERAS_PERCEPTUAL_TESTS") == "all"  # those too that the gate has no time for
LEFT_OUT = pytest.mark.skip(reason="runs where KERAS_PERCEPTUAL_TESTS is all")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: runs where KERAS_PERCEPTUAL_TESTS is all")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items if not ALL else ():
        if item.get_closest_marker("long"):
            item.add_marker(LEFT_OUT)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def data():
    """Returns a function from a path below the research data to the path, or skips the test."""

    def find(relative: str) -> Path:
        path = DATA / relative
        if not path.exists():
            pytest.skip(f"{relative} is research data and not here; KERAS_PERCEPTUAL_DATA names it")
        return path

    return find


@pytest.fixture
def run_script():
    """Returns a function that runs a script of the project as a user would."""

    def run(*arguments, cwd: Path = ROOT, env: dict | None = None, **kwargs):
        return subprocess.run(
            [sys.executable, ROOT / arguments[0], *map(str, arguments[1:])],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=600,
            **kwargs,
        )

    return run


@pytest.fixture(scope="session")
def photographs():
    from keras_perceptual.files import images

    return [images.read(SAMPLES / "LRx4" / f"{n}.png").pixels for n in ("chelsea", "rocket")]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Path of a generator with next to no weights, where its pixels do not matter."""
    from keras_perceptual.models.upscaling import subpixel

    path = tmp_path_factory.mktemp("models") / "tiny.keras"
    subpixel(4, channels=4, blocks=1).save(path)
    return path


@pytest.fixture(scope="session")
def exported(tmp_path_factory, photographs):
    """One export of the default model in both formats."""
    from keras_perceptual.export.exporter import Exporter

    exporter = Exporter("x4-feature", tmp_path_factory.mktemp("exports"), photographs)
    return exporter.saved_model(pixel_limit=20_000), exporter.tflite()

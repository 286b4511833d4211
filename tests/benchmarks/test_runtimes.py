"""benchmarks/runtimes.py: what it refuses. Nothing here is timed."""

from __future__ import annotations

import pytest


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

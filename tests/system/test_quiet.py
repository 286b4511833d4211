from __future__ import annotations

import os
import subprocess
import sys
import threading
import warnings

import pytest

from keras_perceptual.system.quiet import quiet_stderr, quiet_warnings
from tests.conftest import ROOT


def _stderr() -> tuple[int, int]:
    """Returns which file standard error goes to now."""
    status = os.fstat(2)
    return status.st_dev, status.st_ino


def _filters() -> list:
    return list(warnings.filters)


@pytest.fixture(autouse=True)
def _restored():
    """A test that fails here leaves the others as they were."""
    saved = os.dup(2)
    with warnings.catch_warnings():
        yield
    os.dup2(saved, 2)
    os.close(saved)


def _overlap(quiet, state) -> list:
    """Enters in thread A, enters in B, leaves in A, leaves in B; returns the state after each."""
    a_entered, b_entered, a_left = (threading.Event() for _ in range(3))
    states = []

    def a():
        with quiet():
            states.append(state())
            a_entered.set()
            assert b_entered.wait(30)
        states.append(state())
        a_left.set()

    def b():
        assert a_entered.wait(30)
        with quiet():
            states.append(state())
            b_entered.set()
            assert a_left.wait(30)
        states.append(state())

    threads = [threading.Thread(target=each) for each in (a, b)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return states


@pytest.mark.parametrize(("quiet", "state"), [(quiet_stderr, _stderr), (quiet_warnings, _filters)])
def test_two_threads_may_overlap(quiet, state):
    before = state()
    with quiet():
        hidden = state()
    assert hidden != before
    for _ in range(2):
        assert _overlap(quiet, state) == [hidden, hidden, hidden, before]


@pytest.mark.parametrize(("quiet", "state"), [(quiet_stderr, _stderr), (quiet_warnings, _filters)])
def test_an_exception_passes_and_restores(quiet, state):
    before = state()
    with pytest.raises(KeyError, match="told"), quiet(), quiet():
        raise KeyError("told")
    assert state() == before


def test_what_is_hidden(capfd):
    with quiet_stderr():
        os.write(2, b"hidden")
    os.write(2, b"shown")
    assert capfd.readouterr().err == "shown"
    with quiet_warnings():
        warnings.warn("hidden", stacklevel=1)
    with pytest.warns(UserWarning, match="shown"):
        warnings.warn("shown", stacklevel=1)


def test_a_program_that_has_put_none_in_place_of_stderr(monkeypatch):
    before = _stderr()
    monkeypatch.setattr(sys, "stderr", None)
    with quiet_stderr():
        assert _stderr() != before
    assert _stderr() == before


@pytest.mark.skipif(sys.platform == "win32", reason="a shell closes the file")
def test_a_program_started_without_stderr(tmp_path):
    """The first file that it opens then has the number of standard error, and must be written."""
    program = (
        "import os, sys\n"
        "from keras_perceptual.system.quiet import quiet_stderr\n"
        f"file = os.open({str(tmp_path / 'a')!r}, os.O_CREAT | os.O_WRONLY)\n"
        "with quiet_stderr():\n"
        "    os.write(file, b'written')\n"
        "print(file)\n"
    )
    command = ["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, program]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"2\n"
    assert (tmp_path / "a").read_bytes() == b"written"

"""Work that a fork broke off says so in the child instead of waiting for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from keras_perceptual.errors import EngineError
from keras_perceptual.system.forks import Undivided
from tests.conftest import ROOT, SAMPLES

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="only Unix forks")

PROGRAM = """
import os, signal, sys, threading, time, warnings
import numpy as np
from keras_perceptual import Upscaler
from keras_perceptual.errors import EngineError

warnings.simplefilter("ignore")  # Python 3.12 warns of forks beside threads
how, source, target = sys.argv[1:]
upscaler = Upscaler("x4-feature")
image = np.full((40, 40, 3), 100, np.uint8)
expected = upscaler.upscale(image)
ended = threading.Event()

def busy():
    while not ended.is_set():
        upscaler.upscale(np.zeros((160, 160, 3), np.uint8))

if how == "busy":
    thread = threading.Thread(target=busy)
    thread.start()
    time.sleep(0.3)
if how == "files":
    upscaler.upscale_file(source, target)
child = os.fork()
if child == 0:
    signal.alarm(60)  # a child that hangs is killed
    try:
        if how == "files":
            upscaler.upscale_file(source, target)
        else:
            assert np.array_equal(upscaler.upscale(image), expected)
        print("works", flush=True)
    except EngineError as error:
        print(error, flush=True)
    os._exit(0)
_, status = os.waitpid(child, 0)
ended.set()
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("idle", "works"),
        ("busy", "this process was forked while a thread ran a network, which is still locked; "
         "start processes by multiprocessing's method spawn"),
        ("files", "this process was forked after files were opened, by libvips; start processes "
         "by multiprocessing's method spawn"),
    ],
)  # fmt: skip
def test_a_child_of_a_fork(how, told, tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, how, SAMPLES / "LRx4/chelsea.png", tmp_path / "sr.png"],
        capture_output=True, text=True, cwd=ROOT, timeout=120,
    )  # fmt: skip
    assert (result.returncode, result.stdout.strip()) == (0, told), result.stderr


def test_threads_may_be_inside_together():
    work = Undivided("forked")
    entered, leave = threading.Event(), threading.Event()

    def inside():
        with work:
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=inside)
    thread.start()
    assert entered.wait(10)
    with work:
        leave.set()
    thread.join()
    work._forked()  # nobody is inside any more
    with work:
        work._forked()
    with pytest.raises(EngineError, match=r"^forked; "), work:
        raise AssertionError

from __future__ import annotations

import os
import threading

import pytest

from keras_perceptual.system.priority import same_priority

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getscheduler"), reason="a system without scheduling policies"
)


def test_this_thread_and_new_ones_keep_their_priority():
    policy, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
    done, kept = threading.Event(), []

    def wait():
        done.wait()
        kept.append(os.sched_getscheduler(0))

    thread = threading.Thread(target=wait)
    try:
        with same_priority():
            os.sched_setscheduler(0, os.SCHED_BATCH, parameter)
            thread.start()  # is as its parent
        assert os.sched_getscheduler(0) == policy
    finally:
        os.sched_setscheduler(0, policy, parameter)
        done.set()
        thread.join()
    assert kept == [policy]

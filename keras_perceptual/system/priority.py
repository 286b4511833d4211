"""Threads that keep their priority, whatever a library would have."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

__all__ = ["same_priority"]

_THREADS = "/proc/self/task"


@contextlib.contextmanager
def same_priority() -> Iterator[None]:
    """Gives this thread, and those that begin meanwhile, the priority that it has now.

    SVT-AV1 makes its caller and its own threads real-time ones wherever it may, as for root in a
    container. They and whatever they begin later then leave no time to anything else.
    """
    if not hasattr(os, "sched_getscheduler"):  # not Linux
        yield
        return
    policy, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
    before = _threads()
    try:
        yield
    finally:
        for thread in (_threads() - before) | {threading.get_native_id()}:
            with contextlib.suppress(OSError):  # it has ended
                os.sched_setscheduler(thread, policy, parameter)


def _threads() -> set[int]:
    try:
        return set(map(int, os.listdir(_THREADS)))
    except OSError:  # nobody says which there are
        return set()

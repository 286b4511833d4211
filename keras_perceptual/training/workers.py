"""Workers that prepare patches beside a training: threads, or processes where there are many."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import connection

__all__ = ["MOST_THREADS", "pool"]

MOST_THREADS = 2  # more would wait for each other, and the training for them: Python runs one


def pool(workers: int) -> Executor:
    """Returns what runs functions in threads, up to `MOST_THREADS` of them, else in processes.

    Functions and what they take must be picklable for the latter. The processes end with the
    executor, and with this process, however that ends.
    """
    if workers <= MOST_THREADS:
        return ThreadPoolExecutor(workers, "decode")
    # Not forked: Keras's backends have threads that would hold their locks for ever.
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin)


def _begin() -> None:
    """Makes a process of the pool end with its parent, and leave Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="watch", daemon=True).start()

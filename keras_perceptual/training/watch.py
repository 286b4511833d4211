"""That no process waits for one that is gone."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

__all__ = ["Watch", "torn"]

# How jaxlib's errors begin that come of a connection which broke: the codes of gRPC and Abseil.
_TORN = re.compile(
    r"(UNKNOWN|UNAVAILABLE|ABORTED|CANCELLED|DEADLINE_EXCEEDED)\b|INTERNAL\b.*(gloo|nccl|peer|task)",
    re.IGNORECASE,
)


def torn(error: Exception) -> bool:
    """Returns whether an error is that of a collective which another process has left."""
    return bool(_TORN.match(str(error)))


class Watch:
    """Beats for this process, and listens for the beats of the others.

    jax notices too, but only after its own, longer time, and then it aborts; where process 0 is
    gone it does so at once, which is caught. The beats are in the key-value store that jax has in
    process 0: nothing else listens for them.

    Args:
        rank: of this process.
        count: of all.
        lost: called once, from a thread, with a line on who is gone.
    """

    EVERY = 0.5  # seconds between beats
    LIMIT = 6.0  # seconds without one
    FIRST = 30.0  # seconds without the first one

    def __init__(self, rank: int, count: int, lost: Callable[[str], None]) -> None:
        self._rank, self._count, self._lost = rank, count, lost
        begun = time.monotonic() + self.FIRST - self.LIMIT
        self._heard = dict.fromkeys(map(str, range(count)), begun)
        self._beats: dict[str, str] = {}
        self._failed = self._stopped = False
        # Kept: C has the address of it only.
        self._abort = ctypes.CFUNCTYPE(None, ctypes.c_int)(self._aborted)

    def start(self) -> None:
        """Begins, in threads that end with the process."""
        # jaxlib cannot call Python before it aborts: what it would call fails on its own types.
        if hasattr(signal, "pthread_kill"):  # not on Windows
            ctypes.CDLL(None).signal(int(signal.SIGABRT), self._abort)
        for each in (self._beat, self._listen):
            threading.Thread(target=each, name="watch", daemon=True).start()

    def stop(self) -> None:
        """Ends it: from now on the others may go, as this process may."""
        self._stopped = True

    def _beat(self) -> None:
        store, number = _store(), 0
        while not self._stopped:
            number += 1
            try:
                store.key_value_set(f"beats/{self._rank}", str(number), allow_overwrite=True)
                for key, beat in store.key_value_dir_get("beats/"):
                    other = key.rpartition("/")[2]
                    if self._beats.get(other) != beat:
                        self._beats[other], self._heard[other] = beat, time.monotonic()
            except Exception:  # jaxlib's own
                self._failed = True
                return
            time.sleep(self.EVERY)

    def _listen(self) -> None:
        while True:
            time.sleep(self.EVERY)
            if self._stopped:
                return
            if self._failed:
                self._lost("process 0 is gone")
                return
            now = time.monotonic()
            gone = [each for each, heard in self._heard.items() if now - heard > self.LIMIT]
            if gone:
                # Not to hear oneself is not to hear process 0.
                self._lost(f"process {0 if str(self._rank) in gone else gone[0]} is gone")
                return

    def _aborted(self, _: int) -> None:
        if self._stopped:  # all is done, and another one went without goodbye
            os._exit(0)
        self._lost("jax gave up: process 0 is gone, or this one failed")


def _store() -> Any:
    """Returns the client of jax's key-value store, which has no public name."""
    from jax._src.distributed import global_state

    return global_state.client

"""Work in another thread, one step ahead."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

__all__ = ["WAIT", "ahead"]

WAIT = 0.3  # seconds between two calls of `alive`

T = TypeVar("T")


def ahead(items: Iterable[T], alive: Callable[[], None] | None = None) -> Generator[T, None, None]:
    """Yields items, while a thread makes the next one.

    At any time there are two at most: the one that was yielded and the one after it. Closing the
    iterator does not wait for an item that is being made; the thread ends after that.

    Args:
        items: are made in the thread, and closed there if they can be.
        alive: called again and again while an item is waited for; what it raises ends that.

    Yields:
        Each of them; what making one raises is raised here in its place.
    """
    wanted, made = threading.Semaphore(), queue.SimpleQueue[tuple[bool, T | BaseException | None]]()
    stop = threading.Event()

    def make() -> None:
        iterator = iter(items)
        try:
            while True:
                wanted.acquire()
                if stop.is_set():
                    break
                made.put((True, next(iterator)))
        except StopIteration:
            made.put((False, None))
        except BaseException as error:
            made.put((False, error))
        finally:
            if close := getattr(iterator, "close", None):
                close()

    threading.Thread(target=make, name="ahead", daemon=True).start()
    try:
        while True:
            try:
                there, item = made.get(timeout=WAIT if alive else None)
            except queue.Empty:
                if alive:
                    alive()
                continue
            if isinstance(item, BaseException) and not there:
                raise item
            if not there:
                return
            wanted.release()
            yield item  # type: ignore[misc]
            del item  # while it waits for the next
    finally:
        stop.set()
        wanted.release()

"""Work in another thread, one step ahead."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

__all__ = ["ahead"]

T = TypeVar("T")


def ahead(items: Iterable[T]) -> Generator[T, None, None]:
    """Yields items, while a thread makes the next one.

    At any time there are two at most: the one that was yielded and the one after it. Closing the
    iterator waits until the thread has ended.

    Args:
        items: are made in the thread, and closed there if they can be.

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

    thread = threading.Thread(target=make, name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            there, item = made.get()
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
        thread.join()

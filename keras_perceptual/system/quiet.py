"""Quiet for what libraries say of their own accord, on standard error or as warnings.

Both are states of the whole process, so that threads share them.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

__all__ = ["private_stderr", "quiet_stderr", "quiet_warnings", "standard_streams"]


def _for_all_threads(
    state: Callable[[], AbstractContextManager[None]],
) -> Callable[[], AbstractContextManager[None]]:
    """Lets several threads be inside at once: the first in begins, the last out ends.

    Each by itself would restore what it found: the other's quiet, for good.
    """
    lock, held, inside = threading.Lock(), contextlib.ExitStack(), 0

    @contextlib.contextmanager
    @functools.wraps(state)
    def shared() -> Iterator[None]:
        nonlocal inside
        with lock:
            if inside == 0:
                held.enter_context(state())
            inside += 1
        try:
            yield
        finally:
            with lock:
                inside -= 1
                if inside == 0:
                    held.close()

    return shared


@_for_all_threads
@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hides what is written to standard error, by Python or not; exceptions pass as ever.

    LiteRT names the delegate it made and TensorFlow the processor features it found, whatever
    the level of logging that is asked for.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if sys.__stderr__ is None:  # started without one: its number may be any file's
        yield
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    saved = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


@_for_all_threads
@contextlib.contextmanager
def quiet_warnings() -> Iterator[None]:
    """Hides Python's warnings, such as Pillow's of what it repairs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def standard_streams() -> None:
    """Gives a process that was started without standard streams some that lead nowhere.

    Else the next files that it opens get their numbers, and what is written to standard error goes
    into those.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115


@contextlib.contextmanager
def private_stderr() -> Iterator[None]:
    """Keeps standard error for Python: what libraries write there goes nowhere, from any thread."""
    before = sys.stderr
    try:
        number = before.fileno()
    except (AttributeError, OSError, ValueError):
        number = None
    if number != 2:  # it goes elsewhere already
        yield
        return
    before.flush()
    saved = os.dup(2)
    with (
        open(os.devnull, "wb") as nowhere,
        open(saved, "w", 1, before.encoding, "backslashreplace", closefd=False) as sys.stderr,
    ):
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            sys.stderr = before
            os.dup2(saved, 2)
            os.close(saved)

"""`train --distributed`: joining the other processes, and ending with them."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from keras_perceptual.errors import PerceptualError
from keras_perceptual.system.quiet import private_stderr, quiet_stderr
from keras_perceptual.training.membership import from_environment, parse

__all__ = ["RESTART", "Group", "add_flag"]

RESTART = 75  # os.EX_TEMPFAIL, which Windows has no name for
LAST = 2  # seconds that process 0 stays, or jax aborts the others before they are told


def add_flag(parser: argparse.ArgumentParser) -> None:
    """Adds `--distributed`."""
    parser.add_argument(
        "--distributed",
        nargs="?",
        const="",
        metavar="HOST:PORT,COUNT,RANK",
        help="train together with other processes, this one being RANK of COUNT, which meet at "
        "process 0; without a value as the environment says, or with all devices of this process "
        "where it says nothing (KERAS_BACKEND=jax)",
    )


class Group:
    """The processes that train together, as one of them sees it; or the only one.

    Args:
        prog: what messages begin with.
        out: the run's folder.
        given: the value of `--distributed`.

    Attributes:
        several: whether there are others.
        first: whether this is the process that tells people how it ended.

    Raises:
        ValueError: if the value, or the environment where there is none, cannot be.
    """

    def __init__(self, prog: str, out: Path, given: str | None) -> None:
        self._prog, self._out, self._given = prog, out, given
        self._member = None
        if given is not None:
            self._member = parse(given) if given else from_environment(os.environ)
        self.several = self._member is not None
        self.first = self._member is None or self._member.rank == 0
        self._ending = threading.Lock()

    @contextlib.contextmanager
    def joined(self) -> Iterator[None]:
        """What is trained inside is trained by all of them.

        Raises:
            ClusterError: if they do not come together.
        """
        if self._given is None:
            yield
            return
        with private_stderr() if self.several else contextlib.nullcontext():
            with quiet_stderr():
                from keras_perceptual.training import processes, watch
            processes.join(self._member, self._lost)
            try:
                yield
                processes.leave()
            except PerceptualError:
                raise
            except Exception as error:  # jaxlib's are ValueErrors, RuntimeErrors and its own
                if self.several and watch.torn(error):
                    self._lost("the connection to another process broke")
                raise

    def _lost(self, why: str) -> NoReturn:
        """Ends this process, another one being gone; from any thread."""
        self._ending.acquire()  # for good: it is told once
        again = f" with --resume {self._out}" if (self._out / "recipe.json").exists() else ""
        line = f"{self._prog}: {why}; start all processes again{again}"
        print(f"\n{line}" if self.first else line, file=sys.stderr)  # it is the one with a bar
        raise SystemExit(self.status(RESTART))

    def status(self, status: int) -> int:
        """Returns the status of the only process; one of several ends here with it.

        Where one has failed, jax's own end would wait for it, for minutes.
        """
        if self.several:
            sys.stdout.flush()
            sys.stderr.flush()
            if self.first:
                time.sleep(LAST)
            os._exit(status)
        return status

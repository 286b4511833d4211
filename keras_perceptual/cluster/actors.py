"""Ray: a worker for each core, or each few, of a cluster, and many files through them."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from keras_perceptual.errors import ClusterError, first_line, reason
from keras_perceptual.system.quiet import quiet_warnings

__all__ = ["LOCAL", "Cluster"]

LOCAL = "local"  # the address of a cluster of this machine alone
BLOCK = 8  # files a task: what is done again when a worker dies
WINDOW = 100_000  # files at a time: Ray keeps some kilobytes of each block that it has to do
_AGAIN = 1  # times more that a task is given out when its worker died; Ray's default is for ever

File = tuple[str, str]  # where it comes from and where it goes to
Do = Callable[[str, str], Any]


class Cluster:
    """A connection to a Ray cluster, to be used in a `with` statement.

    Args:
        address: of its head, as `ray.init` takes it, or `local` for one of this machine that ends
            with the connection.
        cores: of each worker.
        workers: how many; by default as many as the cluster has cores for.

    Attributes:
        workers: how many there are.

    Raises:
        ClusterError: if Ray is not installed, the cluster cannot be reached, or no machine of it
            has that many cores.
    """

    def __init__(self, address: str, cores: int = 1, workers: int | None = None) -> None:
        self._address, self.cores = address, cores
        self.workers = workers or 0

    def __enter__(self) -> Cluster:
        ray = _ray(self._address)
        local = self._address == LOCAL
        with contextlib.ExitStack() as stack:
            stack.enter_context(_silent())
            self._connect(ray, local)
            stack.callback(ray.shutdown)
            stack.enter_context(_ending())
            self._count(ray)
            self._stack = stack.pop_all()
        return self

    def _connect(self, ray: Any, local: bool) -> None:
        try:
            _reach(self._address)
            ray.init(
                None if local else self._address,
                include_dashboard=False if local else None,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                # Ray listens where this address is.
                **({"_node_ip_address": "127.0.0.1"} if local else {}),
            )
        except Exception as error:  # Ray raises its own, gRPC's and Python's
            raise ClusterError(
                f"expected a Ray cluster at {self._address}: {reason(error)}"
            ) from error

    def _count(self, ray: Any) -> None:
        nodes = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
        if not nodes or max(nodes) < self.cores:
            raise ClusterError(
                f"expected a machine of at least {self.cores} cores in the cluster, the --threads "
                f"of a worker; the largest has {int(max(nodes, default=0))}"
            )
        self.workers = self.workers or sum(int(each // self.cores) for each in nodes)

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, files: Sequence[File], open_: Callable[[], Do]) -> Iterator[tuple[int, Any]]:
        """Does something with each file, at least once.

        Only names and what is returned travel through Ray.

        Args:
            files: to do.
            open_: makes, in each worker, the function that does one. It and what it returns are
                sent by `pickle`.

        Yields:
            (index of a file, what the function returned), as they end; None in its place for a
            file that ended the worker's process each time.

        Raises:
            ClusterError: if workers cannot begin or the cluster is lost.
        """
        numbers = iter(range(len(files)))
        while window := list(islice(numbers, WINDOW)):
            left = dict.fromkeys(window)
            # What died with others, or was lost, has a turn alone, so that they are not blamed.
            block = min(BLOCK, 1 + len(window) // (4 * self.workers))
            for size, waiting in ((block, 1), (1, 0)):
                rows = self._rows([*left], files, open_, size, waiting) if left else ()
                for number, result in rows:
                    if number in left:
                        del left[number]
                        yield number, result
            yield from ((number, None) for number in left)

    def _rows(
        self,
        numbers: list[int],
        files: Sequence[File],
        open_: Callable[[], Do],
        block: int,
        waiting: int,
    ) -> Iterator[tuple[int, Any]]:
        """Yields what comes of files; of blocks whose worker died too often, nothing.

        Blocks that wait at a worker die with it too, and have been tried as often.
        """
        import ray

        rows = [
            {"number": number, "source": files[number][0], "target": files[number][1]}
            for number in numbers
        ]
        data = ray.data.from_items(rows, override_num_blocks=-(-len(rows) // block))
        # A pool that grows by itself may stay at one.
        pool = ray.data.ActorPoolStrategy(
            size=self.workers, max_tasks_in_flight_per_actor=1 + waiting
        )
        with quiet_warnings():  # the last two go another way from 2.64 on
            done = data.map_batches(
                _Worker,
                fn_constructor_args=(open_,),
                batch_size=block,
                num_cpus=self.cores,
                compute=pool,
                max_restarts=-1,
                max_task_retries=_AGAIN,
            )
        try:
            for row in done.iter_rows():
                if row["fatal"]:
                    raise ClusterError(row["fatal"])
                yield row["number"], pickle.loads(row["result"])
        except ClusterError:
            raise
        except Exception as error:  # Ray's own
            raise ClusterError(f"the cluster gave up: {first_line(error)}") from error


class _Worker:
    """What Ray makes in a process of each worker."""

    AT_ONCE = 2  # one is fetched or stored while another has the cores

    def __init__(self, open_: Callable[[], Do]) -> None:
        self._fatal = ""
        try:
            self._do = open_()
        except Exception as error:  # whatever it is, no other worker will do better
            self._fatal = first_line(error)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        count = len(batch["number"])
        results = [b""] * count
        if not self._fatal:
            with ThreadPoolExecutor(self.AT_ONCE) as pool:
                done = pool.map(self._do, map(str, batch["source"]), map(str, batch["target"]))
                results = [pickle.dumps(each) for each in done]
        return {"number": batch["number"], "result": results, "fatal": [self._fatal] * count}


def _reach(address: str) -> None:
    """Raises an OSError if nothing listens at HOST:PORT, for which Ray would wait for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Hides what Ray prints among the names of outputs; who has the stream already keeps it."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


@contextlib.contextmanager
def _ending() -> Iterator[None]:
    """Lets SIGTERM end things as Ctrl+C does: with Ray's own way the process aborts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _ray(address: str) -> Any:
    """Imports Ray, which reads its environment then."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it tells its makers
    # Whoever reaches a Ray port may run what they like, unless they need a token.
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    if address == LOCAL and not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ClusterError(
            f"--cluster needs packages of its own: pip install 'ray[data]' s3fs ({error})"
        ) from error
    context = ray.data.DataContext.get_current()
    context.max_errored_blocks = -1  # a block that is lost ends nothing: it is missed, and redone
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    return ray

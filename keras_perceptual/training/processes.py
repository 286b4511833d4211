"""Several processes, one training: which part is whose, and that all of them end together.

Every function here does what one process alone needs where there is only one. With several they
are collectives, unless they say otherwise: all processes have to call them, in the same order.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from keras_perceptual.errors import ClusterError, first_line
from keras_perceptual.training.membership import Membership
from keras_perceptual.training.watch import Watch

__all__ = [
    "agree", "alone", "check_batch", "count", "first", "gather", "join", "joined", "leave", "rank",
    "rows", "share", "together",
]  # fmt: skip

HEARTBEAT = 30  # seconds until jax's own watch gives a process up
_watches: list[Watch] = []  # one, of a process of several


def join(membership: Membership | None, lost: Callable[[str], None]) -> None:
    """Joins the other processes, or takes all devices of this one.

    Args:
        membership: which one this is; None if it is the only one.
        lost: called from a thread, with a line on why, when another one is gone. It has to end
            this process.

    Raises:
        ClusterError: under another backend than JAX, or if the others cannot be reached.
    """
    backend = keras.backend.backend()
    if backend != "jax":
        raise ClusterError(
            f"training on several devices needs KERAS_BACKEND=jax, received {backend}: under "
            "TensorFlow Keras's fit fails with several machines (keras issue 20585), and leaves "
            "batches out with several devices"
        )
    import jax

    if membership is not None:
        try:
            jax.distributed.initialize(
                membership.address,
                membership.count,
                membership.rank,
                local_device_ids=_devices(membership),
                cluster_detection_method="deactivate",
                # By itself it listens on every address of the machine.
                coordinator_bind_address=os.environ.get(
                    "JAX_COORDINATOR_BIND_ADDRESS", membership.address
                ),
                heartbeat_timeout_seconds=HEARTBEAT,
            )
        except Exception as error:  # grpc's, in jaxlib's own classes
            raise ClusterError(
                f"expected {membership.count} processes at {membership.address}: "
                f"{first_line(error)}"
            ) from error
        _watches.append(Watch(membership.rank, membership.count, lost))
        _watches[-1].start()
    elif jax.device_count() == 1:
        raise ClusterError(
            "expected HOST:PORT,COUNT,RANK, variables that say it, or several devices here; "
            "found one device"
        )
    # The batches are shared out by `share`: Keras would do it with a tf.data.Dataset only.
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))


def leave() -> None:
    """Waits until all have done what they had to; from then on each may end."""
    gather(np.zeros(1))
    for watch in _watches:
        watch.stop()


def _devices(membership: Membership) -> list[int] | None:
    """Returns the accelerators to take; the variable JAX_LOCAL_DEVICE_IDS goes before."""
    if membership.device is None or "JAX_LOCAL_DEVICE_IDS" in os.environ:
        return None
    return [membership.device]


def count() -> int:
    """Returns how many processes there are. Not a collective."""
    return _jax().process_count() if joined() else 1


def rank() -> int:
    """Returns which process this is, from 0. Not a collective."""
    return _jax().process_index() if joined() else 0


def first() -> bool:
    """Returns whether this is the process that writes. Not a collective."""
    return rank() == 0


def joined() -> bool:
    """Returns whether several devices share the batches, of one process or more."""
    if keras.backend.backend() != "jax":
        return False
    return keras.distribution.distribution() is not None or _jax().distributed.is_initialized()


def _jax() -> Any:
    import jax

    return jax


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Makes what happens inside this process's own: it waits for no other. Not a collective.

    Elsewhere variables are made, and assigned to, by all processes together.
    """
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


@contextlib.contextmanager
def together(what: str) -> Iterator[bool]:
    """Gives whether this process is the first, which does something alone while the others wait.

    Raises:
        ClusterError: in the others, where it failed.
    """
    if count() == 1:
        yield True
        return
    failed = False
    try:
        with alone():
            yield first()
    except Exception:
        failed = True
        raise
    finally:
        if gather(np.asarray(failed)).any() and not failed:
            raise ClusterError(f"{what} failed in process 0, which says why")


def check_batch(size: int) -> None:
    """Raises a ValueError unless a batch divides among all devices. Not a collective."""
    if not joined():
        return
    devices = _jax().device_count()
    if size % devices:
        raise ValueError(
            f"expected a --batch-size in a multiple of the {devices} devices of {count()} "
            f"processes, received {size}"
        )


def share(batches: Iterator[tuple]) -> Iterator[tuple]:
    """Yields this process's rows of each batch; those of all are the batch. Not a collective."""
    for batch in batches:
        yield keras.tree.map_structure(rows, batch)


def rows(array: np.ndarray) -> np.ndarray:
    """Returns this process's rows of an array that all have. Not a collective."""
    each = len(array) // count()
    return array[rank() * each : (rank() + 1) * each]


def gather(array: np.ndarray) -> np.ndarray:
    """Returns the arrays of all processes, which are of one shape, as `[count, ...]`."""
    if count() == 1:
        return array[None]
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(array))


def agree(facts: Mapping[str, object]) -> None:
    """Raises a ClusterError in every process unless all have the same facts, by their texts."""
    if count() == 1:
        return
    texts = [f"{name}: {value}"[:200] for name, value in facts.items()]
    said = np.zeros((len(texts), 800), np.uint8)
    for row, text in zip(said, texts, strict=True):
        encoded = text.encode()
        row[: len(encoded)] = np.frombuffer(encoded, np.uint8)
    everybody = gather(said)
    for number, name in enumerate(facts):
        values = [bytes(each[number]).rstrip(b"\0").decode() for each in everybody]
        if len(set(values)) > 1:
            told = ", ".join(value.removeprefix(f"{name}: ") for value in dict.fromkeys(values))
            raise ClusterError(
                f"the processes do not agree on {name}: {told}; they need the same arguments, and "
                "an --out that all of them share"
            )

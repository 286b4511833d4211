"""Which of several processes this one is: by a flag, or as what started them says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Membership", "from_environment", "parse"]

# What names the address (one name, or host and port), the number of processes, and this one's:
# of JAX's own, Keras's, Kubeflow's JAXJob, and torchrun's, which PyTorchJob has too.
_NAMES = (
    (("JAX_COORDINATOR_ADDRESS",), "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"),
    (
        ("KERAS_DISTRIBUTION_JOB_ADDRESSES",),
        "KERAS_DISTRIBUTION_NUM_PROCESSES",
        "KERAS_DISTRIBUTION_PROCESS_ID",
    ),
    (("COORDINATOR_ADDRESS", "COORDINATOR_PORT"), "NUM_PROCESSES", "PROCESS_ID"),
    (("MASTER_ADDR", "MASTER_PORT"), "WORLD_SIZE", "RANK"),
)
_INDEX = "JOB_COMPLETION_INDEX"  # Kubernetes: of a pod in an indexed Job
_LOCAL = ("SLURM_LOCALID", "LOCAL_RANK")
_SLURM = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID")


@dataclass(frozen=True)
class Membership:
    """One of several processes that train together.

    Args:
        address: HOST:PORT of process 0, where the others find it.
        count: how many there are.
        rank: which one this is, from 0.
        device: which of the accelerators of its machine it takes; None takes all.

    Raises:
        ValueError: if one of them cannot be.
    """

    address: str
    count: int
    rank: int
    device: int | None = None

    def __post_init__(self) -> None:
        host, _, port = self.address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"expected the HOST:PORT of process 0, received {self.address!r}")
        if not 0 <= self.rank < self.count:
            raise ValueError(
                f"expected a rank from 0 to {self.count - 1} of {self.count} processes, "
                f"received {self.rank}"
            )


def parse(text: str) -> Membership:
    """Returns what HOST:PORT,COUNT,RANK says.

    Raises:
        ValueError: if it is anything else.
    """
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts[1:]):
        raise ValueError(f"expected HOST:PORT,COUNT,RANK, received {text!r}")
    return Membership(parts[0].strip(), int(parts[1]), int(parts[2]))


def from_environment(environment: Mapping[str, str]) -> Membership | None:
    """Returns what the environment says, or None if it says nothing.

    Raises:
        ValueError: if it says something that cannot be.
    """
    device = next((_integer(environment, n) for n in _LOCAL if n in environment), None)
    for address, count, rank in _NAMES:
        rank = rank if rank in environment else _INDEX
        if all(name in environment for name in (*address, count, rank)):
            place = ":".join(environment[name] for name in address).partition(",")[0]
            return Membership(
                place, _integer(environment, count), _integer(environment, rank), device
            )
    if all(name in environment for name in _SLURM):
        job, nodes, count, rank = _SLURM
        # The ports that jax takes for Slurm, too: jobs of one machine get each its own.
        port = _integer(environment, job) % 4096 + 61440
        place = f"{_first_node(environment[nodes])}:{port}"
        return Membership(place, _integer(environment, count), _integer(environment, rank), device)
    return None


def _integer(environment: Mapping[str, str], name: str) -> int:
    if not environment[name].strip().isdecimal():
        raise ValueError(f"expected a number in {name}, received {environment[name]!r}")
    return int(environment[name])


def _first_node(nodes: str) -> str:
    """Returns the first of Slurm's node list: `gpu03` of `gpu[03-05,07],big1`."""
    found = re.match(r"([^,\[]+)(?:\[(\d+)[^\]]*\]([^,]*))?", nodes)
    if not found:
        raise ValueError(f"expected a list of nodes in SLURM_STEP_NODELIST, received {nodes!r}")
    return "".join(part or "" for part in found.groups())

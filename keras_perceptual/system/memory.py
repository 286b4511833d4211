"""How much memory there is, and how much a program holds."""

from __future__ import annotations

from pathlib import Path

import psutil

__all__ = ["available", "resident"]

_CGROUP = Path("/sys/fs/cgroup")


def available() -> int:
    """Returns the bytes that this process may still take without harm.

    The least of what the machine has free, what its container leaves, and what `ulimit -v` leaves.
    """
    limits = [psutil.virtual_memory().available]
    try:
        held = int((_CGROUP / "memory.current").read_text())
        files = dict(line.split() for line in (_CGROUP / "memory.stat").open())["file"]
        limits.append(int((_CGROUP / "memory.max").read_text()) - held + int(files))
    except (OSError, ValueError, KeyError):  # no container, or one without a limit
        pass
    try:
        import resource

        limit_address_space, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit_address_space != resource.RLIM_INFINITY:
            limits.append(limit_address_space - psutil.Process().memory_info().vms)
    except ImportError:  # Windows
        pass
    return max(0, min(limits))


def resident() -> int:
    """Returns the bytes of memory that this process holds now."""
    return psutil.Process().memory_info().rss

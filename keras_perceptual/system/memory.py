"""How much memory there is, and how much a program holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import psutil

__all__ = ["WITH_TENSORFLOW", "available", "expect_address_space", "resident"]

WITH_TENSORFLOW = 25 * 10**8  # bytes of address space that loading it takes, and some more
_PROCESS = Path("/proc/self")
_UNLIMITED = 2**60  # bytes, and more: what the first version says where there is no limit
# In each version of control groups: what a group may hold, what it holds, and how memory.stat
# begins its lines on files, which give way.
_NAMES = {
    "cgroup": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
    "cgroup2": ("memory.max", "memory.current", ""),
}


def available() -> int:
    """Returns the bytes that this process may still take without harm.

    The least of what the machine has free, what its container and every group around it leave, and
    what `ulimit -v` leaves.
    """
    limits = [psutil.virtual_memory().available, *_left_by_groups()]
    if (most := _address_space()) is not None:
        limits.append(most - psutil.Process().memory_info().vms)
    return max(0, min(limits))


def expect_address_space(least: int) -> None:
    """Checks that `ulimit -v` is not so low that libraries crash where they expect memory.

    Args:
        least: bytes.

    Raises:
        MemoryError: if it is.
    """
    most = _address_space()
    if most is not None and most < least:
        raise MemoryError(
            f"expected at least {least / 1e6:.0f} MB of address space, received "
            f"{most / 1e6:.0f} MB; raise ulimit -v"
        )


def resident() -> int:
    """Returns the bytes of memory that this process holds now."""
    return psutil.Process().memory_info().rss


def _address_space() -> int | None:
    """Returns what `ulimit -v` is, in bytes, if there is such a limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit


def _left_by_groups() -> Iterator[int]:
    """Yields what each control group that this process is in, and each above it, leaves."""
    try:
        mounts = (_PROCESS / "mountinfo").read_text().splitlines()
        groups = (_PROCESS / "cgroup").read_text().splitlines()
    except OSError:  # not Linux
        return
    own = {controllers: path for _, controllers, path in (g.split(":", 2) for g in groups)}
    for mount in mounts:
        before, _, after = mount.partition(" - ")
        (kind, _, options), (root, place) = after.split(" ", 2), before.split()[3:5]
        if kind not in _NAMES or (kind == "cgroup" and "memory" not in options.split(",")):
            continue
        names = [c for c in own if "memory" in c.split(",")] if kind == "cgroup" else [""]
        for path in (own[name] for name in names if name in own):
            yield from _left_below(Path(place), _inside(path, root), _NAMES[kind])


def _inside(path: str, root: str) -> PurePosixPath:
    """Returns a group's path below what is mounted, which in a container is its own group."""
    try:
        return PurePosixPath(path).relative_to(root)
    except ValueError:
        return PurePosixPath()


def _left_below(mount: Path, group: PurePosixPath, names: tuple[str, str, str]) -> Iterator[int]:
    most, held, begin = names
    for folder in (mount / group, *(mount / above for above in group.parents)):
        try:
            limit = int((folder / most).read_text())
            if limit > _UNLIMITED:
                continue
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            files = sum(int(stat[f"{begin}{kind}active_file"]) for kind in ("", "in"))
            yield limit - int((folder / held).read_text()) + files
        except (OSError, ValueError, KeyError):  # not there, or "max"
            continue

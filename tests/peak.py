"""The most memory that a process has held, for the programs that tests run."""

from __future__ import annotations

from pathlib import Path


def peak() -> int:
    """Returns megabytes, by Linux; `ru_maxrss` begins with what the parent held when it forked."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024

"""What the processor computes fast, and with how many cores."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

__all__ = ["cores", "fast_int8"]

_CPUINFO = Path("/proc/cpuinfo")
# Instructions that add up products of 8-bit integers: of x86 and of ARM, as Linux names them.
_FEATURES = {"avx512_vnni", "avx_vnni", "asimddp", "i8mm"}
# The same as macOS names them, of ARM and of Intel.
_APPLE = ("hw.optional.arm.FEAT_DotProd", "hw.optional.arm.FEAT_I8MM", "hw.optional.avx512vnni")


def cores(threads: int | None = None) -> int:
    """Returns how many cores to use: as many as somebody says, else all."""
    return threads or os.cpu_count() or 1


@cache
def fast_int8() -> bool:
    """Returns whether networks in 8 bits run much faster here than in float32.

    They do where the processor has instructions for it; where that cannot be told, False.
    """
    if sys.platform == "darwin":
        return _macos()
    try:
        lines = re.findall(r"^(?:flags|Features)\s*:(.*)$", _CPUINFO.read_text(), re.MULTILINE)
    except OSError:
        return False
    # Of a processor with cores of two kinds, what all of them have.
    return bool(lines) and all(_FEATURES & {*line.split()} for line in lines)


def _macos() -> bool:
    try:
        # What a processor does not know is an error beside the answers.
        command = ["sysctl", "-n", *_APPLE]
        answers = subprocess.run(command, capture_output=True, text=True, timeout=5).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    return "1" in answers.split()

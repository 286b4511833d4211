"""libvips as it is used here: one thread a file, no cache of operations, quiet."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("VIPS_CONCURRENCY", "1")  # rows come in order, one reader a file

import pyvips

__all__ = ["pyvips"]

pyvips.cache_set_max(0)


def _text(message: Any) -> str:
    return pyvips.ffi.string(message).decode(errors="replace") if message else ""


# pyvips takes messages for UTF-8, fails where they quote the bytes of a damaged file, and then
# has that message stand before all later ones.
pyvips._to_string = pyvips.error._to_string = _text

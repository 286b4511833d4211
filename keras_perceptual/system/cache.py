"""Where a user keeps what can be made again."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """Returns this package's folder in the user's cache; it may not be there yet.

    `XDG_CACHE_HOME` names the cache, on Windows `LOCALAPPDATA`; else it is the system's own.

    Raises:
        RuntimeError: if the user has no home.
    """
    named = os.environ.get("XDG_CACHE_HOME")
    if sys.platform == "win32":
        named = named or os.environ.get("LOCALAPPDATA")
    usual = Path("Library", "Caches") if sys.platform == "darwin" else Path(".cache")
    return (Path(named) if named else Path.home() / usual) / "keras_perceptual"

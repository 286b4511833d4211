"""The repository that the package runs from, where there is one."""

from __future__ import annotations

from pathlib import Path

__all__ = ["checkout"]


def checkout(*parts: str) -> Path | None:
    """Returns a path below the repository's root, or None where it is not there."""
    path = Path(__file__).parents[2].joinpath(*parts)
    return path if path.exists() else None

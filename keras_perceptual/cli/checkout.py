"""The files of the project beside the package, where there are any."""

from __future__ import annotations

from pathlib import Path

__all__ = ["checkout"]

_ROOT = Path(__file__).parents[2]


def checkout(*parts: str) -> Path | None:
    """Returns a path in the project's checkout.

    Args:
        *parts: of the path, below the checkout's folder; none for the folder itself.

    Returns:
        The path, or None if it is not there or the package was installed without a checkout.
    """
    path = _ROOT.joinpath(*parts)
    return path if (_ROOT / "pyproject.toml").is_file() and path.exists() else None

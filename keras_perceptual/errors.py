"""One line for people from any exception."""

from __future__ import annotations

__all__ = ["first_line"]


def first_line(error: Exception) -> str:
    """Returns the first line of an exception's message, or its name if it has none."""
    return str(error).strip().partition("\n")[0] or type(error).__name__

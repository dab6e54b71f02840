"""The error that readers of sources raise among themselves; outside of them it is a fault."""

from __future__ import annotations


class Unreadable(Exception):
    """A source that cannot be read; the message says why, in words."""

    def __init__(self, message: str, hint: str | None = None, column: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        self.column = column


def first_line(error: object) -> str:
    """Return the first line of what an error says, or its name if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

"""Finding the controls of a page, and reading what it says."""

from __future__ import annotations

import html
import re


def inside(part) -> list:
    """All widgets of a part, in their order."""
    return [part, *(w for child in getattr(part, "children", ()) for w in inside(child))]


def one(part, kind: str, nth: int = 0):
    """The first control of a kind, or the one counted from 0."""
    return [w for w in inside(part) if type(w).__name__ == kind][nth]


def words(part) -> str:
    """What a part says, without its markup."""
    shown = "".join(w.value for w in inside(part) if type(w).__name__ == "Page")
    return html.unescape(re.sub(r"<[^>]+>", " ", shown))

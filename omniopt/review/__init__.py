"""People at the plan: read a finished run, veto and lock contacts, ask what if.

The public names are loaded when they are first used: a program that only reads a run needs no widgets.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omniopt.review.data import FinishedRun as FinishedRun
    from omniopt.review.review_page import review as review
    from omniopt.review.what_if_page import what_if as what_if

_HOME = {
    "FinishedRun": "omniopt.review.data",
    "review": "omniopt.review.review_page",
    "what_if": "omniopt.review.what_if_page",
}

__all__ = ["FinishedRun", "review", "what_if"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value

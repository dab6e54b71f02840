"""Many examples of one kind: a few of them in every run of the tests, the others in the slow ones."""

from __future__ import annotations

from typing import Any

import pytest


def slow_after(quick: int, count: int) -> list[Any]:
    """The numbers up to ``count``, those from ``quick`` on marked as slow."""
    return [
        *range(quick),
        *(pytest.param(number, marks=pytest.mark.slow) for number in range(quick, count)),
    ]

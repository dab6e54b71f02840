"""A finished run of the starter project, made once and copied for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from omniopt.review import FinishedRun


@pytest.fixture
def run(project: Path) -> FinishedRun:
    """The run of this test's project."""
    return FinishedRun(project / "reports" / "first")

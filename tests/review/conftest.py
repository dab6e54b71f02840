"""A finished run of the starter project, made once and copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import omniopt as oo
from omniopt.review import FinishedRun


@pytest.fixture(scope="session")
def starter_with_run(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Path:
    """The starter project with one finished run, reports/first; not to be written to."""
    folder = tmp_path_factory.mktemp("starter") / "project"
    shutil.copytree(checkout / "data" / "starter", folder, ignore=shutil.ignore_patterns("reports"))
    oo.optimize(oo.Project.load(folder)).save(folder / "reports" / "first")
    return folder


@pytest.fixture
def project(starter_with_run: Path, tmp_path: Path) -> Path:
    """A copy of the starter project and its run, for this test alone."""
    return Path(shutil.copytree(starter_with_run, tmp_path / "project"))


@pytest.fixture
def run(project: Path) -> FinishedRun:
    """The run of this test's project."""
    return FinishedRun(project / "reports" / "first")

"""What the whole suite shares: a Chromium, the folder of reference data, a finished run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from omniopt.runs.doctor import find_chromium

# No deadlines: the first example pays for compiling kernels. Where CI is set, the same examples every time.
settings.register_profile("house", deadline=None, derandomize=os.environ.get("CI") == "true")
settings.load_profile("house")

CHECKOUT = Path(__file__).resolve().parents[1]
_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
)


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder of this checkout."""
    return CHECKOUT


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; without one the test is skipped, or fails if told not to skip."""
    path = find_chromium()
    if path is None:
        if os.environ.get("OMNIOPT_REQUIRE_BROWSER") == "1":
            pytest.fail(
                "no Chromium was found, and OMNIOPT_REQUIRE_BROWSER=1 says that browser tests must run"
            )
        pytest.skip("no Chromium was found (chromium, chromium-browser, google-chrome)")
    return path


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """Chromium without a window, one for the whole process: playwright cannot be started twice in one."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=chromium, args=list(_QUIET))
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of reference data, no part of the project: without it the test is skipped."""
    given = os.environ.get("OMNIOPT_REFERENCE_DATA")
    folder = Path(given) if given else CHECKOUT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("no reference data: name their folder in OMNIOPT_REFERENCE_DATA")
    return folder


@pytest.fixture(scope="session")
def starter_with_run(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Path:
    """The starter project with one finished run, reports/first; not to be written to."""
    import omniopt as oo

    folder = tmp_path_factory.mktemp("starter") / "project"
    shutil.copytree(checkout / "data" / "starter", folder, ignore=shutil.ignore_patterns("reports"))
    oo.optimize(oo.Project.load(folder)).save(folder / "reports" / "first")
    return folder


@pytest.fixture
def project(starter_with_run: Path, tmp_path: Path) -> Path:
    """A copy of the starter project and its run, for this test alone."""
    return Path(shutil.copytree(starter_with_run, tmp_path / "project"))

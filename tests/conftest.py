"""What the whole suite shares: a Chromium for the browser tests, and the folder of reference data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from omniopt.runs.doctor import find_chromium

# No deadlines: the first example pays for compiling kernels. Where CI is set, the same examples every time.
settings.register_profile("house", deadline=None, derandomize=os.environ.get("CI") == "true")
settings.load_profile("house")

CHECKOUT = Path(__file__).resolve().parents[1]


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
def shared_data() -> Path:
    """The folder of reference data, no part of the project: without it the test is skipped."""
    given = os.environ.get("OMNIOPT_REFERENCE_DATA")
    folder = Path(given) if given else CHECKOUT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("no reference data: name their folder in OMNIOPT_REFERENCE_DATA")
    return folder

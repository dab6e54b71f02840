from __future__ import annotations

from collections.abc import Callable

import pytest
from market import Market, read

from omniopt.tables import Tables


@pytest.fixture
def make() -> Callable[..., Tables]:
    return read


@pytest.fixture(scope="session")
def market() -> Market:
    return Market(1500)

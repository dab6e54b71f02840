"""Every sentence holds for both solvers."""

from __future__ import annotations

import functools

import pytest

import omniopt as oo


@pytest.fixture(autouse=True, params=["exact", pytest.param("decomposed", marks=pytest.mark.slow)])
def solver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The solver that a test's plans come from."""
    monkeypatch.setattr(oo, "optimize", functools.partial(oo.optimize, solver=request.param))
    return str(request.param)

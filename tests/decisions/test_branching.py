"""Large problems are solved by prices alone, and by branching on cells; here small ones are, and compared."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import pandas as pd
import pytest
import tiny
from agree import check
from portions import slow_after

import omniopt as oo
from omniopt.decisions import cells, relax, restrict


@pytest.fixture(params=["the LP", "prices alone"])
def by_parts(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave little open at first; with ``prices alone`` the LP is only solved where they do not suffice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(restrict, "WHOLE", 3)
        patch.setattr(restrict, "FIRST_UNDECIDED", 3)
        patch.setattr(restrict, "GROWTH", 2)
        patch.setattr(relax, "SIFT_FROM", 2)
        if request.param == "prices alone":
            patch.setattr(restrict, "MANY_ROWS", -1)
        yield


def with_cells(case: tiny.Case) -> bool:
    limits = case.policy.get("limits", [])
    return any("fixed_cost" in limit or limit.get("all_or_nothing") for limit in limits)


@pytest.mark.parametrize("part", slow_after(1, 4))
@pytest.mark.usefixtures("by_parts")
def test_random_projects_with_cells_agree_with_brute_force(part: int) -> None:
    drawn = (tiny.make(Random(number)) for number in range(300_000, 300_100))
    chosen = [case for case in drawn if with_cells(case)][4 * part : 4 * part + 4]
    assert len(chosen) == 4
    for case in chosen:
        check(case)


@pytest.mark.usefixtures("by_parts")
def test_random_projects_agree_with_brute_force() -> None:
    for number in range(310_000, 310_012):
        check(tiny.make(Random(number)))


def shops() -> oo.Project:
    """Six offers that cost something to make, for 40 customers with two contacts each."""
    rng = np.random.default_rng(5)
    offers = [f"o{i}" for i in range(6)]
    customers = [f"c{i:02d}" for i in range(40)]
    actions = pd.DataFrame({"action_id": offers, "offer_id": offers, "channel": "mail"})
    pairs = pd.MultiIndex.from_product([customers, offers], names=["customer_id", "action_id"]).to_frame(
        False
    )
    candidates = pairs.assign(value=np.round(rng.uniform(1, 9, len(pairs)), 2))
    policy = {
        "objective": "value",
        "limits": [
            {"name": "worth making", "per": ["offer"], "min": 18, "all_or_nothing": True, "fixed_cost": 25},
            {"name": "mail", "max": 70},
        ],
        "contact": [{"name": "two", "max": 2}],
    }
    return oo.Project.from_frames(policy, actions=actions, candidates=candidates)


def test_branching_finds_what_the_exact_solver_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of the six are made is decided the same by the exact solver at once, and by branching."""
    whole = oo.optimize(shops(), gap=0.0)
    held: list[int] = []
    visit = cells._visit
    monkeypatch.setattr(cells, "_visit", lambda *a: held.append(1) or visit(*a))
    monkeypatch.setattr(restrict, "WHOLE", 10)
    for rows in (20_000, -1):
        monkeypatch.setattr(restrict, "MANY_ROWS", rows)
        before = len(held)
        plan = oo.optimize(shops(), gap=1e-6)
        assert plan.objective == pytest.approx(whole.objective, abs=1e-3)
        assert plan.bound >= whole.objective - 1e-9
        assert len(held) - before >= 2, "no cell was branched on"
        opened = [r["opened"] for r in plan.rules.to_dict("records") if r["name"] == "worth making"]
        assert 0 < sum(opened) < 6

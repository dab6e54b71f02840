"""All ways through the search lead to the same optimum on projects too large for brute force."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny

import omniopt as oo
from omniopt.decisions import exact, relax, restrict
from omniopt.decisions.model import state_model
from omniopt.decisions.problem import build_problem, keeps_rules

OFFERS, CHANNELS = ["loan", "card", "fund"], ["email", "call", "sms"]


def campaign(seed: int, customers: int = 25) -> tiny.Case:
    """Some 150 candidates, with rules of every kind and few ties; tight enough to bind."""
    r = Random(seed)
    regions = ["north", "south"]
    actions = [
        {
            "action_id": f"a{k}",
            "offer_id": r.choice(OFFERS),
            "channel": r.choice(CHANNELS),
            "date": r.randint(1, 14),
        }
        for k in range(8)
    ]
    pairs = [(c, a["action_id"]) for c in range(customers) for a in actions if r.random() < 0.8]
    tables = {
        "customers": pd.DataFrame({"customer_id": range(customers),
            "region": [r.choice(regions) for _ in range(customers)],
                                   "most": [r.randint(0, 3) for _ in range(customers)]}),
        "offers": pd.DataFrame({"offer_id": OFFERS, "category": ["credit", "credit", "savings"]}),
        "channels": pd.DataFrame({"channel": CHANNELS, "minutes": [0.0, 10.0, 1.0],
            "delivery_rate": [0.8, 1.0, 0.9],
                                  "fallback": ["call", None, "email"]}).astype({"fallback": "str"}),
        "actions": pd.DataFrame(actions),
        "candidates": pd.DataFrame([
            {"customer_id": c, "action_id": a, "value": round(r.uniform(-1, 9), 2),
                "cost": round(r.uniform(0, 3), 2)}
            for c, a in pairs
        ]),
        "history": pd.DataFrame([
            {"customer_id": c, "offer_id": r.choice(OFFERS), "channel": r.choice(CHANNELS),
                "date": -r.randint(0, 9), "outcome": "sent"}
            for c in range(0, customers, 3)
        ]),
    }  # fmt: skip
    policy: dict[str, Any] = {
        "objective": "value - cost",
        "limits": [
            {"name": "budget", "measure": "cost", "max": r.randint(10, 40)},
            {"name": "desk", "where": {"channel": "call"}, "per": ["customer.region"], "measure": "minutes",
                "max": r.randint(40, 90)},
            {"name": "share", "where": {"channel": "sms"}, "over": {"measure": "contacts"}, "max": 0.3},
            {"name": "loans", "where": {"offer": "loan"}, "min": r.randint(0, 4)},
        ],
        "contact": [
            {"name": "pressure", "max": 2, "days": 7}, {"name": "own", "max": {"column": "customer.most"}},
            {"name": "occasions", "max": 2, "count": "occasions"},
        ],
        "conflicts": [{"name": "calls", "first": {"channel": "call"}, "then": {"channel": "call"},
            "days": 10}],
    }  # fmt: skip
    return tiny.Case(tables, policy, {"start": tiny.START, "days": 14}, {})


def straight(case: tiny.Case) -> float | None:
    """The optimum of the model as it is stated, with nothing fixed beforehand."""
    problem = build_problem(case.project())
    model = state_model(problem)
    outcome = exact.solve(
        model.objective, model.matrix, model.lo, model.hi, model.lower, model.upper, model.integer, 0.0, None
    )
    if outcome.values is None:
        return None
    chosen = outcome.values[: model.n] > 0.5
    assert keeps_rules(problem, chosen)
    return problem.value(chosen)


@pytest.fixture
def by_parts() -> Iterator[None]:
    """Leave little open at first, and sift the relaxation."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in (
            (restrict, "WHOLE", 3), (restrict, "FIRST_UNDECIDED", 4), (restrict, "GROWTH", 2),
            (relax, "SIFT_FROM", 10), (relax, "CLOSEST", 1),
        ):  # fmt: skip
            patch.setattr(module, name, value)
        yield


def check(seed: int) -> None:
    case = campaign(seed)
    best = straight(case)
    if best is None:
        with pytest.raises(oo.Infeasible):
            oo.optimize(case.project(), gap=0.0)
        return
    for gap in (0.0, 1e-4, 1e-2):
        plan = oo.optimize(case.project(), gap=gap)
        assert plan.objective <= best + 1e-6
        assert plan.bound >= best - 1e-9 * abs(best)
        assert plan.certificate["bound_from_prices"] >= best - 1e-9 * abs(best)
        assert plan.gap <= max(gap, 1e-9) and plan.status in ("optimal", "within_gap")
        assert plan.objective >= best - max(gap, 1e-9) * max(1.0, abs(plan.bound)) - 1e-9


@pytest.mark.parametrize("seed", range(8))
def test_by_parts_the_optimum_is_the_same(seed: int, by_parts: None) -> None:
    check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_by_parts_the_optimum_is_the_same_many_times(part: int, by_parts: None) -> None:
    for seed in range(100 + 20 * part, 120 + 20 * part):
        check(seed)


def test_by_parts_the_plan_is_the_same_every_time(by_parts: None) -> None:
    plans = [oo.optimize(campaign(3).project(), gap=1e-3).contacts for _ in range(2)]
    pd.testing.assert_frame_equal(*plans)


def test_an_impossible_minimum_is_found_impossible_by_parts(by_parts: None) -> None:
    case = campaign(1)
    case.policy["limits"].append({"name": "too many", "min": 90})
    with pytest.raises(oo.Infeasible):
        oo.optimize(case.project())


def test_a_minimum_that_only_whole_contacts_miss(by_parts: None) -> None:
    """Half contacts could keep both limits, whole ones cannot: the relaxation alone does not notice."""
    candidates = pd.DataFrame({"customer_id": np.arange(6), "action_id": "a", "value": 1.0, "cost": 2.0})
    actions = pd.DataFrame({"action_id": ["a"], "offer_id": "o", "channel": "call"})
    policy = {"objective": "value", "limits": [{"name": "odd", "measure": "cost", "min": 5, "max": 5}]}
    with pytest.raises(oo.Infeasible):
        oo.optimize(oo.Project.from_frames(policy, actions=actions, candidates=candidates))

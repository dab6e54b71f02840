"""In what order more units, exchanges and the exact solver are tried."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import omniopt as oo
from omniopt.decisions.large import close

POLICY = {
    "objective": "value",
    "limits": [
        {"name": "budget", "measure": "cost", "max": 700},
        {"name": "quota", "per": ["offer"], "max": 500},
        {"name": "desk", "where": {"channel": "call"}, "per": ["customer.region"], "max": 90},
    ],
    "contact": [{"name": "one each", "max": 1}],
}
CUSTOMERS = 4_000


@pytest.fixture(scope="module")
def project() -> oo.Project:
    random = np.random.default_rng(8)
    actions = pd.DataFrame(
        [(f"{o}-{c}", o, c) for o in "abcd" for c in ("call", "mail")],
        columns=["action_id", "offer_id", "channel"],
    )
    customers = pd.DataFrame({"customer_id": [f"c{i:04}" for i in range(CUSTOMERS)]})
    customers["region"] = random.choice(["north", "south"], CUSTOMERS)
    candidates = customers[["customer_id"]].merge(actions[["action_id"]], how="cross")
    candidates["value"] = random.uniform(1, 9, len(candidates))
    candidates["cost"] = np.tile([1.0, 0.1], len(candidates) // 2)
    return oo.Project.from_frames(POLICY, actions=actions, customers=customers, candidates=candidates)


@pytest.mark.parametrize(("few", "larger_first"), [(close.FEW, False), (1.0, True)])
def test_the_lp_grows_before_the_exact_solver_is_asked_only_where_it_stays_small(
    project, monkeypatch, few, larger_first
):
    asked = list[str]()
    relaxed, restricted = close._Attempt.relaxed, close.restricted

    def solve(attempt):
        asked.append("LP")
        return relaxed(attempt)

    def decide(*arguments):
        asked.append("exact")
        return restricted(*arguments)

    monkeypatch.setattr(close, "FEW", few)
    monkeypatch.setattr(close, "FIRST", (200, 200))
    monkeypatch.setattr(close, "exchanged", lambda *_: None)
    monkeypatch.setattr(close._Attempt, "relaxed", solve)
    monkeypatch.setattr(close, "restricted", decide)
    plan = oo.optimize(project, gap=1e-4, solver="decomposed")
    assert plan.gap <= 1e-4
    assert asked[: 1 + larger_first] == ["LP"] * (1 + larger_first)
    assert asked[1 + larger_first] == "exact"

"""Which solver `auto` takes below 100,000 candidates, and what a plan found by prices comes with."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bank import entry

import omniopt as oo
from omniopt.audit.verify import verify
from omniopt.decisions.large import middle
from omniopt.decisions.progress import Search
from omniopt.errors import StoppedWithoutPlan

DATES = [1, 8, 15, 22]
APART = {"name": "apart", "first": {"channel": "call"}, "then": {"channel": "call"}, "days": 10}
CAP = {"name": "two in two weeks", "max": 2, "days": 14}
BUDGET = {"name": "budget", "measure": "cost", "max": 130.5}
QUOTA = {"name": "quota", "per": ["customer.region"], "max": 7}


def made(customers: int = 80, **rules: Any) -> oo.Project:
    """State a project with sixteen candidates for each customer: two offers, two channels, four weeks."""
    random = np.random.default_rng(5)
    grid = [(offer, channel, date) for offer in "ab" for channel in ("call", "mail") for date in DATES]
    actions = pd.DataFrame(grid, columns=["offer_id", "channel", "date"])
    actions["action_id"] = [f"{o}-{c}-{d}" for o, c, d in grid]
    ids = [f"c{i:03}" for i in range(customers)]
    region = [f"r{i % 12}" for i in range(customers)]
    candidates = pd.DataFrame({"customer_id": np.repeat(ids, len(grid))})
    candidates["action_id"] = actions["action_id"].tolist() * customers
    candidates["value"] = random.uniform(1, 9, len(candidates))
    candidates["cost"] = np.where(candidates["action_id"].str.contains("call"), 2.0, 1.0)
    return oo.Project.from_frames(
        {"objective": "value", **({"contact": [CAP], "conflicts": [APART], "limits": [BUDGET]} | rules)},
        horizon={"start": "2026-11-23", "days": 28},
        actions=actions,
        candidates=candidates,
        customers=pd.DataFrame({"customer_id": ids, "region": region}),
    )


def test_prices_go_first_where_customers_are_many_and_their_rules_too(tmp_path: Path) -> None:
    project = made()
    plan, exact = oo.optimize(project), oo.optimize(project, solver="exact")
    assert (plan.certificate["solver"], exact.certificate["solver"]) == ("decomposed", "exact")
    assert plan.gap <= 1e-4
    assert plan.objective <= exact.bound and exact.objective <= plan.bound
    # what the exact solver's plans come with is there as well
    assert plan.certificate.keys() - {"bound_by"} == exact.certificate.keys()
    assert plan.contacts.columns.tolist() == exact.contacts.columns.tolist()
    assert plan.alternatives.columns.tolist() == exact.alternatives.columns.tolist()
    assert plan.contacts["advantage"].notna().all() and len(plan.alternatives)
    plan.save(tmp_path)
    assert verify(tmp_path, project).findings == []
    assert entry(plan, "budget")["price"] > 0


def test_ranges_of_prices_are_found_if_asked_for() -> None:
    plan = oo.optimize(made(), price_ranges=True)
    assert plan.certificate["solver"] == "decomposed"
    start, end = entry(plan, "budget")["price_range"]
    assert start <= 130.5 <= end


def test_the_same_plan_every_time() -> None:
    first, second = (oo.optimize(made()) for _ in range(2))
    pd.testing.assert_frame_equal(first.contacts, second.contacts)


@pytest.mark.parametrize(
    "other",
    [
        {"customers": 50},  # 800 candidates
        {"conflicts": [], "contact": [{"name": "one each", "max": 1}]},  # of which an LP sees everything
        {"limits": [BUDGET, QUOTA]},  # thirteen rows for eighty customers
        {"limits": [BUDGET | {"min": 20, "all_or_nothing": True}]},
        {"objective": [{"maximise": "value", "within": 0.1}, {"minimise": "cost"}]},
    ],
    ids=["few candidates", "one rule each", "many limits", "cells", "two objectives"],
)
def test_the_exact_solver_is_taken_otherwise(other: dict[str, Any]) -> None:
    assert oo.optimize(made(**other), gap=1e-2).certificate["solver"] == "exact"


def test_the_exact_solver_goes_on_where_prices_find_no_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: Any) -> None:
        raise StoppedWithoutPlan("no plan was found")

    monkeypatch.setattr(middle, "search_by_rank", nothing)
    plan = oo.optimize(made())
    assert plan.certificate["solver"] == "exact" and plan.gap <= 1e-4


def test_the_exact_solver_goes_on_from_a_plan_that_is_not_good_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search, shown = middle.search_by_rank, []
    found = oo.optimize(made(), gap=0.2)
    assert found.gap > 1e-4
    monkeypatch.setattr(middle, "search_by_rank", lambda *given: search(*given[:2], 0.2, *given[3:]))
    plan = oo.optimize(made(), progress=lambda step, best, bound: shown.append(best))
    assert plan.certificate["solver"] == "exact" and plan.gap <= 1e-4
    assert shown[-1] >= found.objective


def test_the_better_bound_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["omniopt.decisions.optimize"]
    search, met = module.search, list[float]()

    def worse(problem: Any, *given: Any) -> Search:
        found = search(problem, *given)
        assert found.dual is not None
        found.bound *= 2.0
        found.dual = replace(found.dual, bound=found.bound)
        return found

    def never(state: Search) -> bool:
        met.append(state.bound)
        return False

    monkeypatch.setattr(module, "search", worse)
    monkeypatch.setattr(Search, "reached", never)
    plan = oo.optimize(made())
    assert plan.certificate["solver"] == "exact"
    assert plan.bound == pytest.approx(met[0])  # as prices left it
    assert plan.certificate["bound_from_prices"] < 1.1 * plan.bound


def test_what_clashes_is_told_in_the_same_words() -> None:
    project = made(limits=[BUDGET, {"name": "calls", "where": {"channel": "call"}, "min": 300}])
    told = []
    for solver in ("auto", "exact"):
        with pytest.raises(oo.Infeasible) as error:
            oo.optimize(project, solver=solver)
        told.append(re.sub(r"worth [\d,.]+", "worth", str(error.value)))
    assert told[0] == told[1]
    assert "limit 'calls' asks for at least 300 contacts" in told[0]

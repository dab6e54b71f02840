"""What a plan of a large problem says, beside what a small problem's says of the same choice."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from portions import slow_after

import omniopt as oo
from omniopt.decisions.large.build import build_large
from omniopt.decisions.large.entries import customer_of
from omniopt.decisions.large.hunt import Hunt
from omniopt.decisions.large.result import large_plan
from omniopt.decisions.large.shape import Large
from omniopt.decisions.large.sweep import Engine
from omniopt.decisions.plan import Plan
from omniopt.errors import Infeasible

NUMBERS = st.integers(0, 10**9)  # a case can be made again by its number: tiny.make(Random(number))
QUICK = settings(
    max_examples=15, deadline=None, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
SAME = ("objective", "bound", "gap", "gap_target", "status", "bound_from_prices", "fixed_cost", "penalties",
        "candidates", "customers", "coupling_rows", "dropped", "objective_expr", "sense", "horizon", "seed",
        "changes", "ranks")  # fmt: skip


def places(large: Large, contacts: pd.DataFrame) -> np.ndarray:
    """Where contacts are among the candidates of a large problem."""
    catalogue, columns = large.catalogue, large.columns
    every = np.arange(len(large))
    action = large.bins.action[columns.bin % large.bins.kinds]
    key = customer_of(columns, every) * len(catalogue.actions) + action
    customer = catalogue.codes_of("customer", contacts["customer_id"])
    wanted = customer * len(catalogue.actions) + catalogue.codes_of("action", contacts["action_id"])
    return np.flatnonzero(np.isin(key, wanted))


def as_found(large: Large, plan: Plan) -> list[Hunt]:
    """A search that ended where another one did."""
    said = plan.certificate
    limits = [e for e in said["rules"] if e["kind"] == "limit" and not e.get("report_only")]
    alone = {"best": said["objective"], "prices": [e["price"] for e in limits], "rank_prices": []}
    engine = Engine(large.columns, large.templates, large.system, large.bins.width)
    chosen, found, system = places(large, plan.contacts), [], large.system
    for rank, claim in enumerate(said.get("ranks") or [said | alone]):
        ranked, sign = large.ranked[rank], large.policy.objectives[rank].sign
        if rank:
            system = system.next_rank(ranked.objective, ranked.cells, 0.0)
        own = replace(large, system=system, rank=rank)
        hunt = Hunt(own, engine.of(system), 0.0, math.inf, lambda *_: None, chosen.copy())
        hunt.objective, hunt.bound = sign * claim["best"], sign * claim["bound"]
        hunt.prices = np.array([*claim["prices"], *claim["rank_prices"]], np.float64)
        hunt.from_prices = sign * claim["bound_from_prices"]
        found.append(hunt)
    return found


def assert_same(found: Any, wanted: Any) -> None:
    """Two pieces of certificates are the same but for rounding."""
    if isinstance(wanted, dict):
        assert set(wanted) <= set(found)
        for key in wanted:
            assert_same(found[key], wanted[key])
    elif isinstance(wanted, list):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)
    elif isinstance(wanted, float):
        assert found == pytest.approx(wanted, rel=1e-9, abs=1e-9)
    else:
        assert found == wanted


def assert_frames(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found, wanted, rtol=1e-9, atol=1e-7)


def by_worth(frame: pd.DataFrame) -> pd.DataFrame:
    """Alternatives in their order, those that rounding alone tells apart by action."""
    ranked = frame.assign(rank=-frame["worth"].round(6)).sort_values(["customer_id", "rank", "action_id"])
    return ranked.drop(columns="rank").reset_index(drop=True)


@pytest.mark.parametrize("part", slow_after(1, 4))
@settings(QUICK)
@given(number=NUMBERS)
def test_says_what_small_problems_say_of_the_same_plan(part: int, number: int) -> None:
    case = tiny.make(Random(4 * number + part))
    note(str(case))
    project = case.project()
    try:
        plan = oo.optimize(project, gap=0.0, solver="exact", price_ranges=False)
    except Infeasible:
        return
    large, _ = build_large(project)
    found = large_plan(large, as_found(large, plan), 0.0, {"solve": 1.0})
    unranged = ("price_range", "degenerate", "price_more", "price_less")
    for entry in plan.certificate["rules"]:
        entry |= dict.fromkeys(set(unranged) & set(entry))
    assert_same(found.certificate["rules"], plan.certificate["rules"])
    for key in SAME:
        assert_same(found.certificate.get(key), plan.certificate.get(key))
    assert set(plan.certificate) <= set(found.certificate)
    assert_frames(found.contacts, plan.contacts)
    assert_frames(found.dropped, plan.dropped)
    assert_frames(by_worth(found.alternatives), by_worth(plan.alternatives))

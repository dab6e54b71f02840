"""Ranges of prices: what they say beside the relaxation solved again with the bound moved."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
from bank import decide, entry, project, table, tables_of
from portions import slow_after
from scipy.optimize import linprog

import omniopt as oo
from omniopt.decisions import build_problem, kernels, relax, restrict, sensitivity
from omniopt.decisions.model import Model, state_model
from omniopt.decisions.sensitivity import PriceRange

FOUR = table(
    "customer_id action_id value cost",
    "ann loan-call-1 9 3", "bob loan-call-1 8 4", "cal loan-call-1 5 5", "dot loan-call-1 2 1",
)  # fmt: skip


def value_of(model: Model, row: int, move: tuple[float, float]) -> float:
    """The relaxation's value with a row's bounds moved, by a solver called afresh; -inf if there is none."""
    lo, hi = model.lo.copy(), model.hi.copy()
    lo[row] += move[0]
    hi[row] += move[1]
    if lo[row] > hi[row]:
        return -math.inf
    matrix = model.matrix.toarray()
    upper, lower = np.isfinite(hi), np.isfinite(lo)
    found = linprog(
        -model.objective, np.vstack([matrix[upper], -matrix[lower]]),
        np.concatenate([hi[upper], -lo[lower]]),
        bounds=list(zip(model.lower, model.upper, strict=True)), method="highs",
    )  # fmt: skip
    return -found.fun if found.status == 0 else -math.inf


def relaxed(problem: Any) -> tuple[Model, relax.Relaxer, relax.Relaxation]:
    model = state_model(problem)
    relaxer = relax.Relaxer(problem, model, kernels.UnitIndex.of(problem.unit, problem.units))
    return model, relaxer, relaxer.solve()


def check_range(model: Model, solved: relax.Relaxation, row: int, found: PriceRange) -> None:
    """Inside the range the value moves along the price, beyond it does not; the sides' prices are slopes."""
    lo, hi, price = model.lo[row], model.hi[row], solved.prices[row]
    price = 0.0 if abs(price) <= sensitivity.SAME else price
    upper = price > 0 or (price == 0 and model.matrix[[row]] @ solved.values >= hi - 1e-7)
    both, bound, other = lo == hi, hi if upper else lo, lo if upper else hi
    base = value_of(model, row, (0.0, 0.0))

    def moved(by: float) -> float:
        return value_of(model, row, (by if both or not upper else 0.0, by if both or upper else 0.0))

    assert found.less >= price - 1e-6 and price + 1e-6 >= found.more
    assert found.start <= bound <= found.end
    for sign, slope, end in ((1, found.more, found.end), (-1, found.less, found.start)):
        if math.isinf(slope):
            assert moved(sign * 1e-4) == -math.inf
        else:
            assert moved(sign * 1e-4) == pytest.approx(base + slope * sign * 1e-4, abs=1e-8)
        for share in (0.25, 0.5, 0.999) if price else ():
            by = sign * share * min(abs(end - bound), 50.0)
            assert moved(by) == pytest.approx(base + price * by, abs=1e-6)
        if price and math.isfinite(end) and (both or end != other):
            by = end - bound + sign * 0.01
            assert moved(by) < base + price * by - 1e-10
    assert found.degenerate == (abs(found.more - found.less) > 1e-5 or math.isinf(found.more - found.less))


@pytest.mark.parametrize("part", slow_after(2, 6))
def test_ranges_on_random_projects(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    checked, degenerate, open_ended = 0, 0, 0
    if part % 2:  # the relaxation begins with few of the columns
        monkeypatch.setattr(relax, "SIFT_FROM", 0)
        monkeypatch.setattr(relax, "CLOSEST", 1)
        monkeypatch.setattr(relax, "SIFTED", -1.0)
    for number in range(40 * part, 40 * part + 40):
        problem = build_problem(tiny.make(Random(number)).project())
        if not len(problem):
            continue
        try:
            model, relaxer, solved = relaxed(problem)
        except oo.Infeasible:
            continue
        value = float(model.objective @ solved.values)
        for row, found in sensitivity.price_ranges(relaxer).items():
            assert found is not None
            check_range(model, solved, row, found)
            checked, degenerate = checked + 1, degenerate + found.degenerate
            open_ended += math.isinf(found.end - found.start)
        assert relaxer.solve().value == pytest.approx(value, abs=1e-7)
    assert checked > 10 and 2 < degenerate < checked and open_ended


def limits_of(plan: Any, name: str) -> dict[str, Any]:
    found = entry(plan, name)
    return {k: found[k] for k in ("price", "price_range", "degenerate", "price_more", "price_less")}


def test_a_budget_that_buys_part_of_a_contact() -> None:
    """Worth 3, 2, 1 and 2 for each unit of cost; 10 units buy the first two, the last, and 2 of the third."""
    policy = {"objective": "value", "limits": [{"name": "budget", "measure": "cost", "max": 10}]}
    plan = decide(policy, tables_of(FOUR))
    assert limits_of(plan, "budget") == {
        "price": pytest.approx(1), "price_range": [pytest.approx(8), pytest.approx(13)], "degenerate": False,
        "price_more": pytest.approx(1), "price_less": pytest.approx(1),
    }  # fmt: skip


def test_a_budget_where_two_prices_meet() -> None:
    policy = {"objective": "value", "limits": [{"name": "budget", "measure": "cost", "max": 8}]}
    plan = decide(policy, tables_of(FOUR))
    found = limits_of(plan, "budget")
    assert (
        found["degenerate"]
        and found["price_less"] == pytest.approx(2)
        and found["price_more"] == pytest.approx(1)
    )
    assert found["price_range"] in (
        [pytest.approx(3), pytest.approx(8)],
        [pytest.approx(8), pytest.approx(13)],
        [8, 8],
    )


def test_a_guarantee_of_all_there_is_has_no_more_to_give() -> None:
    """All four contacts are asked for; a fifth there is not."""
    policy = {"objective": "value - 3 * cost", "limits": [{"name": "all", "min": 4}]}
    found = limits_of(decide(policy, tables_of(FOUR)), "all")
    assert found["price_more"] is None and found["degenerate"]
    assert found["price_less"] == pytest.approx(-10)


def test_minimums_and_maximums_that_are_one() -> None:
    """Exactly two contacts: one more is worth 5, one less would cost 8."""
    policy = {"objective": "value", "limits": [{"name": "two", "min": 2, "max": 2}]}
    found = limits_of(decide(policy, tables_of(FOUR)), "two")
    assert (found["price_more"], found["price_less"]) == (pytest.approx(5), pytest.approx(8))


def test_prices_of_what_is_minimised_keep_their_sign() -> None:
    """What costs 1 is cheapest; three contacts cost 1 + 3 + 4, and the next costs 5."""
    policy = {"objective": {"minimise": "cost"}, "limits": [{"name": "three", "min": 3}]}
    found = limits_of(decide(policy, tables_of(FOUR)), "three")
    assert (found["price_more"], found["price_less"]) == (pytest.approx(-5), pytest.approx(-4))


def test_a_limit_with_room_has_no_range() -> None:
    policy = {"objective": "value", "limits": [{"name": "roomy", "max": 9}]}
    assert limits_of(decide(policy, tables_of(FOUR)), "roomy") == {
        "price": 0, "price_range": None, "degenerate": False, "price_more": 0, "price_less": 0
    }  # fmt: skip


def test_a_limit_that_may_be_missed_has_its_penalty_for_a_price_without_an_end() -> None:
    policy = {"objective": "value", "limits": [{"name": "soft", "max": 2, "penalty": 4}]}
    found = limits_of(oo.optimize(project(policy, tables_of(FOUR))), "soft")
    assert found["price"] == pytest.approx(4)
    assert found["price_range"] == [None, pytest.approx(3)] and not found["degenerate"]


def test_a_rolling_limit_speaks_of_its_bound_with_the_past() -> None:
    """One of three was sent yesterday: two places are left, and the range is around three."""
    past = table("customer_id offer_id channel date outcome planned", "eve loan call 0 sent false")
    policy = {"objective": "value", "limits": [{"name": "week", "max": 3, "rolling_days": 7}]}
    plan = oo.optimize(project(policy, tables_of(FOUR, history=past), {"start": "2026-11-23", "days": 7}))
    rows = [e for e in plan.certificate["rules"] if e["name"] == "week" and e["price"]]
    assert [e["max"] for e in rows] == [3] and rows[0]["history"] == 1
    assert rows[0]["price_less"] == pytest.approx(8) and rows[0]["price_more"] == pytest.approx(5)
    assert rows[0]["price_range"] is not None and 3 in rows[0]["price_range"]


def test_ranges_are_left_out_where_they_would_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = {"objective": "value", "limits": [{"name": "budget", "measure": "cost", "max": 10}]}
    monkeypatch.setattr(sensitivity, "EFFORT", 0)
    made = project(policy, tables_of(FOUR))
    left_out, asked = limits_of(oo.optimize(made), "budget"), oo.optimize(made, price_ranges=True)
    assert left_out["price_range"] is None and left_out["degenerate"] is None and left_out["price"]
    assert limits_of(asked, "budget")["price_range"] == [pytest.approx(8), pytest.approx(13)]


def test_a_solve_without_the_relaxation_takes_its_prices_if_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = {
        "objective": "value",
        "limits": [{"name": "budget", "measure": "cost", "max": 10}],
        "contact": [{"name": "one", "max": 1}],
    }
    made = project(policy, tables_of(pd.concat([FOUR, FOUR.replace("loan-call-1", "loan-email-2")])))
    monkeypatch.setattr(restrict, "MANY_ROWS", 0)
    plan, asked = oo.optimize(made), oo.optimize(made, price_ranges=True)
    assert limits_of(plan, "budget")["degenerate"] is None
    assert limits_of(asked, "budget") == {
        "price": pytest.approx(1), "price_range": [pytest.approx(8), pytest.approx(13)], "degenerate": False,
        "price_more": pytest.approx(1), "price_less": pytest.approx(1),
    }  # fmt: skip
    assert asked.objective == plan.objective and asked.bound <= plan.bound + 1e-9


def test_the_same_ranges_whatever_the_order_of_the_rows() -> None:
    policy = {"objective": "value", "limits": [{"name": "budget", "measure": "cost", "max": 8}]}
    plans = [oo.optimize(project(policy, tables_of(frame))) for frame in (FOUR, FOUR.iloc[::-1])]
    assert limits_of(plans[0], "budget") == limits_of(plans[1], "budget")

"""Objectives in order of rank, on cases that can be checked by hand and on random ones."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pandas as pd
import pytest
import tiny
from agree import check
from bank import FOUR_WEEKS, contacts, decide, project, table, tables_of
from hypothesis import given, note, settings
from hypothesis import strategies as st
from portions import slow_after

import omniopt as oo

NUMBERS = st.integers(0, 10**9)
QUICK = settings(max_examples=20, deadline=None, derandomize=True, database=None)
PARTS = pytest.mark.parametrize("part", slow_after(1, 3))  # each of them other projects
# three calls are worth 4, 3 and 2; the mails 3, 2 and 1 at no cost
SOME = tables_of(
    table("customer_id action_id value cost response", "ann loan-call-1 8 4 0.5", "ann card-email-2 3 0 0.25",
          "bob loan-call-1 6 3 0.25", "bob card-email-2 2 0 0.25", "cal loan-call-1 4 2 0.5",
          "cal card-email-2 1 0 0.75")
)  # fmt: skip


def solve(*ranks: Any, **rules: Any) -> Any:
    return decide({"objective": list(ranks), **rules}, SOME, FOUR_WEEKS)


def test_a_list_of_one_is_that_objective() -> None:
    """No ranks are told where there is nothing to rank."""
    one, plain = solve({"maximise": "value - cost", "within": 0.5}), decide(
        {"objective": "value - cost"}, SOME, FOUR_WEEKS)  # fmt: skip
    pd.testing.assert_frame_equal(one.contacts, plain.contacts)
    assert (one.objective, one.status) == (15, "optimal")
    assert "ranks" not in one.certificate


def test_within_gives_away_what_it_says_and_no_more() -> None:
    """The best is 15; of 20 per cent less, 12, four contacts are enough: 4 + 3 + 3 + 2."""
    plan = solve({"maximise": "value - cost", "within": 0.2}, {"minimise": "contacts"})
    assert len(plan.contacts) == 4 and plan.objective == 12
    assert [(r["best"], r["objective"]) for r in plan.certificate["ranks"]] == [(15, 12), (4, 4)]
    assert plan.bound == pytest.approx(15) and plan.gap == pytest.approx(0.2)
    assert plan.status == "within_gap"
    assert plan.certificate["gap_target"] == pytest.approx(0.2, abs=1e-8)
    nothing = solve({"maximise": "value - cost"}, {"minimise": "contacts"})
    assert nothing.objective == 15 and len(nothing.contacts) == 6 and nothing.status == "optimal"


def test_the_second_rank_decides_between_equals() -> None:
    """Two contacts are to be had for two; the second rank takes the dearest, the other one the cheapest."""
    two = {"contact": [], "limits": [{"name": "two", "max": 2}]}
    most = solve("contacts", {"maximise": "value"}, **two)
    assert contacts(most) == ["ann loan-call-1", "bob loan-call-1"]
    least = solve("contacts", {"minimise": "value"}, **two)
    assert contacts(least) == ["bob card-email-2", "cal card-email-2"]


def test_a_third_rank_keeps_both_others() -> None:
    plan = solve(
        {"maximise": "value - cost", "within": 0.2}, {"minimise": "contacts", "within": 0.25}, "response"
    )
    ranks = plan.certificate["ranks"]
    assert [r["best"] for r in ranks] == [15, 4, 2.25]  # five contacts: without one mail of 0.25
    assert len(plan.contacts) <= 5 and plan.objective >= 12
    assert [len(r["rank_prices"]) for r in ranks] == [0, 1, 2]


def test_a_rank_that_is_minimised_is_kept_from_above() -> None:
    """Three contacts at least cost nothing; a share of nothing is nothing."""
    least = {"limits": [{"name": "some", "min": 3}]}
    free = solve({"minimise": "cost", "within": 1}, "value", **least)
    assert free.objective == 0 and contacts(free) == [f"{c} card-email-2" for c in ("ann", "bob", "cal")]
    four = {"limits": [{"name": "some", "min": 4}]}
    half = solve({"minimise": "cost", "within": 0.5}, "value", **four)
    assert [r["best"] for r in half.certificate["ranks"]] == [2, 12]  # for a cost of 3: bob's call
    assert half.objective == 3


def test_penalties_and_fixed_costs_are_the_first_rank_s() -> None:
    rules = {"limits": [{"name": "calls", "where": {"channel": "call"}, "fixed_cost": 5},
                        {"name": "all", "min": 4, "penalty": 0.5}]}  # fmt: skip
    plan = solve({"maximise": "value - cost", "within": 0.25}, {"minimise": "contacts"}, **rules)
    # with calls 15 - 5 = 10; 7.5 have to stay, and the best four contacts earn 12 - 5
    assert [r["best"] for r in plan.certificate["ranks"]] == [10, 5]
    # no contact at all would lose 2 in penalties; one mail earns the 1.5 that remain
    named = solve({"maximise": "value - cost", "within": 1}, {"minimise": "contacts + fixed_cost"}, **rules)
    assert named.certificate["ranks"][1]["best"] == 1
    assert named.certificate["penalties"] == 1.5 and named.certificate["fixed_cost"] == 0


def test_no_plan_in_the_first_rank_is_no_plan() -> None:
    policy = {"objective": ["value", {"minimise": "cost"}], "limits": [{"name": "more", "min": 7}]}
    with pytest.raises(oo.Infeasible):
        oo.optimize(project(policy, SOME, FOUR_WEEKS))


@PARTS
@QUICK
@given(number=NUMBERS)
def test_ranks_of_random_projects_are_those_of_brute_force(part: int, number: int) -> None:
    """Every case gets ranks, whatever it had."""
    random = Random(3 * number + part)
    case = tiny.make(random)
    raw = case.policy["objective"]
    first = raw[0] if isinstance(raw, list) else raw
    first = {"maximise": first} if isinstance(first, str) else dict(first)
    later = random.sample(
        ["contacts", {"minimise": "contacts"}, {"minimise": "cost"}, "value", "value - cost"], 2
    )
    case.policy["objective"] = [first | {"within": random.choice([0, 0.125, 0.25, 0.5])}, *later]
    note(str(case))
    reference, answer, _ = check(case)
    assert not answer.feasible or len(answer.best) == len(reference.ranks) == 3


@PARTS
@settings(QUICK, max_examples=8)
@given(number=NUMBERS)
def test_a_larger_share_leaves_more_to_the_next_rank(part: int, number: int) -> None:
    random = Random(3 * number + part)
    case = tiny.make(random)
    raw = case.policy["objective"]
    first = raw[0] if isinstance(raw, list) else raw
    first = (
        {"maximise": first} if isinstance(first, str) else {k: v for k, v in first.items() if k != "within"}
    )
    found = []
    for share in (0, 0.25, 1):
        case.policy["objective"] = [first | {"within": share}, {"minimise": "contacts"}]
        try:
            found.append(oo.optimize(case.project(), gap=0.0).certificate["ranks"])
        except oo.Infeasible:
            found.append([{"best": math.inf}] * 2)
    note(f"{case}\n{found}")
    assert all(ranks[0]["best"] == pytest.approx(found[0][0]["best"], abs=1e-6) for ranks in found)
    assert found[0][1]["best"] >= found[1][1]["best"] >= found[2][1]["best"]

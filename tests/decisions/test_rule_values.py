"""What a rule costs, beside the optimum that brute force finds without it."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pytest
import tiny
from bank import project, table, tables_of
from portions import slow_after

import omniopt as oo
from omniopt.decisions.rule_values import COLUMNS, KEPT

SECTION = {"contact": "contact", "conflict": "conflicts", "requires": "requires", "limit": "limits"}
SIX = table(
    "customer_id action_id value cost",
    "ann loan-call-1 9 3", "ann card-call-2 8 4", "ann loan-email-3 5 1",
    "bob loan-call-1 4 3", "bob card-email-9 2 1", "cal card-call-2 -6 2",
)  # fmt: skip


def without(case: tiny.Case, kind: str, name: str) -> tiny.Case:
    """The case without a rule, or without a limit's minimum."""
    policy = copy.deepcopy(case.policy)
    for rule in policy["limits"] if kind == "guarantee" else []:
        if rule["name"] == name:
            del rule["min"]
            rule.pop("all_or_nothing", None)
            if "max" not in rule and "fixed_cost" not in rule:
                kind = "limit"
    if kind != "guarantee":
        policy[SECTION[kind]] = [rule for rule in policy[SECTION[kind]] if rule["name"] != name]
    return replace(case, policy=policy)


@pytest.mark.parametrize("part", slow_after(1, 4))
def test_gains_are_what_brute_force_finds(part: int) -> None:
    seen: Counter[str] = Counter()
    for number in range(20 * part, 20 * part + 20):
        case = tiny.make(Random(number))
        made = case.project()
        try:
            plan = oo.optimize(made, gap=0.0)
        except oo.Infeasible:
            continue
        best = case.reference().solve().best[0]
        sign = 1 if plan.certificate["sense"] == "maximise" else -1
        for row in oo.rule_values(made, plan, gap=0.0, all_limits=True).itertuples():
            gain = sign * (without(case, row.kind, row.rule).reference().solve().best[0] - best)
            assert row.gain_at_least - 1e-6 <= gain <= row.gain_at_most + 1e-6
            assert row.gain_at_most - row.gain_at_least <= 1e-6
            assert sign * row.objective_without <= sign * row.bound_without + 1e-12
            seen.update([row.kind, "gain" if gain > 1e-6 else "none", row.status])
    assert {"guarantee", "limit", "contact", "conflict", "gain", "none", "optimal", KEPT} <= set(seen)


def values(policy: dict[str, Any], horizon: Any = None, **options: Any) -> dict[str, Any]:
    """The gain of every rule, from a project made by hand; both bounds are one."""
    made = project({"objective": "value"} | policy, tables_of(SIX), horizon)
    frame = oo.rule_values(made, oo.optimize(made, gap=0.0), gap=0.0, **options)
    assert list(frame.columns) == COLUMNS
    assert (frame["gain_at_most"] - frame["gain_at_least"]).abs().max() < 1e-6
    names = frame["kind"] + " " + frame["rule"]
    return {
        name: pytest.approx(gain, abs=1e-6) for name, gain in zip(names, frame["gain_at_most"], strict=True)
    }


def test_each_rule_is_left_out_alone() -> None:
    """Ann gets one of 9, 8, 5 and bob 4 and 2; the minimum has cal called at a loss of 6."""
    policy = {
        "limits": [
            {"name": "cards by phone", "where": {"offer": "card", "channel": "call"}, "min": 1, "max": 2}
        ],
        "contact": [{"name": "one a week", "max": 1, "days": 7}],
        "conflicts": [{"name": "not on one day", "first": {}, "then": {}, "days": 1}],
    }
    assert values(policy) == {
        "guarantee cards by phone": 1,  # ann has 8 instead of 9: less than cal would cost
        "contact one a week": 14,
        "conflict not on one day": 0,
    }


def test_requirements_and_guarantees_with_a_penalty() -> None:
    policy = {
        "limits": [{"name": "cal", "where": {"customer.customer_id": "cal"}, "min": 1, "penalty": 4}],
        "requires": [
            {"name": "loan first", "offer": {"offer": "card"}, "needs": {"channel": "email"}, "days": 9}
        ],
    }
    policy["limits"][0]["where"] = {"action": "card-call-2"}
    assert values(policy) == {"guarantee cal": 4, "requires loan first": 14}


def test_a_fixed_cost_goes_with_its_limit_alone() -> None:
    limit = {"name": "launch", "where": {"offer": "card"}, "min": 1, "all_or_nothing": True, "fixed_cost": 3}
    assert values({"limits": [limit]}, all_limits=True) == {"guarantee launch": 0, "limit launch": 3}


def test_what_is_minimised_gains_downwards() -> None:
    made = project(
        {"objective": {"minimise": "cost"}, "limits": [{"name": "three", "min": 3}]}, tables_of(SIX)
    )
    frame = oo.rule_values(made, oo.optimize(made))
    assert frame["objective_without"].tolist() == [0] and frame["gain_at_least"].round(6).tolist() == [4]


def test_objectives_in_ranks_are_valued_by_the_first() -> None:
    ranks = [{"maximise": "value", "within": 0.5}, {"minimise": "contacts"}]
    policy = {"objective": ranks, "contact": [{"name": "two", "max": 2}]}
    assert values(policy) == {"contact two": 5}


def test_a_plan_from_a_folder_has_the_same_values(tmp_path: Path) -> None:
    made = project({"objective": "value", "contact": [{"name": "one", "max": 1}]}, tables_of(SIX))
    plan = oo.optimize(made)
    plan.save(tmp_path)
    one, other = (oo.rule_values(made, p).drop(columns="seconds") for p in (plan, oo.Plan.load(tmp_path)))
    pd.testing.assert_frame_equal(one, other)


def test_progress_is_told_of_each_rule() -> None:
    told: list[tuple[str, int, int]] = []
    policy = {"contact": [{"name": "one", "max": 1}, {"name": "two", "max": 2, "days": 3}]}
    values(policy, progress=lambda *step: told.append(step))
    assert told == [("one", 1, 2), ("two", 2, 2)]


def test_a_plan_of_another_project_is_refused() -> None:
    free = project({"objective": "value"}, tables_of(SIX))
    tight = project({"objective": "value", "contact": [{"name": "one", "max": 1}]}, tables_of(SIX))
    with pytest.raises(oo.BadInput, match="the plan is not one of this project"):
        oo.rule_values(tight, oo.optimize(free))


def test_a_time_limit_leaves_the_bounds_true() -> None:
    made = project({"objective": "value", "contact": [{"name": "one", "max": 1}]}, tables_of(SIX))
    row = oo.rule_values(made, oo.optimize(made), time_limit=1e-4).iloc[0]
    assert row["gain_at_least"] <= 15 + 1e-6 and row["gain_at_most"] >= 15 - 1e-6

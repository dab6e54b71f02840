"""Limits in every window of some days, by hand."""

from __future__ import annotations

from typing import Any

from bank import FOUR_WEEKS, about, contacts, decide, table, tables_of

CUSTOMERS = table("customer_id region", "ann north", "bob north", "cal south")
DAILY = table(
    "customer_id action_id value cost",
    *(f"{c} a-call-{d} {v} {v - 1}" for c, d, v in (
        ("ann", 1, 5), ("bob", 2, 4), ("cal", 3, 6), ("ann", 4, 3), ("bob", 5, 5))),
)  # fmt: skip


def solve(rule: dict[str, Any], horizon: Any = FOUR_WEEKS, **tables: Any) -> Any:
    policy = {"objective": "value", "limits": [{"name": "rolling"} | rule]}
    return decide(policy, tables_of(DAILY, customers=CUSTOMERS, **tables), horizon)


@about("limits.rolling_days", "limits.measure")
def test_a_budget_for_any_two_days() -> None:
    """Costs 4, 3, 5, 2, 4; at most 7 in two days: 3 + 5 on days 2 and 3 are too much, so day 2 goes."""
    plan = solve({"measure": "cost", "max": 7, "rolling_days": 2})
    assert [c.rpartition("-")[2] for c in contacts(plan)] == ["1", "4", "5", "3"]
    used = {e["group"]["from"]: e["used"] for e in plan.certificate["rules"]}
    assert used["2026-11-24"] == 5 and used["2026-11-25"] == 7


@about("limits.rolling_days", "limits.per")
def test_windows_for_every_group() -> None:
    """The north has days 1, 2, 4 and 5, one in any three: 1 and 4, or 1 and 5, which is worth more."""
    plan = solve({"per": ["customer.region"], "max": 1, "rolling_days": 3})
    assert contacts(plan) == ["ann a-call-1", "bob a-call-5", "cal a-call-3"]


@about("limits.rolling_days", "limits.max")
def test_the_bound_of_every_group_may_stand_in_a_table() -> None:
    """Two in the north, none in the south, in any four days: 1 and 2 with 5, or 1, 4, 5 without 2."""
    bounds = table("region n", "north 2", "south 0")
    plan = solve(
        {"per": "customer.region", "max": {"table": "t", "column": "n"}, "rolling_days": 4}, t=bounds
    )
    assert contacts(plan) == ["ann a-call-1", "bob a-call-2", "bob a-call-5"]


@about("limits.rolling_days", "limits.min", "limits.max")
def test_a_rolling_limit_with_both_bounds_shows_the_minimum_first() -> None:
    """One to two in any three of five days: all but day 3. Minimums for windows inside, then maximums."""
    plan = solve({"min": 1, "max": 2, "rolling_days": 3}, {"start": "2026-11-23", "days": 5})
    assert plan.objective == 5 + 4 + 3 + 5
    sides = [(e["group"]["from"][-2:], e["min"], e["max"]) for e in plan.certificate["rules"]]
    assert sides == [
        ("23", 1, None), ("24", 1, None), ("25", 1, None), *((str(d), None, 2) for d in range(21, 28)),
    ]  # fmt: skip


@about("limits.rolling_days", "limits.where")
def test_only_the_past_of_the_region_counts() -> None:
    """cal was called yesterday, which the north does not mind; bob was, which it does."""
    rule = {"where": {"customer.region": "north"}, "max": 1, "rolling_days": 2}
    past = "customer_id offer_id channel date outcome"
    other = solve(rule, history=table(past, "cal a call 0 delivered"))
    assert contacts(other)[0] == "ann a-call-1"
    own = solve(rule, history=table(past, "bob a call 0 delivered"))
    assert contacts(own) == ["bob a-call-2", "bob a-call-5", "cal a-call-3"]

"""Groups that are opened or left shut, limits at a price and limits that only watch, by hand."""

from __future__ import annotations

from typing import Any

import pytest
from bank import about, contacts, decide, entry, table, tables_of

import omniopt as oo

CUSTOMERS = table("customer_id region", "ann north", "bob north", "cal south", "dan south", "eve west")
CANDIDATES = table(
    "customer_id action_id value cost", "ann new-call-1 8 3", "bob new-call-1 6 3", "cal new-call-1 9 3",
    "dan new-call-1 2 3", "eve new-call-1 9 3", "ann old-email-2 4 1",
)  # fmt: skip
LAUNCH = {
    "name": "launch", "where": {"offer": "new"}, "per": ["customer.region"], "min": 2,
    "all_or_nothing": True, "fixed_cost": 4,
}  # fmt: skip


def solve(*limits: dict[str, Any], objective: Any = "value", **sections: Any) -> Any:
    policy = {"objective": objective, "limits": list(limits)} | sections
    return decide(policy, tables_of(CANDIDATES, customers=CUSTOMERS))


def opened(plan: Any) -> list[str]:
    shown = [e for e in plan.certificate["rules"] if e["name"] == "launch" and e.get("opened")]
    return [e["group"]["customer.region"] for e in shown]


@about("limits.all_or_nothing", "limits.fixed_cost")
def test_regions_open_where_enough_of_them_pay_for_it() -> None:
    """North 8 + 6 - 4, south 9 + 2 - 4; the west has one customer and stays shut. With ann's e-mail 21."""
    plan = solve(LAUNCH)
    assert opened(plan) == ["north", "south"]
    assert plan.objective == 10 + 7 + 4
    assert plan.certificate["fixed_cost"] == 8


@about("limits.all_or_nothing")
def test_with_little_to_spend_the_better_region_opens() -> None:
    """7 of cost buy one region and the e-mail: the north's 10 + 4."""
    plan = solve(LAUNCH, {"name": "budget", "measure": "cost", "max": 7})
    assert opened(plan) == ["north"]
    assert plan.objective == 14


@about("limits.all_or_nothing")
def test_one_contact_for_each_customer_and_a_launch_all_the_same() -> None:
    """ann has to give up her e-mail for the launch in the north: 14 - 4 against 4."""
    plan = solve(LAUNCH, contact=[{"name": "one", "max": 1}])
    assert "ann new-call-1" in contacts(plan)
    assert plan.objective == 17


@about("limits.all_or_nothing", "limits.min")
def test_a_launch_that_is_owed_and_too_large_leaves_no_plan() -> None:
    """The west could give one where two are the least; left shut it gives none."""
    owed = {"name": "somebody in the west", "where": {"customer.region": "west"}, "min": 1}
    with pytest.raises(oo.Infeasible):
        solve(LAUNCH, owed)
    assert solve(LAUNCH | {"min": 1}, owed).objective == 10 + 7 + 5 + 4


@about("limits.fixed_cost")
def test_costs_of_opening_count_in_the_objective_as_it_names_them() -> None:
    """Named at half, each region costs 2; not named, 4; named as a gain it is one."""
    assert solve(LAUNCH, objective="value - 0.5 * fixed_cost").objective == 12 + 9 + 4
    assert solve(LAUNCH, objective="value + fixed_cost").objective == 18 + 15 + 4


@about("limits.fixed_cost", "limits.measure")
def test_a_budget_may_hold_costs_and_openings() -> None:
    """10 for costs of contacts and openings: a region takes 6 + 4, so the e-mail (1) is too much with one."""
    plan = solve(LAUNCH, {"name": "budget", "measure": "cost + fixed_cost", "max": 10})
    assert (opened(plan), plan.objective) == (["north"], 10)
    assert entry(plan, "budget")["used"] == 10


@about("limits.penalty")
def test_a_penalty_weighs_one_limit_against_another() -> None:
    """A hard budget of 9 buys three calls; the promise of the south (2 each) is worth less than the north."""
    promise = {"name": "south", "where": {"customer.region": "south"}, "min": 2, "penalty": 2}
    budget = {"name": "budget", "where": {"offer": "new"}, "measure": "cost", "max": 9}
    plan = solve(promise, budget)
    assert contacts(plan) == ["ann new-call-1", "ann old-email-2", "cal new-call-1", "eve new-call-1"]
    assert plan.objective == 8 + 9 + 9 + 4 - 2
    assert (entry(plan, "south")["missed_by"], entry(plan, "south")["penalty_paid"]) == (1, 2)
    dear = solve(promise | {"penalty": 7}, budget)
    assert dear.objective == 9 + 9 + 2 + 4
    assert entry(dear, "south")["missed_by"] == 0


@about("limits.penalty")
def test_a_price_is_never_above_the_penalty() -> None:
    """Nobody pays more for a contact than what missing it costs."""
    plan = solve({"name": "few", "max": 2, "penalty": 3})
    assert plan.objective == 8 + 6 + 9 + 9 + 4 - 9
    assert abs(entry(plan, "few")["price"]) <= 3 + 1e-9


@about("limits.report_only")
def test_a_watched_limit_is_reported_group_by_group() -> None:
    """Two are too many in north and south, which is shown; the plan has all."""
    watched = {
        "name": "watch",
        "where": {"offer": "new"},
        "per": ["customer.region"],
        "max": 1,
        "report_only": True,
    }
    plan = solve(watched)
    assert len(plan.contacts) == 6
    shown = {e["group"]["customer.region"]: e["missed_by"] for e in plan.certificate["rules"]}
    assert shown == {"north": 1, "south": 1, "west": 0}
    assert entry(plan, "watch", **{"customer.region": "west"})["slack"] == 0


@about("limits.report_only", "limits.over")
def test_a_ratio_may_be_watched() -> None:
    """The return on cost is 38/16; 3 are wished for."""
    watched = {"name": "return", "measure": "value", "over": "cost", "min": 3, "report_only": True}
    found = entry(solve(watched), "return")
    assert (found["used"], found["price"], found["penalty_paid"]) == (38 / 16, 0, 0)
    assert found["missed_by"] == pytest.approx(3 * 16 - 38)

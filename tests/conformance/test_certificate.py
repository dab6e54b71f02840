"""What the certificate says of the plan and of every rule, number by number."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bank import entry, table
from sentences import CALL, costed, offered, past, policy, solve

REGIONS = table("customer_id region", "ann north", "bob north", "cal south")
THREE = costed("ann a-call-1 9 2", "bob a-call-1 6 1", "cal a-email-2 4 3")
OPENING = {"name": "opening", "per": ["customer.region"], "fixed_cost": 2}
PROMISE = {"name": "promise", "min": 5, "penalty": 1.5}
KEYS = {"name", "group", "min", "max", "used", "slack", "price", "missed_by", "penalty_paid"}


def plan_of(objective: Any = "value", **sections: Any) -> Any:
    return solve(policy(objective, **sections), THREE, customers=REGIONS)


def test_the_objective_is_what_contacts_bring_less_penalties_and_fixed_costs() -> None:
    """19 of value, two openings at 2, two contacts missing at 1.5."""
    plan = plan_of(limits=[OPENING, PROMISE])
    assert plan.contacts["objective"].sum() == 19
    assert (plan.certificate["fixed_cost"], plan.certificate["penalties"]) == (4, 3)
    assert plan.objective == plan.certificate["objective"] == 19 - 4 - 3


def test_where_something_is_minimised_both_are_added() -> None:
    """Two are owed and a third is promised: costs of 1 and 2, one opening at 2, and 0.5 for the third."""
    promise = PROMISE | {"min": 3, "penalty": 0.5}
    plan = plan_of({"minimise": "cost"}, limits=[{"min": 2}, OPENING, promise])
    assert plan.contacts["objective"].sum() == 3
    assert (plan.certificate["fixed_cost"], plan.certificate["penalties"]) == (2, 0.5)
    assert plan.objective == 3 + 2 + 0.5


def test_a_named_fixed_cost_counts_as_it_is_named_and_is_shown_in_full() -> None:
    """At half of it: 19 - 0.5 x 4."""
    plan = plan_of("value - 0.5 * fixed_cost", limits=OPENING)
    assert (plan.objective, plan.certificate["fixed_cost"]) == (17, 4)


@pytest.mark.parametrize("objective", ["value", {"minimise": "cost"}])
def test_no_plan_is_better_than_the_bound(objective: Any) -> None:
    """The gap is the distance between the two, relative to the bound, and nothing is left of it."""
    plan = plan_of(objective, limits=[OPENING, PROMISE], contact={"max": 1})
    sign = 1 if objective == "value" else -1
    assert sign * plan.bound >= sign * plan.objective
    assert plan.gap == pytest.approx(abs(plan.bound - plan.objective) / max(1, abs(plan.bound)))
    assert plan.gap <= 1e-9 and plan.status == "optimal"
    assert sign * plan.certificate["bound_from_prices"] >= sign * plan.objective - 1e-9


def test_every_rule_has_its_entries_in_the_policys_order() -> None:
    """Limits with their groups by value, then contact rules, conflicts, needs, and who was dropped."""
    need = {"name": "need", "offer": {"channel": "email"}, "needs": {"offer": "a"}, "days": 3, "order": "any"}
    plan = plan_of(
        limits=[OPENING, PROMISE, {"name": "watch", "max": 1, "report_only": True}],
        contact={"name": "cap", "max": 2},
        conflicts={"name": "apart", "first": CALL, "then": CALL, "days": 3},
        requires=need,
        eligibility={"name": "out", "drop": {"customer.region": {"is_null": True}}},
    )
    shown = [(e["name"], e["kind"], *e["group"].values()) for e in plan.certificate["rules"]]
    assert shown[:4] == [
        ("opening", "limit", "north"), ("opening", "limit", "south"), ("promise", "limit"),
        ("watch", "limit"),
    ]  # fmt: skip
    assert {(name, kind) for name, kind, *_ in shown[4:]} == {
        ("cap", "contact"), ("apart", "conflict"), ("need", "requires"), ("out", "eligibility"),
    }  # fmt: skip
    assert all(set(e) >= KEYS for e in plan.certificate["rules"])
    assert plan.certificate["coupling_rows"] == 3
    assert json.loads(json.dumps(plan.certificate, allow_nan=False)) == plan.certificate


def test_a_window_shows_its_past_and_what_is_used_with_it() -> None:
    """Two calls and yesterday's: three of four. For a share the past is in both of its sums: 3 of 4."""
    history = past("cal a call 0 sent -", "cal a email 0 sent -")
    rule = {"where": CALL, "max": 4, "rolling_days": 2}
    plan = solve(policy(limits=rule), THREE, history=history)
    found = entry(plan, "limits 1", **{"from": "2026-11-22"})
    assert (found["used"], found["history"], found["slack"]) == (3, 1, 1)
    share = {"where": CALL, "over": {"measure": "contacts"}, "max": 0.75, "rolling_days": 2}
    plan = solve(policy(limits=share), THREE, history=history)
    found = entry(plan, "limits 1", **{"from": "2026-11-22"})
    assert (found["used"], found["history"]) == (0.75, 1 - 0.75 * 2)
    assert (found["vacuous"], found["slack"]) == (False, 0)


def test_what_is_opened_and_paid_is_shown_once_for_each_group() -> None:
    """The row of the minimum has it, the row of the maximum not."""
    rule = {"name": "launch", "where": CALL, "min": 1, "max": 2, "all_or_nothing": True, "fixed_cost": 3}
    plan = plan_of(limits=rule)
    least, most = plan.certificate["rules"]
    assert (least["min"], least["max"], least["used"], least["slack"]) == (1, None, 2, 1)
    assert (least["opened"], least["fixed_cost"]) == (True, 3)
    assert (most["min"], most["max"], most["used"], most["slack"]) == (None, 2, 2, 0)
    assert "opened" not in most and "fixed_cost" not in most


def test_a_contact_rule_shows_its_bounds_and_the_fullest_window() -> None:
    """ann had one yesterday and gets one: two of three at most; one at least."""
    rules = [{"name": "most", "max": 3, "days": 7}, {"name": "least", "min": 1, "every": "week"}]
    candidates = offered(*(f"ann a-call-{d} {1 if d == 1 else -1}" for d in (1, 8, 15, 22)))
    plan = solve(policy(contact=rules), candidates, history=past("ann a call 0 sent -"))
    most, least = entry(plan, "most"), entry(plan, "least")
    assert (most["min"], most["max"], most["used"], most["slack"], most["at_cap"]) == (None, 3, 2, 1, 0)
    assert (least["min"], least["max"]) == (1, None)
    assert len(plan.contacts) == 4


def test_a_price_says_what_one_unit_more_is_worth() -> None:
    """One call of two may be made: another would bring 6. A promise at 1.5 is worth no more for each."""
    tight = plan_of(limits={"name": "one", "where": CALL, "max": 1})
    assert 6 - 1e-9 <= entry(tight, "one")["price"] <= 9 + 1e-9
    soft = plan_of(limits=PROMISE)
    assert -1.5 - 1e-9 <= entry(soft, "promise")["price"] <= 0
    loose = plan_of(limits={"name": "many", "max": 9})
    assert entry(loose, "many")["price"] == 0

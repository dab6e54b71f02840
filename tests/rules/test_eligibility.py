"""Who drops out before the decision, and why."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from bank import about, contacts, decide, project, table, tables_of

import omniopt as oo

CUSTOMERS = table("customer_id age vip", "ann 17 true", "bob 40 false", "cal - false")
CANDIDATES = table(
    "customer_id action_id value",
    *(f"{c} {o}-call-1 5" for c in ("ann", "bob", "cal") for o in ("loan", "card")),
)


def run(*rules: dict[str, Any], **tables: pd.DataFrame) -> Any:
    return decide(
        {"objective": "value", "eligibility": list(rules)},
        tables_of(CANDIDATES, customers=CUSTOMERS, **tables),
    )


def reasons(plan: Any) -> dict[str, str]:
    rows = plan.dropped[["customer_id", "action_id", "reason"]].to_numpy().tolist()
    return {f"{customer} {action}": reason for customer, action, reason in rows}


@about("eligibility.name", "eligibility.drop")
def test_what_a_rule_drops_is_gone_and_counted_under_its_name() -> None:
    """cal's age is not known, which is not below 18."""
    plan = run({"name": "adults", "drop": {"customer.age": {"lt": 18}}})
    assert contacts(plan) == ["bob card-call-1", "bob loan-call-1", "cal card-call-1", "cal loan-call-1"]
    assert reasons(plan) == {"ann card-call-1": "adults", "ann loan-call-1": "adults"}
    assert plan.certificate["dropped"] == {"adults": 2}
    (row,) = plan.reasons.to_dict("records")
    assert row == {"reason": "adults", "candidates": 2, "customers": 1}


@about("eligibility.drop")
def test_all_entries_have_to_hold() -> None:
    plan = run({"name": "vip loans", "drop": {"offer": "loan", "customer.vip": True}})
    assert reasons(plan) == {"ann loan-call-1": "vip loans"}


@about("eligibility.drop")
def test_an_empty_cell_is_dropped_only_when_asked_for() -> None:
    plan = run({"name": "age unknown", "drop": {"customer.age": {"is_null": True}}})
    assert set(reasons(plan)) == {"cal card-call-1", "cal loan-call-1"}
    assert reasons(run({"name": "not 17", "drop": {"customer.age": {"ne": 17}}})) == {
        "bob card-call-1": "not 17", "bob loan-call-1": "not 17",
    }  # fmt: skip


@about("eligibility.name")
def test_the_first_rule_that_drops_a_candidate_is_its_reason() -> None:
    plan = run(
        {"name": "minors", "drop": {"customer.age": {"lt": 18}}},
        {"name": "vips", "drop": {"customer.vip": True}},
    )
    assert plan.certificate["dropped"] == {"minors": 2}
    assert any("vips" in e["name"] for e in plan.certificate["rules"])


@about("eligibility.drop")
def test_a_rule_that_drops_nothing_is_noted() -> None:
    plan = run({"name": "old", "drop": {"customer.age": {"gt": 99}}})
    assert any("old" in note for note in plan.certificate["notes"])


@about("eligibility.drop")
def test_a_channel_that_is_dropped_is_no_fallback_either() -> None:
    """Minors are not called: ann's e-mail stays, but does not fall back on a call."""
    channels = table("channel delivery_rate fallback", "email 0.5 call", "call 1 -")
    candidates = table(
        "customer_id action_id value", "ann loan-email-1 5", "ann loan-call-1 5", "bob loan-email-1 5"
    )
    policy = {
        "objective": "value",
        "eligibility": [{"name": "minors", "drop": {"channel": "call", "customer.age": {"lt": 18}}}],
    }
    plan = decide(policy, tables_of(candidates, customers=CUSTOMERS, channels=channels))
    assert contacts(plan) == ["ann loan-email-1", "bob loan-email-1"]
    assert plan.contacts["fallback"].isna().tolist() == [True, False]


def test_everybody_may_drop_out() -> None:
    plan = run({"name": "nobody", "drop": {"offer": ["loan", "card"]}})
    assert len(plan.contacts) == 0 and plan.objective == 0 and plan.status == "optimal"


def pairs(*lines: str) -> pd.DataFrame:
    return table("customer_id action_id", *lines)


def test_a_veto_takes_a_candidate_out_and_a_lock_keeps_it_in() -> None:
    policy = {"objective": "value", "contact": [{"name": "one", "max": 1}]}
    candidates = table(
        "customer_id action_id value", "ann loan-call-1 5", "ann card-call-1 4", "ann fund-call-1 3"
    )
    base = project(policy, tables_of(candidates))
    assert contacts(oo.optimize(base)) == ["ann loan-call-1"]
    vetoed = oo.optimize(base.with_decisions(pairs("ann loan-call-1"), None))
    assert contacts(vetoed) == ["ann card-call-1"]
    assert reasons(vetoed) == {"ann loan-call-1": "veto"}
    locked = oo.optimize(base.with_decisions(None, pairs("ann fund-call-1")))
    assert contacts(locked) == ["ann fund-call-1"]
    assert locked.status == "optimal"


def test_a_lock_that_earns_nothing_and_uses_nothing_holds_too() -> None:
    candidates = table("customer_id action_id value", "ann loan-call-1 5", "ann card-call-1 0")
    policy = {"objective": "value", "limits": [{"name": "loans", "where": {"offer": "loan"}, "max": 1}]}
    base = project(policy, tables_of(candidates))
    plan = oo.optimize(base.with_decisions(None, pairs("ann card-call-1")))
    assert contacts(plan) == ["ann card-call-1", "ann loan-call-1"]


def test_locks_that_break_a_rule_leave_no_plan() -> None:
    policy = {"objective": "value", "contact": [{"name": "one", "max": 1}]}
    base = project(policy, tables_of(CANDIDATES)).with_decisions(
        None, pairs("ann loan-call-1", "ann card-call-1")
    )
    with pytest.raises(oo.Infeasible, match="locked contacts of customer ann"):
        oo.optimize(base)


def test_a_lock_on_a_dropped_candidate_says_why_it_cannot_hold() -> None:
    policy = {"objective": "value", "eligibility": [{"name": "minors", "drop": {"customer.age": {"lt": 18}}}]}
    base = project(policy, tables_of(CANDIDATES, customers=CUSTOMERS)).with_decisions(
        None, pairs("ann loan-call-1")
    )
    try:
        oo.optimize(base)
    except oo.BadInput as error:
        assert "minors" in str(error.faults[0]) and "ann" in str(error.faults[0])
        return
    raise AssertionError("the lock was accepted")

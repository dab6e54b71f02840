"""Conflicts by hand, one sentence of their meaning at a time."""

from __future__ import annotations

from typing import Any

import pytest
from bank import FOUR_WEEKS, about, contacts, decide, table, tables_of


def both(first_day: int, then_day: int, **rule: Any) -> bool:
    """Whether ann may have the loan and the card on these days, the card not following within 3 days."""
    candidates = table(
        "customer_id action_id value", f"ann loan-call-{first_day} 5", f"ann card-call-{then_day} 4"
    )
    conflict = {"name": "apart", "first": {"offer": "loan"}, "then": {"offer": "card"}, "days": 3} | rule
    plan = decide({"objective": "value", "conflicts": [conflict]}, tables_of(candidates))
    assert len(plan.contacts) in (1, 2)
    return len(plan.contacts) == 2


@about("conflicts.name", "conflicts.first", "conflicts.then", "conflicts.days")
@pytest.mark.parametrize(
    ("first", "then", "allowed"),
    [(5, 5, False), (5, 6, False), (5, 7, False), (5, 8, True), (5, 4, True), (5, 1, True)],
)
def test_then_must_not_follow_within_the_days(first: int, then: int, allowed: bool) -> None:
    """0 ≤ lag < 3: the same day is too soon, the third day after is not."""
    assert both(first, then) == allowed


@about("conflicts.either_order")
@pytest.mark.parametrize(
    ("first", "then", "allowed"),
    [(5, 8, True), (5, 7, False), (5, 5, False), (5, 4, False), (5, 3, False), (5, 2, True)],
)
def test_either_order_forbids_both(first: int, then: int, allowed: bool) -> None:
    assert both(first, then, either_order=True) == allowed
    assert both(first, then, either_order=False) == (allowed or then < first)


@about("conflicts.days")
def test_one_day_forbids_the_same_day_alone() -> None:
    assert not both(5, 5, days=1)
    assert both(5, 6, days=1)


@about("conflicts.first", "conflicts.then")
def test_a_contact_that_is_both_is_not_in_conflict_with_itself() -> None:
    """The bundle is loan and card at once; with another card it clashes, alone it does not."""
    offers = table("offer_id kinds", "bundle loan;card", "card card")
    candidates = table(
        "customer_id action_id value", "ann bundle-call-1 5", "ann card-call-2 4", "bob bundle-call-1 5"
    )
    conflict = {
        "name": "apart",
        "first": {"offer.kinds": "loan"},
        "then": {"offer.kinds": "card"},
        "days": 30,
    }
    plan = decide(
        {"objective": "value", "conflicts": [conflict]},
        tables_of(candidates, offers=offers),
        multi_valued={"offer.kinds": ";"},
    )
    assert contacts(plan) == ["ann bundle-call-1", "bob bundle-call-1"]


@about("conflicts.days")
def test_calls_apart_on_the_best_days() -> None:
    """At most one call in 3 days; 1 and 4 with 6 + 3 beat 2 with 8."""
    candidates = table(
        "customer_id action_id value", "ann a-call-1 6", "ann a-call-2 8", "ann a-call-4 3", "bob a-call-2 1"
    )
    conflict = {"name": "calls", "first": {"channel": "call"}, "then": {"channel": "call"}, "days": 3}
    plan = decide({"objective": "value", "conflicts": [conflict]}, tables_of(candidates))
    assert contacts(plan) == ["ann a-call-1", "ann a-call-4", "bob a-call-2"]


def after(past: str, days: str, **rule: Any) -> list[str]:
    """The days on which ann may have the card, with one loan or card in the history."""
    candidates = table("customer_id action_id value", *(f"ann card-call-{d} 1" for d in days.split()))
    history = table("customer_id offer_id channel date outcome planned", f"ann {past}")
    conflict = {"name": "apart", "first": {"offer": "loan"}, "then": {"offer": "card"}, "days": 3} | rule
    offers = table("offer_id name", "loan Loan", "card Card")
    plan = decide(
        {"objective": "value", "conflicts": [conflict]},
        tables_of(candidates, history=history, offers=offers),
        FOUR_WEEKS,
    )
    return [c.rpartition("-")[2] for c in contacts(plan)]


@about("conflicts.first")
def test_the_past_counts_as_first() -> None:
    assert after("loan call 0 delivered -", "1 2 3") == ["3"]
    assert after("loan call -1 delivered -", "1 2 3") == ["2", "3"]
    assert after("loan call 0 bounced -", "1 2 3") == ["1", "2", "3"]
    assert after("card call 0 delivered -", "1 2 3") == ["1", "2", "3"]


@about("conflicts.either_order")
def test_in_either_order_the_past_counts_in_both_roles() -> None:
    """The card in the past bars the loan that follows."""
    swapped = {"first": {"offer": "card"}, "then": {"offer": "loan"}}
    assert after("loan call 0 delivered -", "1 2 3", **swapped) == ["1", "2", "3"]
    assert after("loan call 0 delivered -", "1 2 3", **swapped, either_order=True) == ["3"]


@about("conflicts.either_order", "conflicts.first")
def test_a_commitment_bars_what_follows_and_in_either_order_what_precedes() -> None:
    assert after("loan call 5 - true", "2 3 4 5 6 7 8") == ["2", "3", "4", "8"]
    assert after("loan call 5 - true", "2 3 4 5 6 7 8", either_order=True) == ["2", "8"]


@about("conflicts.then")
def test_with_a_fallback_a_contact_is_in_conflict_by_either_channel() -> None:
    channels = table("channel delivery_rate fallback", "email 0.9 call", "call 1 -")
    candidates = table("customer_id action_id value", "ann a-email-1 5", "ann a-call-2 4", "ann a-email-9 1")
    conflict = {"name": "calls", "first": {"channel": "call"}, "then": {"channel": "call"}, "days": 3}
    plan = decide({"objective": "value", "conflicts": [conflict]}, tables_of(candidates, channels=channels))
    assert contacts(plan) == ["ann a-email-1", "ann a-email-9"]


def test_customers_do_not_conflict_with_one_another() -> None:
    """ann's first contact is barred by her past; that is nothing to bob."""
    candidates = table(
        "customer_id action_id value", "ann a-call-1 5", "ann a-call-9 4", "bob a-call-1 3", "bob a-call-2 2"
    )
    history = table("customer_id offer_id channel date outcome", "ann a call 0 sent")
    conflict = {"name": "calls", "first": {"channel": "call"}, "then": {"channel": "call"}, "days": 3}
    plan = decide(
        {"objective": "value", "conflicts": [conflict]}, tables_of(candidates, history=history), FOUR_WEEKS
    )
    assert contacts(plan) == ["ann a-call-9", "bob a-call-1"]

"""What it means that two contacts do not go together."""

from __future__ import annotations

from typing import Any

import pytest
from bank import contacts, table
from sentences import CALL, EMAIL, chosen, days, offered, past, policy, solve

APART: dict[str, Any] = {"first": {"offer": "A"}, "then": {"offer": "B"}, "days": 3}


def together(first: int, then: int, **rule: Any) -> bool:
    """Whether ann may have A on one day and B on the other."""
    candidates = offered(f"ann A-call-{first} 5", f"ann B-call-{then} 4")
    return len(chosen(policy(conflicts=APART | rule), candidates)) == 2


@pytest.mark.parametrize(
    ("lag", "allowed"), [(0, False), (1, False), (2, False), (3, True), (-1, True), (-9, True)]
)
def test_what_follows_must_not_come_within_the_days(lag: int, allowed: bool) -> None:
    """B up to two days after A is too soon; the third day is not, and B may come before A."""
    assert together(10, 10 + lag) == allowed


@pytest.mark.parametrize(
    ("lag", "allowed"), [(0, False), (2, False), (3, True), (-1, False), (-2, False), (-3, True)]
)
def test_either_order_forbids_the_other_way_round_too(lag: int, allowed: bool) -> None:
    """A within three days after B is as bad as B after A."""
    assert together(10, 10 + lag, either_order=True) == allowed


def test_the_better_of_two_stays() -> None:
    """B is worth more than A, so A goes."""
    assert chosen(policy(conflicts=APART), offered("ann A-call-1 4", "ann B-call-2 5")) == ["ann B-call-2"]


def test_a_contact_in_both_scopes_does_not_clash_with_itself() -> None:
    """A bundle is a loan and a card. Alone it stands; a second one, a loan or a card near it may not."""
    offers = table("offer_id kinds", "bundle loan;card", "loan loan", "card card")
    rule = {"first": {"offer.kinds": "loan"}, "then": {"offer.kinds": "card"}, "days": 3}
    several = {"offer.kinds": ";"}
    for other, allowed in (
        ("bundle-call-6", False), ("bundle-call-8", True), ("card-call-6", False), ("loan-call-4", False),
        ("loan-call-6", True), ("card-call-4", True), ("card-call-8", True),
    ):  # fmt: skip
        candidates = offered("ann bundle-call-5 9", f"ann {other} 3")
        plan = solve(policy(conflicts=rule), candidates, multi_valued=several, offers=offers)
        assert len(plan.contacts) == 1 + allowed, other


def test_scopes_that_overlap_partly() -> None:
    """A is every call, B every card: a card by call is both, and near a loan by call it may not follow it."""
    rule = {"first": CALL, "then": {"offer": "card"}, "days": 2}
    assert len(chosen(policy(conflicts=rule), offered("ann loan-call-1 5", "ann card-call-2 4"))) == 1
    assert len(chosen(policy(conflicts=rule), offered("ann card-call-1 5", "ann loan-call-2 4"))) == 2
    assert len(chosen(policy(conflicts=rule), offered("ann card-call-1 5", "ann card-call-2 4"))) == 1
    assert len(chosen(policy(conflicts=rule), offered("ann card-email-1 5", "ann loan-call-2 4"))) == 2


def test_calls_apart_are_a_conflict_with_themselves() -> None:
    """Calls three days apart: of days 1, 2 and 4 the first and the last."""
    rules = policy(conflicts={"first": CALL, "then": CALL, "days": 3})
    assert days(rules, "a", "call", "1 2 4 5 7") == "1 4 7"


def test_the_past_counts_as_first() -> None:
    """A yesterday bars B today and tomorrow, not the day after; B yesterday bars nothing."""
    rules = policy(conflicts=APART)
    assert (
        days(rules, "B", "call", "1 2 3", ["ann A call 0 opened -"], offers=table("offer_id", "A", "B"))
        == "3"
    )
    assert (
        days(rules, "A", "call", "1 2 3", ["ann B call 0 opened -"], offers=table("offer_id", "A", "B"))
        == "1 2 3"
    )
    bounced = ["ann A call 0 bounced -"]
    assert days(rules, "B", "call", "1 2 3", bounced, offers=table("offer_id", "A", "B")) == "1 2 3"


def test_in_either_order_the_past_counts_on_both_sides() -> None:
    """B yesterday bars A today and tomorrow."""
    rules = policy(conflicts=APART | {"either_order": True})
    offers = table("offer_id", "A", "B")
    assert days(rules, "A", "call", "1 2 3", ["ann B call 0 sent -"], offers=offers) == "3"


def test_a_commitment_is_first_to_what_follows_it() -> None:
    """A is promised for day 5: B may precede it, or come from day 8 on; in either order day 3 is too late."""
    offers, promised = table("offer_id", "A", "B"), ["ann A call 5 - true"]
    assert days(policy(conflicts=APART), "B", "call", "2 3 5 7 8", promised, offers=offers) == "2 3 8"
    either = policy(conflicts=APART | {"either_order": True})
    assert days(either, "B", "call", "2 3 5 7 8", promised, offers=offers) == "2 8"


def test_the_past_of_others_bars_nothing() -> None:
    """bob had A; ann may have B."""
    rules = policy(conflicts=APART)
    history = past("bob A call 0 sent -")
    offers = table("offer_id", "A", "B")
    assert chosen(rules, offered("ann B-call-1 5"), history=history, offers=offers) == ["ann B-call-1"]


def test_customers_do_not_clash_with_one_another() -> None:
    """A for ann and B for bob on the same day are no conflict, also not in one household."""
    homes = table("customer_id household_id", "ann h1", "bob h1")
    candidates = offered("ann A-call-1 5", "bob B-call-1 4")
    rules = policy(conflicts=APART, contact={"unit": "household", "max": 2})
    assert len(chosen(rules, candidates, customers=homes)) == 2


def test_with_a_fallback_either_channel_is_in_conflict() -> None:
    """An e-mail that may become a call bars the call of the next day."""
    channels = table("channel delivery_rate fallback", "email 0.9 call", "call 1 -")
    rule = {"first": CALL, "then": CALL, "days": 2}
    candidates = offered("ann a-email-1 5", "ann a-call-2 4")
    plan = solve(policy(conflicts=rule), candidates, channels=channels)
    assert contacts(plan) == ["ann a-email-1"]
    rule = {"first": EMAIL, "then": EMAIL, "days": 2}
    assert len(solve(policy(conflicts=rule), candidates, channels=channels).contacts) == 2

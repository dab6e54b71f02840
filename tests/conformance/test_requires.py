"""What it means that a contact needs another."""

from __future__ import annotations

from typing import Any

import pytest
from bank import contacts, entry, refused, table
from sentences import CALL, chosen, days, offered, past, policy, solve

NEED: dict[str, Any] = {"offer": {"offer": "card"}, "needs": {"offer": "account"}, "days": 5}
OFFERS = table("offer_id", "account", "card", "gold")


def follows(need: int, then: int, **rule: Any) -> bool:
    """Whether ann may have the card with an account on another day; the account alone is a loss."""
    candidates = offered(f"ann account-call-{need} -2", f"ann card-call-{then} 5")
    found = chosen(policy(requires=NEED | rule), candidates)
    assert found in ([], [f"ann account-call-{need}", f"ann card-call-{then}"])
    return bool(found)


@pytest.mark.parametrize(("lag", "allowed"), [(0, True), (1, True), (5, True), (6, False), (-1, False)])
def test_what_is_needed_comes_before_and_within_the_days(lag: int, allowed: bool) -> None:
    """The account comes on the day of the card or up to five days before it: not six, and not after."""
    assert follows(10, 10 + lag) == allowed
    assert follows(10, 10 + lag, order="before") == allowed


@pytest.mark.parametrize(
    ("lag", "allowed"), [(0, True), (5, True), (6, False), (-1, True), (-5, True), (-6, False)]
)
def test_in_any_order_it_may_also_come_after(lag: int, allowed: bool) -> None:
    """Up to five days before or after the card."""
    assert follows(10, 10 + lag, order="any") == allowed


def test_zero_days_mean_the_same_day() -> None:
    """With no days between them the two come together or not at all."""
    for order in ("before", "any"):
        assert follows(10, 10, days=0, order=order)
        assert not follows(10, 11, days=0, order=order)
        assert not follows(11, 10, days=0, order=order)


def test_without_what_it_needs_a_contact_may_not_be_chosen() -> None:
    """A card alone has nobody to lean on; an account alone needs nothing."""
    assert chosen(policy(requires=NEED), offered("ann card-call-1 5"), offers=OFFERS) == []
    assert chosen(policy(requires=NEED), offered("ann account-call-1 5"), offers=OFFERS) == [
        "ann account-call-1"
    ]


def test_what_is_needed_may_be_met_by_the_past_alone() -> None:
    """The account of day -4 serves a card on day 1, which is five days later, and none on day 2."""
    assert (
        days(policy(requires=NEED), "card", "call", "1 2", ["ann account call -4 responded -"], offers=OFFERS)
        == "1"
    )


@pytest.mark.parametrize(("outcome", "serves"), [("sent", True), ("delivered", True), ("bounced", False)])
def test_only_a_contact_that_was_made_serves(outcome: str, serves: bool) -> None:
    """What bounced never came to be."""
    found = days(
        policy(requires=NEED), "card", "call", "1", [f"ann account call 0 {outcome} -"], offers=OFFERS
    )
    assert found == ("1" if serves else "")


def test_a_commitment_serves_what_follows_and_in_any_order_what_precedes() -> None:
    """An account is promised for day 8."""
    promised = ["ann account call 8 - true"]
    assert days(policy(requires=NEED), "card", "call", "2 3 7 8 13 14", promised, offers=OFFERS) == "8 13"
    either = policy(requires=NEED | {"order": "any"})
    assert days(either, "card", "call", "2 3 7 8 13 14", promised, offers=OFFERS) == "3 7 8 13"


def test_a_chain_of_needs_is_kept_link_by_link() -> None:
    """Gold needs a card, a card an account: -1 - 1 + 5 is worth it; without the account there is nothing."""
    rules = policy(requires=[NEED, {"offer": {"offer": "gold"}, "needs": {"offer": "card"}, "days": 5}])
    chain = offered("ann account-call-1 -1", "ann card-call-4 -1", "ann gold-call-9 5")
    assert len(chosen(rules, chain, offers=OFFERS)) == 3
    assert chosen(rules, chain.iloc[1:], offers=OFFERS) == []
    late = offered("ann account-call-1 -1", "ann card-call-4 -1", "ann gold-call-10 5")
    assert chosen(rules, late, offers=OFFERS) == []


def test_a_contact_is_not_what_it_needs_itself() -> None:
    """Every call needs a call within five days before: the first has none, unless the past has one."""
    rules = policy(requires={"offer": CALL, "needs": CALL, "days": 5})
    assert days(rules, "a", "call", "3") == ""
    assert days(rules, "a", "call", "3 5") == ""
    assert days(rules, "a", "call", "3 8", ["ann a call 0 sent -"]) == "3 8"


def test_two_contacts_of_one_day_may_serve_each_other() -> None:
    """Two calls on one day each have another one no later than themselves."""
    rules = policy(requires={"offer": CALL, "needs": CALL, "days": 5})
    assert len(chosen(rules, offered("ann a-call-1 5", "ann b-call-1 4"))) == 2
    either = policy(requires={"offer": CALL, "needs": CALL, "days": 5, "order": "any"})
    assert days(either, "a", "call", "3 5") == "3 5"


def test_one_contact_may_serve_several() -> None:
    """Two cards lean on one account."""
    candidates = offered("ann account-call-1 -3", "ann card-call-2 2", "ann card-email-3 2")
    assert len(chosen(policy(requires=NEED), candidates)) == 3


def test_what_others_have_does_not_serve() -> None:
    """bob's account, now or in the past, is nothing to ann, also not in one household."""
    candidates = offered("ann card-call-1 5", "bob account-call-1 1")
    homes = table("customer_id household_id", "ann h1", "bob h1")
    rules = policy(requires=NEED, contact={"unit": "household", "max": 5})
    history = past("bob account call 0 sent -")
    assert chosen(rules, candidates, customers=homes, history=history) == ["bob account-call-1"]


def test_what_needs_by_its_fallback_channel_needs_too() -> None:
    """Calls need an account, and an e-mail may become a call; an sms may not."""
    channels = table("channel delivery_rate fallback", "email 0.9 call", "call 1 -", "sms 1 -")
    rules = policy(requires={"offer": CALL, "needs": {"offer": "account"}, "days": 5})
    candidates = offered("ann card-email-1 5", "ann card-sms-1 4")
    assert chosen(rules, candidates, channels=channels, offers=OFFERS) == ["ann card-sms-1"]


def test_a_fallback_that_may_not_happen_serves_nobody() -> None:
    """A card needs a call; an e-mail that only may become one is none."""
    channels = table("channel delivery_rate fallback", "email 0.9 call", "call 1 -", "sms 1 -")
    rules = policy(requires={"offer": {"offer": "card"}, "needs": CALL, "days": 5})
    candidates = offered("ann account-email-1 1", "ann card-sms-2 5")
    assert chosen(rules, candidates, channels=channels) == ["ann account-email-1"]
    candidates = offered("ann account-call-1 -1", "ann card-sms-2 5")
    assert len(chosen(rules, candidates, channels=channels)) == 2


def test_a_need_counts_with_the_other_rules() -> None:
    """Two contacts in all: the card with its account (5 - 2) beats the fund (2), which needs nothing."""
    candidates = offered("ann account-call-1 -2", "ann card-call-1 5", "ann fund-call-1 2")
    plan = solve(policy(requires=NEED, contact={"max": 2}), candidates)
    assert contacts(plan) == ["ann account-call-1", "ann card-call-1"]
    found = entry(plan, "requires 1")
    assert (found["used"], found["customers"]) == (1, 1)
    assert chosen(policy(requires=NEED, contact={"max": 1}), candidates) == ["ann fund-call-1"]


def test_needs_are_about_dates() -> None:
    """Where actions have none, nothing comes before anything."""
    actions = table("action_id offer_id channel", "x card call", "y account call")
    candidates = table("customer_id action_id value", "ann x 1", "ann y 1")
    assert "requires 1" in refused(policy(requires=NEED), {"actions": actions, "candidates": candidates})

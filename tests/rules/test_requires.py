"""Contacts that need others, together with other rules, by hand."""

from __future__ import annotations

from typing import Any

import pytest
from bank import FOUR_WEEKS, about, contacts, decide, entry, table, tables_of

import omniopt as oo

NEED = {"name": "card needs account", "offer": {"offer": "card"}, "needs": {"offer": "account"}, "days": 30}
OFFERS = table("offer_id", "account", "card", "fund")


def solve(
    needs: list[dict[str, Any]], lines: list[str], history: list[str] | None = None, **sections: Any
) -> Any:
    past = "customer_id offer_id channel date outcome planned"
    tables = {"offers": OFFERS} | ({"history": table(past, *history)} if history else {})
    policy = {"objective": "value", "requires": needs} | sections
    return decide(policy, tables_of(table("customer_id action_id value", *lines), **tables), FOUR_WEEKS)


def chosen(*args: Any, **more: Any) -> list[str]:
    return contacts(solve(*args, **more))


@about("requires.name", "requires.offer", "requires.needs", "requires.days")
def test_the_account_is_worth_its_loss_for_two_cards_and_not_for_one() -> None:
    """ann's two cards bring 4 for an account at -3, bob's one brings 2."""
    lines = [
        "ann account-call-1 -3", "ann card-call-2 2", "ann card-email-3 2", "bob account-call-1 -3",
        "bob card-call-2 2",
    ]  # fmt: skip
    plan = solve([NEED], lines)
    assert [c.split()[0] for c in contacts(plan)] == ["ann", "ann", "ann"]
    assert plan.objective == 1
    found = entry(plan, "card needs account")
    assert (found["kind"], found["used"], found["customers"]) == ("requires", 2, 2)


@about("requires.order")
def test_each_needs_the_other_in_any_order() -> None:
    """Both or none: -3 + 5, or 2 - 3."""
    back = {
        "name": "account needs card",
        "offer": {"offer": "account"},
        "needs": {"offer": "card"},
        "days": 30,
    }
    both = [NEED | {"order": "any"}, back | {"order": "any"}]
    assert len(chosen(both, ["ann account-call-1 -3", "ann card-call-9 5"])) == 2
    assert chosen(both, ["ann account-call-1 2", "ann card-call-9 -3"]) == []
    strict = [NEED, back]
    assert chosen(strict, ["ann account-call-1 -3", "ann card-call-9 5"]) == []
    assert len(chosen(strict, ["ann account-call-1 -3", "ann card-call-1 5"])) == 2


@about("requires.needs")
def test_what_was_dropped_serves_nobody() -> None:
    """The account may not be offered on the phone, so that there is none."""
    lines = ["ann account-call-1 1", "ann card-email-2 5"]
    drop = [{"name": "no accounts by phone", "drop": {"channel": "call"}}]
    assert chosen([NEED], lines, eligibility=drop) == []
    assert len(chosen([NEED], lines)) == 2


@about("requires.needs")
def test_what_conflicts_with_what_it_needs_never_comes() -> None:
    """The card needs an account in the same month, and may not follow one in the same month."""
    apart = [{"name": "apart", "first": {"offer": "account"}, "then": {"offer": "card"}, "days": 31}]
    assert chosen([NEED], ["ann account-call-1 1", "ann card-call-2 5"], conflicts=apart) == [
        "ann account-call-1"
    ]


@about("requires.offer")
def test_a_card_that_is_owed_brings_its_account() -> None:
    """A card for ann is owed: -1 - 3; without an account on offer there is no plan."""
    owed = [{"name": "cards", "where": {"offer": "card"}, "min": 1}]
    lines = ["ann account-call-1 -3", "ann card-call-2 -1"]
    assert solve([NEED], lines, limits=owed).objective == -4
    with pytest.raises(oo.Infeasible):
        solve([NEED], lines[1:], limits=owed)


@about("requires.days", "requires.needs")
def test_past_and_plan_serve_side_by_side() -> None:
    """The account of day -27 serves the card of day 3 and none later; that of day 8 those from then on."""
    lines = [f"ann card-call-{d} 1" for d in (3, 4, 8, 9)]
    had = ["ann account call -27 delivered -"]
    assert chosen([NEED], lines, had) == ["ann card-call-3"]
    planned = chosen([NEED], [*lines, "ann account-call-8 -1"], had)
    assert planned == ["ann account-call-8", "ann card-call-3", "ann card-call-8", "ann card-call-9"]


@about("requires.offer")
def test_two_rules_each_ask_for_their_own() -> None:
    """A card by e-mail needs an account and, being an e-mail, a call."""
    call = {
        "name": "e-mail needs call",
        "offer": {"channel": "email"},
        "needs": {"channel": "call"},
        "days": 5,
    }
    lines = ["ann account-sms-1 -1", "ann fund-call-3 -1", "ann card-email-4 5"]
    assert len(chosen([NEED, call], lines)) == 3
    assert chosen([NEED, call | {"days": 0}], lines) == []

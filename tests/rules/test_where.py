"""Scopes: every comparison, every attribute, on candidates that a person can count."""

from __future__ import annotations

from typing import Any

import pytest
from bank import FOUR_WEEKS, contacts, decide, refused, table, tables_of

CUSTOMERS = table(
    "customer_id age vip town joined",
    "1 20 true NO 2020-01-05",
    "2 30 false york -",
    "007 - false NO 2021-03-01",
)
OFFERS = table("offer_id category tags", "loan credit new;hot", "card plastic hot", "fund savings -")
CHANNELS = table("channel kind minutes", "call voice 10", "email text 0")
LINES = ["1 loan-call-1 1", "1 card-email-2 1", "2 loan-email-3 1", "2 fund-call-4 1", "007 card-call-5 1"]


def matched(where: dict[str, Any]) -> set[str]:
    """Which candidates a scope matches: those that a maximum of 0 takes away."""
    candidates = table("customer_id action_id value", *LINES).assign(
        customer_id=[line.split()[0] for line in LINES]
    )
    tables = tables_of(
        candidates,
        customers=CUSTOMERS.assign(customer_id=["1", "2", "007"]),
        offers=OFFERS,
        channels=CHANNELS,
    )
    policy = {"objective": "value", "limits": [{"name": "none", "where": where, "max": 0}]}
    plan = decide(policy, tables, FOUR_WEEKS, multi_valued={"offer.tags": ";"})
    return {line.rsplit(" ", 1)[0] for line in LINES} - set(contacts(plan))


ONE = {"1 loan-call-1", "1 card-email-2"}
TWO = {"2 loan-email-3", "2 fund-call-4"}
SEVEN = {"007 card-call-5"}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, ONE | TWO | SEVEN),
        ({"channel": "email"}, {"1 card-email-2", "2 loan-email-3"}),
        ({"channel": ["email", "call"]}, ONE | TWO | SEVEN),
        ({"offer": "loan"}, {"1 loan-call-1", "2 loan-email-3"}),
        ({"action": "loan-call-1"}, {"1 loan-call-1"}),
        ({"customer.customer_id": "007"}, SEVEN),
        ({"customer.customer_id": 1}, ONE),
        ({"date": 3}, {"2 loan-email-3"}),
        ({"date": "2026-11-25"}, {"2 loan-email-3"}),
        ({"date": {"ge": "2026-11-24", "lt": 4}}, {"1 card-email-2", "2 loan-email-3"}),
        ({"date": ["2026-11-23", 4]}, {"1 loan-call-1", "2 fund-call-4"}),
        ({"customer.age": 20}, ONE),
        ({"customer.age": {"lt": 30}}, ONE),
        ({"customer.age": {"le": 30}}, ONE | TWO),
        ({"customer.age": {"gt": 20}}, TWO),
        ({"customer.age": {"ge": 20}}, ONE | TWO),
        ({"customer.age": {"eq": 30}}, TWO),
        ({"customer.age": {"ne": 30}}, ONE),
        ({"customer.age": {"in": [20, 30]}}, ONE | TWO),
        ({"customer.age": {"not_in": [20]}}, TWO),
        ({"customer.age": {"is_null": True}}, SEVEN),
        ({"customer.age": {"is_null": False}}, ONE | TWO),
        ({"customer.age": {"gt": 10, "lt": 25}}, ONE),
        ({"customer.vip": True}, ONE),
        ({"customer.vip": {"ne": True}}, TWO | SEVEN),
        ({"customer.town": "NO"}, ONE | SEVEN),
        ({"customer.town": {"not_in": ["york"]}}, ONE | SEVEN),
        ({"offer.category": ["credit", "savings"]}, {"1 loan-call-1", "2 loan-email-3", "2 fund-call-4"}),
        ({"offer.tags": "hot"}, ONE | {"2 loan-email-3"} | SEVEN),
        ({"offer.tags": ["new"]}, {"1 loan-call-1", "2 loan-email-3"}),
        ({"offer.tags": {"ne": "new"}}, {"1 card-email-2", *SEVEN}),
        ({"offer.tags": {"not_in": ["new", "hot"]}}, set()),
        ({"offer.tags": {"is_null": True}}, {"2 fund-call-4"}),
        ({"channel.kind": "voice"}, {"1 loan-call-1", "2 fund-call-4", *SEVEN}),
        ({"channel.minutes": {"gt": 0}}, {"1 loan-call-1", "2 fund-call-4", *SEVEN}),
        ({"channel": "call", "customer.vip": False, "offer": {"ne": "card"}}, {"2 fund-call-4"}),
    ],
)  # fmt: skip
def test_scope(where: dict[str, Any], expected: set[str]) -> None:
    assert matched(where) == expected


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({"chanel": "email"}, ["chanel", "channel"]),
        ({"customer.agee": 3}, ["customer.agee", "customer.age"]),
        ({"channel": "emial"}, ["emial", "email"]),
        ({"customer.town": "yorc"}, ["yorc", "york"]),
        ({"customer.age": {"less": 3}}, ["less"]),
        ({"customer.age": "old"}, ["old", "numbers"]),
        ({"customer.vip": "yes"}, ["yes", "true"]),
        ({"customer.age": {"lt": [3]}}, ["lt"]),
        ({"customer.age": {"in": 3}}, ["in"]),
        ({"customer.town": {"lt": "b"}}, ["lt"]),
        ({"customer.age": {}}, ["empty"]),
        ({"customer.age": {"is_null": 1}}, ["is_null"]),
        ({"date": "soon"}, ["soon"]),
        ({"offer.tags": "cold"}, ["cold"]),
        ({"customer.town": None}, ["is_null"]),
        ("email", ["mapping"]),
    ],
)
def test_what_cannot_be_matched_is_refused_in_words(where: Any, words: list[str]) -> None:
    candidates = table("customer_id action_id value", "1 loan-call-1 1", "2 loan-email-3 1")
    tables = tables_of(
        candidates,
        customers=CUSTOMERS.assign(customer_id=["1", "2", "007"]),
        offers=OFFERS,
        channels=CHANNELS,
    )
    policy = {"objective": "value", "limits": [{"name": "the rule", "where": where, "max": 0}]}
    faults = refused(policy, tables, FOUR_WEEKS, multi_valued={"offer.tags": ";"})
    assert "the rule" in faults
    assert all(word in faults for word in words), faults

"""What a policy may not say: each is refused by the rule's name, in words that say what to mend."""

from __future__ import annotations

from typing import Any

import pytest
from bank import FOUR_WEEKS, refused, table, tables_of
from sentences import costed, faults, offered, past, policy

PEOPLE = costed("ann loan-call-1 5 1", "bob card-email-2 4 2")
CUSTOMERS = table("customer_id household_id region room", "ann h1 north 1", "bob h2 south 2")
AFTER = {"outcome": "rejected"}
REST = {"after": AFTER, "drop_same": "all", "for_days": 3}
LAUNCH = {"min": 2, "all_or_nothing": True}
NEED = {"offer": {"offer": "card"}, "needs": {"offer": "loan"}, "days": 5}

IN_A_RULE: list[tuple[str, dict[str, Any], list[str]]] = [
    ("limits", {}, ["min", "max"]),
    ("limits", {"penalty": 3}, ["min", "max"]),
    ("limits", {"report_only": True}, ["min", "max"]),
    ("limits", {"min": 3, "max": 2}, ["min 3", "max 2"]),
    ("limits", {"max": 3, "all_or_nothing": True}, ["all_or_nothing", "min"]),
    ("limits", LAUNCH | {"over": "cost"}, ["all_or_nothing", "over"]),
    ("limits", LAUNCH | {"rolling_days": 7}, ["all_or_nothing", "rolling_days"]),
    ("limits", {"max": 3, "fixed_cost": 1, "over": "cost"}, ["fixed_cost", "over"]),
    ("limits", {"max": 3, "fixed_cost": 1, "rolling_days": 7}, ["fixed_cost", "rolling_days"]),
    ("limits", {"max": 3, "rolling_days": 7, "per": ["date"]}, ["rolling_days", "date"]),
    ("limits", {"max": 3, "rolling_days": 7, "per": "date"}, ["rolling_days", "date"]),
    ("limits", {"max": 3, "rolling_days": 7, "measure": "cost + fixed_cost"}, ["fixed_cost", "window"]),
    ("limits", {"max": 3, "rolling_days": 0}, ["rolling_days", "days from 1"]),
    ("limits", {"max": 3, "rolling_days": 1.5}, ["rolling_days", "1.5"]),
    ("limits", {"max": 3, "rolling_days": True}, ["rolling_days", "True"]),
    ("limits", {"max": 3, "penalty": -1}, ["penalty", "-1"]),
    ("limits", {"max": 3, "penalty": "dear"}, ["penalty", "dear"]),
    ("limits", {"fixed_cost": -1}, ["fixed_cost", "-1"]),
    ("limits", {"max": 3, "report_only": "yes"}, ["report_only", "true or false"]),
    ("limits", {"min": 3, "all_or_nothing": 1}, ["all_or_nothing", "true or false"]),
    ("limits", {"max": {"table": "t"}}, ["max", "table", "column"]),
    ("limits", {"max": {"table": "nothing", "column": "n"}}, ["nothing"]),
    ("limits", {"max": 3, "penalty": {"column": "customer.room"}}, ["penalty", "table"]),
    ("limits", {"max": 3, "over": {"measure": "cost", "per": "date"}}, ["over", "per"]),
    ("limits", {"max": 3, "over": {"measure": "cost", "wher": {}}}, ["wher", "where"]),
    ("limits", {"max": 3, "over": {"where": {}}}, ["over", "measure"]),
    ("contact", {}, ["max", "min"]),
    ("contact", {"days": 7}, ["max", "min"]),
    ("contact", {"min": 3, "max": 2}, ["min 3", "max 2"]),
    ("contact", {"max": 3, "min_or_none": True}, ["min_or_none", "min"]),
    ("contact", {"max": 3, "days": 7, "every": "week"}, ["days", "every"]),
    ("contact", {"max": 3, "every": "fortnight"}, ["every", "week", "month"]),
    ("contact", {"max": 3, "unit": "family"}, ["unit", "customer", "household"]),
    ("contact", {"max": 3, "count": "ofers"}, ["ofers", "offer"]),
    ("contact", {"max": 1.5}, ["max", "1.5"]),
    ("contact", {"min": -1}, ["min", "-1"]),
    ("contact", {"min": {"column": "customer.rom"}}, ["customer.rom", "customer.room"]),
    ("contact", {"min": {"column": "offer.owed"}}, ["offer.owed"]),
    ("contact", {"max": {"table": "t", "column": "n"}}, ["max", "column"]),
    ("contact", {"min": 1, "min_or_none": "maybe"}, ["min_or_none", "true or false"]),
    ("eligibility", {}, ["drop", "after"]),
    ("eligibility", REST | {"drop": {"offer": "card"}}, ["drop", "after"]),
    ("eligibility", {"after": AFTER, "drop_same": "all"}, ["for_days"]),
    ("eligibility", {"after": AFTER, "for_days": 3}, ["drop_same"]),
    ("eligibility", {"drop_same": "all", "for_days": 3}, ["after"]),
    ("eligibility", REST | {"after": {"outcome": "refused"}}, ["refused", "rejected"]),
    ("eligibility", REST | {"after": {"outcome": []}}, ["outcome"]),
    ("eligibility", REST | {"after": "rejected"}, ["after", "outcome"]),
    ("eligibility", REST | {"after": {"times": 2}}, ["outcome", "missing"]),
    ("eligibility", REST | {"after": AFTER | {"times": 0}}, ["times", "0"]),
    ("eligibility", REST | {"after": AFTER | {"within_days": 0}}, ["within_days", "0"]),
    ("eligibility", REST | {"after": AFTER | {"within": 3}}, ["within", "within_days"]),
    ("eligibility", REST | {"drop_same": "colour"}, ["drop_same", "category"]),
    ("eligibility", REST | {"for_days": 0}, ["for_days", "0"]),
    ("requires", {"offer": {}, "days": 3}, ["needs", "missing"]),
    ("requires", {"needs": {}, "days": 3}, ["offer", "missing"]),
    ("requires", {"offer": {}, "needs": {}}, ["days", "missing"]),
    ("requires", NEED | {"days": -1}, ["days", "-1"]),
    ("requires", NEED | {"days": True}, ["days", "True"]),
    ("requires", NEED | {"order": "after"}, ["order", "before", "any"]),
    ("requires", NEED | {"needs": "loan"}, ["needs", "mapping"]),
    ("requires", NEED | {"offer": {"offer": "crad"}}, ["crad", "card"]),
    ("requires", NEED | {"needs": {"ofer": "card"}}, ["ofer", "offer"]),
    ("conflicts", {"first": {}, "then": {}}, ["days", "missing"]),
]  # fmt: skip


@pytest.mark.parametrize(("section", "rule", "words"), IN_A_RULE)
def test_what_a_rule_may_not_say(section: str, rule: dict[str, Any], words: list[str]) -> None:
    """The fault names the rule, the key, and what is legal instead."""
    said = faults(policy(**{section: rule}), PEOPLE, customers=CUSTOMERS)
    assert f"{section} 1" in said
    assert all(word in said for word in words), said


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        ([], ["empty"]),
        ([{"maximise": "value"}, {"maximize": "cost"}], ["maximize", "maximise"]),
        ([{"maximise": "value", "minimise": "cost"}], ["one expression"]),
        ([{"maximise": "value", "within": -0.1}], ["within", "-0.1"]),
        ([{"maximise": "value", "within": "1%"}], ["within", "1%"]),
        ([{"maximise": "value", "within": float("nan")}], ["within"]),
        ([{"maximise": "value", "within": True}], ["within"]),
        ({"maximise": "value", "within": 0.1}, ["within"]),
        ([{"within": 0.1}], ["maximise"]),
        ([{"maximise": 3}], ["expression"]),
        (["value", 7], ["objective"]),
        ([{"maximise": "value"}, {"minimise": "effort"}], ["effort"]),
        (None, ["objective"]),
    ],
)
def test_what_an_objective_may_not_say(objective: Any, words: list[str]) -> None:
    """Each rank is one expression in one sense, with a share from 0."""
    said = faults({"objective": objective}, PEOPLE)
    assert all(word in said for word in words), said


# what is only seen in the tables


def test_calendar_weeks_need_a_calendar() -> None:
    """Without a start date nobody knows what day 1 is."""
    for every in ("week", "month"):
        said = faults(policy(contact={"max": 1, "every": every}), PEOPLE, None)
        assert "contact 1" in said and every in said and "horizon" in said


UNDATED = {
    "actions": table("action_id offer_id channel", "x loan call", "y card email"),
    "candidates": table("customer_id action_id value", "ann x 1", "bob y 1"),
    "history": table("customer_id offer_id channel date outcome", "ann loan call 0 rejected"),
}


@pytest.mark.parametrize(
    ("section", "rule"),
    [
        ("eligibility", REST),
        ("limits", {"max": 1, "rolling_days": 7}),
        ("contact", {"max": 1, "days": 7}),
        ("contact", {"max": 1, "every": "week"}),
        ("requires", NEED),
        ("conflicts", {"first": {}, "then": {}, "days": 3}),
    ],
)
def test_rules_about_days_need_dates(section: str, rule: dict[str, Any]) -> None:
    """Actions without a date have no day to count from."""
    said = refused(policy(**{section: rule}), UNDATED, FOUR_WEEKS)
    assert f"{section} 1" in said and "date" in said


@pytest.mark.parametrize("column", ["category", "business_unit"])
def test_the_same_category_needs_a_category(column: str) -> None:
    """Without the column in the offers nothing is the same as anything."""
    history = past("ann loan call 0 rejected -")
    said = faults(policy(eligibility=REST | {"drop_same": column}), PEOPLE, history=history)
    assert "eligibility 1" in said and column in said


def test_a_household_rule_needs_households() -> None:
    """No customers table, no column, an empty cell."""
    rules = policy(contact={"unit": "household", "max": 1})
    assert "household_id" in faults(rules, PEOPLE)
    assert "household_id" in faults(rules, PEOPLE, customers=CUSTOMERS.drop(columns="household_id"))
    said = faults(rules, PEOPLE, customers=CUSTOMERS.assign(household_id=["h1", None]))
    assert "contact 1" in said and "bob" in said


def test_members_who_disagree_about_their_bound_are_an_error() -> None:
    """The cap of one household is one number."""
    rules = policy(contact={"unit": "household", "max": {"column": "customer.room"}})
    said = faults(rules, PEOPLE, customers=CUSTOMERS.assign(household_id="h1"))
    assert "contact 1" in said and "h1" in said


@pytest.mark.parametrize("cell", ["-", "1.5", "-1", "many"])
def test_a_customers_own_minimum_is_not_guessed(cell: str) -> None:
    """An empty cell, a half, a number below zero, a word."""
    customers = table("customer_id owed", "ann 0", f"bob {cell}")
    said = faults(policy(contact={"min": {"column": "customer.owed"}}), PEOPLE, customers=customers)
    assert "contact 1" in said and "customer.owed" in said


def test_what_is_counted_has_one_value() -> None:
    """A contact without an agent, or with two, is not to be counted by agents."""
    rule = {"max": 1, "count": "offer.agent"}
    empty = table("offer_id agent", "loan smith", "card -")
    said = faults(policy(contact=rule), PEOPLE, offers=empty)
    assert "contact 1" in said and "offer.agent" in said
    two = table("offer_id agent", "loan smith;jones", "card smith")
    said = refused(
        policy(contact=rule), tables_of(PEOPLE, offers=two), FOUR_WEEKS, multi_valued={"offer.agent": ";"}
    )
    assert "contact 1" in said and "offer.agent" in said


def test_an_empty_cell_in_per_is_an_error() -> None:
    """bob is in no region, and the rule is for each."""
    customers = table("customer_id region", "ann north", "bob -")
    for section in ("limits", "contact"):
        rules = policy(**{section: {"per": ["customer.region"], "max": 1}})
        said = faults(rules, PEOPLE, customers=customers)
        assert f"{section} 1" in said and "customer.region" in said


def test_a_negative_price_in_a_table_is_an_error() -> None:
    """A penalty or a fixed cost is never an income."""
    for key in ("penalty", "fixed_cost"):
        rule = {"per": ["channel"], "max": 1, key: {"table": "t", "column": "n"}}
        said = faults(policy(limits=rule), PEOPLE, t=table("channel n", "call 1", "email -1"))
        assert all(word in said for word in ("limits 1", key, "email")), said


def test_minimum_above_maximum_in_a_table_is_an_error() -> None:
    """Each is sound alone; together they leave nothing."""
    bounds = table("channel least most", "call 0 1", "email 2 1")
    rule = {
        "per": ["channel"],
        "min": {"table": "t", "column": "least"},
        "max": {"table": "t", "column": "most"},
    }
    said = faults(policy(limits=rule), offered("ann a-call-1 1", "ann a-email-1 1"), t=bounds)
    assert "limits 1" in said and "email" in said

"""Minimums, calendars and households beside other rules, by hand."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from bank import FOUR_WEEKS, about, contacts, decide, entry, table, tables_of

import omniopt as oo

HOMES = table("customer_id household_id age owed", "ann h1 40 2", "bob h1 12 2", "cal h2 30 1")


def solve(
    contact: list[dict[str, Any]], lines: list[str], history: list[str] | None = None, **sections: Any
) -> Any:  # fmt: skip
    """The plan; contact rules are numbered."""
    rules = [{"name": f"rule {n}"} | rule for n, rule in enumerate(contact, 1)]
    past = "customer_id offer_id channel date outcome planned"
    tables: dict[str, pd.DataFrame] = {"customers": HOMES}
    if history:
        tables["history"] = table(past, *history)
    policy = {"objective": "value", "contact": rules} | sections
    return decide(policy, tables_of(table("customer_id action_id value", *lines), **tables), FOUR_WEEKS)


def chosen(*args: Any, **more: Any) -> list[str]:
    return contacts(solve(*args, **more))


ANN = {"customer.customer_id": "ann"}


@about("contact.min", "contact.where")
def test_two_calls_that_have_to_lie_apart() -> None:
    """Two calls are owed to ann, two weeks apart: days 1 and 16 lose 5, 8 and 22 lose 4."""
    lines = [f"ann a-call-{d} {v}" for d, v in ((1, -4), (8, -1), (16, -1), (22, -3))]
    apart = [{"name": "apart", "first": {"channel": "call"}, "then": {"channel": "call"}, "days": 14}]
    assert chosen([{"min": 2, "where": ANN}], lines, conflicts=apart) == ["ann a-call-22", "ann a-call-8"]


@about("contact.min", "contact.max")
def test_minimum_and_maximum_of_one_rule_come_from_columns() -> None:
    """Everybody gets exactly what is owed to them."""
    column = {"column": "customer.owed"}
    lines = [f"{c} a-call-{d} {v}" for c in ("ann", "bob", "cal") for d, v in ((1, 3), (2, -1), (3, -2))]
    plan = solve([{"min": column, "max": column}], lines)
    assert plan.objective == 2 + 2 + 3
    found = entry(plan, "rule 1")
    assert (found["min"], found["max"], found["slack"]) == (None, None, 0)


@about("contact.min")
def test_an_impossible_minimum_names_rule_and_customer() -> None:
    """cal rests, so that there is nothing for her; the others could be served."""
    lines = ["ann a-call-1 1", "bob a-call-1 1", "cal a-call-1 1"]
    rest = [{"name": "not cal", "drop": {"customer.customer_id": "cal"}}]
    with pytest.raises(oo.Infeasible, match=r"rule 1.*cal|cal.*rule 1"):
        solve([{"min": 1}], lines, eligibility=rest)


@about("contact.min")
def test_a_minimum_and_a_budget_that_cannot_both_hold() -> None:
    """One for each of three, two in all."""
    lines = ["ann a-call-1 1", "bob a-call-1 1", "cal a-call-1 1"]
    with pytest.raises(oo.Infeasible):
        solve([{"min": 1}], lines, limits=[{"name": "two", "max": 2}])
    assert len(chosen([{"min": 1}], lines, limits=[{"name": "three", "max": 3}])) == 3


@about("contact.min_or_none", "contact.min")
def test_two_or_none_beside_a_limit() -> None:
    """Three in all: two for ann (7 + 2) leave one, which nobody may have alone."""
    lines = [
        "ann a-call-1 7", "ann a-call-2 2", "bob a-call-1 3", "bob a-call-2 3", "cal a-call-1 5",
        "cal a-call-2 0.5",
    ]  # fmt: skip
    rule = {"min": 2, "min_or_none": True}
    three = [{"name": "three", "max": 3}]
    assert chosen([rule], lines, limits=three) == ["ann a-call-1", "ann a-call-2"]
    four = [{"name": "four", "max": 4}]
    assert solve([rule], lines, limits=four).objective == 9 + 6


@about("contact.min_or_none")
def test_none_is_cheaper_where_both_of_them_lose() -> None:
    """With a penalty for what is promised, two at a loss of 3 are better than to pay 4, and worse than 2."""
    lines = ["ann a-call-1 1", "ann a-call-2 -4"]
    for penalty, number in ((2, 2), (1, 0)):
        promised = [{"name": "promise", "min": 2, "penalty": penalty}]
        assert len(chosen([{"min": 2, "min_or_none": True}], lines, limits=promised)) == number


@about("contact.every")
def test_once_every_week() -> None:
    """Neither more nor less than one in each of four weeks: the best day of each, or the smallest loss."""
    worth = {1: -2, 3: 1, 8: -3, 14: -1, 15: -2, 21: -4, 26: 2, 28: 3}
    lines = [f"ann a-call-{d} {v}" for d, v in worth.items()]
    found = chosen([{"min": 1, "max": 1, "every": "week", "where": ANN}], lines)
    assert found == ["ann a-call-14", "ann a-call-15", "ann a-call-28", "ann a-call-3"]


@about("contact.every")
def test_a_calendar_and_a_rolling_window_side_by_side() -> None:
    """Two a week, and one in any three days: days 5, 7 and 8 lie over a week's end."""
    lines = [f"ann a-call-{d} {v}" for d, v in ((5, 4), (7, 5), (8, 6), (10, 3), (12, 2))]
    rules = [{"max": 2, "every": "week"}, {"max": 1, "days": 3}]
    assert chosen(rules, lines) == ["ann a-call-12", "ann a-call-5", "ann a-call-8"]
    assert chosen(rules[:1], lines) == ["ann a-call-10", "ann a-call-5", "ann a-call-7", "ann a-call-8"]


@about("contact.unit", "contact.per")
def test_a_household_gets_each_offer_once() -> None:
    """ann and bob live together: one loan and one card between them; ann had a card last week."""
    lines = ["ann loan-call-1 4", "bob loan-call-2 5", "bob card-call-1 3", "cal card-call-1 2"]
    rule = {"unit": "household", "per": ["offer"], "max": 1, "days": 14}
    assert chosen([rule], lines) == ["bob card-call-1", "bob loan-call-2", "cal card-call-1"]
    had = ["ann card email -5 sent -"]
    assert chosen([rule], lines, had) == ["bob loan-call-2", "cal card-call-1"]


@about("contact.unit", "contact.where")
def test_a_household_rule_may_speak_of_some_of_its_members() -> None:
    """The cap is on adults: bob is twelve and does not count."""
    lines = ["ann a-call-1 5", "ann a-call-2 4", "bob a-call-1 3", "bob a-call-2 2"]
    rule = {"unit": "household", "where": {"customer.age": {"ge": 18}}, "max": 1}
    assert chosen([rule], lines) == ["ann a-call-1", "bob a-call-1", "bob a-call-2"]


@about("contact.unit", "contact.min_or_none")
def test_two_occasions_for_a_household_or_none() -> None:
    """The same call for ann and bob is one occasion; with an e-mail to bob (-1) it is two."""
    rule = {"unit": "household", "min": 2, "min_or_none": True, "count": "occasions"}
    lines = ["ann a-call-1 3", "bob b-call-1 2", "bob a-email-1 -1"]
    assert solve([rule], lines).objective == 4
    assert chosen([rule], lines[:2]) == []


@about("contact.unit")
def test_rules_for_members_and_for_households_hold_together() -> None:
    """Two for the household, one for each member: the best of ann and the best of bob."""
    lines = ["ann a-call-1 9", "ann a-call-2 8", "bob a-call-1 2", "bob a-call-2 1", "cal a-call-1 1"]
    rules = [{"unit": "household", "max": 2}, {"max": 1}]
    assert chosen(rules, lines) == ["ann a-call-1", "bob a-call-1", "cal a-call-1"]
    assert chosen(rules[:1], lines) == ["ann a-call-1", "ann a-call-2", "cal a-call-1"]

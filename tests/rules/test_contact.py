"""Contact rules by hand, one sentence of their meaning at a time."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from bank import FOUR_WEEKS, about, contacts, decide, entry, refused, table, tables_of


def days_chosen(rule: dict[str, Any], days: str, history: str | None = None, **tables: pd.DataFrame) -> str:
    """The days on which ann is called, who could be on any of the given days, the earlier the better."""
    offered = [int(d) for d in days.split()]
    candidates = table("customer_id action_id value", *(f"ann loan-call-{d} {100 - d}" for d in offered))
    given = tables_of(candidates, **tables)
    if history is not None:
        past = [f"ann loan call {part.replace(':', ' ')}" for part in history.split()]
        given["history"] = table("customer_id offer_id channel date outcome planned", *past)
    plan = decide({"objective": "value", "contact": [{"name": "cap", "max": 1} | rule]}, given, FOUR_WEEKS)
    return " ".join(sorted((c.rpartition("-")[2] for c in contacts(plan)), key=int))


@about("contact.name", "contact.max")
def test_without_days_the_whole_horizon_is_one_window() -> None:
    assert days_chosen({}, "1 14 28") == "1"
    assert days_chosen({"max": 2}, "1 14 28") == "1 14"
    assert days_chosen({"max": 0}, "1 14 28") == ""


@about("contact.days")
def test_both_ends_of_a_window_are_in_it() -> None:
    """Of 7 days from the first on, the seventh is the last."""
    assert days_chosen({"days": 7}, "1 7") == "1"
    assert days_chosen({"days": 7}, "1 8") == "1 8"


@about("contact.days")
def test_windows_begin_on_every_day_not_every_week() -> None:
    """3 and 9 lie in different weeks from day 1, but within 7 days."""
    assert days_chosen({"days": 7}, "3 9") == "3"
    assert days_chosen({"days": 7, "max": 2}, "1 4 7 8 11") == "1 4 8 11"


@about("contact.days")
def test_a_window_of_one_day() -> None:
    candidates = table(
        "customer_id action_id value", "ann loan-call-1 3", "ann card-call-1 2", "ann card-call-2 1"
    )
    policy = {"objective": "value", "contact": [{"name": "daily", "max": 1, "days": 1}]}
    assert contacts(decide(policy, tables_of(candidates))) == ["ann card-call-2", "ann loan-call-1"]


@about("contact.history")
def test_windows_that_begin_before_the_horizon_count_the_past() -> None:
    """A call on day -4 is in a window of 7 days with days 1 and 2, not with 3."""
    assert days_chosen({"days": 7}, "1 2 3", "-4:delivered:-") == "3"
    assert days_chosen({"days": 7, "history": False}, "1 2 3", "-4:delivered:-") == "1"
    assert days_chosen({"days": 7, "max": 2}, "1 2 3", "-4:delivered:-") == "1 3"


@about("contact.history")
def test_without_days_the_past_does_not_count() -> None:
    assert days_chosen({}, "1 2", "0:delivered:-") == "1"


@about("contact.history")
@pytest.mark.parametrize(
    ("outcome", "counts"),
    [
        ("sent", True),
        ("delivered", True),
        ("opened", True),
        ("rejected", True),
        ("bounced", False),
    ],
)
def test_only_what_was_sent_counts(outcome: str, counts: bool) -> None:
    assert days_chosen({"days": 7}, "1", f"0:{outcome}:-") == ("" if counts else "1")


@about("contact.history")
def test_a_commitment_counts_on_its_day() -> None:
    assert days_chosen({"days": 7}, "1 7 8 15 22", "8:-:true") == "1 15 22"


@about("contact.history", "contact.max")
def test_where_the_past_alone_is_over_the_cap_nothing_more_may_come() -> None:
    assert days_chosen({"days": 7}, "1 6 7", "-1:sent:- 0:sent:-") == "7"


@about("contact.where")
def test_where_also_says_which_past_contacts_count() -> None:
    candidates = table("customer_id action_id value", "ann loan-call-1 5", "ann loan-email-1 4")
    past = table("customer_id offer_id channel date outcome", "ann card email 0 sent")
    for where, expected in (
        ({"channel": "email"}, ["ann loan-call-1"]),
        ({"channel": "call"}, ["ann loan-call-1", "ann loan-email-1"]),
        ({"offer": "loan"}, ["ann loan-call-1"]),
        ({}, []),
    ):
        policy = {"objective": "value", "contact": [{"name": "cap", "where": where, "max": 1, "days": 7}]}
        assert contacts(decide(policy, tables_of(candidates, history=past), FOUR_WEEKS)) == expected


@about("contact.where")
def test_the_past_matches_attributes_of_actions_if_its_action_is_known() -> None:
    actions = table("action_id offer_id channel date tone", "a loan call 1 soft", "b loan call 2 hard")
    candidates = table("customer_id action_id value", "ann a 5", "bob a 5")
    past = table(
        "customer_id offer_id channel date outcome action_id",
        "ann loan call 0 sent b",
        "bob loan call 0 sent -",
    )
    policy = {
        "objective": "value",
        "contact": [{"name": "cap", "where": {"action.tone": ["soft", "hard"]}, "max": 1, "days": 7}],
    }
    tables = {"actions": actions, "candidates": candidates, "history": past}
    assert contacts(decide(policy, tables, FOUR_WEEKS)) == ["bob a"]


@about("contact.per")
def test_per_counts_each_value_on_its_own() -> None:
    candidates = table(
        "customer_id action_id value", "ann loan-call-1 5", "ann card-call-1 4", "ann loan-email-2 6"
    )
    policy = {"objective": "value", "contact": [{"name": "cap", "max": 1, "days": 7, "per": ["offer"]}]}
    past = table("customer_id offer_id channel date outcome", "ann card email 0 sent")
    assert contacts(decide(policy, tables_of(candidates))) == ["ann card-call-1", "ann loan-email-2"]
    assert contacts(decide(policy, tables_of(candidates, history=past), FOUR_WEEKS)) == ["ann loan-email-2"]


@about("contact.per")
def test_per_two_attributes_counts_combinations() -> None:
    candidates = table(
        "customer_id action_id value", "ann loan-call-1 5", "ann loan-call-2 4", "ann loan-email-2 6"
    )
    policy = {"objective": "value", "contact": [{"name": "cap", "max": 1, "per": ["offer", "channel"]}]}
    assert contacts(decide(policy, tables_of(candidates))) == ["ann loan-call-1", "ann loan-email-2"]


@about("contact.per")
def test_a_contact_with_several_products_counts_for_each() -> None:
    """The bundle has both products: it or the two single ones."""
    actions = table("action_id offer_id channel products", "a o call x;y", "b o call x", "c o call y")
    policy = {"objective": "value", "contact": [{"name": "cap", "max": 1, "per": "action.products"}]}
    for bundle, expected in ((5, ["ann b", "ann c"]), (7, ["ann a"])):
        candidates = table("customer_id action_id value", f"ann a {bundle}", "ann b 3", "ann c 3")
        plan = decide(
            policy, {"actions": actions, "candidates": candidates}, multi_valued={"action.products": ";"}
        )
        assert contacts(plan) == expected


@about("contact.count")
def test_one_occasion_may_carry_two_offers() -> None:
    candidates = table(
        "customer_id action_id value",
        "ann loan-call-1 5",
        "ann card-call-1 4",
        "ann loan-email-1 3",
        "ann loan-call-2 8",
    )
    for count, expected in (
        ("occasions", ["ann card-call-1", "ann loan-call-1"]),
        ("offers", ["ann loan-call-2"]),
    ):
        policy = {"objective": "value", "contact": [{"name": "cap", "max": 1, "count": count}]}
        assert contacts(decide(policy, tables_of(candidates))) == expected


@about("contact.count", "contact.history")
def test_a_call_that_is_planned_anyway_may_carry_an_offer() -> None:
    candidates = table(
        "customer_id action_id value", "ann loan-call-3 5", "ann loan-email-3 9", "ann card-call-3 4"
    )
    past = table("customer_id offer_id channel date planned", "ann fund call 3 true")
    policy: dict[str, Any] = {
        "objective": "value",
        "contact": [{"name": "cap", "max": 1, "days": 7, "count": "occasions"}],
    }
    tables = tables_of(candidates, history=past)
    assert contacts(decide(policy, tables, FOUR_WEEKS)) == ["ann card-call-3", "ann loan-call-3"]
    policy["contact"][0]["count"] = "offers"
    assert contacts(decide(policy, tables, FOUR_WEEKS)) == []
    policy["contact"][0] |= {"count": "occasions", "max": 0}  # the past alone is over the cap
    assert contacts(decide(policy, tables, FOUR_WEEKS)) == []


@about("contact.max")
def test_a_cap_may_be_each_customers_own() -> None:
    candidates = table(
        "customer_id action_id value",
        *(f"{c} loan-call-{d} {9 - d}" for c in ("ann", "bob") for d in (1, 2, 3)),
    )
    customers = table("customer_id most", "ann 2", "bob 0")
    policy = {"objective": "value", "contact": [{"name": "own", "max": {"column": "customer.most"}}]}
    plan = decide(policy, tables_of(candidates, customers=customers))
    assert contacts(plan) == ["ann loan-call-1", "ann loan-call-2"]
    assert entry(plan, "own")["max"] is None


@about("contact.max")
@pytest.mark.parametrize("cell", ["-", "1.5", "-1", "many"])
def test_a_customers_own_cap_is_not_guessed(cell: str) -> None:
    candidates = table("customer_id action_id value", "ann loan-call-1 5", "bob loan-call-1 5")
    customers = table("customer_id most", "ann 2", f"bob {cell}")
    policy = {"objective": "value", "contact": [{"name": "own", "max": {"column": "customer.most"}}]}
    faults = refused(policy, tables_of(candidates, customers=customers))
    assert "own" in faults and "customer.most" in faults


@about("contact.where")
def test_with_a_fallback_a_contact_matches_if_either_channel_does() -> None:
    """An e-mail that may turn into a call is under the cap of calls."""
    channels = table("channel delivery_rate fallback", "email 0.9 call", "call 1 -", "sms 1 -")
    candidates = table(
        "customer_id action_id value", "ann loan-call-1 5", "ann loan-email-1 4", "ann loan-sms-1 3"
    )
    policy = {"objective": "value", "contact": [{"name": "calls", "where": {"channel": "call"}, "max": 1}]}
    plan = decide(policy, tables_of(candidates, channels=channels))
    assert contacts(plan) == ["ann loan-call-1", "ann loan-sms-1"]


@about("contact.per")
def test_per_channel_a_contact_counts_on_its_fallback_too() -> None:
    channels = table("channel delivery_rate fallback", "email 0.9 call", "call 1 -")
    candidates = table("customer_id action_id value", "ann loan-call-1 5", "ann loan-email-1 4")
    policy = {"objective": "value", "contact": [{"name": "each", "per": "channel", "max": 1}]}
    assert contacts(decide(policy, tables_of(candidates, channels=channels))) == ["ann loan-call-1"]


@about("contact.count")
def test_occasions_go_by_the_first_channel() -> None:
    """An e-mail and an sms that may both turn into a call are still two occasions."""
    channels = table("channel delivery_rate fallback", "email 0.5 call", "sms 0.5 call", "call 1 -")
    candidates = table(
        "customer_id action_id value", "ann loan-sms-1 5", "ann loan-email-1 4", "ann card-email-1 2"
    )
    policy = {
        "objective": "value",
        "contact": [{"name": "c", "where": {"channel": "call"}, "max": 1, "count": "occasions"}],
    }
    plan = decide(policy, tables_of(candidates, channels=channels))
    assert contacts(plan) == ["ann card-email-1", "ann loan-email-1"]


def test_customers_do_not_share_a_cap() -> None:
    candidates = table(
        "customer_id action_id value", "ann loan-call-1 5", "bob loan-call-1 4", "bob loan-call-2 3"
    )
    policy = {"objective": "value", "contact": [{"name": "cap", "max": 1}]}
    assert contacts(decide(policy, tables_of(candidates))) == ["ann loan-call-1", "bob loan-call-1"]


def test_an_action_is_chosen_once_an_offer_any_number_of_times() -> None:
    candidates = table(
        "customer_id action_id value", "ann loan-call-1 5", "ann loan-email-1 5", "ann loan-call-2 5"
    )
    assert len(decide({"objective": "value"}, tables_of(candidates)).contacts) == 3


@about("contact.max")
def test_the_certificate_shows_the_fullest_window() -> None:
    """bob is called on days 1 and 2, ann on day 2 after a call on day 0."""
    candidates = table(
        "customer_id action_id value", "ann loan-call-2 5", "bob loan-call-1 4", "bob loan-call-2 3"
    )
    past = table("customer_id offer_id channel date outcome", "ann card call 0 sent", "ann loan call 0 sent")
    policy = {
        "objective": "value",
        "contact": [{"name": "cap", "max": 3, "days": 7}, {"name": "lax", "max": 9, "days": 7}],
    }
    plan = decide(policy, tables_of(candidates, history=past), FOUR_WEEKS)
    found = entry(plan, "cap")
    assert (found["max"], found["used"], found["slack"], found["at_cap"]) == (3, 3, 0, 1)
    found = entry(plan, "lax")
    assert (found["max"], found["used"], found["slack"], found["at_cap"]) == (9, 3, 6, 0)


def test_ties_are_broken_the_same_way_whatever_the_order_of_rows() -> None:
    lines = [f"{c} loan-{k}-{d} 5" for c in ("ann", "bob", "cal") for k in ("call", "email") for d in (1, 2)]
    policy = {
        "objective": "value",
        "contact": [{"name": "cap", "max": 1}],
        "limits": [{"name": "two", "max": 2}],
    }
    plans = [
        decide(policy, tables_of(table("customer_id action_id value", *rows)))
        for rows in (lines, lines[::-1])
    ]
    assert contacts(plans[0]) == contacts(plans[1])
    assert plans[0].objective == 10

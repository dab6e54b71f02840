"""What a cap on the contacts of one customer means."""

from __future__ import annotations

from typing import Any

from bank import FOUR_WEEKS, actions_of, contacts, decide, table
from sentences import CALL, EMAIL, chosen, days, faults, offered, past, policy, solve


def test_every_window_of_so_many_days_holds_at_most_max() -> None:
    """Two in any seven days: 1 and 4, then 8 and 11; 7 would be the third since day 1."""
    rules = policy(contact={"max": 2, "days": 7})
    assert days(rules, "a", "call", "1 4 7 8 11") == "1 4 8 11"


def test_the_last_day_of_a_window_is_in_it_and_the_next_is_not() -> None:
    """Seven days from the first on end with the seventh."""
    rules = policy(contact={"max": 1, "days": 7})
    assert days(rules, "a", "call", "1 7") == "1"
    assert days(rules, "a", "call", "1 8") == "1 8"


def test_a_window_of_one_day_counts_each_day_on_its_own() -> None:
    """Two offers on one day are too many, one on each of two days is not."""
    candidates = offered("ann loan-call-1 3", "ann card-call-1 2", "ann card-call-2 1")
    rules = policy(contact={"max": 1, "days": 1})
    assert chosen(rules, candidates) == ["ann card-call-2", "ann loan-call-1"]
    assert days(rules, "a", "call", "1 2", ["ann a call 0 sent -"]) == "1 2"


def test_windows_that_begin_before_the_horizon_count_the_past() -> None:
    """Six days before day 1 is in a window of seven days with it, seven days before is not."""
    rules = policy(contact={"max": 1, "days": 7})
    assert days(rules, "a", "call", "1 2", ["ann a call -5 delivered -"]) == "2"
    assert days(rules, "a", "call", "1 2", ["ann a call -6 delivered -"]) == "1"


def test_history_false_leaves_the_past_and_the_promised_out() -> None:
    """Neither yesterday's call nor the one that is promised for tomorrow counts."""
    rule = {"max": 1, "days": 7}
    behind = ["ann a call 0 sent -", "ann b call 9 - true"]
    assert days(policy(contact=rule), "a", "call", "1 9 20", behind) == "20"
    assert days(policy(contact=rule | {"history": False}), "a", "call", "1 9 20", behind) == "1 9 20"


def test_without_days_the_whole_horizon_is_one_window_and_the_past_is_left_out() -> None:
    """One in four weeks, whatever happened yesterday."""
    assert days(policy(contact={"max": 1}), "a", "call", "1 15 28", ["ann a call 0 sent -"]) == "1"


def test_a_calendar_week_begins_on_monday() -> None:
    """Day 1 is a Monday: 1 and 7 share a week, 7 and 8, two days in a row, do not."""
    rules = policy(contact={"max": 1, "every": "week"})
    assert days(rules, "a", "call", "1 7 8 14 15") == "1 8 15"


def test_the_week_that_is_under_way_counts_its_past() -> None:
    """The horizon begins on a Wednesday. Monday's call fills the week, Sunday's belongs to the one before."""
    wednesday = {"start": "2026-11-25", "days": 14}
    candidates = offered("ann a-call-1 5", "ann a-call-6 4")
    for rule, day, expected in (
        ({}, -1, ["ann a-call-6"]),
        ({}, -2, ["ann a-call-1", "ann a-call-6"]),
        ({"history": False}, -1, ["ann a-call-1", "ann a-call-6"]),
    ):
        rules = policy(contact={"max": 1, "every": "week"} | rule)
        assert chosen(rules, candidates, wednesday, history=past(f"ann a call {day} sent -")) == expected


def test_a_calendar_month_is_a_month() -> None:
    """Day 8 is 30 November, day 9 the first of December: one contact in each."""
    rules = policy(contact={"max": 1, "every": "month"})
    assert days(rules, "a", "call", "1 8 9 28") == "1 9"


def test_the_month_that_is_under_way_counts_its_past() -> None:
    """A call on 1 November, day -21, fills November; one on 31 October does not."""
    rules = policy(contact={"max": 1, "every": "month"})
    assert days(rules, "a", "call", "1 9", ["ann a call -21 sent -"]) == "9"
    assert days(rules, "a", "call", "1 9", ["ann a call -22 sent -"]) == "1 9"


def test_a_commitment_counts_in_its_week_and_month() -> None:
    """The call that is promised for day 10 fills the second week, and December."""
    promised = ["ann b call 10 - true"]
    assert days(policy(contact={"max": 1, "every": "week"}), "a", "call", "7 8 15", promised) == "7 15"
    assert days(policy(contact={"max": 1, "every": "month"}), "a", "call", "8 9 28", promised) == "8"


def test_per_counts_each_value_on_its_own() -> None:
    """One of each category in 30 days; the loan of last week is the one of its category."""
    offers = table("offer_id category", "loan credit", "lease credit", "card plastic")
    candidates = offered("ann loan-call-1 5", "ann lease-call-2 4", "ann card-call-1 3", "ann card-call-9 2")
    rules = policy(contact={"max": 1, "days": 30, "per": ["offer.category"], "history": True})
    assert chosen(rules, candidates, offers=offers) == ["ann card-call-1", "ann loan-call-1"]
    history = past("ann lease call -6 opened -")
    assert chosen(rules, candidates, offers=offers, history=history) == ["ann card-call-1"]


def test_per_a_column_of_several_values_counts_in_each() -> None:
    """A bundle fills both categories: it (7), or a loan and a card (4 + 4)."""
    offers = table("offer_id category", "bundle loan;card", "loan loan", "card card")
    rules = policy(contact={"max": 1, "days": 7, "per": "offer.category"})
    several = {"offer.category": ";"}
    for bundle, expected in ((7, ["ann card-call-1", "ann loan-call-1"]), (9, ["ann bundle-call-1"])):
        candidates = offered(f"ann bundle-call-1 {bundle}", "ann loan-call-1 4", "ann card-call-1 4")
        plan = solve(rules, candidates, multi_valued=several, offers=offers)
        assert contacts(plan) == expected
    history = past("ann bundle call 0 sent -")
    plan = solve(rules, candidates, multi_valued=several, offers=offers, history=history)
    assert contacts(plan) == []


def test_a_scope_on_a_column_of_several_values_means_has_any_of() -> None:
    """The cap is for those who are among the young, ann in two segments with them."""
    customers = table("customer_id segments", "ann young;rich", "bob rich", "cal old")
    candidates = offered("ann a-call-1 5", "ann a-call-2 4", "bob a-call-1 3", "bob a-call-2 2")
    rules = policy(contact={"where": {"customer.segments": ["young", "old"]}, "max": 1})
    plan = solve(rules, candidates, multi_valued={"customer.segments": ";"}, customers=customers)
    assert contacts(plan) == ["ann a-call-1", "bob a-call-1", "bob a-call-2"]


def test_offers_counts_every_contact_and_occasions_the_pairs_of_channel_and_date() -> None:
    """A call with a loan and a card is one occasion and two offers; a call and an e-mail are two of both."""
    candidates = offered("ann loan-call-1 5", "ann card-call-1 4", "ann loan-email-1 8")
    for count, expected in (
        ({}, ["ann loan-email-1"]),
        ({"count": "offers"}, ["ann loan-email-1"]),
        ({"count": "occasions"}, ["ann card-call-1", "ann loan-call-1"]),
    ):
        assert chosen(policy(contact={"max": 1, "days": 7} | count), candidates) == expected


def test_the_same_channel_on_another_date_is_another_occasion() -> None:
    """Two calls on two days are two occasions."""
    rules = policy(contact={"max": 1, "count": "occasions"})
    assert days(rules, "a", "call", "1 2") == "1"


def test_an_occasion_of_the_past_is_shared_by_what_comes_with_it() -> None:
    """The call that is promised for day 3 may carry an offer more; a call on another day may not be made."""
    rules = policy(contact={"max": 1, "days": 7, "count": "occasions"})
    assert days(rules, "a", "call", "2 3 4", ["ann b call 3 - true"]) == "3"


def test_count_may_be_the_distinct_values_of_an_attribute() -> None:
    """One channel, one offer, or one tone: two calls (5 + 3) beat the e-mail (4), two loans the card."""
    rules = policy(contact={"max": 1, "count": "channel"})
    found = chosen(rules, offered("ann a-call-1 5", "ann a-call-2 3", "ann a-email-1 4"))
    assert found == ["ann a-call-1", "ann a-call-2"]
    rules = policy(contact={"max": 1, "count": "offer"})
    found = chosen(rules, offered("ann loan-call-1 3", "ann loan-email-2 3", "ann card-call-1 5"))
    assert found == ["ann loan-call-1", "ann loan-email-2"]


def test_the_past_counts_with_the_value_that_it_has() -> None:
    """Yesterday was a call: another call is no second channel, an e-mail is."""
    rules = policy(contact={"max": 1, "days": 7, "count": "channel"})
    candidates = offered("ann a-call-1 3", "ann a-email-1 4")
    assert chosen(rules, candidates, history=past("ann a call 0 sent -")) == ["ann a-call-1"]


def test_a_past_contact_without_a_value_is_not_counted() -> None:
    """Who called last week is not known; the one agent of this week may be anybody."""
    candidates = offered("ann a-call-1 5", "ann b-call-2 6", "ann c-call-3 2")
    actions = actions_of(candidates).assign(agent=["smith", "jones", "smith"])
    rules = policy(contact={"max": 1, "days": 7, "count": "action.agent"})
    behind = "customer_id offer_id channel date outcome action_id"
    for action, expected in (("-", ["ann a-call-1", "ann c-call-3"]), ("b-call-2", ["ann b-call-2"])):
        history = table(behind, f"ann b call 0 sent {action}")
        tables = {"actions": actions, "candidates": candidates, "history": history}
        assert contacts(decide(rules, tables, FOUR_WEEKS)) == expected


def test_a_cap_may_be_a_column_of_the_customers() -> None:
    """ann has room for two, bob for none."""
    customers = table("customer_id room", "ann 2", "bob 0")
    candidates = offered(*(f"{c} a-call-{d} {9 - d}" for c in ("ann", "bob") for d in (1, 2, 3)))
    rules = policy(contact={"max": {"column": "customer.room"}})
    assert chosen(rules, candidates, customers=customers) == ["ann a-call-1", "ann a-call-2"]


def test_with_a_fallback_a_contact_matches_if_either_channel_does() -> None:
    """An e-mail that may become a call breaks the cap of one call as a call would; an sms does not."""
    channels = table("channel delivery_rate fallback", "email 0.9 call", "call 1 -", "sms 1 -")
    candidates = offered("ann a-call-1 5", "ann a-email-1 4", "ann a-sms-1 3")
    rules = policy(contact={"where": CALL, "max": 1, "days": 7})
    assert chosen(rules, candidates, channels=channels) == ["ann a-call-1", "ann a-sms-1"]
    own = policy(contact={"where": EMAIL, "max": 0})
    assert chosen(own, candidates, channels=channels) == ["ann a-call-1", "ann a-sms-1"]


def test_a_contact_is_in_the_group_of_the_channel_by_which_it_is_in_scope() -> None:
    """One written and one spoken, of calls and sms: the e-mail is in scope as the call that it may become."""
    channels = table(
        "channel kind delivery_rate fallback", "call spoken 1 -", "email written 0.5 call", "sms written 1 -"
    )
    candidates = offered("ann a-email-1 5", "ann a-sms-1 4", "ann a-call-1 3")
    rules = policy(contact={"where": {"channel": ["call", "sms"]}, "per": ["channel.kind"], "max": 1})
    assert chosen(rules, candidates, channels=channels) == ["ann a-email-1", "ann a-sms-1"]


def test_a_fallback_counts_however_seldom_it_is_needed() -> None:
    """All e-mails arrive; by its fallback each is still a contact of the calls."""
    channels = table("channel delivery_rate fallback", "email 1 call", "call 1 -")
    candidates = offered("ann a-call-1 5", "ann a-email-1 4")
    rules = policy(contact={"where": CALL, "max": 1})
    assert chosen(rules, candidates, channels=channels) == ["ann a-call-1"]


def test_a_full_past_leaves_no_room() -> None:
    """Two calls where one was allowed: until both have left the window nothing comes."""
    rules = policy(contact={"max": 1, "days": 3})
    behind = ["ann a call 0 sent -", "ann b call 0 sent -"]
    assert days(rules, "a", "call", "1 2 3", behind) == "3"


# the same for households

HOMES = table("customer_id household_id", "ann h1", "bob h1", "cal h2", "dan h2")
HOUSE = {"unit": "household", "max": 1}


def test_the_members_of_a_household_share_its_cap() -> None:
    """One contact for ann and bob together, one for cal and dan."""
    candidates = offered("ann a-call-1 5", "bob a-call-9 6", "cal a-call-1 3", "dan a-call-9 2")
    assert chosen(policy(contact=HOUSE), candidates, customers=HOMES) == ["bob a-call-9", "cal a-call-1"]


def test_the_windows_of_a_household_are_as_any_others() -> None:
    """ann on day 1 and bob on day 7 meet in a window of seven days, ann on 1 and bob on 8 do not."""
    candidates = offered("ann a-call-1 5", "bob a-call-7 4", "cal a-call-1 5", "dan a-call-8 4")
    found = chosen(policy(contact=HOUSE | {"days": 7}), candidates, customers=HOMES)
    assert found == ["ann a-call-1", "cal a-call-1", "dan a-call-8"]


def test_the_past_of_every_member_counts() -> None:
    """bob was called yesterday, though nothing is on offer to him; ann has to wait for it."""
    candidates = offered("ann a-call-1 5", "ann a-call-8 4", "cal a-call-1 3")
    history = past("bob a call 0 delivered -")
    found = chosen(policy(contact=HOUSE | {"days": 7}), candidates, customers=HOMES, history=history)
    assert found == ["ann a-call-8", "cal a-call-1"]


def test_an_occasion_of_a_household_is_a_pair_of_channel_and_date() -> None:
    """ann and bob hear the same call; another day is another occasion."""
    candidates = offered("ann a-call-1 5", "bob b-call-1 4", "bob a-call-2 8")
    rules = policy(contact=HOUSE | {"count": "occasions"})
    assert chosen(rules, candidates, customers=HOMES) == ["ann a-call-1", "bob b-call-1"]


def test_one_agent_for_a_household() -> None:
    """ann and bob hear one voice between them: smith for both (5 + 2), not jones once (6)."""
    candidates = offered("ann a-call-1 5", "bob b-call-2 6", "bob c-call-3 2")
    actions = actions_of(candidates).assign(agent=["smith", "jones", "smith"])
    rules = policy(contact=HOUSE | {"count": "action.agent"})
    plan = decide(rules, {"actions": actions, "candidates": candidates, "customers": HOMES}, FOUR_WEEKS)
    assert contacts(plan) == ["ann a-call-1", "bob c-call-3"]


def test_members_whom_no_rule_joins_are_contacted_as_if_they_were_alone() -> None:
    """The cap is on letters; the calls of ann and bob have nothing to do with one another."""
    candidates = offered("ann a-call-1 5", "bob a-call-1 4", "ann a-mail-1 3", "bob a-mail-1 2")
    rules = policy(contact=HOUSE | {"where": {"channel": "mail"}})
    assert chosen(rules, candidates, customers=HOMES) == ["ann a-call-1", "ann a-mail-1", "bob a-call-1"]


def test_a_household_rule_stands_beside_the_rules_for_each_customer() -> None:
    """Three for the household, two for each of its members, and ann's calls three days apart.

    ann's calls on days 1 and 2 are too close; 1 and 4 with bob's best make 9 + 6 + 8.
    """
    candidates = offered(
        "ann a-call-1 9", "ann a-call-2 7", "ann a-call-4 6", "bob a-email-1 8", "bob a-email-2 5"
    )
    rules: dict[str, Any] = policy(
        contact=[HOUSE | {"max": 3}, {"max": 2}],
        conflicts={"first": CALL, "then": CALL, "days": 3},
    )
    found = chosen(rules, candidates, customers=HOMES)
    assert found == ["ann a-call-1", "ann a-call-4", "bob a-email-1"]


def test_a_member_without_a_household_is_an_error() -> None:
    """An empty cell is no household of its own, and a missing column none at all."""
    candidates = offered("ann a-call-1 5")
    said = faults(
        policy(contact=HOUSE), candidates, customers=table("customer_id household_id", "ann -", "bob h1")
    )
    assert "contact 1" in said and "household_id" in said and "ann" in said
    said = faults(policy(contact=HOUSE), candidates, customers=table("customer_id age", "ann 30"))
    assert "contact 1" in said and "household_id" in said

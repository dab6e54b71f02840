"""What it means that an outcome keeps a customer quiet for a time."""

from __future__ import annotations

from typing import Any

import pytest
from bank import contacts, table
from sentences import CALL, chosen, days, offered, past, policy, solve

REST: dict[str, Any] = {
    "after": {"outcome": ["rejected", "unsubscribed"]},
    "drop_same": "offer",
    "for_days": 10,
}
OFFERS = table(
    "offer_id category business_unit", "loan credit bank", "lease credit leasing", "card plastic bank",
    "fund - -",
)  # fmt: skip


def rested(rule: dict[str, Any], on: str, *history: str) -> str:
    """The days on which ann may be offered the loan."""
    return days(policy(eligibility=rule), "loan", "call", on, history, offers=OFFERS)


def test_the_drop_lasts_for_the_days_from_the_outcome_on() -> None:
    """Refused on day -5 for ten days: day 4 is the tenth, day 5 is free."""
    assert rested(REST, "1 4 5", "ann loan call -5 rejected -") == "5"
    assert rested(REST | {"for_days": 5}, "1 4 5", "ann loan call -5 rejected -") == "1 4 5"
    assert rested(REST | {"for_days": 1}, "1", "ann loan call 0 rejected -") == "1"


@pytest.mark.parametrize(("outcome", "drops"), [
    ("rejected", True), ("unsubscribed", True), ("delivered", False), ("responded", False),
    ("bounced", False),
])  # fmt: skip
def test_only_the_named_outcomes_count(outcome: str, drops: bool) -> None:
    """A refusal does, a delivery does not."""
    assert rested(REST, "1", f"ann loan call 0 {outcome} -") == ("" if drops else "1")


def test_one_outcome_may_stand_without_a_list() -> None:
    """Even what bounced may be the reason, if the rule says so."""
    rule = REST | {"after": {"outcome": "bounced"}}
    assert rested(rule, "1 10", "ann loan call 0 bounced -") == "10"


def test_the_times_have_to_be_full() -> None:
    """Three refusals are asked for; each on its own day, or two on one."""
    rule = REST | {"after": {"outcome": "rejected", "times": 3}}
    two = ["ann loan call -1 rejected -", "ann loan call 0 rejected -"]
    assert rested(rule, "1", *two) == "1"
    assert rested(rule, "1", *two, "ann loan call -9 rejected -") == ""
    assert rested(rule, "1", *two, "ann loan email 0 rejected -") == ""
    assert rested(rule, "1", *two, "ann loan call -9 delivered -") == "1"


def test_the_times_have_to_lie_within_the_days() -> None:
    """Two refusals within five days: 0 and -4 do, 0 and -5 do not."""
    rule = REST | {"after": {"outcome": "rejected", "times": 2, "within_days": 5}}
    assert rested(rule, "1", "ann loan call -4 rejected -", "ann loan call 0 rejected -") == ""
    assert rested(rule, "1", "ann loan call -5 rejected -", "ann loan call 0 rejected -") == "1"


def test_the_days_run_from_the_outcome_that_made_the_number_full() -> None:
    """The second refusal, on day -2, counts; ten days from it on end with day 7."""
    rule = REST | {"after": {"outcome": "rejected", "times": 2, "within_days": 30}}
    both = ["ann loan call -8 rejected -", "ann loan call -2 rejected -"]
    assert rested(rule, "1 7 8", *both) == "8"


def test_without_within_days_the_whole_past_counts() -> None:
    """A refusal of long ago and one of yesterday are two."""
    rule = REST | {"after": {"outcome": "rejected", "times": 2}}
    assert rested(rule, "1", "ann loan call -900 rejected -", "ann loan call 0 rejected -") == ""


CANDIDATES = offered(
    "ann loan-call-1 1",
    "ann loan-email-1 1",
    "ann lease-email-1 1",
    "ann card-email-1 1",
    "ann fund-email-1 1",
)


@pytest.mark.parametrize(
    ("same", "left"),
    [
        ("offer", ["card-email", "fund-email", "lease-email"]),
        ("category", ["card-email", "fund-email"]),
        ("business_unit", ["fund-email", "lease-email"]),
        ("channel", ["card-email", "fund-email", "lease-email", "loan-email"]),
        ("all", []),
    ],
)
def test_what_is_the_same_is_dropped(same: str, left: list[str]) -> None:
    """The loan was refused on the phone: its offer, its category, its unit, all calls or everything rests."""
    rules = policy(eligibility=REST | {"drop_same": same})
    history = past("ann loan call 0 rejected -")
    plan = solve(rules, CANDIDATES, offers=OFFERS, history=history)
    assert [c.removeprefix("ann ").removesuffix("-1") for c in contacts(plan)] == left
    assert plan.certificate["dropped"] == {"eligibility 1": 5 - len(left)}


@pytest.mark.parametrize("same", ["offer", "category", "business_unit", "channel", "all"])
def test_the_ends_are_the_same_for_all_that_is_dropped(same: str) -> None:
    """Within three days twice, and then for four: refusals on -2 and 0 keep days 1 to 3 free of loans."""
    rule = {"after": {"outcome": "rejected", "times": 2, "within_days": 3}, "drop_same": same, "for_days": 4}
    assert rested(rule, "1 3 4", "ann loan call -2 rejected -", "ann loan call 0 rejected -") == "4"
    assert rested(rule, "1 3 4", "ann loan call -3 rejected -", "ann loan call 0 rejected -") == "1 3 4"


def test_outcomes_add_up_only_where_they_are_about_the_same() -> None:
    """A loan and a lease refused are two of one category, and one of each offer."""
    twice = {"outcome": "rejected", "times": 2}
    history = past("ann loan call 0 rejected -", "ann lease call 0 rejected -")
    candidates = offered("ann loan-email-1 1", "ann card-email-1 1")
    for same, left in (("offer", 2), ("category", 1), ("channel", 2), ("all", 0)):
        rules = policy(eligibility=REST | {"after": twice, "drop_same": same})
        assert len(chosen(rules, candidates, offers=OFFERS, history=history)) == left, same


def test_an_empty_category_is_the_same_as_nothing() -> None:
    """The fund has none: refusing it drops nothing, and no refusal drops it."""
    rules = policy(eligibility=REST | {"drop_same": "category"})
    candidates = offered("ann fund-call-1 1", "ann loan-call-1 1")
    assert len(chosen(rules, candidates, offers=OFFERS, history=past("ann fund call 0 rejected -"))) == 2
    found = chosen(rules, candidates, offers=OFFERS, history=past("ann loan call 0 rejected -"))
    assert found == ["ann fund-call-1"]


def test_an_offer_in_two_categories_rests_with_either() -> None:
    """The bundle was refused: loans and cards rest. A loan was refused: the bundle rests, not the card."""
    offers = table("offer_id category", "bundle loan;card", "loan loan", "card card", "fund fund")
    candidates = offered(*(f"ann {o}-call-1 1" for o in ("bundle", "loan", "card", "fund")))
    rules = policy(eligibility=REST | {"drop_same": "category"})
    for refused, left in (("bundle", ["fund"]), ("loan", ["card", "fund"])):
        plan = solve(
            rules, candidates, multi_valued={"offer.category": ";"}, offers=offers,
            history=past(f"ann {refused} call 0 rejected -"),
        )  # fmt: skip
        assert contacts(plan) == [f"ann {o}-call-1" for o in left]


def test_the_outcomes_of_others_are_their_own() -> None:
    """bob refused the loan; ann may have it."""
    rules = policy(eligibility=REST | {"drop_same": "all"})
    candidates = offered("ann loan-call-1 1", "bob loan-call-1 1")
    found = chosen(rules, candidates, offers=OFFERS, history=past("bob loan call 0 rejected -"))
    assert found == ["ann loan-call-1"]


def test_a_channel_that_rests_is_no_fallback_either() -> None:
    """ann refused a call: her e-mail stays, and does not become one."""
    channels = table("channel delivery_rate fallback", "email 0.5 call", "call 1 -")
    rules = policy(eligibility=REST | {"drop_same": "channel"}, limits={"where": CALL, "max": 0.5})
    candidates = offered("ann loan-email-1 5", "ann loan-call-1 9", "bob loan-email-1 4")
    history = past("ann loan call 0 rejected -")
    plan = solve(rules, candidates, channels=channels, history=history)
    assert contacts(plan) == ["ann loan-email-1", "bob loan-email-1"]
    assert plan.contacts["fallback"].isna().tolist() == [True, False]


def test_without_a_history_nothing_rests() -> None:
    """There is nothing to rest from, and the report says that the rule matches nothing."""
    plan = solve(policy(eligibility=REST), offered("ann loan-call-1 1"))
    assert len(plan.contacts) == 1
    assert any("eligibility 1" in note for note in plan.certificate["notes"])

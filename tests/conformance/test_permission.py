"""Who may be contacted at all: consent, send hours, and how often an action may be chosen."""

from __future__ import annotations

import pytest
from bank import FOUR_WEEKS, contacts, decide, table
from sentences import CALL, chosen, days, faults, offered, policy, solve

ASKS = table("channel requires_consent", "call true")


def test_without_a_consent_row_there_is_no_candidate_and_the_report_says_so() -> None:
    """No row is no consent: it fails closed."""
    plan = solve(policy(), offered("ann a-call-1 5"), channels=ASKS)
    assert contacts(plan) == []
    assert plan.certificate["dropped"] == {"no consent for call": 1}


def test_consent_counts_on_its_dates_alone() -> None:
    """From day 2 to day 4; day 1 and day 5 are outside."""
    consents = table("customer_id channel purpose granted valid_from valid_to", "ann call news true 2 4")
    assert days(policy(), "a", "call", "1 2 4 5", channels=ASKS, consents=consents) == "2 4"


def test_a_refusal_or_another_channel_is_no_consent() -> None:
    """bob said no, cal said yes to e-mails."""
    consents = table(
        "customer_id channel purpose granted",
        "ann call news true",
        "bob call news false",
        "cal email news true",
    )
    channels = table("channel requires_consent", "call true", "email true")
    candidates = offered(*(f"{c} a-call-1 5" for c in ("ann", "bob", "cal")))
    assert chosen(policy(), candidates, channels=channels, consents=consents) == ["ann a-call-1"]


def test_without_a_time_zone_there_is_no_candidate_where_send_hours_apply() -> None:
    """bob's zone is not known; e-mails have no hours, and reach him."""
    customers = table("customer_id timezone", "ann Europe/Madrid", "bob -")
    channels = table("channel send_from send_to", "call 09:00 18:00", "email - -")
    candidates = offered("ann a-call-1 5", "bob a-call-1 5", "bob a-email-1 4")
    plan = solve(policy(), candidates, customers=customers, channels=channels)
    assert contacts(plan) == ["ann a-call-1", "bob a-email-1"]
    assert plan.certificate["dropped"] == {"no time zone": 1}


def test_a_rule_counts_no_candidate_that_consent_took_away() -> None:
    """A minimum of two calls cannot lean on bob, who has not consented."""
    consents = table("customer_id channel purpose granted", "ann call news true")
    candidates = offered("ann a-call-1 -1", "bob a-call-1 5")
    plan = solve(
        policy(limits={"where": CALL, "min": 2, "penalty": 10}), candidates, channels=ASKS, consents=consents
    )
    assert (contacts(plan), plan.objective) == (["ann a-call-1"], -11)


def test_an_action_is_chosen_at_most_once_and_an_offer_any_number_of_times() -> None:
    """Three actions carry the loan, and ann gets all three; she gets none of them twice."""
    candidates = offered("ann loan-call-1 5", "ann loan-call-2 5", "ann loan-email-1 5")
    plan = solve(policy(), candidates)
    assert len(plan.contacts) == 3 and plan.objective == 15
    said = faults(policy(), offered("ann loan-call-1 5", "ann loan-call-1 5"))
    assert "candidates" in said


def test_a_rule_may_cap_an_offer() -> None:
    """One loan in four weeks."""
    rules = policy(contact={"max": 1, "per": ["offer"]})
    assert days(rules, "loan", "call", "1 9 20") == "1"


# failover

SCORED = {
    "customers": table("customer_id consented", "ann 1"),
    "offers": table("offer_id value incentive_cost", "loan 16 4"),
    "channels": table(
        "channel unit_cost delivery_rate fallback requires_consent",
        "email 1 0.5 call false",
        "call 2 1 - true",
    ),
    "actions": table("action_id offer_id channel date", "loan-email-1 loan email 1"),
    "scores": table("customer_id offer_id channel p_response", "ann loan email 0.5", "ann loan call 0.25"),
}
CONSENT = table("customer_id channel purpose granted", "ann call news true")


def test_response_value_and_cost_are_expected_over_delivery_and_failover() -> None:
    """Response 0.5 x 0.5 + 0.5 x 0.25 = 0.375; value 6; cost 1 + 0.5 x 2 + 0.375 x 4 = 3.5."""
    plan = decide(policy("value - cost"), SCORED | {"consents": CONSENT}, FOUR_WEEKS)
    (row,) = plan.contacts.to_dict("records")
    assert (row["response"], row["value"], row["cost"]) == (0.375, 6, 3.5)
    assert (row["fallback"], plan.objective) == ("call", 2.5)


def test_a_fallback_without_consent_is_not_used() -> None:
    """The e-mail alone: response 0.25, value 4, cost 1 + 0.25 x 4 = 2. The desk has no load from it."""
    rules = policy("value - cost", limits={"where": CALL, "max": 0})
    plan = decide(rules, SCORED, FOUR_WEEKS)
    (row,) = plan.contacts.to_dict("records")
    assert (row["response"], row["value"], row["cost"]) == (0.25, 4, 2)
    assert plan.contacts["fallback"].isna().all() and plan.objective == 2
    assert contacts(decide(rules, SCORED | {"consents": CONSENT}, FOUR_WEEKS)) == []


@pytest.mark.parametrize(("outcome", "rate"), [("delivered", 0.75), ("bounced", 0.25)])
def test_the_delivery_rate_is_the_customers_own_where_history_supports_it(outcome: str, rate: float) -> None:
    """Five e-mails of known fate weigh as much as the channel's 0.5; four are too few."""
    lines = [f"ann loan email {-d} {outcome}" for d in range(5)]
    for number, expected in ((5, rate), (4, 0.5)):
        history = table("customer_id offer_id channel date outcome", *lines[:number])
        plan = decide(policy("response"), SCORED | {"history": history}, FOUR_WEEKS)
        assert plan.contacts["response"].tolist() == [expected * 0.5]


LOAD = table("channel delivery_rate fallback minutes", "email 0.75 call 1", "call 1 - 12")


def test_the_load_that_failover_will_bring_is_reserved() -> None:
    """Each e-mail costs the desk a quarter of a call: half a call has room for two of them."""
    candidates = offered("ann a-email-1 3", "bob a-email-1 2", "cal a-email-1 1", "dan a-call-1 9")
    rules = policy(limits={"where": CALL, "max": 0.5})
    assert chosen(rules, candidates, channels=LOAD) == ["ann a-email-1", "bob a-email-1"]
    rules = policy(limits={"where": CALL, "max": 1.25})
    assert chosen(rules, candidates, channels=LOAD) == ["ann a-email-1", "dan a-call-1"]


def test_minutes_on_the_fallback_channel_are_reserved_in_proportion() -> None:
    """Each e-mail takes one minute of its own and 0.25 x 12 = 3 of the desk; nine minutes hold three."""
    candidates = offered("ann a-email-1 3", "bob a-email-1 2", "cal a-email-1 1", "dan a-call-1 5")
    desk = {"where": CALL, "measure": "minutes", "max": 9}
    assert chosen(policy(limits=desk), candidates, channels=LOAD) == [
        "ann a-email-1", "bob a-email-1", "cal a-email-1",
    ]  # fmt: skip
    both = {"measure": "minutes", "max": 12}
    assert len(chosen(policy(limits=both), candidates, channels=LOAD)) == 3
    assert len(chosen(policy(limits=both | {"max": 11.5}), candidates, channels=LOAD)) == 2


def test_a_fallback_that_breaks_a_channels_cap_is_no_plan() -> None:
    """One call a week: the e-mail that may become one does not go with the call. A limit counts a quarter."""
    candidates = offered("ann a-email-1 3", "ann a-call-3 5")
    cap = policy(contact={"where": CALL, "max": 1, "days": 7})
    assert chosen(cap, candidates, channels=LOAD) == ["ann a-call-3"]
    desk = policy(limits={"where": CALL, "max": 1.25})
    assert len(chosen(desk, candidates, channels=LOAD)) == 2

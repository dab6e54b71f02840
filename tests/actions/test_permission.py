"""Consent, time zones, send days and validity: everything fails closed, and says so."""

from __future__ import annotations

from typing import Any

import pandas as pd
from bank import FOUR_WEEKS, contacts, decide, refused, table, tables_of

EMAILS = table(
    "customer_id action_id value",
    *(f"{c} loan-email-{d} 1" for c in ("ann", "bob", "cal") for d in (1, 5, 9)),
)


def run(candidates: pd.DataFrame = EMAILS, horizon: Any = FOUR_WEEKS, **tables: pd.DataFrame) -> Any:
    return decide({"objective": "value"}, tables_of(candidates, **tables), horizon)


def days(plan: Any, customer: str) -> list[int]:
    return sorted(int(c.rpartition("-")[2]) for c in contacts(plan) if c.startswith(customer))


CONSENT = table("channel requires_consent", "email true")


def test_without_a_consent_row_nobody_is_contacted() -> None:
    plan = run(channels=CONSENT)
    assert contacts(plan) == []
    assert plan.certificate["dropped"] == {"no consent for email": 9}


def test_consent_counts_from_its_first_to_its_last_day() -> None:
    consents = table(
        "customer_id channel purpose granted valid_from valid_to",
        "ann email news true 5 9", "bob email news true - 2026-11-26", "cal email news true 2026-11-24 -",
    )  # fmt: skip
    plan = run(channels=CONSENT, consents=consents)
    assert [days(plan, c) for c in ("ann", "bob", "cal")] == [[5, 9], [1], [5, 9]]


def test_consent_to_another_channel_or_refused_is_none() -> None:
    channels = table("channel requires_consent", "email true", "call false")
    consents = table(
        "customer_id channel purpose granted",
        "ann call news true",
        "bob email news false",
        "cal email news true",
    )
    plan = run(channels=channels, consents=consents)
    assert [days(plan, c) for c in ("ann", "bob", "cal")] == [[], [], [1, 5, 9]]


def test_consent_to_one_purpose_is_enough() -> None:
    consents = table("customer_id channel purpose granted", "ann email news false", "ann email service true")
    assert days(run(channels=CONSENT, consents=consents), "ann") == [1, 5, 9]


def test_a_channel_that_asks_for_no_consent_needs_none() -> None:
    assert len(run(channels=table("channel requires_consent", "email false")).contacts) == 9


def test_send_hours_need_a_time_zone() -> None:
    customers = table("customer_id timezone", "ann Europe/Madrid", "bob -", "cal America/New_York")
    for column in ("send_from", "send_to"):
        plan = run(channels=table(f"channel {column}", "email 08:00"), customers=customers)
        assert [days(plan, c) for c in ("ann", "bob", "cal")] == [[1, 5, 9], [], [1, 5, 9]]
        assert plan.certificate["dropped"] == {"no time zone": 3}
    assert len(run(channels=table("channel send_from", "email -"), customers=customers).contacts) == 9


def test_without_any_time_zones_send_hours_silence_the_channel() -> None:
    assert contacts(run(channels=table("channel send_from", "email 08:00"))) == []


def test_send_days() -> None:
    """Day 1 is a Monday, 5 a Friday, 9 a Tuesday."""
    for written, expected in (("mon-fri", [1, 5, 9]), ("mon;wed;fri", [1, 5]), ("tue", [9]), ("sat-sun", [])):
        plan = run(channels=table("channel send_days", f"email {written}"))
        assert days(plan, "ann") == expected
    assert plan.certificate["dropped"] == {"outside the send days": 9}


def test_send_days_need_a_calendar() -> None:
    faults = refused(
        {"objective": "value"}, tables_of(EMAILS, channels=table("channel send_days", "email mon-fri"))
    )
    assert "send_days" in faults and "horizon" in faults


def test_an_offer_is_valid_from_its_first_to_its_last_day() -> None:
    for bounds, expected in (("5 9", [5, 9]), ("- 5", [1, 5]), ("2026-11-24 -", [5, 9]), ("6 8", [])):
        plan = run(offers=table("offer_id valid_from valid_to", f"loan {bounds}"))
        assert days(plan, "bob") == expected
    assert plan.certificate["dropped"] == {"offer not valid on that date": 9}


def test_each_candidate_is_counted_once_under_the_first_reason() -> None:
    """Validity goes before consent, consent before time zones, these before send days."""
    tables = {
        "offers": table("offer_id valid_to", "loan 5"),
        "channels": table("channel requires_consent send_from send_days", "email true 08:00 mon-thu"),
        "consents": table(
            "customer_id channel purpose granted", "bob email news true", "cal email news true"
        ),
        "customers": table("customer_id timezone", "ann Europe/Madrid", "bob -", "cal Europe/Madrid"),
    }
    plan = run(**tables)
    assert contacts(plan) == ["cal loan-email-1"]
    assert plan.certificate["dropped"] == {
        "offer not valid on that date": 3, "no consent for email": 2, "no time zone": 2,
        "outside the send days": 1,
    }  # fmt: skip


def test_a_fallback_needs_consent_time_zone_and_send_day_too() -> None:
    """ann consents to calls, bob does not, cal has no time zone; day 6 is a Saturday without calls."""
    candidates = table(
        "customer_id action_id value",
        *(f"{c} loan-email-{d} 1" for c in ("ann", "bob", "cal") for d in (1, 6)),
    )
    tables = {
        "channels": table(
            "channel fallback requires_consent send_from send_days",
            "email call false - -",
            "call - true 09:00 mon-fri",
        ),
        "consents": table("customer_id channel purpose granted", "ann call news true", "cal call news true"),
        "customers": table("customer_id timezone", "ann Europe/Madrid", "bob Europe/Madrid", "cal -"),
    }
    plan = run(candidates, **tables)
    assert len(plan.contacts) == 6
    with_fallback = plan.contacts[plan.contacts["fallback"].notna()]
    assert with_fallback[["customer_id", "action_id", "fallback"]].to_numpy().tolist() == [
        ["ann", "loan-email-1", "call"]
    ]

"""Days are dates: leap days, changes of the clock, weeks across the year."""

from __future__ import annotations

import pytest
from bank import contacts, entry, table
from sentences import CALL, chosen, offered, past, policy, solve

LEAP = {"start": "2028-02-28", "days": 4}  # Monday 28 February, the 29th, 1 March, 2 March
SPRING = {"start": "2027-03-26", "days": 5}  # from a Friday over the last Sunday of March
YEAR = {"start": "2026-12-28", "days": 14}


def test_a_window_counts_the_leap_day() -> None:
    """28 February and 1 March lie two days apart in 2028: two days hold them not, three do."""
    candidates = offered("ann a-call-1 5", "ann a-call-3 4")
    assert len(chosen(policy(contact={"max": 1, "days": 2}), candidates, LEAP)) == 2
    assert len(chosen(policy(contact={"max": 1, "days": 3}), candidates, LEAP)) == 1
    assert len(chosen(policy(limits={"max": 1, "rolling_days": 2}), candidates, LEAP)) == 2
    assert len(chosen(policy(limits={"max": 1, "rolling_days": 3}), candidates, LEAP)) == 1


def test_the_leap_day_belongs_to_february() -> None:
    """One in a month: the 29th and the first of March are two months, the 28th and the 29th one."""
    rules = policy(contact={"max": 1, "every": "month"})
    assert chosen(rules, offered("ann a-call-2 5", "ann a-call-3 4"), LEAP) == [
        "ann a-call-2",
        "ann a-call-3",
    ]
    assert chosen(rules, offered("ann a-call-1 5", "ann a-call-2 4"), LEAP) == ["ann a-call-1"]


def test_a_minimum_is_asked_of_a_february_of_29_days() -> None:
    """Of 28 days from the first on February is not whole, of 29 it is."""
    rules = policy(contact={"min": 1, "every": "month"})
    candidates = offered("ann a-call-1 -1")
    assert chosen(rules, candidates, {"start": "2028-02-01", "days": 28}) == []
    assert chosen(rules, candidates, {"start": "2028-02-01", "days": 29}) == ["ann a-call-1"]
    assert chosen(rules, candidates, {"start": "2027-02-01", "days": 28}) == ["ann a-call-1"]


def test_the_leap_day_is_a_date_of_its_own_in_a_table() -> None:
    """The desk is closed on 29 February."""
    desk = table("date calls", "2028-02-28 1", "2028-02-29 0", "2028-03-01 1")
    rule = {"where": CALL, "per": ["date"], "max": {"table": "desk", "column": "calls"}}
    candidates = offered("ann a-call-1 1", "ann a-call-2 9", "ann a-call-3 1")
    plan = solve(policy(limits=rule), candidates, LEAP, desk=desk)
    assert contacts(plan) == ["ann a-call-1", "ann a-call-3"]
    assert entry(plan, "limits 1", date="2028-02-29")["max"] == 0


def test_lags_count_the_leap_day() -> None:
    """From 28 February to 1 March it is two days, for conflicts and for needs."""
    candidates = offered("ann a-call-1 5", "ann b-call-3 4")
    for apart, number in ((2, 2), (3, 1)):
        rule = {"first": {"offer": "a"}, "then": {"offer": "b"}, "days": apart}
        assert len(chosen(policy(conflicts=rule), candidates, LEAP)) == number
    for lag, number in ((1, 1), (2, 2)):
        rule = {"offer": {"offer": "b"}, "needs": {"offer": "a"}, "days": lag}
        assert len(chosen(policy(requires=rule), candidates, LEAP)) == number


def test_the_past_before_a_leap_day() -> None:
    """A refusal on 27 February rests three days: until the 29th, not on 1 March."""
    rule = {"after": {"outcome": "rejected"}, "drop_same": "offer", "for_days": 3}
    candidates = offered("ann a-call-2 1", "ann a-call-3 1")
    history = past("ann a call 2028-02-27 rejected -")
    found = chosen(policy(eligibility=rule), candidates, LEAP, history=history)
    assert found == ["ann a-call-3"]


def test_consent_ends_with_the_leap_day() -> None:
    """It is granted through 29 February; the offer is valid from that day on."""
    channels = table("channel requires_consent", "call true")
    consents = table("customer_id channel purpose granted valid_to", "ann call news true 2028-02-29")
    offers = table("offer_id valid_from", "a 2028-02-29")
    candidates = offered("ann a-call-1 1", "ann a-call-2 1", "ann a-call-3 1")
    found = chosen(policy(), candidates, LEAP, channels=channels, consents=consents, offers=offers)
    assert found == ["ann a-call-2"]


def test_a_commitment_after_the_horizon_still_shares_windows_with_its_last_days() -> None:
    """A call is promised for 1 March; the horizon ends on the leap day. Windows, weeks and lags see it."""
    short = {"start": "2028-02-28", "days": 2}
    candidates = offered("ann a-call-1 5", "ann a-call-2 4")
    history, offers = past("ann b call 3 - true"), table("offer_id", "a", "b")

    def left(**sections: dict[str, object]) -> list[str]:
        return chosen(policy(**sections), candidates, short, history=history, offers=offers)

    assert left(contact={"max": 1, "days": 2}) == ["ann a-call-1"]
    assert left(contact={"max": 1, "every": "week"}) == []
    assert left(contact={"max": 2, "every": "month"}) == ["ann a-call-1", "ann a-call-2"]
    assert left(limits={"max": 1, "rolling_days": 2}) == ["ann a-call-1"]
    apart = {"first": {"offer": "a"}, "then": {"offer": "b"}, "days": 2}
    assert left(conflicts=apart) == ["ann a-call-1", "ann a-call-2"]
    assert left(conflicts=apart | {"either_order": True}) == ["ann a-call-1"]
    need = {"offer": {"offer": "a"}, "needs": {"offer": "b"}, "days": 1}
    assert left(requires=need) == []
    assert left(requires=need | {"order": "any"}) == ["ann a-call-2"]


ZONES = table(
    "customer_id timezone",
    "ann Europe/Madrid",
    "bob America/New_York",
    "cal Pacific/Auckland",
    "dan Asia/Kolkata",
)


def test_the_day_on_which_clocks_change_is_one_day() -> None:
    """28 March 2027 has 23 hours in Madrid; windows, caps and capacities count it as a day like any other.

    The send hours lie in the hour that is left out.
    """
    channels = table("channel send_from send_to send_days", "call 02:00 03:00 sat;sun;mon")
    candidates = offered(*(f"{c} a-call-{d} {9 - d}" for c in ("ann", "bob") for d in (2, 3, 4)))
    one = policy(contact={"max": 1, "days": 1})
    assert len(chosen(one, candidates, SPRING, customers=ZONES, channels=channels)) == 6
    two = policy(contact={"max": 1, "days": 2})
    found = chosen(two, candidates, SPRING, customers=ZONES, channels=channels)
    assert found == ["ann a-call-2", "ann a-call-4", "bob a-call-2", "bob a-call-4"]


def test_the_change_of_clocks_moves_nobody_to_another_date() -> None:
    """One call on each date, wherever on earth: Auckland's Sunday is the Sunday of the plan."""
    channels = table("channel send_from send_to", "call 00:00 23:59")
    candidates = offered("ann a-call-3 5", "bob a-call-3 4", "cal a-call-3 6", "dan a-call-4 1")
    rule = {"per": ["date"], "max": 1}
    plan = solve(policy(limits=rule), candidates, SPRING, customers=ZONES, channels=channels)
    assert contacts(plan) == ["cal a-call-3", "dan a-call-4"]
    assert entry(plan, "limits 1", date="2027-03-28")["used"] == 1


def test_the_sunday_of_the_change_ends_its_week() -> None:
    """Sunday 28 March and the Monday after it lie in two weeks and one month."""
    candidates = offered("ann a-call-3 5", "ann a-call-4 4")
    channels = table("channel send_from", "call 02:30")
    for every, number in (("week", 2), ("month", 1)):
        rules = policy(contact={"max": 1, "every": every})
        assert len(chosen(rules, candidates, SPRING, customers=ZONES, channels=channels)) == number


@pytest.mark.parametrize(("every", "number"), [("week", 1), ("month", 2)])
def test_a_week_goes_on_over_the_new_year(every: str, number: int) -> None:
    """Thursday 31 December and Friday 1 January share a week, not a month."""
    rules = policy(contact={"max": 1, "every": every})
    assert len(chosen(rules, offered("ann a-call-4 5", "ann a-call-5 4"), YEAR)) == number

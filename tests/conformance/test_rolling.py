"""What a limit on every window of so many days means."""

from __future__ import annotations

from typing import Any

import pytest
from bank import contacts, entry, table
from sentences import CALL, chosen, costed, faults, offered, past, policy, solve

import omniopt as oo

THREE_DAYS = {"start": "2026-11-23", "days": 3}


def test_both_ends_of_a_window_are_in_it() -> None:
    """The seventh day from the first on is the last: days 1 and 7 share a window, 1 and 8 do not."""
    candidates = offered("ann a-call-1 5", "bob a-call-7 4", "cal a-call-8 3")
    rule = {"max": 1, "rolling_days": 7}
    assert chosen(policy(limits=rule), candidates) == ["ann a-call-1", "cal a-call-8"]
    assert len(chosen(policy(limits=rule | {"rolling_days": 1}), candidates)) == 3


def test_the_limit_holds_from_every_date_on() -> None:
    """Days 3 and 9 lie in different weeks, and within seven days; days 3 and 10 do not."""
    rule = {"max": 1, "rolling_days": 7}
    assert chosen(policy(limits=rule), offered("ann a-call-3 5", "bob a-call-9 4")) == ["ann a-call-3"]
    assert len(chosen(policy(limits=rule), offered("ann a-call-3 5", "bob a-call-10 4"))) == 2


def test_a_window_of_one_day_is_that_day() -> None:
    """Two on the first day are one too many; one on each day is not."""
    candidates = offered("ann a-call-1 5", "bob a-call-1 4", "bob a-call-2 3")
    found = chosen(policy(limits={"max": 1, "rolling_days": 1}), candidates)
    assert found == ["ann a-call-1", "bob a-call-2"]


def test_windows_that_begin_before_the_horizon_count_the_past() -> None:
    """Two contacts lie three days back. Day 4 shares seven days with them, day 5 does not."""
    candidates = offered("ann a-call-4 5", "bob a-call-4 4", "cal a-call-5 3")
    history = past("eve a call -2 sent -", "fay a call -2 delivered -")
    plan = solve(policy(limits={"max": 3, "rolling_days": 7}), candidates, history=history)
    assert contacts(plan) == ["ann a-call-4", "cal a-call-5"]
    found = [e for e in plan.certificate["rules"] if e["name"] == "limits 1"]
    assert [(e["group"]["from"], e["used"], e["history"]) for e in found] == [
        ("2026-11-20", 3, 2), ("2026-11-21", 2, 0), ("2026-11-27", 1, 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "counts"),
    [("sent", True), ("delivered", True), ("opened", True), ("clicked", True), ("responded", True),
     ("rejected", True), ("unsubscribed", True), ("bounced", False)],
)  # fmt: skip
def test_what_was_sent_counts_and_what_bounced_does_not(outcome: str, counts: bool) -> None:
    """Every outcome but one says that the contact was made."""
    rule = {"max": 1, "rolling_days": 2}
    found = chosen(policy(limits=rule), offered("ann a-call-1 5"), history=past(f"bob a call 0 {outcome} -"))
    assert found == ([] if counts else ["ann a-call-1"])


def test_a_commitment_counts_on_its_day() -> None:
    """A call is promised for day 5: of windows of three days, 3 to 7 are full."""
    candidates = offered(*(f"ann a-call-{d} 1" for d in (2, 3, 7, 8)))
    history = past("eve a call 5 - true")
    found = chosen(policy(limits={"max": 1, "rolling_days": 3}), candidates, history=history)
    assert found == ["ann a-call-2", "ann a-call-8"]


def test_where_the_past_alone_is_over_the_limit_there_is_no_plan() -> None:
    """Three yesterday, two allowed in two days; an empty plan cannot undo them."""
    history = past("eve a call 0 sent -", "fay a call 0 sent -", "gus a call 0 sent -")
    with pytest.raises(oo.Infeasible, match="limits 1"):
        solve(policy(limits={"max": 2, "rolling_days": 2}), offered("ann a-call-1 5"), history=history)


def test_only_the_past_in_scope_and_group_counts() -> None:
    """Calls by offer: yesterday's loan leaves no room for loans today; the e-mail is nothing to calls."""
    candidates = offered("ann loan-call-1 5", "bob card-call-1 4", "cal card-call-1 3")
    history = past("eve loan call 0 sent -", "fay card email 0 sent -")
    rule = {"where": CALL, "per": ["offer"], "max": 1, "rolling_days": 2}
    plan = solve(policy(limits=rule), candidates, history=history)
    assert contacts(plan) == ["bob card-call-1"]
    assert entry(plan, "limits 1", offer="loan", **{"from": "2026-11-22"})["history"] == 1


def test_a_minimum_is_asked_of_windows_wholly_inside_the_horizon() -> None:
    """Three days, windows of two: day 2 alone (-5), or days 1 and 3 (-2). No window reaches outside."""
    candidates = offered("ann a-call-1 -1", "ann a-call-2 -5", "ann a-call-3 -1")
    rule = {"min": 1, "rolling_days": 2}
    found = chosen(policy(limits=rule), candidates, THREE_DAYS)
    assert found == ["ann a-call-1", "ann a-call-3"]
    assert len(chosen(policy(limits=rule | {"rolling_days": 3}), candidates, THREE_DAYS)) == 1
    assert chosen(policy(limits=rule | {"rolling_days": 4}), candidates, THREE_DAYS) == []


def test_a_commitment_helps_to_keep_a_minimum() -> None:
    """The call that is promised for day 2 is in both windows."""
    candidates = offered("ann a-call-1 -1", "ann a-call-3 -1")
    history = past("eve a call 2 - true")
    assert chosen(policy(limits={"min": 1, "rolling_days": 2}), candidates, THREE_DAYS, history=history) == []


def test_a_window_without_candidates_has_its_minimum_too() -> None:
    """Nothing can be done on days 2 and 3, and something has to be."""
    with pytest.raises(oo.Infeasible, match="limits 1"):
        solve(policy(limits={"min": 1, "rolling_days": 2}), offered("ann a-call-1 5"), THREE_DAYS)


def test_without_a_horizon_windows_lie_between_the_first_and_the_last_date() -> None:
    """Days 4 to 6 hold the windows 4-5 and 5-6."""
    candidates = offered("ann a-call-4 -1", "ann a-call-5 -5", "ann a-call-6 -1")
    rules = policy(limits={"min": 1, "rolling_days": 2})
    assert chosen(rules, candidates, None) == ["ann a-call-4", "ann a-call-6"]


def test_minutes_of_the_past_are_those_of_its_channel() -> None:
    """Yesterday's call took ten of the thirty minutes that two days have: two calls are left."""
    candidates = offered("ann a-call-1 5", "bob a-call-1 4", "cal a-call-1 3")
    rule = {"measure": "minutes", "max": 30, "rolling_days": 2}
    channels = table("channel minutes", "call 10")
    plan = solve(policy(limits=rule), candidates, channels=channels, history=past("eve a call 0 sent -"))
    assert plan.objective == 9
    assert entry(plan, "limits 1")["used"] == 30


def test_a_measure_of_the_historys_own_column() -> None:
    """What yesterday cost stands in the history: 4 of 7, so that 3 are left."""
    candidates = costed("ann a-call-1 5 3", "bob a-call-1 4 2")
    history = past("eve a call 0 sent -").assign(cost=[4.0])
    rule = {"measure": "cost", "max": 7, "rolling_days": 2}
    assert chosen(policy(limits=rule), candidates, history=history) == ["ann a-call-1"]


def test_a_measure_that_the_past_does_not_tell_is_an_error() -> None:
    """Nobody knows what yesterday's call cost; it matters as soon as a window reaches it."""
    rule = {"measure": "cost", "max": 7, "rolling_days": 2}
    said = faults(policy(limits=rule), costed("ann a-call-1 5 3"), history=past("eve a call 0 sent -"))
    assert "limits 1" in said and "cost" in said
    far = past("eve a call -1 sent -")
    assert len(chosen(policy(limits=rule), costed("ann a-call-1 5 3"), history=far)) == 1


def test_a_share_in_every_window() -> None:
    """Calls are at most half of any two days: an e-mail a day later is no help to the day before the call."""
    rule: dict[str, Any] = {"where": CALL, "over": {"measure": "contacts"}, "max": 0.5, "rolling_days": 2}
    apart = offered("ann a-call-1 9", "bob a-email-2 1", "cal a-call-4 8")
    assert chosen(policy(limits=rule), apart) == ["bob a-email-2"]
    together = offered("ann a-call-1 9", "bob a-email-1 1", "cal a-call-4 8")
    assert chosen(policy(limits=rule), together) == ["ann a-call-1", "bob a-email-1"]


def test_failover_loads_every_window_of_the_fallback_channel() -> None:
    """Each e-mail brings half a call on its day; a call and an e-mail within two days are one and a half."""
    channels = table("channel delivery_rate fallback", "email 0.5 call", "call 1 -")
    candidates = offered("ann a-call-1 5", "bob a-email-2 4", "cal a-email-3 3", "dan a-email-3 2")
    rule = {"where": CALL, "max": 1, "rolling_days": 2}
    found = chosen(policy(limits=rule), candidates, channels=channels)
    assert found == ["ann a-call-1", "cal a-email-3", "dan a-email-3"]

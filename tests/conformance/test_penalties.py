"""What it means that a limit may be missed at a price, or is only watched."""

from __future__ import annotations

import pytest
from bank import contacts, entry, table
from sentences import CALL, chosen, costed, offered, policy, solve

PARTNER = offered(
    "ann partner-call-1 -1", "bob partner-call-1 -1.5", "cal partner-call-1 -5", "dan a-call-1 9"
)
CALLS = offered("ann a-call-1 9", "bob a-call-1 5", "cal a-call-1 2", "dan a-email-1 1")
GUARANTEE = {"where": {"offer": "partner"}, "min": 3, "penalty": 2}


def test_a_minimum_may_be_missed_at_the_price() -> None:
    """Three partner contacts are promised at 2 each: those at -1 and -1.5 come, the one at -5 does not."""
    plan = solve(policy(limits=GUARANTEE), PARTNER)
    assert contacts(plan) == ["ann partner-call-1", "bob partner-call-1", "dan a-call-1"]
    assert plan.objective == 9 - 2.5 - 2
    found = entry(plan, "limits 1")
    assert (found["used"], found["missed_by"], found["penalty_paid"]) == (2, 1, 2)
    assert plan.certificate["penalties"] == 2


def test_a_maximum_may_be_missed_at_the_price() -> None:
    """One call is planned for, each further one costs 3: that for 5 is worth it, that for 2 is not."""
    plan = solve(policy(limits={"where": CALL, "max": 1, "penalty": 3}), CALLS)
    assert contacts(plan) == ["ann a-call-1", "bob a-call-1", "dan a-email-1"]
    assert plan.objective == 15 - 3
    found = entry(plan, "limits 1")
    assert (found["used"], found["missed_by"], found["penalty_paid"]) == (2, 1, 3)


def test_a_limit_that_is_kept_costs_nothing() -> None:
    """With three calls planned for there is nothing to pay."""
    plan = solve(policy(limits={"where": CALL, "min": 1, "max": 3, "penalty": 3}), CALLS)
    found = entry(plan, "limits 1")
    assert (plan.objective, found["missed_by"], found["penalty_paid"]) == (17, 0, 0)


def test_either_side_may_be_missed() -> None:
    """Exactly two calls, at 4 for each more or less: of 9, 5 and 2 two; of -9 and -5 none, for 8."""
    exactly = {"where": CALL, "min": 2, "max": 2, "penalty": 4}
    assert solve(policy(limits=exactly), CALLS).objective == 15
    losses = offered("ann a-call-1 -9", "bob a-call-1 -5")
    plan = solve(policy(limits=exactly), losses)
    assert (contacts(plan), plan.objective) == ([], -8)
    many = offered("ann a-call-1 9", "bob a-call-1 7", "cal a-call-1 5")
    assert solve(policy(limits=exactly), many).objective == 21 - 4


def test_the_price_is_for_each_unit_of_the_measure() -> None:
    """Calls of ten minutes, fifteen planned for, 0.5 for each minute more: the second call costs 2.5."""
    rule = {"measure": "minutes", "max": 15, "penalty": 0.5}
    plan = solve(policy(limits=rule), CALLS, channels=table("channel minutes", "call 10", "email 0"))
    assert contacts(plan) == ["ann a-call-1", "bob a-call-1", "dan a-email-1"]
    assert entry(plan, "limits 1")["penalty_paid"] == 2.5


def test_the_price_may_be_read_from_a_table() -> None:
    """In the north a contact too many costs 4, in the south 9."""
    customers = table("customer_id region", "ann north", "bob north", "cal south", "dan south")
    prices = table("region price", "north 4", "south 9")
    rule = {"per": ["customer.region"], "max": 0, "penalty": {"table": "t", "column": "price"}}
    plan = solve(policy(limits=rule), CALLS, customers=customers, t=prices)
    assert (contacts(plan), plan.objective) == (["ann a-call-1", "bob a-call-1"], 14 - 8)


def test_a_ratio_is_missed_by_what_its_sum_lacks() -> None:
    """Calls are half of the contacts: with two calls and an e-mail half a contact is too much, at 4."""
    candidates = offered("ann a-call-1 9", "bob a-call-1 5", "dan a-email-1 1")
    rule = {"where": CALL, "over": {"measure": "contacts"}, "max": 0.5, "penalty": 4}
    plan = solve(policy(limits=rule), candidates)
    assert (len(plan.contacts), plan.objective) == (3, 15 - 2)
    found = entry(plan, "limits 1")
    assert (found["missed_by"], found["penalty_paid"]) == (pytest.approx(0.5), pytest.approx(2))


def test_every_window_is_missed_on_its_own() -> None:
    """Two contacts on neighbouring days are one too many in the one window that holds both."""
    candidates = offered("ann a-call-1 5", "bob a-call-2 5")
    plan = solve(policy(limits={"max": 1, "rolling_days": 2, "penalty": 3}), candidates)
    assert (len(plan.contacts), plan.objective) == (2, 7)
    twice = offered("ann a-call-1 9", "bob a-call-1 5")
    plan = solve(policy(limits={"max": 1, "rolling_days": 1, "penalty": 3}), twice)
    assert plan.objective == 11


def test_a_launch_that_is_too_small_pays_for_what_it_lacks() -> None:
    """Three or none, two are worth 5 each: one is missing at 4. Nothing launched, nothing missing."""
    two = offered("ann new-call-1 5", "bob new-call-1 5")
    rule = {"min": 3, "all_or_nothing": True, "penalty": 4}
    plan = solve(policy(limits=rule), two)
    assert plan.objective == 6
    assert entry(plan, "limits 1")["missed_by"] == 1
    plan = solve(policy(limits=rule | {"penalty": 11}), two)
    assert (contacts(plan), plan.objective) == ([], 0)


def test_a_promise_to_nobody_is_paid_for() -> None:
    """The table promises two in the west, where nobody lives: both are missing, at 1.5 each."""
    customers = table("customer_id region", *(f"{c} north" for c in ("ann", "bob", "cal", "dan")))
    promised = table("region n", "north 1", "west 2")
    rule = {"per": "customer.region", "min": {"table": "t", "column": "n"}, "penalty": 1.5}
    plan = solve(policy(limits=rule), CALLS, customers=customers, t=promised)
    assert plan.objective == 17 - 3
    assert entry(plan, "limits 1", **{"customer.region": "west"})["missed_by"] == 2


def test_where_something_is_minimised_the_price_is_added() -> None:
    """Two contacts are promised at 3: the one for 1 is made, the one for 5 is not."""
    candidates = costed("ann a-call-1 0 1", "bob a-call-1 0 5")
    plan = solve(policy({"minimise": "cost"}, limits={"min": 2, "penalty": 3}), candidates)
    assert (contacts(plan), plan.objective) == (["ann a-call-1"], 4)


def test_a_promise_that_cannot_be_kept_is_paid_for() -> None:
    """Ten are promised, one is possible: nine are missing. Without a price there would be no plan."""
    plan = solve(policy(limits={"min": 10, "penalty": 1}), offered("ann a-call-1 5"))
    assert (plan.objective, entry(plan, "limits 1")["missed_by"]) == (5 - 9, 9)


def test_what_costs_nothing_to_miss_binds_nobody() -> None:
    """A price of zero makes a limit a wish; how far it is missed is shown."""
    plan = solve(policy(limits={"where": CALL, "max": 1, "penalty": 0}), CALLS)
    assert plan.objective == 17
    assert (entry(plan, "limits 1")["missed_by"], plan.certificate["penalties"]) == (2, 0)


# report only


def test_a_limit_that_is_only_watched_changes_nothing_and_shows_everything() -> None:
    """One call is wanted, three are made: by two too many, at no price. The plan is that without the rule."""
    plan = solve(policy(limits={"where": CALL, "max": 1, "report_only": True}), CALLS)
    assert contacts(plan) == chosen(policy(), CALLS)
    found = entry(plan, "limits 1")
    assert (found["used"], found["slack"], found["missed_by"], found["price"]) == (3, -2, 2, 0)
    assert (found["penalty_paid"], found["report_only"]) == (0, True)
    assert plan.certificate["coupling_rows"] == 0


def test_a_watched_limit_drops_nobody_and_forces_nobody() -> None:
    """Five calls cannot be made; the wish for them makes no plan impossible, and no candidate go."""
    plan = solve(policy(limits={"where": CALL, "min": 5, "report_only": True}), CALLS)
    assert plan.objective == 17
    assert plan.certificate["dropped"] == {}
    assert entry(plan, "limits 1")["missed_by"] == 2


def test_a_watched_launch_pays_no_fixed_cost_and_no_penalty() -> None:
    """Neither is taken off, though the launch would be too small and would cost 5."""
    watched = {"min": 9, "all_or_nothing": True, "fixed_cost": 5, "penalty": 1, "report_only": True}
    plan = solve(policy(limits=watched), CALLS)
    assert plan.objective == 17
    assert (plan.certificate["fixed_cost"], plan.certificate["penalties"]) == (0, 0)


def test_a_watched_limit_stands_in_its_place_beside_one_that_binds() -> None:
    """The order of the report is the policy's; only the second rule has a say."""
    rules = [{"max": 1, "report_only": True}, {"where": CALL, "max": 2}]
    plan = solve(policy(limits=rules), CALLS)
    assert plan.objective == 15
    names = [e["name"] for e in plan.certificate["rules"] if e["kind"] == "limit"]
    assert names == ["limits 1", "limits 2"]
    assert plan.certificate["coupling_rows"] == 1

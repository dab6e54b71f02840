"""What a ratio of sums means, where its denominator is large, zero or below zero."""

from __future__ import annotations

from typing import Any

import pytest
from bank import contacts, entry, table
from sentences import CALL, EMAIL, chosen, costed, offered, policy, solve

THREE = costed("ann a-call-1 6 2", "bob a-call-1 3 2", "cal a-call-1 1 2")


@pytest.mark.parametrize(
    ("least", "expected"),
    [(1.6, ["ann", "bob", "cal"]), (1.7, ["ann", "bob"]), (2.3, ["ann"]), (3, ["ann"]), (3.1, [])],
)
def test_the_sum_of_the_measure_is_at_least_min_times_the_sum_over(least: float, expected: list[str]) -> None:
    """Together they return 10/6, the best two 9/4, the best one 6/2; single ones do not have to."""
    plan = solve(policy(limits={"measure": "value", "over": "cost", "min": least}), THREE)
    assert [c.split()[0] for c in contacts(plan)] == expected


def test_the_sum_of_the_measure_is_at_most_max_times_the_sum_over() -> None:
    """At most twice the cost may be earned: 6/2 is too much alone, and takes cal's 1/2, a loss, with it."""
    rule = {"measure": "value", "over": "cost", "max": 2}
    plan = solve(policy("value - cost", limits=rule), costed("ann a-call-1 6 2", "cal a-call-1 1 2"))
    assert (len(plan.contacts), plan.objective) == (2, 3)
    assert solve(policy("value - cost", limits=rule), costed("ann a-call-1 6 2")).objective == 0


def test_a_ratio_holds_at_zero_contacts_and_the_report_calls_it_vacuous() -> None:
    """Nothing returns three times its cost; the empty plan keeps the rule, and says that it does so idly."""
    candidates = costed("ann a-call-1 5 2", "bob a-call-1 3 2")
    plan = solve(policy(limits={"measure": "value", "over": "cost", "min": 3}), candidates)
    found = entry(plan, "limits 1")
    assert contacts(plan) == []
    assert (found["vacuous"], found["used"]) == (True, None)


def test_where_the_denominator_is_zero_the_numerator_may_not_exceed_it() -> None:
    """Calls may be half the e-mails; without an e-mail there is no call, however good."""
    share = {"where": CALL, "over": {"measure": "contacts", "where": EMAIL}, "max": 0.5}
    channels = table("channel", "call", "email")
    assert chosen(policy(limits=share), offered("ann a-call-1 9"), channels=channels) == []
    two = offered("ann a-call-1 9", "bob a-email-1 -1", "cal a-email-1 -2")
    assert len(chosen(policy(limits=share), two)) == 3


def test_what_costs_nothing_passes_every_hurdle() -> None:
    """1 is at least 100 times nothing."""
    free = costed("ann a-call-1 1 0")
    assert chosen(policy(limits={"measure": "value", "over": "cost", "min": 100}), free) == ["ann a-call-1"]


def test_a_denominator_below_zero_is_taken_as_it_stands() -> None:
    """Twice a cost of -3 is -6: a value of -4 is above that, one of -9 is not, -13 against -12 neither."""
    candidates = costed("ann a-call-1 -4 -3", "bob a-call-1 -9 -3")
    plan = solve(policy("contacts", limits={"measure": "value", "over": "cost", "min": 2}), candidates)
    assert contacts(plan) == ["ann a-call-1"]
    found = entry(plan, "limits 1")
    assert (found["vacuous"], found["slack"]) == (False, 2)


def test_a_denominator_of_its_own_scope() -> None:
    """Calls are at most half of the contacts in the north: e-mails in the south are no help."""
    customers = table("customer_id region", "ann north", "bob north", "cal south")
    candidates = offered("ann a-call-1 9", "ann a-call-2 8", "bob a-email-1 1", "cal a-email-1 1")
    north = {"measure": "contacts", "where": {"customer.region": "north"}}
    rule: dict[str, Any] = {"where": CALL, "over": north, "max": 0.5}
    found = chosen(policy(limits=rule), candidates, customers=customers)
    assert found == ["ann a-call-1", "bob a-email-1", "cal a-email-1"]
    everybody = rule | {"over": {"measure": "contacts"}}
    assert len(chosen(policy(limits=everybody), candidates, customers=customers)) == 4


def test_without_a_scope_of_its_own_a_measure_over_has_the_limits() -> None:
    """Calls return 4/3, the e-mail 9/1 does not count for them."""
    candidates = costed("ann a-call-1 4 3", "bob a-email-1 9 1")
    rule = {"where": CALL, "measure": "value", "over": "cost", "min": 1.5}
    assert chosen(policy(limits=rule), candidates) == ["bob a-email-1"]
    assert len(chosen(policy(limits=rule | {"min": 1.3}), candidates)) == 2
    whole = rule | {"over": {"measure": "cost"}, "min": 1}
    assert len(chosen(policy(limits=whole), candidates)) == 2


def test_a_ratio_for_every_group() -> None:
    """At least 1.6: the north returns (6 + 1)/4, the south 3/2, which is too little."""
    customers = table("customer_id region", "ann north", "bob south", "cal north")
    rule = {"measure": "value", "over": "cost", "per": "customer.region", "min": 1.6}
    assert chosen(policy(limits=rule), THREE, customers=customers) == ["ann a-call-1", "cal a-call-1"]
    shown = solve(policy(limits=rule), THREE, customers=customers)
    assert entry(shown, "limits 1", **{"customer.region": "south"})["vacuous"] is True


def test_a_group_that_only_the_denominator_has_is_asked_too() -> None:
    """Half of each offer's contacts are calls; the card has e-mails alone, so that none of them may come."""
    half = {"where": CALL, "per": ["offer"], "over": {"measure": "contacts", "where": {}}, "min": 0.5}
    candidates = offered("ann loan-call-1 1", "bob loan-email-1 5", "cal card-email-1 9")
    assert chosen(policy(limits=half), candidates) == ["ann loan-call-1", "bob loan-email-1"]


def test_both_bounds_of_a_ratio_hold() -> None:
    """Between 1 and 2 for each unit of cost: 6/2 needs cal's 1/2, with whom alone it would be too little."""
    rule = {"measure": "value", "over": "cost", "min": 1, "max": 2}
    plan = solve(policy(limits=rule), costed("ann a-call-1 6 2", "cal a-call-1 1 2"))
    assert plan.objective == 7
    assert [(e["min"], e["max"], e["used"]) for e in plan.certificate["rules"]] == [
        (1, None, 1.75), (None, 2, 1.75),
    ]  # fmt: skip
    assert chosen(policy(limits=rule), costed("ann a-call-1 6 2")) == []
    assert chosen(policy(limits=rule), costed("cal a-call-1 1 2")) == []


def test_a_hurdle_over_cost_and_fixed_cost() -> None:
    """Opening costs 6: 13 earned for 2 + 6 is 1.625 of them, and pays 13 - 2 - 6 = 5 at last."""
    candidates = costed("ann new-call-1 8 1", "bob new-call-1 5 1")
    launch = {"where": {"offer": "new"}, "min": 2, "all_or_nothing": True, "fixed_cost": 6}
    for hurdle, expected in ((1.6, 5), (1.65, 0)):
        rules = [launch, {"measure": "value", "over": "cost + fixed_cost", "min": hurdle}]
        plan = solve(policy("value - cost", limits=rules), candidates)
        assert plan.objective == expected
        assert len(plan.contacts) == (2 if expected else 0)
    assert entry(plan, "limits 2")["vacuous"] is True


def test_fixed_cost_in_a_ratio_is_the_whole_plans() -> None:
    """The hurdle is on loans alone, yet what the cards' opening costs is in its denominator."""
    candidates = costed("ann loan-call-1 10 2", "bob card-call-1 4 0")
    opening = {"where": {"offer": "card"}, "fixed_cost": 3}
    hurdle = {"where": {"offer": "loan"}, "measure": "value", "over": "cost + fixed_cost", "min": 2.5}
    plan = solve(policy("value - cost", limits=[opening, hurdle]), candidates)
    assert (contacts(plan), plan.objective) == (["ann loan-call-1"], 8)
    hurdle["min"] = 2
    assert solve(policy("value - cost", limits=[opening, hurdle]), candidates).objective == 9

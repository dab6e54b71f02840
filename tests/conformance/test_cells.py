"""What it means to open a group or to leave it alone: all or nothing, and what is paid once."""

from __future__ import annotations

from typing import Any

import pytest
from bank import contacts, entry, table
from sentences import CALL, chosen, costed, offered, policy, solve

REGIONS = table("customer_id region", "ann north", "bob north", "cal south", "dan south")
FOUR = offered("ann new-call-1 5", "bob new-call-1 3", "cal new-call-1 4", "dan new-call-1 -1")


def launch(least: int = 1, **rule: Any) -> dict[str, Any]:
    return {"where": {"offer": "new"}, "min": least, "all_or_nothing": True} | rule


@pytest.mark.parametrize(
    ("values", "expected"),
    [((5, 4, -20), 0), ((5, 4, -3), 3), ((5, 4, 3), 3), ((5, 4, -10), 0), ((-1, -1, -1), 0)],
)
def test_the_scope_gets_nothing_or_at_least_min(values: tuple[int, int, int], expected: int) -> None:
    """Three or none: 5 + 4 with a loss of 3 is worth it, with one of 20 nobody comes; 5 + 4 alone may not."""
    candidates = offered(*(f"{c} new-call-1 {v}" for c, v in zip(("ann", "bob", "cal"), values, strict=True)))
    plan = solve(policy(limits=launch(3)), candidates)
    assert len(plan.contacts) == expected
    found = entry(plan, "limits 1")
    assert (found["opened"], found["used"], found["slack"]) == (expected > 0, expected, 0)


def test_more_than_min_is_as_good() -> None:
    """Two at least; all four come where each is worth it."""
    candidates = offered(*(f"{c} new-call-1 1" for c in ("ann", "bob", "cal", "dan")))
    plan = solve(policy(limits=launch(2)), candidates)
    assert len(plan.contacts) == 4
    assert entry(plan, "limits 1")["slack"] == 2


def test_each_group_is_all_or_nothing_on_its_own() -> None:
    """Two for a region: 5 + 3 in the north, 4 - 1 in the south; with three asked for there is nothing."""
    rule = launch(2, per=["customer.region"])
    assert len(chosen(policy(limits=rule), FOUR, customers=REGIONS)) == 4
    assert chosen(policy(limits=rule | {"min": 3}), FOUR, customers=REGIONS) == []


def test_what_is_outside_the_scope_is_free() -> None:
    """The old offer goes to dan whether or not the new one is launched."""
    candidates = offered("ann new-call-1 5", "dan old-call-1 1")
    assert chosen(policy(limits=launch(2)), candidates) == ["dan old-call-1"]


def test_min_may_be_of_any_measure_and_from_a_table() -> None:
    """North: 30 minutes or none, south 20; calls take ten, so that the north's two are not enough."""
    bounds = table("region n", "north 30", "south 20")
    rule = launch(measure="minutes", per=["customer.region"], min={"table": "t", "column": "n"})
    found = chosen(
        policy(limits=rule), FOUR, customers=REGIONS, t=bounds, channels=table("channel minutes", "call 10")
    )
    assert found == ["cal new-call-1", "dan new-call-1"]


def test_a_group_that_only_the_table_has_stays_shut() -> None:
    """Five in the west or none: nobody lives there, so it is none, and nothing is paid."""
    bounds = table("region n cost", "north 2 1", "south 2 1", "west 5 9")
    columns = {"min": {"table": "t", "column": "n"}, "fixed_cost": {"table": "t", "column": "cost"}}
    rule = launch(per=["customer.region"]) | columns
    plan = solve(policy(limits=rule), FOUR, customers=REGIONS, t=bounds)
    assert (len(plan.contacts), plan.objective) == (4, 8 + 3 - 2)
    assert entry(plan, "limits 1", **{"customer.region": "west"})["opened"] is False


def test_an_offer_in_two_categories_opens_both() -> None:
    """A category opens at 3: the bundle pays twice, 7 - 6, and takes the loan (2) and the card (1) along."""
    offers = table("offer_id category", "bundle loan;card", "loan loan", "card card")
    rule = {"per": ["offer.category"], "fixed_cost": 3}
    for bundle, expected in ((7, 7 + 2 + 1 - 6), (2, 0)):
        candidates = offered(f"ann bundle-call-1 {bundle}", "bob loan-call-1 2", "cal card-call-1 1")
        plan = solve(policy(limits=rule), candidates, multi_valued={"offer.category": ";"}, offers=offers)
        assert plan.objective == expected


def test_a_maximum_beside_all_or_nothing_is_a_maximum() -> None:
    """At least two, at most two, or none: the best two of 5, 4, 3."""
    plan = solve(policy(limits=launch(2, max=2)), FOUR)
    assert contacts(plan) == ["ann new-call-1", "cal new-call-1"]
    assert [(e["min"], e["max"]) for e in plan.certificate["rules"]] == [(2, None), (None, 2)]


def test_fixed_cost_is_paid_once_for_a_group_that_gets_any() -> None:
    """Opening costs 6: the north's 5 + 3 leave 2, the south's 4 do not pay for it."""
    rule = launch(per=["customer.region"], fixed_cost=6)
    plan = solve(policy(limits=rule), FOUR, customers=REGIONS)
    assert (contacts(plan), plan.objective) == (["ann new-call-1", "bob new-call-1"], 2)
    north, south = (entry(plan, "limits 1", **{"customer.region": r}) for r in ("north", "south"))
    assert (north["opened"], north["fixed_cost"]) == (True, 6)
    assert (south["opened"], south["fixed_cost"]) == (False, 0)
    assert plan.certificate["fixed_cost"] == 6


def test_fixed_cost_needs_neither_min_nor_all_or_nothing() -> None:
    """A limit may only say what opening costs: 4 for a day, which the second day earns, not the first."""
    candidates = offered("ann a-call-1 3", "bob a-call-2 3", "cal a-call-2 2")
    plan = solve(policy(limits={"per": ["date"], "fixed_cost": 4}), candidates)
    assert (contacts(plan), plan.objective) == (["bob a-call-2", "cal a-call-2"], 1)


def test_fixed_cost_may_differ_by_group() -> None:
    """Opening the north costs 9, more than it earns, the south 2."""
    costs = table("region opening", "north 9", "south 2")
    rule = {"per": ["customer.region"], "fixed_cost": {"table": "t", "column": "opening"}}
    plan = solve(policy(limits=rule), FOUR, customers=REGIONS, t=costs)
    assert (contacts(plan), plan.objective) == (["cal new-call-1"], 2)


def test_fixed_cost_with_a_plain_maximum() -> None:
    """One contact at most, and opening costs 3: 5 - 3 = 2."""
    plan = solve(policy(limits={"max": 1, "fixed_cost": 3}), FOUR)
    assert (contacts(plan), plan.objective) == (["ann new-call-1"], 2)


def test_two_limits_open_their_own_groups() -> None:
    """A launch (3) in a region (4.5): the north's 5 + 3 pay for both, the south's 4 not for the region."""
    rules = [{"where": {"offer": "new"}, "fixed_cost": 3}, {"per": ["customer.region"], "fixed_cost": 4.5}]
    plan = solve(policy(limits=rules), FOUR, customers=REGIONS)
    assert (contacts(plan), plan.objective) == (["ann new-call-1", "bob new-call-1"], 0.5)
    assert plan.certificate["fixed_cost"] == 7.5


def test_an_objective_that_does_not_name_fixed_cost_pays_it_all_the_same() -> None:
    """12 earned for costs of 2 and an opening of 6: whatever the words of the objective, 6 is paid."""
    candidates = costed("ann new-call-1 7 1", "bob new-call-1 5 1")
    for objective, expected in (
        ("value - cost", 4), ("value - cost - fixed_cost", 4), ("value - cost - 0.5 * fixed_cost", 7),
        ("value - cost - 2 * fixed_cost", 0), ("value", 6),
    ):  # fmt: skip
        plan = solve(policy(objective, limits=launch(2, fixed_cost=6)), candidates)
        assert plan.objective == expected, objective


def test_where_cost_is_minimised_fixed_cost_is_added() -> None:
    """Two contacts are owed. North: 1 + 1 and 5 to open; south: 2 + 3; one each would pay the 5 too."""
    candidates = costed(*(f"{c} a-call-1 0 {n}" for c, n in (("ann", 1), ("bob", 1), ("cal", 2), ("dan", 3))))
    north = {"where": {"customer.region": "north"}, "fixed_cost": 5}
    for expression in ("cost", "cost + fixed_cost"):
        plan = solve(
            policy({"minimise": expression}, limits=[{"min": 2}, north]), candidates, customers=REGIONS
        )
        assert (contacts(plan), plan.objective) == (["cal a-call-1", "dan a-call-1"], 5)


def test_the_fixed_costs_of_a_plan_may_have_a_limit_of_their_own() -> None:
    """Openings cost 3 each, and 5 may be spent on them: one region, the north with its 8."""
    rules = [{"per": ["customer.region"], "fixed_cost": 3}, {"measure": "fixed_cost", "max": 5}]
    plan = solve(policy(limits=rules), FOUR, customers=REGIONS)
    assert (contacts(plan), plan.objective) == (["ann new-call-1", "bob new-call-1"], 5)
    assert entry(plan, "limits 2")["used"] == 3
    rules[1]["max"] = 6
    assert solve(policy(limits=rules), FOUR, customers=REGIONS).objective == 6


def test_fixed_cost_is_not_split_by_groups_or_scopes() -> None:
    """A region has 6 for its contacts and all openings: with both open (3 + 3) nothing is left."""
    candidates = costed("ann a-call-1 9 1", "cal a-call-1 8 1")
    opening = {"per": ["customer.region"], "fixed_cost": 3}
    budget = {"per": ["customer.region"], "measure": "cost + fixed_cost", "max": 6}
    plan = solve(policy(limits=[opening, budget]), candidates, customers=REGIONS)
    assert (contacts(plan), plan.objective) == (["ann a-call-1"], 6)
    budget["max"] = 7
    assert solve(policy(limits=[opening, budget]), candidates, customers=REGIONS).objective == 11


def test_a_contact_opens_the_group_of_its_fallback_channel_too() -> None:
    """An e-mail that may turn into a call opens the call desk (3), and at 2 does not pay for it."""
    channels = table("channel delivery_rate fallback", "email 0.5 call", "sms 0.5 -", "call 1 -")
    candidates = offered("ann a-email-1 2", "bob a-sms-1 1")
    desk = {"where": CALL, "fixed_cost": 3}
    assert chosen(policy(limits=desk), candidates, channels=channels) == ["bob a-sms-1"]
    desk["fixed_cost"] = 1
    assert solve(policy(limits=desk), candidates, channels=channels).objective == 2


def test_a_fallback_that_is_hardly_ever_needed_opens_its_group_all_the_same() -> None:
    """Every e-mail arrives, and still the desk has to stand by."""
    channels = table("channel delivery_rate fallback", "email 1 call", "call 1 -")
    desk = {"where": CALL, "fixed_cost": 3}
    assert chosen(policy(limits=desk), offered("ann a-email-1 2"), channels=channels) == []
    assert solve(policy(limits=desk), offered("ann a-email-1 4"), channels=channels).objective == 1


def test_a_minimum_beside_it_forces_a_launch_at_a_loss() -> None:
    """One contact in the north is owed; there it is two or none, so both come at a loss."""
    candidates = offered("ann new-call-1 1", "bob new-call-1 -3", "cal new-call-1 5")
    owed = {"where": {"customer.region": "north"}, "min": 1}
    rule = launch(2, where={"customer.region": "north"})
    plan = solve(policy(limits=[owed, rule]), candidates, customers=REGIONS)
    assert plan.objective == 3
    assert len(plan.contacts) == 3

"""What a limit means: a sum between two bounds, group by group."""

from __future__ import annotations

from typing import Any

import pytest
from bank import actions_of, broken, contacts, decide, entry, table, tables_of
from sentences import CALL, chosen, costed, faults, offered, policy, solve

import omniopt as oo

FIVE = offered(
    "ann loan-call-1 9", "bob loan-call-1 8", "cal loan-call-2 7", "dan card-call-2 -1", "eve card-call-2 -2"
)
REGIONS = table(
    "customer_id region", "ann north", "bob north", "cal south", "dan south", "eve south"
)  # fmt: skip


def test_the_sum_of_the_measure_lies_between_min_and_max() -> None:
    """Costs of 2, 3, 4 and 5; between 9 and 10 have to be spent: 4 + 5 earns 3, 2 + 3 + 5 earns 4."""
    candidates = costed("ann a-call-1 1 2", "bob a-call-1 1 3", "cal a-call-1 1 4", "dan a-call-1 2 5")
    plan = solve(policy(limits={"measure": "cost", "min": 9, "max": 10}), candidates)
    assert contacts(plan) == ["ann a-call-1", "bob a-call-1", "dan a-call-1"]
    found = entry(plan, "limits 1")
    assert (found["used"], found["min"], found["max"], found["slack"]) == (10, 9, 10, 0)


def test_both_bounds_may_be_met_exactly() -> None:
    """A sum may equal its bound, on either side."""
    assert len(chosen(policy(limits={"max": 3}), FIVE)) == 3
    assert chosen(policy(limits={"where": {"offer": "card"}, "min": 1}), FIVE)[-1] == "dan card-call-2"
    assert len(chosen(policy(limits={"min": 5}), FIVE)) == 5


def test_only_candidates_in_where_count() -> None:
    """All entries of the scope hold together: loans on the first day, not every loan, not the whole day."""
    rule = {"where": {"offer": "loan", "date": 1}, "max": 1}
    assert chosen(policy(limits=rule), FIVE) == ["ann loan-call-1", "cal loan-call-2"]


def test_per_makes_one_limit_for_every_combination() -> None:
    """North and the first day hold ann and bob, of whom one may come; south and the second hold cal."""
    plan = solve(policy(limits={"per": ["customer.region", "date"], "max": 1}), FIVE, customers=REGIONS)
    assert contacts(plan) == ["ann loan-call-1", "cal loan-call-2"]
    groups = [tuple(e["group"].values()) for e in plan.certificate["rules"]]
    assert groups == [("north", "2026-11-23"), ("south", "2026-11-24")]


def test_per_also_makes_a_limit_for_a_combination_of_the_table_alone() -> None:
    """Nobody lives in the west: a maximum there is met, a minimum is not."""
    bounds = table("region n", "north 1", "south 0", "west 1")
    rule: dict[str, Any] = {"per": "customer.region", "max": {"table": "t", "column": "n"}}
    assert chosen(policy(limits=rule), FIVE, customers=REGIONS, t=bounds) == ["ann loan-call-1"]
    rule |= {"min": {"table": "t", "column": "n"}}
    with pytest.raises(oo.Infeasible, match="limits 1"):
        solve(policy(limits=rule), FIVE, customers=REGIONS, t=bounds)


def test_per_a_column_of_several_values_counts_in_each_group() -> None:
    """A bundle is a loan and a card. One of each is allowed: the bundle (7), or the two alone (4 + 4)."""
    offers = table("offer_id category", "bundle loan;card", "loan loan", "card card")
    candidates = offered("ann bundle-call-1 7", "bob loan-call-1 4", "cal card-call-1 4")
    rule = {"per": ["offer.category"], "max": 1}
    plan = solve(policy(limits=rule), candidates, multi_valued={"offer.category": ";"}, offers=offers)
    assert contacts(plan) == ["bob loan-call-1", "cal card-call-1"]
    assert entry(plan, "limits 1", **{"offer.category": "card"})["used"] == 1


def test_a_customer_in_two_segments_counts_in_both() -> None:
    """ann is in both segments: with her, worth 7, neither bob nor cal (4 each) has a place."""
    customers = table("customer_id segments", "ann young;rich", "bob young", "cal rich")
    candidates = offered("ann a-call-1 7", "bob a-call-1 4", "cal a-call-1 4")
    several = {"customer.segments": ";"}
    rule = {"per": ["customer.segments"], "max": 1}
    plan = solve(policy(limits=rule), candidates, multi_valued=several, customers=customers)
    assert contacts(plan) == ["bob a-call-1", "cal a-call-1"]
    plan = solve(policy(limits=rule | {"max": 2}), candidates, multi_valued=several, customers=customers)
    assert plan.objective == 15
    scope = {"where": {"customer.segments": "rich"}, "max": 1}
    plan = solve(policy(limits=scope), candidates, multi_valued=several, customers=customers)
    assert contacts(plan) == ["ann a-call-1", "bob a-call-1"]


# bounds from a table

NORTH_ONE = {"table": "t", "column": "n"}


@pytest.mark.parametrize("column", ["region", "customer.region"])
def test_a_tables_columns_carry_the_names_with_or_without_the_part_before_the_dot(column: str) -> None:
    """The north may have one contact, the south two; both spellings of the column say so."""
    rule = {"per": ["customer.region"], "max": NORTH_ONE}
    bounds = table(f"{column} n", "north 1", "south 2")
    plan = solve(policy("contacts", limits=rule), FIVE, customers=REGIONS, t=bounds)
    assert plan.objective == 3
    assert entry(plan, "limits 1", **{"customer.region": "south"})["max"] == 2


@pytest.mark.parametrize("column", ["offer", "offer_id", "offer.offer_id"])
def test_offer_may_be_written_offer_id(column: str) -> None:
    """One loan, no card."""
    per = "offer.offer_id" if "." in column else "offer"
    bounds = table(f"{column} n", "loan 1", "card 0")
    assert chosen(policy(limits={"per": per, "max": NORTH_ONE}), FIVE, t=bounds) == ["ann loan-call-1"]


def test_min_max_penalty_and_fixed_cost_may_each_be_read_from_a_table() -> None:
    """Loans: 1 to 2, each missing or surplus one costs 3, and any at all cost 4. Cards: 1 to 9, at 0.5, 4.

    All three loans earn 9 + 8 + 7 - 3 - 4 = 17, two 13. A card loses 1 and opens at 4; missing it costs 0.5.
    """
    bounds = table("offer least most price opening", "loan 1 2 3 4", "card 1 9 0.5 4")
    columns = {"min": "least", "max": "most", "penalty": "price", "fixed_cost": "opening"}
    rule = {"per": "offer"} | {k: {"table": "t", "column": c} for k, c in columns.items()}
    plan = solve(policy(limits=rule), FIVE, t=bounds)
    assert contacts(plan) == ["ann loan-call-1", "bob loan-call-1", "cal loan-call-2"]
    assert plan.objective == 24 - 3 - 4 - 0.5
    assert (plan.certificate["penalties"], plan.certificate["fixed_cost"]) == (3.5, 4)


def test_a_combination_that_the_table_lacks_is_an_error() -> None:
    """The south has candidates but no row; nothing is guessed for it."""
    for column, bound in (("max", {"max": NORTH_ONE}), ("min", {"min": NORTH_ONE})):
        rules = policy(limits={"per": ["customer.region"]} | bound)
        said = faults(rules, FIVE, customers=REGIONS, t=table("region n", "north 1"))
        assert "limits 1" in said and "south" in said, column
        assert broken(rules, tables_of(FIVE, customers=REGIONS, t=table("region n", "north 1")))


@pytest.mark.parametrize("key", ["penalty", "fixed_cost"])
def test_a_combination_without_a_price_is_an_error_too(key: str) -> None:
    """A penalty or a fixed cost that the table lacks for the south is not zero."""
    rules = policy(limits={"per": ["customer.region"], "max": 1, key: NORTH_ONE})
    said = faults(rules, FIVE, customers=REGIONS, t=table("region n", "north 1"))
    assert "limits 1" in said and "south" in said
    assert broken(rules, tables_of(FIVE, customers=REGIONS, t=table("region n", "north 1")))


def test_an_exception_of_one_date_is_a_row_of_the_table() -> None:
    """The desk takes one call a day, none on the holiday, 8 December."""
    candidates = offered("ann a-call-15 3", "ann a-call-16 9", "bob a-call-17 2", "cal a-call-17 1")
    desk = table("date calls", "2026-12-07 1", "2026-12-08 0", "2026-12-09 1")
    rule = {"where": CALL, "per": ["date"], "max": {"table": "desk", "column": "calls"}}
    assert chosen(policy(limits=rule), candidates, desk=desk) == ["ann a-call-15", "bob a-call-17"]


# what the field calls them

AGENTS = table("customer_id agent_id", "ann smith", "bob smith", "cal jones", "dan jones")


def test_an_agents_customers_take_no_more_than_the_agents_hours_of_the_day() -> None:
    """Calls of half an hour: smith has one hour on the first day and none on the second, jones half."""
    candidates = offered(
        "ann a-call-1 5", "bob a-call-1 4", "ann a-call-2 9", "cal a-call-1 3", "dan a-call-1 2"
    )
    hours = table("agent_id date hours", "smith 1 1", "smith 2 0", "jones 1 0.5")
    rule = {
        "per": ["customer.agent_id", "date"],
        "measure": "hours",
        "max": {"table": "h", "column": "hours"},
    }
    desk = table("channel hours", "call 0.5")
    found = chosen(policy(limits=rule), candidates, customers=AGENTS, channels=desk, h=hours)
    assert found == ["ann a-call-1", "bob a-call-1", "cal a-call-1"]


def test_one_agent_for_each_customer() -> None:
    """Two agents could call ann, who is to hear one voice: smith twice (5 + 2), not jones once (6)."""
    candidates = offered("ann a-call-1 5", "ann b-call-2 6", "ann c-call-3 2", "bob b-call-2 1")
    actions = actions_of(candidates).assign(agent=["smith", "jones", "smith"])
    rule = {"max": 1, "count": "action.agent"}
    plan = decide(policy(contact=rule), {"actions": actions, "candidates": candidates})
    assert contacts(plan) == ["ann a-call-1", "ann c-call-3", "bob b-call-2"]


UNITS = table("offer_id business_unit", "loan bank", "card bank", "fund funds")
MIXED = offered(
    "ann loan-call-1 9", "bob loan-call-1 8", "cal card-call-1 7", "dan fund-call-1 -1", "eve fund-call-1 -3"
)


def test_a_business_unit_has_its_guarantee() -> None:
    """The funds are promised two contacts, the bank one; a table says so by unit."""
    promised = table("business_unit least", "bank 1", "funds 2")
    rule = {"per": ["offer.business_unit"], "min": {"table": "promised", "column": "least"}}
    plan = solve(policy(limits=rule), MIXED, offers=UNITS, promised=promised)
    assert plan.objective == 24 - 4
    assert entry(plan, "limits 1", **{"offer.business_unit": "funds"})["slack"] == 0


def test_a_business_unit_has_its_share() -> None:
    """At most three in four contacts may be the bank's: one fund comes with its three."""
    share = {"where": {"offer.business_unit": "bank"}, "over": {"measure": "contacts"}, "max": 0.75}
    plan = solve(policy(limits=share), MIXED, offers=UNITS)
    assert len(plan.contacts) == 4 and plan.objective == 23
    assert entry(plan, "limits 1")["used"] == 0.75

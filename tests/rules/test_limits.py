"""Limits by hand, one sentence of their meaning at a time."""

from __future__ import annotations

import pytest
from bank import FOUR_WEEKS, about, broken, contacts, decide, entry, project, refused, table, tables_of

import omniopt as oo

TWO = table(
    "customer_id action_id value cost", "ann loan-email-1 5 2", "bob loan-email-1 4 1", "cal loan-call-2 9 6"
)
REGIONS = table("customer_id region vip", "ann north true", "bob south false", "cal north false")


@about("limits.name", "limits.measure", "limits.max")
def test_a_budget_bounds_the_sum_of_costs() -> None:
    """With 7 to spend, cal (9 for 6) goes with bob (4 for 1): 13; ann and bob would earn 9."""
    policy = {"objective": "value", "limits": [{"name": "budget", "measure": "cost", "max": 7}]}
    plan = decide(policy, tables_of(TWO))
    assert contacts(plan) == ["bob loan-email-1", "cal loan-call-2"]
    assert entry(plan, "budget") | {"price": 0} == {
        "name": "budget", "kind": "limit", "group": {}, "min": None, "max": 7.0, "used": 7.0, "slack": 0.0,
        "price": 0, "missed_by": 0.0, "penalty_paid": 0.0,
        "price_range": [3, 9], "degenerate": False, "price_more": 1.5, "price_less": 1.5,
    }  # fmt: skip


@about("limits.where", "limits.measure")
def test_without_a_measure_contacts_in_scope_are_counted() -> None:
    policy = {"objective": "value", "limits": [{"name": "mail", "where": {"channel": "email"}, "max": 1}]}
    plan = decide(policy, tables_of(TWO))
    assert contacts(plan) == ["ann loan-email-1", "cal loan-call-2"]
    assert entry(plan, "mail")["used"] == 1


@about("limits.measure")
def test_a_measure_may_be_an_expression() -> None:
    """Profit is 3, 3, 3; at most 6 of it may be earned: any two."""
    policy = {
        "objective": "value - cost",
        "limits": [{"name": "modesty", "measure": "value - cost", "max": 6}],
    }
    assert decide(policy, tables_of(TWO)).objective == 6


@about("limits.measure", "limits.rolling_days")
@pytest.mark.parametrize("bound", [{"max": 4}, {"max": 6, "rolling_days": 7}])
def test_a_column_of_text_is_no_measure_where_another_table_has_numbers(bound: dict[str, int]) -> None:
    """The channels describe their effort in words, the offers count it: 2 each, also for the past contact."""
    policy = {"objective": "value", "limits": [{"name": "effort", "measure": "effort", **bound}]}
    channels = table("channel effort", "email little", "call much")
    offers = table("offer_id effort", "loan 2", "card 2", "fund 2")
    history = table("customer_id offer_id channel date outcome", "ann loan email 0 sent")
    tables = tables_of(TWO, channels=channels, offers=offers, history=history)
    plan = oo.optimize(project(policy, tables))  # the reference takes the first column of the name
    assert contacts(plan) == ["ann loan-email-1", "cal loan-call-2"]


@about("limits.min")
def test_a_minimum_makes_the_plan_take_a_loss() -> None:
    """Calls lose 1 and 4; one has to be made."""
    candidates = table(
        "customer_id action_id value cost",
        "ann fund-call-1 1 2",
        "bob fund-call-1 1 5",
        "bob fund-email-1 3 1",
    )
    policy = {
        "objective": "value - cost",
        "limits": [{"name": "calls", "where": {"channel": "call"}, "min": 1}],
    }
    plan = decide(policy, tables_of(candidates))
    assert contacts(plan) == ["ann fund-call-1", "bob fund-email-1"]
    assert plan.objective == 1
    assert entry(plan, "calls")["price"] == pytest.approx(-1)


@about("limits.min")
def test_a_minimum_out_of_reach_leaves_no_plan() -> None:
    policy = {"objective": "value", "limits": [{"name": "calls", "where": {"channel": "call"}, "min": 2}]}
    with pytest.raises(oo.Infeasible):
        decide(policy, tables_of(TWO))


@about("limits.min", "limits.max")
def test_minimum_and_maximum_may_be_equal() -> None:
    policy = {"objective": "value", "limits": [{"name": "two", "min": 2, "max": 2}]}
    plan = decide(policy, tables_of(TWO))
    assert plan.objective == 14
    assert entry(plan, "two")["slack"] == 0


@about("limits.min", "limits.max")
def test_a_minimum_above_the_maximum_is_refused() -> None:
    policy = {"objective": "value", "limits": [{"name": "odd", "min": 3, "max": 2}]}
    assert "odd" in refused(policy, tables_of(TWO))


@about("limits.per")
def test_per_makes_a_limit_for_every_value() -> None:
    """North has ann (5) and cal (9), south bob (4): one each."""
    policy = {"objective": "value", "limits": [{"name": "one", "per": ["customer.region"], "max": 1}]}
    plan = decide(policy, tables_of(TWO, customers=REGIONS))
    assert contacts(plan) == ["bob loan-email-1", "cal loan-call-2"]
    assert entry(plan, "one", **{"customer.region": "north"})["used"] == 1


@about("limits.per")
def test_per_two_attributes_makes_one_for_every_combination_that_occurs() -> None:
    policy = {
        "objective": "value",
        "limits": [{"name": "one", "per": ["customer.region", "channel"], "max": 1}],
    }
    plan = decide(policy, tables_of(TWO, customers=REGIONS))
    assert plan.objective == 18
    groups = [tuple(e["group"].values()) for e in plan.certificate["rules"]]
    assert groups == [("north", "call"), ("north", "email"), ("south", "email")]


@about("limits.per")
def test_per_date_shows_dates() -> None:
    policy = {"objective": "value", "limits": [{"name": "day", "per": ["date"], "max": 1}]}
    plan = decide(policy, tables_of(TWO), FOUR_WEEKS)
    assert entry(plan, "day", date="2026-11-23")["used"] == 1
    assert contacts(plan) == ["ann loan-email-1", "cal loan-call-2"]


@about("limits.per")
def test_an_offer_in_two_categories_counts_in_both() -> None:
    """The bundle is a loan and a card: with it neither a loan nor a card is left."""
    candidates = table(
        "customer_id action_id value", "ann bundle-email-1 7", "ann loan-email-1 4", "ann card-email-1 4"
    )
    offers = table("offer_id kinds", "bundle loan;card", "loan loan", "card card")
    policy = {"objective": "value", "limits": [{"name": "kind", "per": ["offer.kinds"], "max": 1}]}
    plan = decide(policy, tables_of(candidates, offers=offers), multi_valued={"offer.kinds": ";"})
    assert contacts(plan) == ["ann card-email-1", "ann loan-email-1"]
    policy["limits"][0]["max"] = 2
    assert (
        decide(policy, tables_of(candidates, offers=offers), multi_valued={"offer.kinds": ";"}).objective
        == 15
    )


@about("limits.per")
def test_an_empty_cell_in_per_is_refused() -> None:
    customers = table("customer_id region", "ann north", "bob -", "cal north")
    policy = {"objective": "value", "limits": [{"name": "one", "per": ["customer.region"], "max": 1}]}
    faults = refused(policy, tables_of(TWO, customers=customers))
    assert "one" in faults and "bob" in faults and "customer.region" in faults
    assert broken(policy, tables_of(TWO, customers=customers))


CAPACITY = {"table": "capacity", "column": "calls"}


def desk(**rule: object) -> dict:
    return {
        "objective": "value",
        "limits": [{"name": "desk", "per": ["customer.region"], "max": CAPACITY} | rule],
    }


@about("limits.max")
@pytest.mark.parametrize("column", ["region", "customer.region"])
def test_a_maximum_is_read_from_a_table_by_the_groups(column: str) -> None:
    capacity = table(f"{column} calls", "south 0", "north 1")
    plan = decide(desk(), tables_of(TWO, customers=REGIONS, capacity=capacity))
    assert contacts(plan) == ["cal loan-call-2"]


@about("limits.max", "limits.min")
@pytest.mark.parametrize("column", ["offer", "offer_id"])
def test_a_table_may_write_offer_or_offer_id(column: str) -> None:
    candidates = table("customer_id action_id value", "ann loan-email-1 4", "ann card-email-1 -3")
    bounds = table(f"{column} least most", "loan 0 0", "card 1 1")
    rule = {
        "name": "volume",
        "per": "offer",
        "min": {"table": "t", "column": "least"},
        "max": {"table": "t", "column": "most"},
    }
    plan = decide({"objective": "value", "limits": [rule]}, tables_of(candidates, t=bounds))
    assert contacts(plan) == ["ann card-email-1"]


@about("limits.max")
def test_a_combination_that_the_table_lacks_is_refused() -> None:
    capacity = table("region calls", "north 1")
    tables = tables_of(TWO, customers=REGIONS, capacity=capacity)
    faults = refused(desk(), tables)
    assert "desk" in faults and "south" in faults
    assert broken(desk(), tables)


@about("limits.max")
def test_a_date_that_the_table_lacks_is_refused_by_its_date() -> None:
    capacity = table("region date calls", "north 2026-11-23 1", "south 2026-11-23 1")
    policy = desk(per=["customer.region", "date"])
    faults = refused(policy, tables_of(TWO, customers=REGIONS, capacity=capacity), FOUR_WEEKS)
    assert "north" in faults and "2026-11-24" in faults and "south" not in faults


@about("limits.max")
@pytest.mark.parametrize("lines", [[], ["north email 5", "south email 5"]])
def test_a_table_without_any_row_in_scope_is_no_licence(lines: list[str]) -> None:
    """The table speaks of e-mail alone, or of nothing; the rule for calls finds no bound."""
    candidates = table("customer_id action_id value", "ann loan-call-1 4")
    capacity = table("region channel calls", *lines)
    if not lines:
        capacity = capacity.astype({"region": str, "channel": str, "calls": float})
    policy = desk(where={"channel": "call"})
    tables = tables_of(candidates, customers=REGIONS, capacity=capacity)
    assert "north" in refused(policy, tables)
    assert broken(policy, tables)


@about("limits.max")
def test_two_rows_for_one_combination_are_refused() -> None:
    capacity = table("region calls", "north 1", "south 1", "north 2")
    assert "two rows" in refused(desk(), tables_of(TWO, customers=REGIONS, capacity=capacity))


@about("limits.max")
def test_an_empty_bound_is_refused_with_its_row() -> None:
    capacity = table("channel region calls", "email north 1", "call north -", "call south 1")
    candidates = table("customer_id action_id value", "ann loan-call-1 4")
    faults = refused(
        desk(where={"channel": "call"}), tables_of(candidates, customers=REGIONS, capacity=capacity)
    )
    assert "row 2" in faults and "calls" in faults


@about("limits.min")
def test_a_group_of_the_table_without_candidates_has_its_minimum_too() -> None:
    capacity = table("region calls", "north 0", "south 0", "west 1")
    with pytest.raises(oo.Infeasible):
        decide(desk(min=CAPACITY, max=9), tables_of(TWO, customers=REGIONS, capacity=capacity))


@about("limits.where", "limits.min")
@pytest.mark.parametrize(
    ("where", "per", "rows"),
    [
        ({"customer.region": "north"}, "customer.region", ["region n", "north 1", "south 1"]),
        (
            {"channel": "call"},
            "customer.region",
            ["channel region n", "call north 1", "email north 5", "email south 5"],
        ),
        ({"offer.category": "credit"}, "offer", ["offer n", "loan 1", "card 1"]),
        ({"date": {"le": 2}}, "date", ["date n", "1 1", "2 1", "3 1"]),
    ],
)
def test_rows_of_the_table_outside_the_scope_are_ignored(where: dict, per: str, rows: list[str]) -> None:
    """Read as limits of their own, these rows would ask for what the rule's scope cannot give."""
    candidates = table("customer_id action_id value", "ann loan-call-1 -1", "cal loan-call-2 -2")
    offers = table("offer_id category", "loan credit", "card plastic")
    rule = {"name": "least", "where": where, "per": per, "min": {"table": "t", "column": "n"}}
    tables = tables_of(candidates, customers=REGIONS, offers=offers, t=table(*rows))
    plan = decide({"objective": "value", "limits": [rule]}, tables)
    assert plan.objective == (-3 if per == "date" else -1)


# ratios


@about("limits.over", "limits.min")
def test_a_ratio_is_one_of_sums() -> None:
    """ann returns 4/1, bob 2/4, cal 6/3; 1.5 is asked for: 12/8 with all three is just enough."""
    candidates = table(
        "customer_id action_id value cost", "ann a-email-1 4 1", "bob a-email-1 2 4", "cal a-email-1 6 3"
    )
    policy = {
        "objective": "value",
        "limits": [{"name": "hurdle", "measure": "value", "over": "cost", "min": 1.5}],
    }
    plan = decide(policy, tables_of(candidates))
    assert plan.objective == 12
    found = entry(plan, "hurdle")
    assert (found["used"], found["slack"], found["vacuous"], found["min"], found["max"]) == (
        1.5,
        0.0,
        False,
        1.5,
        None,
    )
    policy["limits"][0]["min"] = 1.6
    assert contacts(decide(policy, tables_of(candidates))) == ["ann a-email-1", "cal a-email-1"]


@about("limits.over")
def test_a_ratio_holds_at_zero_contacts_and_is_called_vacuous() -> None:
    candidates = table("customer_id action_id value cost", "ann a-email-1 4 9", "bob a-email-1 2 4")
    policy = {
        "objective": "value",
        "limits": [{"name": "hurdle", "measure": "value", "over": "cost", "min": 1}],
    }
    plan = decide(policy, tables_of(candidates))
    found = entry(plan, "hurdle")
    assert contacts(plan) == []
    assert (found["used"], found["vacuous"], found["slack"]) == (None, True, 0.0)


@about("limits.over", "limits.where")
def test_a_share_has_a_denominator_with_its_own_scope() -> None:
    """Calls may be 0.5 of the contacts in the north: three calls in the south do not help."""
    candidates = table(
        "customer_id action_id value", "ann a-call-1 9", "ann a-call-2 8", "ann a-email-1 1",
        "bob a-email-1 1", "bob a-email-2 1",
    )  # fmt: skip
    share = {"name": "share", "where": {"channel": "call"}, "max": 0.5}
    everyone = share | {"over": {"measure": "contacts"}}
    north = share | {"over": {"measure": "contacts", "where": {"customer.region": "north"}}}
    tables = tables_of(candidates, customers=REGIONS)
    assert decide({"objective": "value", "limits": [everyone]}, tables).objective == 20
    plan = decide({"objective": "value", "limits": [north]}, tables)
    assert contacts(plan) == ["ann a-call-1", "ann a-email-1", "bob a-email-1", "bob a-email-2"]
    assert entry(plan, "share")["used"] == 0.5


@about("limits.over", "limits.min", "limits.max")
def test_a_ratio_with_both_bounds_has_two_entries() -> None:
    policy = {
        "objective": "value",
        "limits": [{"name": "r", "measure": "value", "over": "cost", "min": 1.6, "max": 2}],
    }
    plan = decide(policy, tables_of(TWO))
    assert contacts(plan) == ["ann loan-email-1", "bob loan-email-1", "cal loan-call-2"]  # 18/9
    sides = [(e["min"], e["max"], e["used"]) for e in plan.certificate["rules"]]
    assert sides == [(1.6, None, 2.0), (None, 2.0, 2.0)]
    assert [e["slack"] for e in plan.certificate["rules"]] == pytest.approx([18 - 1.6 * 9, 0])


@about("limits.over", "limits.per")
def test_a_ratio_per_group() -> None:
    policy = {"objective": "value", "limits": [
        {"name": "r", "measure": "value", "over": "cost", "per": ["customer.region"], "max": 3}]}  # fmt: skip
    plan = decide(policy, tables_of(TWO, customers=REGIONS))
    assert contacts(plan) == ["ann loan-email-1", "cal loan-call-2"]  # bob alone in the south would return 4


# failover

CHANNELS = table("channel delivery_rate fallback minutes", "email 0.75 call 0", "call 1 - 10")


@about("limits.where", "limits.max")
def test_what_failover_will_bring_counts_on_the_fallback_channel() -> None:
    """Each e-mail costs the desk a quarter of a call: one call has room for itself or for four e-mails."""
    candidates = table("customer_id action_id value", *(f"{c} a-email-1 {v}" for c, v in
                       (("ann", 5), ("bob", 4), ("cal", 3), ("dan", 2), ("eve", 1))),
                       "ann a-call-1 7")  # fmt: skip
    policy = {"objective": "value", "limits": [{"name": "desk", "where": {"channel": "call"}, "max": 1}]}
    plan = decide(policy, tables_of(candidates, channels=CHANNELS))
    assert plan.objective == 14
    assert entry(plan, "desk")["used"] == 1
    policy["limits"][0]["max"] = 1.5
    plan = decide(policy, tables_of(candidates, channels=CHANNELS))
    assert contacts(plan) == ["ann a-call-1", "ann a-email-1", "bob a-email-1"]


@about("limits.where")
def test_a_limit_on_the_first_channel_does_not_see_the_second_leg() -> None:
    candidates = table("customer_id action_id value", "ann a-email-1 5", "bob a-email-1 4")
    policy = {"objective": "value", "limits": [{"name": "mail", "where": {"channel": "email"}, "max": 1.5}]}
    plan = decide(policy, tables_of(candidates, channels=CHANNELS))
    assert entry(plan, "mail")["used"] == 1


@about("limits.per", "limits.measure")
def test_minutes_of_failover_count_with_the_fallback_channel() -> None:
    """A missed e-mail takes 2.5 minutes of the desk in expectation."""
    candidates = table("customer_id action_id value", "ann a-email-1 5", "bob a-call-1 4")
    rule = {"name": "desk", "per": ["channel"], "measure": "minutes", "max": 20}
    plan = decide({"objective": "value", "limits": [rule]}, tables_of(candidates, channels=CHANNELS))
    assert entry(plan, "desk", channel="call")["used"] == 12.5
    assert entry(plan, "desk", channel="email")["used"] == 0


@about("limits.measure")
def test_without_naming_channels_a_contact_is_one_and_its_minutes_are_both() -> None:
    candidates = table("customer_id action_id value", "ann a-email-1 5", "bob a-call-1 4")
    limits = [{"name": "all", "max": 9}, {"name": "time", "measure": "minutes", "max": 20}]
    plan = decide(
        {"objective": "value - 0.1 * minutes", "limits": limits}, tables_of(candidates, channels=CHANNELS)
    )
    assert entry(plan, "all")["used"] == 2
    assert entry(plan, "time")["used"] == 12.5
    assert plan.objective == pytest.approx(5 + 4 - 1.25)


@about("limits.measure")
def test_a_missing_number_of_the_fallback_channel_is_refused() -> None:
    channels = table("channel delivery_rate fallback minutes", "email 0.75 call 1", "call 1 - -")
    candidates = table("customer_id action_id value", "ann a-email-1 5")
    policy = {"objective": "value", "limits": [{"name": "time", "measure": "minutes", "max": 1}]}
    faults = refused(policy, tables_of(candidates, channels=channels))
    assert "minutes" in faults and "call" in faults
    assert broken(policy, tables_of(candidates, channels=channels))


@about("limits.where")
def test_a_limit_that_matches_nothing_is_noted() -> None:
    offers = table("offer_id category", "loan credit", "card plastic")
    policy = {
        "objective": "value",
        "limits": [{"name": "cards", "where": {"offer.category": "plastic"}, "max": 3}],
    }
    plan = decide(policy, tables_of(TWO, offers=offers))
    assert plan.objective == 18
    assert any("cards" in note for note in plan.certificate["notes"])
    assert entry(plan, "cards")["used"] == 0

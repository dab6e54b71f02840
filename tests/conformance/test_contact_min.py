"""What a minimum for each customer means: always, or if there is anything at all."""

from __future__ import annotations

import pytest
from bank import contacts, entry, table
from sentences import CALL, chosen, days, faults, offered, past, policy, solve

import omniopt as oo

FOUR_DAYS = {"start": "2026-11-23", "days": 4}


def test_a_minimum_is_kept_at_a_loss() -> None:
    """Two are owed to ann: the 5 and the smaller loss."""
    candidates = offered("ann a-call-1 5", "ann a-call-2 -3", "ann a-call-3 -2")
    plan = solve(policy(contact={"min": 2}), candidates)
    assert contacts(plan) == ["ann a-call-1", "ann a-call-3"]
    found = entry(plan, "contact 1")
    assert (found["min"], found["max"]) == (2, None)


def test_minimum_and_maximum_may_be_equal() -> None:
    """Exactly one: the best of them, though it is a loss."""
    candidates = offered("ann a-call-1 -5", "ann a-call-2 -3", "bob a-call-1 4", "bob a-call-2 3")
    found = chosen(policy(contact={"min": 1, "max": 1}), candidates)
    assert found == ["ann a-call-2", "bob a-call-1"]


def test_a_customer_with_too_few_candidates_makes_the_plan_impossible() -> None:
    """bob has one candidate, and two are owed to him; he is named."""
    candidates = offered("ann a-call-1 5", "ann a-call-2 5", "bob a-call-1 5")
    with pytest.raises(oo.Infeasible, match="bob"):
        solve(policy(contact={"min": 2}), candidates)


def test_a_customer_without_candidates_has_the_minimum_too() -> None:
    """cal is a customer, and there is nothing for her; she is named."""
    customers = table("customer_id vip", "ann true", "cal true")
    with pytest.raises(oo.Infeasible, match="cal"):
        solve(policy(contact={"min": 1}), offered("ann a-call-1 5"), customers=customers)


def test_a_minimum_is_asked_of_the_customers_in_where() -> None:
    """One e-mail is owed to every vip: cal is none, and nothing is asked of him."""
    customers = table("customer_id vip", "ann true", "cal false")
    rule = {"where": {"customer.vip": True, "channel": "email"}, "min": 1}
    candidates = offered("ann a-email-1 -1", "ann a-call-1 5")
    found = chosen(policy(contact=rule), candidates, customers=customers)
    assert found == ["ann a-call-1", "ann a-email-1"]


def test_a_minimum_may_be_a_column_of_the_customers() -> None:
    """Two are owed to ann, none to bob."""
    customers = table("customer_id owed", "ann 2", "bob 0")
    candidates = offered("ann a-call-1 -1", "ann a-call-2 -2", "bob a-call-1 -1")
    rules = policy(contact={"min": {"column": "customer.owed"}})
    assert chosen(rules, candidates, customers=customers) == ["ann a-call-1", "ann a-call-2"]


def test_the_whole_horizon_is_the_window_of_a_minimum_without_days() -> None:
    """The past is left out: yesterday's call does not pay for what is owed."""
    rules = policy(contact={"min": 1})
    assert chosen(rules, offered("ann a-call-20 -1"), history=past("ann a call 0 sent -")) == [
        "ann a-call-20"
    ]


def test_a_minimum_with_days_is_asked_of_windows_wholly_inside_the_horizon() -> None:
    """Four days, one in any two: days 1 and 3 (-3.5) keep it; no window begins before 1 or ends after 4."""
    candidates = offered("ann a-call-1 -1", "ann a-call-2 -3", "ann a-call-3 -2.5", "ann a-call-4 -1")
    rules = policy(contact={"min": 1, "days": 2})
    assert chosen(rules, candidates, FOUR_DAYS) == ["ann a-call-1", "ann a-call-3"]
    assert len(chosen(policy(contact={"min": 1, "days": 4}), candidates, FOUR_DAYS)) == 1
    assert chosen(policy(contact={"min": 1, "days": 5}), candidates, FOUR_DAYS) == []


def test_a_commitment_pays_for_what_is_owed_unless_history_is_left_out() -> None:
    """The call that is promised for day 2 is in two of the three windows; day 3 or 4 has to pay the third."""
    candidates = offered("ann a-call-1 -1", "ann a-call-3 -2", "ann a-call-4 -1")
    history = past("ann b call 2 - true")
    rule = {"min": 1, "days": 2}
    assert chosen(policy(contact=rule), candidates, FOUR_DAYS, history=history) == ["ann a-call-4"]
    without = chosen(policy(contact=rule | {"history": False}), candidates, FOUR_DAYS, history=history)
    assert without == ["ann a-call-1", "ann a-call-3"]


def test_a_minimum_for_every_week_is_asked_of_whole_weeks() -> None:
    """From a Wednesday on for 13 days: the one whole week is days 6 to 12; the rest asks for nothing."""
    wednesday = {"start": "2026-11-25", "days": 13}
    candidates = offered(*(f"ann a-call-{d} -{d}" for d in (1, 5, 7, 12, 13)))
    assert chosen(policy(contact={"min": 1, "every": "week"}), candidates, wednesday) == ["ann a-call-7"]
    monday = {"start": "2026-11-23", "days": 14}
    found = chosen(policy(contact={"min": 1, "every": "week"}), candidates, monday)
    assert found == ["ann a-call-1", "ann a-call-12"]


def test_a_minimum_for_every_month_is_asked_of_whole_months() -> None:
    """31 days from 30 November on hold no whole December; 32 do."""
    candidates = offered("ann a-call-1 -1", "ann a-call-9 -1")
    rules = policy(contact={"min": 1, "every": "month"})
    assert chosen(rules, candidates, {"start": "2026-11-30", "days": 31}) == []
    assert chosen(rules, candidates, {"start": "2026-11-30", "days": 32}) == ["ann a-call-9"]


def test_per_asks_it_of_the_values_that_are_on_offer() -> None:
    """One of each offer that ann could have; bob could have none but loans."""
    candidates = offered(
        "ann loan-call-1 -1", "ann card-call-1 -1", "bob loan-call-1 -1", "bob loan-call-2 -2"
    )
    found = chosen(policy(contact={"min": 1, "per": ["offer"]}), candidates)
    assert found == ["ann card-call-1", "ann loan-call-1", "bob loan-call-1"]


def test_a_contact_with_two_values_pays_for_both() -> None:
    """One loan and one card are owed; the bundle (-3) is both, the two alone lose 4."""
    offers = table("offer_id category", "bundle loan;card", "loan loan", "card card")
    rules = policy(contact={"min": 1, "per": ["offer.category"]})
    candidates = offered("ann bundle-call-1 -3", "ann loan-call-1 -2", "ann card-call-1 -2")
    plan = solve(rules, candidates, multi_valued={"offer.category": ";"}, offers=offers)
    assert contacts(plan) == ["ann bundle-call-1"]


def test_two_offers_on_one_occasion_are_one_occasion() -> None:
    """Two occasions are owed: the second offer of the same call does not count, the e-mail does."""
    candidates = offered("ann a-call-1 5", "ann b-call-1 -1", "ann a-email-1 -3")
    rules = policy(contact={"min": 2, "count": "occasions"})
    assert chosen(rules, candidates) == ["ann a-call-1", "ann a-email-1"]
    assert chosen(policy(contact={"min": 2}), candidates) == ["ann a-call-1", "ann b-call-1"]


def test_a_contact_whose_fallback_is_in_scope_counts_towards_a_minimum() -> None:
    """A call is owed, and an e-mail that may become one is enough."""
    channels = table("channel delivery_rate fallback", "email 0.9 call", "call 1 -")
    candidates = offered("ann a-email-1 -1", "ann a-call-1 -2")
    found = chosen(policy(contact={"where": CALL, "min": 1}), candidates, channels=channels)
    assert found == ["ann a-email-1"]


@pytest.mark.parametrize(("last", "expected"), [(-2, 2), (-7, 0), (1, 2)])
def test_min_or_none_allows_none_as_well(last: int, expected: int) -> None:
    """Two or none: a loss of 2 is worth the 5, one of 7 is not."""
    candidates = offered("ann a-call-1 5", f"ann a-call-2 {last}")
    assert len(chosen(policy(contact={"min": 2, "min_or_none": True}), candidates)) == expected


def test_a_customer_without_candidates_keeps_min_or_none() -> None:
    """cal gets none, which is one of the two."""
    customers = table("customer_id vip", "ann true", "cal true")
    rule = {"min": 1, "min_or_none": True}
    assert len(chosen(policy(contact=rule), offered("ann a-call-1 5"), customers=customers)) == 1


def test_min_or_none_holds_for_every_window() -> None:
    """Weeks of two or none: the first has two for 5 - 1, the second one alone for 3, which may not come."""
    candidates = offered("ann a-call-1 5", "ann a-call-2 -1", "ann a-call-8 3")
    rule = {"min": 2, "min_or_none": True, "every": "week"}
    assert chosen(policy(contact=rule), candidates) == ["ann a-call-1", "ann a-call-2"]


def test_min_or_none_per_value() -> None:
    """Two loans or none, two cards or none: both loans (5 - 1), no card (2 - 3)."""
    candidates = offered("ann loan-call-1 5", "ann loan-call-2 -1", "ann card-call-1 2", "ann card-call-2 -3")
    rules = policy(contact={"min": 2, "min_or_none": True, "per": ["offer"]})
    assert chosen(rules, candidates) == ["ann loan-call-1", "ann loan-call-2"]


def test_min_or_none_counts_what_is_promised() -> None:
    """With the call promised for day 3 one more makes two in its week; the next week would have one alone."""
    rules = policy(contact={"min": 2, "min_or_none": True, "every": "week"})
    assert days(rules, "a", "call", "1 8", ["ann b call 3 - true"]) == "1"
    assert days(rules, "a", "call", "1 8") == ""


def test_one_commitment_in_a_window_is_not_none() -> None:
    """A call is promised for day 3: the second of its week has to come, at a loss, or there is no plan."""
    rules = policy(contact={"min": 2, "min_or_none": True, "every": "week"})
    candidates, history = offered("ann a-call-1 -1", "ann a-call-8 -1"), past("ann b call 3 - true")
    assert chosen(rules, candidates, history=history) == ["ann a-call-1"]
    with pytest.raises(oo.Infeasible):
        solve(rules, candidates.iloc[1:], history=history)


def test_a_household_owes_its_minimum_once() -> None:
    """One for ann and bob together: the cheaper."""
    homes = table("customer_id household_id", "ann h1", "bob h1", "cal h2")
    candidates = offered("ann a-call-1 -2", "bob a-call-1 -1", "cal a-call-1 -3")
    rules = policy(contact={"min": 1, "unit": "household"})
    assert chosen(rules, candidates, customers=homes) == ["bob a-call-1", "cal a-call-1"]


def test_a_household_owes_it_if_a_member_is_in_where() -> None:
    """One for every household with a vip, and to a vip: bob's would not do, and the second house has none."""
    homes = table("customer_id household_id vip", "ann h1 true", "bob h1 false", "cal h2 false")
    candidates = offered("ann a-call-1 -2", "bob a-call-1 -1", "cal a-call-1 -3")
    rules = policy(contact={"where": {"customer.vip": True}, "min": 1, "unit": "household"})
    assert chosen(rules, candidates, customers=homes) == ["ann a-call-1"]


def test_a_household_without_candidates_has_its_minimum_too() -> None:
    """Nothing is on offer to the second house, which is named."""
    homes = table("customer_id household_id", "ann h1", "cal h2")
    with pytest.raises(oo.Infeasible, match="h2"):
        solve(policy(contact={"min": 1, "unit": "household"}), offered("ann a-call-1 5"), customers=homes)


def test_the_bounds_of_a_household_agree_among_its_members() -> None:
    """ann says two and bob says one; nobody guesses which."""
    homes = table("customer_id household_id owed", "ann h1 2", "bob h1 1")
    candidates = offered("ann a-call-1 5", "bob a-call-1 4", "bob a-call-2 3")
    rules = policy(contact={"max": {"column": "customer.owed"}, "unit": "household"})
    said = faults(rules, candidates, customers=homes)
    assert "contact 1" in said and "h1" in said
    alike = homes.assign(owed=2)
    assert chosen(rules, candidates, customers=alike) == ["ann a-call-1", "bob a-call-1"]

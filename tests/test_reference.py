"""The reference itself on cases whose answers are plain: the yardstick is measured too."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest
from bank import FOUR_WEEKS, table, tables_of
from reference import Broken, Reference

SOME = table("customer_id action_id value cost", "ann loan-email-1 10 1", "ann card-call-2 6 1",
             "ann fund-email-5 4 1", "bob loan-email-1 8 1", "bob card-call-2 3 1")  # fmt: skip
OFFERS = table("offer_id category business_unit", "loan credit retail", "card credit plastic",
               "fund savings retail")  # fmt: skip
CHANNELS = table("channel minutes", "email 1", "call 10")


def world(history: pd.DataFrame | None = None, **tables: pd.DataFrame) -> dict[str, pd.DataFrame]:
    found = {"offers": OFFERS, "channels": CHANNELS} | tables
    return tables_of(found.pop("candidates", SOME), **found) | (
        {} if history is None else {"history": history}
    )


def reference(policy: dict[str, Any], history: pd.DataFrame | None = None, **tables: Any) -> Reference:
    return Reference(world(history, **tables), {"objective": "value"} | policy, FOUR_WEEKS)


def best(policy: dict[str, Any], history: pd.DataFrame | None = None, **tables: Any) -> Any:
    """The optimum, or None."""
    answer = reference(policy, history, **tables).solve()
    return answer.objective if answer.feasible else None


def past(*lines: str) -> pd.DataFrame:
    return table("customer_id offer_id channel date outcome planned", *lines)


REFUSED = past("ann loan email -9 rejected false", "ann loan call -4 rejected false")


@pytest.mark.parametrize(
    ("same", "lost"),
    [("offer", {"ann loan-email-1"}), ("category", {"ann loan-email-1", "ann card-call-2"}),
     ("channel", {"ann card-call-2"}), ("business_unit", {"ann loan-email-1", "ann fund-email-5"}),
     ("all", {"ann loan-email-1", "ann card-call-2", "ann fund-email-5"})],
)  # fmt: skip
def test_outcomes_drop_what_is_the_same(same: str, lost: set[str]) -> None:
    rule = {"name": "rest", "after": {"outcome": "rejected"}, "drop_same": same, "for_days": 10}
    found = reference({"eligibility": [rule]}, REFUSED)
    assert {" ".join(pair) for pair in found.dropped} == lost
    assert set(found.dropped.values()) == {"rest"}


@pytest.mark.parametrize(
    ("after", "days", "dropped"),
    [({"times": 2}, 5, 0), ({"times": 2}, 6, 1), ({"times": 2, "within_days": 5}, 6, 0),
     ({"times": 2, "within_days": 6}, 6, 1), ({"times": 3}, 30, 0), ({"times": 1}, 5, 0),
     ({"times": 1}, 6, 1), ({"outcome": ["clicked", "rejected"]}, 6, 1), ({"outcome": "clicked"}, 6, 0)],
)  # fmt: skip
def test_outcomes_count_within_days_and_last_for_days(after: dict[str, Any], days: int, dropped: int) -> None:
    """Refusals on days -9 and -4: the loan on day 1 comes five days after the second."""
    rule = {"name": "rest", "after": {"outcome": "rejected"} | after, "drop_same": "offer", "for_days": days}
    assert len(reference({"eligibility": [rule]}, REFUSED).dropped) == dropped


def test_rolling_windows_count_the_past() -> None:
    """E-mails lie on days 1 and 5; two days hold one or the other, five days both."""
    mails = {"name": "mails", "where": {"channel": "email"}, "max": 2}
    assert best({"limits": [mails]}) == 27
    assert best({"limits": [mails | {"rolling_days": 2}]}) == 31
    assert best({"limits": [mails | {"rolling_days": 5}]}) == 27
    one = past("cal fund email 0 sent false")
    assert best({"limits": [mails | {"rolling_days": 2}]}, one) == 23
    assert best({"limits": [mails | {"rolling_days": 2, "measure": "minutes"}]}, one) == 23
    found = reference({"limits": [mails | {"rolling_days": 2}]}, one)
    assert [(row.begins, row.history) for row in found.rows] == [(0, 1.0), (4, 0.0)]
    with pytest.raises(Broken, match="no points"):
        best(
            {"limits": [mails | {"rolling_days": 2, "measure": "points"}]},
            one,
            candidates=SOME.assign(points=1),
        )


def test_rolling_minimum_asks_every_window_inside() -> None:
    """Contacts lie on days 1, 2 and 5 of 28: of windows of 24 days those from day 3 hold the fund alone."""
    least = {"name": "steady", "min": 1, "rolling_days": 24}
    found = reference({"limits": [least | {"min": 2}]})
    assert [row.begins for row in found.rows] == [1, 2, 3]
    assert not found.solve().feasible
    assert best({"objective": {"minimise": "value"}, "limits": [least]}) == 4
    assert best({"limits": [least | {"rolling_days": 23}]}) is None


def test_all_or_nothing_and_its_fixed_cost() -> None:
    loans = {"name": "loans", "where": {"offer": "loan"}, "all_or_nothing": True}
    budget = {"name": "contacts", "max": 2}
    assert best({"limits": [loans | {"min": 2}, budget]}) == 18
    assert best({"limits": [loans | {"min": 3}, budget]}) == 10
    assert best({"limits": [loans | {"min": 2, "fixed_cost": 7}, budget]}) == 11
    assert best({"limits": [loans | {"min": 2, "fixed_cost": 9}, budget]}) == 10
    assert best({"objective": "value - 2 * fixed_cost",
                 "limits": [loans | {"min": 2, "fixed_cost": 3}, budget]}) == 12  # fmt: skip
    dear = [loans | {"min": 1, "fixed_cost": 9}, {"name": "some", "min": 4}]
    assert best({"objective": {"minimise": "cost"}, "limits": dear}) == 13


def test_fixed_cost_counts_in_other_limits() -> None:
    loans = {"name": "loans", "where": {"offer": "loan"}, "fixed_cost": 3}
    assert best({"limits": [loans]}) == 28
    hurdle = {"name": "hurdle", "measure": "value", "over": "cost + fixed_cost", "min": 4}
    assert best({"limits": [loans, hurdle | {"min": 3.875}]}) == 28
    assert best({"limits": [loans, hurdle]}) == 25  # 28 of 4 + 3
    assert best({"limits": [loans, {"name": "less", "measure": "fixed_cost", "max": 2}]}) == 13
    assert best({"limits": [loans, {"name": "shown", "measure": "fixed_cost", "max": 2,
                                    "report_only": True}]}) == 28  # fmt: skip


@pytest.mark.parametrize(
    ("price", "value", "missed"), [(0, 31, 4), (2, 23, 4), (3.5, 31 - 3 - 3.5 * 3, 3), (100, 10, 0)]
)  # fmt: skip
def test_missing_a_limit_costs_its_penalty(price: float, value: float, missed: float) -> None:
    found = reference({"limits": [{"name": "one", "max": 1, "penalty": price}]})
    answer = found.solve()
    assert answer.objective == value
    assert found.miss(found.rows[0], answer.chosen) == missed
    assert found.penalties(answer.chosen) == price * missed


def test_a_missed_minimum_costs_too() -> None:
    least = {"name": "calls", "where": {"channel": "call"}, "min": 3, "penalty": 2}
    assert best({"limits": [least]}) == 31 - 2
    assert best({"objective": {"minimise": "cost"}, "limits": [least]}) == 2 + 2
    assert best({"limits": [least | {"all_or_nothing": True, "penalty": 20}]}) == 22
    assert best({"limits": [least, least | {"name": "shown", "min": 9, "report_only": True}]}) == 29


HOMES = table("customer_id household_id most agent", "ann h1 1 x", "bob h1 1 y", "cal h2 1 x")


def test_households_count_together() -> None:
    rule = {"name": "home", "max": 2, "unit": "household"}
    assert best({"contact": [rule | {"unit": "customer"}]}, customers=HOMES) == 27
    assert best({"contact": [rule]}, customers=HOMES) == 18
    assert best({"contact": [rule | {"days": 1}]}, customers=HOMES) == 31
    assert best({"contact": [rule | {"days": 2}]}, customers=HOMES) == 22
    assert best({"contact": [rule | {"count": "occasions"}]}, customers=HOMES) == 27
    assert best({"contact": [rule | {"max": {"column": "customer.most"}}]}, customers=HOMES) == 10
    with pytest.raises(Broken):
        best({"contact": [rule]}, customers=table("customer_id household_id", "ann h1", "bob -"))
    with pytest.raises(Broken):
        own = {"max": {"column": "customer.most"}}
        best({"contact": [rule | own]}, customers=HOMES.assign(most=[1, 2, 1]))


def test_distinct_values_of_an_attribute_count() -> None:
    assert best({"contact": [{"name": "one", "max": 1, "count": "channel"}]}) == 14 + 8
    assert best({"contact": [{"name": "one", "max": 1, "count": "offer.category"}]}) == 16 + 11
    mailed = past("ann loan email -2 sent false")
    assert best({"contact": [{"name": "one", "max": 1, "count": "channel", "days": 4}]}, mailed) == 10 + 4 + 8


def test_minimum_of_each_customer() -> None:
    rule = {"name": "served", "min": 1}
    cheapest = {"objective": {"minimise": "value"}}
    assert best(cheapest | {"contact": [rule]}) == 4 + 3
    assert best(cheapest | {"contact": [rule]}, customers=HOMES) is None  # nothing can be done for cal
    assert best(cheapest | {"contact": [rule | {"unit": "household"}]}, customers=HOMES) is None
    homes = HOMES.assign(household_id="h1")
    assert best(cheapest | {"contact": [rule | {"unit": "household"}]}, customers=homes) == 3
    assert best(cheapest | {"contact": [rule | {"where": {"customer.agent": "y"}}]}, customers=HOMES) == 3
    assert best(cheapest | {"contact": [rule | {"per": "offer"}]}, customers=HOMES) == 31
    assert (
        best(cheapest | {"contact": [rule | {"min": {"column": "customer.most"}}]}, customers=homes[:2]) == 7
    )


def test_minimum_in_windows_and_the_past() -> None:
    """Of 28 days the windows of 27 begin on days 1 and 2; the loans lie on day 1 alone."""
    rule = {"name": "steady", "min": 1, "days": 27}
    cheapest = {"objective": {"minimise": "value"}}
    assert best(cheapest | {"contact": [rule]}) == 4 + 3
    assert best(cheapest | {"contact": [rule | {"days": 26}]}) is None
    planned = past("bob fund email 20 - true", "ann fund email -3 sent false")
    assert best(cheapest | {"contact": [rule]}, planned) == 4
    assert best(cheapest | {"contact": [rule | {"history": False}]}, planned) == 7


def test_none_or_at_least() -> None:
    rule = {"name": "enough", "min": 3, "min_or_none": True}
    assert best({"contact": [rule]}, customers=HOMES) == 20
    assert best({"contact": [rule | {"days": 28}]}, past("bob fund email 20 - true")) == 31
    assert best({"contact": [rule | {"min": 4}]}) == 0


def test_calendar_weeks_and_months() -> None:
    """The horizon begins on Monday, 23 November: days 1 to 7 are a week, days 1 to 8 the end of the month."""
    lines = [f"ann loan-email-{day} 1" for day in (6, 7, 8, 9)]
    tables = tables_of(table("customer_id action_id value", *lines))
    rule = {"name": "calm", "max": 1}

    def most(every: str, history: pd.DataFrame | None = None, counted: bool = True, **more: Any) -> Any:
        more |= {} if counted else {"history": False}
        given = tables if history is None else tables | {"history": history}
        policy = {"objective": "value", "contact": [rule | {"every": every} | more]}
        answer = Reference(given, policy, FOUR_WEEKS).solve()
        return answer.objective if answer.feasible else None

    assert most("week") == 2
    assert most("month") == 2
    assert most("month", past("ann loan call -20 sent false")) == 1  # 2 November
    assert most("month", past("ann loan call -20 sent false"), counted=False) == 2
    assert most("week", past("ann loan call 0 sent false")) == 2
    assert most("week", min=1) is None  # four weeks of their own, contacts in two
    assert most("month", min=2, max=5) == 4  # no month lies wholly inside


def test_what_is_required_comes_before() -> None:
    rule = {"name": "after", "offer": {"offer": "card"}, "needs": {"offer": "loan"}, "days": 1}
    one = {"contact": [{"name": "one", "max": 1}]}
    assert best({"requires": [rule]}) == 31
    assert best({"requires": [rule | {"days": 0}]}) == 22
    assert best({"requires": [rule | {"offer": {"offer": "loan"}, "needs": {"offer": "card"}}]}) == 13
    turned = rule | {"offer": {"offer": "loan"}, "needs": {"offer": "card"}, "order": "any"}
    assert best({"requires": [turned]}) == 31
    assert best({"requires": [turned]} | one) == 9
    assert best({"requires": [turned]} | one, past("bob card call 0 sent false")) == 6 + 8
    assert best({"requires": [turned]} | one, past("bob card call 0 bounced false")) == 9
    own = rule | {"offer": {"channel": "email"}, "needs": {"channel": "email"}, "days": 9}
    assert best({"requires": [own]}) == 6 + 3


def test_ranks_keep_the_earlier_within_their_share() -> None:
    objective = [{"maximise": "value", "within": 0.25}, {"minimise": "contacts"}]
    found = reference({"objective": objective, "limits": [{"name": "cap", "max": 4}]})
    answer = found.solve()
    assert answer.best == (28, 3)
    assert answer.objective >= 21
    exact = reference({"objective": ["value", {"minimise": "contacts"}]}).solve()
    assert exact.best == (31, 5)
    three = [{"minimise": "contacts"}, "value"]
    assert reference({"objective": three, "limits": [{"name": "some", "min": 2}]}).solve().best == (2, 18)


def test_prices_prove_what_they_should() -> None:
    """At a price of 5 on contacts, one allowed: 5 for it, and what is worth more than 5."""
    found = reference({"limits": [{"name": "one", "max": 1}]})
    assert found.proven_by([5.0]) == 5 + 5 + 1 + 3
    assert found.proven_by([10.0]) == found.solve().objective == 10
    loans = {"name": "loans", "where": {"offer": "loan"}, "all_or_nothing": True}
    cell = reference({"limits": [loans | {"min": 3, "fixed_cost": 2}]})
    # without a price loans are free of their minimum; at -4 each loan counts 4 more, opening 3 · 4 less
    assert cell.proven_by([0.0]) == 31
    assert cell.proven_by([-4.0]) == 13 + 14 + 12 + 0
    assert cell.proven_by([4.0]) == math.inf  # the row has no upper side

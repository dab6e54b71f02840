"""How tables and policies are read, where rules depend on it: nothing is guessed."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from bank import FOUR_WEEKS, contacts, decide, project, refused, table, tables_of
from sentences import CALL, chosen, costed, faults, offered, past, policy, solve

import omniopt as oo

ONE = offered("ann a-call-1 5")


def test_the_smallest_project_is_actions_candidates_and_a_policy() -> None:
    """Customers, offers and channels are then known by their ids alone."""
    candidates = offered("ann a-call-1 5", "bob a-call-1 4")
    rules = policy(limits={"where": CALL | {"offer": "a"}, "per": ["channel"], "max": 1})
    assert contacts(decide(rules, tables_of(candidates))) == ["ann a-call-1"]


@pytest.mark.parametrize("written", [7, "7", 7.0])
def test_7_and_7_are_one_id(written: Any) -> None:
    """Whether a file writes it as a number or as text."""
    candidates = pd.DataFrame({"customer_id": ["7", "8"], "action_id": "a-call-1", "value": [5.0, 4.0]})
    customers = pd.DataFrame({"customer_id": [written, 8], "household_id": [1, 1]})
    rules = policy(contact={"unit": "household", "max": 1}, eligibility={"drop": {"customer.customer_id": 8}})
    assert chosen(rules, candidates, customers=customers) == ["7 a-call-1"]


def test_a_date_is_a_date_or_the_number_of_its_day() -> None:
    """Day 2 of the horizon is 24 November, in a scope, in a table and in the history."""
    candidates = offered("ann a-call-1 4", "ann a-call-2 5", "ann a-call-3 3")
    for day in (2, "2026-11-24"):
        assert len(chosen(policy(limits={"where": {"date": day}, "max": 0}), candidates)) == 2
        desk = (
            table("date n", "1 1", f"{day} 0", "3 1")
            if day == 2
            else table("date n", "2026-11-23 1", "2026-11-24 0", "2026-11-25 1")
        )
        rule = {"per": "date", "max": {"table": "desk", "column": "n"}}
        assert len(chosen(policy(limits=rule), candidates, desk=desk)) == 2
    for day in (0, "2026-11-22"):
        found = chosen(
            policy(contact={"max": 1, "days": 2}), candidates, history=past(f"ann a call {day} sent -")
        )
        assert found == ["ann a-call-2"]


def test_planned_dates_lie_in_the_horizon() -> None:
    """Its last day is the 28th; the 29th and the day before the first are outside."""
    assert len(chosen(policy(), offered("ann a-call-28 5", "ann a-call-1 5"))) == 2
    for day in (29, 0):
        assert "date" in faults(policy(), offered(f"ann a-call-{day} 5"))


def test_a_duplicate_key_is_an_error() -> None:
    """Two rows for one customer, or for one group of a limit's table."""
    assert "ann" in faults(policy(), ONE, customers=table("customer_id age", "ann 3", "ann 4"))
    rule = {"per": ["channel"], "max": {"table": "t", "column": "n"}}
    said = faults(policy(limits=rule), ONE, t=table("channel n", "call 1", "call 2"))
    assert "limits 1" in said and "call" in said


@pytest.mark.parametrize("key", ["min", "max", "penalty", "fixed_cost"])
def test_a_missing_bound_names_table_row_and_column(key: str) -> None:
    """An empty cell is neither zero nor endless."""
    rule: dict[str, Any] = {"per": ["channel"], "max": 9} | {key: {"table": "t", "column": "n"}}
    candidates = offered("ann a-call-1 5", "ann a-email-1 5")
    said = faults(policy(limits=rule), candidates, t=table("channel n", "email 1", "call -"))
    assert all(words in said for words in ("'limits 1'", "row 2 of the table 't'", "no n"))


def test_a_missing_measure_is_an_error() -> None:
    """Nobody knows what the fallback's minutes are, or what 'effort' means."""
    channels = table("channel delivery_rate fallback minutes", "email 0.5 call 1", "call 1 - -")
    rules = policy(limits={"measure": "minutes", "max": 9})
    said = faults(rules, offered("ann a-email-1 5"), channels=channels)
    assert "minutes" in said and "call" in said
    said = faults(policy(limits={"measure": "effort", "max": 9}), ONE)
    assert "limits 1" in said and "effort" in said


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinities_are_errors(number: float) -> None:
    """In a bound, in a price, and in a table of bounds."""
    for key in ("min", "max", "penalty", "fixed_cost"):
        said = faults(policy(limits={"max": 1} | {key: number}), ONE)
        assert "limits 1" in said and key in said
    if number == number:
        rule = {"per": ["channel"], "max": {"table": "t", "column": "n"}}
        bounds = pd.DataFrame({"channel": ["call"], "n": [number]})
        assert "table t, row 1, column n" in faults(policy(limits=rule), ONE, t=bounds)


def test_all_faults_are_reported_at_once() -> None:
    """One misspelt key, one unknown attribute, one impossible pair of bounds: three rules in one list."""
    rules = policy(
        limits=[{"maximum": 3}, {"min": 3, "max": 2}], contact={"where": {"chanel": "call"}, "max": 1},
        requires={"offer": {}, "needs": {}, "days": -1},
    )  # fmt: skip
    said = faults(rules, ONE)
    assert all(name in said for name in ("limits 1", "limits 2", "requires 1"))
    rules = policy(limits={"measure": "effort", "max": 1}, contact={"where": {"chanel": "call"}, "max": 1})
    said = faults(rules, ONE)
    assert "effort" in said and "chanel" in said


def test_every_rule_has_a_name_of_its_own() -> None:
    """Also across sections."""
    rules = policy(
        limits={"name": "one", "max": 1}, requires={"name": "one", "offer": {}, "needs": {}, "days": 1}
    )
    assert "'one'" in faults(rules, ONE)
    assert "name" in faults({"objective": "value", "limits": [{"max": 1}]}, ONE)


@pytest.mark.parametrize(
    ("section", "rule", "wrong", "nearest"),
    [
        ("limits", {"max": 1, "roling_days": 3}, "roling_days", "rolling_days"),
        ("limits", {"max": 1, "penality": 3}, "penality", "penalty"),
        ("contact", {"max": 1, "evry": "week"}, "evry", "every"),
        ("contact", {"min_or_non": True, "min": 1}, "min_or_non", "min_or_none"),
        (
            "eligibility",
            {"after": {"outcome": "rejected"}, "drop_sam": "all", "for_days": 1},
            "drop_sam",
            "drop_same",
        ),
        ("requires", {"offer": {}, "need": {}, "days": 1}, "need", "needs"),
        ("limits", {"where": {"chanel": "call"}, "max": 1}, "chanel", "channel"),
        ("limits", {"where": {"channel": "cal"}, "max": 1}, "cal", "call"),
        ("limits", {"per": ["chanel"], "max": 1}, "chanel", "channel"),
        ("limits", {"measure": "valu", "max": 1}, "valu", "value"),
    ],
)
def test_an_unknown_word_is_an_error_with_the_nearest_match(
    section: str, rule: Any, wrong: str, nearest: str
) -> None:
    """A key, an attribute or a value that nobody knows."""
    said = faults(policy(**{section: rule}), ONE)
    assert f"{section} 1" in said and wrong in said and nearest in said


def test_an_unknown_section_is_an_error_with_the_nearest_match() -> None:
    """Rules under a misspelt head are not passed over."""
    said = faults({"objective": "value", "require": []}, ONE)
    assert "require" in said and "requires" in said


@pytest.mark.parametrize(
    "code", ["__import__('os').getcwd()", "{{ 1 + 1 }}", "value; import os", "value ** 2"]
)
def test_no_expression_is_evaluated_as_code(code: str) -> None:
    """As a measure it cannot be read, as a value no cell holds it."""
    assert "limits 1" in faults(policy(limits={"measure": code, "max": 1}), ONE)
    assert "limits 1" in faults(policy(limits={"where": {"channel": code}, "max": 1}), ONE)


def test_all_entries_of_where_hold_together() -> None:
    """A scalar, a list and a comparison side by side."""
    customers = table("customer_id age", "ann 20", "bob 30", "cal 40")
    candidates = offered(
        *(f"{c} {o}-{k}-1 1" for c in ("ann", "bob", "cal") for o in "ab" for k in ("call", "email"))
    )
    where = {"offer": "a", "channel": ["call"], "customer.age": {"ge": 30, "lt": 40}}
    left = chosen(policy(limits={"where": where, "max": 0}), candidates, customers=customers)
    assert len(left) == 11 and "bob a-call-1" not in left


def test_measures_add_up_as_linear_expressions() -> None:
    """Value less half the cost, minutes at 0.25, response: each a number per candidate."""
    candidates = costed("ann a-call-1 5 4", "bob a-call-1 5 8").assign(response=[0.5, 0.25])
    channels = table("channel minutes", "call 2")
    expected = {
        "value - 0.5 * cost": 4,
        "contacts": 2,
        "response": 0.75,
        "2 * value - cost - 0.25 * minutes": 7,
    }
    for expression, best in expected.items():
        assert solve(policy(expression), candidates, channels=channels).objective == best, expression


@pytest.mark.parametrize("where", ["candidates", "actions", "channels", "offers"])
def test_a_measure_is_a_number_of_candidates_actions_channels_or_offers(where: str) -> None:
    """Effort of 2 and 3, at most 4 of it: the second, which is worth more."""
    tables = tables_of(offered("ann a-call-1 5", "ann b-email-1 6"))
    tables |= {"offers": table("offer_id", "a", "b"), "channels": table("channel", "call", "email")}
    tables[where] = tables[where].assign(effort=[2.0, 3.0])
    rules = policy(limits={"measure": "effort", "max": 4})
    assert contacts(decide(rules, tables, FOUR_WEEKS)) == ["ann b-email-1"]


def test_the_candidates_own_number_comes_first() -> None:
    """Where candidates and channels both have minutes, the candidate's are meant."""
    candidates = offered("ann a-call-1 5").assign(minutes=[3.0])
    rules = policy("minutes")
    assert solve(rules, candidates, channels=table("channel minutes", "call 10")).objective == 3


# ties

POOL = ("ann", "bob", "cal", "dan")


@pytest.mark.parametrize(
    "sections",
    [
        {"limits": {"max": 2}},
        {"contact": {"unit": "household", "max": 1}},
        {"limits": {"per": ["date"], "max": 1}, "contact": {"max": 1}},
        {"contact": {"min": 1, "max": 1}},
        {"limits": {"max": 3, "rolling_days": 2}},
        {"limits": {"min": 3, "all_or_nothing": True, "fixed_cost": 1, "max": 3}},
    ],
)
def test_ties_are_broken_the_same_way_whatever_the_order_of_rows(sections: Any) -> None:
    """Everybody is worth the same; who is chosen is not a matter of who stands first in a file."""
    candidates = offered(*(f"{c} a-{k}-{d} 5" for c in POOL for k in ("call", "email") for d in (1, 2)))
    homes = table("customer_id household_id", *(f"{c} h{n // 2}" for n, c in enumerate(POOL)))
    history = past("ann a call 0 sent -", "bob a email 0 bounced -", "cal a call -3 rejected -")
    tables = {"customers": homes, "candidates": candidates, "history": history}
    tables["actions"] = tables_of(candidates)["actions"]
    plans = []
    for seed in range(3):
        shuffled = {name: t.sample(frac=1, random_state=seed) if seed else t for name, t in tables.items()}
        plans.append(oo.optimize(project(policy(**sections), shuffled, FOUR_WEEKS), gap=0.0))
    assert len({tuple(contacts(p)) for p in plans}) == 1
    assert len({p.objective for p in plans}) == 1
    assert plans[0].status == "optimal"


def test_ties_within_a_rank_are_broken_the_same_way_too() -> None:
    """Any two of four keep both ranks."""
    candidates = costed(*(f"{c} a-call-1 5 1" for c in POOL))
    rules = policy(["value", {"minimise": "cost"}], limits={"max": 2})
    first = solve(rules, candidates)
    assert contacts(first) == contacts(solve(rules, candidates.iloc[::-1]))
    assert first.objective == 10


def test_what_cannot_be_read_is_bad_input_and_no_plan() -> None:
    """The error is one that names rule and remedy, not an exception of some library."""
    with pytest.raises(oo.BadInput, match="limits 1"):
        oo.optimize(project(policy(limits={"max": "many"}), tables_of(ONE), FOUR_WEEKS))
    assert "limits 1" in refused(policy(limits={"max": True}), tables_of(ONE), FOUR_WEEKS)

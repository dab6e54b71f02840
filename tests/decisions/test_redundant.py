"""Rules that are said to change nothing: without them the very same plans are possible."""

from __future__ import annotations

import copy
import itertools
from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest
import tiny
from bank import decide, project, table, tables_of
from portions import slow_after

import omniopt as oo
from omniopt.decisions import build_problem
from omniopt.decisions.redundant import Redundant, redundant

SECTIONS = ("limits", "contact", "conflicts", "requires")
DAYS = table(
    "customer_id action_id value cost",
    "ann loan-call-1 9 3", "ann card-call-2 8 4", "ann loan-email-3 5 1",
    "bob loan-call-1 4 3", "bob card-email-9 2 1",
)  # fmt: skip


def without(case: tiny.Case, names: set[str]) -> tiny.Case:
    """The case without some rules."""
    policy = copy.deepcopy(case.policy)
    for section in SECTIONS:
        if section in policy:
            policy[section] = [rule for rule in policy[section] if rule["name"] not in names]
    return replace(case, policy=policy)


def plans(case: tiny.Case) -> list[tuple[int, ...]]:
    """Every plan that keeps the rules."""
    reference = case.reference()
    n = range(len(reference.alive))
    sets = itertools.chain.from_iterable(itertools.combinations(n, size) for size in range(len(n) + 1))
    return [chosen for chosen in sets if reference.keeps_all(chosen)]


@pytest.mark.parametrize("part", slow_after(1, 4))
def test_the_same_plans_are_possible_without_any_and_without_all_of_them(part: int) -> None:
    seen: Counter[tuple[str, str]] = Counter()
    for number in range(25 * part, 25 * part + 25):
        case = tiny.make(Random(number))
        if len(case.reference().alive) > 9:  # every set of contacts is tried
            continue
        found = redundant(build_problem(case.project()))
        possible = plans(case) if found else []
        if not possible:
            continue
        seen.update((rule.kind, rule.why) for rule in found)
        for names in [{rule.rule} for rule in found] + [{rule.rule for rule in found}]:
            assert plans(without(case, names)) == possible
    assert len(seen) >= 4 and {"implied", "reach", "empty"} == {why for _, why in seen}


def named(
    policy: dict[str, Any], horizon: Any = None, **tables: Any
) -> list[tuple[str, str, tuple[str, ...]]]:
    """The rules that change nothing in a project made by hand."""
    made = project({"objective": "value"} | policy, tables_of(DAYS, **tables), horizon)
    return [(rule.rule, rule.why, rule.by) for rule in redundant(build_problem(made))]


LIMITS: list[tuple[list[dict[str, Any]], list[tuple[str, str, tuple[str, ...]]]]] = [
    ([{"name": "a", "max": 3}, {"name": "b", "max": 4}], [("b", "implied", ("a",))]),
    ([{"name": "a", "max": 3}, {"name": "b", "max": 3}], [("b", "implied", ("a",))]),
    ([{"name": "calls", "max": 2, "where": {"channel": "call"}}, {"name": "all", "max": 2}],
        [("calls", "implied", ("all",))]),
    ([{"name": "calls", "max": 1, "where": {"channel": "call"}}, {"name": "all", "max": 2}], []),
    ([{"name": "each", "per": ["channel"], "max": 1}, {"name": "all", "max": 2}],
        [("all", "implied", ("each",))]),
    ([{"name": "each", "per": ["channel"], "max": 1}, {"name": "all", "max": 1}],
        [("each", "implied", ("all",))]),
    ([{"name": "some", "min": 1}, {"name": "more", "min": 2, "where": {"channel": "call"}}],
        [("some", "implied", ("more",))]),
    ([{"name": "most", "max": 2}, {"name": "both", "min": 1, "max": 3}], []),
    ([{"name": "roi", "measure": "value", "over": "cost", "min": 1.5},
        {"name": "low roi", "measure": "value", "over": "cost", "min": 1.2}],
        [("low roi", "implied", ("roi",))]),
    ([{"name": "far", "measure": "cost", "max": 12}], [("far", "reach", ())]),
    ([{"name": "near", "measure": "cost", "max": 11}], []),
    ([{"name": "soft", "max": 3, "penalty": 2}, {"name": "hard", "max": 4}], []),
    ([{"name": "hard", "max": 3}, {"name": "soft", "max": 4, "penalty": 2}],
        [("soft", "implied", ("hard",))]),
    ([{"name": "paid", "max": 9, "fixed_cost": 2}], []),
    ([{"name": "all or none", "min": 1, "all_or_nothing": True}], []),
    ([{"name": "watched", "max": 99, "report_only": True}], []),
]  # fmt: skip


@pytest.mark.parametrize(("limits", "expected"), LIMITS)
def test_limits_that_others_imply_or_that_are_out_of_reach(limits: Any, expected: Any) -> None:
    assert named({"limits": limits}) == expected


def test_a_limit_that_the_rules_for_each_customer_keep() -> None:
    """One contact each are two at most, and their costs 4 and 3."""
    contact = [{"name": "one", "max": 1}]
    for limit in ({"max": 2}, {"measure": "cost", "max": 7}):
        assert named({"contact": contact, "limits": [{"name": "loose"} | limit]}) == [("loose", "reach", ())]
    assert named({"contact": contact, "limits": [{"name": "tight", "measure": "cost", "max": 6.5}]}) == []


WITHIN: list[tuple[dict[str, Any], list[tuple[str, str, tuple[str, ...]]]]] = [
    ({"contact": [{"name": "a", "max": 1, "days": 7}, {"name": "b", "max": 1, "days": 3}]},
        [("b", "implied", ("a",))]),
    ({"contact": [{"name": "a", "max": 1, "days": 2}, {"name": "b", "max": 1, "days": 7}]},
        [("a", "implied", ("b",))]),
    ({"contact": [{"name": "a", "max": 2, "days": 7}, {"name": "b", "max": 1, "days": 2}]}, []),
    ({"contact": [{"name": "three", "max": 3}]}, [("three", "empty", ())]),
    ({"contact": [{"name": "one", "max": 1}], "conflicts": [
        {"name": "apart", "first": {"offer": "loan"}, "then": {"offer": "card"}, "days": 9}]},
        [("apart", "implied", ("one",))]),
    ({"conflicts": [{"name": "long", "first": {"offer": "loan"}, "then": {"offer": "card"}, "days": 9},
        {"name": "short", "first": {"offer": "loan"}, "then": {"offer": "card"}, "days": 2}]},
        [("short", "implied", ("long",))]),
    ({"conflicts": [{"name": "never", "first": {"offer": "card"}, "then": {"channel": "call"}, "days": 1}]},
        [("never", "empty", ())]),
    ({"contact": [{"name": "offers", "max": 1}, {"name": "occasions", "max": 1, "count": "occasions"}]},
        [("occasions", "implied", ("offers",))]),
    ({"contact": [{"name": "channels", "max": 1, "count": "channel"}, {"name": "offers", "max": 2}]}, []),
    ({"contact": [{"name": "each", "min": 1}, {"name": "called", "min": 1, "where": {"channel": "call"}}]},
        [("each", "implied", ("called",))]),
    ({"requires": [{"name": "near", "offer": {"offer": "card"}, "needs": {"offer": "loan"}, "days": 3},
        {"name": "far", "offer": {"offer": "card"}, "needs": {"offer": "loan"}, "days": 30}]},
        [("far", "implied", ("near",))]),
]  # fmt: skip


@pytest.mark.parametrize(("policy", "expected"), WITHIN)
def test_rules_within_a_customer_that_others_imply(policy: dict[str, Any], expected: Any) -> None:
    assert named(policy, {"start": "2026-11-23", "days": 14}) == expected


def test_the_certificate_names_what_changes_nothing_and_what_binds_nowhere() -> None:
    policy = {
        "objective": "value",
        "limits": [{"name": "roomy", "measure": "cost", "max": 7.5}, {"name": "tight", "max": 2}],
        "contact": [
            {"name": "one a week", "max": 1, "days": 7},
            {"name": "one in three days", "max": 1, "days": 3},
        ],
    }
    notes = decide(policy, tables_of(DAYS)).certificate["notes"]
    assert notes == [
        "contact rule 'one in three days' changes nothing: whatever keeps 'one a week' keeps it",
        "limit 'roomy' binds nowhere",
    ]  # fmt: skip


@pytest.mark.parametrize("part", slow_after(1, 3))
def test_without_all_that_binds_nowhere_the_bound_stays(part: int) -> None:
    seen = 0
    for number in range(20 * part, 20 * part + 20):
        case = tiny.make(Random(number))
        try:
            plan = oo.optimize(case.project(), gap=0.0)
        except oo.Infeasible:
            continue
        notes = plan.certificate["notes"]
        names = {note.split("'")[1] for note in notes if "binds nowhere" in note or "changes nothing" in note}
        if names:
            best = without(case, names).reference().solve()
            sign = 1 if plan.certificate["sense"] == "maximise" else -1
            assert sign * best.objective <= sign * plan.certificate["bound_from_prices"] + 1e-6
            seen += len(names)
    assert seen > 5


def test_nothing_binds_nowhere_while_a_better_plan_may_be_missing() -> None:
    """Two of the three fit the budget, the relaxation has it filled: the rules might be worth the rest."""
    lines = [f"{customer} loan-call-{day} 6 5" for customer in ("ann", "bob") for day in (1, 9)]
    costs = table("customer_id action_id value cost", *lines)
    policy = {
        "objective": "value",
        "limits": [{"name": "budget", "measure": "cost", "max": 14}, {"name": "roomy", "max": 3}],
        "contact": [{"name": "two in all", "max": 2, "days": 20}],
    }
    plan = decide(policy, tables_of(costs))
    assert plan.certificate["bound_from_prices"] > plan.objective + 1
    assert not [note for note in plan.certificate["notes"] if "binds nowhere" in note]
    assert "limit 'roomy' has room and no price in every row" in plan.certificate["notes"]


def test_each_scope_that_matches_nothing_is_noted() -> None:
    none, some = {"offer": "card", "channel": "email", "date": 1}, {"channel": "call"}
    policy = {
        "objective": "value",
        "eligibility": [
            {"name": "drops", "drop": none},
            {"name": "after", "after": {"outcome": "rejected"}, "drop_same": "offer", "for_days": 9},
        ],
        "limits": [
            {"name": "share", "where": some, "over": {"measure": "contacts", "where": none}, "max": 9},
            {"name": "empty", "where": none, "over": {"measure": "contacts", "where": none}, "min": 1},
            {"name": "watched", "where": none, "max": 1, "report_only": True},
        ],
        "contact": [{"name": "each", "where": none, "max": 1}],
        "conflicts": [{"name": "apart", "first": none, "then": some, "days": 3}],
        "requires": [{"name": "needs", "offer": some, "needs": none, "days": 3}],
    }
    made = project(policy, tables_of(DAYS))
    assert build_problem(made).notes == [
        "rule 'drops' drops nothing", "rule 'after' drops nothing",
        "limit 'empty' matches no candidate", "limit 'watched' matches no candidate",
        "'over' of limit 'share' matches no candidate", "contact rule 'each' matches no candidate",
        "'first' of conflict 'apart' matches no candidate",
        "'needs' of requirement 'needs' matches no candidate",
    ]  # fmt: skip


def test_words() -> None:
    assert str(Redundant("a", "limit", "implied", ("b", "c"))) == (
        "limit 'a' changes nothing: whatever keeps 'b', 'c' keeps it"
    )
    assert str(Redundant("a", "limit", "reach")).endswith(
        "no choice under the rules for each customer can break it"
    )
    assert str(Redundant("a", "conflict", "empty")) == "conflict 'a' changes nothing: no choice can break it"

"""What must stay the same, or can only go one way, when a project is written otherwise."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pytest
import tiny
from hypothesis import given, note, settings
from hypothesis import strategies as st
from portions import slow_after
from test_determinism import shuffled
from test_monotony import NEVER_NEGATIVE, SECTIONS, best, names_fixed_cost

import omniopt as oo

NUMBERS = st.integers(0, 10**9)
QUICK = settings(max_examples=10, deadline=None, derandomize=True, database=None)
PARTS = pytest.mark.parametrize("part", slow_after(1, 3))  # each of them other projects
CLOSE = 1e-6


def same(a: float, b: float) -> bool:
    return a == b or abs(a - b) <= CLOSE * max(1.0, abs(a))


def pick(case: tiny.Case, random: Random, fits: Callable[[Mapping[str, Any]], bool]) -> int | None:
    """The place of one of the limits that fit."""
    places = [k for k, rule in enumerate(case.policy["limits"]) if fits(rule) and not rule.get("report_only")]
    return random.choice(places) if places else None


def instead(case: tiny.Case, place: int, *rules: dict[str, Any]) -> tiny.Case:
    """The case with other limits in the place of one."""
    policy = copy.deepcopy(case.policy)
    policy["limits"][place : place + 1] = copy.deepcopy(list(rules))
    note(str(policy))
    return replace(case, policy=policy)


def duplicated(case: tiny.Case, random: Random) -> tiny.Case | None:
    """One rule twice, under two names; one that costs something would cost it twice."""
    policy = copy.deepcopy(case.policy)
    places = [(s, rule) for s in SECTIONS for rule in policy.get(s, [])
              if "fixed_cost" not in rule and "penalty" not in rule]  # fmt: skip
    if not places:
        return None
    section, rule = random.choice(places)
    policy[section].insert(random.randint(0, len(policy[section])), copy.deepcopy(rule) | {"name": "again"})
    return replace(case, policy=policy)


def reordered(case: tiny.Case, random: Random) -> tiny.Case:
    """The same rules in another order; eligibility counts the first reason only."""
    policy = copy.deepcopy(case.policy)
    for section in SECTIONS:
        random.shuffle(policy.get(section, []))
    return replace(case, policy=policy)


@pytest.mark.parametrize("how", [duplicated, reordered])
@PARTS
@QUICK
@given(number=NUMBERS)
def test_rules_twice_or_in_another_order_change_nothing(part: int, how: Any, number: int) -> None:
    random = Random(3 * number + part)
    case = tiny.make(random)
    other = how(case, random)
    note(f"{case}\n{other and other.policy}")
    assert other is None or same(best(case), best(other))


@PARTS
def test_splitting_a_maximum_never_raises_the_optimum(part: int) -> None:
    """Few of the random projects have such a maximum and customers in both regions."""
    sums = (*NEVER_NEGATIVE, "value", "value - cost", "points", "response")

    def fits(rule: Mapping[str, Any]) -> bool:
        where = rule.get("where", {})
        plain = set(rule) <= {"name", "where", "measure", "max"} and "customer.region" not in where
        return plain and rule.get("measure", "contacts") in sums

    split = 0
    for number in range(part, 300, 3):
        random = Random(number)
        case = tiny.make(random)
        place = pick(case, random, fits)
        if place is None or set(case.tables["customers"]["region"]) < {"north", "south"}:
            continue
        rule = case.policy["limits"][place]
        parts = [
            rule | {"name": region, "where": rule.get("where", {}) | {"customer.region": region},
                    "max": rule["max"] * share}
            for region, share in (("north", 0.25), ("south", 0.75))
        ]  # fmt: skip
        limits = [*case.policy["limits"][:place], *parts, *case.policy["limits"][place + 1 :]]
        other = replace(case, policy=case.policy | {"limits": limits})
        assert best(other) <= best(case) + CLOSE, f"case {number}\n{case}"
        split += 1
    assert split


@PARTS
@QUICK
@given(number=NUMBERS)
def test_a_penalty_of_nothing_is_no_limit(part: int, number: int) -> None:
    """What opening a group costs is paid all the same."""
    random = Random(3 * number + part)
    case = tiny.make(random)
    note(str(case))
    place = pick(case, random, lambda rule: True)
    if place is None:
        return
    rule = case.policy["limits"][place]
    cost = {k: v for k, v in rule.items() if k in ("name", "where", "per", "fixed_cost")}
    without = instead(case, place, *([cost] if "fixed_cost" in rule else []))
    assert same(best(instead(case, place, rule | {"penalty": 0})), best(without))


@PARTS
@QUICK
@given(number=NUMBERS)
def test_a_penalty_beyond_all_means_is_a_hard_limit(part: int, number: int) -> None:
    random = Random(3 * number + part)
    case = tiny.make(random)
    note(str(case))
    place = pick(case, random, lambda rule: True)
    if place is None:
        return
    rule = {k: v for k, v in case.policy["limits"][place].items() if k != "penalty"}
    hard = best(instead(case, place, rule))
    dear = best(instead(case, place, rule | {"penalty": 100_000}))
    assert same(hard, dear) if hard > -math.inf else dear < -1000


@PARTS
@QUICK
@given(number=NUMBERS)
def test_watching_a_limit_never_changes_the_plan(part: int, number: int) -> None:
    random = Random(3 * number + part)
    case = tiny.make(random)
    tight = [{"name": "tight", "per": "channel", "measure": "cost", "max": 0, "penalty": 3},
             {"name": "cell", "min": 3, "all_or_nothing": True, "fixed_cost": 9}]  # fmt: skip
    watched = [rule | {"name": f"watched {k}"} for k, rule in
               enumerate(copy.deepcopy(case.policy["limits"]))]  # fmt: skip
    policy = copy.deepcopy(case.policy)
    for rule in (*tight, *watched):
        policy["limits"].insert(random.randint(0, len(policy["limits"])), rule | {"report_only": True})
    watching = replace(case, policy=policy)
    note(f"{case}\n{policy}")
    try:
        plan = oo.optimize(case.project(), gap=0.0)
    except oo.Infeasible:
        with pytest.raises(oo.Infeasible):
            oo.optimize(watching.project(), gap=0.0)
        return
    other = oo.optimize(watching.project(), gap=0.0)
    pd.testing.assert_frame_equal(plan.contacts, other.contacts)
    told = {r["name"] for r in plan.certificate["rules"]}
    assert [r for r in other.certificate["rules"] if r["name"] in told] == plan.certificate["rules"]
    assert (other.objective, other.bound) == (plan.objective, plan.bound)


# other ids


def renamed(case: tiny.Case, rename: Callable[[str], str]) -> tiny.Case:
    """The case with every id written otherwise, in tables and in the policy."""
    columns = ("customer_id", "offer_id", "action_id", "household_id", "channel", "fallback", "offer")

    def cell(value: Any) -> Any:
        return rename(value) if isinstance(value, str) and value else value

    tables = {
        name: frame.assign(**{c: frame[c].map(cell, na_action="ignore") for c in frame if c in columns})
        for name, frame in case.tables.items()
    }  # fmt: skip
    policy = copy.deepcopy(case.policy)
    for section in SECTIONS:
        for rule in policy.get(section, []):
            for key in ("drop", "where", "first", "then", "offer", "needs"):
                if isinstance(rule.get(key), dict):
                    rule[key] = {a: _renamed(c, cell) if a in ("offer", "channel") else c
                                 for a, c in rule[key].items()}  # fmt: skip
            if isinstance(rule.get("over"), dict) and "where" in rule["over"]:
                rule["over"]["where"] = {a: _renamed(c, cell) if a in ("offer", "channel") else c
                                         for a, c in rule["over"]["where"].items()}  # fmt: skip
    lists = [[(cell(c), cell(a)) for c, a in pairs] for pairs in (case.vetoes, case.locks)]
    return tiny.Case(tables, policy, case.horizon, case.multi_valued, *lists)


def _renamed(condition: Any, cell: Callable[[Any], Any]) -> Any:
    if isinstance(condition, dict):
        return {how: _renamed(what, cell) for how, what in condition.items()}
    return [cell(c) for c in condition] if isinstance(condition, list) else cell(condition)


@pytest.mark.parametrize("rename", [lambda i: f"x {i}", lambda i: i[::-1] + "é", lambda i: str(hash_of(i))])
@PARTS
@QUICK
@given(number=NUMBERS)
def test_other_ids_give_the_same_optimum(part: int, rename: Callable[[str], str], number: int) -> None:
    case = tiny.make(Random(3 * number + part))
    other = renamed(case, rename)
    note(f"{case}\n{other}")
    assert same(best(case), best(other))


def hash_of(text: str) -> int:
    """A number that says nothing of the order of texts."""
    return sum(ord(letter) * 31**k for k, letter in enumerate(text)) % 100_003


# twice the market


def doubled(case: tiny.Case) -> tiny.Case:
    """Every customer twice, and every number of a limit that is a sum or is paid once."""
    tables = {}
    own = {"customer_id", "household_id"}
    for name, frame in case.tables.items():
        if "customer_id" in frame:
            twin = frame.assign(**{c: frame[c] + " too" for c in own & set(frame)})
            tables[name] = pd.concat([frame, twin], ignore_index=True)
        else:
            tables[name] = frame.copy()
    policy = copy.deepcopy(case.policy)
    seen = set()
    for rule in policy["limits"]:
        sides = ("fixed_cost",) if "over" in rule else ("min", "max", "fixed_cost")
        for side in sides:
            if isinstance(rule.get(side), Mapping):
                name = rule[side]["table"]
                if name not in seen:
                    tables[name] = tables[name].assign(bound=tables[name]["bound"] * 2)
                seen.add(name)
            elif side in rule:
                rule[side] = 2 * rule[side]
    lists = [pairs + [(f"{c} too", a) for c, a in pairs] for pairs in (case.vetoes, case.locks)]
    return tiny.Case(tables, policy, case.horizon, case.multi_valued, *lists)


@PARTS
@QUICK
@given(number=NUMBERS)
def test_twice_the_market_is_worth_twice_as_much_at_least(part: int, number: int) -> None:
    """The plan of the one half, for both halves, keeps doubled limits; a larger market may do better."""
    case = tiny.make(Random(3 * number + part))
    other = doubled(case)
    note(f"{case}\n{other.policy}")
    once, twice = best(case), best(other)
    assert twice >= 2 * once - CLOSE * max(1.0, abs(once) if once > -math.inf else 1.0)
    if not [rule for rule in case.policy["limits"] if not rule.get("report_only")]:
        assert same(twice, 2 * once)


# files


@PARTS
@settings(QUICK, max_examples=8)
@given(number=NUMBERS)
def test_shuffled_rows_give_the_same_bytes(part: int, tmp_path_factory: Any, number: int) -> None:
    case = tiny.make(Random(3 * number + part))
    note(str(case))
    written = []
    for one in (case, shuffled(case, number)):
        folder: Path = tmp_path_factory.mktemp("plan")
        try:
            oo.optimize(one.project(), gap=0.0).save(folder)
        except oo.Infeasible:
            written.append(None)
        else:
            written.append((folder / "plan.parquet").read_bytes())
    assert written[0] == written[1]


def test_the_changes_above_meet_what_they_change() -> None:
    """Enough of the random projects have rules that can be doubled, and missed for nothing."""
    count = {"twice": 0, "fixed cost named": 0, "limits": 0}
    for number in range(60):
        case = tiny.make(Random(number))
        count["twice"] += duplicated(case, Random(number)) is not None
        count["limits"] += pick(case, Random(number), lambda rule: True) is not None
        count["fixed cost named"] += names_fixed_cost(case.policy)
    assert count["twice"] >= 45 and count["limits"] >= 30 and count["fixed cost named"] >= 1

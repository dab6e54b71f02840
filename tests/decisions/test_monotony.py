"""Relaxing a rule never lowers the optimum; tightening or adding one never raises it."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

import pytest
import tiny
from hypothesis import given, note, settings
from hypothesis import strategies as st
from portions import slow_after

import omniopt as oo

NUMBERS = st.integers(0, 10**9)
QUICK = settings(max_examples=20, deadline=None, derandomize=True, database=None)
SECTIONS = ("eligibility", "limits", "contact", "conflicts", "requires")
NEVER_NEGATIVE = ("contacts", "minutes", "weight", "cost", "cost + 0.5 * contacts")


def best(case: tiny.Case) -> float:
    """The first objective's optimum as maximised; -inf where there is no plan."""
    try:
        plan = oo.optimize(case.project(), gap=0.0)
    except oo.Infeasible:
        return -math.inf
    told = plan.certificate
    found = told["ranks"][0]["best"] if "ranks" in told else plan.objective
    return found if told["sense"] == "maximise" else -found


def relaxations(policy: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every policy that differs in one rule, which is gone or weaker there."""
    found = []
    for section in SECTIONS:
        for position, rule in enumerate(policy.get(section, [])):
            weaker = weakened(section, rule)
            if section == "eligibility" and _tightens_elsewhere(rule, policy):
                continue
            if "fixed_cost" in rule and names_fixed_cost(policy):
                weaker = [w for w in weaker if w.get("fixed_cost") == rule["fixed_cost"]]
                weaker = [w for w in weaker if w.get("report_only") == rule.get("report_only")]
            else:
                weaker = [None, *weaker]
            for changed_rule in weaker:
                changed = copy.deepcopy(dict(policy))
                changed[section][position : position + 1] = [] if changed_rule is None else [changed_rule]
                found.append(changed)
    return found


def weakened(section: str, rule: Mapping[str, Any]) -> list[dict[str, Any]]:
    changes = {"limits": _limit, "contact": _contact, "conflicts": _conflict, "requires": _requires,
               "eligibility": _eligibility}[section](rule)  # fmt: skip
    return [{k: v for k, v in (dict(rule) | change).items() if v is not None} for change in changes]


def _limit(rule: Mapping[str, Any]) -> list[dict[str, Any]]:
    # at zero contacts both sides of a ratio are 0, so only its bounds can be moved
    changes: list[dict[str, Any]] = [
        {side: rule[side] + step}
        for side, step in (("min", -0.25), ("max", 0.25))
        if isinstance(rule.get(side), float | int)
    ]
    alone = "over" not in rule and "rolling_days" not in rule
    if "min" in rule and alone and not isinstance(rule["min"], Mapping) and rule["min"] >= 0:
        changes.append({"all_or_nothing": True})
    if rule.get("rolling_days", 1) > 1 and not {"min", "over"} & set(rule):
        if rule.get("measure", "contacts") in NEVER_NEGATIVE:
            changes.append({"rolling_days": rule["rolling_days"] - 1})
    if "penalty" not in rule:
        changes.append({"penalty": 2.0})
    elif not isinstance(rule["penalty"], Mapping):
        changes.append({"penalty": rule["penalty"] / 2})
    if isinstance(rule.get("fixed_cost"), float | int):
        changes.append({"fixed_cost": rule["fixed_cost"] / 2})
    return [*changes, {"report_only": True}]


def _contact(rule: Mapping[str, Any]) -> list[dict[str, Any]]:
    changes: list[dict[str, Any]] = []
    for side, step in (("max", 1), ("min", -1)):
        if isinstance(rule.get(side), int) and (rule[side] > 1 or side == "max"):
            changes.append({side: rule[side] + step})
    if "min" in rule:
        return [*changes, {"min_or_none": True}]
    if "days" in rule or "every" in rule:
        changes.append({"history": False})
    if rule.get("days", 0) > 1:
        changes.append({"days": rule["days"] - 1})
    if rule.get("unit") == "household":
        changes.append({"unit": "customer"})
    if rule.get("count", "offers") == "offers":
        changes.append({"count": "occasions"})
    return changes


def _conflict(rule: Mapping[str, Any]) -> list[dict[str, Any]]:
    changes: list[dict[str, Any]] = [{"either_order": False}] if rule.get("either_order") else []
    return [*changes, {"days": rule["days"] - 1}] if rule["days"] > 1 else changes


def _requires(rule: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"days": rule["days"] + 1}, {"order": "any"}]


def _eligibility(rule: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "drop" in rule:
        return []
    after = rule["after"]
    changes: list[dict[str, Any]] = [{"after": after | {"times": after.get("times", 1) + 1}}]
    if after.get("within_days", 1) > 1:
        changes.append({"after": after | {"within_days": after["within_days"] - 1}})
    return [*changes, {"for_days": rule["for_days"] - 1}] if rule["for_days"] > 1 else changes


def _tightens_elsewhere(rule: Mapping[str, Any], policy: Mapping[str, Any]) -> bool:
    """Whether more candidates may mean more rules.

    With a channel back come the fallbacks on it and the load that they reserve; with a group's first
    candidate comes the minimum of the group, and with a day's first one the windows of that day.
    """
    groups = any("per" in r and "min" in r for r in [*policy["limits"], *policy["contact"]])
    windows = any("rolling_days" in limit for limit in policy["limits"])
    detours = rule.get("drop_same") == "channel" or any(n.startswith("channel") for n in rule.get("drop", []))
    return groups or windows or detours


def names_fixed_cost(policy: Mapping[str, Any]) -> bool:
    """Whether limits speak of fixed costs, which then do more than cost."""
    return any("fixed_cost" in str([r.get("measure"), r.get("over")]) for r in policy["limits"])


@pytest.mark.parametrize("part", slow_after(1, 4))
@QUICK
@given(number=NUMBERS)
def test_relaxing_one_rule_never_lowers_the_optimum(part: int, number: int) -> None:
    random = Random(4 * number + part)
    case = tiny.make(random)
    options = relaxations(case.policy)
    if not options:
        return
    weaker = random.choice(options)
    note(f"{case}\nweaker: {weaker}")
    assert best(replace(case, policy=weaker)) >= best(case) - 1e-6


@pytest.mark.slow
def test_no_relaxation_of_dozens_of_projects_lowers_the_optimum() -> None:
    for number in range(40):
        case = tiny.make(Random(number))
        before = best(case)
        for weaker in relaxations(case.policy):
            assert best(replace(case, policy=weaker)) >= before - 1e-6, (
                f"case {number}\n{case}\nweaker: {weaker}"
            )


def test_relaxations_are_of_every_section() -> None:
    """The test above relaxes and removes rules of all kinds, often enough to mean something."""
    policies = [tiny.make(Random(n)).policy for n in range(150)]
    count = sum(len(relaxations(p)) for p in policies)
    kinds = {(s, k) for p in policies for s in SECTIONS for r in p.get(s, [])
             for w in weakened(s, r) for k in w if w[k] != r.get(k)}  # fmt: skip
    assert count > 1000
    assert kinds == {
        ("limits", "min"), ("limits", "max"), ("limits", "all_or_nothing"), ("limits", "rolling_days"),
        ("limits", "penalty"), ("limits", "fixed_cost"), ("limits", "report_only"), ("contact", "max"),
        ("contact", "min"), ("contact", "min_or_none"), ("contact", "days"), ("contact", "history"),
        ("contact", "unit"), ("contact", "count"), ("conflicts", "days"), ("conflicts", "either_order"),
        ("requires", "days"), ("requires", "order"), ("eligibility", "after"), ("eligibility", "for_days"),
    }  # fmt: skip

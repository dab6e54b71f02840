"""Relaxing a rule never lowers the optimum; tightening one never raises it."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from random import Random
from typing import Any

import tiny
from hypothesis import given, note, settings
from hypothesis import strategies as st

import omniopt as oo

NUMBERS = st.integers(0, 10**9)
QUICK = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def best(case: tiny.Case) -> float:
    """The optimum as maximised; -inf where there is no plan."""
    try:
        plan = oo.optimize(case.project(), gap=0.0)
    except oo.Infeasible:
        return -math.inf
    return plan.objective if plan.certificate["sense"] == "maximise" else -plan.objective


def relaxations(policy: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every policy that differs in one rule, which is gone or weaker there."""
    found = []
    for section in ("eligibility", "limits", "contact", "conflicts"):
        for position, rule in enumerate(policy.get(section, [])):
            for weaker in [None, *weakened(section, rule)]:
                changed = copy.deepcopy(dict(policy))
                changed[section][position : position + 1] = [] if weaker is None else [weaker]
                if section != "eligibility" or not _tightens_elsewhere(rule, policy["limits"]):
                    found.append(changed)
    return found


def weakened(section: str, rule: Mapping[str, Any]) -> list[dict[str, Any]]:
    if section == "limits":
        # at zero contacts both sides of a ratio are 0, so only its bounds can be moved
        return [
            dict(rule) | {side: rule[side] + step}
            for side, step in (("min", -0.25), ("max", 0.25))
            if isinstance(rule.get(side), float | int)
        ]
    if section == "contact":
        changes: list[dict[str, Any]] = [{"history": False}] if "days" in rule else []
        if isinstance(rule["max"], int):
            changes.append({"max": rule["max"] + 1})
        if rule.get("days", 0) > 1:
            changes.append({"days": rule["days"] - 1})
        return [dict(rule) | change for change in changes]
    if section == "conflicts":
        changes = [{"either_order": False}] if rule.get("either_order") else []
        if rule["days"] > 1:
            changes.append({"days": rule["days"] - 1})
        return [dict(rule) | change for change in changes]
    return []


def _tightens_elsewhere(rule: Mapping[str, Any], limits: list[Mapping[str, Any]]) -> bool:
    """Whether more candidates may mean more rules.

    With a channel back come the fallbacks on it and the load that they reserve; with a group's first
    candidate comes the minimum of the group.
    """
    groups = any("per" in limit and "min" in limit for limit in limits)
    return groups or any(name.startswith("channel") for name in rule["drop"])


@QUICK
@given(NUMBERS)
def test_relaxing_one_rule_never_lowers_the_optimum(number: int) -> None:
    random = Random(number)
    case = tiny.make(random)
    options = relaxations(case.policy)
    if not options:
        return
    weaker = random.choice(options)
    note(f"{case}\nweaker: {weaker}")
    before = best(case)
    after = best(tiny.Case(case.tables, weaker, case.horizon, case.multi_valued, case.vetoes, case.locks))
    assert after >= before - 1e-6


def test_relaxations_are_of_every_section() -> None:
    """The test above relaxes and removes rules of all kinds, often enough to mean something."""
    policies = [tiny.make(Random(n)).policy for n in range(120)]
    count = sum(len(relaxations(p)) for p in policies)
    kinds = {(s, k) for p in policies for s in ("limits", "contact", "conflicts") for r in p.get(s, [])
             for w in weakened(s, r) for k in w if w[k] != r.get(k)}  # fmt: skip
    assert count > 500
    assert kinds >= {
        ("limits", "min"), ("limits", "max"), ("contact", "max"), ("contact", "days"), ("contact", "history"),
        ("conflicts", "days"), ("conflicts", "either_order"),
    }  # fmt: skip

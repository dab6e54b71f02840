"""Starting from an earlier plan: its prices, and its columns where only rows have changed."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from portions import slow_after

import omniopt as oo
from omniopt.decisions.certificate import limit_entries
from omniopt.decisions.large.build import build_large
from omniopt.decisions.large.shape import Large
from omniopt.decisions.large.templates import unit_rows_of
from omniopt.decisions.large.warm import restated, warm_prices
from omniopt.decisions.plan import Plan
from omniopt.errors import BadInput

NUMBERS = st.integers(0, 10**9)  # a case can be made again by its number: tiny.make(Random(number))
QUICK = settings(
    max_examples=20, deadline=None, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
POLICY = {
    "objective": "value",
    "limits": [
        {"name": "budget", "measure": "cost", "max": 60},
        {"name": "quota", "per": ["offer"], "max": 20, "min": 2},
        {"name": "desk", "where": {"channel": "call"}, "per": ["customer.region"], "max": 5},
        {"name": "share", "where": {"channel": "mail"}, "over": "contacts", "max": 0.5, "min": 0.1},
    ],
    "contact": [{"name": "one each", "max": 1}],
}


@pytest.fixture(scope="module")
def project() -> oo.Project:
    """A hundred customers with six candidates each."""
    random = np.random.default_rng(5)
    actions = pd.DataFrame(
        [(f"{o}-{c}", o, c) for o in "abc" for c in ("call", "mail")],
        columns=["action_id", "offer_id", "channel"],
    )
    customers = pd.DataFrame({"customer_id": [f"c{i:03}" for i in range(100)]})
    customers["region"] = random.choice(["north", "south"], 100)
    candidates = customers[["customer_id"]].merge(actions[["action_id"]], how="cross")
    candidates["value"] = random.uniform(1, 9, 600).round(2)
    candidates["cost"] = np.tile([1.0, 0.5], 300)
    return oo.Project.from_frames(POLICY, actions=actions, customers=customers, candidates=candidates)


@pytest.fixture(scope="module")
def large(project: oo.Project) -> Large:
    """The project's problem as if a plan had been made from it."""
    found, _ = build_large(project)
    found.extra["scores"] = None
    return found


def plan_with(large: Large, prices: np.ndarray) -> Plan:
    """A plan that claims these prices and nothing else."""
    rules = limit_entries(large, np.zeros(len(large.system.objective)), prices)
    none = pd.DataFrame()
    return Plan({"rules": rules}, none, none, none)


# ---- prices


def test_prices_go_to_the_same_rows(large: Large) -> None:
    prices = np.arange(1.0, len(large.system) + 1)  # both sides of the share have rows of their own
    assert warm_prices(large, plan_with(large, prices)).tolist() == prices.tolist()


def test_a_new_group_takes_the_mean_of_its_rule(large: Large) -> None:
    plan = plan_with(large, np.arange(1.0, len(large.system) + 1))
    rules = plan.certificate["rules"]
    quota = [e for e in rules if e["name"] == "quota"]
    rules.remove(quota[2])
    row = large.coupling.group.index({"offer": "c"})
    assert warm_prices(large, plan)[row] == (quota[0]["price"] + quota[1]["price"]) / 2


def test_a_new_rule_has_no_price(large: Large) -> None:
    plan = plan_with(large, np.ones(len(large.system)))
    plan.certificate["rules"] = [e for e in plan.certificate["rules"] if e["name"] != "desk"]
    found = warm_prices(large, plan)
    assert found[[rule == "desk" for rule in large.coupling.rule]].tolist() == [0, 0]
    assert found.sum() == len(found) - 2


# ---- columns


def assert_same_problem(found: Large, wanted: Large) -> None:
    """Both state the same rows over the same candidates."""
    for name in ("coupling", "watched"):
        one, other = getattr(found, name), getattr(wanted, name)
        assert (one.rule, one.group, one.cells.group) == (other.rule, other.group, other.cells.group)
        for part in ("lo", "hi", "ratio", "past", "penalty", "cell", "opening", "fixed"):
            np.testing.assert_array_equal(getattr(one, part), getattr(other, part))
    for part in ("lo", "hi", "objective", "extra_objective"):
        np.testing.assert_array_equal(getattr(found.system, part), getattr(wanted.system, part))
    assert abs(found.system.matrix - wanted.system.matrix).sum() == 0
    for part in ("start", "bin", "measures", "customer"):
        np.testing.assert_array_equal(getattr(found.columns, part), getattr(wanted.columns, part))
    assert unit_rows(found) == unit_rows(wanted)
    assert found.notes == wanted.notes
    assert len(found.ranked) == len(wanted.ranked)


def unit_rows(large: Large) -> list[Any]:
    rows = unit_rows_of(large.templates, large.columns, np.arange(large.columns.units))
    members = [rows.member[a:b].tolist() for a, b in zip(rows.start, rows.start[1:], strict=False)]
    listed = zip(rows.unit, rows.rule, rows.lo, rows.cap, rows.trigger, members, strict=True)
    return sorted((int(u), rows.names[r], *map(int, b), m) for u, r, *b, m in listed)


@pytest.mark.parametrize("part", slow_after(1, 3))
@settings(QUICK)
@given(number=NUMBERS)
def test_other_bounds_on_the_same_columns(part: int, number: int) -> None:
    case = tiny.make(Random(3 * number + part))
    note(str(case))
    project, random = case.project(), Random(number)
    try:
        before, _ = build_large(project)
    except BadInput:
        return
    before.extra["scores"] = None
    changed = project
    for limit in case.policy["limits"]:
        if isinstance(limit.get("max"), int | float) and random.random() < 0.7:
            changed = changed.with_limit(limit["name"], max=limit["max"] + 0.5)
    for contact in case.policy["contact"]:
        if isinstance(contact.get("max"), int) and random.random() < 0.7:
            changed = changed.with_contact(contact["name"], max=contact["max"] + 1)
    found = restated(changed, before, None)
    assert found is not None
    assert found.columns.measures is before.columns.measures
    assert found.project is changed
    assert_same_problem(found, build_large(changed)[0])


def test_a_rule_may_be_left_out(project: oo.Project, large: Large) -> None:
    policy = POLICY | {"limits": POLICY["limits"][:2]}
    found = restated(other(project, policy), large, None)
    assert found is not None
    assert set(found.coupling.rule) == {"budget", "quota"}


@pytest.mark.parametrize(
    "limit",
    [
        {"name": "new", "measure": "value", "per": ["customer.region"], "max": 9},
        {"name": "new", "where": {"customer.region": "south"}, "max": 9},
    ],
)
def test_a_new_question_needs_new_columns(project: oo.Project, large: Large, limit: dict[str, Any]) -> None:
    assert restated(other(project, POLICY | {"limits": [*POLICY["limits"], limit]}), large, None) is None


def test_other_data_need_new_columns(project: oo.Project, large: Large) -> None:
    again = oo.Project.from_frames(POLICY, **project.frames)
    assert restated(again, large, None) is None
    veto = pd.DataFrame({"customer_id": ["c001"], "action_id": ["a-call"]})
    assert restated(project.with_decisions(veto, None), large, None) is None
    assert restated(project, large, pd.DataFrame()) is None
    assert restated(project, None, None) is None


def other(project: oo.Project, policy: dict[str, Any]) -> oo.Project:
    """The project with another policy, its tables in memory."""
    return replace(project, policy=policy)

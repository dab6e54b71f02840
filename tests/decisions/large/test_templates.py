"""Templates against the rows within units that are made for every candidate."""

from __future__ import annotations

import itertools
from random import Random

import numpy as np
import pandas as pd
import pytest
import tiny
from binned import binned
from portions import slow_after

import omniopt as oo
from omniopt.decisions.large.shape import FREE, ONE
from omniopt.decisions.large.templates import unit_rows_of, unmet
from omniopt.decisions.problem import Problem, build_problem
from omniopt.errors import BadInput
from omniopt.rules.unit_rows import UnitRows


def choices(rows: UnitRows, mine: np.ndarray, unit: int, size: int) -> set[tuple[int, ...]]:
    """All choices among some candidates that keep the rows of a unit."""
    own = rows.unit == unit
    found = set()
    for count in range(len(mine) + 1):
        for some in itertools.combinations(mine.tolist(), count):
            chosen = np.zeros(size, bool)
            chosen[list(some)] = True
            if rows.kept(chosen)[own].all():
                found.add(some)
    return found


def agree(problem: Problem) -> None:
    small = binned(problem)
    stated = small.templates()
    assert not small.scopes.faults
    columns = small.columns(stated)
    units = np.unique(problem.unit)
    rows = unit_rows_of(stated.templates, columns, np.arange(columns.units))
    locked = set(problem.locked.tolist())
    for place, unit in enumerate(units):
        mine = np.arange(columns.start[place], columns.start[place + 1])
        true = choices(problem.units, mine, unit, len(problem))
        true = {some for some in true if locked & set(mine.tolist()) <= set(some)}
        assert choices(rows, mine, place, len(problem)) == true
        shape = stated.templates.shape[columns.template[place]]
        if shape == FREE:
            assert len(true) == 2 ** len(mine)
        if shape == ONE:
            assert len(true) == 1 + len(mine)
    empty = np.setdiff1d(np.arange(len(problem.grouping.names)), units)
    lacking = [
        u
        for u in empty
        if not problem.units.kept(np.zeros(len(problem), bool))[problem.units.unit == u].all()
    ]
    assert unmet(stated.templates, stated.template_of, empty)[0].tolist() == lacking


def kept_units(rows: UnitRows, chosen: np.ndarray, units: int) -> np.ndarray:
    """Which units' rows a choice keeps."""
    return np.bincount(rows.unit, ~rows.kept(chosen), minlength=units) == 0


def agree_on_draws(problem: Problem, r: Random) -> None:
    """As `agree`, by random choices instead of all."""
    small = binned(problem)
    stated = small.templates()
    columns = small.columns(stated)
    units = np.unique(problem.unit)
    rows = unit_rows_of(stated.templates, columns, np.arange(columns.units))
    for share in [0.0, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7] * 12:
        chosen = np.array([r.random() < share for _ in range(len(problem))], bool)
        true = kept_units(problem.units, chosen, len(problem.grouping.names))[units]
        assert np.array_equal(kept_units(rows, chosen, columns.units), true)


def crowd(r: Random, case: tiny.Case, size: int) -> tiny.Case:
    """The same project with many customers like those of the case, each with a past of its own."""
    tables = dict(case.tables)
    base = tables["customers"]
    like = [r.randrange(len(base)) for _ in range(size)]
    people = base.iloc[like].reset_index(drop=True)
    old = people["customer_id"]
    people["customer_id"] = [f"p{i:02}" for i in range(size)]
    people["household_id"] = [f"{home}{i // 4}" for i, home in enumerate(people["household_id"])]
    tables["customers"] = people
    new = pd.DataFrame({"customer_id": old, "new": people["customer_id"]})
    for name in {"candidates", "scores", "consents"} & set(tables):
        frame = new.merge(tables[name], on="customer_id").drop(columns="customer_id")
        tables[name] = frame.rename(columns={"new": "customer_id"})
    if "history" in tables:
        past = tables["history"]
        rows = past.iloc[[r.randrange(len(past)) for _ in range(3 * size)]].reset_index(drop=True)
        rows["customer_id"] = [r.choice(list(people["customer_id"])) for _ in range(len(rows))]
        offers, channels = tables["offers"]["offer_id"], tables["channels"]["channel"]
        rows["offer_id"] = [r.choice(list(offers)) for _ in range(len(rows))]
        rows["channel"] = [r.choice(list(channels)) for _ in range(len(rows))]
        rows["date"] = [d if d > 0 else -r.randrange(12) for d in rows["date"]]
        tables["history"] = rows.drop_duplicates(["customer_id", "offer_id", "channel", "date"])
    return tiny.Case(tables, case.policy, case.horizon, case.multi_valued)


SEEDS = slow_after(20, 600)


@pytest.mark.parametrize("seed", SEEDS)
def test_templates_keep_the_same_choices(seed: int) -> None:
    case = tiny.make(Random(seed))
    try:
        problem = build_problem(case.project())
    except BadInput:
        return
    agree(problem)


@pytest.mark.parametrize("seed", SEEDS)
def test_customers_that_share_a_template_are_alike(seed: int) -> None:
    r = Random(seed)
    case = tiny.make(r)
    try:
        problem = build_problem(crowd(r, case, 24).project())
    except BadInput:
        return
    agree_on_draws(problem, r)


def project(customers: dict[str, list[object]], rows: list[tuple[str, str]], **policy: object) -> oo.Project:
    """Two offers on three days; who has which as a candidate is in ``rows``."""
    actions = [(f"{offer}{day}", offer, "mail", day) for offer in "xy" for day in (1, 2, 3)]
    return oo.Project.from_frames(
        {"objective": "value", **policy},
        horizon={"start": tiny.START, "days": 3},
        customers=pd.DataFrame(customers),
        offers=pd.DataFrame({"offer_id": ["x", "y"]}),
        channels=pd.DataFrame({"channel": ["mail"]}),
        actions=pd.DataFrame(actions, columns=["action_id", "offer_id", "channel", "date"]),
        candidates=pd.DataFrame(rows, columns=["customer_id", "action_id"]).assign(value=1.0),
    )


ROWS = [
    ("a", "x1"),
    ("a", "x2"),
    ("a", "x3"),
    ("b", "x1"),
    ("b", "y2"),
    ("c", "y1"),
    ("c", "y2"),
    ("c", "y3"),
]


@pytest.mark.parametrize("days", [{}, {"days": 1}, {"days": 2}])
def test_what_is_asked_of_each_value_that_there_is(days: dict[str, int]) -> None:
    customers: dict[str, list[object]] = {"customer_id": ["a", "b", "c", "d"], "most": [1, 1, 0, 2]}
    rules = [{"name": "each", "per": ["offer"], "min": 1, **days}]
    agree(build_problem(project(customers, ROWS, contact=rules)))
    rules[0]["max"] = {"column": "customer.most"}  # less than the minimum for one of them
    agree(build_problem(project(customers, ROWS, contact=rules)))


def test_minimums_of_customers_without_candidates_are_unmet() -> None:
    customers: dict[str, list[object]] = {"customer_id": ["a", "b", "c", "d"], "least": [1, 1, 0, 2]}
    rule = {"name": "some", "min": {"column": "customer.least"}}
    problem = build_problem(project(customers, ROWS, contact=[rule]))
    agree(problem)
    stated = binned(problem).templates()
    unit, place = unmet(stated.templates, stated.template_of, np.array([3]))
    assert unit.tolist() == [3] and stated.templates.names[place[0]] == "some"


@pytest.mark.parametrize(
    "rule", [{"max": 1}, {"max": 1, "days": 7, "unit": "household"}, {"min": 1, "per": ["offer"]}]
)
def test_without_candidates(rule: dict[str, object]) -> None:
    people: dict[str, list[object]] = {"customer_id": ["a", "b"], "household_id": ["h", "h"]}
    contact = [{"name": "rule", **rule}]
    everybody = {"name": "out", "drop": {"channel": "mail"}}
    agree(build_problem(project(people, ROWS[:5], contact=contact, eligibility=[everybody])))

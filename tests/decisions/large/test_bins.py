"""Groups of customers and rows over bins against the rows over the candidates themselves."""

from __future__ import annotations

from random import Random

import numpy as np
import pandas as pd
import pytest
import tiny
from binned import binned
from portions import slow_after

import omniopt as oo
from omniopt.actions.candidates import Candidates, build_candidates
from omniopt.actions.permission import build_permission
from omniopt.decisions.large.bins import eligible
from omniopt.decisions.problem import Problem, build_problem
from omniopt.errors import BadInput, Faults
from omniopt.rules.eligibility import drop_ineligible
from omniopt.rules.limits import Coupling

SEEDS = slow_after(20, 400)


def problem_of(seed: int) -> Problem | None:
    try:
        return build_problem(tiny.make(Random(seed)).project())
    except BadInput:
        return None


@pytest.mark.parametrize("seed", SEEDS)
def test_rows_over_bins_say_what_rows_over_candidates_say(seed: int) -> None:
    problem = problem_of(seed)
    if problem is None:
        return
    small = binned(problem)
    stated = small.rows()
    assert not small.scopes.faults
    place = small.bin * small.bins.width
    measures = small.measures()

    def same(mine: object, true: object) -> None:
        expected = sum(mine[:, place + t] * measures[:, t] for t in range(small.bins.width))  # type: ignore
        assert np.array_equal(expected.toarray(), true.toarray())  # type: ignore

    def same_rows(mine: Coupling, true: Coupling) -> None:
        same(mine.numerator, true.numerator)
        same(mine.denominator, true.denominator)
        assert (mine.rule, mine.group) == (true.rule, true.group)
        for name in ("lo", "hi", "ratio", "past", "past_over", "penalty", "cell", "opening", "fixed"):
            np.testing.assert_array_equal(getattr(mine, name), getattr(true, name), name)
        members = mine.cells.member[:, place]
        assert np.array_equal(members.toarray(), true.cells.member.toarray())
        assert (mine.cells.rule, mine.cells.group) == (true.cells.rule, true.cells.group)
        assert np.array_equal(mine.cells.cost, true.cells.cost)
        empty = [np.diff(c.numerator.indptr) == 0 for c in (mine, true)]
        assert np.array_equal(*empty), "what matches nothing"

    same_rows(stated.coupling, problem.coupling)
    same_rows(stated.watched, problem.watched)
    for mine, true in zip(stated.ranked, problem.ranked, strict=True):
        value = sum(mine.objective[place + t] * measures[:, t] for t in range(small.bins.width))
        assert np.array_equal(value, true.objective)
        assert np.array_equal(mine.cells, true.cells)
    assert np.array_equal(stated.system.lo, problem.system.lo)


@pytest.mark.parametrize("seed", SEEDS)
def test_bins_lose_what_their_candidates_lose(seed: int) -> None:
    problem = problem_of(seed)
    if problem is None or not problem.policy.eligibility:
        return
    small = binned(problem)
    bins, catalogue, tables = small.bins, problem.catalogue, problem.tables
    rules = [rule for rule in problem.policy.eligibility if rule.drop is not None]
    found = eligible(problem.policy, bins, small.scopes)
    c: Candidates = build_candidates(
        catalogue, tables, build_permission(catalogue, tables, Faults()), Faults()
    )
    c.reason[:] = 0
    kind = np.searchsorted(bins.action, c.action)
    base = bins.group_of[c.customer].astype(np.int64) * bins.kinds + kind
    before = base + (c.fallback >= 0)
    matched = drop_ineligible(c, rules, small.scopes)
    assert np.array_equal(found.bin[before], base + (c.fallback >= 0))
    assert matched == {name: int(mask[before].sum()) for name, mask in found.matched.items()}
    names = ["", *(rule.name for rule in problem.policy.eligibility)]
    assert [c.reasons[r] for r in c.reason] == [names[r] for r in found.reason[before]]


def customers(frame: pd.DataFrame, **policy: object) -> np.ndarray:
    tables = {
        "customers": frame,
        "offers": pd.DataFrame({"offer_id": ["o"]}),
        "channels": pd.DataFrame({"channel": ["c"]}),
        "actions": pd.DataFrame({"action_id": ["a"], "offer_id": ["o"], "channel": ["c"]}),
        "candidates": pd.DataFrame({"customer_id": frame["customer_id"], "action_id": "a", "value": 1.0}),
    }
    problem = build_problem(oo.Project.from_frames({"objective": "value", **policy}, **tables))
    return binned(problem).bins.group_of


def test_customers_are_told_apart_only_by_what_is_asked() -> None:
    frame = pd.DataFrame(
        {"customer_id": ["a", "b", "c", "d"], "age": [10, 30, 50, None], "most": [1, 1, 2, 2]}
    )
    assert len(set(customers(frame))) == 1
    young = {"name": "young", "drop": {"customer.age": {"lt": 18}}}
    assert customers(frame, eligibility=[young]).tolist() == [1, 0, 0, 0]
    old = {"name": "old", "drop": {"customer.age": {"ge": 40}}}
    assert len(set(customers(frame, eligibility=[young, old]))) == 3
    cap = {"name": "own", "max": {"column": "customer.most"}}
    assert len(set(customers(frame, contact=[cap]))) == 2
    assert len(set(customers(frame, contact=[cap], eligibility=[old]))) == 3
    by_age = {
        "name": "by age",
        "where": {"customer.age": {"is_null": False}},
        "per": ["customer.age"],
        "max": 1,
    }
    assert len(set(customers(frame, limits=[by_age]))) == 4


def test_fixed_shares_and_groups_that_only_a_table_knows() -> None:
    frame = pd.DataFrame({"customer_id": ["a", "b"], "region": ["n", "s"]})
    assert len(set(customers(frame, limits=[{"name": "l", "per": ["customer.region"], "max": 1}]))) == 2

"""Large problems are what small ones are, laid out otherwise."""

from __future__ import annotations

from pathlib import Path
from random import Random

import broken
import numpy as np
import pytest
from portions import slow_after
from tiny import make

import omniopt as oo
from omniopt.decisions.large import columns, sift
from omniopt.decisions.large.build import build_large
from omniopt.decisions.large.shape import Large
from omniopt.decisions.problem import Problem, build_problem
from omniopt.errors import BadInput
from omniopt.tables import storage


def both(project: oo.Project) -> tuple[Problem, Large] | None:
    """Build both, or see that both refuse for the same reasons."""
    problem = large = None
    faults: list[set[str]] = []
    try:
        problem = build_problem(project)
    except BadInput as error:
        faults.append({str(f) for f in error.faults})
    try:
        large, _ = build_large(project)
    except BadInput as error:
        faults.append({str(f) for f in error.faults})
    if problem is None or large is None:
        assert len(faults) == 2
        assert faults[0] == faults[1]
        return None
    return problem, large


def customer_of(large: Large) -> np.ndarray:
    """Customer of every candidate."""
    c = large.columns
    return np.repeat(c.customer, np.diff(c.start)) if len(c.customer) == c.units else c.customer


def measure_of(large: Large, name: str) -> np.ndarray:
    bins, c = large.bins, large.columns
    if name in bins.terms:
        return c.measures[:, bins.terms.index(name)]
    return c.shown[name] if name in c.shown else bins.constant[name][c.bin]


def assert_agree(problem: Problem, large: Large) -> None:
    """Candidates, reasons, notes and rows are the same."""
    bins, columns, candidates = large.bins, large.columns, problem.candidates
    assert len(large) == len(problem)
    assert np.array_equal(customer_of(large), candidates.customer)
    kind = columns.bin % max(bins.kinds, 1)
    assert np.array_equal(columns.bin // max(bins.kinds, 1), bins.group_of[candidates.customer])
    assert np.array_equal(bins.action[kind], candidates.action)
    assert np.array_equal(bins.fallback[kind], candidates.fallback)
    assert np.array_equal(np.unique(columns.bin), np.flatnonzero(bins.occurs))
    units = np.unique(problem.unit)
    assert columns.units == len(units)
    assert np.array_equal(np.repeat(units, np.diff(columns.start)), problem.unit)
    if len(columns.key):
        assert np.array_equal(columns.key % max(bins.kinds, 1), kind)
    else:
        assert np.array_equal(np.repeat(columns.base, np.diff(columns.start)) + kind, columns.bin)
    assert np.array_equal(large.locked, problem.locked)
    for name in {"value", "cost", "response"} & set(candidates.measures):
        assert np.array_equal(measure_of(large, name), candidates.measures[name])
    everything = problem.everything
    counts = np.bincount(everything.reason, minlength=len(everything.reasons))
    expected = {r: int(n) for r, n in zip(everything.reasons[1:], counts[1:], strict=True) if n}
    assert large.dropped == expected
    out = large.extra["taken_out"]
    gone = np.flatnonzero(everything.reason)
    assert np.array_equal(out.customer, everything.customer[gone])
    assert np.array_equal(out.action, everything.action[gone])
    assert [out.reasons[r] for r in out.reason] == [everything.reasons[r] for r in everything.reason[gone]]
    assert large.eligibility == problem.eligibility
    assert large.candidates_given == len(everything)
    assert large.notes == problem.notes
    for mine, theirs in ((large.coupling, problem.coupling), (large.watched, problem.watched)):
        rows_agree(large, mine, theirs)
    terms = np.column_stack([np.ones(len(large)), columns.measures])
    worth = (large.table(large.system.objective)[columns.bin] * terms).sum(axis=1)
    assert np.allclose(worth, problem.objective, rtol=1e-12, atol=1e-12)


def rows_agree(large: Large, mine, theirs) -> None:  # type: ignore[no-untyped-def]
    columns = large.columns
    terms = np.column_stack([np.ones(len(large)), columns.measures])
    assert mine.rule == theirs.rule
    assert mine.group == theirs.group
    for side in ("lo", "hi"):
        assert np.array_equal(getattr(mine, side), getattr(theirs, side))
    for row, expected in zip(mine.matrix.toarray(), theirs.matrix.toarray(), strict=True):
        found = (large.table(row)[columns.bin] * terms).sum(axis=1)
        assert np.allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", slow_after(30, 150))
def test_the_same_problem(seed: int) -> None:
    found = both(make(Random(seed)).project())
    if found is not None:
        assert_agree(*found)


@pytest.mark.parametrize("seed", slow_after(10, 50))
def test_lots_of_few_candidates(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (sift, columns):
        monkeypatch.setattr(module, "LOT", 2)
    found = both(make(Random(150 + seed)).project())
    if found is not None:
        assert_agree(*found)


@pytest.mark.parametrize("seed", slow_after(5, 20))
def test_long_columns_in_files(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "LONG", 1)
    monkeypatch.setattr(storage, "_room", storage._Room())
    monkeypatch.setattr(storage, "available_memory", lambda: 0)
    found = both(make(Random(200 + seed)).project())
    if found is not None:
        assert_agree(*found)


@pytest.mark.parametrize("name", [*broken.TABLES, *broken.POLICY])
def test_the_same_faults(tmp_path: Path, name: str) -> None:
    change = (broken.TABLES | broken.POLICY)[name]
    try:
        project = oo.Project.load(broken.lay(tmp_path, change))
    except BadInput:
        return  # of the project file, which both read alike
    found = both(project)
    if found is not None:
        assert_agree(*found)

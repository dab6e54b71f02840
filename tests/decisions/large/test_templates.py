"""Templates against the rows within units that are made for every candidate."""

from __future__ import annotations

import itertools
from random import Random

import numpy as np
import pytest
import tiny
from binned import binned

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


@pytest.mark.parametrize("seed", range(300))
def test_templates_keep_the_same_choices(seed: int) -> None:
    try:
        problem = build_problem(tiny.make(Random(seed)).project())
    except BadInput:
        return
    agree(problem)

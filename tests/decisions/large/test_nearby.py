"""Units close to a change: told apart from the others, and given whole sets so that limits are kept about."""

import math

import numpy as np
import pytest
from test_prices import KINDS, Case

from omniopt.decisions.large.nearby import nearby
from omniopt.decisions.large.part import use_of
from omniopt.decisions.large.prices import Apart, sharpened, worth_table
from omniopt.decisions.large.shape import FREE, ONE

NOBODY = np.zeros(0, np.int8)


class Bins:
    width = 3

    def __len__(self) -> int:
        return 2 * KINDS


def stated(seed: int, units: int, shape: int = ONE, tied: bool = False) -> Case:
    case = Case(seed, units, shape, rounded=tied)
    if tied:
        case.columns.measures[:, 1] = 1.0
    case.large.columns, case.large.bins = case.columns, Bins()
    return case


def worths(case: Case, table: np.ndarray, at: np.ndarray) -> np.ndarray:
    rows = table[case.columns.bin[at]]
    return rows[:, 0] + (rows[:, 1:] * case.columns.measures[at]).sum(axis=1)


@pytest.mark.parametrize("shape", [ONE, FREE])
@pytest.mark.parametrize("reach", [0.0, 0.5, math.inf])
def test_settled_and_close_units_make_up_a_choice_of_best_sets(shape, reach):
    case = stated(3, 400, shape)
    found = case.lowered()
    table = worth_table(case.large, found.prices)
    apart = Apart.of(case.engine, table, reach)
    near = nearby(case.large, case.engine, found, NOBODY, apart)
    best = case.engine.best(table)
    assert np.array_equal(near.units, np.flatnonzero(best.margin < reach))
    owner = np.flatnonzero(best.chosen) // KINDS
    far = ~np.isin(owner, near.units)
    assert np.array_equal(near.settled, np.flatnonzero(best.chosen)[far])
    assert np.allclose(near.used(near.chosen), use_of(case.large, np.append(near.settled, near.chosen)))
    assert np.array_equal(near.units[near.unit], near.chosen // KINDS)
    worth = np.bincount(near.chosen // KINDS, worths(case, table, near.chosen), case.units)[near.units]
    assert (worth >= best.value[near.units] - found.width - 1e-9).all()
    assert (np.diff(near.chosen) > 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_ties_are_taken_so_that_limits_are_off_by_few_contacts(seed):
    case = stated(seed, 20_000, tied=True)
    found = sharpened(case.large, case.engine, case.lowered(1e-5), NOBODY, 1e-5, math.inf)
    near = nearby(case.large, case.engine, found, NOBODY, found.apart)
    total = case.system.matrix @ near.used(near.chosen)
    blind = case.system.matrix @ use_of(
        case.large, np.flatnonzero(case.engine.best(near.table, noise=1e-6).chosen)
    )
    off, blindly = (
        np.maximum(0.0, np.maximum(t - case.system.hi, case.system.lo - t)).sum() for t in (total, blind)
    )
    assert off <= 3 * len(case.system)
    assert off < 0.5 * blindly

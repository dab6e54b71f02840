"""Whole sets near a split solution: limits are kept, little is lost, nothing beats the best choice."""

import itertools
import math

import numpy as np
import pytest
from scipy import sparse
from test_nearby import NOBODY, stated

from omniopt.decisions.large.exchange import KICKED, TURNS, Limits, _searched, _sets, exchanged
from omniopt.decisions.large.nearby import nearby
from omniopt.decisions.large.part import use_of
from omniopt.decisions.large.prices import Apart, worth_table
from omniopt.decisions.large.shape import ONE

KICKS = np.random.default_rng(0).random((TURNS, KICKED, 2))


def search(owner, value, rows, lo, hi, price, current, wanted=math.inf):
    rows = sparse.csr_array(np.array(rows, float))
    sets = _sets(np.array(owner), len(current), np.array(value, float), rows, np.array(price, float))
    k = rows.shape[1]
    limits = Limits(np.array(lo, float), np.array(hi, float), np.array(price, float), np.ones(k))
    return _searched(sets, limits, np.array(current), np.zeros(k), wanted, 0.01, KICKS)


def test_two_units_change_places_where_one_alone_would_break_a_limit():
    # each may have a call (worth 5 and 9) or a letter (3 and 4); one call and one letter at most
    found = search([0, 0, 1, 1], [5, 3, 9, 4], [[1, 0], [0, 1]] * 2, [0, 0], [1, 1], [5, 0], [0, 3])
    assert found.tolist() == [1, 2]


def test_a_broken_limit_is_mended_at_least_loss():
    # two calls where one is allowed: the one whose letter is nearly as good gives way
    found = search([0, 0, 1, 1], [5, 4.5, 9, 4], [[1, 0], [0, 1]] * 2, [0, 0], [1, 2], [5, 0], [0, 2])
    assert found.tolist() == [1, 2]


def test_nothing_is_returned_where_no_exchange_mends_a_limit():
    assert (search([0, 1], [5, 4], [[1], [1]], [0], [1], [1], [0, 1]) == -1).all()


@pytest.mark.parametrize("seed", range(60))
def test_never_better_than_the_best_and_always_within_the_limits(seed):
    rng = np.random.default_rng(seed)
    units, k = 6, 3
    size = rng.integers(1, 4, units)
    owner = np.repeat(np.arange(units), size)
    start = np.concatenate([[0], np.cumsum(size)])
    value = rng.integers(0, 20, len(owner)).astype(float)
    rows = rng.integers(0, 3, (len(owner), k)) * (rng.random((len(owner), k)) < 0.6)
    hi, lo = rng.integers(2, 9, k).astype(float), np.where(rng.random(k) < 0.3, 1.0, -np.inf)
    price = rng.integers(0, 4, k).astype(float)
    current = start[:-1] + rng.integers(0, size)
    current[rng.random(units) < 0.3] = -1
    found = search(owner, value, rows, lo, hi, price, current)
    choices = [np.array(c) for c in itertools.product(*(range(a, z) for a, z in itertools.pairwise(start)))]
    kept = [c for c in choices if (rows[c].sum(0) <= hi).all() and (rows[c].sum(0) >= lo).all()]
    best = max((value[c].sum() for c in kept), default=-np.inf)
    if found[0] >= 0:
        assert np.array_equal(owner[found], np.arange(units))
        assert (rows[found].sum(0) <= hi).all() and (rows[found].sum(0) >= lo).all()
        assert value[found].sum() <= best
    if not kept:
        assert found[0] < 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("few", [False, True])
def test_close_units_end_within_the_limits_and_near_the_bound(seed, few):
    case = stated(seed, 20_000, ONE)
    large, found = case.large, case.lowered(1e-6)
    apart = Apart.of(case.engine, worth_table(large, found.prices), 0.02)
    near = nearby(large, case.engine, found, NOBODY, apart)
    split = np.zeros(near.engine.candidates)
    split[np.isin(near.whole_places(np.arange(len(split))), near.chosen)] = 1.0
    split[np.flatnonzero(split)[::7]] = 0.5
    units = np.arange(0, len(near.units), 2) if few else np.arange(len(near.units))
    taken = exchanged(near, units, split, 0.02, math.inf)
    assert taken is not None
    assert (np.diff(taken) > 0).all()
    used = use_of(large, np.append(near.settled, taken))
    total, value = case.system.matrix @ used, float(case.system.objective @ used)
    assert (total <= case.system.hi + 1e-6).all() and (total >= case.system.lo - 1e-6).all()
    assert found.bound - 1e-4 * abs(found.bound) <= value <= found.bound

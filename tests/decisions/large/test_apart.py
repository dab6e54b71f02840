"""Units that are settled: their choice holds while worths move less than they lead by."""

from dataclasses import replace

import numpy as np
import pytest
from test_prices import KINDS, Case

from omniopt.decisions.large.apart import Apart
from omniopt.decisions.large.prices import worth_table
from omniopt.decisions.large.shape import FREE
from omniopt.decisions.large.sweep import bound_of

REACH = 0.5


def stated(seed: int, units: int = 3_000, shape: int = 0) -> tuple[Case, np.ndarray, np.ndarray]:
    case = Case(seed, units, shape)
    prices = case.lowered(1e-3).prices
    return case, prices, worth_table(case.large, prices)


@pytest.mark.parametrize("seed", range(20))
def test_sets_that_are_said_to_hold_are_the_best_ones(seed):
    case, prices, table = stated(seed)
    apart = Apart.of(case.engine, table, REACH)
    rng = np.random.default_rng(seed)
    held = 0
    for size in (0.001, 0.01, 0.05, 0.2, 1.0):
        moved = case.system.clipped(prices + size * rng.normal(size=len(prices)) * np.abs(prices))[0]
        other = worth_table(case.large, moved)
        settled = ~np.isin(np.flatnonzero(case.engine.best(other).chosen) // KINDS, apart.close.origin)
        best = np.flatnonzero(case.engine.best(other).chosen)[settled]
        if apart.lead(case.large, other) > 0.0:
            held += 1
            assert np.array_equal(best, apart.settled[0])
            assert apart.at(other).value + apart.close.sweep(other).value == pytest.approx(
                case.engine.sweep(other).value, rel=1e-12
            )
    assert held >= 1


def test_a_move_as_large_as_the_lead_is_not_trusted():
    case, _, table = stated(1)
    apart = Apart.of(case.engine, table, REACH)
    near, far = table.copy(), table.copy()
    near[0, 0] += 0.99 * REACH
    far[0, 0] += 1.01 * REACH
    assert apart.lead(case.large, table) == REACH
    assert apart.lead(case.large, near) == pytest.approx(0.01 * REACH)
    assert apart.lead(case.large, far) < 0.0
    near[1, 0] -= 0.02 * REACH  # both together come nearer to each other by more than the lead
    assert apart.lead(case.large, near) < 0.0
    apart_groups = table.copy()
    apart_groups[0, 0] += 0.6 * REACH
    apart_groups[KINDS + 1, 0] -= 0.6 * REACH  # nobody can choose between these two
    assert apart.lead(case.large, apart_groups) == pytest.approx(0.4 * REACH)
    case.large.columns = replace(case.large.columns, key=np.zeros(len(case.columns), np.int32))
    assert apart.lead(case.large, apart_groups) < 0.0  # but a household may
    shut = table.copy()
    shut[0, 0] = -np.inf
    assert apart.lead(case.large, shut) == 0.0


def test_units_that_may_have_several_contacts_are_looked_at_again():
    case, _, table = stated(2, shape=FREE)
    assert Apart.of(case.engine, table, REACH).lead(case.large, table) == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_looking_at_the_close_units_alone_is_looking_at_all(seed):
    case, prices, table = stated(seed)
    apart = Apart.of(case.engine, table, REACH)
    other = worth_table(case.large, case.system.clipped(1.001 * prices)[0])
    lead = apart.lead(case.large, other)
    assert 0.0 < lead < REACH
    within, again = apart.within(case.engine, other, lead), Apart.of(case.engine, other, lead)
    assert np.array_equal(within.close.origin, again.close.origin)
    assert np.array_equal(np.sort(np.concatenate(within.settled)), again.settled[0])
    assert within.rest.use == pytest.approx(again.rest.use)
    assert within.rest.value == pytest.approx(again.rest.value)
    assert (within.rest.units, within.rest.contacts) == (again.rest.units, again.rest.contacts)


def test_a_bound_made_of_both_is_never_below_the_true_one():
    case, prices, table = stated(3, 20_000)
    apart = Apart.of(case.engine, table, REACH)
    true = case.engine.sweep(table)
    close = case.engine.taken(apart.close.origin).sweep(table)
    together = apart.at(table)
    both = bound_of(case.large, prices, together) + close.value
    assert both >= bound_of(case.large, prices, true) - 1e-9 * abs(true.value)
    assert together.depth > 0

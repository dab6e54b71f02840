"""The search of a customer's best set, beside trying every set."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniopt.decisions import kernels
from omniopt.rules.unit_rows import ALWAYS, ANY, NO_CAP, UnitRows

NUMBERS = st.integers(0, 10**9)
QUICK = settings(max_examples=300, deadline=None, derandomize=True, database=None)


@dataclass
class Units:
    """Random units of up to nine candidates, with rows and worths."""

    customer: np.ndarray
    worth: np.ndarray
    forced: np.ndarray
    rows: list[tuple[int, int, int, list[tuple[int, int]]]]  # (lo, cap, trigger, [(member, class), …])

    def index(self) -> kernels.UnitIndex:
        lo, cap, trigger, unit, count = (
            np.array(v, np.int64)
            for v in (
                [lo for lo, _, _, _ in self.rows],
                [cap for _, cap, _, _ in self.rows],
                [trigger for _, _, trigger, _ in self.rows],
                [self.customer[row[0][0]] for *_, row in self.rows],
                [len(row) for *_, row in self.rows],
            )
        )
        member, kind = (
            np.array([pair[i] for *_, row in self.rows for pair in row], np.int64) for i in (0, 1)
        )
        rows = UnitRows.of("rule", unit, count, member, kind, lo, cap, trigger)
        return kernels.UnitIndex.of(self.customer, rows)

    def feasible(self, chosen: set[int], unit: int) -> bool:
        mine = [row for row in self.rows if self.customer[row[-1][0][0]] == unit]
        return all(self._kept(chosen, *row) for row in mine)

    def _kept(self, chosen: set[int], lo: int, cap: int, trigger: int, row: list[tuple[int, int]]) -> bool:
        count = len({k for m, k in row if m in chosen})
        counts = trigger == ALWAYS or (trigger == ANY and count > 0) or trigger in chosen
        return count <= cap and (count >= lo or not counts)

    def best(self, unit: int, forced: np.ndarray) -> float:
        """The greatest worth of a set that keeps rows and forced fates, -inf if there is none."""
        mine = np.flatnonzero(self.customer == unit)
        found = -math.inf
        for size in range(len(mine) + 1):
            for chosen in itertools.combinations(mine.tolist(), size):
                inside = set(chosen)
                kept = all(
                    (forced[j] != 1 or j in inside) and (forced[j] != -1 or j not in inside) for j in mine
                )
                if kept and self.feasible(inside, unit):
                    found = max(found, float(sum(self.worth[j] for j in chosen)))
        return found


def draw(r: Random, most: int = 7) -> Units:
    sizes = [r.randint(1, most) for _ in range(r.randint(1, 3))]
    customer = np.repeat(np.arange(len(sizes)), sizes)
    worth = np.array([r.randint(-4, 12) / 4 if r.random() < 0.5 else r.uniform(-1, 3) for _ in customer])
    forced = np.array([r.choice([0, 0, 0, 0, 0, 1, -1]) for _ in customer], np.int8)
    if r.random() < 0.6:
        forced[:] = 0
    rows = []
    for unit in range(len(sizes)):
        mine = np.flatnonzero(customer == unit).tolist()
        for _ in range(r.randint(0, 4)):
            members = sorted(r.sample(mine, r.randint(1, len(mine))))
            shared = r.random() < 0.4
            classes = [r.randint(0, 2) if shared else m for m in members]
            row = list(zip(members, classes, strict=True))
            if r.random() < 0.4:
                trigger = r.choice([ALWAYS, ANY, r.choice(mine)])
                rows.append((r.randint(1, 2), NO_CAP, trigger, row))
            else:
                rows.append((0, r.randint(0, 3), ALWAYS, row))
    return Units(customer, worth, forced, rows)


def solve(units: Units, forced: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    at = units.index()
    return kernels.best_sets(at.unit_start, units.worth, forced, *at.rows)


def margins(units: Units, forced: np.ndarray, value: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    at, wanted = units.index(), np.ones(len(units.worth), bool)
    return kernels.margins(at.unit_start, units.worth, forced, value, chosen, wanted, *at.rows)


@QUICK
@given(NUMBERS)
def test_best_sets_are_best(number: int) -> None:
    units = draw(Random(number))
    value, chosen, exact = solve(units, units.forced)
    assert exact.all()
    for unit in range(units.customer[-1] + 1):
        best = units.best(unit, units.forced)
        assert value[unit] == pytest.approx(best, abs=1e-9)
        if math.isfinite(best):
            inside = {j for j in np.flatnonzero(chosen) if units.customer[j] == unit}
            assert units.feasible(inside, unit)
            assert sum(units.worth[j] for j in inside) == pytest.approx(best, abs=1e-9)
            assert all((units.forced[j] == 0) or ((units.forced[j] == 1) == bool(chosen[j])) for j in inside)


@QUICK
@given(NUMBERS)
def test_margins_are_what_turning_round_costs(number: int) -> None:
    units = draw(Random(number))
    forced = np.zeros(len(units.worth), np.int8)
    value, chosen, _ = solve(units, forced)
    loss = margins(units, forced, value, chosen)
    assert not forced.any()
    for j, unit in enumerate(units.customer):
        turned = forced.copy()
        turned[j] = -1 if chosen[j] else 1
        other = units.best(unit, turned)
        assert loss[j] == (pytest.approx(value[unit] - other, abs=1e-9) if math.isfinite(other) else math.inf)


@settings(QUICK, max_examples=100)
@given(NUMBERS)
def test_forced_candidates_have_no_margin(number: int) -> None:
    units = draw(Random(number))
    value, chosen, _ = solve(units, units.forced)
    loss = margins(units, units.forced.copy(), value, chosen)
    assert np.isinf(loss[units.forced != 0]).all()


@settings(QUICK, max_examples=60)
@given(NUMBERS, st.integers(1, 6))
def test_a_search_that_is_cut_keeps_an_upper_bound(number: int, limit: int) -> None:
    """Cut after a few nodes, values never fall below the best set's; margins never above what is true."""
    units = draw(Random(number), most=8)
    if any(math.isinf(units.best(unit, units.forced)) for unit in range(units.customer[-1] + 1)):
        units.forced[:] = 0  # what cannot be is found out before any search
    with pytest.MonkeyPatch.context() as patch:
        # compiled code holds its constants, so the search runs as plain Python here
        patch.setattr(kernels, "_solve_unit", kernels._solve_unit.py_func)
        patch.setattr(kernels, "best_sets", kernels.best_sets.py_func)
        patch.setattr(kernels, "margins", kernels.margins.py_func)
        patch.setattr(kernels, "NODE_LIMIT", limit)
        forced = units.forced
        value, chosen, exact = solve(units, forced)
        loss = margins(units, forced.copy(), value, chosen)
    best = [units.best(unit, forced) for unit in range(units.customer[-1] + 1)]
    assert (value >= np.array(best) - 1e-9).all()
    assert value[exact] == pytest.approx(np.array(best)[exact], abs=1e-9)
    for j in np.flatnonzero(forced == 0):
        turned = forced.copy()
        turned[j] = -1 if chosen[j] else 1
        unit = units.customer[j]
        other = units.best(unit, turned)
        assert math.isinf(other) or loss[j] <= value[unit] - other + 1e-9
    for unit in range(len(best)):
        inside = {j for j in np.flatnonzero(chosen) if units.customer[j] == unit}
        asked = any(lo > 0 for lo, _, _, row in units.rows if units.customer[row[0][0]] == unit)
        assert units.feasible(inside, unit) or (asked and not (exact[unit] and math.isfinite(best[unit])))


def test_some_searches_are_cut() -> None:
    """The test above would be worth nothing if no search were ever cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "_solve_unit", kernels._solve_unit.py_func)
        patch.setattr(kernels, "best_sets", kernels.best_sets.py_func)
        patch.setattr(kernels, "NODE_LIMIT", 2)
        cut = [not solve(u := draw(Random(n), 8), u.forced)[2].all() for n in range(60)]
    assert sum(cut) >= 10


def test_empty_unit_rows() -> None:
    none = np.zeros(0, np.int64)
    rows = UnitRows.of("rule", none, none, none, none)
    at = kernels.UnitIndex.of(np.array([0, 0, 1]), rows)
    worth = np.array([2.0, -1.0, 0.5])
    value, chosen, exact = kernels.best_sets(at.unit_start, worth, np.zeros(3, np.int8), *at.rows)
    assert value.tolist() == [2.0, 0.5]
    assert chosen.tolist() == [True, False, True]
    assert exact.all()

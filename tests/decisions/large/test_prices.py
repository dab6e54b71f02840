"""Prices: the bound against the LP on tiny problems, and how soon it settles on larger ones."""

import math
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import linprog

from omniopt.decisions.large.prices import lowered, worth_table
from omniopt.decisions.large.shape import FREE, ONE, Columns, Templates
from omniopt.decisions.large.sweep import Engine, bound_of
from omniopt.decisions.system import System

KINDS = 6


def template(shape: int) -> Templates:
    """At most one contact, or no row at all."""
    entries = KINDS if shape == ONE else 0
    rows = 1 if shape == ONE else 0
    i = np.int32
    return Templates(
        np.array([0, KINDS]), np.arange(KINDS + 1) if entries else np.zeros(KINDS + 1, int),
        np.zeros(entries, i), np.arange(entries, dtype=i), np.array([0, rows]), np.zeros(rows, i),
        np.ones(rows, i), np.full(rows, -1, i), np.zeros(rows, bool), np.zeros(rows, i),
        np.array([entries], i), np.array([shape], np.int8), ["one each"],
    )  # fmt: skip


@dataclass
class Stated:
    """As much of a large problem as prices ask for."""

    system: System
    coupling: Any
    bins: Any
    columns: Columns
    templates: Any


class Case:
    """Random units in two groups, with a budget, quotas, minimums, and on request soft rows and cells."""

    def __init__(
        self, seed: int, units: int, shape: int = ONE, soft: bool = False, cells: int = 0, scale: float = 1.0,
        rounded: bool = False, short: float = 0.0,
    ):  # fmt: skip
        rng = np.random.default_rng(seed)
        n, bins, width = units * KINDS, 2 * KINDS, 3
        group = rng.integers(0, 2, units).astype(np.int32)
        measures = np.stack([rng.gamma(1.0, 5.0, n), rng.uniform(0.5, 2.0, n)], axis=1)
        if rounded:
            measures[:, 0] = np.round(measures[:, 0])
        measures[:, 0] *= scale
        self.units, self.scale = units, scale
        base = group * np.int32(KINDS)
        bin_ = (np.repeat(base, KINDS) + np.tile(np.arange(KINDS, dtype=np.int32), units)).astype(np.int32)
        start = np.arange(0, n + 1, KINDS)
        everyone, nothing = np.arange(units, dtype=np.int32), np.zeros(0, np.int32)
        columns = Columns(start, bin_, measures, everyone, base, nothing, np.zeros(units, np.int32))
        kind, of = np.arange(bins) % KINDS, np.arange(bins) // KINDS
        rows, lo, hi = [], [], []

        def row(mask: np.ndarray, term: int, least: float, most: float) -> None:
            table = np.zeros((bins, width))
            table[:, term] = mask
            rows.append(table.ravel())
            lo.append(least)
            hi.append(most)

        row(np.ones(bins), 2, -np.inf, 0.5 * units)
        row(kind == 0, 0, -np.inf, 0.05 * units)
        row(kind == 1, 0, 0.1 * units + short * units, np.inf)
        row((kind < 3) & (of == 0), 0, 0.05 * units, 0.15 * units)
        row(kind == 5, 0, 0.02 * units, 0.02 * units)
        row((kind >= 3) & (of == 1), 0, -np.inf, 0.1 * units)
        objective = np.zeros((bins, width))
        objective[:, 1] = 1.0
        k = len(rows)
        self.cells = np.zeros((cells, bins * width))
        for g in range(cells):
            self.cells[g, (np.arange(bins) * width)[(kind == 2 + g)]] = 1.0
        slack_row = np.array([1, 2] if soft else [], int)
        slack_side = np.array([-1.0, 1.0] if soft else [])
        extra = np.zeros((k + cells, cells + len(slack_row)))
        for g in range(
            cells
        ):  # all or nothing: what is chosen of the cell is at least 0.12 of the units, or none
            rows.append(self.cells[g])
            lo.append(0.0)
            hi.append(np.inf)
            extra[k + g, g] = -0.12 * units
        extra[slack_row, cells + np.arange(len(slack_row))] = slack_side
        self.system = System(
            objective.ravel(), np.repeat([-0.1 * units * scale, -2.0 * scale], [cells, len(slack_row)]),
            sparse.csr_array(np.array(rows)), sparse.csr_array(extra), np.array(lo), np.array(hi), cells,
            slack_row, slack_side, len(rows),
        )  # fmt: skip
        coupling = SimpleNamespace(
            cells=SimpleNamespace(member=sparse.csr_array(self.cells.reshape(cells, bins * width)))
        )
        templates = template(shape)
        bins_of = SimpleNamespace(width=width, kinds=KINDS)
        self.large = Stated(self.system, coupling, bins_of, columns, templates)
        self.columns, self.shape = columns, shape
        self.engine = Engine(columns, templates, self.system, width)

    def lowered(self, gap: float = 1e-6, held: np.ndarray | None = None, start: np.ndarray | None = None):
        start = np.zeros(len(self.system)) if start is None else start
        return lowered(self.large, self.engine, start, held, gap, math.inf, lambda *_: None)

    def relaxed(self, opened: np.ndarray | None = None) -> float:
        """Value of the LP, each cell's z between 0 and 1 (or as held)."""
        system, n = self.system, len(self.columns)
        width = self.large.bins.width
        use = sparse.csr_array(
            (np.concatenate([np.ones(n), *self.columns.measures.T]),
             (np.tile(np.arange(n), width),
              np.concatenate([self.columns.bin.astype(int) * width + t for t in range(width)]))),
            shape=(n, len(system.objective)),
        )  # fmt: skip
        matrix = sparse.hstack([system.matrix @ use.T, system.extra])
        some, more = np.isfinite(system.hi), np.isfinite(system.lo)
        limits = [matrix.tocsr()[some], -matrix.tocsr()[more]]
        bounds = [system.hi[some], -system.lo[more]]
        extras = system.extra.shape[1]
        if self.shape == ONE:
            one = sparse.kron(sparse.eye(self.units), np.ones((1, KINDS)))
            limits.append(sparse.hstack([one, sparse.csr_array((self.units, extras))]))
            bounds.append(np.ones(self.units))
        cost = -np.concatenate([use @ system.objective, system.extra_objective]) / self.scale
        box = [(0, 1)] * n + [(0, 1)] * system.g + [(0, None)] * (extras - system.g)
        if opened is not None:
            box[n : n + system.g] = [(o, o) for o in opened]
        if system.g:  # no contact of a cell without opening it
            member = sparse.coo_array(self.cells @ use.T.toarray())
            link = np.zeros((len(member.data), n + extras))
            link[np.arange(len(member.data)), member.col] = 1.0
            link[np.arange(len(member.data)), n + member.row] = -1.0
            limits.append(sparse.csr_array(link))
            bounds.append(np.zeros(len(member.data)))
        found = linprog(cost, sparse.vstack(limits), np.concatenate(bounds), bounds=box, method="highs")
        return -found.fun * self.scale if found.status == 0 else -math.inf


@pytest.mark.parametrize("shape", [ONE, FREE])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e9])
def test_the_bound_is_that_of_the_lp(shape, soft, scale):
    for seed in range(5):
        case = Case(seed, 60, shape, soft, scale=scale)
        found, best = case.lowered(), case.relaxed()
        assert found.bound >= best * (1 - 1e-9)
        assert found.bound <= best + 1e-6 * abs(best)
        assert not found.diverging


def test_given_prices_prove_a_bound():
    rng = np.random.default_rng(0)
    case = Case(1, 80)
    best = case.relaxed()
    for _ in range(20):
        prices = case.system.clipped(rng.normal(size=len(case.system)))[0]
        table = worth_table(case.large, prices)
        swept = bound_of(case.large, prices, case.engine.sweep(table))
        assert swept >= best
        assert swept == pytest.approx(bound_of(case.large, prices, case.engine.best(table)))


@pytest.mark.parametrize("rounded", [False, True])
def test_large_problems_settle_in_few_passes(rounded):
    case = Case(3, 150_000, rounded=rounded)
    found = case.lowered()
    assert found.short <= 2e-7 * found.bound
    assert found.sweeps < 25
    again = case.lowered(start=found.prices)
    assert again.bound == pytest.approx(found.bound, rel=3e-7)
    assert again.sweeps <= found.sweeps


@pytest.mark.parametrize("factor", [0.9, 0.97, 1.05])
def test_prices_follow_limits_that_have_changed(factor):
    case = Case(8, 150_000)
    before = case.lowered()
    table = worth_table(case.large, before.prices)
    use = case.engine.sweep(table).use  # no two candidates are worth the same: what a plan uses, or nearly
    hi = case.system.hi.copy()
    hi[0] *= factor
    case.large.system = replace(case.system, hi=hi)
    arguments = (case.large, case.engine.of(case.large.system), before.prices, None, 1e-6, math.inf)
    alone, led = (lowered(*arguments, lambda *_: None, known) for known in (None, use))
    assert led.bound == pytest.approx(alone.bound, rel=3e-7)
    assert led.short <= 1e-6 * led.bound
    assert led.sweeps < alone.sweeps
    assert bound_of(case.large, led.prices, case.engine.sweep(worth_table(case.large, led.prices))) == (
        pytest.approx(led.bound, rel=1e-9)
    )


@pytest.mark.parametrize("missed", [0.0, 0.3, 1.0])
def test_whatever_lead_is_left_the_bound_is_that_of_all_units(missed, monkeypatch):
    monkeypatch.setattr("omniopt.decisions.large.prices.MISSED", missed)
    case = Case(9, 150_000)
    before = case.lowered()
    for factor in (0.9, 0.99, 1.03):
        hi = case.system.hi.copy()
        hi[0] *= factor
        case.large.system = replace(case.system, hi=hi)
        engine = case.engine.of(case.large.system)
        found = lowered(case.large, engine, before.prices, None, 1e-6, math.inf, lambda *_: None)
        assert found.short <= 1e-6 * found.bound
        everybody = engine.sweep(worth_table(case.large, found.prices))
        assert bound_of(case.large, found.prices, everybody) == pytest.approx(found.bound, rel=1e-9)
        other = np.flatnonzero(~np.isin(np.arange(case.units), found.apart.close.origin))
        best = engine.best(worth_table(case.large, found.prices), width=math.inf)
        assert (best.margin[other] >= 0.999 * found.apart.reach).all()


def test_bounds_with_cells_held_and_free():
    case = Case(4, 60, cells=2)
    free = case.lowered()
    plans = []
    for way in ([0, 0], [0, 1], [1, 0], [1, 1]):
        held = np.array(way, np.int8)
        found, best = case.lowered(held=held), case.relaxed(held)
        plans.append(best)
        assert found.bound >= best - 1e-6 * abs(best)
        assert found.bound <= best + 1e-6 * abs(best)
    assert free.bound >= max(plans) - 1e-9


def test_prices_run_off_far_enough_where_few_units_are_moved_at_a_time():
    assert Case(5, 70_000, short=0.95).lowered().diverging


@pytest.mark.parametrize("soft", [False, True])
def test_an_unreachable_minimum_is_noticed(soft):
    case = Case(5, 400, short=0.95)
    found = case.lowered()
    assert found.diverging
    assert case.relaxed() == -math.inf
    fine = Case(5, 400, short=0.95, soft=True).lowered()
    assert not fine.diverging


def test_the_deadline_is_kept():
    case = Case(6, 100)
    found = lowered(case.large, case.engine, np.zeros(6), None, 1e-6, 0.0, lambda *_: None)
    assert found.bound >= case.relaxed()


def test_progress_hears_of_falling_bounds():
    case, heard = Case(7, 100), []

    def tell(bound, prices):
        heard.append(bound)
        assert bound_of(case.large, prices, case.engine.sweep(worth_table(case.large, prices))) >= bound

    found = lowered(case.large, case.engine, np.zeros(6), None, 1e-6, math.inf, tell)
    assert heard == sorted(heard, reverse=True)
    assert heard[-1] == pytest.approx(found.bound)

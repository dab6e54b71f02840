"""From prices to a plan where units have conflicts: a program whose columns are whole sets of contacts.

Rows within units are weak where they forbid pairs: their LP splits hundreds of units. Stated by the
units' best sets, of which each takes one, it splits no more units than limits bind, and is worth no
more than the prices prove (Dantzig and Wolfe, 1960). Units join whose sets differ in as many ways as
possible: many of the same kind, as ties make them, would all mend the same limit.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import sparse

from omniopt.decisions.large.entries import unit_of
from omniopt.decisions.large.hunt import Hunt
from omniopt.decisions.large.listed import Listed, list_sets
from omniopt.decisions.large.margins import closest_sets
from omniopt.decisions.large.part import contributions, gathered, terms_of, use_of
from omniopt.decisions.large.prices import lowered, worth_table
from omniopt.decisions.large.shape import FREE, GENERAL, Large
from omniopt.decisions.large.whole import with_whole_bounds
from omniopt.decisions.model import Model
from omniopt.decisions.relax import LinearProgram
from omniopt.decisions.restrict import restricted
from omniopt.decisions.system import System

FIRST = 2_000  # units whose sets are columns at first
GROWTH = 4
LISTED = 10_000  # units whose sets are listed
MOST = 16  # sets of a unit
NEAR = 0.03  # of what a unit is worth; sets that lose less are listed, or those that units close by lose
ALTERNATIVES = (100, 400, 2_000)  # sets besides the LP's that the exact solver chooses among
LEVELS = 8.0  # into which differences of use are sorted
SMALL = 20_000  # units up to which the bound is lowered again for limits brought to whole numbers
SURE = 1e-9  # of a difference, allowed for rounding
HURRY = 1.0  # seconds for one program of the exact solver


def is_for(large: Large) -> bool:
    """Whether a problem's units have rows that sets say better."""
    if not len(large.system):
        return False
    shape = large.templates.shape[np.unique(large.columns.template)]
    return not large.system.g and bool((shape == GENERAL).any()) and not (shape == FREE).any()


def close_by_sets(hunt: Hunt, prices: np.ndarray, noise: float, held: np.ndarray) -> None:
    """Look for a plan that meets the gap; the parameters are those of `close.close`."""
    large, proven = replace(hunt.large, system=with_whole_bounds(hunt.large)), hunt.from_prices
    tighter = _difference(hunt.large.system, large.system, hunt.prices)
    if tighter > 0.0:
        prices, proven = hunt.prices, proven - (1.0 - SURE) * tighter
        if large.columns.units <= SMALL:  # with more units, whole numbers matter less
            found = lowered(large, hunt.engine, prices, held, hunt.gap, hunt.deadline, lambda _: None)
            if not found.diverging and -math.inf < found.bound < proven:
                prices, proven = found.prices, found.bound
    room = hunt.gap * max(1.0, abs(proven))
    table = worth_table(large, prices, held)
    sets = closest_sets(hunt.engine, table, noise, LISTED)
    units = np.sort(np.argsort(sets.margin, kind="stable")[:LISTED])
    close_by = max(4.0 * float(sets.margin[units][np.isfinite(sets.margin[units])].max(initial=0.0)),
                   NEAR * abs(proven) / large.columns.units)  # fmt: skip
    width = max(min(room, close_by), noise)
    listed = list_sets(hunt.engine, table, units, MOST, 3.0 * width)
    chosen = np.flatnonzero(sets.chosen)
    if not len(listed):
        return
    program = _Sets(large, listed, chosen, prices, width)
    size = FIRST
    while len(program.order) and not (hunt.reached() or hunt.out_of_time()):
        if not program.open(size).relaxed(hunt):
            return
        wanted = proven - 0.99 * room
        if program.value >= wanted:
            for count in ALTERNATIVES:
                if hunt.out_of_time():
                    return
                plan = program.whole(hunt, count, room, wanted)
                if plan is not None:
                    hunt.offer(plan)
                if not hunt.reached() and hunt.objective >= wanted:
                    hunt.tighten(proven)
                hunt.report("sets")
                if hunt.reached():
                    return
        if size >= len(program.order):
            return
        size *= GROWTH


def _difference(system: System, tight: System, prices: np.ndarray) -> float:
    """Return how much lower the bound of some prices is with tighter limits."""
    sides = [np.where(prices > 0, s.hi, s.lo)[prices != 0] for s in (system, tight)]
    return float((sides[0] - sides[1]) @ prices[prices != 0])


class _Alternatives(NamedTuple):
    """How much each set loses against its unit's best, and how many of its kind lose less."""

    loss: np.ndarray
    rank: np.ndarray


class _Sets:
    """The program: which units are open, and what its LP says.

    Parameters
    ----------
    large : Large
    listed : Listed
    chosen : ndarray of int64
        The best sets of all units, as places of candidates.
    prices : ndarray of float64, shape (k + q,)
    width : float
        What sets may lose to be of any use.
    """

    def __init__(
        self, large: Large, listed: Listed, chosen: np.ndarray, prices: np.ndarray, width: float
    ) -> None:
        self.large, self.listed = large, listed
        self.chosen, self.chosen_unit = chosen, unit_of(large.columns, chosen)
        self.objective, self.use = _sums(large, listed)
        found = _alternatives(self.objective, self.use, listed.unit, prices)
        useful = np.flatnonzero((found.loss > 0.0) & (found.loss <= width))
        useful = useful[np.lexsort((found.loss[useful], found.rank[useful]))]
        unit, first = np.unique(listed.unit[useful], return_index=True)
        self.order = unit[np.argsort(first)]

    def open(self, size: int) -> _Sets:
        """Let the first units choose among their sets; all others stay with their best ones."""
        large, system = self.large, self.large.system
        inside = np.zeros(large.columns.units, bool)
        inside[self.order[:size]] = True
        self.outside = self.chosen[~inside[self.chosen_unit]]
        used = use_of(large, self.outside)
        rest = system.matrix @ used
        kept = np.flatnonzero(inside[self.listed.unit])
        self.sets = self.listed.among(inside[self.listed.unit])
        self.units, self.unit = np.unique(self.sets.unit, return_inverse=True)
        n, m, k, extras = len(kept), len(self.units), len(system), system.extra.shape[1]
        one = sparse.csr_array((np.ones(n), (self.unit, np.arange(n))), shape=(m, n))
        matrix = sparse.block_array([[self.use[:, kept], system.extra], [one, None]], format="csr")
        nothing = np.zeros((0, 2), np.int64)
        ones = np.ones(m)
        self.model = Model(
            np.concatenate([self.objective[kept], system.extra_objective]), sparse.csr_array(matrix),
            np.concatenate([system.lo - rest, ones]), np.concatenate([system.hi - rest, ones]),
            np.zeros(n + extras), np.append(np.ones(n), np.full(extras, np.inf)),
            np.arange(n + extras) < n, n, 0, 0, k, nothing[:, 0], nothing, slice(k + m, k + m),
        )  # fmt: skip
        self.settled = float(system.objective @ used)
        return self

    def relaxed(self, hunt: Hunt) -> bool:
        """Solve the LP, unless time is up or no shares of the sets keep the limits."""
        left = hunt.left()
        try:
            found = LinearProgram(self.model, np.arange(self.model.n)).solve(
                math.inf if left is None else left
            )
        except TimeoutError:
            return False
        if found is None:
            self.value = -math.inf
            return True
        self.shares, self.duals = found
        self.value = self.settled + float(self.model.objective @ self.shares)
        return True

    def whole(self, hunt: Hunt, count: int, room: float, wanted: float) -> np.ndarray | None:
        """Let the exact solver choose for the units that the LP splits, and those with good others."""
        model, n = self.model, self.model.n
        shares = self.shares[:n]
        found = _alternatives(model.objective[:n], sparse.csc_array(model.matrix[: model.k, :n]), self.unit,
                              self.duals[: model.k])  # fmt: skip
        loss = (model.matrix.T @ self.duals - model.objective)[:n]
        other = np.flatnonzero((shares < 1e-6) & (loss < room))
        other = other[np.lexsort((loss[other], found.rank[other]))][:count]
        open_ = np.zeros(len(self.units), bool)
        open_[self.unit[other]] = True
        open_[self.unit[(shares > 1e-6) & (shares < 1.0 - 1e-6)]] = True
        free, base = open_[self.unit] & (loss < room), np.round(shares)
        base[open_[self.unit]] = 0.0
        left = hunt.left()
        spent = max(HURRY, 0.5 * (time.monotonic() - hunt.began))
        seconds = spent if left is None else min(spent, left)
        outcome = restricted(model, free, base, room / 4, seconds, wanted - self.settled)
        if outcome.values is None:
            return None
        plan = base > 0.5
        plan[free] = outcome.values > 0.5
        return np.sort(np.concatenate([self.outside, self.sets.among(plan).member]))


def _sums(large: Large, listed: Listed) -> tuple[np.ndarray, sparse.csc_array]:
    """Return what each set is worth, and its use of the limits."""
    at = np.unique(listed.member)
    place, measures = large.columns.bin[at].astype(np.int64) * large.bins.width, terms_of(large, at)
    entries = (np.ones(len(listed.member)), np.searchsorted(at, listed.member), listed.start)
    members = sparse.csc_array(entries, shape=(len(at), len(listed)))
    objective = members.T @ contributions(large.system.objective, place, measures)
    return objective, sparse.csc_array(gathered(large.system.matrix, place, measures) @ members)


def _alternatives(
    objective: np.ndarray, use: sparse.csc_array, unit: np.ndarray, prices: np.ndarray
) -> _Alternatives:
    """Compare each set with its unit's best one at the prices."""
    worth = objective - use.T @ prices
    units, owner = np.unique(unit, return_inverse=True)
    order = np.lexsort((-worth, owner))
    first = order[np.searchsorted(owner[order], np.arange(len(units)))][owner]
    change = sparse.csr_array((use - use[:, first]).T)
    level = LEVELS / np.maximum(abs(change).max(axis=0).toarray().ravel(), 1e-300)
    change = sparse.csr_array(change @ sparse.diags_array(level))
    # kinds of change are told apart by scattered 64-bit numbers
    marks = np.random.default_rng(0).integers(0, 2**63, use.shape[0], dtype=np.int64).astype(np.uint64)
    rows = np.repeat(np.arange(change.shape[0]), np.diff(change.indptr))
    term = np.round(change.data).astype(np.int64).view(np.uint64) * marks[change.indices]
    kind = np.zeros(len(worth), np.uint64)
    np.add.at(kind, rows, term)
    loss = worth[first] - worth
    order = np.lexsort((loss, kind))
    begin = np.flatnonzero(np.append(True, kind[order][1:] != kind[order][:-1]))
    rank = np.empty(len(worth), np.int64)
    rank[order] = np.arange(len(worth)) - np.repeat(begin, np.diff(np.append(begin, len(worth))))
    return _Alternatives(loss, rank)

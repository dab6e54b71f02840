"""The program whose columns are whole sets of contacts, and the LP that asks for the sets it lacks.

Each open unit takes one of its listed sets, all others stay with their best ones. A limit may be
missed at a price in the LP: what its prices are worth to a unit then stays near what they were when
its sets were listed. Sets that are worth more at the LP's prices than what their unit has join, until
the LP is worth what the prices prove; if limits are missed even so, missing them gets dearer (du Merle,
Villeneuve, Desrosiers and Hansen, 1999).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import sparse

from omniopt.decisions.large.entries import unit_of
from omniopt.decisions.large.hunt import EFFORT, Hunt
from omniopt.decisions.large.infeasible import is_impossible
from omniopt.decisions.large.listed import Listed, joined, sets_in
from omniopt.decisions.large.part import contributions, gathered, terms_of, use_of
from omniopt.decisions.large.prices import worth_table
from omniopt.decisions.large.shape import Large
from omniopt.decisions.large.sweep import bound_of
from omniopt.decisions.model import Model
from omniopt.decisions.relax import LinearProgram
from omniopt.decisions.restrict import restricted

JOINING = 5_000  # sets that join at a time
ROUNDS = 500  # times that sets join, or that missing a limit gets dearer
DEARER = 10.0
DEAREST = 1e6  # times the first price of missing a limit
SURE = 1e-7  # of a unit's worth, from which a set is better
LEVELS = 8.0  # into which differences of use are sorted
SPLIT, MISSED = 1e-6, 1e-6  # of a set, and of a limit: less is rounding


class _Alternatives(NamedTuple):
    """How much each set loses against its unit's best, and how many of its kind lose less."""

    loss: np.ndarray
    rank: np.ndarray


class SetProgram:
    """Which units are open, their sets, and what the LP over them says.

    Parameters
    ----------
    large : Large
        Without cells.
    listed : Listed
    chosen : ndarray of int64
        The best sets of all units, as places of candidates.
    prices : ndarray of float64, shape (k + q,)
        At which they are best.
    width : float
        What sets may lose to be of any use.

    Attributes
    ----------
    order : ndarray of int64
        Units with sets of use, the most useful first.
    value : float
        What the LP is worth; -inf if it misses limits.
    bound : float
        The lowest that its prices prove.
    clash : ndarray of float64, or None
        Prices that prove that limits have to be missed.
    """

    def __init__(
        self, large: Large, listed: Listed, chosen: np.ndarray, prices: np.ndarray, width: float
    ) -> None:
        self.large, self.listed, self.prices = large, listed, prices
        self.chosen, self.chosen_unit = chosen, unit_of(large.columns, chosen)
        self.objective, self.use = _sums(large, listed)
        self.inside, self.box = np.zeros(large.columns.units, bool), max(width, 1e-9)
        self.value, self.bound = -math.inf, math.inf
        self.clash: np.ndarray | None = None
        self.duals = prices
        found = _alternatives(self.objective, self.use, listed.unit, prices)
        useful = np.flatnonzero((found.loss > 0.0) & (found.loss <= width))
        useful = useful[np.lexsort((found.loss[useful], found.rank[useful]))]
        unit, first = np.unique(listed.unit[useful], return_index=True)
        self.order = unit[np.argsort(first)]

    def open(self, size: int) -> SetProgram:
        """Let the first units choose among their sets, besides those that are open already."""
        self.inside[self.order[:size]] = True
        return self

    def relaxed(self, hunt: Hunt, wanted: float, room: float) -> bool:
        """Solve the LP, with more and more sets; return whether it then says what plans are worth.

        Parameters
        ----------
        hunt : Hunt
        wanted : float
            What it is worth if no more sets are needed.
        room : float
            A worth of which a small part does not matter.
        """
        dearest, before = DEAREST * self.box, self.prices
        for _ in range(ROUNDS):
            self._state()
            if hunt.out_of_time() or not self._solve(hunt):
                return False
            if self.value >= wanted:
                return True
            if not self._join(hunt, 0.1 * room):
                if not self.misses:
                    return True
                prices = self.duals[: self.model.k]
                if is_impossible(self.large, hunt.engine, prices - before):
                    self.clash = prices - before
                    return False
                before = prices
                self.box *= DEARER
                if self.box > dearest:
                    return False
        return False

    def _state(self) -> None:
        """Write the program down for the units that are open."""
        large, system = self.large, self.large.system
        self.outside = self.chosen[~self.inside[self.chosen_unit]]
        used = use_of(large, self.outside)
        rest = system.matrix @ used
        inside = self.inside[self.listed.unit]
        kept, self.sets = np.flatnonzero(inside), self.listed.among(inside)
        self.units, self.unit = np.unique(self.sets.unit, return_inverse=True)
        n, m, k, extras = len(kept), len(self.units), len(system), system.extra.shape[1]
        one = sparse.csr_array((np.ones(n), (self.unit, np.arange(n))), shape=(m, n))
        missing = sparse.hstack([sparse.eye_array(k), -sparse.eye_array(k)])
        matrix = sparse.block_array([[self.use[:, kept], system.extra, missing], [one, None, None]])
        nothing = np.zeros((0, 2), np.int64)
        ones = np.ones(m)
        self.model = Model(
            np.concatenate([self.objective[kept], system.extra_objective, -self._cost()]),
            sparse.csr_array(matrix),
            np.concatenate([system.lo - rest, ones]), np.concatenate([system.hi - rest, ones]),
            np.zeros(n + extras + 2 * k), np.append(np.ones(n), np.full(extras + 2 * k, np.inf)),
            np.arange(n + extras + 2 * k) < n, n, 0, 0, k, nothing[:, 0], nothing, slice(k + m, k + m),
        )  # fmt: skip
        self.settled = float(system.objective @ used)

    def _cost(self) -> np.ndarray:
        """Return what missing each limit costs, first from below, then from above."""
        steep = abs(self.use).max(axis=1).toarray().ravel()
        more = self.box / np.where(steep > 0.0, steep, 1.0)
        return np.concatenate([np.maximum(-self.prices, 0.0) + more, np.maximum(self.prices, 0.0) + more])

    def _solve(self, hunt: Hunt) -> bool:
        """Solve the LP; return whether time was left."""
        model, left, prices = self.model, hunt.left(), self.duals[: self.model.k]
        worth = model.objective[: model.n] - model.matrix[: model.k, : model.n].T @ prices
        order = np.lexsort((-worth, self.unit))
        program = LinearProgram(model, np.arange(model.n))
        program.begin(prices, order[np.searchsorted(self.unit[order], np.arange(len(self.units)))])
        try:
            found = program.solve(math.inf if left is None else left)
        except TimeoutError:
            return False
        assert found is not None  # every limit may be missed
        values, self.duals = found
        self.shares = values[: model.n]
        self.worth = self.settled + float(model.objective @ values)
        self.misses = bool((values[-2 * model.k :] > MISSED).any())
        self.value = -math.inf if self.misses else self.worth
        return True

    def _join(self, hunt: Hunt, enough: float) -> bool:
        """Let the sets join that are worth more at the LP's prices; return whether there are any."""
        large, k = self.large, self.model.k
        prices = large.system.clipped(self.duals[:k].copy())[0]
        table = worth_table(large, prices)
        best = hunt.engine.best(table, width=0.0)
        self.bound = min(self.bound, bound_of(large, prices, best))
        if len(prices) == len(hunt.large.system):
            prices = hunt.large.system.clipped(prices)[0]
            hunt.price(prices, bound_of(hunt.large, prices, best))
        worth = (table[large.columns.bin[self.chosen]] * terms_of(large, self.chosen)).sum(axis=1)
        now = np.bincount(self.chosen_unit, worth, minlength=large.columns.units)
        # Of the sets at hand, not the LP's dual: where limits are missed, its prices may be beyond any side.
        at_hand = np.full(large.columns.units, -math.inf)
        np.maximum.at(at_hand, self.listed.unit, self.objective - self.use.T @ prices)
        now[self.units] = at_hand[self.units]
        gain = np.where(best.searched, best.value - now, 0.0)
        gain[gain <= SURE * np.maximum(1.0, np.abs(now))] = 0.0
        if gain.sum() <= enough:
            return False
        joining = np.sort(np.argsort(-gain, kind="stable")[: min(JOINING, np.count_nonzero(gain))])
        fresh = joining[~np.isin(joining, self.listed.unit)]
        mask = np.zeros(len(large), bool)
        mask[self.chosen] = True
        more = [sets_in(large.columns, joining, best.chosen), sets_in(large.columns, fresh, mask)]
        self.listed = joined([self.listed, *more])
        self.objective, self.use = _sums(large, self.listed)
        self.inside[joining] = True
        return True

    def whole(self, hunt: Hunt, count: int, room: float, wanted: float) -> np.ndarray | None:
        """Let the exact solver choose for the units that the LP splits, and those with good others.

        Parameters
        ----------
        hunt : Hunt
        count : int
            Sets besides the LP's that it chooses among.
        room : float
            What a set may lose.
        wanted : float
            What a plan has to be worth.

        Returns
        -------
        ndarray of int64 or None
            A plan, as places of candidates; None if none was found.
        """
        model, n, k = self.model, self.model.n, self.model.k
        if not n:
            return self.outside
        use = sparse.csc_array(model.matrix[:k, :n])
        found = _alternatives(model.objective[:n], use, self.unit, self.duals[:k])
        loss = (model.matrix.T @ self.duals - model.objective)[:n]
        other = np.flatnonzero((self.shares < SPLIT) & (loss < room))
        other = other[np.lexsort((loss[other], found.rank[other]))][:count]
        open_ = np.zeros(len(self.units), bool)
        open_[self.unit[other]] = True
        open_[self.unit[self.split()]] = True
        free, base = open_[self.unit] & (loss < room), np.round(self.shares)
        base[open_[self.unit]] = 0.0
        upper = model.upper.copy()
        upper[-2 * k :] = 0.0
        outcome = restricted(
            replace(model, upper=upper), free, base, room / 4, hunt.patience(), wanted - self.settled, EFFORT
        )
        if outcome.values is None:
            return None
        plan = base > 0.5
        plan[free] = outcome.values > 0.5
        return np.sort(np.concatenate([self.outside, self.sets.among(plan).member]))

    def split(self) -> np.ndarray:
        """Return the sets that the LP gives a share of their unit."""
        return np.flatnonzero((self.shares > SPLIT) & (self.shares < 1.0 - SPLIT))


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

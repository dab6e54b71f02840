"""The LP relaxation: its prices tell what each limit is worth, its values where to look for a plan."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import highspy
import numpy as np
from scipy import sparse

from omniopt.decisions import kernels
from omniopt.decisions.branching import FREE
from omniopt.decisions.dual import all_margins, prove, rough_prices
from omniopt.decisions.model import Model
from omniopt.decisions.problem import Problem
from omniopt.decisions.stop import Stop
from omniopt.errors import Infeasible

SIFT_FROM = 5_000  # candidates from which the LP is sifted
SIFTED = 1e-7  # relative distance of bound and LP at which a sifting ends
DUAL, PRIMAL = 1, 4  # HiGHS's numbers for the simplex that it begins with
IMPOSSIBLE = "not even fractions of contacts keep all the rules"
DUAL_TOLERANCE = 1e-7  # HiGHS's own: below it, a reduced cost is nothing
CLOSEST = 5  # candidates per unit that the first LP of a sifting holds besides the best set


@dataclass(frozen=True)
class Relaxation:
    """The LP's solution: columns of the model, and prices of the coupling rows.

    Attributes
    ----------
    values : ndarray of float64, shape (n + m + g + s,)
    prices : ndarray of float64, shape (k,)
        Change of the objective per unit of the row's bound: positive where the upper bound
        binds, negative where the lower one does.
    opening : ndarray of float64, shape (l,)
        Prices of the links between contacts and the cells that they open.
    value : float
        The LP's objective.
    """

    values: np.ndarray
    prices: np.ndarray
    opening: np.ndarray
    value: float

    def rounded_to(self, chosen: np.ndarray) -> Relaxation:
        """Return the relaxation with a choice in place of its candidates' values."""
        values = self.values.copy()
        values[: len(chosen)] = chosen
        return replace(self, values=values)


class Relaxer:
    """Solves the LP relaxation, and again with some cells held open or closed.

    A large LP is sifted: only candidates that rough prices leave in the running are solved for,
    and those that the LP's own duals show to be missing are added until none is.

    Parameters
    ----------
    problem : Problem
    model : Model
        The problem as one model.
    index : UnitIndex
        The problem's units.
    """

    def __init__(self, problem: Problem, model: Model, index: kernels.UnitIndex) -> None:
        self.problem, self.model, self.index = problem, model, index
        active = np.ones(len(model.objective), bool)
        if model.n > SIFT_FROM:
            active[: model.n] = _promising(problem, index, rough_prices(problem, index))
        self.active = active
        self.program = LinearProgram(model, np.flatnonzero(active[: model.n]))

    def solve(self, time_limit: float | None = None, cells: np.ndarray | None = None) -> Relaxation:
        """Solve the LP.

        Parameters
        ----------
        time_limit : float, optional
            Seconds.
        cells : ndarray of int8, shape (g,), optional
            1 for cells held open, 0 for cells held closed, FREE for the others.

        Returns
        -------
        Relaxation

        Raises
        ------
        Infeasible
            If not even fractions of contacts can keep all rules.
        TimeoutError
            If the time limit is reached.
        """
        model = self.model
        deadline = math.inf if time_limit is None else time.monotonic() + time_limit
        cells = np.full(model.g, FREE, np.int8) if cells is None else cells
        self.program.hold(cells)
        while True:
            solved = self.program.solve(deadline - time.monotonic())
            if solved is None and not self.active.all():
                self._admit_all(cells, deadline)
                continue
            if solved is None:
                raise Infeasible(IMPOSSIBLE)
            values, duals = solved
            reduced = model.objective - model.matrix.T @ duals
            missing = ~self.active & (reduced > DUAL_TOLERANCE * np.maximum(1.0, np.abs(model.objective)))
            closed = model.links[len(model.links) - (model.cell_links.stop - model.cell_links.start) :]
            missing[closed[cells[closed[:, 1] - model.n - model.m] == 0, 0]] = False
            opening = np.maximum(duals[model.cell_links], 0.0)
            found = Relaxation(values, duals[: model.k], opening, float(model.objective @ values))
            if not missing.any() or self._close(found, cells):
                return found
            self.program.add(np.flatnonzero(missing))
            self.active |= missing

    def _admit_all(self, cells: np.ndarray, deadline: float) -> None:
        """Put all candidates into the LP, and ask without an objective first whether it can be met."""
        self.active[:] = True
        self.program = LinearProgram(self.model, np.arange(self.model.n), priced=False)
        self.program.hold(cells)
        possible = self.program.solve(deadline - time.monotonic()) is not None
        self.program.price()
        if not possible:
            raise Infeasible(IMPOSSIBLE)

    def _close(self, found: Relaxation, cells: np.ndarray) -> bool:
        """Whether the prices already prove nearly the value of the candidates solved for."""
        opening = opening_prices(self.model, found)
        try:
            bound = prove(self.problem, self.index, found.prices, *opening, cells).bound
        except Infeasible:
            return False
        return bound - found.value <= SIFTED * max(1.0, abs(bound))


class LinearProgram:
    """The LP over some of the candidates, kept in HiGHS so that more can join it cheaply.

    Links between a candidate and a cell come with the candidate.
    """

    def __init__(self, model: Model, candidates: np.ndarray, priced: bool = True) -> None:
        self.model, self.matrix, self.rows = model, model.matrix.tocsc(), model.matrix
        self.cost = -model.objective if priced else np.zeros(len(model.objective))
        self.place = np.full(self.matrix.shape[0], -1, np.int64)  # of the model's rows among the program's
        self.present = np.zeros(0, np.int64)  # the model's row of each of the program's
        self.columns = np.zeros(0, np.int64)
        self.highs = highspy.Highs()
        for option, value in (("output_flag", False), ("threads", 1), ("solver", "simplex")):
            self.highs.setOptionValue(option, value)
        links = model.cell_links
        everything = np.arange(self.matrix.shape[0])
        self._add_rows(everything[(everything < links.start) | (everything >= links.stop)])
        self._add_columns(np.arange(model.n, len(model.objective)))
        self._add_candidates(candidates)

    def add(self, candidates: np.ndarray) -> None:
        """Let more candidates in; the solution so far stays where the next solve begins."""
        self.highs.setOptionValue("simplex_strategy", PRIMAL)  # a solution stays feasible when columns join
        self._add_candidates(candidates)

    def price(self) -> None:
        """Bring in the objective that the program was made without."""
        self.cost = -self.model.objective
        self.highs.setOptionValue("simplex_strategy", PRIMAL)
        size = len(self.columns)
        self.highs.changeColsCost(size, np.arange(size, dtype=np.int32), self.cost[self.columns])

    def hold(self, cells: np.ndarray) -> None:
        """Hold cells open (1) or closed (0), and leave the others free."""
        if not len(cells):
            return
        # columns y, z and s were the first to come
        at = np.arange(self.model.m, self.model.m + len(cells), dtype=np.int32)
        lower, upper = (cells == 1).astype(np.float64), (cells != 0).astype(np.float64)
        self.highs.changeColsBounds(len(cells), at, lower, upper)
        self.highs.setOptionValue("simplex_strategy", DUAL)

    def begin(self, prices: np.ndarray, chosen: np.ndarray) -> None:
        """Begin where prices and a choice near its best have come to; no column can join afterwards.

        Each priced row gets a column of its own at its price, held at 0, which is basic: so the row's dual
        is the price, and all that is left to mend is what the choice misses of these rows. Within units,
        a chosen candidate is basic in a row that it fills alone. Of 800 steps of the simplex 60 are left.

        Parameters
        ----------
        prices : ndarray of float64, shape (k,)
            Of the coupling rows.
        chosen : ndarray of int64
            Candidates.
        """
        model, kinds = self.model, highspy.HighsBasisStatus
        status = np.array([kinds.kLower, kinds.kBasic, kinds.kUpper], object)
        priced, program = np.flatnonzero(prices), np.full(len(model.objective), -1, np.int64)
        program[self.columns] = np.arange(len(self.columns))
        nothing, count = np.zeros(len(priced)), len(priced)
        self.highs.addCols(
            count, -prices[priced], nothing, nothing, count, np.arange(count, dtype=np.int32),
            self.place[priced].astype(np.int32), np.ones(count),
        )  # fmt: skip
        column, row = np.zeros(len(self.columns) + count, np.int8), np.ones(len(self.present), np.int8)
        column[program[chosen]], column[len(self.columns) :] = 2, 1
        row[self.place[priced]] = np.where(prices[priced] > 0, 2, 0)
        inside = self.rows[model.k : model.cell_links.start][:, chosen]
        filled = np.asarray(inside.sum(axis=1)).ravel() >= model.hi[model.k : model.cell_links.start]
        alone = np.flatnonzero(filled & (np.diff(inside.indptr) == 1))
        member, first = np.unique(inside.indices[inside.indptr[alone]], return_index=True)
        column[program[chosen[member]]] = 1
        row[self.place[model.k + alone[first]]] = 2
        basis = highspy.HighsBasis()
        basis.col_status, basis.row_status, basis.valid = list(status[column]), list(status[row]), True
        self.highs.setBasis(basis)

    def _add_rows(self, rows: np.ndarray) -> None:
        """Add rows of the model with what the present columns have in them."""
        self.place[rows] = len(self.present) + np.arange(len(rows))
        self.present = np.concatenate([self.present, rows])
        part = self.rows[rows][:, self.columns]
        start, index = part.indptr[:-1].astype(np.int32), part.indices.astype(np.int32)
        lo, hi = self.model.lo[rows], self.model.hi[rows]
        self.highs.addRows(len(rows), lo, hi, part.nnz, start, index, part.data)

    def _add_candidates(self, candidates: np.ndarray) -> None:
        links = self.model.cell_links
        if links.stop > links.start:
            asked = self.model.links[len(self.model.links) - (links.stop - links.start) :, 0]
            self._add_rows(links.start + np.flatnonzero(np.isin(asked, candidates)))
        self._add_columns(candidates)

    def _add_columns(self, columns: np.ndarray) -> None:
        part = self.matrix[:, columns].tocoo()
        known = self.place[part.row] >= 0
        at = (self.place[part.row][known], part.col[known])
        mine = sparse.csc_array((part.data[known], at), shape=(len(self.present), len(columns)))
        start, index = mine.indptr[:-1].astype(np.int32), mine.indices.astype(np.int32)
        lower, upper = self.model.lower[columns], self.model.upper[columns]
        self.highs.addCols(len(columns), self.cost[columns], lower, upper, mine.nnz, start, index, mine.data)
        self.columns = np.concatenate([self.columns, columns])

    def solve(self, seconds: float) -> tuple[np.ndarray, np.ndarray] | None:
        """Return (values of all columns, dual of every row), None if infeasible."""
        if math.isfinite(seconds):
            self.highs.setOptionValue("time_limit", self.highs.getRunTime() + max(seconds, 0.01))
        with Stop() as stop:
            stop.watch(self.highs)
            self.highs.run()
        status = self.highs.getModelStatus()
        if status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible):
            return None  # binaries are bounded, so nothing is unbounded
        if status != highspy.HighsModelStatus.kOptimal:
            raise TimeoutError("the relaxation was not solved in time: give it more")
        solution = self.highs.getSolution()
        values, duals = np.zeros(len(self.model.objective)), np.zeros(self.matrix.shape[0])
        values[self.columns] = solution.col_value[: len(self.columns)]
        duals[self.present] = -np.array(solution.row_dual)
        return values, duals


def opening_prices(model: Model, found: Relaxation) -> tuple[np.ndarray, np.ndarray]:
    """Return prices of the links between contacts and cells, with the candidate and cell of each."""
    cells = model.links[len(model.links) - len(found.opening) :] - [0, model.n + model.m]
    return found.opening, cells


def _promising(problem: Problem, index: kernels.UnitIndex, prices: np.ndarray) -> np.ndarray:
    """Mark each unit's best set at the prices and the candidates closest to getting in or out."""
    dual = prove(problem, index, prices)
    size = dual.worth
    margin = all_margins(problem, index, dual)
    unit = problem.unit
    order = np.lexsort((-size, margin, unit))
    begin = np.flatnonzero(np.diff(unit[order], prepend=-1))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(begin, np.diff(np.append(begin, len(order))))
    keep = dual.chosen | (rank < CLOSEST)
    keep[problem.locked] = True
    return keep

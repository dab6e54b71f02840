"""The LP relaxation: its prices tell what each limit is worth, its values where to look for a plan."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import highspy
import numpy as np

from omniopt.decisions import kernels
from omniopt.decisions.dual import all_margins, prove, rough_prices
from omniopt.decisions.model import Model
from omniopt.decisions.problem import Problem
from omniopt.errors import Infeasible

SIFT_FROM = 5_000  # candidates from which the LP is sifted
SIFTED = 1e-7  # relative distance of bound and LP at which a sifting ends
PRIMAL = 4  # HiGHS's number for the primal simplex
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


def relax(
    problem: Problem, model: Model, index: kernels.UnitIndex, time_limit: float | None = None
) -> Relaxation:
    """Solve the LP relaxation.

    A large LP is sifted: only candidates that rough prices leave in the running are solved for,
    and those that the LP's own duals show to be missing are added until none is.

    Parameters
    ----------
    problem : Problem
    model : Model
        The problem as one model.
    index : UnitIndex
        The problem's units.
    time_limit : float, optional
        Seconds.

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
    deadline = math.inf if time_limit is None else time.monotonic() + time_limit
    active = np.ones(len(model.objective), bool)
    if model.n > SIFT_FROM:
        active[: model.n] = _promising(problem, index, rough_prices(problem, index))
    program = _LinearProgram(model, np.flatnonzero(active))
    while True:
        solved = program.solve(deadline - time.monotonic())
        if solved is None and active.all():
            raise Infeasible("not even fractions of contacts keep all the rules")
        if solved is None:
            active[:] = True
            program = _LinearProgram(model, np.flatnonzero(active))
            continue
        values, duals = solved
        reduced = model.objective - model.matrix.T @ duals
        missing = ~active & (reduced > DUAL_TOLERANCE * np.maximum(1.0, np.abs(model.objective)))
        opening = np.maximum(duals[model.cell_links], 0.0)
        found = Relaxation(values, duals[: model.k], opening, float(model.objective @ values))
        if not missing.any() or _close(problem, index, model, found):
            return found
        program.add(np.flatnonzero(missing))
        active |= missing


class _LinearProgram:
    """The LP over some of the model's columns, kept in HiGHS so that more can join it cheaply."""

    def __init__(self, model: Model, columns: np.ndarray) -> None:
        self.model, self.matrix = model, model.matrix.tocsc()
        self.columns = np.zeros(0, np.int64)
        self.highs = highspy.Highs()
        for option, value in (("output_flag", False), ("threads", 1), ("solver", "simplex")):
            self.highs.setOptionValue(option, value)
        rows = self.matrix.shape[0]
        none = np.zeros(0, np.int32)
        self.highs.addRows(rows, model.lo, model.hi, 0, np.zeros(rows, np.int32), none, np.zeros(0))
        self.add(columns)

    def add(self, columns: np.ndarray) -> None:
        """Let more columns in; the solution so far stays where the next solve begins."""
        part = self.matrix[:, columns]
        cost, lower, upper = (v[columns] for v in (-self.model.objective, self.model.lower, self.model.upper))
        start, index = part.indptr[:-1].astype(np.int32), part.indices.astype(np.int32)
        self.highs.addCols(len(columns), cost, lower, upper, part.nnz, start, index, part.data)
        if len(self.columns):  # a solution stays feasible when columns join
            self.highs.setOptionValue("simplex_strategy", PRIMAL)
        self.columns = np.concatenate([self.columns, columns])

    def solve(self, seconds: float) -> tuple[np.ndarray, np.ndarray] | None:
        """Return (values of all columns, dual of every row), None if infeasible."""
        if math.isfinite(seconds):
            self.highs.setOptionValue("time_limit", self.highs.getRunTime() + max(seconds, 0.01))
        self.highs.run()
        status = self.highs.getModelStatus()
        if status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible):
            return None  # binaries are bounded, so nothing is unbounded
        if status != highspy.HighsModelStatus.kOptimal:
            raise TimeoutError("the relaxation was not solved in time: give it more")
        solution = self.highs.getSolution()
        values = np.zeros(len(self.model.objective))
        values[self.columns] = solution.col_value
        return values, -np.array(solution.row_dual)


def _close(problem: Problem, index: kernels.UnitIndex, model: Model, found: Relaxation) -> bool:
    """Whether the prices already prove nearly the value of the candidates solved for."""
    bound = prove(problem, index, found.prices, *opening_prices(model, found)).bound
    return bound - found.value <= SIFTED * max(1.0, abs(bound))


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

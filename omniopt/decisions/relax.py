"""The LP relaxation, its prices, and the bound that any prices prove.

For prices λ of the coupling rows (signs by sense)

    L(λ) = Σ_k λ_k b_k + Σ_units max { Σ_j (v_j - Σ_k λ_k a_kj) x_j : x keeps the unit's rows }

is never below the best plan (Lagrangian duality; Geoffrion, 1974), and with the LP's own prices
never above the LP's value, since each unit is solved in whole numbers.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import linprog, minimize

from omniopt.decisions import kernels
from omniopt.decisions.model import Model
from omniopt.decisions.problem import Problem
from omniopt.errors import Infeasible

SIFT_FROM = 5_000  # candidates from which the LP is sifted
SAMPLE = 300  # units that rough prices are made from
SIFTED = 1e-7  # relative distance of bound and LP at which a sifting ends
DUAL_TOLERANCE = 1e-7  # HiGHS's own: below it, a reduced cost is nothing
CLOSEST = 10  # candidates per unit that the first LP of a sifting holds besides the best set


@dataclass(frozen=True)
class Relaxation:
    """The LP's solution: columns of the model, and prices of the coupling rows.

    Attributes
    ----------
    values : ndarray of float64, shape (n + m,)
    prices : ndarray of float64, shape (k,)
        Change of the objective per unit of the row's bound: positive where the upper bound
        binds, negative where the lower one does.
    """

    values: np.ndarray
    prices: np.ndarray


@dataclass(frozen=True)
class Dual:
    """What prices prove, and what each unit would do at them.

    Attributes
    ----------
    bound : float
        L(λ) with the rounding error of its own computation added.
    worth : ndarray of float64, shape (n,)
        Objective less prices times use.
    value : ndarray of float64, shape (u,)
        Each unit's best total worth.
    chosen : ndarray of bool, shape (n,)
        The units' best sets.
    """

    prices: np.ndarray
    bound: float
    worth: np.ndarray
    value: np.ndarray
    chosen: np.ndarray


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
    deadline = None if time_limit is None else time.monotonic() + time_limit
    active = np.ones(len(model.objective), bool)
    if model.n > SIFT_FROM:
        active[: model.n] = _promising(problem, index, rough_prices(problem, index))
    while True:
        left = None if deadline is None else max(deadline - time.monotonic(), 0.1)
        solved = _linear_program(model, np.flatnonzero(active), left)
        if solved is None and active.all():
            raise Infeasible("the rules cannot all be kept, not even by fractions of contacts")
        if solved is None:
            active[:] = True
            continue
        values, marginal = solved
        reduced = model.objective - model.matrix.T @ marginal
        missing = ~active & (reduced > DUAL_TOLERANCE * np.maximum(1.0, np.abs(model.objective)))
        if not missing.any() or _close(problem, index, model, values, marginal[: model.k]):
            return Relaxation(values, marginal[: model.k])
        active |= missing


def _close(
    problem: Problem, index: kernels.UnitIndex, model: Model, values: np.ndarray, prices: np.ndarray
) -> bool:
    """Whether the prices already prove nearly the value of the candidates solved for."""
    bound = prove(problem, index, prices).bound
    return bound - float(model.objective @ values) <= SIFTED * max(1.0, abs(bound))


def rough_prices(problem: Problem, index: kernels.UnitIndex) -> np.ndarray:
    """Lower the bound over a sample of the units, far enough to tell who is in the running.

    Quasi-Newton steps on a function with kinks end somewhere near its lowest point, which is
    all that is asked for here.
    """
    coupling = problem.coupling
    unit = np.repeat(np.arange(len(index.unit_start) - 1), np.diff(index.unit_start))
    step = max(1, (len(index.unit_start) - 1) // SAMPLE)
    marks = np.where(unit % step == 0, forced(problem), -1).astype(np.int8)
    bounds = [(None if np.isfinite(lo) else 0.0, None if np.isfinite(hi) else 0.0)
              for lo, hi in zip(coupling.lo, coupling.hi, strict=True)]  # fmt: skip

    def bound(prices: np.ndarray) -> tuple[float, np.ndarray]:
        side = np.where(prices > 0, coupling.hi, coupling.lo)
        side = np.where(np.isfinite(side), side, np.where(np.isfinite(coupling.hi), coupling.hi, coupling.lo))
        worth = problem.objective - problem.matrix.T @ prices
        value, chosen, _ = _best_sets(index, worth, marks)
        return float(prices @ side + step * value.sum()), side - step * (
            problem.matrix @ chosen.astype(np.float64)
        )

    start = np.zeros(len(coupling))
    if not len(start):
        return start
    return minimize(bound, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": 50}).x


def _promising(problem: Problem, index: kernels.UnitIndex, prices: np.ndarray) -> np.ndarray:
    """Mark each unit's best set at the prices and the candidates closest to getting in or out."""
    dual = prove(problem, index, prices)
    size = problem.objective - problem.matrix.T @ dual.prices
    margin = all_margins(problem, index, dual)
    customer = problem.candidates.customer
    order = np.lexsort((-size, margin, customer))
    begin = np.flatnonzero(np.diff(customer[order], prepend=-1))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(begin, np.diff(np.append(begin, len(order))))
    keep = dual.chosen | (rank < CLOSEST)
    keep[problem.locked] = True
    return keep


def _linear_program(
    model: Model, columns: np.ndarray, time_limit: float | None
) -> tuple[np.ndarray, np.ndarray] | None:
    """Solve the LP over some columns: (values of all columns, dual of every row), None if infeasible."""
    above, below = np.isfinite(model.hi), np.isfinite(model.lo)
    matrix = model.matrix[:, columns]
    rows = sparse.csr_array(sparse.vstack([matrix[above], -matrix[below]]))
    options = {} if time_limit is None else {"time_limit": time_limit}
    result = linprog(
        -model.objective[columns], A_ub=rows, b_ub=np.concatenate([model.hi[above], -model.lo[below]]),
        bounds=np.stack([model.lower, model.upper], axis=1)[columns], method="highs-ds", options=options,
    )  # fmt: skip
    if result.status == 2:
        return None
    if result.status != 0:
        raise TimeoutError("the relaxation was not solved in time")
    marginal = np.zeros(len(model.hi))
    marginal[above] -= result.ineqlin.marginals[: above.sum()]
    marginal[below] += result.ineqlin.marginals[above.sum() :]
    values = np.zeros(len(model.objective))
    values[columns] = result.x
    return values, marginal


def all_margins(problem: Problem, index: kernels.UnitIndex, dual: Dual) -> np.ndarray:
    """Return what each unit loses if a candidate's fate is turned round, float64 of shape (n,)."""
    return kernels.margins(
        index.unit_start, dual.worth, forced(problem), dual.value, dual.chosen, np.ones(len(problem), bool),
        index.start, index.row, index.slot, index.cap, index.guide, index.slots,
    )  # fmt: skip


def _best_sets(
    index: kernels.UnitIndex, worth: np.ndarray, marks: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return kernels.best_sets(
        index.unit_start,
        worth,
        marks,
        index.start,
        index.row,
        index.slot,
        index.cap,
        index.guide,
        index.slots,
    )


def prove(problem: Problem, index: kernels.UnitIndex, prices: np.ndarray) -> Dual:
    """Compute the bound that prices prove, with every unit solved exactly.

    Parameters
    ----------
    problem : Problem
    index : UnitIndex
    prices : ndarray of float64, shape (k,)
        Any numbers; a price whose side has no bound is taken as 0.

    Returns
    -------
    Dual
    """
    coupling = problem.coupling
    side = np.where(prices > 0, coupling.hi, coupling.lo)
    prices = np.where(np.isfinite(side), prices, 0.0)
    side = np.where(np.isfinite(side), side, 0.0)
    worth = problem.objective - problem.matrix.T @ prices
    value, chosen, _ = _best_sets(index, worth, forced(problem))
    total = math.fsum([*(prices * side), *value])
    return Dual(prices, total + rounding(problem, index, prices, side, chosen), worth, value, chosen)


def forced(problem: Problem) -> np.ndarray:
    """Return +1 for locked candidates and 0 for the others, int8."""
    marks = np.zeros(len(problem), np.int8)
    marks[problem.locked] = 1
    return marks


def rounding(
    problem: Problem, index: kernels.UnitIndex, prices: np.ndarray, side: np.ndarray, chosen: np.ndarray
) -> float:
    """Bound the rounding error of L(λ), whose last and only long sum is exact.

    Each worth is a sum of at most ``depth`` products and each unit's total one of a few worths;
    the units' search may stop 1e-12 below the optimum.
    """
    size = np.abs(problem.objective) + np.abs(problem.matrix).T @ np.abs(prices)
    if not len(size):
        return 0.0
    contacts = int(np.add.reduceat(chosen.astype(np.int64), index.unit_start[:-1]).max()) + 1
    terms = float(
        np.maximum.reduceat(size, index.unit_start[:-1]).sum() * contacts + np.abs(prices * side).sum()
    )
    depth = int(np.diff(problem.matrix.tocsc().indptr).max(initial=0)) + 64
    return terms * (depth * np.finfo(np.float64).eps + 2e-12)

"""The LP relaxation, its prices, and the bound that any prices prove.

For prices λ of the coupling rows (signs by sense)

    L(λ) = Σ_k λ_k b_k + Σ_units max { Σ_j (v_j - Σ_k λ_k a_kj) x_j : x keeps the unit's rows }

is never below the best plan (Lagrangian duality; Geoffrion, 1974), and with the LP's own prices
never above the LP's value, since each unit is solved in whole numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from omniopt.decisions import kernels
from omniopt.decisions.model import Model
from omniopt.decisions.problem import Problem
from omniopt.errors import Infeasible


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


def relax(model: Model, time_limit: float | None = None) -> Relaxation:
    """Solve the LP relaxation.

    Raises
    ------
    Infeasible
        If not even fractions of contacts can keep all rules.
    TimeoutError
        If the time limit is reached.
    """
    above, below = np.isfinite(model.hi), np.isfinite(model.lo)
    rows = sparse.csr_array(sparse.vstack([model.matrix[above], -model.matrix[below]]))
    options = {} if time_limit is None else {"time_limit": max(time_limit, 0.1)}
    result = linprog(
        -model.objective, A_ub=rows, b_ub=np.concatenate([model.hi[above], -model.lo[below]]),
        bounds=np.stack([model.lower, model.upper], axis=1), method="highs-ds", options=options,
    )  # fmt: skip
    if result.status == 2:
        raise Infeasible("the rules cannot all be kept, not even by fractions of contacts")
    if result.status != 0:
        raise TimeoutError("the relaxation was not solved in time")
    marginal = -result.ineqlin.marginals
    prices = np.zeros(len(model.hi))
    prices[above] += marginal[: above.sum()]
    prices[below] -= marginal[above.sum() :]
    return Relaxation(result.x, prices[: model.k])


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
    value, chosen, _ = kernels.best_sets(
        index.unit_start, worth, forced(problem), index.start, index.row, index.slot, index.cap, index.guide, index.slots
    )
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
    terms = float(np.maximum.reduceat(size, index.unit_start[:-1]).sum() * contacts + np.abs(prices * side).sum())
    depth = int(np.diff(problem.matrix.tocsc().indptr).max(initial=0)) + 64
    return terms * (depth * np.finfo(np.float64).eps + 2e-12)

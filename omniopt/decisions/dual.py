"""The bound that prices prove, and rough prices to begin with.

For prices λ of the coupling rows (signs by sense)

    L(λ) = Σ_k λ_k b_k + Σ_units max { Σ_j (v_j - Σ_k λ_k a_kj) x_j : x keeps the unit's rows }

is never below the best plan (Lagrangian duality; Geoffrion, 1974), and with the LP's own prices
never above the LP's value, since each unit is solved in whole numbers. A cell adds what opening
it earns at the prices, if that is positive; a limit that may be missed at a price p has |λ_k| ≤ p.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from omniopt.decisions import kernels
from omniopt.decisions.hard import MOST, HardUnits
from omniopt.decisions.problem import Problem
from omniopt.errors import Infeasible

SAMPLE = 300  # units that rough prices are made from
ROUGH = 50  # steps that they are given


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
    searched : ndarray of bool, shape (u,)
        Whether a unit's depth-first search ended; the others' value is the exact solver's, or an
        upper bound of it.
    marks : ndarray of int8, shape (n,)
        +1 for contacts that had to be in, -1 for those that must not be, else 0.
    """

    prices: np.ndarray
    bound: float
    worth: np.ndarray
    value: np.ndarray
    chosen: np.ndarray
    searched: np.ndarray
    marks: np.ndarray


def all_margins(problem: Problem, index: kernels.UnitIndex, dual: Dual) -> np.ndarray:
    """Return what each unit loses if a candidate's fate is turned round, float64 of shape (n,).

    0, which settles nothing, in units whose search did not end.
    """
    searched = np.repeat(dual.searched, np.diff(index.unit_start))
    loss = kernels.margins(
        index.unit_start, dual.worth, dual.marks.copy(), dual.value, dual.chosen, searched, *index.rows
    )
    return np.where(searched, loss, 0.0)


def advantages(problem: Problem, index: kernels.UnitIndex, dual: Dual, chosen: np.ndarray) -> np.ndarray:
    """By how much a unit's best set beats its best set without each chosen contact.

    0 for contacts that are not in the best set, another being as good; NaN where it is too hard to tell.

    Returns
    -------
    ndarray of float64
        One number per chosen candidate.
    """
    wanted = chosen & dual.chosen
    loss = np.where(wanted, all_margins(problem, index, dual), 0.0)
    unit = np.repeat(np.arange(len(dual.value)), np.diff(index.unit_start))
    hard = np.flatnonzero(wanted & ~dual.searched[unit])
    if len(hard):
        loss[hard] = np.nan
        units = HardUnits(problem, index.unit_start)
        for j in hard[:MOST]:
            marks = forced(problem)
            marks[j] = -1
            loss[j] = max(dual.value[unit[j]] - units.solve(int(unit[j]), dual.worth, marks)[0], 0.0)
    loss[problem.locked] = 0.0
    return loss[chosen]


def unit_optima(
    index: kernels.UnitIndex, worth: np.ndarray, marks: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return every unit's best worth, the best sets, and where the search was exact."""
    return kernels.best_sets(index.unit_start, worth, marks, *index.rows)


def prove(
    problem: Problem,
    index: kernels.UnitIndex,
    prices: np.ndarray,
    opening: np.ndarray | None = None,
    members: np.ndarray | None = None,
    cells: np.ndarray | None = None,
) -> Dual:
    """Compute the bound that prices prove, with every unit solved exactly.

    Parameters
    ----------
    problem : Problem
    index : UnitIndex
    prices : ndarray of float64, shape (k + q,)
        Of the rows of ``problem.system``, any numbers; see `System.clipped`.
    opening : ndarray of float64, shape (l,), optional
        Prices from 0 of the links between contacts and cells; none if left out.
    members : ndarray of int64, shape (l, 2), optional
        The candidate and the cell of each of these links.
    cells : ndarray of int8, shape (g,), optional
        1 for cells held open, 0 for cells held closed, -1 for the others; then the bound is one for
        the plans that open and close them so.

    Returns
    -------
    Dual

    Raises
    ------
    Infeasible
        If a unit cannot keep its own rows.
    """
    system, marks = problem.system, forced(problem)
    prices, side = system.clipped(prices)
    worth = system.objective - system.matrix.T @ prices
    extra = (system.extra_objective - system.extra.T @ prices)[: system.g]
    if opening is not None and members is not None:
        worth = worth - np.bincount(members[:, 0], opening, minlength=len(worth))
        extra = extra + np.bincount(members[:, 1], opening, minlength=system.g)
    gained = np.maximum(extra, 0.0)
    if cells is not None:
        gained = np.where(cells == 1, extra, np.where(cells == 0, 0.0, gained))
        marks = marked(problem, cells)
        if (marks[problem.locked] != 1).any():
            raise Infeasible("a locked contact opens a cell that is held closed")
    value, chosen, searched = unit_optima(index, worth, marks)
    hard = np.flatnonzero(~searched)[:MOST]
    units = HardUnits(problem, index.unit_start) if len(hard) else None
    for u in hard:
        assert units is not None
        tight, best = units.solve(int(u), worth, marks)
        value[u] = min(value[u], tight)
        if best is not None:
            chosen[index.unit_start[u] : index.unit_start[u + 1]] = best
    if np.isneginf(value).any():
        raise Infeasible("the rules within a unit cannot all be kept")
    total = math.fsum([*(prices * side), *value, *gained])
    slip = rounding(problem, index, prices, side, chosen)
    if opening is not None:  # the links' prices enter the worth of contacts and of cells
        slip += 4.0 * float(np.abs(opening).sum()) * len(value) ** 0.5 * np.finfo(np.float64).eps
    return Dual(prices, total + slip, worth, value, chosen, searched, marks)


def forced(problem: Problem) -> np.ndarray:
    """Return +1 for locked candidates and 0 for the others, int8."""
    marks = np.zeros(len(problem), np.int8)
    marks[problem.locked] = 1
    return marks


def marked(problem: Problem, cells: np.ndarray) -> np.ndarray:
    """Return +1 for locked candidates, -1 for those of cells that are held closed (0), else 0; int8."""
    marks = forced(problem)
    if (cells == 0).any():
        marks[(problem.coupling.cells.member.T @ (cells == 0).astype(np.float64)) > 0] = -1
    return marks


def rounding(
    problem: Problem, index: kernels.UnitIndex, prices: np.ndarray, side: np.ndarray, chosen: np.ndarray
) -> float:
    """Bound the rounding error of L(λ), whose last and only long sum is exact.

    Each worth is a sum of at most ``depth`` products and each unit's total one of a few worths;
    the units' search may stop 1e-12 below the optimum.
    """
    system = problem.system
    size = np.abs(system.objective) + abs(system.matrix).T @ np.abs(prices)
    if not len(size):
        return 0.0
    contacts = int(np.add.reduceat(chosen.astype(np.int64), index.unit_start[:-1]).max()) + 1
    cells = np.abs(system.extra_objective[: system.g]) + abs(system.extra[:, : system.g]).T @ np.abs(prices)
    terms = float(
        np.maximum.reduceat(size, index.unit_start[:-1]).sum() * contacts
        + np.abs(prices * side).sum()
        + cells.sum()
    )
    depth = int(np.diff(system.matrix.tocsc().indptr).max(initial=0)) + 64
    return terms * (depth * np.finfo(np.float64).eps + 2e-12)


def rough_prices(problem: Problem, index: kernels.UnitIndex) -> np.ndarray:
    """Lower the bound over a sample of the units, far enough to tell who is in the running."""
    step = max(1, (len(index.unit_start) - 1) // SAMPLE)
    return lowered(problem, index, np.zeros(len(problem.system)), step, ROUGH)


def lowered(
    problem: Problem, index: kernels.UnitIndex, prices: np.ndarray, step: int, passes: int,
    cells: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Return prices at which the bound over every ``step``-th unit is lower.

    Quasi-Newton steps on a function with kinks end somewhere near its lowest point, which is
    all that is asked for here: any prices prove a bound.
    """
    from scipy.optimize import minimize  # here, since it takes half a second to import

    system = problem.system
    if not len(prices):
        return prices
    unit = np.repeat(np.arange(len(index.unit_start) - 1), np.diff(index.unit_start))
    held = np.full(system.g, -1, np.int8) if cells is None else cells
    marks = np.where(unit % step == 0, marked(problem, held), -1).astype(np.int8)
    g = system.g
    bounds = [(None if np.isfinite(lo) else 0.0, None if np.isfinite(hi) else 0.0)
              for lo, hi in zip(system.lo, system.hi, strict=True)]  # fmt: skip

    def bound(prices: np.ndarray) -> tuple[float, np.ndarray]:
        side = np.where(prices > 0, system.hi, system.lo)
        side = np.where(np.isfinite(side), side, np.where(np.isfinite(system.hi), system.hi, system.lo))
        side = np.where(np.isfinite(side), side, 0.0)
        worth = system.objective - system.matrix.T @ prices
        extra = system.extra_objective[:g] - system.extra[:, :g].T @ prices
        opened = np.where(held < 0, extra > 0.0, held).astype(np.float64)
        value, chosen, _ = unit_optima(index, worth, marks)
        value = np.where(np.isfinite(value), value, 0.0)  # a unit outside the sample may not keep its rows
        total = float(prices @ side + step * value.sum() + extra @ opened)
        used = step * (system.matrix @ chosen.astype(np.float64)) + system.extra[:, :g] @ opened
        return total, side - used

    return minimize(bound, prices, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": passes}).x

"""Branch and bound over the cells: which groups are opened and which get nothing at all.

A minimum that holds only if a cell is opened, written as one row with z, leaves the LP free to open
a cell by a fraction, and its bound is poor. Held open or closed a cell is an ordinary limit, or
takes its candidates out. So a few cells are held and the LP is solved again from where it stood;
its prices prove a bound for all plans that open and close the cells so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from omniopt.decisions import kernels
from omniopt.decisions.branching import FREE, Node, branch, enough
from omniopt.decisions.dual import Dual, all_margins, lowered, prove, rough_prices
from omniopt.decisions.model import Model
from omniopt.decisions.problem import Problem
from omniopt.decisions.progress import Search
from omniopt.decisions.relax import Relaxation, Relaxer, opening_prices
from omniopt.errors import Infeasible

SURE = 0.98  # how open or closed an undecided cell can look where there is no LP to say so
PASSES = 60  # steps that the prices are given when a cell is held

Close = Callable[[Search, Model, Relaxation, Dual, np.ndarray], None]


class PriceRelaxer:
    """Does for large problems what `Relaxer` does, by prices that lower the bound directly.

    The LP would have a row for every contact in a cell. Without it an undecided cell's contacts
    cost nothing to open, so its bound is poorer, and every cell has to be held before it is good.
    """

    def __init__(self, problem: Problem, model: Model, index: kernels.UnitIndex) -> None:
        self.problem, self.model, self.index = problem, model, index
        self.prices = rough_prices(problem, index)

    def solve(self, time_limit: float | None = None, cells: np.ndarray | None = None) -> Relaxation:
        """Return prices, every unit's best set at them, and how open each cell then looks."""
        problem, model, coupling = self.problem, self.model, self.problem.coupling
        cells = np.full(model.g, FREE, np.int8) if cells is None else cells
        if time_limit is not None and time_limit <= 0.0:
            raise TimeoutError("no time is left")
        prices = lowered(problem, self.index, self.prices, 1, PASSES, cells)
        dual = prove(problem, self.index, prices, cells=cells)
        values = np.zeros(len(model.objective))
        values[: model.n] = dual.chosen
        own = np.flatnonzero(coupling.cell >= 0)
        asked = np.where(np.isnan(coupling.opening[own]), 1.0, np.maximum(coupling.opening[own], 1e-9))
        looks = np.clip((problem.matrix @ values[: model.n])[own] / asked, 1.0 - SURE, SURE)
        z = model.n + model.m + coupling.cell[own]
        values[z] = np.where(cells[coupling.cell[own]] == FREE, looks, cells[coupling.cell[own]])
        return Relaxation(values, dual.prices, np.zeros(0), dual.bound)


def root_of(model: Model, relaxation: Relaxation, bound: float) -> Node:
    """Return the node in which every cell is free."""
    return _node(model, np.full(model.g, FREE, np.int8), relaxation, bound)


def branch_on(state: Search, model: Model, relaxer: Relaxer | PriceRelaxer, root: Node, close: Close) -> None:
    """Find the best plan over all ways to open cells, or the best one in the time.

    Parameters
    ----------
    state : Search
        Gets the plans that are found and the bound that holds for all.
    model : Model
    relaxer : Relaxer or PriceRelaxer
    root : Node
        The relaxation with all cells free.
    close : callable
        Finishes a node whose cells are settled.
    """
    branch(state, root, lambda cells: _visit(state, model, relaxer, cells, close))


def _node(model: Model, cells: np.ndarray, relaxation: Relaxation, bound: float) -> Node:
    z = model.n + model.m
    return Node(cells, bound, relaxation.values[z : z + model.g])


def _visit(
    state: Search, model: Model, relaxer: Relaxer | PriceRelaxer, cells: np.ndarray, close: Close
) -> Node | float | None:
    """Solve the LP with some cells held, and finish where it leaves none undecided."""
    problem, index = state.problem, relaxer.index
    try:
        relaxation = relaxer.solve(state.left(), cells)
        dual = prove(problem, index, relaxation.prices, *opening_prices(model, relaxation), cells)
    except Infeasible:
        return None
    except TimeoutError:
        return math.inf
    node = _node(model, cells, relaxation, dual.bound)
    if node.undecided.any():
        return node
    lower, upper = model.lower.copy(), model.upper.copy()
    at = slice(model.n + model.m, model.n + model.m + model.g)
    lower[at], upper[at] = cells == 1, cells != 0
    if dual.bound <= enough(state):
        return dual.bound
    part = replace(state, bound=max(dual.bound, state.objective))
    try:
        margin = all_margins(problem, index, dual)
        close(part, replace(model, lower=lower, upper=upper), relaxation, dual, margin)
    except Infeasible:
        return None
    if part.chosen is not None:
        state.offer(part.chosen)
    return part.bound

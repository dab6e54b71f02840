"""Branch and bound over the cells: which groups are opened and which get nothing at all.

A minimum that holds only if a cell is opened, written as one row with z, leaves the LP free to open
a cell by a fraction, and its bound is poor. Held open or closed a cell is an ordinary limit, or
takes its candidates out. So a few cells are held and the LP is solved again from where it stood;
its prices prove a bound for all plans that open and close the cells so.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from omniopt.decisions import kernels
from omniopt.decisions.dual import Dual, all_margins, lowered, prove, rough_prices
from omniopt.decisions.model import Model
from omniopt.decisions.problem import Problem
from omniopt.decisions.progress import Search
from omniopt.decisions.relax import FREE, Relaxation, Relaxer, opening_prices
from omniopt.errors import Infeasible

FRACTION = 1e-6  # how far from a whole number a cell is undecided

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


@dataclass(frozen=True)
class _Node:
    """Plans that open and close some cells in one way, and what is known of them."""

    cells: np.ndarray
    relaxation: Relaxation
    dual: Dual


def undecided_cells(model: Model, relaxation: Relaxation) -> np.ndarray:
    """Return how undecided the LP leaves each cell: 0 for open or closed, at most a half."""
    z = relaxation.values[model.n + model.m : model.n + model.m + model.g]
    distance = np.abs(z - np.round(z))
    return np.where(distance > FRACTION, distance, 0.0)


def branch(
    state: Search,
    model: Model,
    relaxer: Relaxer | PriceRelaxer,
    relaxation: Relaxation,
    dual: Dual,
    close: Close,
) -> None:
    """Find the best plan over all ways to open cells, or the best one in the time.

    Parameters
    ----------
    state : Search
        Gets the plans that are found and the bound that holds for all.
    model : Model
    relaxer : Relaxer or PriceRelaxer
    relaxation, dual
        The LP with all cells free, and what its prices prove.
    close : callable
        Finishes a node whose cells are settled.
    """
    free = np.full(model.g, FREE, np.int8)
    _dive(state, model, relaxer, _Node(free, relaxation, dual), close)
    number = itertools.count()
    heap = [(-dual.bound, next(number), _Node(free, relaxation, dual))]
    done = -math.inf  # the best bound among the nodes that are finished
    while heap:
        state.tighten(max(-heap[0][0], done))
        state.report(f"{len(heap)} ways to open cells")
        if state.reached() or state.left() == 0.0:
            return
        _, _, node = heapq.heappop(heap)
        undecided = undecided_cells(model, node.relaxation)
        cell = int(np.argmax(undecided))
        for way in (0, 1):
            cells = node.cells.copy()
            cells[cell] = way
            found = _visit(state, model, relaxer, cells, close)
            if isinstance(found, _Node) and found.dual.bound > _enough(state):
                heapq.heappush(heap, (-min(found.dual.bound, node.dual.bound), next(number), found))
            elif found is not None:
                bound = found.dual.bound if isinstance(found, _Node) else found
                done = max(done, min(bound, node.dual.bound))
    state.tighten(done)


def _dive(state: Search, model: Model, relaxer: Relaxer | PriceRelaxer, node: _Node, close: Close) -> None:
    """Look for a first plan: hold the cell that the LP has nearly decided, and so on until all are."""
    found: _Node | float | None = node
    while isinstance(found, _Node) and state.left() != 0.0:
        undecided = undecided_cells(model, found.relaxation)
        cell = int(np.argmin(np.where(undecided > 0.0, undecided, 1.0)))
        way = int(round(found.relaxation.values[model.n + model.m + cell]))
        node = found
        for choice in (way, 1 - way):
            cells = node.cells.copy()
            cells[cell] = choice
            found = _visit(state, model, relaxer, cells, close)
            if found is not None:
                break


def _enough(state: Search) -> float:
    """Return the bound below which a node cannot matter."""
    return (
        -math.inf
        if state.chosen is None
        else state.objective + state.gap * max(1.0, abs(state.objective)) / 2
    )


def _visit(
    state: Search, model: Model, relaxer: Relaxer | PriceRelaxer, cells: np.ndarray, close: Close
) -> _Node | float | None:
    """Solve the LP with some cells held.

    Returns
    -------
    _Node, float or None
        A node to branch on; or, where the LP leaves no cell undecided, what no plan of the node can
        beat; or None where there is no such plan.
    """
    problem, index = state.problem, relaxer.index
    try:
        relaxation = relaxer.solve(state.left(), cells)
        dual = prove(problem, index, relaxation.prices, *opening_prices(model, relaxation), cells)
    except Infeasible:
        return None
    except TimeoutError:
        return math.inf
    if undecided_cells(model, relaxation).any():
        return _Node(cells, relaxation, dual)
    lower, upper = model.lower.copy(), model.upper.copy()
    at = slice(model.n + model.m, model.n + model.m + model.g)
    lower[at], upper[at] = cells == 1, cells != 0
    if dual.bound <= _enough(state):
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

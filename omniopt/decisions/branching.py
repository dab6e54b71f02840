"""Branch and bound over the cells, however a node is relaxed and finished."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

FREE = -1  # of a cell that may be opened or not
FRACTION = 1e-6  # how far from a whole number a cell is undecided


@dataclass(frozen=True)
class Node:
    """Plans that open and close some cells in one way, and what is known of them.

    Attributes
    ----------
    cells : ndarray of int8, shape (g,)
        1 for cells held open, 0 for cells held closed, FREE for the others.
    bound : float
        No plan of the node is worth more.
    looks : ndarray of float64, shape (g,)
        How open each cell looks, from 0 to 1.
    found : object
        What whoever relaxed the node wants to keep of it.
    """

    cells: np.ndarray
    bound: float
    looks: np.ndarray
    found: Any = field(default=None, repr=False)

    @property
    def undecided(self) -> np.ndarray:
        """How undecided each cell is: 0 for open or closed, at most a half."""
        distance = np.abs(self.looks - np.round(self.looks))
        return np.where(distance > FRACTION, distance, 0.0)


class State(Protocol):
    """What branch and bound asks of a solve: the best plan so far and the best bound."""

    objective: float
    gap: float

    def tighten(self, bound: float) -> None:
        """Take a bound if it is better."""

    def reached(self) -> bool:
        """Whether the gap asked for is met."""

    def left(self) -> float | None:
        """Seconds that are left, None for no limit."""

    def report(self, step: str) -> None:
        """Tell whoever watches."""


#: Relaxes the plans that hold cells in one way: a node to branch on; or, where no cell is undecided, what
#: no plan of the node can beat; or None where there is no such plan.
Visit = Callable[[np.ndarray], Node | float | None]


def branch(state: State, root: Node, visit: Visit) -> None:
    """Find the best plan over all ways to open cells, or the best one in the time.

    Parameters
    ----------
    state : State
        Gets the plans that are found and the bound that holds for all.
    root : Node
        The relaxation with all cells free.
    visit : callable
    """
    _dive(state, root, visit)
    number = itertools.count()
    heap = [(-root.bound, next(number), root)]
    done = -math.inf  # the best bound among the nodes that are finished
    while heap:
        state.tighten(max(-heap[0][0], done))
        state.report(f"{len(heap)} ways to open cells")
        if state.reached() or state.left() == 0.0:
            return
        _, _, node = heapq.heappop(heap)
        cell = int(np.argmax(node.undecided))
        for way in (0, 1):
            found = visit(_with(node.cells, cell, way))
            if isinstance(found, Node) and found.bound > enough(state):
                heapq.heappush(heap, (-min(found.bound, node.bound), next(number), found))
            elif found is not None:
                bound = found.bound if isinstance(found, Node) else found
                done = max(done, min(bound, node.bound))
    state.tighten(done)


def enough(state: State) -> float:
    """Return the bound below which a node cannot matter."""
    if math.isinf(state.objective):
        return -math.inf
    return state.objective + state.gap * max(1.0, abs(state.objective)) / 2


def _dive(state: State, node: Node, visit: Visit) -> None:
    """Look for a first plan: hold the cell that is nearly decided, and so on until all are."""
    found: Node | float | None = node
    while isinstance(found, Node) and state.left() != 0.0:
        undecided = found.undecided
        cell = int(np.argmin(np.where(undecided > 0.0, undecided, 1.0)))
        way = int(round(found.looks[cell]))
        node = found
        for choice in (way, 1 - way):
            found = visit(_with(node.cells, cell, choice))
            if found is not None:
                break


def _with(cells: np.ndarray, cell: int, way: int) -> np.ndarray:
    held = cells.copy()
    held[cell] = way
    return held

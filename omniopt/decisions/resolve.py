"""Solving changed problems, for the diagnosis of what cannot be solved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from omniopt.decisions.problem import Problem


@dataclass(frozen=True)
class Solved:
    """A plan of a changed problem: its worth as maximised, and whether the gap is met."""

    chosen: np.ndarray | None
    objective: float
    reached: bool


#: Solves a changed problem: (problem, gap, seconds, a plan to start from, what is pursued). What is pursued
#: is a limit's row and 1 or -1, to have much or little of it; None is the objective.
Solver = Callable[[Problem, float, float, np.ndarray, tuple[int, float] | None], Solved]


def exactly(
    problem: Problem, gap: float, seconds: float, start: np.ndarray, row: tuple[int, float] | None = None
) -> Solved:
    """Let the exact solver solve a changed problem, whose objective is what is pursued; see `Solver`."""
    from omniopt.decisions.restrict import search  # which calls for a diagnosis itself

    state = search(problem, gap, seconds, lambda *_: None, start)
    return Solved(state.chosen, float(state.objective), bool(state.reached()))

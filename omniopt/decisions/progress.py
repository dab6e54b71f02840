"""How far a solve has come: the best plan so far and the best bound."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from omniopt.decisions.dual import Dual
from omniopt.decisions.problem import Problem, keeps_rules
from omniopt.decisions.relax import Relaxer

Progress = Callable[[str, float, float], None]


@dataclass
class Search:
    """State of a solve: the best plan so far and the best bound, as maximised.

    Attributes
    ----------
    chosen : ndarray of bool or None, shape (n,)
    objective, bound : float
    dual : Dual or None
        Prices of the limits and what they prove by themselves.
    relaxer : Relaxer or None
        What the prices were found with.
    solver : {"exact", "decomposed"}
        Whose plan it is.
    """

    problem: Problem
    gap: float
    deadline: float
    progress: Progress
    chosen: np.ndarray | None = None
    objective: float = -math.inf
    bound: float = math.inf
    dual: Dual | None = None
    relaxer: Relaxer | None = None
    solver: str = "exact"

    def left(self) -> float | None:
        """Seconds that are left, None for no limit."""
        return None if math.isinf(self.deadline) else max(self.deadline - time.monotonic(), 0.0)

    def reached(self) -> bool:
        """Whether the gap asked for is met."""
        if self.chosen is None or math.isinf(self.bound):
            return False
        return self.bound - self.objective <= self.gap * max(1.0, abs(self.bound))

    def offer(self, chosen: np.ndarray) -> None:
        """Take a plan if it keeps the rules and is better than the one at hand."""
        value = self.problem.value(chosen)
        if value > self.objective and keeps_rules(self.problem, chosen):
            self.chosen, self.objective = chosen, value

    def tighten(self, bound: float) -> None:
        """Take a bound if it is better; no bound is below a plan that is at hand."""
        self.bound = max(min(self.bound, bound), self.objective)

    def report(self, step: str) -> None:
        """Tell whoever watches how far bound and plan are apart."""
        self.progress(step, self.objective, self.bound)

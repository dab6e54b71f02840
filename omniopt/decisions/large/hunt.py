"""How far the decomposed solver has come: the best plan so far, the best bound and its prices."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from omniopt.decisions.large.part import use_of
from omniopt.decisions.large.shape import Large
from omniopt.decisions.large.sweep import Engine
from omniopt.decisions.problem import ROUNDING
from omniopt.decisions.progress import Progress

EFFORT = 150  # times that the exact solver may ask whether to go on with one program: a second or a few
HURRY = 10.0  # seconds that each gets at least; later ones twice the time that the search took so far
PATIENCE = 60.0  # seconds at most, if it is not the last resort


@dataclass
class Hunt:
    """State of a solve, as maximised.

    Attributes
    ----------
    chosen : ndarray of int64 or None
        The best plan, as places of candidates in ascending order.
    objective, bound : float
    prices : ndarray of float64, shape (k + q,)
        Those that prove ``from_prices``.
    from_prices : float
        The best bound that prices prove by themselves.
    latest : ndarray of float64, shape (k + q,)
        The last ones met on the way down.
    began : float
        When the search began, by `time.monotonic`.
    """

    large: Large
    engine: Engine
    gap: float
    deadline: float
    progress: Progress
    chosen: np.ndarray | None = None
    objective: float = -math.inf
    bound: float = math.inf
    prices: np.ndarray = field(default_factory=lambda: np.zeros(0))
    from_prices: float = math.inf
    latest: np.ndarray = field(default_factory=lambda: np.zeros(0))
    began: float = field(default_factory=time.monotonic)

    def left(self) -> float | None:
        """Seconds that are left, None for no limit."""
        return None if math.isinf(self.deadline) else max(self.deadline - time.monotonic(), 0.0)

    def out_of_time(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self.deadline

    def patience(self) -> float:
        """Seconds for one program of the exact solver, of which its effort usually needs far less.

        Where effort ends programs and not the clock, a busy machine finds the same plan.
        """
        wait = min(max(HURRY, 2.0 * (time.monotonic() - self.began)), PATIENCE)
        return min(wait, self.left() or 0.0) if math.isfinite(self.deadline) else wait

    def reached(self) -> bool:
        """Whether the gap asked for is met."""
        if self.chosen is None or math.isinf(self.bound):
            return False
        return self.bound - self.objective <= self.gap * max(1.0, abs(self.bound))

    def room(self) -> float:
        """How far bound and plan may be apart in the end."""
        return self.gap * max(1.0, abs(self.bound)) if math.isfinite(self.bound) else 0.0

    def wanted(self) -> float:
        """Return what a plan has to be worth for the gap to be met."""
        return self.bound - 0.99 * self.room()

    def offer(self, chosen: np.ndarray) -> bool:
        """Take a plan, whose units keep their rows, if it keeps the limits and is better."""
        return self.offer_use(use_of(self.large, chosen), lambda: chosen)

    def offer_use(self, used: np.ndarray, chosen: Callable[[], np.ndarray]) -> bool:
        """Take a plan by its sums of measures by (bin, term), and list it only if it is better."""
        value, kept = judged_use(self.large, used)
        if kept and value > self.objective:
            self.chosen, self.objective = chosen(), value
        return kept

    def price(self, prices: np.ndarray, bound: float) -> None:
        """Take the bound that prices prove, if it is better."""
        if bound < self.from_prices:
            self.prices, self.from_prices = prices, bound
        self.tighten(bound)

    def tighten(self, bound: float) -> None:
        """Take a bound if it is better; no bound is below a plan that is at hand."""
        self.bound = max(min(self.bound, bound), self.objective)

    @property
    def by_exact(self) -> bool:
        """Whether the bound rests on the exact solver, or on branching, besides the prices."""
        return self.bound < self.from_prices

    def report_bound(self, bound: float, prices: np.ndarray) -> None:
        """Tell whoever watches how far down the prices have brought the bound."""
        self.latest = prices
        if math.isfinite(bound):
            self.progress("prices", self.objective, min(self.bound, bound))

    def report(self, step: str) -> None:
        """Tell whoever watches how far bound and plan are apart."""
        self.progress(step, self.objective, self.bound)


def judged(large: Large, chosen: np.ndarray) -> tuple[float, bool]:
    """Return what a choice is worth after fixed costs and penalties, and whether it keeps the limits."""
    return judged_use(large, use_of(large, chosen))


def judged_use(large: Large, used: np.ndarray) -> tuple[float, bool]:
    """Return what `judged` does, by a choice's sums of measures by (bin, term)."""
    system = large.system
    extras = system.extras(large.coupling, used)
    value = float(system.objective @ used + system.extra_objective @ extras)
    total = system.matrix @ used + system.extra @ extras
    size = np.maximum(1.0, abs(system.matrix) @ np.abs(used) + abs(system.extra) @ extras)
    kept = (total >= system.lo - ROUNDING * size) & (total <= system.hi + ROUNDING * size)
    return value, bool(kept.all())

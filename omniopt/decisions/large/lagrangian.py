"""The bound that prices prove, smoothed, with its slope and curvature, and the step that lowers it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from omniopt.decisions.large.apart import Apart
from omniopt.decisions.large.shape import Large
from omniopt.decisions.large.sweep import Engine, Sweep, gains
from omniopt.decisions.system import System

RIDGE = 1e-4  # of the curvature, so that rows that say the same do not run off against each other


def worth_table(large: Large, prices: np.ndarray, held: np.ndarray | None = None) -> np.ndarray:
    """Return what each (bin, term) is worth at the prices, float64 of shape (bins, terms).

    Parameters
    ----------
    large : Large
    prices : ndarray of float64, shape (k + q,)
    held : ndarray of int8, shape (g,), optional
        1 for cells held open, 0 for cells held closed, -1 for the others; bins of closed cells get -inf.
    """
    system = large.system
    table = (system.objective - system.matrix.T @ prices).reshape(-1, large.bins.width)
    if held is not None and (held == 0).any():
        closed = large.coupling.cells.member.T @ (held == 0).astype(np.float64)
        table[closed.reshape(table.shape)[:, 0] > 0, 0] = -np.inf
    return table


@dataclass
class Ground:
    """What all bounds of one search have in common.

    Attributes
    ----------
    large : Large
    held : ndarray of int8, shape (g,), or None
        1 for cells held open, 0 for cells held closed, -1 for the others.
    units : int
        How many units there are in all.
    scale : float
        What a unit is worth.
    steep : ndarray of float64, shape (k + q,)
        The most that a candidate uses of each row.
    sweeps : float
        Passes over all units so far, those over some as their share.
    """

    large: Large
    held: np.ndarray | None
    units: int
    scale: float
    steep: np.ndarray
    sweeps: float = 0.0


@dataclass(frozen=True)
class Point:
    """The bound at some prices, per unit.

    ``smooth`` is what is lowered. ``mixed`` is below the minimum if its ``use`` keeps the limits;
    otherwise ``gained``, what the next step promises, has to be taken off.
    """

    prices: np.ndarray
    bound: float
    smooth: float
    mixed: float
    use: np.ndarray
    tilt: np.ndarray
    curvature: np.ndarray
    swept: Sweep
    gained: float = math.inf


@dataclass(frozen=True)
class Step:
    """A change of prices.

    ``gained`` is what it should gain and ``size`` how far it moves a worth; ``short`` says whether it
    could have been longer, and ``inside`` whether it stays where units that are held can be trusted.
    """

    change: np.ndarray
    gained: float
    size: float
    short: bool
    inside: bool


class Bound:
    """The bound of ``units`` units, per unit, with the limits scaled to their share.

    Only those of the engine move; ``apart`` says what the others chose and stay with.
    """

    def __init__(
        self, ground: Ground, engine: Engine, units: int, apart: Apart | None = None,
        center: np.ndarray | None = None, reach: float = math.inf,
    ) -> None:  # fmt: skip
        self.center, self.reach = center, reach
        self.ground, self.engine, self.units, self.apart = ground, engine, units, apart
        self.large, self.held, self.all = ground.large, ground.held, ground.units

    def at(self, prices: np.ndarray, width: float) -> Point:
        """Compute the bound, smoothed by a width, with gradient and curvature."""
        system = self.large.system
        table = worth_table(self.large, prices, self.held)
        found = self.engine.sweep(table, width=width, curvature=True)
        self.ground.sweeps += self.engine.units / self.all
        fixed, smooth, use, bent = self._cells(prices, width)
        _, side = system.clipped(prices.copy())
        fixed += float(prices @ side) / self.all
        taken = system.matrix @ found.use
        n, swept = self.units, found
        if self.apart is not None:
            rest = self.apart.at(table)
            fixed += rest.value / n
            taken = taken + system.matrix @ rest.use
            swept = self.apart.joined(found, table)
        assert found.curvature is not None
        return Point(
            prices, fixed + found.value / n, fixed + smooth + found.smooth / n,
            fixed - smooth + found.mixed / n, taken / n + use, (system.matrix @ found.tilt) / n,
            found.curvature / n + bent, swept,
        )  # fmt: skip

    def _cells(self, prices: np.ndarray, width: float) -> tuple[float, float, np.ndarray, np.ndarray]:
        """Return what cells add, by how much smoothing raises it, their use of the rows, its curvature."""
        system, g = self.large.system, self.large.system.g
        matrix = system.extra[:, :g]
        extra = system.extra_objective[:g] - matrix.T @ prices
        width = max(width * self.all / max(g, 1), 1e-300)
        opened = np.clip(0.5 + 0.5 * extra / width, 0.0, 1.0)
        if self.held is not None:
            opened = np.where(self.held < 0, opened, self.held)
        torn = (opened > 0.0) & (opened < 1.0)
        some = matrix[:, np.flatnonzero(torn)].toarray() if torn.any() else np.zeros((len(system), 0))
        gained = gains(extra, self.held)
        raised = (width * opened * (1.0 - opened) - gained + opened * extra)[torn].sum()
        return (float(gained.sum()) / self.all, float(raised) / self.all, (matrix @ opened) / self.all,
                some @ some.T / (2.0 * width * self.all))  # fmt: skip

    def step(self, point: Point, radius: float, shrink: float = 1.0) -> Step:
        """Return the Newton step inside the prices' signs and caps.

        No price moves a worth by more than ``radius``. The step is the one for a width that is
        ``shrink`` times the point's.
        """
        system, steep = self.large.system, self.ground.steep
        use = point.use + (1.0 - shrink) * point.tilt
        least, most, slope = _box(system, point.prices, use, self.all)
        least, most = np.maximum(least, -radius / steep), np.minimum(most, radius / steep)
        if self.center is not None:
            away = point.prices - self.center
            least = np.minimum(np.maximum(least, -self.reach / steep - away), 0.0)
            most = np.maximum(np.minimum(most, self.reach / steep - away), 0.0)
        flat = 1e-6 * steep**2 / self.ground.scale
        bent = point.curvature + np.diag(RIDGE * np.diag(point.curvature) + flat)
        step = _lowest(bent, slope, least, most)
        gained = -float(slope @ step + 0.5 * step @ point.curvature @ step)
        size = float(np.abs(step * steep).max())
        away = 0.0 if self.center is None else np.abs(point.prices + step - self.center) * steep
        return Step(step, gained, size, size < 0.99 * radius, bool(np.max(away) < 0.999 * self.reach))


def _box(
    system: System, prices: np.ndarray, use: np.ndarray, units: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how far each price may fall and rise in one step, and the slope of the bound there.

    Prices do not change their sign in a step, for the bound has a kink at 0; those of equations may.
    """
    far = np.where(np.arange(len(prices)) < system.limits, 1e300, prices)
    most = np.where(np.isfinite(system.hi), np.inf, 0.0)
    least = np.where(np.isfinite(system.lo), -np.inf, 0.0)
    capped = np.isin(np.arange(len(prices)), system.slack_row)
    most[capped] = system.clipped(far.copy())[0][capped]
    least[capped] = system.clipped(np.where(far == 1e300, -far, far))[0][capped]
    above, below = system.hi / units - use, system.lo / units - use
    up = (prices > 0) | ((prices == 0) & np.isfinite(above) & ((above < 0) | (above <= -below)))
    equal = system.lo == system.hi
    slope = np.where(up, above, below)
    least = np.where(up & ~equal, 0.0, least)
    most = np.where(~up & ~equal, 0.0, most)
    slope = np.where(np.isfinite(slope), slope, 0.0)
    return least - prices, most - prices, slope


def _lowest(bent: np.ndarray, slope: np.ndarray, least: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Minimise ``slope·d + d·bent·d / 2`` within a box by projected Newton steps (Bertsekas, 1982)."""
    step = np.clip(np.zeros_like(slope), least, most)
    value = float(slope @ step + 0.5 * step @ bent @ step)
    for _ in range(50):
        gradient = slope + bent @ step
        stuck = ((step <= least) & (gradient >= 0)) | ((step >= most) & (gradient <= 0))
        free = np.flatnonzero(~stuck)
        if not len(free):
            break
        toward = np.zeros_like(step)
        toward[free] = -_solved(bent[np.ix_(free, free)], gradient[free])
        length = 1.0
        while length > 1e-6:
            trial = np.clip(step + length * toward, least, most)
            lower = float(slope @ trial + 0.5 * trial @ bent @ trial)
            if lower < value:
                break
            length *= 0.5
        if length <= 1e-6 or value - lower <= 1e-9 * abs(lower):
            break
        step, value = trial, lower
    return step


def _solved(bent: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Solve a positive definite system; what rounding has left indefinite is lifted as little as it takes."""
    lift, size = 0.0, float(np.abs(bent).max()) or 1.0
    while True:
        lifted = bent + lift * np.eye(len(bent))
        try:
            np.linalg.cholesky(lifted)  # asks only whether it is positive definite
            return np.linalg.solve(lifted, slope)
        except np.linalg.LinAlgError:
            lift = max(10.0 * lift, 1e-10 * size)

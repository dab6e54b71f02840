"""Prices at which the bound is lowest.

The bound L(λ) has a kink wherever a unit's best set changes. It is smoothed: each unit is split
among its best sets as far as they are within a width of each other, which gives a gradient and a
curvature, and the width is brought down step by step. Each step is a Newton step with damping
(Levenberg, 1944; Marquardt, 1963) inside the prices' signs and caps. First comes a small sample of
the units, then larger ones. The last steps are made on the few units that are close to a change,
with what all others choose held as it is, and a pass over all units tells whether that was right.

Where L has no minimum, prices run off; once L is below what any plan is worth, that is proof.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from threadpoolctl import threadpool_limits

from omniopt.decisions.large.shape import Large
from omniopt.decisions.large.sweep import Engine, Sweep, bound_of, gains
from omniopt.decisions.system import System

FIRST = 3_000  # units of the smallest sample, or so many for each row
PER_ROW = 30
GROWTH = 6  # of samples
WIDE = 0.5  # first width, as a share of a unit's worth
SHRINK = 0.2
NARROW = 1e-9  # last width
STEPS = 60  # at one size of sample
ROUNDS = 12  # over all units
SMALL = 60_000  # units up to which all of them are always moved
VERBOSE = False
NEAR = 0.1  # of the units are close to a change at first


@dataclass(frozen=True)
class Prices:
    """Where lowering the bound ended.

    Attributes
    ----------
    prices : ndarray of float64, shape (k + q,)
        Those of the lowest bound that was met.
    bound : float
        What they prove, rounding errors allowed for.
    diverging : bool
        Whether the bound fell below what any plan is worth: there is none.
    sweeps : float
        Passes over all units that were made, those over samples as their share.
    short : float
        By how much the bound may be above its minimum, as estimated.
    noise : float
        A worth that is too small to matter, by which ties can be broken.
    """

    prices: np.ndarray
    bound: float
    diverging: bool
    sweeps: float
    short: float
    noise: float


@dataclass(frozen=True)
class _Point:
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


def lowered(
    large: Large, engine: Engine, start: np.ndarray, held: np.ndarray | None, gap: float, deadline: float,
    progress: Callable[[float], None],
) -> Prices:  # fmt: skip
    """Look for the prices at which the bound is lowest.

    Parameters
    ----------
    large : Large
    engine : Engine
    start : ndarray of float64, shape (k + q,)
        Prices to begin with. Samples are left out if they are not all 0.
    held : ndarray of int8, shape (g,) or None
        1 for cells held open, 0 for cells held closed, -1 for the others.
    gap : float
        The relative gap that plans are going to be compared by.
    deadline : float
        When to stop, by `time.monotonic`.
    progress : callable
        Told of each bound.

    Returns
    -------
    Prices
    """
    return _Descent(large, engine, held, gap, deadline, progress).run(start)


class _Descent:
    """One search for the lowest bound; all its figures are per unit."""

    def __init__(
        self, large: Large, engine: Engine, held: np.ndarray | None, gap: float, deadline: float,
        progress: Callable[[float], None],
    ) -> None:  # fmt: skip
        self.large, self.engine, self.held = large, engine, held
        self.gap, self.deadline, self.progress = max(gap, 1e-9), deadline, progress
        self.units = max(engine.units, 1)
        self.best: _Point | None = None
        self.sweeps, self.short = 0.0, math.inf

    def run(self, start: np.ndarray) -> Prices:
        """Go through the samples, then lower the bound over all units."""
        large, system = self.large, self.large.system
        prices = system.clipped(np.asarray(start, np.float64).copy())[0]
        if not self.engine.units or not len(prices):
            swept = self.engine.sweep(worth_table(large, prices, self.held))
            return Prices(prices, bound_of(large, prices, swept, self.held), False, 1.0, 0.0, 0.0)
        self._measure()
        with threadpool_limits(1, "blas"):  # small matrices, and the cores are busy
            state = _State(prices, WIDE * self.scale, self.scale)
            if (prices == 0).all():
                self._sample(state)
            else:
                state.width *= 0.01
            self._settle(state)
        assert self.best is not None and self.best.swept is not None
        bound = bound_of(large, self.best.prices, self.best.swept, self.held)
        gone = self.best.bound < self.floor and bound / self.units < self._floor(self.engine)
        noise = 0.05 * self.gap * self.scale
        return Prices(self.best.prices, bound, gone, self.sweeps, self.short * self.units, noise)

    def _measure(self) -> None:
        """Find out what a unit is worth, what no plan is likely to fall below, and each row's greatest use."""
        system = self.large.system
        size = np.append(1.0, self.engine.largest)
        use = abs(system.matrix).multiply(np.tile(size, system.matrix.shape[1] // len(size))[None, :])
        self.steep = np.maximum(use.max(axis=1).toarray().ravel(), 1e-300)
        some = self.engine.taken(np.arange(0, self.units, max(1, self.units // FIRST)))
        free = worth_table(self.large, np.zeros(len(system)), self.held)
        best, worst = some.sweep(free), some.sweep(np.where(np.isfinite(free), -free, -np.inf))
        self.scale = max(best.value, worst.value, 0.0) / some.units or best.size / some.units or 1.0
        self.floor = self._floor(some) - self.scale

    def _floor(self, engine: Engine) -> float:
        """Return what no plan falls below, per unit, as far as the engine's units tell."""
        system = self.large.system
        free = worth_table(self.large, np.zeros(len(system)), self.held)
        worst = engine.sweep(np.where(np.isfinite(free), -free, -np.inf)).value / engine.units
        miss = np.where(system.slack_side > 0, system.lo[system.slack_row], system.hi[system.slack_row])
        miss = np.abs(miss) + self.engine.candidates * self.steep[system.slack_row]
        others = np.minimum(system.extra_objective[: system.g], 0.0).sum()
        others += np.minimum(system.extra_objective[system.g :], 0.0) @ miss
        return -worst - 1e-3 * self.scale + float(others) / self.units

    def _sample(self, state: _State) -> None:
        """Lower the bound over larger and larger samples."""
        size = max(FIRST, PER_ROW * len(state.prices))
        while 4 * size < self.units:
            sample = self.engine.taken(np.arange(0, self.units, self.units // size))
            before = state.prices
            point = self._down(_Bound(self, sample, sample.units), state, 0.1 * len(before) / size)
            if point.bound < self.floor:  # the sample may be out of luck
                state.prices = before
                return
            size *= GROWTH
            state.width *= 2.0

    def _settle(self, state: _State) -> None:
        """Lower the bound over all units, moving only those that are close to a change."""
        aim = self.gap / 10
        if self.units < SMALL:
            point = self._down(_Bound(self, self.engine, self.units), state, aim, note=self.note)
            self.short = point.bound - point.mixed + point.gained
            return
        reach, expected = self._reach(state.prices), -math.inf
        for _ in range(ROUNDS):
            rest, close = self.engine.near(worth_table(self.large, state.prices, self.held), reach)
            self.sweeps += 1.0
            part = _Bound(self, close, self.units, rest, state.prices, reach)
            state.width = state.radius = 0.3 * reach
            point = part.at(state.prices, state.width)
            self.note(point)
            assert self.best is not None
            self.short = point.bound - expected
            if VERBOSE:
                print("round", reach, close.units, "bound", point.bound, "expected", expected)
            if self.short <= aim * max(abs(point.bound), 1e-3 * self.scale) or self.late(point):
                return
            if point.bound > self.best.bound:  # too far: halve the way, look further around
                state.prices = 0.5 * (state.prices + self.best.prices)
                reach *= 2.0
                continue
            before = worth_table(self.large, state.prices)
            found = self._down(part, state, 0.3 * aim, at=point)
            expected = found.mixed - found.gained
            move = float(np.abs(worth_table(self.large, state.prices) - before).max())
            reach = min(move, reach)

    def _reach(self, prices: np.ndarray) -> float:
        """Return a lead that few units' best sets have."""
        some = self.engine.taken(np.arange(0, self.units, max(1, self.units // FIRST)))
        margin = some.best(worth_table(self.large, prices, self.held), width=self.scale).margin
        return min(float(np.quantile(margin, NEAR, method="higher")), self.scale)

    def _down(
        self, part: _Bound, state: _State, enough: float, at: _Point | None = None,
        note: Callable[[_Point], None] = lambda _: None,
    ) -> _Point:  # fmt: skip
        """Lower the bound of some units until it is within ``enough`` of its minimum, relatively."""
        point = at or part.at(state.prices, state.width)
        radius, shrink, fresh = state.radius, SHRINK, False
        for _ in range(STEPS):
            note(point)
            if self.late(point):
                break
            step, gained = part.step(point, radius)
            loss = point.bound - point.mixed
            point = replace(point, gained=gained)
            aim = enough * max(abs(point.bound), 1e-3 * self.scale)
            if gained <= max(0.1 * loss, 0.3 * aim):
                if loss + gained <= aim or state.width <= NARROW * self.scale:
                    break
                shrink = max(shrink**2, 1e-3) if fresh else max(shrink, SHRINK)
                width = max(shrink * state.width, NARROW * self.scale)
                step, _ = part.step(point, radius, width / state.width)
                trial = part.at(self.large.system.clipped(point.prices + step)[0], width)
                fresh = trial.smooth <= point.smooth
                if fresh:
                    point = trial
                else:
                    shrink = SHRINK
                    width = shrink * state.width
                    point = part.at(point.prices, width)
                radius = max(min(radius, 3.0 * state.width), 10.0 * width)
                state.width = width
                continue
            fresh = False
            trial = part.at(self.large.system.clipped(point.prices + step)[0], state.width)
            ratio = (point.smooth - trial.smooth) / gained
            size = float(np.abs(step * self.steep).max())
            if ratio < 0.25:
                radius = 0.3 * size
            elif ratio > 0.7 and size > 0.9 * radius:
                radius *= 3.0
            if ratio > 1e-3:
                point = trial
        state.prices, state.radius = point.prices, radius
        return point

    def late(self, point: _Point) -> bool:
        """Whether time is up, or the bound is below what any plan is worth."""
        return time.monotonic() > self.deadline or point.bound < self.floor

    def note(self, point: _Point) -> None:
        """Keep the lowest bound over all units."""
        if self.best is None or point.bound < self.best.bound:
            self.best = point
            self.progress(point.bound * self.units)


@dataclass
class _State:
    """Where the search is: prices, width of smoothing, and how far a step may change a worth."""

    prices: np.ndarray
    width: float
    radius: float


class _Bound:
    """The bound of ``units`` units, per unit, with the limits scaled to their share.

    Only those of the engine move; ``rest`` says what the others chose and stay with.
    """

    def __init__(
        self, descent: _Descent, engine: Engine, units: int, rest: Sweep | None = None,
        center: np.ndarray | None = None, reach: float = math.inf,
    ) -> None:  # fmt: skip
        self.center, self.reach = center, reach
        self.descent, self.engine, self.units, self.rest = descent, engine, units, rest
        self.large, self.held, self.all = descent.large, descent.held, descent.units

    def at(self, prices: np.ndarray, width: float) -> _Point:
        """Compute the bound, smoothed by a width, with gradient and curvature."""
        system = self.large.system
        found = self.engine.sweep(worth_table(self.large, prices, self.held), width=width, curvature=True)
        self.descent.sweeps += self.engine.units / self.all
        fixed, smooth, use, bent = self._cells(prices, width)
        _, side = system.clipped(prices.copy())
        fixed += float(prices @ side) / self.all
        taken = system.matrix @ found.use
        n, swept = self.units, found
        if self.rest is not None:
            fixed += float((system.objective - system.matrix.T @ prices) @ self.rest.use) / n
            taken = taken + system.matrix @ self.rest.use
            contacts = max(found.contacts, self.rest.contacts)
            swept = replace(found, value=found.value + self.rest.value, contacts=contacts, units=n)
        assert found.curvature is not None
        return _Point(
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

    def step(self, point: _Point, radius: float, shrink: float = 1.0) -> tuple[np.ndarray, float]:
        """Return the Newton step inside the prices' signs and caps, and what it should gain.

        No price moves a worth by more than ``radius``. The step is the one for a width that is
        ``shrink`` times the point's.
        """
        system, steep = self.large.system, self.descent.steep
        use = point.use + (1.0 - shrink) * point.tilt
        least, most, slope = _box(system, point.prices, use, self.all)
        least, most = np.maximum(least, -radius / steep), np.minimum(most, radius / steep)
        if self.center is not None:
            away = point.prices - self.center
            least = np.minimum(np.maximum(least, -self.reach / steep - away), 0.0)
            most = np.maximum(np.minimum(most, self.reach / steep - away), 0.0)
        flat = 1e-6 * steep**2 / self.descent.scale
        bent = point.curvature + np.diag(1e-4 * np.diag(point.curvature) + flat)
        step = _lowest(bent, slope, least, most)
        return step, -float(slope @ step + 0.5 * step @ point.curvature @ step)


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
        toward[free] = -cho_solve(cho_factor(bent[np.ix_(free, free)]), gradient[free])
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

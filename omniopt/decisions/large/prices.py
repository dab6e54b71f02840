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
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

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
NEAR = 0.05  # of the units are close to a change at first


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
    """The bound at some prices, per unit; ``smooth`` is what is lowered, ``mixed`` never above the minimum
    once ``use`` is allowed."""

    prices: np.ndarray
    bound: float
    smooth: float
    mixed: float
    use: np.ndarray
    curvature: np.ndarray


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
    """One search for the lowest bound."""

    def __init__(
        self, large: Large, engine: Engine, held: np.ndarray | None, gap: float, deadline: float,
        progress: Callable[[float], None],
    ) -> None:  # fmt: skip
        self.large, self.engine, self.held = large, engine, held
        self.deadline, self.progress = deadline, progress
        self.gap = max(gap, 1e-9)
        self.best: tuple[float, np.ndarray] = (math.inf, np.zeros(len(large.system)))
        self.sweeps, self.short = 0.0, math.inf
        self.units = max(engine.units, 1)

    def run(self, start: np.ndarray) -> Prices:
        """Go through the samples, then lower the bound over all units."""
        large, system = self.large, self.large.system
        prices = system.clipped(np.asarray(start, np.float64).copy())[0]
        if not self.engine.units or not len(prices):
            bound = bound_of(
                large, prices, self.engine.sweep(worth_table(large, prices, self.held)), self.held
            )
            return Prices(prices, bound, False, 1.0, 0.0, 0.0)
        self.scale, self.floor = self._scales()
        size = np.append(1.0, self.engine.largest)
        per_bin = abs(system.matrix).multiply(np.tile(size, system.matrix.shape[1] // len(size))[None, :])
        self.steep = np.maximum(np.asarray(per_bin.max(axis=1).todense()).ravel(), 1e-300)
        size, damping = max(FIRST, PER_ROW * len(prices)), 1e-2
        width = WIDE * self.scale
        if (start == 0).all():
            while GROWTH * size < self.units:
                step = self.units // size
                sample = self.engine.taken(np.arange(0, self.units, step))
                part = _Bound(self, sample)
                point, width, damping = self._down(part, prices, width, damping, 0.1 * len(prices) / size)
                if point.bound < self.floor:  # the sample may be out of luck
                    break
                prices, size = point.prices, size * GROWTH
                width *= 4.0
        else:
            width *= 0.01
        diverging = self._finish(prices, width, damping)
        bound, prices = self.best
        return Prices(prices, bound, diverging, self.sweeps, self.short, self._noise())

    def _finish(self, prices: np.ndarray, width: float, damping: float) -> bool:
        """Lower the bound over all units; return whether it has no minimum."""
        whole = _Bound(self, self.engine)
        point, *_ = self._down(whole, prices, width, damping, self.gap / 20, self.note)
        return self.best[0] / self.units < self.floor

    def _down(
        self, part: _Bound, prices: np.ndarray, width: float, damping: float, enough: float,
        note: Callable[[_Point], None] = lambda _: None,
    ) -> tuple[_Point, float, float]:  # fmt: skip
        """Lower the bound of some units until it is within ``enough`` of its minimum, relatively."""
        point = part.at(prices, width)
        note(point)
        for _ in range(STEPS):
            if time.monotonic() > self.deadline or point.bound < self.floor:
                break
            step, gained = part.step(point, damping)
            loss = point.bound - point.mixed
            aim = enough * max(abs(point.bound), 1e-3 * self.scale)
            if gained <= max(0.1 * loss, 0.3 * aim):
                self.short = (loss + gained) * self.units
                if loss + gained <= aim or width <= NARROW * self.scale:
                    break
                width *= SHRINK
                point = part.at(point.prices, width)
                continue
            trial = part.at(self.large.system.clipped(point.prices + step)[0], width)
            note(trial)
            ratio = (point.smooth - trial.smooth) / gained
            damping *= 0.2 if ratio > 0.75 else 1.0 if ratio > 0.25 else 5.0
            damping = min(max(damping, 1e-9), 1e9)
            if ratio > 1e-3:
                point = trial
        return point, width, damping

    def note(self, point: _Point) -> None:
        """Keep the lowest bound over all units."""
        if point.bound * self.units < self.best[0]:
            self.best = (point.bound * self.units, point.prices)
            self.progress(self.best[0])

    def _scales(self) -> tuple[float, float]:
        """Return what a unit is worth without limits, and less than what any plan is worth per unit."""
        system = self.large.system
        free = worth_table(self.large, np.zeros(len(system)), self.held)
        best = self.engine.sweep(free)
        worst = self.engine.sweep(np.where(np.isfinite(free), -free, -np.inf))
        cells = float(np.minimum(system.extra_objective[: system.g], 0.0).sum())
        scale = max(best.value, worst.value, 0.0) / self.units
        if scale == 0.0:
            scale = best.size / self.units or 1.0
        floor = (cells - worst.value) / self.units - 1e-3 * scale
        if len(system.slack_row):
            floor = -math.inf
        return scale, floor

    def _noise(self) -> float:
        return 0.05 * self.gap * self.scale


class _Bound:
    """The bound over some units, per unit, with the limits scaled to their share."""

    def __init__(self, descent: _Descent, engine: Engine) -> None:
        self.large, self.engine, self.held = descent.large, engine, descent.held
        self.descent, self.units = descent, engine.units
        self.all = descent.units

    def at(self, prices: np.ndarray, width: float) -> _Point:
        """Compute the bound, smoothed by a width, with gradient and curvature."""
        system = self.large.system
        found = self.engine.sweep(worth_table(self.large, prices, self.held), width=width, curvature=True)
        self.descent.sweeps += self.units / self.all
        fixed, smooth, use, bent = self._cells(prices, width)
        _, side = system.clipped(prices.copy())
        fixed += float(prices @ side) / self.all
        assert found.curvature is not None
        n = self.units
        return _Point(
            prices, fixed + found.value / n, fixed + smooth + found.smooth / n, fixed - smooth + found.mixed / n,
            (system.matrix @ found.use) / n + use, found.curvature / n + bent,
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
        raised = width * (opened * (1.0 - opened))[torn].sum()
        gained = gains(extra, self.held)
        raised -= float((gained - opened * extra)[torn].sum())
        return (float(gained.sum()) / self.all, raised / self.all, (matrix @ opened) / self.all,
                some @ some.T / (2.0 * width * self.all))  # fmt: skip

    def step(self, point: _Point, damping: float) -> tuple[np.ndarray, float]:
        """Return the Newton step with damping inside the prices' signs and caps, and what it should gain."""
        system = self.large.system
        least, most, slope = _box(system, point.prices, point.use, self.all)
        diagonal = np.diag(point.curvature)
        floor = 1e-3 * self.descent.steep**2 / self.descent.scale
        bent = point.curvature + np.diag(damping * np.maximum(diagonal, floor) + 1e-12 * floor)
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

"""Prices at which the bound is lowest.

The bound L(λ) has a kink wherever a unit's best set changes. It is smoothed: each unit is split
among its best sets as far as they are within a width of each other, which gives a gradient and a
curvature, and the width is brought down step by step. Each step is a Newton step inside a region of
trust and the prices' signs and caps; where the width falls, the step follows the path that the
lowest point takes, which is straight as long as the sets that share in each choice stay the same.
First comes a small sample of the units, then larger ones. The last steps are made on the few units
that are close to a change, with what all others choose held as it is, and a pass over all units
tells whether that was right.

Where L has no minimum, prices run off; once L is below what any plan is worth, that is proof.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from omniopt.decisions.large.apart import Apart
from omniopt.decisions.large.lagrangian import Bound, Ground, Point, Step
from omniopt.decisions.large.lagrangian import worth_table as worth_table
from omniopt.decisions.large.shape import Large
from omniopt.decisions.large.sweep import Engine, bound_of

FIRST = 1_000  # units of the smallest sample, or so many for each row
PER_ROW = 10
GROWTH = 8  # of samples
WIDE = 0.1  # first width, as a share of a unit's worth
SHRINK = 0.2
NARROW = 1e-9  # last width
STEPS = 60  # at one size of sample
ROUNDS = 12  # over all units
WARM_ROUNDS = 6  # from the prices of an earlier plan
SMALL = 60_000  # units up to which all of them are always moved
SHARP = 1e-4  # of the gap asked for, within which the bound is lowered to split ties well
TRUST = 3.0  # how much further than the lead of units that are held worths may move
FOLLOWED = 16_000  # units of the sample that tells how prices follow limits
FOLLOWING = 0.02  # width at which they follow, as a share of a unit's worth
FOLLOWING_STEPS = 12
ASTRAY = 0.2  # of their move, by which they may have to move again
MISSED = 0.15  # of a reach is enough if no pass over all units is needed then
ENOUGH = 8_000  # units that stay close to a change at least
NEAR = (0.05, 0.35)  # of the units are close to a change at first


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
        Whether the bound fell below what any plan is worth, or a unit has no choice at all: there is no plan.
    sweeps : float
        Passes over all units that were made, those over samples as their share.
    short : float
        By how much the bound may be above its minimum, as estimated.
    noise : float
        A worth that is too small to matter, by which ties can be broken.
    width : float
        By which units were split among their sets at last; so split, they keep the limits about.
    apart : Apart or None
        Which units were moved at last; None for all.
    """

    prices: np.ndarray
    bound: float
    diverging: bool
    sweeps: float
    short: float
    noise: float
    width: float = 0.0
    apart: Apart | None = None


def lowered(
    large: Large, engine: Engine, start: np.ndarray, held: np.ndarray | None, gap: float, deadline: float,
    progress: Callable[[float, np.ndarray], None], use: np.ndarray | None = None,
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
        Told of each bound and its prices; of a sample's prices with a bound of inf.
    use : ndarray of float64, shape (b * t,), optional
        What all units use at the prices to begin with, if that is known of an earlier plan.

    Returns
    -------
    Prices
    """
    return _Descent(large, engine, held, gap, deadline, progress).run(start, use)


def sharpened(
    large: Large, engine: Engine, found: Prices, held: np.ndarray, gap: float, deadline: float
) -> Prices:
    """Move the units close to a change until they keep the limits about when split.

    Where many are worth the same, a bound next to its minimum says little of what they use.

    Parameters
    ----------
    large, engine, held, gap, deadline
        As for `lowered`.
    found : Prices

    Returns
    -------
    Prices
        With the bound of those found: what others prove is not known.
    """
    descent = _Descent(large, engine, held, gap, deadline, lambda *_: None)
    return descent.sharpened(found)


class _Descent:
    """One search for the lowest bound; all its figures are per unit."""

    def __init__(
        self, large: Large, engine: Engine, held: np.ndarray | None, gap: float, deadline: float,
        progress: Callable[[float, np.ndarray], None],
    ) -> None:  # fmt: skip
        self.large, self.engine, self.held = large, engine, held
        self.gap, self.deadline, self.progress = max(gap, 1e-9), deadline, progress
        self.units = max(engine.units, 1)
        self.best: Point | None = None
        self.apart: Apart | None = None
        self.short, self.width = math.inf, 0.0

    def run(self, start: np.ndarray, use: np.ndarray | None) -> Prices:
        """Go through the samples, then lower the bound over all units."""
        large, system = self.large, self.large.system
        prices = system.clipped(np.asarray(start, np.float64).copy())[0]
        if not self.engine.units or not len(prices):
            if not self.engine.units:  # all that is left is what limits cost that cannot but be missed
                missed = np.where(system.lo > 0, -1e300, np.where(system.hi < 0, 1e300, 0.0))
                prices[system.slack_row] = missed[system.slack_row]
                prices = system.clipped(prices)[0]
            swept = self.engine.sweep(worth_table(large, prices, self.held))
            return Prices(prices, bound_of(large, prices, swept, self.held), False, 1.0, 0.0, 0.0)
        self._measure()
        with threadpool_limits(1, "blas"):  # small matrices, and the cores are busy
            if prices.any():  # of an earlier plan, which may be far away
                state = _State(prices, 0.01 * WIDE * self.scale, self.scale)
                if use is not None:
                    self._follow(state, system.matrix @ use)
                self._settle(state, WARM_ROUNDS)
            if self.best is None or not self.short <= self.gap * abs(self.best.bound):
                state = _State(np.zeros_like(prices), WIDE * self.scale, self.scale)
                self._sample(state)
                self._settle(state, ROUNDS)
        assert self.best is not None
        bound = bound_of(large, self.best.prices, self.best.swept, self.held)
        gone = self.best.bound < self.floor and bound / self.units < self._floor(self.engine)
        gone |= self.best.swept.impossible >= 0
        noise, short = 0.05 * self.gap * self.scale, self.short * self.units
        return Prices(self.best.prices, bound, gone, self.ground.sweeps, short, noise, self.width, self.apart)

    def sharpened(self, found: Prices) -> Prices:
        """Lower the bound further over the units close to a change."""
        self._measure()
        apart = found.apart or Apart.of(
            self.engine, worth_table(self.large, found.prices, self.held), math.inf
        )
        part = Bound(self.ground, apart.close, self.units, apart, found.prices, TRUST * apart.reach)
        wide = max(10.0 * found.width, NARROW * self.scale)
        state = _State(found.prices, wide, 10.0 * wide)
        with threadpool_limits(1, "blas"):
            self._down(part, state, SHARP * self.gap)
        return replace(found, prices=state.prices, width=state.width, apart=apart)

    def _measure(self) -> None:
        """Find out what a unit is worth, what no plan is likely to fall below, and each row's most use."""
        system = self.large.system
        size = np.append(1.0, self.engine.largest)
        use = abs(system.matrix).multiply(np.tile(size, system.matrix.shape[1] // len(size))[None, :])
        steep = use.max(axis=1).toarray().ravel()
        # a price of a row that nobody can use moves no worth: it may make long steps
        steep = np.where(steep > 0, steep, 1e-3 * steep[steep > 0].min(initial=1.0))
        some = self.engine.taken(np.arange(0, self.units, max(1, self.units // FIRST)))
        free = worth_table(self.large, np.zeros(len(system)), self.held)
        best, worst = some.sweep(free), some.sweep(np.where(np.isfinite(free), -free, -np.inf))
        self.scale = max(best.value, worst.value, 0.0) / some.units or best.size / some.units or 1.0
        self.ground = Ground(self.large, self.held, self.units, self.scale, steep)
        self.floor = self._floor(some) - self.scale

    def _floor(self, engine: Engine) -> float:
        """Return what no plan falls below, per unit, as far as the engine's units tell."""
        system = self.large.system
        free = worth_table(self.large, np.zeros(len(system)), self.held)
        worst = engine.sweep(np.where(np.isfinite(free), -free, -np.inf)).value / engine.units
        miss = np.where(system.slack_side > 0, system.lo[system.slack_row], system.hi[system.slack_row])
        miss = np.abs(miss) + self.engine.candidates * self.ground.steep[system.slack_row]
        miss += np.asarray(abs(system.extra[:, : system.g]).sum(axis=1)).ravel()[system.slack_row]
        others = np.minimum(system.extra_objective[: system.g], 0.0).sum()
        others += np.minimum(system.extra_objective[system.g :], 0.0) @ miss
        return -worst - 1e-3 * self.scale + float(others) / self.units

    def _sample(self, state: _State) -> None:
        """Lower the bound over larger and larger samples."""
        size = max(FIRST, PER_ROW * len(state.prices))
        while 5 * size < self.units:
            sample = self.engine.taken(np.arange(0, self.units, self.units // size))
            before, table = state.prices, worth_table(self.large, state.prices)
            point = self._down(Bound(self.ground, sample, sample.units), state, 0.1 * len(before) / size)
            if point.bound < self.floor:  # the sample may be out of luck
                state.prices = before
                return
            self.progress(math.inf, state.prices)
            size *= GROWTH
            state.width *= 2.0
            state.drift = _typical(worth_table(self.large, state.prices) - table)

    def _follow(self, state: _State, use: np.ndarray) -> None:
        """Let prices follow limits that have changed, by a sample.

        By what the sample errs about the use of all units at these prices, the limits are moved: so it
        errs only about what changes (a control variate).
        """
        size = max(FOLLOWED, PER_ROW * len(use))
        if 5 * size > self.units:
            return
        system, width, radius = self.large.system, FOLLOWING * self.scale, self.scale
        sample = self.engine.taken(np.arange(0, self.units, self.units // size))
        off = use - self.units * Bound(self.ground, sample, sample.units).at(state.prices, width).use
        moved = replace(self.large, system=replace(system, lo=system.lo - off, hi=system.hi - off))
        part = Bound(replace(self.ground, large=moved), sample, sample.units)
        before, point = worth_table(self.large, state.prices), part.at(state.prices, width)
        for _ in range(FOLLOWING_STEPS):
            step = part.step(point, radius)
            if step.gained <= self.gap * abs(point.bound):
                break
            trial = part.at(self._moved(point, step), width)
            if trial.smooth < point.smooth:
                point = trial
            else:
                radius = 0.3 * step.size
        state.prices = point.prices
        state.drift = ASTRAY * float(np.abs(worth_table(self.large, point.prices) - before).max())

    def _settle(self, state: _State, rounds: int) -> None:
        """Lower the bound over all units, moving only those that are close to a change."""
        aim = self.gap / 10
        if self.units < SMALL:
            point = self._down(Bound(self.ground, self.engine, self.units), state, aim, note=self.note)
            self.width = state.width
            self.short = point.bound - point.mixed + point.gained
            return
        reach, expected, apart = self._reach(state), -math.inf, None
        for _ in range(rounds):
            table = worth_table(self.large, state.prices, self.held)
            apart = self._apart(apart, table, reach)
            reach = apart.reach
            part = Bound(self.ground, apart.close, self.units, apart, state.prices, TRUST * reach)
            narrow, state.width, state.radius = state.width, 0.3 * reach, 0.3 * reach
            point = part.at(state.prices, state.width)
            self.note(point)
            assert self.best is not None
            if self.best is point:
                self.width, self.apart = narrow, apart
            self.short = point.bound - expected
            if self.short <= aim * max(abs(point.bound), 1e-3 * self.scale) or self.late(point):
                return
            if point.bound > self.best.bound:  # too far: halve the way, look further around
                state.prices = 0.5 * (state.prices + self.best.prices)
                reach *= 2.0
                continue
            before = worth_table(self.large, state.prices)
            found = self._down(part, state, 0.3 * aim, point)
            lead = apart.lead(self.large, worth_table(self.large, state.prices, self.held))
            if 0.0 < lead <= MISSED * reach:  # the others' choice just holds: a little further, it is over
                found = self._down(part, state, 0.3 * aim)
            expected = found.mixed - found.gained
            move = float(np.abs(worth_table(self.large, state.prices) - before).max())
            least = self._least(apart)
            stopped = move > 0.9 * TRUST * reach  # by what is trusted: prices may run off, or are far away
            reach = move if stopped else float(np.clip(move, least, reach))

    def _apart(self, before: Apart | None, table: np.ndarray, reach: float) -> Apart:
        """Tell the units close to a change from the others, among all or among those that were close."""
        lead = 0.0 if before is None else before.lead(self.large, table)
        if before is not None and lead > 0.0:
            self.ground.sweeps += before.close.units / self.units
            # where little of the lead is left, perhaps no more is needed
            wide = min(reach, lead) if lead > MISSED * reach else max(lead, self._least(before))
            return replace(before.within(self.engine, table, wide), reach=min(wide, lead))
        self.ground.sweeps += 1.0
        return Apart.of(self.engine, table, reach)

    def _least(self, apart: Apart) -> float:
        """Return a reach that keeps enough units close to a change."""
        return min(max(0.1, ENOUGH / max(apart.close.units, 1)), 1.0) * apart.reach

    def _reach(self, state: _State) -> float:
        """Return a lead that few units' best sets have, and by which worths may still have to move."""
        some = self.engine.taken(np.arange(0, self.units, max(1, self.units // FIRST)))
        margin = some.best(worth_table(self.large, state.prices, self.held), width=self.scale).margin
        few, most = np.minimum(np.quantile(margin, NEAR, method="higher"), self.scale)
        return float(np.clip(state.drift, few, most))

    def _down(
        self, part: Bound, state: _State, enough: float, first: Point | None = None,
        note: Callable[[Point], None] = lambda _: None,
    ) -> Point:  # fmt: skip
        """Lower the bound of some units until it is within ``enough`` of its minimum, relatively."""
        point = first or part.at(state.prices, state.width)
        radius, shrink, fresh = state.radius, SHRINK, False
        for _ in range(STEPS):
            note(point)
            if self.late(point):
                break
            far = part.step(point, 10.0 * max(radius, state.width))
            loss = point.bound - point.mixed
            point = replace(point, gained=far.gained if far.inside else math.inf)
            aim = enough * max(abs(point.bound), 1e-3 * self.scale)
            if first is not None:  # what is gained around these prices says how far off they were
                aim = max(aim, 0.1 * (first.bound - point.bound))
            if far.gained <= max(0.1 * loss, 0.3 * aim):
                if loss + far.gained <= aim or state.width <= NARROW * self.scale:
                    break
                shrink = shrink**2 if fresh else SHRINK
                shrink = min(max(shrink, 1e-3, math.sqrt(0.3 * aim / loss)), 0.5)
                width = max(shrink * state.width, NARROW * self.scale)
                trial = part.at(self._moved(point, part.step(point, radius, width / state.width)), width)
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
            fresh, step = False, part.step(point, radius)
            trial = part.at(self._moved(point, step), state.width)
            ratio = (point.smooth - trial.smooth) / step.gained if step.gained > 0.0 else 0.0
            if ratio < 0.25:
                radius = 0.3 * step.size
            elif ratio > 0.7 and not step.short:
                radius *= 3.0
            if ratio > 1e-3:
                point = trial
        state.prices, state.radius = point.prices, radius
        return point

    def _moved(self, point: Point, step: Step) -> np.ndarray:
        return self.large.system.clipped(point.prices + step.change)[0]

    def late(self, point: Point) -> bool:
        """Whether time is up, a unit has no choice at all, or the bound is below what any plan is worth."""
        stuck = point.swept.impossible >= 0
        return stuck or time.monotonic() > self.deadline or point.bound < self.floor

    def note(self, point: Point) -> None:
        """Keep the lowest bound over all units."""
        if self.best is None or point.bound < self.best.bound:
            self.best = point
            self.progress(point.bound * self.units, point.prices)


def _typical(moved: np.ndarray) -> float:
    """Return by how much most worths have moved at most."""
    moved = np.abs(moved[moved != 0])
    return float(np.quantile(moved, 0.9)) if len(moved) else 0.0


@dataclass
class _State:
    """Where the search is.

    ``radius`` is how far a step may move a worth, and ``drift`` how far the last sample has moved them.
    """

    prices: np.ndarray
    width: float
    radius: float
    drift: float = 0.0

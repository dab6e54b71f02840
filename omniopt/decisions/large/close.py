"""From prices to a plan: fix the units whose best set leads by far, and solve the rest together.

1.  At the prices every unit has a best set. All best sets together break some limits a little, and
    units whose second-best set is nearly as good are where that can be mended at least cost.
2.  The LP over those units, with what all others leave of the limits, mends it but for a few units
    that it splits, at most one for each limit that binds. Its prices are the sharpest there are, if
    no other unit would rather do something else at them; the units that would join in.
3.  The units that the LP splits, and some next to them, go to the exact solver.

More and more units join until the gap is met. Where a plan worth P and a bound L are at hand, a unit
whose best set leads by more than L - P is proven right as it is; once few enough are left, the
exact solver's bound for them holds for the whole.
"""

from __future__ import annotations

import math
import time

import numpy as np

from omniopt.decisions import exact
from omniopt.decisions.large.by_sets import close_by_sets, is_for
from omniopt.decisions.large.entries import unit_of
from omniopt.decisions.large.hunt import Hunt
from omniopt.decisions.large.margins import closest_sets
from omniopt.decisions.large.part import Part, part_of
from omniopt.decisions.large.prices import worth_table
from omniopt.decisions.large.sweep import BestSets, bound_of
from omniopt.decisions.model import Model
from omniopt.decisions.relax import LinearProgram
from omniopt.decisions.restrict import WHOLE, restricted
from omniopt.errors import Infeasible
from omniopt.rules.where import expand

FIRST = 1_000  # units left open at first
GROWTH = 4
TRIES = 3  # times that more units join at once where those at hand cannot be worth enough
FIRST_WHOLE = 100  # units first handed to the exact solver besides those that the LP splits
MOST = 100_000  # candidates that one LP holds at most
PROVABLE = 5_000  # candidates left open at most when the exact solver has to prove that they are best
PATIENCE = 60.0  # seconds at most for one program of the exact solver, if it is not the last resort
HURRY = 1.0  # seconds that each gets at least; later ones half of the time that the search took so far
NEAR = 4.0  # candidates join the LP if their unit loses no more by them than this many times its margin
SPLIT = 1e-6


def close(hunt: Hunt, prices: np.ndarray, noise: float, held: np.ndarray) -> None:
    """Find plans near the prices until the gap is met, time is up, or no more units can join.

    Parameters
    ----------
    hunt : Hunt
        Gets the plans and the bounds.
    prices : ndarray of float64, shape (k + q,)
    noise : float
        By which ties are split.
    held : ndarray of int8, shape (g,)
        1 for cells held open, 0 for cells held closed, -1 for the others.

    Raises
    ------
    Infeasible
        If no choice of all units together keeps the rules.
    """
    large = hunt.large
    if len(large) <= WHOLE:
        _everything(hunt, held)
        return
    if is_for(large):
        close_by_sets(hunt, prices, noise, held)
    table = worth_table(large, prices, held)
    sets = closest_sets(hunt.engine, table, noise, GROWTH * FIRST)
    units = _closest(sets.margin, FIRST)
    chosen = np.flatnonzero(sets.chosen)
    chosen_unit = unit_of(large.columns, chosen)
    tries = TRIES
    while not (hunt.reached() or hunt.out_of_time()):
        at = _Attempt(hunt, sets, units, chosen, chosen_unit, prices, held)
        found = at.relaxed()
        if found is not None and not (tries > 0 and len(at.moved) and at.worth(found) < hunt.wanted()):
            at.finish(found)
        tries -= 1
        if hunt.reached() or _proven(hunt, held):
            return
        if len(units) == large.columns.units and len(large) <= PROVABLE:
            _everything(hunt, held)
        if len(units) == large.columns.units or len(at.part) > MOST:
            return
        size = GROWTH * len(units)
        if np.isfinite(sets.margin).sum() < size:
            sets = closest_sets(hunt.engine, table, noise, GROWTH * size)
        units = np.union1d(_closest(sets.margin, size), at.moved)


class _Attempt:
    """The units left open at one time, and what becomes of them."""

    def __init__(
        self, hunt: Hunt, sets: BestSets, units: np.ndarray, chosen: np.ndarray, chosen_unit: np.ndarray,
        prices: np.ndarray, held: np.ndarray,
    ) -> None:  # fmt: skip
        large = hunt.large
        self.hunt, self.units, self.held = hunt, units, held
        inside = np.zeros(large.columns.units, bool)
        inside[units] = True
        others = ~inside[chosen_unit]
        self.outside, self.outside_unit = chosen[others], chosen_unit[others]
        at = expand(large.columns.start[units], np.diff(large.columns.start)[units])
        loss = hunt.engine.losses(worth_table(large, prices, held), units)
        near = sets.chosen[at] | (loss <= NEAR * self._lead(sets.margin[units]))
        self.part: Part = part_of(large, units, self.outside, near)
        self.model: Model = self.part.model(held)
        self.settled = float(large.system.objective @ self.part.used)
        self.moved = np.zeros(0, np.int64)

    def _lead(self, margin: np.ndarray) -> np.ndarray:
        """Return for each candidate the units' largest margin; where the unit's own is not known, inf."""
        known = np.isfinite(margin)
        lead = np.where(known, margin[known].max(initial=0.0), np.inf)
        return np.repeat(lead, np.diff(self.hunt.large.columns.start)[self.units])

    def relaxed(self) -> np.ndarray | None:
        """Solve the LP of the units and take what its prices prove; None if it has no solution.

        Returns
        -------
        ndarray of float64
            Of the part's candidates.
        """
        hunt, model = self.hunt, self.model
        seconds = math.inf if hunt.left() is None else max(hunt.left() or 0.0, 1.0)
        try:
            found = LinearProgram(model, np.arange(model.n)).solve(seconds)
        except TimeoutError:
            return None
        if found is None:
            return None
        values, duals = found
        self.found = values
        prices = hunt.large.system.clipped(duals[: model.k])[0]
        table = worth_table(hunt.large, prices, self.held)
        sets = hunt.engine.best(table, width=0.0)
        if (self.held < 0).all():
            hunt.price(prices, bound_of(hunt.large, prices, sets))
        self._regret(table, sets)
        self.margin = hunt.engine.taken(self.units).best(table).margin
        hunt.report(f"{len(self.units):,} units open")
        return values[: model.n]

    def _regret(self, table: np.ndarray, sets: BestSets) -> None:
        """Note the units outside that would rather do something else at the new prices."""
        columns = self.hunt.large.columns
        chosen = self.outside
        rows = table[columns.bin[chosen]]
        worth = rows[:, 0] + (rows[:, 1:] * columns.measures[chosen]).sum(axis=1)
        now = np.bincount(self.outside_unit, worth, minlength=columns.units)
        better = sets.searched & (sets.value > now + 1e-9 * np.maximum(1.0, np.abs(now)))
        better[self.units] = False
        order = np.argsort(np.where(better, now - sets.value, np.inf), kind="stable")
        self.moved = order[: min(int(better.sum()), len(self.units))]  # the rest joins later

    def finish(self, values: np.ndarray) -> None:
        """Hand the units that the LP splits, and more and more next to them, to the exact solver."""
        hunt, part = self.hunt, self.part
        split = np.abs(values - np.round(values)) > SPLIT
        torn = np.zeros(len(self.units), bool)
        torn[part.unit[split]] = True
        base = np.round(values)
        base[part.locked] = 1.0
        order = np.argsort(np.where(torn, -1.0, self.margin), kind="stable")
        size = int(torn.sum()) + FIRST_WHOLE
        value = self.worth(values)
        while not hunt.out_of_time():
            mine = np.zeros(len(self.units), bool)
            mine[order[:size]] = True
            free = mine[part.unit]
            enough = hunt.wanted()
            outcome = restricted(
                self.model, free, base, hunt.room() / 4, self._patience(), enough - self.settled
            )
            if outcome.values is not None:
                plan = base > 0.5
                plan[free] = outcome.values > 0.5
                hunt.offer(np.sort(np.concatenate([self.outside, part.at[plan]])))
                hunt.report(f"{int(free.sum()):,} undecided")
            if hunt.reached() or size >= len(self.units) or (value < enough and hunt.chosen is not None):
                return  # in the last case more units have to join: these cannot be worth enough
            size *= GROWTH

    def worth(self, values: np.ndarray) -> float:
        """Return what the LP's solution and the choice of all other units are worth."""
        extras = self.found[self.model.n :] @ self.model.objective[self.model.n :]
        return self.settled + float(self.model.objective[: self.model.n] @ values + extras)

    def _patience(self) -> float:
        """Seconds for one program of the exact solver."""
        spent = time.monotonic() - self.hunt.began
        wait = min(max(HURRY, spent / 2), PATIENCE)
        left = self.hunt.left()
        return wait if left is None else min(wait, left)


def _closest(margin: np.ndarray, size: int) -> np.ndarray:
    """Return the units that are closest to doing something else, ascending."""
    if size >= len(margin):
        return np.arange(len(margin))
    edge = np.partition(margin, size - 1)[size - 1]
    near = np.flatnonzero(margin <= edge)
    return near[np.sort(np.argsort(margin[near], kind="stable")[:size])]


def _everything(hunt: Hunt, held: np.ndarray) -> None:
    """Leave a small problem to the exact solver as a whole."""
    large = hunt.large
    part = part_of(large, np.arange(large.columns.units), np.zeros(0, np.int64))
    free, base = np.ones(len(part), bool), np.zeros(len(part))
    _solved(hunt, part, free, base, held, np.zeros(0, np.int64))


def _proven(hunt: Hunt, held: np.ndarray) -> bool:
    """Let the exact solver prove the plan where all but a few units are proven right as they are."""
    large = hunt.large
    if hunt.chosen is None or not np.isfinite(hunt.from_prices):
        return False
    short = hunt.from_prices - hunt.objective + exact.SAFETY * max(1.0, abs(hunt.from_prices))
    sets = hunt.engine.best(worth_table(large, hunt.prices, held), width=2.0 * short)
    units = np.flatnonzero(sets.margin <= short)
    if np.diff(large.columns.start)[units].sum() > PROVABLE:
        return False
    chosen = np.flatnonzero(sets.chosen)
    outside = chosen[~np.isin(unit_of(large.columns, chosen), units)]
    part = part_of(large, units, outside)
    _solved(hunt, part, np.ones(len(part), bool), np.zeros(len(part)), held, outside)
    return True


def _solved(
    hunt: Hunt, part: Part, free: np.ndarray, base: np.ndarray, held: np.ndarray, outside: np.ndarray
) -> None:
    """Solve a part to the end; its bound holds for the whole."""
    large = hunt.large
    outcome = restricted(part.model(held), free, base, 0.0, hunt.left())
    if outcome.values is not None:
        hunt.offer(np.sort(np.concatenate([outside, part.at[outcome.values > 0.5]])))
    elif outcome.status == "infeasible" and hunt.chosen is None:
        raise Infeasible("no plan keeps all rules")
    fixed = float(large.system.objective @ part.used)
    hunt.tighten(exact.rounded_up(outcome.bound + fixed))
    hunt.report("proof")

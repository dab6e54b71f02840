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

import numpy as np

from omniopt.decisions import exact
from omniopt.decisions.large.apart import Apart
from omniopt.decisions.large.by_sets import close_by_sets, is_for
from omniopt.decisions.large.entries import unit_of
from omniopt.decisions.large.exchange import exchanged
from omniopt.decisions.large.hunt import EFFORT, Hunt
from omniopt.decisions.large.margins import closest_sets, lead_of
from omniopt.decisions.large.nearby import Nearby, nearby
from omniopt.decisions.large.part import Part, part_of, use_of
from omniopt.decisions.large.prices import Prices, sharpened, worth_table
from omniopt.decisions.large.sweep import bound_of
from omniopt.decisions.large.unused import prove_unused
from omniopt.decisions.model import Model
from omniopt.decisions.relax import LinearProgram
from omniopt.decisions.restrict import WHOLE, restricted
from omniopt.errors import Infeasible
from omniopt.rules.where import expand

FIRST = (300, 2_000)  # units left open at first, at least and at most
FEW = 0.05  # of all units: so many are that close to a change that the LP over them is small
GROWTH = 4
VAIN = 2  # times that looking further brings little or nothing before it is given up
LITTLE = 0.1  # of what is missing
TRIES = 3  # times that more units join at once where those at hand cannot be worth enough
FIRST_WHOLE = 100  # units first handed to the exact solver besides those that the LP splits
MOST = 100_000  # candidates that one LP holds at most
PROVABLE = 5_000  # candidates left open at most when the exact solver has to prove that they are best
WIDEST = 3_000  # candidates handed to it at most where there is a plan
NEAR = 4.0  # candidates join the LP if their unit loses no more by them than this many times its margin
SPLIT = 1e-6
EXCHANGED = 50_000  # units close to a change up to which all of them may exchange sets


def close(hunt: Hunt, found: Prices, held: np.ndarray) -> None:
    """Find plans near the prices until the gap is met, time is up, or more units bring no better ones.

    Parameters
    ----------
    hunt : Hunt
        Gets the plans and the bounds.
    found : Prices
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
        close_by_sets(hunt, found.prices, found.noise, held)
    if hunt.reached() or hunt.out_of_time():
        return
    table = worth_table(large, found.prices, held)
    apart = found.apart or Apart.of(hunt.engine, table, math.inf)
    near = nearby(large, hunt.engine, found, held, apart)
    size = int(np.clip(FEW * large.columns.units, *FIRST))
    tries, vain, sharp, waits = TRIES, 0, not len(large.system), False
    moved, asked = np.zeros(0, np.int64), np.zeros(0)  # asked: the prices that limits were looked at with
    while vain < VAIN and not (hunt.reached() or hunt.out_of_time()):
        if size > len(near.units) and math.isfinite(apart.reach):
            table = worth_table(large, found.prices, held)
            apart = Apart.of(hunt.engine, table, lead_of(hunt.engine, table, found.noise, size))
            near = nearby(large, hunt.engine, found, held, apart)
        before = hunt.bound - hunt.objective
        at = _Attempt(hunt, near, _closest(near, found.noise, size, moved), held)
        if len(at.part) > MOST and hunt.chosen is not None and not waits:
            return
        cheap = tries == TRIES and GROWTH * size <= FEW * large.columns.units
        if not at.tried(tries > 0, cheap) and not sharp:
            sharp, found = True, sharpened(large, hunt.engine, found, held, hunt.gap, hunt.deadline)
            near = nearby(large, hunt.engine, found, held, apart)
            continue
        if hunt.chosen is not None and not hunt.reached() and hunt.prices is not asked:
            asked, near = hunt.prices, _aimed(hunt, near, found, held, size, moved)
            large = near.large
        if hunt.reached() or (not at.waits and _proven(hunt, held)):
            return
        all_open = math.isinf(apart.reach) and len(at.units) == len(near.units)
        if all_open and len(large) <= PROVABLE:
            _everything(hunt, held)
        if all_open or len(at.part) > MOST:
            return
        tries, size, moved, waits = tries - 1, GROWTH * size, near.units[at.moved], at.waits
        if hunt.chosen is None or hunt.bound - hunt.objective < (1.0 - LITTLE) * before:
            vain = 0
        else:  # where the LP is worth enough, more units are not what is missing
            vain += VAIN if at.enough else 1


def _aimed(hunt: Hunt, near: Nearby, found: Prices, held: np.ndarray, size: int, more: np.ndarray) -> Nearby:
    """Aim at what limits have to leave unused, where that is why no plan reaches the bound.

    Returns
    -------
    Nearby
        Under limits that whole numbers of contacts can use up, if that brought a better plan.
    """
    aimed = prove_unused(hunt)
    if aimed is None or hunt.reached():
        return near
    other, before = nearby(aimed, hunt.engine, found, held, near.apart), hunt.objective
    _Attempt(hunt, other, _closest(other, found.noise, size, more), held).tried(True, True)
    return other if hunt.objective > before else near


class _Attempt:
    """The units left open at one time, as places among those near, and what becomes of them."""

    def __init__(self, hunt: Hunt, near: Nearby, units: np.ndarray, held: np.ndarray) -> None:
        large = near.large
        self.hunt, self.near, self.units, self.held = hunt, near, units, held
        inside = np.zeros(len(near.units), bool)
        inside[units] = True
        others = ~inside[near.unit]
        self.outside, self.outside_unit = near.chosen[others], near.unit[others]
        start = near.engine.data.start
        loss = near.engine.losses(near.table, units)
        margin = near.engine.taken(units).best(near.table).margin
        self.lead = NEAR * float(margin[np.isfinite(margin)].max(initial=0.0))
        lead = np.where(np.isfinite(margin), self.lead, np.inf)
        kept = loss <= np.repeat(lead, np.diff(start)[units])
        whole = near.units[units]
        at = expand(large.columns.start[whole], np.diff(start)[units])
        self.part: Part = part_of(large, whole, near.used(self.outside), kept | np.isin(at, near.chosen))
        self.model: Model = self.part.model(held)
        self.settled = float(large.system.objective @ self.part.used)
        self.moved, self.enough, self.waits = np.zeros(0, np.int64), False, False

    def tried(self, may_wait: bool, cheap: bool) -> bool:
        """Look for plans, and say whether the LP has a solution.

        With ``may_wait`` no further than the LP and exchanges where more units should join: where the LP
        is not worth enough, or where it is ``cheap`` to solve it with more units, for it and exchanges
        among them take less than the exact solver then.
        """
        hunt = self.hunt
        values = self.relaxed()
        if values is None:
            return False
        self._exchange(values)
        self.enough = self.worth(values) >= hunt.wanted()
        if hunt.reached():
            return True
        if not self.enough:
            self.prove()
            self.enough = self.worth(values) >= hunt.wanted()
        more = len(self.units) < len(self.near.units) and cheap if self.enough else len(self.moved) > 0
        self.waits = may_wait and more
        if not self.waits:
            self.finish(values)
            if not hunt.reached():
                self.prove()
        return True

    def relaxed(self) -> np.ndarray | None:
        """Solve the LP of the units; None if it has no solution.

        Returns
        -------
        ndarray of float64
            Of the part's candidates.
        """
        hunt, model = self.hunt, self.model
        seconds = math.inf if hunt.left() is None else max(hunt.left() or 0.0, 1.0)
        program = LinearProgram(model, np.arange(model.n))
        program.begin(self.near.prices, np.flatnonzero(np.isin(self.part.at, self.near.chosen)))
        try:
            found = program.solve(seconds)
        except TimeoutError:
            return None
        if found is None:
            return None
        self.found, duals = found
        self.prices = hunt.large.system.clipped(duals[: model.k])[0]
        self.table = worth_table(hunt.large, self.prices, self.held)
        self._regret()
        hunt.report(f"{len(self.units):,} units open")
        return self.found[: model.n]

    def prove(self) -> None:
        """Take what the LP's prices prove."""
        hunt, apart = self.hunt, self.near.apart
        if (self.held < 0).all():
            certain = apart.lead(hunt.large, self.table) > 0.0
            found = apart.sweep(self.table) if certain else hunt.engine.sweep(self.table)
            hunt.price(self.prices, bound_of(hunt.large, self.prices, found))

    def _regret(self) -> None:
        """Note the units near, but left out, that would rather do something else at the LP's prices."""
        columns, chosen, count = self.hunt.large.columns, self.outside, len(self.near.units)
        sets = self.near.engine.best(self.table, width=0.0)
        rows = self.table[columns.bin[chosen]]
        worth = rows[:, 0] + (rows[:, 1:] * columns.measures[chosen]).sum(axis=1)
        now = np.bincount(self.outside_unit, worth, minlength=count)
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
        margin = self.near.engine.taken(self.units).best(self.table).margin
        order = np.argsort(np.where(torn, -1.0, margin), kind="stable")
        size, vain = int(torn.sum()) + FIRST_WHOLE, 0
        value = self.worth(values)
        while vain < VAIN and not hunt.out_of_time():
            mine = np.zeros(len(self.units), bool)
            mine[order[:size]] = True
            free = mine[part.unit]
            if hunt.chosen is not None and free.sum() > WIDEST:
                return
            enough, before = hunt.wanted(), hunt.objective
            outcome = restricted(
                self.model, free, base, hunt.room() / 4, hunt.patience(), enough - self.settled, EFFORT
            )
            if outcome.values is not None:
                plan = base > 0.5
                plan[free] = outcome.values > 0.5
                self._offer(part.at[plan])
                hunt.report(f"{int(free.sum()):,} undecided")
            if hunt.reached() or size >= len(self.units) or (value < enough and hunt.chosen is not None):
                return  # in the last case more units have to join: these cannot be worth enough
            size *= GROWTH
            better = hunt.chosen is None or enough - hunt.objective < (1.0 - LITTLE) * (enough - before)
            vain = 0 if better else vain + 1

    def _exchange(self, values: np.ndarray) -> None:
        """Look for whole sets near the LP's solution: often enough, and far quicker than what follows."""
        hunt, near = self.hunt, self.near
        if hunt.large.system.extra.shape[1]:
            return
        data, start = near.engine.data, hunt.large.columns.start
        split = np.zeros(len(data.bin))
        split[self.outside - start[near.units[self.outside_unit]] + data.start[self.outside_unit]] = 1.0
        unit = self.units[self.part.unit]
        split[self.part.at - start[near.units[unit]] + data.start[unit]] = values
        units = np.arange(len(near.units)) if len(near.units) <= EXCHANGED else self.units
        chosen = exchanged(near, units, split, self.lead, hunt.wanted())
        if chosen is not None:
            used = near.used(chosen)
            hunt.offer_use(used, lambda: np.sort(np.concatenate([near.settled, chosen]), kind="stable"))
        hunt.report("whole sets")

    def _offer(self, chosen: np.ndarray) -> None:
        """Offer what the units do together with what all others do."""
        near = self.near
        used = self.part.used + use_of(self.hunt.large, chosen)
        parts = (self.outside, chosen)
        self.hunt.offer_use(used, lambda: np.sort(np.concatenate([near.settled, *parts]), kind="stable"))

    def worth(self, values: np.ndarray) -> float:
        """Return what the LP's solution and the choice of all other units are worth."""
        extras = self.found[self.model.n :] @ self.model.objective[self.model.n :]
        return self.settled + float(self.model.objective[: self.model.n] @ values + extras)


def _closest(near: Nearby, noise: float, size: int, more: np.ndarray) -> np.ndarray:
    """Return the units closest to doing something else, and some more, as places among those near."""
    count = len(near.units)
    if size >= count:
        return np.arange(count)
    margin = closest_sets(near.engine, near.table, noise, size).margin
    units = np.argsort(margin, kind="stable")[:size]
    return np.union1d(units, np.flatnonzero(np.isin(near.units, more)))


def _everything(hunt: Hunt, held: np.ndarray) -> None:
    """Leave a small problem to the exact solver as a whole."""
    large = hunt.large
    part = part_of(large, np.arange(large.columns.units), np.zeros(len(large.system.objective)))
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
    part = part_of(large, units, use_of(large, outside))
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

"""Limits in moving windows: what every window of every group holds, and which windows a certificate lists.

Two windows of a group that hold the same days of candidates differ by their history alone; of a run of such
windows the tightest one stands for all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from omniopt.audit.arrays import expand
from omniopt.audit.bounds import Label
from omniopt.audit.history import history_rows
from omniopt.audit.inputs import Inputs
from omniopt.audit.measures import Usage, past_usage
from omniopt.audit.rounding import ROW
from omniopt.audit.scope import Unchecked
from omniopt.audit.sums import Sums

# Sums of multiples of one part of this are exact.
EXACT = 1024
# So many windows of all groups are laid out at most.
GRID = 100_000_000


@dataclass
class Rolled:
    """The days of every group, and its windows.

    Attributes
    ----------
    length : int
        Days in a window.
    first : int
        The first day that any window begins on; bins and grids are counted from it.
    days : int
        So many days are looked at for each group; a bin is a day of a group.
    inside : (int, int)
        First and last day of the horizon.
    bins : int
    top, over : Usage
        What the candidates looked at use of each bin.
    held : ndarray of bool
        Groups × days: a candidate of the group lies there.
    past_top, past_over : ndarray of float
        Groups × days on which a window begins: what history uses in it.
    """

    length: int
    first: int
    days: int
    inside: tuple[int, int]
    top: Usage
    over: Usage
    held: np.ndarray
    past_top: np.ndarray
    past_over: np.ndarray

    @property
    def bins(self) -> int:
        """Days of all groups."""
        return self.held.size

    def daily(self, use: Usage, day: np.ndarray) -> Usage:
        """A use by group as one by bin; `day` is that of each candidate."""
        return Usage(use.index, use.code * self.days + day[use.index] - self.first, use.amount)

    def asked(self, side: str) -> np.ndarray:
        """Groups × first days: the windows that a maximum or a minimum speaks of."""
        begin = np.arange(self.first, self.first + self.days)
        if side == "min":
            whole = (begin >= self.inside[0]) & (begin + self.length - 1 <= self.inside[1])
            return np.broadcast_to(whole, self.held.shape)
        return self._holding()

    def _holding(self) -> np.ndarray:
        """Groups × first days: the windows that hold a candidate."""
        number = np.cumsum(np.pad(self.held, ((0, 0), (1, self.length))), axis=1)
        return number[:, self.length : self.length + self.days] > number[:, : self.days]

    def rows(self, side: str, ratio: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """Group and first day of the windows that stand for their runs, sorted.

        Where sums of the past's fractions leave it to rounding which window of a run is the tightest, any of
        these may stand for it; the third result has their first days.

        Parameters
        ----------
        side : str
        ratio : ndarray of float or None
            Per group, what the denominator's history is multiplied by; None for a plain sum.
        """
        asked = self.asked(side)
        if ratio is not None:
            # A ratio of nothing holds.
            asked = asked & self._holding()
        wide = np.pad(self.held, ((0, 0), (1, self.length)))
        # A window holds other days than the one before it if a day leaves it or enters it.
        new = wide[:, : self.days] | wide[:, self.length : self.length + self.days]
        new |= asked & ~np.pad(asked, ((0, 0), (1, 0)))[:, :-1]
        group, begin = np.nonzero(asked)
        run = np.cumsum(new[group, begin]) - 1
        if not len(group):
            return group, begin, []
        below = 0.0 if ratio is None else ratio[:, None] * self.past_over
        history = (self.past_top - below)[group, begin]
        history = history if side == "max" else -history
        start = np.flatnonzero(np.append(True, run[1:] != run[:-1]))
        most = np.maximum.reduceat(history, start)[run]
        near = np.flatnonzero((history >= most - ROW * (1.0 + np.abs(most))) | np.isnan(history))
        _, earliest = np.unique(run[near], return_index=True)
        chosen = near[earliest]
        days = np.split(begin[near] + self.first, earliest[1:])
        if np.array_equal(history * EXACT, np.rint(history * EXACT)):
            days = [some[:1] for some in days]
        return group[chosen], begin[chosen] + self.first, days

    def past(self, group: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What history uses in windows, of the measure and of the denominator."""
        at = start - self.first
        return self.past_top[group, at], self.past_over[group, at]

    def spans(self, group: np.ndarray, start: np.ndarray) -> csr_matrix:
        """Windows × bins: which days lie in which window."""
        at = start - self.first
        size = np.minimum(self.length, self.days - at)
        first = group * self.days + at
        bins, row = expand(first, first + size)
        return csr_matrix((np.ones(len(row)), (row, bins)), shape=(len(group), self.bins))

    def every(self, use: Usage, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Groups × first days: what is chosen in each window without history, and its size."""
        total, size = (a.reshape(self.held.shape) for a in use.totals(chosen, self.bins))
        result = []
        for daily in (total, size):
            wide = np.pad(daily, ((0, 0), (0, self.length)))
            # Day by day, so that the error of a sum is that of its own terms.
            added = np.zeros(self.held.shape)
            for k in range(self.length):
                added += wide[:, k : k + self.days]
            result.append(added)
        return result[0], result[1]


def roll(
    inputs: Inputs, sums: Sums, labels: list[Label], uses: list[Usage], day: np.ndarray, length: int
) -> Rolled:
    """Lay out the days of a limit's groups.

    Parameters
    ----------
    sums : Sums
        What was seen of the limit among all candidates.
    uses : list of Usage
        What some candidates use by group: of the measure, and perhaps of the denominator.
    day : ndarray of int
        The day of each of them.
    """
    if "date" not in inputs.world.frames["action"]:
        raise Unchecked("the actions have no dates, and so no windows")
    inside = inputs.world.inside()
    seen = np.array(sorted(sums.days), dtype=np.int64).reshape(-1, 2)
    low = min(inside[0], int(seen[:, 1].min(initial=inside[0])))
    first = low - length + 1
    days = max(inside[1], int(seen[:, 1].max(initial=inside[1]))) - first + 1
    if len(labels) * days > GRID:
        raise Unchecked(f"{len(labels)} groups with {days} windows each are too many")
    held = np.zeros((len(labels), days), dtype=bool)
    held[seen[:, 0], seen[:, 1] - first] = True
    grids = [np.zeros((len(labels), days)) for _ in range(2)]
    rows, counts = history_rows(inputs)
    where_of = {label: g for g, label in enumerate(labels)}
    for grid, expression, where in zip(
        grids, (sums.measure, sums.below), (sums.where, sums.over_where), strict=True
    ):
        if expression is None:
            continue
        use, names = past_usage(
            inputs, rows.take(counts), np.flatnonzero(counts), expression, where, sums.per
        )
        group = np.array([where_of.get(name, -1) for name in names], dtype=np.int64)[use.code]
        when = rows.day[counts][use.index]
        for back in range(length):
            at = when - back - first
            hit = (group >= 0) & (at >= 0) & (at < days)
            np.add.at(grid, (group[hit], at[hit]), use.amount[hit])
    nothing = Usage(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0))
    rolled = Rolled(length, first, days, inside, nothing, nothing, held, *grids)
    rolled.top = rolled.daily(uses[0], day)
    rolled.over = rolled.daily(uses[1], day) if len(uses) > 1 else nothing
    return rolled

"""Windows over the contacts of one rule: which ones matter, and the rows they become."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from omniopt.rules.distinct import distinct, numbered
from omniopt.rules.statements import states
from omniopt.rules.unit_rows import ALWAYS, ANY, UnitRows
from omniopt.rules.where import expand


@dataclass(frozen=True)
class Things:
    """Candidates and past contacts of one contact rule, sorted by owner, group and day.

    Attributes
    ----------
    candidate : ndarray of int64, shape (m,)
        -1 for a past contact.
    owner : ndarray of int64
        The customer or household whose contacts are counted together.
    day : ndarray of int64
        Day number, or number of the calendar period.
    kind : ndarray of int64
        What is counted: things of one owner with the same kind count once.
    owner_group : ndarray of int64
        Number of the owner's group by ``per``, ascending.
    """

    candidate: np.ndarray
    owner: np.ndarray
    day: np.ndarray
    kind: np.ndarray
    owner_group: np.ndarray

    @staticmethod
    def of(
        candidate: np.ndarray, owner: np.ndarray, day: np.ndarray, kind: np.ndarray, group: np.ndarray
    ) -> Things:
        """Sort the things, and number the owners' groups."""
        owner_group = numbered(owner, group)
        order = np.lexsort((candidate, day, owner_group))
        return Things(*(v[order] for v in (candidate, owner, day, kind, owner_group)))

    def begin_on_things(self, days: int) -> Windows:
        """List the windows of ``days`` days that can be overfull; 0 is one window over everything.

        A window may be moved on until it begins with a contact without losing any, so those that
        begin on the days of candidates or past contacts are enough.
        """
        span = int(self.day.max(initial=0) - self.day.min(initial=0)) + days + 2
        day = self.day - self.day.min(initial=0) if days else np.zeros_like(self.day)
        key = self.owner_group * span + day
        begin = np.flatnonzero(np.diff(key, prepend=-1))
        end = np.searchsorted(key, key[begin] + max(days, 1), side="left")
        end = np.minimum(end, np.searchsorted(self.owner_group, self.owner_group[begin], side="right"))
        return self._windows(begin, end)

    def begin_on(self, owner_group: np.ndarray, days: list[int], length: int) -> Windows:
        """List the windows of ``length`` days that begin on the given days, for some owners' groups.

        Windows that hold the same things are one; ``length`` 0 is one window over everything.
        """
        first = np.searchsorted(self.owner_group, owner_group, side="left")
        last = np.searchsorted(self.owner_group, owner_group, side="right")
        if not length:
            return self._windows(first, last, owner_group)
        low = int(min(self.day.min(initial=0), min(days, default=0)))
        span = int(max(self.day.max(initial=0), max(days, default=0))) - low + length + 2
        key = self.owner_group * span + self.day - low
        from_day = np.tile(np.array(days, np.int64) - low, len(owner_group))
        at = np.repeat(owner_group, len(days)) * span + from_day
        begin, end = np.searchsorted(key, at), np.searchsorted(key, at + length)
        empty = begin == end  # all empty windows of an owner are one
        begin[empty] = end[empty] = np.repeat(first, len(days))[empty]
        begin, end, of = distinct(begin, end, np.repeat(owner_group, len(days)))
        return self._windows(begin, end, of)

    def _windows(self, begin: np.ndarray, end: np.ndarray, owner_group: np.ndarray | None = None) -> Windows:
        row = np.repeat(np.arange(len(begin)), end - begin)
        thing = expand(begin, end - begin)
        past = self.candidate[thing] < 0
        kind = self.kind[thing]
        used, taken = _distinct_past(row, kind, past, len(begin))
        fresh = ~past & ~taken
        new = distinct(row[fresh], kind[fresh])[0]
        classes = np.bincount(new, minlength=len(begin))
        keep = ~past
        owner_group = self.owner_group[begin] if owner_group is None else owner_group
        return Windows(
            self, owner_group, begin, end, used, classes, row[keep], thing[keep], kind[keep], taken[keep]
        )


@dataclass(frozen=True)
class Windows:
    """Windows over things: extent, past contacts, classes that candidates add, and memberships.

    A membership is ``taken`` if it adds nothing, its class being one of the past.
    """

    things: Things
    owner_group: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    past: np.ndarray
    classes: np.ndarray
    row: np.ndarray
    thing: np.ndarray
    kind: np.ndarray
    taken: np.ndarray

    @property
    def owner(self) -> np.ndarray:
        """The owner of each window."""
        return self.things.owner[np.searchsorted(self.things.owner_group, self.owner_group)]

    @property
    def held(self) -> np.ndarray:
        """Whether a window holds a candidate."""
        return np.bincount(self.row, minlength=len(self.begin)) > 0

    @states("window")
    def at_most(self, cap: np.ndarray, unit: np.ndarray, name: str) -> UnitRows:
        """One row for every window that can be overfull.

        Parameters
        ----------
        cap, unit : ndarray of int64
            Of each window.
        name : str
            The rule.
        """
        room = np.maximum(cap - self.past, 0)
        over = self.past > cap  # then nothing may come, not even on an occasion of the past
        tight = (self.classes > room) | (over & self.held)
        tight &= ~self._inside_previous(room)
        return self._rows(tight, self.taken & ~over[self.row], unit, name, cap=room)

    @states("minimum or none")
    def at_least(self, lo: np.ndarray, unit: np.ndarray, or_none: bool, name: str) -> UnitRows:
        """One row for every window that past contacts do not fill; with ``or_none`` it may stay empty."""
        short = lo - self.past
        trigger = np.where(or_none & (self.past == 0), ANY, ALWAYS)
        asks = (short > 0) & ((trigger == ALWAYS) | ((short > 1) & self.held))
        return self._rows(asks, self.taken, unit, name, lo=short, trigger=trigger)

    def _rows(
        self, wanted: np.ndarray, skip: np.ndarray, unit: np.ndarray, name: str, **bounds: np.ndarray
    ) -> UnitRows:
        """Rows of the wanted windows, without the memberships to skip."""
        number = np.cumsum(wanted) - 1
        chosen = wanted[self.row] & ~skip
        row, thing = number[self.row[chosen]], self.thing[chosen]
        count = np.bincount(row, minlength=int(wanted.sum()))
        member = self.things.candidate[thing]
        mine = {key: value[wanted] for key, value in bounds.items()}
        return UnitRows.of(name, unit[wanted], count, member, self.kind[chosen], **mine)

    def _inside_previous(self, room: np.ndarray) -> np.ndarray:
        """Mark windows that end where the one before ends and leave no less room: they say nothing new."""
        inside = np.zeros(len(self.begin), bool)
        if len(inside) > 1:
            same = (self.end[1:] == self.end[:-1]) & (self.owner_group[1:] == self.owner_group[:-1])
            inside[1:] = same & (room[1:] >= room[:-1])
        return inside


def _distinct_past(
    row: np.ndarray, kind: np.ndarray, past: np.ndarray, rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """Count the distinct classes of past contacts in each row, and mark the members that share one."""
    if not past.any():
        return np.zeros(rows, np.int64), np.zeros(len(row), bool)
    pair = numbered(row, kind)
    in_past = np.zeros(pair.max() + 1, bool)
    in_past[pair[past]] = True
    first = np.unique(pair[past], return_index=True)[1]
    return np.bincount(row[past][first], minlength=rows), in_past[pair] & ~past

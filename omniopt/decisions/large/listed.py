"""The best sets of some units, listed: what each unit may do, as columns of a program of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from omniopt.decisions.large.kernels import fill_worths, make_work, making_arrays
from omniopt.decisions.large.shape import Columns
from omniopt.decisions.large.sweep import Engine, read_only
from omniopt.decisions.large.unit_search import find_sets
from omniopt.rules.where import expand


@dataclass(frozen=True)
class Listed:
    """Sets of contacts, by unit.

    Attributes
    ----------
    unit : ndarray of int64, shape (s,)
    start : ndarray of int64, shape (s + 1,)
        Contacts of set i are ``member[start[i]:start[i + 1]]``.
    member : ndarray of int64
        Places of candidates.
    """

    unit: np.ndarray
    start: np.ndarray
    member: np.ndarray

    def __len__(self) -> int:
        return len(self.unit)

    def among(self, kept: np.ndarray) -> Listed:
        """Return some of the sets."""
        size = np.diff(self.start)
        return Listed(
            self.unit[kept],
            np.concatenate([[0], np.cumsum(size[kept])]),
            self.member[np.repeat(kept, size)],
        )


def list_sets(engine: Engine, table: np.ndarray, units: np.ndarray, most: int, width: float) -> Listed:
    """List the best sets of some units.

    Parameters
    ----------
    engine : Engine
    table : ndarray of float64, shape (b, t)
        Worths.
    units : ndarray of int64, shape (m,)
        Ascending.
    most : int
        Sets of a unit at most, from 3.
    width : float
        Sets are listed that get a share if the unit's choice is smoothed by so much.

    Returns
    -------
    Listed
    """
    some, start = engine.taken(units), engine.data.start
    table = read_only(np.asarray(table, np.float64))
    owner, size, member = _sets_part(some.data, some.rules, table, most, float(width), some.sizes)
    shift = start[units] - some.data.start[:-1]
    return Listed(
        units[owner], np.concatenate([[0], np.cumsum(size)]), member + np.repeat(shift[owner], size)
    )


def sets_in(columns: Columns, units: np.ndarray, chosen: np.ndarray) -> Listed:
    """List one set for each of some units: what a choice has of them.

    Parameters
    ----------
    columns : Columns
    units : ndarray of int64, shape (m,)
    chosen : ndarray of bool, shape (n,)
    """
    size = np.diff(columns.start)[units]
    at = expand(columns.start[units], size)
    count = np.bincount(np.repeat(np.arange(len(units)), size), chosen[at], minlength=len(units))
    return Listed(units, np.concatenate([[0], np.cumsum(count.astype(np.int64))]), at[chosen[at]])


def joined(lists: list[Listed]) -> Listed:
    """Put lists of sets one after the other."""
    size = np.concatenate([np.diff(some.start) for some in lists])
    return Listed(
        np.concatenate([some.unit for some in lists]), np.concatenate([[0], np.cumsum(size)]),
        np.concatenate([some.member for some in lists]),
    )  # fmt: skip


@making_arrays
def _sets_part(data, rules, table, most, width, sizes):  # type: ignore[no-untyped-def]
    """Return each set's unit and size, and all their contacts."""
    work = make_work(most, sizes)
    units = len(data.start) - 1
    owner, size = np.empty(units * most, np.int64), np.empty(units * most, np.int64)
    member, sets, used = np.empty(1024, np.int64), 0, 0
    for u in range(units):
        a, z = data.start[u], data.start[u + 1]
        fill_worths(a, z, data.bin, data.measures, table, work.worth)
        count, _, _ = find_sets(u, z - a, data, rules, most, width, work)
        for s in range(count):
            if used + work.size[s] > len(member):
                longer = np.empty(2 * (used + work.size[s]), np.int64)
                longer[:used] = member[:used]
                member = longer
            for i in range(work.size[s]):
                member[used + i] = a + work.member[s, i]
            owner[sets], size[sets] = u, work.size[s]
            used += work.size[s]
            sets += 1
    return owner[:sets], size[:sets], member[:used]

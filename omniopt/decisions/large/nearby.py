"""The units close to a change, apart from all others, whose choice is settled.

Where several sets of a unit are worth nearly the same, which one it takes matters to the limits
alone. The prices' last step has split such units so that the limits are kept about. Here they take
whole sets, one unit after the other, each the one that brings the sums nearest to those of the
split, so that no limit is off by more than a few contacts.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from omniopt.decisions.large.apart import Apart
from omniopt.decisions.large.curvature import add_rows
from omniopt.decisions.large.kernels import compiled, fill_worths, make_work, making_arrays
from omniopt.decisions.large.part import use_of
from omniopt.decisions.large.passes import MANY
from omniopt.decisions.large.prices import Prices, worth_table
from omniopt.decisions.large.shape import Large
from omniopt.decisions.large.sweep import Engine, read_only
from omniopt.decisions.large.unit_search import find_sets

LEAST = 1e-300  # width of a split, where no other is known
TURNS = 4  # times that units are gone through
ALONE = -2  # instead of a set's number, of units without another one


@dataclass(frozen=True)
class Nearby:
    """Units close to a change at some worths, what they choose, and what all others do.

    Attributes
    ----------
    large : Large
    whole : Engine
        Of all units.
    engine : Engine
        Of those close to a change.
    prices : ndarray of float64, shape (k + q,)
    table : ndarray of float64, shape (b, t)
        The worths at the prices.
    apart : Apart
        How the others were told from them, and what they do.
    chosen : ndarray of int64
        Candidates that the close units choose, ascending.
    unit : ndarray of int64
        The unit of each, as its place among the close ones.
    """

    large: Large
    whole: Engine
    engine: Engine
    prices: np.ndarray
    table: np.ndarray
    apart: Apart
    chosen: np.ndarray
    unit: np.ndarray

    @property
    def units(self) -> np.ndarray:
        """The close units, ascending."""
        return self.engine.origin

    def whole_places(self, at: np.ndarray) -> np.ndarray:
        """Return the places among all candidates of some of the close units'."""
        start = self.engine.data.start
        unit = np.searchsorted(start, at, side="right") - 1
        return at + (self.whole.data.start[self.units[unit]] - start[unit])

    @functools.cached_property
    def settled(self) -> np.ndarray:
        """Contacts of all other units, as places of candidates, in ascending pieces one after the other."""
        pieces = self.apart.settled
        return self.whole.chosen(self.apart.table, self.units) if pieces is None else np.concatenate(pieces)

    def used(self, outside: np.ndarray) -> np.ndarray:
        """Return the sums of the other units' measures and of some of the close ones', by (bin, term)."""
        return self.apart.rest.use + use_of(self.large, outside)


def nearby(large: Large, engine: Engine, found: Prices, held: np.ndarray, apart: Apart) -> Nearby:
    """Let the units close to a change take whole sets.

    Parameters
    ----------
    large : Large
    engine : Engine
        Of all units.
    found : Prices
    held : ndarray of int8, shape (g,)
        1 for cells held open, 0 for cells held closed, -1 for the others.
    apart : Apart

    Returns
    -------
    Nearby
    """
    rest, close, prices = apart.rest, apart.close, found.prices
    system, width, table = large.system, max(found.width, LEAST), worth_table(large, prices, held)
    total = system.matrix @ (rest.use + close.sweep(table, width=width).use)
    should = np.clip(total, system.lo, system.hi)  # limits with a price should bind
    should = np.where(prices > 0, system.hi, np.where(prices < 0, system.lo, should))
    ahead = total - should
    ahead[np.diff(system.extra.indptr) > 0] = 0.0  # these may be missed, or depend on what is opened
    entries, largest = system.matrix.tocoo(), np.append(1.0, engine.largest)
    steep = np.full(len(system), 1e-9)  # the most that a candidate uses of each row
    np.maximum.at(steep, entries.row, np.abs(entries.data) * largest[entries.col % len(largest)])
    member, unit = _whole_sets(
        close.data, close.rules, close.rows, read_only(table), width, close.sizes, ahead, steep**-2.0
    )
    shift = engine.data.start[close.origin] - close.data.start[:-1]
    order = np.argsort(unit * (close.sizes[0] + 1) + member - close.data.start[unit], kind="stable")
    member, unit = member[order], unit[order]
    return Nearby(large, engine, close, prices, table, apart, member + shift[unit], unit)


@making_arrays
def _whole_sets(data, rules, rows, table, width, sizes, ahead, weight):  # type: ignore[no-untyped-def]
    """List the contacts that units take one after the other, and their units.

    ``ahead`` is how much more of each row units use when split than they should. Units are gone
    through several times: a set that was best early on need not be so later.
    """
    work = make_work(MANY, sizes)
    use, touched = np.zeros(rows.count), np.empty(rows.count, np.int64)
    units, used = len(data.start) - 1, 0
    member, owner = np.empty(2 * units, np.int64), np.empty(2 * units, np.int64)
    taken = np.full(units, -1, np.int64)
    for turn in range(TURNS):
        for u in range(units):
            a, z = data.start[u], data.start[u + 1]
            if taken[u] == ALONE and turn < TURNS - 1:
                continue
            fill_worths(a, z, data.bin, data.measures, table, work.worth)
            count, _, _ = find_sets(u, z - a, data, rules, MANY, width, work)
            if count == 0:
                continue
            taken[u] = _nearest(a, count, taken[u], width, data, rows, work, ahead, weight, use, touched)
            if turn < TURNS - 1:
                continue
            s = max(taken[u], 0)
            while used + work.size[s] > len(member):
                member, owner = np.append(member, member), np.append(owner, owner)
            for i in range(work.size[s]):
                member[used], owner[used] = a + work.member[s, i], u
                used += 1
    return member[:used], owner[:used]


@compiled
def _nearest(first, count, taken, width, data, rows, work, ahead, weight, use, touched):  # type: ignore[no-untyped-def]
    """Return the set that brings the rows' use nearest to what it should be; ALONE if there is no other.

    ``taken`` is the set that the unit has, -1 if it is still split among its best sets.
    """
    total, part, level, members = work.total, -width, -np.inf, 0
    for s in range(count):
        if total[s] <= level:
            break
        part += total[s]
        members = s + 1
        level = part / members
    if members == 1:
        return ALONE
    for s in range(members):
        share = (total[s] - level) / width if taken < 0 else np.float64(s == taken)
        _add(s, -share, first, data, rows, work, ahead, use, touched)
    best, least = 0, np.inf
    for s in range(members):
        own = add_rows(s, first, data, rows, work, use, touched)
        off = 0.0
        for x in range(own):
            r = touched[x]
            off += weight[r] * use[r] * (2.0 * ahead[r] + use[r])
            use[r] = 0.0
        if off < least:
            best, least = s, off
    _add(best, 1.0, first, data, rows, work, ahead, use, touched)
    return best


@compiled
def _add(s, by, first, data, rows, work, ahead, use, touched):  # type: ignore[no-untyped-def]
    """Add ``by`` times a set's use of the rows."""
    if by == 0.0:
        return
    own = add_rows(s, first, data, rows, work, use, touched)
    for x in range(own):
        ahead[touched[x]] += by * use[touched[x]]
        use[touched[x]] = 0.0

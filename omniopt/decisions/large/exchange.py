"""Whole sets for units that an LP splits, exchanged one or two at a time until little is lost.

An LP's solution keeps the limits that have a price to the full and splits a few units. Once these
take whole sets, some limits are broken and of others something is left. Units that lose next to
nothing by another set are many, so that the limits are mended, and then filled, by exchanging sets:
one that gains, and a second one that mends what the first has broken. Where no exchange is left that
gains, a few units are set at random and all begins again from the best choice so far (iterated local
search: Lourenço, Martin and Stützle, 2003).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse

from omniopt.decisions.large.kernels import compiled, making_arrays
from omniopt.decisions.large.listed import Listed, list_sets
from omniopt.decisions.large.nearby import Nearby
from omniopt.decisions.large.part import contributions, gathered, terms_of
from omniopt.decisions.problem import ROUNDING

MOST = 16  # sets of a unit
WHOLE = 1e-6  # by which an LP's numbers may miss whole ones
TURNS = 30  # times that it begins again
KICKED = 10  # units set at random each time
TRIED = 50_000  # second sets that are looked at in one turn at most
FREE = 0.01  # of what a set is worth, added to what is lost when exchanges are compared by it
TINY = 1e-4  # of that, which is no gain


class Sets(NamedTuple):
    """Sets by unit, with what they are worth and use of the rows.

    Those of unit u are ``start[u]:start[u + 1]``; ``owner`` is each one's unit. ``by_row`` lists the
    units with a set that uses a row.
    """

    start: np.ndarray
    owner: np.ndarray
    value: np.ndarray
    loss: np.ndarray
    row_start: np.ndarray
    row: np.ndarray
    by: np.ndarray
    by_row_start: np.ndarray
    by_row: np.ndarray


class Limits(NamedTuple):
    """Bounds of the rows, what a unit of each is worth, and one over the most that a set uses of it."""

    lo: np.ndarray
    hi: np.ndarray
    price: np.ndarray
    scale: np.ndarray


def exchanged(
    near: Nearby, units: np.ndarray, split: np.ndarray, width: float, wanted: float
) -> np.ndarray | None:
    """Look for whole sets of units close to a change that keep the limits.

    Parameters
    ----------
    near : Nearby
        Of a problem without cells and soft limits.
    units : ndarray of int64, shape (m,)
        Those that may take other sets, as places among the close ones.
    split : ndarray of float64
        How much of each candidate of the close units an LP takes.
    width : float
        Sets that lose more are not looked at.
    wanted : float
        What the whole plan is to be worth.

    Returns
    -------
    ndarray of int64 or None
        Places of the close units' contacts, ascending; None if no choice was found that keeps the limits.
    """
    large, engine, system = near.large, near.engine, near.large.system
    start = engine.data.start
    listed = list_sets(engine, near.table, units, MOST, width)
    taken = np.flatnonzero(split > WHOLE)
    unit = np.searchsorted(start, taken, side="right") - 1
    current = _as_taken(listed, split > 1.0 - WHOLE, taken, unit, engine.units)
    moving = np.flatnonzero(current >= -1)
    if not len(moving):
        return None
    kept = current[listed.unit] >= -1
    listed = listed.among(kept)
    fixed = taken[(current[unit] < -1) & (split[taken] > 1.0 - WHOLE)]  # their sets are not listed
    member, inverse = np.unique(listed.member, return_inverse=True)
    at = near.whole_places(member)
    place, measures = large.columns.bin[at].astype(np.int64) * large.bins.width, terms_of(large, at)
    inside = sparse.csr_array(
        (np.ones(len(inverse)), inverse, listed.start), shape=(len(listed), len(member))
    )
    rows = sparse.csr_array(inside @ gathered(system.matrix, place, measures).T)
    rows.sum_duplicates()  # later steps would sort in place what the search still reads
    value = inside @ contributions(system.objective, place, measures)
    sets = _sets(np.searchsorted(moving, listed.unit), len(moving), value, rows, near.prices)
    lo, hi = (side + ROUNDING * sign * np.maximum(1.0, np.abs(side)) / 2.0
              for side, sign in ((system.lo, -1.0), (system.hi, 1.0)))  # fmt: skip
    steep = np.maximum(abs(rows).max(axis=0).toarray().ravel(), 1e-9)
    used = near.used(near.whole_places(fixed))
    first = np.where(current[moving] < 0, -1, (np.cumsum(kept) - 1)[current[moving]])
    found = _searched(
        sets, Limits(lo, hi, near.prices, 1.0 / steep), first, system.matrix @ used,
        wanted - float(system.objective @ used), FREE * float(np.abs(value).max(initial=0.0)),
        np.random.default_rng(0).random((TURNS, KICKED, 2)),
    )  # fmt: skip
    if found[0] < 0:
        return None
    return np.sort(np.concatenate([near.whole_places(fixed), at[inside[found].indices]]))


def _as_taken(
    listed: Listed, whole: np.ndarray, taken: np.ndarray, unit: np.ndarray, units: int
) -> np.ndarray:
    """Return the listed set that each unit takes: -1 for units that are split, -2 if it is not listed."""
    size, complete = np.diff(listed.start), whole[taken]
    set_of = np.repeat(np.arange(len(size)), size)
    both = np.bincount(set_of, whole[listed.member], minlength=len(size))
    count = np.bincount(unit, complete, minlength=units)
    same = (both == size) & (size == count[listed.unit])
    current = np.full(units, -2)
    current[listed.unit] = np.where(np.bincount(unit, ~complete, minlength=units) > 0, -1, -2)[listed.unit]
    same &= current[listed.unit] == -2
    current[listed.unit[same]] = np.flatnonzero(same)
    return current


def _sets(
    owner: np.ndarray, units: int, value: np.ndarray, rows: sparse.csr_array, prices: np.ndarray
) -> Sets:
    """Bring sets, which come by unit, into the form that the search reads."""
    start = np.searchsorted(owner, np.arange(units + 1))
    worth = value - rows @ prices
    loss = np.maximum.reduceat(worth, start[:-1])[owner] - worth
    touched = sparse.csr_array(
        (np.ones(rows.nnz, bool), (rows.tocoo().col, np.repeat(owner, np.diff(rows.indptr)))),
        shape=(rows.shape[1], units),
    )
    touched.sum_duplicates()
    return Sets(
        start, owner, value, loss, rows.indptr.astype(np.int64), rows.indices.astype(np.int64), rows.data,
        touched.indptr.astype(np.int64), touched.indices.astype(np.int64),
    )  # fmt: skip


@making_arrays
def _searched(sets, limits, current, use, wanted, free, kicks):  # type: ignore[no-untyped-def]
    """Return the set of each unit in the best choice that was found; -1 if none keeps the limits.

    ``current`` is -1 for units that are to take the set that breaks least. ``kicks`` are numbers from 0
    to 1 that say which units are set at random, and to what, each time the search begins again.
    """
    units = len(current)
    current, use = current.copy(), use.copy()
    for u in range(units):
        if current[u] >= 0:
            _add(current[u], 1.0, sets, use)
    for u in range(units):
        if current[u] < 0:
            current[u] = _fitting(u, sets, limits, use)
            _add(current[u], 1.0, sets, use)
    best, best_use, most = np.full(units, -1), use.copy(), -np.inf
    vain = np.zeros(len(use), np.bool_)
    for turn in range(TURNS):
        if turn > 0 and best[0] >= 0:
            current[:], use[:] = best, best_use
        for x in range(KICKED if turn > 0 else 0):
            u = int(kicks[turn, x, 0] * units)
            other = int(kicks[turn, x, 1] * (sets.start[u + 1] - sets.start[u]))
            _switch(u, sets.start[u] + other, sets, current, use)
        if not _mended(sets, limits, current, use, free):
            continue
        value = sets.value[current].sum()
        value += _filled(sets, limits, current, use, vain, wanted - value, free)
        if value > most:
            best[:], best_use[:], most = current, use, value
        if most >= wanted:
            break
    return best


@compiled
def _fitting(u, sets, limits, use):  # type: ignore[no-untyped-def]
    """Return the set of a unit by which least of the limits is broken, and then least is lost."""
    best, least = sets.start[u], np.inf
    for s in range(sets.start[u], sets.start[u + 1]):
        _add(s, 1.0, sets, use)
        off = 0.0
        for e in range(sets.row_start[s], sets.row_start[s + 1]):
            off += _broken(sets.row[e], use, limits)
        _add(s, -1.0, sets, use)
        if off < least:
            best, least = s, off
    return best


@compiled
def _mended(sets, limits, current, use, free):  # type: ignore[no-untyped-def]
    """Exchange sets until no row is broken, at little loss for what each mends; say whether that worked."""
    for _ in range(len(current)):
        r = _worst(use, limits)
        if r < 0:
            return True
        best, most = -1, 0.0
        for x in range(sets.by_row_start[r], sets.by_row_start[r + 1]):
            u = sets.by_row[x]
            c = current[u]
            for s in range(sets.start[u], sets.start[u + 1]):
                if s == c:
                    continue
                mends = _breaks(c, s, sets, limits, use)
                _switch(u, s, sets, current, use)
                mends -= _breaks(c, s, sets, limits, use)
                _switch(u, c, sets, current, use)
                gain = mends / (max(sets.loss[s] - sets.loss[c], 0.0) + free)
                if mends > ROUNDING and gain > most:
                    best, most = s, gain
        if best < 0:
            return False
        _switch(sets.owner[best], best, sets, current, use)
    return False


@compiled
def _filled(sets, limits, current, use, vain, missing, free):  # type: ignore[no-untyped-def]
    """Exchange sets until ``missing`` is gained, beginning with the row of which most worth is left.

    Returns what was gained.
    """
    vain[:] = False
    gained, tried = 0.0, 0
    while gained < missing and tried < TRIED:
        row, most = -1, TINY * free
        for r in range(len(use)):
            left = (limits.hi[r] if limits.price[r] > 0.0 else limits.lo[r]) - use[r]
            if limits.price[r] != 0.0 and limits.price[r] * left > most and not vain[r]:
                row, most = r, limits.price[r] * left
        if row < 0:
            break
        gain, count = _exchange(row, tried, sets, limits, current, use, TINY * free)
        gained, tried = gained + gain, tried + count
        if gain > 0.0:
            vain[:] = False
        vain[row] = gain == 0.0
    return gained


@compiled
def _exchange(row, tried, sets, limits, current, use, least):  # type: ignore[no-untyped-def]
    """Exchange one or two sets, the first for one that uses more of a row; return the gain and the tries."""
    first, units, count = sets.by_row_start[row], sets.by_row_start[row + 1] - sets.by_row_start[row], 0
    for x in range(units):
        u = sets.by_row[first + (x + tried) % units]
        c = current[u]
        for s in range(sets.start[u], sets.start[u + 1]):
            gain = sets.value[s] - sets.value[c]
            more = _used(s, row, sets) - _used(c, row, sets)
            if s == c or gain <= least or more * limits.price[row] <= 0.0:
                continue
            _switch(u, s, sets, current, use)
            gain, looked = _second(gain, sets, limits, current, use, least)
            count += looked
            if gain > 0.0:
                return gain, count
            _switch(u, c, sets, current, use)
        if count + tried > TRIED:
            break
    return 0.0, count


@compiled
def _second(gain, sets, limits, current, use, least):  # type: ignore[no-untyped-def]
    """Exchange another set if a row is broken; return what is gained by both, 0 if it cannot be mended."""
    row, count = _worst(use, limits), 1
    if row < 0:
        return gain, count
    short = use[row] < limits.lo[row]
    for x in range(sets.by_row_start[row], sets.by_row_start[row + 1]):
        u = sets.by_row[x]
        c = current[u]
        for s in range(sets.start[u], sets.start[u + 1]):
            both = gain + sets.value[s] - sets.value[c]
            count += 1
            if s == c or both <= least:
                continue
            more = _used(s, row, sets) - _used(c, row, sets)
            if more == 0.0 or (more > 0.0) != short:
                continue
            _switch(u, s, sets, current, use)
            if _breaks(c, s, sets, limits, use) == 0.0 and _worst(use, limits) < 0:
                return both, count
            _switch(u, c, sets, current, use)
        if count > TRIED:
            break
    return 0.0, count


@compiled
def _add(s, by, sets, use):  # type: ignore[no-untyped-def]
    for e in range(sets.row_start[s], sets.row_start[s + 1]):
        use[sets.row[e]] += by * sets.by[e]


@compiled
def _switch(u, s, sets, current, use):  # type: ignore[no-untyped-def]
    """Let a unit take another set."""
    _add(current[u], -1.0, sets, use)
    _add(s, 1.0, sets, use)
    current[u] = s


@compiled
def _used(s, row, sets):  # type: ignore[no-untyped-def]
    for e in range(sets.row_start[s], sets.row_start[s + 1]):
        if sets.row[e] == row:
            return sets.by[e]
    return 0.0


@compiled
def _broken(r, use, limits):  # type: ignore[no-untyped-def]
    return max(use[r] - limits.hi[r], limits.lo[r] - use[r], 0.0) * limits.scale[r]


@compiled
def _breaks(c, s, sets, limits, use):  # type: ignore[no-untyped-def]
    """Return by how much the rows of two sets are broken."""
    off = 0.0
    for e in range(sets.row_start[c], sets.row_start[c + 1]):
        off += _broken(sets.row[e], use, limits)
    for e in range(sets.row_start[s], sets.row_start[s + 1]):
        off += _broken(sets.row[e], use, limits)
    return off


@compiled
def _worst(use, limits):  # type: ignore[no-untyped-def]
    """Return the row that is broken most, -1 if none is."""
    row, most = -1, 0.0
    for r in range(len(use)):
        off = _broken(r, use, limits)
        if off > most:
            row, most = r, off
    return row

"""Compiled kernels: the best set of contacts of every unit at given prices.

A unit's problem is a small integer program: choose contacts of greatest total worth such that
every unit row has at most its cap of distinct classes, and at least its lower bound where that
counts. It is solved exactly by depth-first search over the contacts in order of worth, cut off
by the bound that each contact's tightest row gives, and where a lower bound is out of reach.
Units are independent, so results do not depend on the number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from omniopt.rules.distinct import distinct, numbered
from omniopt.rules.unit_rows import ANY, NO_CAP, UnitRows

NODE_LIMIT = 20_000  # nodes of one unit's search, after which its bound is used in place of the optimum


@dataclass(frozen=True)
class UnitIndex:
    """Unit rows laid out for the kernels: by candidate, with a slot for every class of every row.

    Attributes
    ----------
    unit_start : ndarray of int64, shape (u + 1,)
        Candidates of unit i are ``unit_start[i]:unit_start[i + 1]``.
    start, row, slot : ndarray of int64
        Memberships of candidate j are ``start[j]:start[j + 1]``: the row and the class's slot.
    cap : ndarray of int64, shape (r,)
    guide : ndarray of int64, shape (n,)
        For each candidate the row that bounds it best, or -1.
    lo, trigger : ndarray of int64, shape (r,)
        Lower bounds and what makes them count, as in `UnitRows`.
    low_start, low_row : ndarray of int64
        Rows with a lower bound of unit i: ``low_row[low_start[i]:low_start[i + 1]]``.
    asked : ndarray of bool, shape (n,)
        Whether a candidate can help to reach a lower bound.
    """

    unit_start: np.ndarray
    start: np.ndarray
    row: np.ndarray
    slot: np.ndarray
    cap: np.ndarray
    guide: np.ndarray
    lo: np.ndarray
    trigger: np.ndarray
    low_start: np.ndarray
    low_row: np.ndarray
    asked: np.ndarray
    slots: int

    @property
    def rows(self) -> tuple[np.ndarray | int, ...]:
        """What the kernels take to know the rows."""
        return (self.start, self.row, self.slot, self.cap, self.guide,
                self.lo, self.trigger, self.low_start, self.low_row, self.asked, self.slots)  # fmt: skip

    @staticmethod
    def of(unit: np.ndarray, rows: UnitRows) -> UnitIndex:
        """Index the rows of candidates sorted by unit."""
        n = len(unit)
        unit_start = np.concatenate([np.flatnonzero(np.diff(unit, prepend=-1)), [n]]).astype(np.int64)
        size = np.diff(rows.start)
        row = np.repeat(np.arange(len(rows)), size)
        slot = numbered(row, rows.occasion)
        order = np.argsort(rows.member, kind="stable")
        start = np.concatenate([[0], np.cumsum(np.bincount(rows.member, minlength=n))]).astype(np.int64)
        classes = np.bincount(distinct(row, slot)[0], minlength=len(rows))
        # a row guides the bound if each of its members is a class of its own; the fuller, the better
        merit = np.where((classes == size) & (rows.cap < NO_CAP), size - rows.cap, -1)
        guide = np.full(n, -1, np.int64)
        by_merit = np.lexsort((row, merit[row]))
        guide[rows.member[by_merit]] = np.where(merit[row] >= 0, row, -1)[by_merit]
        slots = int(slot.max(initial=-1)) + 1
        units = unit[unit_start[:-1]]
        low = np.flatnonzero((rows.lo > 0) & np.isin(rows.unit, units))
        place = np.searchsorted(units, rows.unit[low])
        low_row = low[np.argsort(place, kind="stable")]
        low_start = np.searchsorted(np.sort(place), np.arange(len(unit_start)))
        asked = np.zeros(n, np.bool_)
        asked[rows.member[rows.lo[row] > 0]] = True
        return UnitIndex(
            unit_start, start, row[order], slot[order], rows.cap, guide, rows.lo, rows.trigger,
            low_start.astype(np.int64), low_row, asked, slots,
        )  # fmt: skip


@numba.njit(cache=True)
def _solve_unit(  # type: ignore[no-untyped-def]
    first, last, worth, forced, lows, start, row, slot, cap, guide, lo, trigger, asked,
    row_count, slot_count, left, chosen,
):  # fmt: skip
    """Return (best worth, exact?) of candidates first..last; ``chosen`` gets the best set.

    ``forced`` is +1 for contacts that have to be in, -1 for those that must not be. Where no
    set keeps the rows the worth is -inf. ``lows`` are the unit's rows with a lower bound; ``left``
    counts their members that are not decided against.
    """
    order = np.empty(last - first, np.int64)
    size = 0
    base = 0.0
    feasible = True
    for j in range(first, last):
        chosen[j] = False
        if forced[j] == 1:
            base += worth[j]
            feasible = _add(j, start, row, slot, cap, row_count, slot_count) and feasible
            chosen[j] = True
        elif forced[j] == 0 and (worth[j] > 0.0 or asked[j]):
            order[size] = j
            size += 1
        elif asked[j]:
            _lose(j, 1, start, row, left)
    order = order[:size]
    order = order[np.argsort(-worth[order], kind="mergesort")]
    best = -np.inf
    exact = True
    if feasible:
        best_set = np.zeros(size, np.bool_)
        state = np.zeros(size + 1, np.int8)
        total = base
        depth = 0
        nodes = 0
        while depth >= 0:
            if state[depth] == 0:  # arriving: can anything better lie below?
                nodes += 1
                if total > best and _low_kept(lows, lo, trigger, row_count, chosen):
                    best = total
                    for i in range(size):
                        best_set[i] = chosen[order[i]]
                state[depth] = 1
                bound = total
                if depth < size:
                    bound += _bound(order, depth, worth, start, row, cap, guide, row_count)
                    bound += _duty(order, depth, worth, lows, lo, trigger, start, row, row_count, chosen)
                hopeless = best > -np.inf and bound <= best + 1e-12 * abs(best)
                if depth == size or hopeless or not _low_reachable(lows, lo, trigger, left, chosen):
                    state[depth] = 3
                elif nodes > NODE_LIMIT:
                    exact = False
                    break
                elif _add(order[depth], start, row, slot, cap, row_count, slot_count):
                    chosen[order[depth]] = True
                    total += worth[order[depth]]
                    state[depth] = 2
                    depth += 1
                    state[depth] = 0
                    continue
                else:
                    _remove(order[depth], start, row, slot, row_count, slot_count)
                    state[depth] = 2
            if state[depth] == 2:  # back from taking the contact: leave it
                if chosen[order[depth]]:
                    chosen[order[depth]] = False
                    total -= worth[order[depth]]
                    _remove(order[depth], start, row, slot, row_count, slot_count)
                if asked[order[depth]]:
                    _lose(order[depth], 1, start, row, left)
                state[depth] = 4
                depth += 1
                state[depth] = 0
                continue
            depth -= 1
            while depth >= 0 and state[depth] == 4:
                if asked[order[depth]]:
                    _lose(order[depth], -1, start, row, left)
                depth -= 1
        if not exact:
            for i in range(depth):
                if state[i] == 4 and asked[order[i]]:
                    _lose(order[i], -1, start, row, left)
            for i in range(size):
                if chosen[order[i]]:
                    _remove(order[i], start, row, slot, row_count, slot_count)
            best = base + _bound(order, 0, worth, start, row, cap, guide, row_count)
        for i in range(size):
            chosen[order[i]] = best_set[i]
    for j in range(first, last):
        if forced[j] == 1:
            _remove(j, start, row, slot, row_count, slot_count)
        elif asked[j] and forced[j] == -1:
            _lose(j, -1, start, row, left)
    return best, exact


@numba.njit(cache=True)
def _lose(j, by, start, row, left):  # type: ignore[no-untyped-def]
    """Count a contact out of what is left to its rows."""
    for e in range(start[j], start[j + 1]):
        left[row[e]] -= by


@numba.njit(cache=True)
def _low_kept(lows, lo, trigger, row_count, chosen):  # type: ignore[no-untyped-def]
    """Whether the lower bounds that count are reached."""
    for r in lows:
        if row_count[r] < lo[r] and (
            trigger[r] == -1
            or (trigger[r] == ANY and row_count[r] > 0)
            or (trigger[r] >= 0 and chosen[trigger[r]])
        ):
            return False
    return True


@numba.njit(cache=True)
def _low_reachable(lows, lo, trigger, left, chosen):  # type: ignore[no-untyped-def]
    """Whether enough members are left for the lower bounds that count already."""
    for r in lows:
        if left[r] < lo[r] and (trigger[r] == -1 or (trigger[r] >= 0 and chosen[trigger[r]])):
            return False
    return True


@numba.njit(cache=True)
def _add(j, start, row, slot, cap, row_count, slot_count):  # type: ignore[no-untyped-def]
    """Count a contact in its rows; return whether all of them still hold."""
    fits = True
    for e in range(start[j], start[j + 1]):
        if slot_count[slot[e]] == 0:
            row_count[row[e]] += 1
            if row_count[row[e]] > cap[row[e]]:
                fits = False
        slot_count[slot[e]] += 1
    return fits


@numba.njit(cache=True)
def _remove(j, start, row, slot, row_count, slot_count):  # type: ignore[no-untyped-def]
    """Take a contact out of its rows."""
    for e in range(start[j], start[j + 1]):
        slot_count[slot[e]] -= 1
        if slot_count[slot[e]] == 0:
            row_count[row[e]] -= 1


@numba.njit(cache=True)
def _bound(order, depth, worth, start, row, cap, guide, row_count):  # type: ignore[no-untyped-def]
    """Bound what the contacts from ``depth`` on can add: each guiding row takes the best that fit."""
    total = 0.0
    end = depth
    while end < len(order) and worth[order[end]] > 0.0:
        j = order[end]
        r = guide[j]
        if r < 0:
            total += worth[j]
        elif row_count[r] < cap[r]:
            total += worth[j]
            row_count[r] += 1
            order[end] = -1 - j  # marked, to be counted back below
        end += 1
    for i in range(depth, end):
        if order[i] < 0:
            order[i] = -1 - order[i]
            row_count[guide[order[i]]] -= 1
    return total


@numba.njit(cache=True)
def _duty(order, depth, worth, lows, lo, trigger, start, row, row_count, chosen):  # type: ignore[no-untyped-def]
    """Bound what lower bounds cost from ``depth`` on: the row that is worst served, at its best."""
    least = 0.0
    for r in lows:
        short = lo[r] - row_count[r]
        if short <= 0 or not (trigger[r] == -1 or (trigger[r] >= 0 and chosen[trigger[r]])):
            continue
        cost = 0.0
        for i in range(depth, len(order)):
            if short == 0:
                break
            for e in range(start[order[i]], start[order[i] + 1]):
                if row[e] == r:
                    cost += min(worth[order[i]], 0.0)
                    short -= 1
                    break
        least = min(least, cost)
    return least


@numba.njit(cache=True)
def best_sets(  # type: ignore[no-untyped-def]
    unit_start, worth, forced, start, row, slot, cap, guide, lo, trigger, low_start, low_row, asked, slots
):
    """Solve every unit.

    Returns
    -------
    value : ndarray of float64, shape (u,)
        Greatest worth of each unit, or an upper bound of it where the search was cut; -inf where no
        set keeps the rows.
    chosen : ndarray of bool, shape (n,)
    exact : ndarray of bool, shape (u,)
    """
    units = len(unit_start) - 1
    value = np.empty(units)
    exact = np.empty(units, np.bool_)
    chosen = np.zeros(len(worth), np.bool_)
    row_count = np.zeros(len(cap), np.int64)
    slot_count = np.zeros(slots, np.int64)
    left = np.bincount(row, minlength=len(cap))
    for u in range(units):
        lows = low_row[low_start[u] : low_start[u + 1]]
        value[u], exact[u] = _solve_unit(
            unit_start[u], unit_start[u + 1], worth, forced, lows, start, row, slot, cap, guide, lo,
            trigger, asked, row_count, slot_count, left, chosen,
        )  # fmt: skip
    return value, chosen, exact


@numba.njit(cache=True)
def margins(  # type: ignore[no-untyped-def]
    unit_start, worth, forced, value, chosen, wanted,
    start, row, slot, cap, guide, lo, trigger, low_start, low_row, asked, slots,
):  # fmt: skip
    """For each wanted candidate, what its unit loses if the candidate's fate is turned round.

    A chosen one is left out, another one is put in. Never overstated: where a search was cut,
    the loss is a lower bound. inf where turning it round is impossible.
    """
    loss = np.full(len(worth), np.inf)
    row_count = np.zeros(len(cap), np.int64)
    slot_count = np.zeros(slots, np.int64)
    left = np.bincount(row, minlength=len(cap))
    scratch = np.zeros(len(worth), np.bool_)
    for u in range(len(unit_start) - 1):
        first, last = unit_start[u], unit_start[u + 1]
        lows = low_row[low_start[u] : low_start[u + 1]]
        for j in range(first, last):
            if not wanted[j] or forced[j] != 0:
                continue
            forced[j] = -1 if chosen[j] else 1
            other, _ = _solve_unit(
                first, last, worth, forced, lows, start, row, slot, cap, guide, lo,
                trigger, asked, row_count, slot_count, left, scratch,
            )  # fmt: skip
            forced[j] = 0
            if other > -np.inf:
                loss[j] = max(value[u] - other, 0.0)
    return loss

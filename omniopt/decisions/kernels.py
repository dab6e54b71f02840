"""Compiled kernels: the best set of contacts of every unit at given prices.

A unit's problem is a small integer program: choose contacts of greatest total worth such that
every unit row has at most its cap of distinct classes. It is solved exactly by depth-first
search over the contacts in order of worth, cut off by the bound that each contact's tightest
row gives. Units are independent, so results do not depend on the number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from omniopt.rules.contact import UnitRows

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
    """

    unit_start: np.ndarray
    start: np.ndarray
    row: np.ndarray
    slot: np.ndarray
    cap: np.ndarray
    guide: np.ndarray
    slots: int

    @staticmethod
    def of(customer: np.ndarray, rows: UnitRows) -> UnitIndex:
        """Index the rows of candidates sorted by customer."""
        n = len(customer)
        unit_start = np.concatenate([np.flatnonzero(np.diff(customer, prepend=-1)), [n]]).astype(np.int64)
        size = np.diff(rows.start)
        row = np.repeat(np.arange(len(rows)), size)
        _, slot = np.unique(np.stack([row, rows.occasion]), axis=1, return_inverse=True)
        order = np.argsort(rows.member, kind="stable")
        start = np.concatenate([[0], np.cumsum(np.bincount(rows.member, minlength=n))]).astype(np.int64)
        classes = (
            np.bincount(np.unique(np.stack([row, slot]), axis=1)[0], minlength=len(rows))
            if len(row)
            else size
        )
        # a row guides the bound if each of its members is a class of its own; the fuller, the better
        merit = np.where(classes == size, size - rows.cap, -1)
        guide = np.full(n, -1, np.int64)
        by_merit = np.lexsort((row, merit[row]))
        guide[rows.member[by_merit]] = np.where(merit[row] >= 0, row, -1)[by_merit]
        slot = slot.astype(np.int64)
        slots = int(slot.max(initial=-1)) + 1
        return UnitIndex(unit_start, start, row[order], slot[order], rows.cap, guide, slots)


@numba.njit(cache=True)
def _solve_unit(first, last, worth, forced, start, row, slot, cap, guide, row_count, slot_count, chosen):  # type: ignore[no-untyped-def]
    """Return (best worth, exact?) of candidates first..last; ``chosen`` gets the best set.

    ``forced`` is +1 for contacts that have to be in, -1 for those that must not be. A forced
    set that breaks a row gives -inf.
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
        elif forced[j] == 0 and worth[j] > 0.0:
            order[size] = j
            size += 1
    order = order[:size]
    order = order[np.argsort(-worth[order], kind="mergesort")]
    best = base if feasible else -np.inf
    exact = True
    if feasible:
        best_set = np.zeros(size, np.bool_)
        current = np.zeros(size, np.bool_)
        state = np.zeros(size + 1, np.int8)
        total = base
        depth = 0
        nodes = 0
        while depth >= 0:
            if state[depth] == 0:  # arriving: can anything better lie below?
                nodes += 1
                if total > best:
                    best = total
                    best_set[:] = current
                state[depth] = 1
                bound = total
                if depth < size:
                    bound += _bound(order, depth, worth, start, row, cap, guide, row_count)
                if depth == size or bound <= best + 1e-12 * abs(best):
                    state[depth] = 3
                elif nodes > NODE_LIMIT:
                    exact = False
                    break
                elif _add(order[depth], start, row, slot, cap, row_count, slot_count):
                    current[depth] = True
                    total += worth[order[depth]]
                    state[depth] = 2
                    depth += 1
                    state[depth] = 0
                    continue
                else:
                    _remove(order[depth], start, row, slot, row_count, slot_count)
                    state[depth] = 2
            if state[depth] == 2:  # back from taking the contact: leave it
                if current[depth]:
                    current[depth] = False
                    total -= worth[order[depth]]
                    _remove(order[depth], start, row, slot, row_count, slot_count)
                state[depth] = 3
                depth += 1
                state[depth] = 0
                continue
            depth -= 1
            while depth >= 0 and state[depth] == 3:
                depth -= 1
        if not exact:
            for i in range(size):
                if current[i]:
                    _remove(order[i], start, row, slot, row_count, slot_count)
            best = base + _bound(order, 0, worth, start, row, cap, guide, row_count)
        for i in range(size):
            if best_set[i]:
                chosen[order[i]] = True
    for j in range(first, last):
        if forced[j] == 1:
            _remove(j, start, row, slot, row_count, slot_count)
    return best, exact


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
    for i in range(depth, len(order)):
        j = order[i]
        r = guide[j]
        if r < 0:
            total += worth[j]
        elif row_count[r] < cap[r]:
            total += worth[j]
            row_count[r] += 1
            order[i] = -1 - j  # marked, to be counted back below
    for i in range(depth, len(order)):
        if order[i] < 0:
            order[i] = -1 - order[i]
            row_count[guide[order[i]]] -= 1
    return total


@numba.njit(cache=True)
def best_sets(unit_start, worth, forced, start, row, slot, cap, guide, slots):  # type: ignore[no-untyped-def]
    """Solve every unit.

    Returns
    -------
    value : ndarray of float64, shape (u,)
        Greatest worth of each unit, or an upper bound of it where the search was cut.
    chosen : ndarray of bool, shape (n,)
    exact : ndarray of bool, shape (u,)
    """
    units = len(unit_start) - 1
    value = np.empty(units)
    exact = np.empty(units, np.bool_)
    chosen = np.zeros(len(worth), np.bool_)
    row_count = np.zeros(len(cap), np.int64)
    slot_count = np.zeros(slots, np.int64)
    for u in range(units):
        value[u], exact[u] = _solve_unit(
            unit_start[u], unit_start[u + 1], worth, forced, start, row, slot, cap, guide,
            row_count, slot_count, chosen,
        )  # fmt: skip
    return value, chosen, exact


@numba.njit(cache=True)
def margins(unit_start, worth, forced, value, chosen, wanted, start, row, slot, cap, guide, slots):  # type: ignore[no-untyped-def]
    """For each wanted candidate, what its unit loses if the candidate's fate is turned round.

    A chosen one is left out, another one is put in. Never overstated: where a search was cut,
    the loss is a lower bound. inf where turning it round is impossible.
    """
    loss = np.full(len(worth), np.inf)
    row_count = np.zeros(len(cap), np.int64)
    slot_count = np.zeros(slots, np.int64)
    scratch = np.zeros(len(worth), np.bool_)
    for u in range(len(unit_start) - 1):
        first, last = unit_start[u], unit_start[u + 1]
        for j in range(first, last):
            if not wanted[j] or forced[j] != 0:
                continue
            forced[j] = -1 if chosen[j] else 1
            other, _ = _solve_unit(
                first, last, worth, forced, start, row, slot, cap, guide, row_count, slot_count, scratch
            )
            forced[j] = 0
            loss[j] = max(value[u] - other, 0.0)
    return loss

"""The best set of contacts of a customer at given prices: exact depth-first search over small parts.

A *part* is a set of items that interact, directly or through others: two items that exclude each other, or
that stand in one window which cannot hold all of them. Parts are independent, so the best set of a customer
is the union of the best sets of its parts.

Items of a part are tried in order of falling worth. What the items from some point on can still add is
bounded from above by a relaxation: an item that no longer fits counts for nothing, and every other one
belongs to at most one window, of whose things only as many count as it has room for, or to at most one
clique of mutual exclusion, of which only the best counts. Rows may ask for contacts, whatever is chosen or
once one of some items is chosen: then also items of negative worth may be needed, and what the dearest row
must lose at least is taken off. A branch that can no longer bring what is asked for is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

# Nodes that one part may cost before its relaxation stands in for its exact value.
WORK_LIMIT = 200_000


@dataclass
class Bins:
    """The relaxation: every item counts in one bin at most, which has room for some of its slots.

    Attributes
    ----------
    start : ndarray of int
        First bin of each part.
    window : ndarray of int
        The window that a bin stands for; -1 for a clique of mutual exclusion, which has room for one.
    slot_start, token : ndarray of int
        The slots of each bin, and the token that each stands for; -1 for a member of a clique.
    slot : ndarray of int
        The slot of each item; -1 for none.
    """

    start: np.ndarray
    window: np.ndarray
    slot_start: np.ndarray
    token: np.ndarray
    slot: np.ndarray


@dataclass
class Asks:
    """Rows that ask for a number of tokens of their own, once they are called upon.

    Attributes
    ----------
    row_of_token : ndarray of int
        The row that asks for a token; -1 for tokens of windows.
    row_start, rows : ndarray of int
        The rows of each part.
    need, always : ndarray of int
        How many tokens each row asks for, and 1 where it asks whatever is chosen.
    fill_start, fill_item, fill_token : ndarray of int
        What fills each row, by rising item.
    call_start, call : ndarray of int
        The rows that each item calls upon.
    """

    row_of_token: np.ndarray
    row_start: np.ndarray
    rows: np.ndarray
    need: np.ndarray
    always: np.ndarray
    fill_start: np.ndarray
    fill_item: np.ndarray
    fill_token: np.ndarray
    call_start: np.ndarray
    call: np.ndarray


@dataclass
class Parts:
    """Parts as flat arrays; every ``*_start`` has one entry more than the things it starts.

    Attributes
    ----------
    start : ndarray of int
        First item of each part; items of a part are sorted by falling `worth`.
    worth : ndarray of float
        Positive, but for items that something asks for.
    token_start, token : ndarray of int
        The tokens of each item, and of each token the windows it counts in (`window_start`, `window`).
    room : ndarray of int
        What each window can still hold.
    foe_start, foe : ndarray of int
        The items each item excludes.
    bins : Bins
        What the relaxation counts together.
    asks : Asks
        What is asked for.
    """

    start: np.ndarray
    worth: np.ndarray
    token_start: np.ndarray
    token: np.ndarray
    window_start: np.ndarray
    window: np.ndarray
    room: np.ndarray
    foe_start: np.ndarray
    foe: np.ndarray
    bins: Bins
    asks: Asks


def best(
    parts: Parts, which: np.ndarray, without: np.ndarray, limit: int = WORK_LIMIT
) -> tuple[np.ndarray, np.ndarray]:
    """The best total worth of parts, each perhaps without one of its items.

    Parameters
    ----------
    parts : Parts
    which : ndarray of int
        The parts to search.
    without : ndarray of int
        For each, an item that must not be used; -1 for none.
    limit : int
        Nodes per part.

    Returns
    -------
    value : ndarray of float
        The best total, or an upper bound where the search was cut off.
    exact : ndarray of bool
    """
    value, exact = np.zeros(len(which)), np.ones(len(which), dtype=np.bool_)
    asks = parts.asks
    bins = parts.bins
    _search(
        which, without, limit, value, exact,
        parts.start, parts.worth, parts.token_start, parts.token, parts.window_start, parts.window,
        np.zeros(len(parts.window_start) - 1, dtype=np.int64), parts.room.astype(np.int64).copy(),
        parts.foe_start, parts.foe, np.zeros(len(parts.worth), dtype=np.int64),
        bins.start, bins.window, bins.slot_start, bins.token, bins.slot,
        np.zeros(len(bins.token)), np.zeros(len(bins.token), dtype=np.int64),
        np.zeros(int(np.diff(bins.slot_start).max(initial=0))),
        asks.row_of_token, asks.row_start, asks.rows, asks.need.copy(), asks.always.copy(),
        asks.fill_start, asks.fill_item, asks.fill_token, asks.call_start, asks.call,
        np.zeros(len(asks.row_of_token), dtype=np.int64),
    )  # fmt: skip
    return value, exact


@numba.njit(cache=True, nogil=True)
def _search(  # type: ignore[no-untyped-def]  # pragma: no cover
    which, without, limit, value, exact, start, worth, token_start, token, window_start, window,
    used, room, foe_start, foe, blocked, bin_start, bin_window, slot_start, slot_token, slot, sums, stamp,
    few, row_of_token, row_start, rows, need, called, fill_start, fill_item, fill_token, call_start, call,
    token_stamp,
):  # fmt: skip
    """Search each part in turn; all counters are back at their start after each."""
    widest = 0
    for part in which:
        widest = max(widest, start[part + 1] - start[part])
    stack = np.empty(widest + 1, np.int64)
    total = np.empty(widest + 1, np.float64)
    tick = 0
    for q in range(len(which)):
        part = which[q]
        end = start[part + 1]
        if without[q] >= 0:
            blocked[without[q]] += 1
        depth, i, here, top, nodes = 0, start[part], 0.0, -np.inf, 0
        ceiling = 0.0
        while True:
            nodes += 1
            tick += 1
            more = _ceiling(
                i, end, worth, blocked, bin_start[part], bin_start[part + 1], bin_window, slot_start,
                slot_token, slot, sums, stamp, few, token_start, token, window_start, window, used, room,
                tick,
            )  # fmt: skip
            met, loss = _wants(
                row_start[part], row_start[part + 1], i, rows, need, called, fill_start, fill_item,
                fill_token, worth, blocked, used, token_stamp, token_start, token, window_start, window, room,
                tick,
            )  # fmt: skip
            more += loss
            if nodes == 1:
                ceiling = more
            if nodes > limit:
                top, exact[q] = ceiling, False
                while depth > 0:
                    depth -= 1
                    _count(
                        stack[depth], -1, token_start, token, window_start, window, used, room, foe_start,
                        foe, blocked, row_of_token, need, call_start, call, called,
                    )  # fmt: skip
                break
            if met:
                top = max(top, here)
            if here + more > top:
                while i < end and not _fits(i, token_start, token, window_start, window, used, room, blocked):
                    i += 1
                if i < end:
                    _count(
                        i, 1, token_start, token, window_start, window, used, room, foe_start, foe,
                        blocked, row_of_token, need, call_start, call, called,
                    )  # fmt: skip
                    stack[depth], total[depth] = i, here
                    depth += 1
                    here += worth[i]
                    i += 1
                    continue
            if depth == 0:
                break
            depth -= 1
            i, here = stack[depth], total[depth]
            _count(
                i, -1, token_start, token, window_start, window, used, room, foe_start, foe,
                blocked, row_of_token, need, call_start, call, called,
            )  # fmt: skip
            i += 1
        if without[q] >= 0:
            blocked[without[q]] -= 1
        value[q] = top


@numba.njit(cache=True, nogil=True)
def _ceiling(  # type: ignore[no-untyped-def]  # pragma: no cover
    i, end, worth, blocked, first, last, bin_window, slot_start, slot_token, slot, sums, stamp, few,
    token_start, token, window_start, window, used, room, tick,
):  # fmt: skip
    """What items i … end can add at most; `stamp` tells which sums belong to this call."""
    total = 0.0
    for k in range(i, end):
        if worth[k] <= 0.0:
            break
        if not _fits(k, token_start, token, window_start, window, used, room, blocked):
            continue
        s = slot[k]
        if s < 0:
            total += worth[k]
        elif stamp[s] != tick:
            stamp[s], sums[s] = tick, worth[k]
        else:
            sums[s] += worth[k]
    for b in range(first, last):
        left = 1 if bin_window[b] < 0 else room[bin_window[b]]
        n = 0
        for s in range(slot_start[b], slot_start[b + 1]):
            if stamp[s] != tick:
                continue
            if slot_token[s] >= 0 and used[slot_token[s]] > 0:
                # What counts already takes no further room.
                total += sums[s]
            else:
                few[n] = sums[s]
                n += 1
        total += largest(few, n, left)
    return total


@numba.njit(cache=True, nogil=True)
def largest(values, n, number):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The sum of the largest ones among the first n values; their order changes."""
    total = 0.0
    for r in range(min(n, number)):
        at = r
        for k in range(r + 1, n):
            if values[k] > values[at]:
                at = k
        values[r], values[at] = values[at], values[r]
        total += values[r]
    return total


@numba.njit(cache=True, nogil=True)
def _wants(  # type: ignore[no-untyped-def]  # pragma: no cover
    first, last, i, rows, need, called, fill_start, fill_item, fill_token, worth, blocked, used, token_stamp,
    token_start, token, window_start, window, room, tick,
):  # fmt: skip
    """Whether all that is asked for is there, and what items i … end must lose at least to bring it."""
    met, loss = True, 0.0
    for r in range(first, last):
        row = rows[r]
        if called[row] == 0 or need[row] <= 0:
            continue
        met = False
        found, lost = 0, 0.0
        for m in range(fill_start[row], fill_start[row + 1]):
            item, thing = fill_item[m], fill_token[m]
            if item < i or used[thing] > 0 or token_stamp[thing] == tick:
                continue
            if not _fits(item, token_start, token, window_start, window, used, room, blocked):
                continue
            token_stamp[thing] = tick
            found += 1
            lost += min(worth[item], 0.0)
            if found == need[row]:
                break
        if found < need[row]:
            return False, -np.inf
        loss = min(loss, lost)
    return met, loss


@numba.njit(cache=True, nogil=True)
def _fits(  # type: ignore[no-untyped-def]  # pragma: no cover
    i, token_start, token, window_start, window, used, room, blocked
):
    """Whether item i excludes nothing chosen and every window it newly counts in has room."""
    if blocked[i] > 0:
        return False
    for t in range(token_start[i], token_start[i + 1]):
        if used[token[t]] == 0:
            for w in range(window_start[token[t]], window_start[token[t] + 1]):
                if room[window[w]] <= 0:
                    return False
    return True


@numba.njit(cache=True, nogil=True)
def _count(  # type: ignore[no-untyped-def]  # pragma: no cover
    i, by, token_start, token, window_start, window, used, room, foe_start, foe, blocked, row_of_token, need,
    call_start, call, called,
):  # fmt: skip
    """Put item i in (`by` 1) or take it out again (`by` -1)."""
    for t in range(token_start[i], token_start[i + 1]):
        k = token[t]
        before = used[k]
        used[k] += by
        # Only the first contact behind a token makes it count.
        if before == 0 or used[k] == 0:
            for w in range(window_start[k], window_start[k + 1]):
                room[window[w]] -= by
            if row_of_token[k] >= 0:
                need[row_of_token[k]] -= by
    for f in range(foe_start[i], foe_start[i + 1]):
        blocked[foe[f]] += by
    for c in range(call_start[i], call_start[i + 1]):
        called[call[c]] += by

"""The best set of contacts of a customer at given prices: exact depth-first search over small parts.

A *part* is a set of items that interact, directly or through others: two items that exclude each other, or
that stand in one window which cannot hold all of them. Parts are independent, so the best set of a customer
is the union of the best sets of its parts.

Items of a part are tried in order of falling worth. What the items from some point on can still add is
bounded from above by two relaxations, of which the smaller counts: each item belongs to at most one window,
and of a window's items only as many count as it has room for; or each belongs to at most one clique of
mutual exclusion, of which only the best counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

# Nodes that one part may cost before its relaxation stands in for its exact value.
WORK_LIMIT = 200_000


@dataclass
class Parts:
    """Parts as flat arrays; every ``*_start`` has one entry more than the things it starts.

    Attributes
    ----------
    start : ndarray of int
        First item of each part; items of a part are sorted by falling `worth`.
    worth : ndarray of float
        All positive.
    token_start, token : ndarray of int
        The tokens of each item, and of each token the windows it counts in (`window_start`, `window`).
    used : ndarray of bool
        Tokens that count already.
    room : ndarray of int
        What each window can still hold.
    foe_start, foe : ndarray of int
        The items each item excludes.
    home, clique : ndarray of int
        The window and the clique an item belongs to in the relaxations; -1 for none.
    cliques : int
        How many there are.
    """

    start: np.ndarray
    worth: np.ndarray
    token_start: np.ndarray
    token: np.ndarray
    window_start: np.ndarray
    window: np.ndarray
    used: np.ndarray
    room: np.ndarray
    foe_start: np.ndarray
    foe: np.ndarray
    home: np.ndarray
    clique: np.ndarray
    cliques: int


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
    _search(
        which, without, limit, value, exact,
        parts.start, parts.worth, parts.token_start, parts.token, parts.window_start, parts.window,
        parts.used.astype(np.int64), parts.room.astype(np.int64).copy(), parts.foe_start, parts.foe,
        parts.home, parts.clique, np.zeros(len(parts.worth), dtype=np.int64),
        np.zeros(len(parts.room), dtype=np.int64), np.zeros(len(parts.room), dtype=np.int64),
        np.zeros(max(parts.cliques, 1), dtype=np.int64),
    )  # fmt: skip
    return value, exact


@numba.njit(cache=True)
def _search(  # type: ignore[no-untyped-def]  # pragma: no cover
    which, without, limit, value, exact, start, worth, token_start, token, window_start, window,
    used, room, foe_start, foe, home, clique, blocked, taken, stamp, clique_stamp,
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
        depth, i, here, top, nodes = 0, start[part], 0.0, 0.0, 0
        ceiling = 0.0
        while True:
            nodes += 1
            tick += 1
            more = _ceiling(i, end, worth, blocked, home, clique, room, taken, stamp, clique_stamp, tick)
            if nodes == 1:
                ceiling = more
            if nodes > limit:
                top, exact[q] = ceiling, False
                while depth > 0:
                    depth -= 1
                    _remove(
                        stack[depth],
                        token_start,
                        token,
                        window_start,
                        window,
                        used,
                        room,
                        foe_start,
                        foe,
                        blocked,
                    )
                break
            if here + more > top:
                while i < end and not _fits(i, token_start, token, window_start, window, used, room, blocked):
                    i += 1
                if i < end:
                    _add(i, token_start, token, window_start, window, used, room, foe_start, foe, blocked)
                    stack[depth], total[depth] = i, here
                    depth += 1
                    here += worth[i]
                    top = max(top, here)
                    i += 1
                    continue
            if depth == 0:
                break
            depth -= 1
            i, here = stack[depth], total[depth]
            _remove(i, token_start, token, window_start, window, used, room, foe_start, foe, blocked)
            i += 1
        if without[q] >= 0:
            blocked[without[q]] -= 1
        value[q] = top


@numba.njit(cache=True)
def _ceiling(  # type: ignore[no-untyped-def]  # pragma: no cover
    i, end, worth, blocked, home, clique, room, taken, stamp, clique_stamp, tick
):
    """What items i … end can add at most; `stamp` tells which counters belong to this call."""
    by_window, by_clique = 0.0, 0.0
    for k in range(i, end):
        if blocked[k] > 0:
            continue
        w = home[k]
        if w < 0:
            by_window += worth[k]
        else:
            if stamp[w] != tick:
                stamp[w], taken[w] = tick, 0
            if taken[w] < room[w]:
                taken[w] += 1
                by_window += worth[k]
        c = clique[k]
        if c < 0:
            by_clique += worth[k]
        elif clique_stamp[c] != tick:
            clique_stamp[c] = tick
            by_clique += worth[k]
    return min(by_window, by_clique)


@numba.njit(cache=True)
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


@numba.njit(cache=True)
def _add(  # type: ignore[no-untyped-def]  # pragma: no cover
    i, token_start, token, window_start, window, used, room, foe_start, foe, blocked
):
    for t in range(token_start[i], token_start[i + 1]):
        if used[token[t]] == 0:
            for w in range(window_start[token[t]], window_start[token[t] + 1]):
                room[window[w]] -= 1
        used[token[t]] += 1
    for f in range(foe_start[i], foe_start[i + 1]):
        blocked[foe[f]] += 1


@numba.njit(cache=True)
def _remove(  # type: ignore[no-untyped-def]  # pragma: no cover
    i, token_start, token, window_start, window, used, room, foe_start, foe, blocked
):
    for t in range(token_start[i], token_start[i + 1]):
        used[token[t]] -= 1
        if used[token[t]] == 0:
            for w in range(window_start[token[t]], window_start[token[t] + 1]):
                room[window[w]] += 1
    for f in range(foe_start[i], foe_start[i + 1]):
        blocked[foe[f]] -= 1

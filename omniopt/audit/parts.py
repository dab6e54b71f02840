"""Which contacts of a customer depend on each other, and how: the parts that the search works on."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from omniopt.audit.candidates import Candidates
from omniopt.audit.contact import Conflict, ContactRule, Tokens, Windows, pairs, tokens, windows
from omniopt.audit.inputs import Inputs
from omniopt.audit.rounding import CAP
from omniopt.audit.scope import Rows
from omniopt.audit.search import Parts


def split(
    inputs: Inputs,
    candidates: Candidates,
    items: np.ndarray,
    worth: np.ndarray,
    fixed: np.ndarray,
    rules: tuple[list[ContactRule], list[Conflict]],
    past: Rows,
) -> tuple[Parts, np.ndarray, np.ndarray, np.ndarray]:
    """Split items into parts; also their order there, those that meet no other, and the impossible ones."""
    size = len(items)
    barred = np.zeros(size, dtype=bool)
    counted = []
    for rule in rules[0]:
        told = tokens(inputs, candidates, items, rule, past, fixed)
        seen = windows(told, rule)
        room = np.floor(seen.cap - seen.base + CAP).astype(np.int64)
        counted.append((told, seen, room, rule.occasions))
        # Where history alone exceeds the cap nothing more may come; where it fills it, nothing that counts
        # anew.
        over, full = _covered(told, seen, room < 0), _covered(told, seen, room == 0) & ~told.base
        barred[told.item_of[(over | full)[told.token_of]]] = True
    one, other = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for conflict in rules[1]:
        i, j, lost = pairs(inputs, candidates, items, conflict, past)
        barred[lost] = True
        barred[j[fixed[i]]] = True
        barred[i[fixed[j]]] = True
        one.append(i)
        other.append(j)
    live = ~barred & ~fixed
    i, j = np.concatenate(one), np.concatenate(other)
    pair = np.unique(np.concatenate([i * size + j, j * size + i])[np.tile(live[i] & live[j], 2)])
    links = _links(counted, live)
    parts, order = _assemble(worth[items], links, pair // max(size, 1), pair % max(size, 1))
    alone = live.copy()
    alone[order] = False
    return parts, order, np.flatnonzero(alone), barred


def _covered(told: Tokens, seen: Windows, which: np.ndarray) -> np.ndarray:
    """Tokens inside at least one of these windows."""
    change = np.zeros(len(told.key) + 1, dtype=np.int64)
    np.add.at(change, seen.low[which], 1)
    np.add.at(change, seen.high[which], -1)
    return np.cumsum(change)[:-1] > 0


@dataclass
class _Links:
    """Who counts in which window: items to tokens, tokens to windows, and the windows' room."""

    item: np.ndarray
    token: np.ndarray
    token_there: np.ndarray
    window: np.ndarray
    room: np.ndarray
    plain: np.ndarray
    tokens: int
    used: np.ndarray


def _links(counted: list[tuple[Tokens, Windows, np.ndarray, bool]], live: np.ndarray) -> _Links:
    """The windows that cannot hold all that may still come, and what counts in them."""
    columns: list[list[np.ndarray]] = [[np.empty(0, dtype=np.int64)] for _ in range(6)]
    n_tokens = n_windows = 0
    for told, seen, room, occasions in counted:
        may = np.zeros(len(told.key), dtype=bool)
        may[told.token_of[live[told.item_of]]] = True
        may &= ~told.base
        before = np.append(0, np.cumsum(may))
        tight = np.flatnonzero((before[seen.high] - before[seen.low] > room) & (room > 0))
        places = np.flatnonzero(may)
        low, count = before[seen.low[tight]], before[seen.high[tight]] - before[seen.low[tight]]
        begin = np.repeat(low - np.append(0, np.cumsum(count)[:-1]), count)
        inside = places[begin + np.arange(int(count.sum()))]
        in_some = np.zeros(len(told.key), dtype=bool)
        in_some[inside] = True
        kept = live[told.item_of] & in_some[told.token_of]
        for column, values in zip(
            columns,
            (
                told.item_of[kept],
                told.token_of[kept] + n_tokens,
                inside + n_tokens,
                np.repeat(np.arange(len(tight)), count) + n_windows,
                room[tight],
                np.full(len(tight), 0 if occasions else 1),
            ),
            strict=True,
        ):
            column.append(values)
        n_tokens += len(told.key)
        n_windows += len(tight)
    item, token, there, window, room, plain = (np.concatenate(column) for column in columns)
    return _Links(
        item, token, there, window, room, plain.astype(bool), n_tokens, np.zeros(n_tokens, dtype=bool)
    )


def _assemble(
    worth: np.ndarray, links: _Links, one: np.ndarray, other: np.ndarray
) -> tuple[Parts, np.ndarray]:
    """Number the items by part and falling worth, and lay out who meets whom."""
    n, n_tokens, n_windows = len(worth), links.tokens, len(links.room)
    left = np.concatenate([links.item, links.token_there + n, one])
    right = np.concatenate([links.token + n, links.window + n + n_tokens, other])
    nodes = n + n_tokens + n_windows
    graph = coo_matrix((np.ones(len(left), dtype=np.int8), (left, right)), shape=(nodes, nodes))
    _, component = connected_components(graph, directed=False)
    meets = np.zeros(n, dtype=bool)
    meets[links.item] = True
    meets[one] = True
    order = np.flatnonzero(meets)
    order = order[np.lexsort((order, -worth[order], component[order]))]
    place = np.full(n, -1)
    place[order] = np.arange(len(order))
    of = component[order]
    start = np.flatnonzero(np.append(True, of[1:] != of[:-1])) if len(order) else np.empty(0, dtype=np.int64)
    start = np.append(start, len(order)).astype(np.int64)

    token_start, token = _rows(place[links.item], links.token, len(order))
    window_start, window = _rows(links.token_there, links.window, n_tokens)
    foe_start, foe = _rows(place[one], place[other], len(order))
    # Where a window counts items one by one, item and token are the same thing.
    item_of_token = np.full(n_tokens, -1)
    item_of_token[links.token] = place[links.item]
    plain = links.plain[links.window]
    member_start, member = _rows(links.window[plain], item_of_token[links.token_there[plain]], n_windows)
    part_of_window = np.full(n_windows, -1)
    filled = np.flatnonzero(member_start[1:] > member_start[:-1])
    part_of_window[filled] = np.searchsorted(start, member[member_start[filled]], side="right") - 1
    ranked_start, ranked = _rows(part_of_window[filled], filled, len(start) - 1)
    home = np.full(len(order), -1)
    _cover(home, worth[order], member_start, member, links.room, ranked_start, ranked)
    clique, cliques = _cliques(start, foe_start, foe)
    parts = Parts(
        start, worth[order], token_start, token, window_start, window, links.used, links.room, foe_start, foe,
        home, clique, cliques,
    )  # fmt: skip
    return parts, order


def _rows(row: np.ndarray, value: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Values by row: where each row starts, and the values, rising within a row."""
    order = np.lexsort((value, row))
    start = np.append(0, np.cumsum(np.bincount(row, minlength=size)[:size])).astype(np.int64)
    return start, value[order].astype(np.int64)


@numba.njit(cache=True)
def _cover(  # type: ignore[no-untyped-def]  # pragma: no cover
    home, worth, member_start, member, room, ranked_start, ranked
):
    """Give items a home window, each time the window whose room leaves most worth outside."""
    for part in range(len(ranked_start) - 1):
        while True:
            chosen, most = -1, 0.0
            for r in range(ranked_start[part], ranked_start[part + 1]):
                w = ranked[r]
                kept, lost = 0, 0.0
                for m in range(member_start[w], member_start[w + 1]):
                    # Members rise by number, which is by falling worth: the first ones are the best.
                    if home[member[m]] < 0:
                        if kept < room[w]:
                            kept += 1
                        else:
                            lost += worth[member[m]]
                if lost > most:
                    chosen, most = w, lost
            if chosen < 0:
                break
            for m in range(member_start[chosen], member_start[chosen + 1]):
                if home[member[m]] < 0:
                    home[member[m]] = chosen


@numba.njit(cache=True)
def _cliques(start, foe_start, foe):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Put each item into the first clique of which it excludes every member."""
    n = len(foe_start) - 1
    clique = np.full(n, -1, np.int64)
    size = np.zeros(n + 1, np.int64)
    met = np.zeros(n + 1, np.int64)
    count = 0
    for part in range(len(start) - 1):
        first = count
        for i in range(start[part], start[part + 1]):
            if foe_start[i] == foe_start[i + 1]:
                continue
            for f in range(foe_start[i], foe_start[i + 1]):
                if clique[foe[f]] >= 0:
                    met[clique[foe[f]]] += 1
            for c in range(first, count):
                if clique[i] < 0 and size[c] > 0 and met[c] == size[c]:
                    clique[i] = c
                met[c] = 0
            if clique[i] < 0:
                clique[i] = count
                count += 1
            size[clique[i]] += 1
    return clique, count

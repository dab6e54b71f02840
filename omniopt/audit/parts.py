"""Which contacts of a customer depend on each other, and how: the parts that the search works on."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from omniopt.audit.arrays import distinct, expand
from omniopt.audit.asked import Demands
from omniopt.audit.candidates import Candidates
from omniopt.audit.contact import EVER, ContactRule, Tokens, Windows, items_of, tokens, windows
from omniopt.audit.inputs import Inputs
from omniopt.audit.pairs import Conflict, pairs
from omniopt.audit.rounding import CAP
from omniopt.audit.scope import Rows
from omniopt.audit.search import Asks, Bins, Parts, largest


def split(
    inputs: Inputs,
    candidates: Candidates,
    items: np.ndarray,
    worth: np.ndarray,
    fixed: np.ndarray,
    rules: tuple[list[ContactRule], list[Conflict]],
    wanted: Demands,
    past: Rows,
) -> tuple[Parts, np.ndarray, np.ndarray, np.ndarray]:
    """Split items into parts; also their order there, those that meet no other, and the impossible ones."""
    size = len(items)
    barred = np.zeros(size, dtype=bool)
    counted = []
    for rule in rules[0]:
        if np.isposinf(rule.cap).all():
            continue
        told = tokens(inputs, candidates, items, rule, past, fixed)
        counts = _counts(told, windows(inputs, told, rule))
        # Where history alone exceeds the cap nothing more may come; where it fills it, nothing that counts
        # anew.
        over, full = _covered(counts, counts.room < 0), _covered(counts, counts.room == 0) & ~counts.base
        barred[counts.item_of[(over | full)[counts.token_of]]] = True
        counted.append(counts)
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
    pair = distinct(np.concatenate([i * size + j, j * size + i])[np.tile(live[i] & live[j], 2)])
    links = _links(counted, live)
    parts, order = _assemble(worth[items], links, pair // max(size, 1), pair % max(size, 1), wanted, live)
    alone = live.copy()
    alone[order] = False
    return parts, order, np.flatnonzero(alone), barred


@dataclass
class _Counts:
    """Tokens of which each window holds a stretch, and the windows' room."""

    base: np.ndarray
    item_of: np.ndarray
    token_of: np.ndarray
    low: np.ndarray
    high: np.ndarray
    room: np.ndarray


def _counts(told: Tokens, seen: Windows) -> _Counts:
    """What windows count; where a kind lies on several days, each window has tokens of its own."""
    room = np.floor(np.minimum(seen.cap, EVER) - seen.base + CAP).astype(np.int64)
    if told.once:
        return _Counts(told.base, told.item_of, told.token_of, seen.low, seen.high, room)
    at, of = expand(seen.low, seen.high)
    width = int(told.kind.max(initial=0)) + 1
    number, thing = np.unique(of * width + told.kind[at], return_inverse=True)
    base = np.zeros(len(number), dtype=bool)
    base[thing[told.base[at]]] = True
    item, which = items_of(told, at)
    both = np.unique(np.stack([item, thing[which]], axis=1), axis=0)
    edge = np.searchsorted(number // width, np.arange(len(seen.low) + 1))
    return _Counts(base, both[:, 0], both[:, 1], edge[:-1], edge[1:], room)


def _covered(counts: _Counts, which: np.ndarray) -> np.ndarray:
    """Tokens inside at least one of these windows."""
    change = np.zeros(len(counts.base) + 1, dtype=np.int64)
    np.add.at(change, counts.low[which], 1)
    np.add.at(change, counts.high[which], -1)
    return np.cumsum(change)[:-1] > 0


@dataclass
class _Links:
    """Who counts in which window: items to tokens, tokens to windows, and the windows' room."""

    item: np.ndarray
    token: np.ndarray
    token_there: np.ndarray
    window: np.ndarray
    room: np.ndarray
    tokens: int


def _links(counted: list[_Counts], live: np.ndarray) -> _Links:
    """The windows that cannot hold all that may still come, and what counts in them."""
    columns: list[list[np.ndarray]] = [[np.empty(0, dtype=np.int64)] for _ in range(5)]
    n_tokens = n_windows = 0
    for counts in counted:
        may = np.zeros(len(counts.base), dtype=bool)
        may[counts.token_of[live[counts.item_of]]] = True
        may &= ~counts.base
        before = np.append(0, np.cumsum(may))
        tight = np.flatnonzero((before[counts.high] - before[counts.low] > counts.room) & (counts.room > 0))
        places = np.flatnonzero(may)
        at, of = expand(before[counts.low[tight]], before[counts.high[tight]])
        inside = places[at]
        in_some = np.zeros(len(counts.base), dtype=bool)
        in_some[inside] = True
        kept = live[counts.item_of] & in_some[counts.token_of]
        for column, values in zip(
            columns,
            (
                counts.item_of[kept],
                counts.token_of[kept] + n_tokens,
                inside + n_tokens,
                of + n_windows,
                counts.room[tight],
            ),
            strict=True,
        ):
            column.append(values)
        n_tokens += len(counts.base)
        n_windows += len(tight)
    item, token, there, window, room = (np.concatenate(column) for column in columns)
    return _Links(item, token, there, window, room, n_tokens)


def _assemble(
    worth: np.ndarray, links: _Links, one: np.ndarray, other: np.ndarray, wanted: Demands, live: np.ndarray
) -> tuple[Parts, np.ndarray]:
    """Number the items by part and falling worth, and lay out who meets whom."""
    n, n_windows = len(worth), len(links.room)
    able, calls = live[wanted.item], live[wanted.caller]
    item, thing, row = wanted.item[able], wanted.thing[able] + links.tokens, wanted.row[able]
    caller, called = wanted.caller[calls], wanted.called[calls]
    n_tokens, n_rows = links.tokens + wanted.things, len(wanted.need)
    # Nodes: items, tokens, windows, rows that ask.
    at_row = n + n_tokens + n_windows
    left = np.concatenate([links.item, links.token_there + n, one, item, caller])
    right = np.concatenate(
        [links.token + n, links.window + n + n_tokens, other, row + at_row, called + at_row]
    )
    nodes = at_row + n_rows
    graph = coo_matrix((np.ones(len(left), dtype=np.int8), (left, right)), shape=(nodes, nodes))
    _, component = connected_components(graph, directed=False)
    meets = np.zeros(n, dtype=bool)
    for linked in (links.item, one, item, caller):
        meets[linked] = True
    order = np.flatnonzero(meets)
    order = order[np.lexsort((order, -worth[order], component[order]))]
    place = np.full(n, -1)
    place[order] = np.arange(len(order))
    of = component[order]
    start = np.flatnonzero(np.append(True, of[1:] != of[:-1])) if len(order) else np.empty(0, dtype=np.int64)
    part_of = np.full(int(component.max(initial=0)) + 1, -1)
    part_of[of[start]] = np.arange(len(start))
    start = np.append(start, len(order)).astype(np.int64)

    token_start, token = _rows(place[np.append(links.item, item)], np.append(links.token, thing), len(order))
    window_start, window = _rows(links.token_there, links.window, n_tokens)
    foe_start, foe = _rows(place[one], place[other], len(order))
    clique, cliques = _cliques(start, foe_start, foe)
    bins = _bins(worth[order], start, place, links, clique, cliques, n_tokens)

    row_of_token = np.full(n_tokens, -1)
    row_of_token[thing] = row
    row_part = part_of[component[at_row:]]
    there = np.flatnonzero(row_part >= 0)
    row_start, rows = _rows(row_part[there], there, len(start) - 1)
    fill = np.lexsort((thing, place[item], row))
    fill_start = np.append(0, np.cumsum(np.bincount(row, minlength=n_rows))).astype(np.int64)
    call_start, call = _rows(place[caller], called, len(order))
    asks = Asks(
        row_of_token, row_start, rows, wanted.need.astype(np.int64), wanted.always.astype(np.int64),
        fill_start, place[item][fill], thing[fill].astype(np.int64), call_start, call,
    )  # fmt: skip
    parts = Parts(
        start, worth[order], token_start, token, window_start, window, links.room, foe_start, foe,
        bins, asks,
    )  # fmt: skip
    return parts, order


def _rows(row: np.ndarray, value: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Values by row: where each row starts, and the values, rising within a row."""
    order = np.lexsort((value, row))
    start = np.append(0, np.cumsum(np.bincount(row, minlength=size)[:size])).astype(np.int64)
    return start, value[order].astype(np.int64)


def _bins(
    worth: np.ndarray, start: np.ndarray, place: np.ndarray, links: _Links, clique: np.ndarray, cliques: int,
    n_tokens: int,
) -> Bins:  # fmt: skip
    """Windows and cliques that between them hold every item once at most, those first that hold most back."""
    n, n_windows, n_parts = len(worth), len(links.room), len(start) - 1
    token_start, token_window = _rows(links.token_there, links.window, links.tokens)
    pick, which = expand(token_start[links.token], token_start[links.token + 1])
    alike = np.flatnonzero(clique >= 0)
    # Members of every window, then those of every clique, each of which counts as a thing of its own.
    group = np.append(token_window[pick], clique[alike] + n_windows)
    item = np.append(place[links.item[which]], alike)
    thing = np.append(links.token[which], alike + n_tokens)
    order = np.lexsort((item, group))
    size = n_windows + cliques
    member_start = np.append(0, np.cumsum(np.bincount(group, minlength=size))).astype(np.int64)
    filled = np.flatnonzero(np.diff(member_start))
    part = np.searchsorted(start, item[order][member_start[filled]], side="right") - 1
    ranked_start, ranked = _rows(part, filled, n_parts)
    home, home_thing = np.full(n, -1), np.full(n, -1)
    room = np.append(links.room, np.ones(cliques, dtype=np.int64)).astype(np.int64)
    widest = int(np.diff(member_start).max(initial=0))
    _cover(
        home, home_thing, worth, member_start, item[order], thing[order], room, ranked_start, ranked,
        np.zeros(n_tokens + n), np.full(n_tokens + n, -1), np.zeros(widest),
    )  # fmt: skip
    held = np.flatnonzero(home >= 0)
    place_of = np.full(size, -1)
    used = np.unique(home[held])
    used = used[np.argsort(part[np.searchsorted(filled, used)], kind="stable")]
    place_of[used] = np.arange(len(used))
    wide = n_tokens + n
    number, slot_of = np.unique(place_of[home[held]] * wide + home_thing[held], return_inverse=True)
    slot = np.full(n, -1)
    slot[held] = slot_of
    bin_part = part[np.searchsorted(filled, used)]
    return Bins(
        np.searchsorted(bin_part, np.arange(n_parts + 1)),
        np.where(used < n_windows, used, -1),
        np.searchsorted(number // max(wide, 1), np.arange(len(used) + 1)),
        np.where(number % max(wide, 1) < n_tokens, number % max(wide, 1), -1),
        slot,
    )


@numba.njit(cache=True, nogil=True)
def _cover(  # type: ignore[no-untyped-def]  # pragma: no cover
    home, home_thing, worth, member_start, member, thing, room, ranked_start, ranked, sums, stamp, few
):
    """Give items a home, each time the window or clique whose room leaves most worth outside."""
    tick = 0
    for part in range(len(ranked_start) - 1):
        while True:
            chosen, most = -1, 0.0
            for r in range(ranked_start[part], ranked_start[part + 1]):
                g = ranked[r]
                tick += 1
                n, total = 0, 0.0
                for m in range(member_start[g], member_start[g + 1]):
                    if home[member[m]] < 0 and worth[member[m]] > 0.0:
                        total += worth[member[m]]
                        t = thing[m]
                        if stamp[t] != tick:
                            stamp[t], sums[t] = tick, 0.0
                        sums[t] += worth[member[m]]
                for m in range(member_start[g], member_start[g + 1]):
                    t = thing[m]
                    if home[member[m]] < 0 and stamp[t] == tick:
                        stamp[t] = -1
                        few[n] = sums[t]
                        n += 1
                lost = total - largest(few, n, room[g])
                if lost > most + 1e-12 * total:
                    chosen, most = g, lost
            if chosen < 0:
                break
            for m in range(member_start[chosen], member_start[chosen + 1]):
                if home[member[m]] < 0:
                    home[member[m]] = chosen
                    home_thing[member[m]] = thing[m]


@numba.njit(cache=True, nogil=True)
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

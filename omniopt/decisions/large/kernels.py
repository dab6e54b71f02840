"""Compiled kernels: the best sets of contacts of one unit at given worths.

A unit chooses contacts of greatest total worth that keep its rows. Where it may have one contact
the best is the largest number, where there is no row each contact stands for itself; all other
units are solved by depth-first search over the contacts in order of worth. The search is cut off
where the contacts left, as far as they fit in beside those taken and as far as their fullest row
has room, cannot lead past the worst set that still matters, and where a lower bound is out of reach.

The best sets come as a short list in order of worth. It ends at ``width`` below the best; beyond
two sets, at the set that would get no share when a unit of choice is split among the sets so that
``Σ p_s worth_s - width/2 Σ p_s²`` is greatest.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from omniopt.decisions.large.shape import FREE, ONE
from omniopt.rules.unit_rows import ALWAYS, ANY

NODE_LIMIT = 20_000  # nodes of one unit's search, after which bounds are used in place of what lies below

# what makes no arrays need not count who holds them, which would take longer than all the rest
compiled = numba.njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
# the greatest of some numbers is the same in whatever order they are compared
in_any_order = numba.njit(cache=True, nogil=True, error_model="numpy", _nrt=False, fastmath={"nnan", "nsz"})
making_arrays = numba.njit(cache=True, nogil=True, error_model="numpy")


class Data(NamedTuple):
    """Candidates by unit, as in `Columns`; ``key`` may be empty, ``bin`` and ``template`` are unsigned.

    ``first`` is the number of the first unit among all, above 0 where these are only a part of them.
    """

    start: np.ndarray
    bin: np.ndarray
    measures: np.ndarray
    base: np.ndarray
    key: np.ndarray
    template: np.ndarray
    first: int


class Rules(NamedTuple):
    """Rows within units as the search reads them, see `omniopt.decisions.large.unit_rules`.

    A row that allows one of its members is kept as masks: bits of the keys that a key excludes.
    Other rows are counted, by their slots. Keys, rows and slots are numbered within templates.
    """

    shape: np.ndarray
    key_start: np.ndarray
    mask: np.ndarray
    guide: np.ndarray
    asked: np.ndarray
    entry_start: np.ndarray
    entry_row: np.ndarray
    entry_slot: np.ndarray
    row_start: np.ndarray
    cap: np.ndarray
    lo: np.ndarray
    trigger: np.ndarray
    optional: np.ndarray
    low_start: np.ndarray
    low_row: np.ndarray


class Work(NamedTuple):
    """What one unit's search writes on, for the largest unit and template."""

    worth: np.ndarray
    key: np.ndarray
    order: np.ndarray
    taken: np.ndarray
    path: np.ndarray
    chosen: np.ndarray
    rows: np.ndarray
    slots: np.ndarray
    used: np.ndarray
    left: np.ndarray
    need: np.ndarray
    total: np.ndarray
    size: np.ndarray
    member: np.ndarray


@making_arrays
def make_work(most, sizes):  # type: ignore[no-untyped-def]
    """Make room for lists of ``most`` sets; ``sizes`` are the largest unit, mask, rows and slots."""
    m, words, rows, slots = sizes
    return Work(
        np.empty(m), np.zeros(m, np.int64), np.empty(m, np.int64), np.empty(m + 1, np.bool_),
        np.zeros(m + 1), np.zeros(words, np.uint64), np.zeros(rows, np.int64), np.zeros(slots, np.int64),
        np.zeros(rows, np.int64), np.zeros(rows, np.int64), np.zeros(rows, np.int64), np.empty(most + 1),
        np.zeros(most + 1, np.int64), np.empty((most + 1, m), np.int64),
    )  # fmt: skip


@in_any_order
def fill_worths(first, last, bins, measures, table, worth):  # type: ignore[no-untyped-def]
    """Look up the worth of every candidate of a unit; return the greatest one, or 0."""
    best = 0.0
    terms = measures.shape[1]
    at = np.uint64(first)  # unsigned places are not looked at from the end
    if terms == 1:
        for i in range(np.uint64(last - first)):
            b = bins[at + i]
            w = table[b, 0] + table[b, 1] * measures[at + i, 0]
            worth[i] = w
            best = max(best, w)
        return best
    for i in range(np.uint64(last - first)):
        b = bins[at + i]
        w = table[b, 0]
        for t in range(terms):
            w += table[b, t + 1] * measures[at + i, t]
        worth[i] = w
        best = max(best, w)
    return best


@compiled
def add_noise(u, first, last, data, noise, worth):  # type: ignore[no-untyped-def]
    """Add to each worth a number from 0 to ``noise`` that depends on the unit and the key alone."""
    seed = np.uint64(data.first + u) * np.uint64(0x9E3779B97F4A7C15)
    for i in range(last - first):
        key = np.uint64(data.key[first + i] if len(data.key) else data.bin[first + i] - data.base[u])
        z = seed + (key + np.uint64(1)) * np.uint64(
            0xD1B54A32D192ED03
        )
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
        worth[i] += noise * (np.float64(z >> np.uint64(11)) * 2.0**-53)


@compiled
def find_sets(u, m, data, rules, most, width, work):  # type: ignore[no-untyped-def]
    """List a unit's best sets, whose worths are in ``work``: (how many, what none exceeds, cut?).

    Sets of a unit without rows are listed by their best one alone if more than two are asked for:
    its contacts stand for themselves.
    """
    template = data.template[u]
    shape = rules.shape[template]
    if shape == ONE:
        count = _best_contacts(m, most, width, work)
    elif shape == FREE:
        count = _best_flips(m, most, width, work)
    else:
        first = data.start[u]
        for i in range(m):
            work.key[i] = data.key[first + i] if len(data.key) else data.bin[first + i] - data.base[u]
        return search(m, template, rules, most, width, 0, work)
    return count, work.total[0], False


@compiled
def _best_contacts(m, most, width, work):  # type: ignore[no-untyped-def]
    """List the best contacts of a unit that may have one, or none."""
    total, size, member = work.total, work.size, work.member
    total[0], size[0] = 0.0, 0
    count = 1
    low = least(total, 1, most, width)
    for i in range(m):
        w = work.worth[i]
        if w > low:
            count = _insert(w, count, most, total, size, member)
            place = count
            for s in range(count):
                if size[s] < 0:
                    place = s
            size[place], member[place, 0] = 1, i
            low = least(total, count, most, width)
    return _within(total, count, width)


@compiled
def _best_flips(m, most, width, work):  # type: ignore[no-untyped-def]
    """List the best set of a unit without rows, and the next one if two are asked for."""
    total, size, member = work.total, work.size, work.member
    total[0], size[0] = 0.0, 0
    flip, by = -1, np.inf
    for i in range(m):
        w = work.worth[i]
        if w > 0.0:
            total[0] += w
            member[0, size[0]] = i
            size[0] += 1
        if abs(w) < by:
            flip, by = i, abs(w)
    if most != 2 or by >= width:
        return 1
    total[1], size[1] = total[0] - by, 0
    for s in range(size[0]):
        if member[0, s] != flip:
            member[1, size[1]] = member[0, s]
            size[1] += 1
    if work.worth[flip] <= 0.0:
        member[1, size[1]] = flip
        size[1] += 1
    return 2


@compiled
def _within(total, count, width):  # type: ignore[no-untyped-def]
    """Count the sets that turned out to be within ``width`` of the best one."""
    while count > 1 and total[count - 1] <= total[0] - width:
        count -= 1
    return count


@compiled
def least(total, count, most, width):  # type: ignore[no-untyped-def]
    """Return the worth above which another set belongs in the list."""
    if count == 0:
        return -np.inf
    low = total[count - 1] if count == most else total[0] - width
    if most > 2:
        part = -width
        for s in range(count):
            part += total[s]
            low = max(low, part / (s + 1))
    return low


@compiled
def _insert(worth, count, most, total, size, member):  # type: ignore[no-untyped-def]
    """Make room for a set in order of worth, marked by size -1; return how many there are."""
    s = min(count, most - 1)
    while s > 0 and total[s - 1] < worth:
        total[s] = total[s - 1]
        size[s] = size[s - 1]
        for i in range(size[s]):
            member[s, i] = member[s - 1, i]
        s -= 1
    total[s] = worth
    size[s] = -1
    return min(count + 1, most)


@compiled
def search(m, template, rules, most, width, fixed, work):  # type: ignore[no-untyped-def]
    """List the best sets by depth-first search: (how many, what none exceeds, cut?).

    ``work`` has the worth and the key of candidates 0 to m - 1; the first ``fixed`` of them, none or
    one, have to be in every set.
    """
    total, taken, path = work.total, work.taken, work.path
    lows = (rules.low_start[template], rules.low_start[template + 1])
    size = _in_order(m, template, rules, lows, most, width, fixed, work)
    count, nodes, depth, upper, low = 0, 0, 0, -np.inf, -np.inf
    path[0] = 0.0
    if fixed:
        fits = _fits(0, template, rules, work)
        _take(0, template, rules, work)
        path[1], taken[0], depth = work.worth[0], True, 1
        if not fits:
            size = 0
    if size >= fixed and _low_kept(template, rules, lows, work):
        count = _record(path[depth], depth, count, most, work)
        low = least(total, count, most, width)
    while True:
        nodes += 1
        if depth < size and _reachable(template, rules, lows, work):
            cut = nodes > NODE_LIMIT
            duty = _duty(depth, size, template, rules, lows, work)
            bound = _bound(path[depth], duty, depth, size, template, rules, np.inf if cut else low, work)
            if cut:
                upper = max(upper, bound)
            elif bound > low:
                path[depth + 1] = path[depth]
                taken[depth] = _fits(depth, template, rules, work)
                if taken[depth]:
                    _take(depth, template, rules, work)
                    path[depth + 1] += work.worth[work.order[depth]]
                    if path[depth + 1] > low and _low_kept(template, rules, lows, work):
                        count = _record(path[depth + 1], depth + 1, count, most, work)
                        low = least(total, count, most, width)
                else:
                    _lose(depth, 1, template, rules, lows, work)
                depth += 1
                continue
        depth -= 1  # back to the last contact taken, and leave it
        while depth >= fixed and not taken[depth]:
            _lose(depth, -1, template, rules, lows, work)
            depth -= 1
        if depth < fixed:
            break
        _untake(depth, template, rules, work)
        _lose(depth, 1, template, rules, lows, work)
        taken[depth] = False
        path[depth + 1] = path[depth]
        depth += 1
    if fixed:
        _untake(0, template, rules, work)
    for r in range(rules.row_start[template + 1] - rules.row_start[template]):
        work.left[r] = 0
    best = total[0] if count else -np.inf
    return _within(total, count, width), max(best, upper), upper > best


@compiled
def _in_order(m, template, rules, lows, most, width, fixed, work):  # type: ignore[no-untyped-def]
    """Put the candidates that can matter in order of worth, and say what lower bounds ask for."""
    order, worth, size = work.order, work.worth, fixed
    k0, r0 = rules.key_start[template], rules.row_start[template]
    order[0] = 0
    for i in range(fixed, m):
        helps = lows[1] > lows[0] and rules.asked[k0 + work.key[i]]
        if worth[i] > -np.inf and (worth[i] > 0.0 or helps or (most > 1 and worth[i] > -width)):
            order[size] = i
            size += 1
    gap = 1
    while gap < (size - fixed) // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(fixed + gap, size):
            new, s = order[i], i
            while s >= fixed + gap and (
                worth[order[s - gap]] < worth[new]
                or (worth[order[s - gap]] == worth[new] and order[s - gap] > new)
            ):
                order[s] = order[s - gap]
                s -= gap
            order[s] = new
        gap //= 3
    if lows[1] > lows[0]:
        for i in range(m):  # any candidate makes an optional row count
            for e in range(rules.entry_start[k0 + work.key[i]], rules.entry_start[k0 + work.key[i] + 1]):
                work.left[rules.entry_row[e]] += 1
        for low_at in range(lows[0], lows[1]):
            r = rules.low_row[low_at]
            asked = work.left[r] > 0 or not rules.optional[r0 + r]
            work.need[r] = rules.lo[r0 + r] if asked else 0
            work.left[r] = 0
        for d in range(size):
            _lose(d, -1, template, rules, lows, work)
    return size


@compiled
def _record(worth, depth, count, most, work):  # type: ignore[no-untyped-def]
    """Put the contacts taken down to ``depth`` into the list of sets."""
    total, size, member = work.total, work.size, work.member
    count = _insert(worth, count, most, total, size, member)
    s = 0
    while size[s] >= 0:
        s += 1
    size[s] = 0
    for d in range(depth):
        if work.taken[d]:
            member[s, size[s]] = work.order[d]
            size[s] += 1
    return count


@compiled
def _fits(depth, template, rules, work):  # type: ignore[no-untyped-def]
    """Whether a contact goes with those taken."""
    at = rules.key_start[template] + work.key[work.order[depth]]
    for x in range(len(work.chosen)):
        if rules.mask[at, x] & work.chosen[x]:
            return False
    r0 = rules.row_start[template]
    for e in range(rules.entry_start[at], rules.entry_start[at + 1]):
        r = rules.entry_row[e]
        if work.slots[rules.entry_slot[e]] == 0 and work.rows[r] >= rules.cap[r0 + r]:
            return False
    return True


@compiled
def _take(depth, template, rules, work):  # type: ignore[no-untyped-def]
    """Count a contact in."""
    key = work.key[work.order[depth]]
    at = rules.key_start[template] + key
    work.chosen[key >> 6] |= np.uint64(1) << np.uint64(key & 63)
    for e in range(rules.entry_start[at], rules.entry_start[at + 1]):
        if work.slots[rules.entry_slot[e]] == 0:
            work.rows[rules.entry_row[e]] += 1
        work.slots[rules.entry_slot[e]] += 1


@compiled
def _untake(depth, template, rules, work):  # type: ignore[no-untyped-def]
    """Count a contact out."""
    key = work.key[work.order[depth]]
    at = rules.key_start[template] + key
    work.chosen[key >> 6] ^= np.uint64(1) << np.uint64(key & 63)
    for e in range(rules.entry_start[at], rules.entry_start[at + 1]):
        work.slots[rules.entry_slot[e]] -= 1
        if work.slots[rules.entry_slot[e]] == 0:
            work.rows[rules.entry_row[e]] -= 1


@compiled
def _lose(depth, by, template, rules, lows, work):  # type: ignore[no-untyped-def]
    """Count a contact out of what is left to its rows."""
    if lows[1] > lows[0]:
        at = rules.key_start[template] + work.key[work.order[depth]]
        for e in range(rules.entry_start[at], rules.entry_start[at + 1]):
            work.left[rules.entry_row[e]] -= by


@compiled
def _counts(r, trigger, work):  # type: ignore[no-untyped-def]
    """Whether the contacts taken make a row's lower bound count."""
    if trigger < 0:
        return trigger == ALWAYS or (trigger == ANY and work.rows[r] > 0)
    return (work.chosen[trigger >> 6] >> np.uint64(trigger & 63)) & np.uint64(1) != 0


@compiled
def _low_kept(template, rules, lows, work):  # type: ignore[no-untyped-def]
    """Whether the lower bounds that count are reached."""
    r0 = rules.row_start[template]
    for low_at in range(lows[0], lows[1]):
        r = rules.low_row[low_at]
        if work.rows[r] < work.need[r] and _counts(r, rules.trigger[r0 + r], work):
            return False
    return True


@compiled
def _reachable(template, rules, lows, work):  # type: ignore[no-untyped-def]
    """Whether enough members are left for the lower bounds that count already."""
    r0 = rules.row_start[template]
    for low_at in range(lows[0], lows[1]):
        r = rules.low_row[low_at]
        if work.left[r] < work.need[r] and _counts(r, rules.trigger[r0 + r], work):
            return False
    return True


@compiled
def _bound(worth, duty, depth, size, template, rules, enough, work):  # type: ignore[no-untyped-def]
    """Bound what sets with one more contact from ``depth`` on are worth, or find that it is ``enough``.

    Of the contacts that fit beside those taken, each guiding row takes the best, as many as it has
    room for; ``duty`` is the least that lower bounds cost.
    """
    k0, r0 = rules.key_start[template], rules.row_start[template]
    if work.worth[work.order[depth]] <= 0.0:
        return worth + min(duty, work.worth[work.order[depth]])
    bound = worth + duty
    end = depth
    while end < size and bound <= enough and work.worth[work.order[end]] > 0.0:
        r = rules.guide[k0 + work.key[work.order[end]]]
        if r < 0:
            if _fits(end, template, rules, work):
                bound += work.worth[work.order[end]]
        elif work.rows[r] + work.used[r] < rules.cap[r0 + r] and _fits(end, template, rules, work):
            bound += work.worth[work.order[end]]
            work.used[r] += 1
        end += 1
    for d in range(depth, end):
        r = rules.guide[k0 + work.key[work.order[d]]]
        if r >= 0:
            work.used[r] = 0
    return bound


@compiled
def _duty(depth, size, template, rules, lows, work):  # type: ignore[no-untyped-def]
    """Bound what lower bounds cost from ``depth`` on: the row that is worst served, at its best."""
    least_cost = 0.0
    k0, r0 = rules.key_start[template], rules.row_start[template]
    for low_at in range(lows[0], lows[1]):
        r = rules.low_row[low_at]
        short = work.need[r] - work.rows[r]
        if short <= 0 or not _counts(r, rules.trigger[r0 + r], work):
            continue
        cost = 0.0
        for d in range(depth, size):
            if short == 0:
                break
            at = k0 + work.key[work.order[d]]
            for e in range(rules.entry_start[at], rules.entry_start[at + 1]):
                if rules.entry_row[e] == r:
                    cost += min(work.worth[work.order[d]], 0.0)
                    short -= 1
                    break
        least_cost = min(least_cost, cost)
    return least_cost

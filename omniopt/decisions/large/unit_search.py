"""Compiled kernels: the best sets of one unit.

Where a unit may have one contact the best is the largest number, where there is no row each contact
stands for itself; all other units are solved by depth-first search over the contacts in order of
worth. The search is cut off where the contacts left, as far as they fit in beside those taken and
as far as their fullest rows have room, cannot lead past the worst set that still matters, and where
a lower bound is out of reach.
"""

from __future__ import annotations

import numpy as np

from omniopt.decisions.large.kernels import (
    best_contacts,
    best_flips,
    compiled,
    inlined,
    insert,
    least,
    within,
)
from omniopt.decisions.large.shape import FREE, ONE
from omniopt.rules.unit_rows import ALWAYS, ANY

NODE_LIMIT = 20_000  # nodes of one unit's search, after which bounds are used in place of what lies below


@inlined
def find_sets(u, m, data, rules, most, width, work):  # type: ignore[no-untyped-def]
    """List a unit's best sets, whose worths are in ``work``: (how many, what none exceeds, cut?).

    Sets of a unit without rows are listed by their best one alone if more than two are asked for:
    its contacts stand for themselves.
    """
    template = data.template[u]
    shape = rules.shape[template]
    if shape == ONE:
        count = best_contacts(m, most, width, work)
    elif shape == FREE:
        count = best_flips(m, most, width, work)
    else:
        return search(u, m, data, rules, most, width, -1, work)
    return count, work.total[0], False


@compiled
def search(u, m, data, rules, most, width, fixed, work):  # type: ignore[no-untyped-def]
    """List the best sets by depth-first search: (how many, what none exceeds, cut?).

    ``work`` has the worth of the unit's candidates 0 to m - 1; candidate ``fixed``, if it is none of
    them -1, has to be in every set. Each level of the search has taken one more contact, and has a
    list of those that may follow, in order of worth: ``left[at[level]:end[level]]``.
    """
    template = data.template[u]
    total, path, at, end, left = work.total, work.path, work.at, work.end, work.left
    lows = (rules.low_start[template], rules.low_start[template + 1])
    path[0], at[0] = 0.0, 0
    end[0] = _in_order(u, m, data, rules, lows, -width if most > 1 else 0.0, fixed, work)
    count, nodes, level, upper, low = 0, 0, 0, -np.inf, -np.inf
    base = 1 if fixed >= 0 else 0
    possible = base == 0 or _fits(fixed, template, rules, work)
    if base:
        _follow(fixed, 0, template, rules, work)
        level = 1
    if possible and _low_kept(template, rules, lows, work):
        count = _record(level, count, most, work)
        low = least(total, count, most, width)
    while possible:
        nodes += 1
        more = at[level] < end[level] and _reachable(level, template, rules, lows, work)
        if more:
            cut = nodes > NODE_LIMIT
            bound = _bound(level, template, rules, lows, np.inf if cut else low, work)
            more = bound > low and not cut
            if cut:
                upper = max(upper, bound)
        if more:
            i = left[at[level]]
            at[level] += 1
            _follow(i, level, template, rules, work)
            level += 1
            if path[level] > low and _low_kept(template, rules, lows, work):
                count = _record(level, count, most, work)
                low = least(total, count, most, width)
        elif level == base:
            break
        else:  # back, and without the last contact taken
            level -= 1
            _count(work.taken[level], -1, template, rules, work)
    if base:
        _count(fixed, -1, template, rules, work)
    best = total[0] if count else -np.inf
    return within(total, count, width), max(best, upper), upper > best


@inlined
def _in_order(u, m, data, rules, lows, floor, fixed, work):  # type: ignore[no-untyped-def]
    """Put the candidates that can matter in order of worth, and say what lower bounds ask for."""
    order, worth, size = work.left, work.worth, 0
    template, first, low = data.template[u], data.start[u], lows[1] > lows[0]
    k0 = rules.key_start[template]
    for i in range(m):
        order[size] = i
        size += worth[i] > floor
    if low:
        _read_lows(u, m, data, rules, lows, work)
        for i in range(m):
            if -np.inf < worth[i] <= floor and rules.asked[k0 + work.key[i]]:
                order[size] = i
                size += 1
    if fixed >= 0:
        work.key[fixed] = data.key[first + fixed] if len(data.key) else data.bin[first + fixed] - data.base[u]
    matter, size = size, 0
    for place in range(matter):
        i = order[place]
        work.key[i] = data.key[first + i] if len(data.key) else data.bin[first + i] - data.base[u]
        if i != fixed and _fits(i, template, rules, work):
            order[size] = i
            size += 1
    gap = 1
    while gap < size // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for place in range(gap, size):
            new, s = order[place], place
            while s >= gap and _behind(order[s - gap], new, worth):
                order[s] = order[s - gap]
                s -= gap
            order[s] = new
        gap //= 3
    return size


@compiled
def _read_lows(u, m, data, rules, lows, work):  # type: ignore[no-untyped-def]
    """Say what lower bounds ask for: an optional one counts if the unit has any candidate for it."""
    template, first = data.template[u], data.start[u]
    k0, r0 = rules.key_start[template], rules.row_start[template]
    for place in range(lows[0], lows[1]):
        r = rules.low_row[place]
        work.need[r] = 0 if rules.optional[r0 + r] else rules.lo[r0 + r]
    for i in range(m):
        work.key[i] = data.key[first + i] if len(data.key) else data.bin[first + i] - data.base[u]
        for e in range(rules.entry_start[k0 + work.key[i]], rules.entry_start[k0 + work.key[i] + 1]):
            work.need[rules.entry_row[e]] = rules.lo[r0 + rules.entry_row[e]]


@compiled
def _behind(i, j, worth):  # type: ignore[no-untyped-def]
    """Whether candidate i comes after candidate j."""
    return worth[i] < worth[j] or (worth[i] == worth[j] and i > j)


@inlined
def _record(level, count, most, work):  # type: ignore[no-untyped-def]
    """Put the contacts taken into the list of sets."""
    total, size, member = work.total, work.size, work.member
    count = insert(work.path[level], count, most, total, size, member)
    s = 0
    while size[s] >= 0:
        s += 1
    size[s] = level
    for i in range(level):
        member[s, i] = work.taken[i]
    return count


@inlined
def _follow(i, level, template, rules, work):  # type: ignore[no-untyped-def]
    """Take a contact, and list those that still go with all that are taken."""
    _count(i, 1, template, rules, work)
    work.taken[level] = i
    work.path[level + 1] = work.path[level] + work.worth[i]
    size = work.end[level]
    work.at[level + 1] = size
    for place in range(work.at[level], work.end[level]):
        if _fits(work.left[place], template, rules, work):
            work.left[size] = work.left[place]
            size += 1
    work.end[level + 1] = size


@inlined
def _fits(i, template, rules, work):  # type: ignore[no-untyped-def]
    """Whether a contact goes with those taken."""
    at = rules.key_start[template] + work.key[i]
    for x in range(len(work.chosen)):
        if rules.mask[at, x] & work.chosen[x]:
            return False
    r0 = rules.row_start[template]
    for e in range(rules.entry_start[at], rules.entry_start[at + 1]):
        r = rules.entry_row[e]
        if work.slots[rules.entry_slot[e]] == 0 and work.rows[r] >= rules.cap[r0 + r]:
            return False
    return True


@inlined
def _count(i, by, template, rules, work):  # type: ignore[no-untyped-def]
    """Count a contact in (1) or out (-1)."""
    key = work.key[i]
    at = rules.key_start[template] + key
    work.chosen[key >> 6] ^= np.uint64(1) << np.uint64(key & 63)
    for e in range(rules.entry_start[at], rules.entry_start[at + 1]):
        slot = rules.entry_slot[e]
        before = work.slots[slot]
        work.slots[slot] += by
        if before == 0 or work.slots[slot] == 0:
            work.rows[rules.entry_row[e]] += by


@inlined
def _asks(r, template, rules, work):  # type: ignore[no-untyped-def]
    """Return how many classes a row's lower bound lacks, given the contacts taken."""
    trigger = rules.trigger[rules.row_start[template] + r]
    if trigger >= 0:
        counts = (work.chosen[trigger >> 6] >> np.uint64(trigger & 63)) & np.uint64(1) != 0
    else:
        counts = trigger == ALWAYS or (trigger == ANY and work.rows[r] > 0)
    return max(work.need[r] - work.rows[r], 0) if counts else 0


@inlined
def _low_kept(template, rules, lows, work):  # type: ignore[no-untyped-def]
    """Whether the lower bounds that count are reached."""
    for place in range(lows[0], lows[1]):
        if _asks(rules.low_row[place], template, rules, work) > 0:
            return False
    return True


@compiled
def _serve(level, r, short, template, rules, work):  # type: ignore[no-untyped-def]
    """Let the best contacts that may follow serve a row: (how many it still lacks, what they cost)."""
    cost = 0.0
    k0 = rules.key_start[template]
    for place in range(work.at[level], work.end[level]):
        if short == 0:
            break
        at = k0 + work.key[work.left[place]]
        for e in range(rules.entry_start[at], rules.entry_start[at + 1]):
            if rules.entry_row[e] == r:
                cost += min(work.worth[work.left[place]], 0.0)
                short -= 1
                break
    return short, cost


@inlined
def _reachable(level, template, rules, lows, work):  # type: ignore[no-untyped-def]
    """Whether those that may follow can reach the lower bounds that count already."""
    for place in range(lows[0], lows[1]):
        r = rules.low_row[place]
        short = _asks(r, template, rules, work)
        if short > 0 and _serve(level, r, short, template, rules, work)[0] > 0:
            return False
    return True


@inlined
def _bound(level, template, rules, lows, enough, work):  # type: ignore[no-untyped-def]
    """Bound what sets with one more contact are worth, or find that it is more than ``enough``.

    Each of a contact's two guiding rows takes the best, as many as it has room for; the worst served
    lower bound, at its best, says what must be paid in any case.
    """
    k0, r0 = rules.key_start[template], rules.row_start[template]
    duty = 0.0
    for place in range(lows[0], lows[1]):
        r = rules.low_row[place]
        short = _asks(r, template, rules, work)
        if short > 0:
            duty = min(duty, _serve(level, r, short, template, rules, work)[1])
    first, last = work.at[level], work.end[level]
    worth = work.worth[work.left[first]]
    if worth <= 0.0:
        return work.path[level] + min(duty, worth)
    one = two = work.path[level] + duty
    place = first
    while place < last and min(one, two) <= enough:
        i = work.left[place]
        worth = work.worth[i]
        if worth <= 0.0:
            break
        r, q = rules.guide[k0 + work.key[i], 0], rules.guide[k0 + work.key[i], 1]
        if r < 0 or work.rows[r] + work.used[0, r] < rules.cap[r0 + r]:
            one += worth
        if q < 0 or work.rows[q] + work.used[1, q] < rules.cap[r0 + q]:
            two += worth
        work.used[0, r] += 1  # -1 is a place that no row has
        work.used[1, q] += 1
        place += 1
    for back in range(first, place):
        i = work.left[back]
        work.used[0, rules.guide[k0 + work.key[i], 0]] = 0
        work.used[1, rules.guide[k0 + work.key[i], 1]] = 0
    return min(one, two)

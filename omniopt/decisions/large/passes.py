"""Compiled passes over a range of units: sums, best sets, losses, and the units close to a change."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from omniopt.decisions.large.kernels import (
    add_noise,
    compiled,
    fill_worths,
    inlined,
    make_work,
    making_arrays,
)
from omniopt.decisions.large.shape import FREE, ONE
from omniopt.decisions.large.unit_search import find_sets, search

MANY = 16  # sets that a smoothed choice is split among at most


class Rows(NamedTuple):
    """The coupling rows by column: entries of (bin, term) i are ``start[i]:start[i + 1]``."""

    start: np.ndarray
    row: np.ndarray
    coefficient: np.ndarray
    count: int  # type: ignore[assignment]


class Sums(NamedTuple):
    """What a pass adds up, see `omniopt.decisions.large.sweep.Sweep`; ``chosen`` lists contacts."""

    value: float
    value_low: float
    smooth: float
    mixed: float
    contacts: int
    cut: int
    impossible: int
    use: np.ndarray
    tilt: np.ndarray
    curvature: np.ndarray
    chosen: np.ndarray


@making_arrays
def sweep_part(first, last, stride, data, rules, rows, table, width, near, sizes):  # type: ignore[no-untyped-def]
    """Add up over units ``first`` to ``last - 1`` whose number is a multiple of ``stride``.

    With ``near`` of the units' length, units with another set within ``width`` of the best are
    marked there and left out, and nothing is smoothed; the others' contacts are listed. Without rows
    there is no curvature.
    """
    split = len(near) > 0
    chosen, listed = np.empty(last - first if split else 0, np.int64), 0
    most = 2 if split else (MANY if width > 0.0 else 1)
    work = make_work(most, sizes)
    use, tilt = np.zeros(table.shape), np.zeros(table.shape)
    k = rows.count
    curvature = np.zeros((k, k))
    change = np.zeros((3, k))
    touched = np.empty((2, k), np.int64)
    value, low, smooth, mixed = 0.0, 0.0, 0.0, 0.0
    cuts, contacts, impossible = 0, 0, -1
    u = first + (-(data.first + first)) % stride
    while u < last:
        a, z = data.start[u], data.start[u + 1]
        greatest = fill_worths(a, z, data.bin, data.measures, table, work.worth)
        shape = rules.shape[data.template[u]]
        if shape == ONE and _alone(greatest, z - a, width, work):
            count, total, cut = 1, greatest, False
        else:
            count, total, cut = find_sets(u, z - a, data, rules, most, width, work)
        if count == 0 and not cut:
            if impossible < 0:
                impossible = u
            u += stride
            continue
        if split and (count > 1 or cut):
            near[u] = True
            u += stride
            continue
        new = value + total  # Neumaier's sum
        low += (value - new) + total if abs(value) >= abs(total) else (total - new) + value
        value = new
        cuts += cut
        if count and not cut:
            contacts = max(contacts, work.size[0])
        if shape == FREE and width > 0.0 and not split:
            s, p = _share_flips(a, z - a, width, data, rows, work, use, tilt, curvature, change, touched)
        elif count > 1:
            s, p = _share_sets(a, count, width, data, rows, work, use, tilt, curvature, change, touched)
        else:
            s, p = total, total
            if count:
                _add_use(0, 1.0, a, data, work, use)
                if split:
                    if listed + work.size[0] > len(chosen):
                        chosen = _longer(chosen, listed + work.size[0])
                    listed = _list(a, work, chosen, listed)
        smooth += s - total
        mixed += p - total
        u += stride
    chosen = chosen[:listed]
    return Sums(value, low, smooth, mixed, contacts, cuts, impossible, use, tilt, curvature, chosen)


@making_arrays
def _longer(listed, size):  # type: ignore[no-untyped-def]
    """Return a copy of a list that has room for twice as many numbers."""
    longer = np.empty(2 * size, np.int64)
    longer[: len(listed)] = listed
    return longer


@inlined
def _list(first, work, listed, used):  # type: ignore[no-untyped-def]
    """Add the contacts of a unit's best set to a list; return how long it is then."""
    for i in range(work.size[0]):
        listed[used + i] = first + work.member[0, i]
    return used + work.size[0]


@inlined
def _alone(greatest, m, width, work):  # type: ignore[no-untyped-def]
    """Whether the best contact of a unit that may have one leads by ``width``; list it if so."""
    within, at = 0, -1
    low = greatest - width
    if width > 0.0:
        for i in range(m):
            within += work.worth[i] > low
        if within + (low < 0.0) > 1:
            return False
    work.total[0], work.size[0] = greatest, 0
    if greatest > 0.0:
        at = 0
        while work.worth[at] != greatest:
            at += 1
        work.size[0], work.member[0, 0] = 1, at
    return True


@compiled
def _share_sets(first, count, width, data, rows, work, use, tilt, curvature, change, touched):  # type: ignore[no-untyped-def]
    """Split a unit of choice among the best sets; return its smoothed worth, and its worth as split.

    The split p is the greatest of ``Σ p_s w_s - width/2 Σ p_s²``; half a ``width`` is added so that a
    set alone is worth what it is.
    """
    total = work.total
    part, level, members = -width, -np.inf, 0
    for s in range(count):
        if total[s] <= level:
            break
        part += total[s]
        members = s + 1
        level = part / members
    worth, squares = 0.0, 0.0
    for s in range(members):
        p = (total[s] - level) / width
        worth += p * total[s]
        squares += p * p
        _add_use(s, p, first, data, work, use)
        _add_use(s, 1.0 / members - p, first, data, work, tilt)
    if rows.count and members > 1:
        _add_curvature(first, members, 1.0 / width, data, rows, work, curvature, change, touched)
    return worth + 0.5 * width * (1.0 - squares), worth


@compiled
def _share_flips(first, m, width, data, rows, work, use, tilt, curvature, change, touched):  # type: ignore[no-untyped-def]
    """Split each contact's choice between having it and not, in a unit without rows."""
    smooth, mixed = 0.0, 0.0
    work.size[0], work.size[1] = 0, 1
    for i in range(m):
        w = work.worth[i]
        p = min(max(0.5 + 0.5 * w / width, 0.0), 1.0)
        if p > 0.0:
            work.member[1, 0] = i
            _add_use(1, p, first, data, work, use)
            if p < 1.0:
                _add_use(1, 0.5 - p, first, data, work, tilt)
            mixed += p * w
            smooth += p * w + 0.5 * width * (1.0 - p * p - (1.0 - p) * (1.0 - p))
            if p < 1.0 and rows.count:
                _add_curvature(first, 2, 1.0 / width, data, rows, work, curvature, change, touched)
    return smooth, mixed


@inlined
def _add_use(s, p, first, data, work, use):  # type: ignore[no-untyped-def]
    """Add a set's measures, by bin."""
    for i in range(work.size[s]):
        j = first + work.member[s, i]
        b = data.bin[j]
        use[b, 0] += p
        for t in range(data.measures.shape[1]):
            use[b, t + 1] += p * data.measures[j, t]


@compiled
def _add_curvature(first, sets, by, data, rows, work, curvature, change, touched):  # type: ignore[no-untyped-def]
    """Add ``by`` times the spread of the sets' use of the rows, as if they were equally likely.

    Only the lower triangle is filled. ``change`` has the use of one set, of all, and which rows are
    among those ``touched``, by a set and in all.
    """
    count = 0
    for s in range(sets):
        own = add_rows(s, first, data, rows, work, change[0], touched[0])
        _add_square(change[0], touched[0], own, by, curvature)
        for x in range(own):
            r = touched[0, x]
            change[1, r] += change[0, r]
            change[0, r] = 0.0
            if change[2, r] == 0.0:
                change[2, r] = 1.0
                touched[1, count] = r
                count += 1
    _add_square(change[1], touched[1], count, -by / sets, curvature)
    for x in range(count):
        change[1:, touched[1, x]] = 0.0


@compiled
def _add_square(use, touched, count, by, curvature):  # type: ignore[no-untyped-def]
    """Add ``by`` times a vector's product with itself to the lower triangle."""
    for x in range(count):
        r = touched[x]
        one = by * use[r]
        for y in range(x + 1):
            curvature[max(r, touched[y]), min(r, touched[y])] += one * use[touched[y]]


@compiled
def add_rows(s, first, data, rows, work, use, touched):  # type: ignore[no-untyped-def]
    """Add a set's use of the rows; return how many rows it uses."""
    count = 0
    terms = data.measures.shape[1]
    for i in range(work.size[s]):
        j = first + work.member[s, i]
        for t in range(terms + 1):
            at = np.int64(data.bin[j]) * (terms + 1) + t
            by = data.measures[j, t - 1] if t else 1.0
            for e in range(rows.start[at], rows.start[at + 1]):
                if by * rows.coefficient[e] == 0.0:
                    continue
                r = rows.row[e]
                if use[r] == 0.0:
                    touched[count] = r
                    count += 1
                use[r] += by * rows.coefficient[e]
                if use[r] == 0.0:  # cancelled: as good as nothing, but it is in the list
                    use[r] = 1e-300
    return count


@making_arrays
def best_part(first, last, data, rules, table, width, noise, sizes, value, margin, chosen, searched):  # type: ignore[no-untyped-def]
    """Write down every unit's best worth, its lead over the next set, and the set; return the largest set."""
    work = make_work(2, sizes)
    contacts = 0
    for u in range(first, last):
        a, z = data.start[u], data.start[u + 1]
        fill_worths(a, z, data.bin, data.measures, table, work.worth)
        if noise > 0.0:
            add_noise(u, a, z, data, noise, work.worth)
        count, total, cut = find_sets(u, z - a, data, rules, 2, width, work)
        value[u] = total if count or cut else -np.inf
        margin[u] = work.total[0] - work.total[1] if count > 1 else np.inf
        searched[u] = not cut
        if cut:
            margin[u] = 0.0
        if count:
            contacts = max(contacts, work.size[0])
            for i in range(work.size[0]):
                chosen[a + work.member[0, i]] = True
    return contacts


@making_arrays
def chosen_part(first, last, data, rules, table, left_out, sizes):  # type: ignore[no-untyped-def]
    """List the contacts of the units' best sets, but those of units that are left out."""
    work = make_work(1, sizes)
    member, used = np.empty(2 * (last - first), np.int64), 0
    for u in range(first, last):
        if left_out[u]:
            continue
        a, z = data.start[u], data.start[u + 1]
        greatest = fill_worths(a, z, data.bin, data.measures, table, work.worth)
        if rules.shape[data.template[u]] == ONE:
            _alone(greatest, z - a, 0.0, work)
        elif find_sets(u, z - a, data, rules, 1, 0.0, work)[0] == 0:
            continue
        if used + work.size[0] > len(member):
            member = _longer(member, used + work.size[0])
        used = _list(a, work, member, used)
    return member[:used]


@making_arrays
def losses_part(first, last, units, place, data, rules, table, sizes, loss):  # type: ignore[no-untyped-def]
    """Write down what each candidate's unit loses if the candidate's fate is turned round.

    ``loss`` from ``place[i]`` on belongs to the candidates of ``units[i]``. Never overstated; 0 in
    units whose search was cut.
    """
    work = make_work(2, sizes)
    in_best = np.zeros(len(work.worth), np.bool_)
    for n in range(first, last):
        u = units[n]
        a, z = data.start[u], data.start[u + 1]
        fill_worths(a, z, data.bin, data.measures, table, work.worth)
        count, total, cut = find_sets(u, z - a, data, rules, 2, np.inf, work)
        best = work.total[0] if count else -np.inf
        second = work.total[1] if count > 1 else -np.inf
        in_best[: z - a] = False
        for i in range(work.size[0] if count else 0):
            in_best[work.member[0, i]] = True
        for i in range(z - a):
            at = place[n] + i
            if cut or count == 0:
                loss[at] = 0.0
                continue
            shape = rules.shape[data.template[u]]
            if shape == FREE:
                loss[at] = abs(work.worth[i])
            elif shape == ONE:
                loss[at] = best - (second if in_best[i] else work.worth[i])
            else:
                loss[at] = max(best - _turned(i, u, z - a, data, in_best[i], rules, work), 0.0)
    return 0


@compiled
def _turned(i, u, m, data, inside, rules, work):  # type: ignore[no-untyped-def]
    """Return what none of the sets without a candidate exceeds, or of those with it."""
    worth = work.worth[i]
    if worth == -np.inf:
        return -np.inf
    if not inside:
        return search(u, m, data, rules, 1, 0.0, i, work)[1]
    work.worth[i] = -np.inf
    other = search(u, m, data, rules, 1, 0.0, -1, work)[1]
    work.worth[i] = worth
    return other


@compiled
def take_part(first, last, units, place, data, bins, measures, keys):  # type: ignore[no-untyped-def]
    """Copy the candidates of some units to ``place[i]`` on."""
    for n in range(first, last):
        a = data.start[units[n]]
        for i in range(data.start[units[n] + 1] - a):
            bins[place[n] + i] = data.bin[a + i]
            for t in range(measures.shape[1]):
                measures[place[n] + i, t] = data.measures[a + i, t]
            if len(keys):
                keys[place[n] + i] = data.key[a + i]
    return 0

"""Compiled passes over a range of units: sums, best sets, losses, and the units close to a change."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from omniopt.decisions.large.curvature import Bent, add_curvature
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
    chosen = np.empty(last - first if split else 0, np.int64)
    most = 2 if split else (MANY if width > 0.0 else 1)
    work = make_work(most, sizes)
    use, tilt = np.zeros(table.shape), np.zeros(table.shape)
    k = rows.count
    bent = Bent(np.zeros((k, k)), np.zeros((3, k)), np.empty((2, k), np.int64))
    sums, counts = np.zeros(4), np.array([0, 0, -1, 0])
    u = first + (-(data.first + first)) % stride
    while True:
        u = _sweep(
            u, last, stride, most, data, rules, rows, table, width, near, work, use, tilt, bent, sums, counts,
            chosen,
        )  # fmt: skip
        if u >= last:
            break
        chosen = _longer(chosen)
    chosen = chosen[: counts[3]]
    return Sums(
        sums[0], sums[1], sums[2], sums[3], counts[0], counts[1], counts[2], use, tilt, bent.curvature, chosen
    )


@compiled
def _sweep(  # type: ignore[no-untyped-def]
    u, last, stride, most, data, rules, rows, table, width, near, work, use, tilt, bent, sums, counts, chosen
):
    """Add up over units from ``u`` on; return the unit whose contacts the list has no room for, or the end.

    Apart from `sweep_part`: a function that makes arrays counts who holds them wherever it hands them on.
    """
    split = len(near) > 0
    value, low, smooth, mixed = sums
    contacts, cuts, impossible, listed = counts
    while u < last:
        a, z = data.start[u], data.start[u + 1]
        greatest = fill_worths(a, z, data.bin, data.measures, table, work.worth)
        shape = rules.shape[data.template[u]]
        if shape == ONE and _alone(greatest, z - a, width, work):
            count, total, cut = 1, greatest, False
        elif shape == ONE and split:
            count, total, cut = 2, greatest, False
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
        if split and listed + work.size[0] > len(chosen):
            break
        new = value + total  # Neumaier's sum
        low += (value - new) + total if abs(value) >= abs(total) else (total - new) + value
        value = new
        cuts += cut
        if count and not cut:
            contacts = max(contacts, work.size[0])
        if shape == FREE and width > 0.0 and not split:
            s, p = _share_flips(a, z - a, width, data, rows, work, use, tilt, bent)
        elif count > 1:
            s, p = _share_sets(a, count, width, data, rows, work, use, tilt, bent)
        else:
            s, p = total, total
            if count:
                _add_use(0, 1.0, a, data, work, use)
                if split:
                    listed = _list(a, work, chosen, listed)
        smooth += s - total
        mixed += p - total
        u += stride
    sums[0], sums[1], sums[2], sums[3] = value, low, smooth, mixed
    counts[0], counts[1], counts[2], counts[3] = contacts, cuts, impossible, listed
    return u


@making_arrays
def _longer(listed):  # type: ignore[no-untyped-def]
    """Return a copy of a list that has room for twice as many numbers."""
    longer = np.empty(2 * len(listed), np.int64)
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
    within = 0
    low = greatest - width
    if width > 0.0:
        for i in range(m):
            within += work.worth[i] > low
        if within + (low < 0.0) > 1:
            return False
    work.total[0], work.size[0] = greatest, 0
    if greatest > 0.0:
        at = m
        for i in range(m):  # all of them: to guess where to end takes longer
            at = min(at, i if work.worth[i] == greatest else m)
        work.size[0], work.member[0, 0] = 1, at
    return True


@compiled
def _share_sets(first, count, width, data, rows, work, use, tilt, bent):  # type: ignore[no-untyped-def]
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
        add_curvature(first, members, 1.0 / width, data, rows, work, bent)
    return worth + 0.5 * width * (1.0 - squares), worth


@compiled
def _share_flips(first, m, width, data, rows, work, use, tilt, bent):  # type: ignore[no-untyped-def]
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
                add_curvature(first, 2, 1.0 / width, data, rows, work, bent)
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
    chosen, listed = np.empty(last - first, np.int64), 0
    u, listed = _choose(first, last, data, rules, table, left_out, work, chosen, 0)
    while u < last:
        chosen = _longer(chosen)
        u, listed = _choose(u, last, data, rules, table, left_out, work, chosen, listed)
    return chosen[:listed]


@compiled
def _choose(u, last, data, rules, table, left_out, work, chosen, listed):  # type: ignore[no-untyped-def]
    """List contacts from unit ``u`` on as far as there is room; return where it ended, and their number."""
    while u < last:
        a, z = data.start[u], data.start[u + 1]
        count = 0 if left_out[u] else 1
        if count:
            greatest = fill_worths(a, z, data.bin, data.measures, table, work.worth)
            if rules.shape[data.template[u]] == ONE:
                _alone(greatest, z - a, 0.0, work)
            else:
                count = find_sets(u, z - a, data, rules, 1, 0.0, work)[0]
        if count:
            if listed + work.size[0] > len(chosen):
                break
            listed = _list(a, work, chosen, listed)
        u += 1
    return u, listed


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

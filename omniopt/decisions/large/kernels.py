"""Compiled kernels: worths, lists of best sets, and what they are made from.

A unit chooses contacts of greatest total worth that keep its rows. Its best sets come as a short
list in order of worth. It ends at ``width`` below the best; beyond two sets, at the set that would
get no share when a unit of choice is split among the sets so that
``Σ p_s worth_s - width/2 Σ p_s²`` is greatest.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

# what makes no arrays need not count who holds them, which would take longer than all the rest
compiled = numba.njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
# the greatest of some numbers is the same in whatever order they are compared
in_any_order = numba.njit(cache=True, nogil=True, error_model="numpy", _nrt=False, fastmath={"nnan", "nsz"})
# many arrays go along: handing them over would take longer than what a small function does with them
inlined = numba.njit(cache=True, nogil=True, error_model="numpy", _nrt=False, forceinline=True)
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
    left: np.ndarray
    at: np.ndarray
    end: np.ndarray
    taken: np.ndarray
    path: np.ndarray
    chosen: np.ndarray
    rows: np.ndarray
    slots: np.ndarray
    used: np.ndarray
    need: np.ndarray
    total: np.ndarray
    size: np.ndarray
    member: np.ndarray


@making_arrays
def make_work(most, sizes):  # type: ignore[no-untyped-def]
    """Make room for lists of ``most`` sets; ``sizes`` are the largest unit, mask, rows and slots."""
    m, words, rows, slots = sizes
    return Work(
        np.empty(m), np.zeros(m, np.int64), np.empty(m * (m + 3) // 2, np.int64), np.empty(m + 1, np.int64),
        np.empty(m + 1, np.int64), np.empty(m + 1, np.int64), np.empty(m + 1), np.zeros(words, np.uint64),
        np.zeros(rows, np.int64), np.zeros(slots, np.int64), np.zeros((2, rows), np.int64),
        np.zeros(rows, np.int64), np.empty(most + 1), np.zeros(most + 1, np.int64),
        np.empty((most + 1, m), np.int64),
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
        z = seed + (key + np.uint64(1)) * np.uint64(0xD1B54A32D192ED03)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
        worth[i] += noise * (np.float64(z >> np.uint64(11)) * 2.0**-53)


@compiled
def best_contacts(m, most, width, work):  # type: ignore[no-untyped-def]
    """List the best contacts of a unit that may have one, or none."""
    total, size, member = work.total, work.size, work.member
    total[0], size[0] = 0.0, 0
    count = 1
    low = least(total, 1, most, width)
    for i in range(m):
        w = work.worth[i]
        if w > low:
            count = insert(w, count, most, total, size, member)
            place = count
            for s in range(count):
                if size[s] < 0:
                    place = s
            size[place], member[place, 0] = 1, i
            low = least(total, count, most, width)
    return within(total, count, width)


@compiled
def best_flips(m, most, width, work):  # type: ignore[no-untyped-def]
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
def within(total, count, width):  # type: ignore[no-untyped-def]
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
def insert(worth, count, most, total, size, member):  # type: ignore[no-untyped-def]
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

"""Sorting long columns by customer and, within a customer, by action."""

from __future__ import annotations

import numba
import numpy as np

from omniopt.tables.storage import empty_array, in_threads

LOT = 1 << 16  # rows that a thread sorts at a time
SHORT = 64  # rows up to which insertion sorts fastest
ASCENDING, UNSORTED, REPEATED = 0, 1, 2


def grouped(code: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Group rows by a code from 0 to ``size`` - 1, rows of one code in their order.

    Returns
    -------
    start : ndarray of int64, shape (size + 1,)
        Rows of code i go to ``start[i]:start[i + 1]``.
    place : ndarray of int64 or None
        Where each row goes; None where they lie right as they are.
    """
    start, right = _count(code, size)
    if right:
        return start, None
    place = empty_array(len(code), np.int64)
    _place(code, start[:-1].copy(), place)
    return start, place


def lots_of(start: np.ndarray, size: int) -> list[tuple[int, int]]:
    """Cut groups of rows into lots of about so many rows: (first group, last + 1) of each."""
    cuts = np.unique(np.append(np.searchsorted(start, np.arange(0, start[-1], size)), len(start) - 1))
    return [(int(a), int(b)) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]


def ordered(start: np.ndarray, key: np.ndarray, columns: list[np.ndarray]) -> bool:
    """Sort the rows of every group by a key, in place.

    Parameters
    ----------
    start : ndarray of int64, shape (g + 1,)
    key : ndarray
        Changed in place, as are ``columns``, which go with it.

    Returns
    -------
    bool
        False where two rows of a group have the same key; the columns are then in no order.
    """
    lots = lots_of(start, LOT)
    if max(in_threads(lambda lot: _state(start, key, *lot), lots), default=ASCENDING) == ASCENDING:
        return True
    longest = int(np.diff(start).max(initial=0))
    source = empty_array(len(key), np.uint16 if longest < 1 << 16 else np.int32)

    def sort(lot: tuple[int, int]) -> None:
        _sources(start, key, source, *lot)
        for column in (key, *columns):
            _move(start, source, column, np.empty(longest, column.dtype), *lot)

    in_threads(sort, lots)
    return max(in_threads(lambda lot: _state(start, key, *lot), lots)) == ASCENDING


@numba.njit(cache=True, nogil=True)
def _count(code, size):  # type: ignore[no-untyped-def]
    start = np.zeros(size + 1, np.int64)
    right, last, times = True, 0, 0
    for j in range(len(code)):
        if code[j] != last:  # rows of one code often follow one another
            start[last + 1] += times
            right &= code[j] > last
            last, times = code[j], 0
        times += 1
    if times:
        start[last + 1] += times
    for i in range(size):
        start[i + 1] += start[i]
    return start, right


@numba.njit(cache=True, nogil=True)
def _place(code, free, place):  # type: ignore[no-untyped-def]
    for j in range(len(code)):
        place[j] = free[code[j]]
        free[code[j]] += 1


@numba.njit(cache=True, nogil=True)
def _state(start, key, first, last):  # type: ignore[no-untyped-def]
    state = ASCENDING
    for i in range(first, last):
        for j in range(start[i] + 1, start[i + 1]):
            if key[j] < key[j - 1]:
                state = max(state, UNSORTED)
            elif key[j] == key[j - 1]:
                state = REPEATED
    return state


@numba.njit(cache=True, nogil=True)
def _sources(start, key, source, first, last):  # type: ignore[no-untyped-def]
    """Say for each place which row of its group belongs there."""
    for i in range(first, last):
        begin, size = start[i], start[i + 1] - start[i]
        if size > SHORT:
            source[begin : begin + size] = np.argsort(key[begin : begin + size], kind="mergesort")
            continue
        for j in range(size):
            place = j
            while place > 0 and key[begin + source[begin + place - 1]] > key[begin + j]:
                source[begin + place] = source[begin + place - 1]
                place -= 1
            source[begin + place] = j


@numba.njit(cache=True, nogil=True)
def _move(start, source, column, scratch, first, last):  # type: ignore[no-untyped-def]
    for i in range(first, last):
        begin, size = start[i], start[i + 1] - start[i]
        for j in range(size):
            scratch[j] = column[begin + source[begin + j]]
        column[begin : begin + size] = scratch[:size]


@numba.njit(cache=True, nogil=True)
def merged(begin, data, known_begin, known_data):  # type: ignore[no-untyped-def]
    """Return where sorted texts stand among sorted known ones, -1 for unknown ones."""
    codes = np.full(len(begin) - 1, -1, np.int64)
    place = 0
    for i in range(len(codes)):
        order = -1
        while place < len(known_begin) - 1:
            order = _compare(
                known_data[known_begin[place] : known_begin[place + 1]], data[begin[i] : begin[i + 1]]
            )
            if order >= 0:
                break
            place += 1
        if place == len(known_begin) - 1:
            break
        if order == 0:
            codes[i] = place
    return codes


@numba.njit(cache=True, nogil=True)
def _compare(one, other):  # type: ignore[no-untyped-def]
    """Return -1, 0 or 1 as one run of bytes comes before, at or after the other."""
    for k in range(min(len(one), len(other))):
        if one[k] != other[k]:
            return -1 if one[k] < other[k] else 1
    return np.sign(len(one) - len(other))

"""Compiled: what sets use of the coupling rows, and how the smoothed bound bends in their prices."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from omniopt.decisions.large.kernels import compiled


class Rows(NamedTuple):
    """The coupling rows by column: entries of (bin, term) i are ``start[i]:start[i + 1]``."""

    start: np.ndarray
    row: np.ndarray
    coefficient: np.ndarray
    count: int  # type: ignore[assignment]


class Bent(NamedTuple):
    """The curvature, and what is needed to add to it."""

    curvature: np.ndarray
    change: np.ndarray
    touched: np.ndarray


@compiled
def add_curvature(first, sets, by, data, rows, work, bent):  # type: ignore[no-untyped-def]
    """Add ``by`` times the spread of the sets' use of the rows, as if they were equally likely.

    Only the lower triangle is filled. ``bent.change`` has the use of one set, of all, and which rows are
    among those ``touched``, by a set and in all.
    """
    curvature, change, touched = bent
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

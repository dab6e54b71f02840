"""Distinct rows of columns of whole numbers: `numpy.unique` along an axis, but fast where there are many."""

from __future__ import annotations

import numpy as np

LARGEST = np.iinfo(np.int64).max


def distinct(*columns: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the distinct rows of some columns, sorted by the first column, then the second, and so on.

    >>> [column.tolist() for column in distinct(np.array([2, 1, 2]), np.array([0, 7, 0]))]
    [[1, 2], [7, 0]]
    """
    first = np.unique(_keys(columns), return_index=True)[1]
    return tuple(column[first] for column in columns)


def numbered(*columns: np.ndarray) -> np.ndarray:
    """Return for every row its place among the distinct rows, in the order of `distinct`.

    >>> numbered(np.array([2, 1, 2]), np.array([0, 7, 0])).tolist()
    [1, 0, 1]
    """
    return np.unique(_keys(columns), return_inverse=True)[1]


def _keys(columns: tuple[np.ndarray, ...]) -> np.ndarray:
    """Turn every row into one number, so that rows and numbers have the same order."""
    key, size = np.zeros(len(columns[0]), np.int64), 1
    for column in columns:
        low = int(column.min(initial=0))
        span = int(column.max(initial=0)) - low + 1
        if size * span > LARGEST:  # then by their ranks, which are small numbers
            key, column = (np.unique(v, return_inverse=True)[1] for v in (key, column))
            size, low, span = len(key), 0, len(key)
        key = key * span + (column.astype(np.int64) - low)
        size *= span
    return key

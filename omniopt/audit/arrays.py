"""Ids and numbers in long arrays: where they stand, which there are, and ranges laid out."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc


def code(index: pd.Index, values: Any) -> np.ndarray:
    """Positions of ids; -1 where there is none."""
    words = values if isinstance(values, pa.Array) else pa.array(pd.array(values, dtype="str"))
    found = pc.index_in(words.cast(pa.large_string()), pa.array(index.array).cast(pa.large_string()))
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    return found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)


def distinct(values: np.ndarray) -> np.ndarray:
    """Each value once, sorted; for long arrays faster than numpy's own way."""
    values = np.sort(values)
    return values[np.append(True, values[1:] != values[:-1])] if len(values) else values


def expand(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every number from `low` to `high` (exclusive) of each range, and the range it is of."""
    count = high - low
    of = np.repeat(np.arange(len(low)), count)
    return np.repeat(low - (np.cumsum(count) - count), count) + np.arange(int(count.sum())), of


def numbered(code: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The numbers below `size` that occur, sorted, and the place of each among them."""
    if size > len(code) + 1000:
        unique, place = np.unique(code, return_inverse=True)
        return unique, place
    there = np.bincount(code, minlength=size) > 0
    return np.flatnonzero(there), (np.cumsum(there) - 1)[code]


def position(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where values stand among sorted keys; -1 where they do not."""
    if not len(keys):
        return np.full(len(wanted), -1, dtype=np.int64)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, at, -1)


def exact_sums(code: np.ndarray, amount: np.ndarray, size: int) -> np.ndarray:
    """Sums by code, each rounded only once: a million equal terms all err to the same side."""
    order = np.argsort(code, kind="stable")
    there, start = np.unique(code[order], return_index=True)
    terms, edges = amount[order].tolist(), np.append(start, len(code)).tolist()
    sums = np.zeros(size)
    sums[there] = [math.fsum(terms[a:b]) for a, b in itertools.pairwise(edges)]
    return sums

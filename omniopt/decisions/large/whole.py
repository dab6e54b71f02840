"""Bounds of limits that no plan can reach exactly, brought to what plans can reach.

Where each contact uses a whole multiple of the same amount, so does every plan: "at most 145.27
calls" is "at most 145". Prices prove more with such bounds, as prices know nothing of whole numbers.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from omniopt.decisions.large.shape import Large
from omniopt.decisions.problem import ROUNDING
from omniopt.decisions.system import System

MOST = 50  # different amounts that are looked at
FINEST = 1e-5  # of the largest amount, below which a common divisor is taken for rounding


def with_whole_bounds(large: Large) -> System:
    """Return the system of a problem with bounds as tight as whole numbers of contacts make them."""
    system = large.system
    lo, hi = system.lo.copy(), system.hi.copy()
    other = np.diff(system.extra.tocsr().indptr) > 0  # cells and slacks may take any part
    for k in np.flatnonzero(~other[: system.limits]):
        _, amount = amounts_of(large, int(k))
        step = _common(np.abs(amount)) if len(amount) else 0.0
        if step > 0:
            lo[k], hi[k] = -_down(-lo[k], step), _down(hi[k], step)
    return replace(system, lo=lo, hi=hi)


def amounts_of(large: Large, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the bins whose contacts use a limit, and how much; none if that differs within a bin."""
    matrix, width = large.system.matrix, large.bins.width
    entries = slice(matrix.indptr[k], matrix.indptr[k + 1])
    place, amount = matrix.indices[entries].astype(np.int64), matrix.data[entries]
    used = large.bins.occurs[place // width] & (amount != 0)
    place, amount = place[used], amount[used]
    return (place[:0], amount[:0]) if (place % width).any() else (place // width, amount)


def _down(bound: float, step: float) -> float:
    if not np.isfinite(bound):
        return bound
    times = bound / step
    return min(bound, float(np.floor(times + ROUNDING * max(1.0, abs(times)))) * step)


def _common(amounts: np.ndarray) -> float:
    """Return the largest number that all amounts are multiples of, or 0."""
    different = np.unique(amounts)
    if len(different) > MOST:
        return 0.0
    step, least = float(different[-1]), FINEST * float(different[-1])
    for amount in different[:-1]:
        other = float(amount)
        while other > least:
            step, other = other, step % other
            other = 0.0 if step - other <= least else other
    times = different / step
    step = float(different[-1] / np.round(times[-1]))
    exact = np.abs(different / step - np.round(different / step)) <= ROUNDING
    return step if exact.all() else 0.0

"""Sums over candidates split into groups, and the windows of limits with ``rolling_days``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse

from omniopt.rules.bounds import Key
from omniopt.rules.distinct import distinct
from omniopt.rules.statements import states
from omniopt.rules.where import expand


@dataclass
class Part:
    """A sum over candidates, split into groups: coordinates of a matrix, and the groups' keys."""

    candidate: np.ndarray
    group: np.ndarray
    value: np.ndarray
    keys: list[Key]

    @staticmethod
    def of(
        candidate: list[np.ndarray], value: list[np.ndarray], keys: list[tuple[np.ndarray, list[Key]]],
        per: list[str],
    ) -> Part:  # fmt: skip
        """Join the legs of a sum, each with its own numbering of the groups."""
        distinct: list[Key] = list(dict.fromkeys(k for _, ks in keys for k in ks)) if per else [()]
        place = {key: i for i, key in enumerate(distinct)}
        group = [np.array([place[k] for k in ks] or [0], np.int64)[inverse] for inverse, ks in keys]
        return Part(np.concatenate(candidate), np.concatenate(group), np.concatenate(value), distinct)

    def matrix(self, keys: list[Key], n: int) -> sparse.csr_array:
        """Lay the sum out with one row per key, in the given order."""
        return self._laid_out(self.value, keys, n)

    def members(self, keys: list[Key], n: int) -> sparse.csr_array:
        """Mark what stands in each group, whatever it adds to the sum."""
        found = self._laid_out(np.ones(len(self.value)), keys, n)
        found.data[:] = 1.0
        return found

    def renumbered(self, keys: list[Key]) -> np.ndarray:
        """Return each entry's group as its place among the given keys."""
        place = {key: i for i, key in enumerate(keys)}
        row = np.array([place[k] for k in self.keys], np.int64)
        return row[self.group] if len(self.group) else self.group

    def _laid_out(self, values: np.ndarray, keys: list[Key], n: int) -> sparse.csr_array:
        at = (self.renumbered(keys), self.candidate)
        return sparse.csr_array(sparse.coo_array((values, at), shape=(len(keys), n)))


@dataclass(frozen=True)
class Side:
    """Rows of one side of a limit.

    Attributes
    ----------
    place : ndarray of int64, shape (k,)
        The group of each row.
    lo, hi, ratio : ndarray of float64, shape (k,)
    top, bottom : csr_array, shape (k, n)
    past, past_over : ndarray of float64, shape (k,), or 0
        What past contacts add to top and bottom; already taken off lo and hi.
    begins : ndarray of int64, shape (k,) or (0,)
        First day of each row's window.
    """

    place: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    ratio: np.ndarray
    top: sparse.csr_array
    bottom: sparse.csr_array
    past: Any = 0.0
    past_over: Any = 0.0
    begins: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))


@states("rolling window")
def rolling_sides(
    days: int, horizon: tuple[int, int], keys: list[Key], top: Part, bottom: Part | None, past: Part,
    past_over: Part | None, lo: np.ndarray | None, hi: np.ndarray | None, day: np.ndarray,
) -> tuple[list[Side], bool]:  # fmt: skip
    """Lay a limit's windows out: one row for every set of days that a window can hold.

    An upper bound holds in every window with a candidate; of windows with the same candidates
    the one that past contacts fill most counts, and the first of those. A lower bound is asked of
    windows wholly inside the horizon; of windows with the same candidates the emptiest counts.

    Parameters
    ----------
    days : int
        Length of a window.
    horizon : tuple of int
        First and last day.
    keys : list
        The groups.
    top, bottom : Part
        The sums over candidates.
    past, past_over : Part
        The same over past contacts, whose ``candidate`` is their day.
    lo, hi : ndarray of float64 or None
        The bounds of each group.
    day : ndarray of int64, shape (n,)
        Day of every candidate.

    Returns
    -------
    list of Side
    bool
        Whether a past contact in some window has no measure.
    """
    sides, unknown = [], False
    n = len(day)
    sums = [(top, past)] + ([(bottom, past_over)] if bottom is not None and past_over is not None else [])
    held: list[list[int]] = [[] for _ in keys]
    for part, _ in sums:
        pairs = distinct(part.renumbered(keys), day[part.candidate])
        for group, one in np.stack(pairs, axis=1).tolist():
            held[group].append(one)
    for bound, lower in ((lo, True), (hi, False)):
        if bound is None:
            continue
        rows: list[tuple[int, int, float, float]] = []
        for group in range(len(keys)):
            present = np.array(sorted(set(held[group])), np.int64)
            found, missing = _windows(days, horizon, present, lower, group, bound[group], sums)
            rows += found
            unknown |= missing
        place, begins = (np.array([r[i] for r in rows], np.int64) for i in (0, 1))
        before, before_over = (np.array([r[i] for r in rows], np.float64) for i in (2, 3))
        matrices = [_laid_out(part, keys, day, place, begins, days, n) for part, _ in sums]
        empty, nan = sparse.csr_array((len(rows), n)), np.full(len(rows), np.nan)
        if bottom is None:
            edge, ratio = bound[place] - before, nan
        else:
            edge, ratio = bound[place] * before_over - before + 0.0, bound[place]
        none = np.full(len(rows), np.inf)
        low, high = (edge, none) if lower else (-none, edge)
        matrices.append(empty)
        sides.append(Side(place, low, high, ratio, matrices[0], matrices[1], before, before_over, begins))
    return sides, unknown


def _windows(
    days: int, horizon: tuple[int, int], present: np.ndarray, lower: bool, group: int, bound: float,
    sums: list[tuple[Part, Part]],
) -> tuple[list[tuple[int, int, float, float]], bool]:  # fmt: skip
    """List the windows of one group that matter: (group, first day, past sum, past sum of over)."""
    if lower:
        first, last = horizon[0], horizon[1] - days + 1
    elif len(present):
        first, last = int(present[0]) - days + 1, int(present[-1])
    else:
        return [], False
    if last < first:
        return [], False
    begins = np.arange(first, last + 1)
    a, b = np.searchsorted(present, begins), np.searchsorted(present, begins + days)
    amounts = [_sliding(past, group, first, last, days) for _, past in sums]
    past, past_over = amounts[0], amounts[1] if len(amounts) > 1 else np.zeros(len(begins))
    asked = np.ones(len(begins), bool) if lower and len(sums) == 1 else b > a
    missing = bool(np.isnan(past[asked]).any() or np.isnan(past_over[asked]).any())
    past, past_over = np.nan_to_num(past), np.nan_to_num(past_over)
    weight = past - bound * past_over if len(sums) > 1 else past
    run = np.cumsum((np.diff(a, prepend=-1) != 0) | (np.diff(b, prepend=-1) != 0))
    order = np.lexsort((begins, weight if lower else -weight, run))
    best = order[np.flatnonzero(np.diff(run[order], prepend=0))]
    return [
        (group, int(begins[t]), float(past[t]), float(past_over[t])) for t in np.sort(best) if asked[t]
    ], missing


def _sliding(past: Part, group: int, first: int, last: int, days: int) -> np.ndarray:
    """Sum what past contacts add to each window that begins from ``first`` to ``last``."""
    mine = (past.group == group) & (past.candidate >= first) & (past.candidate < last + days)
    daily = np.bincount(past.candidate[mine] - first, past.value[mine], minlength=last + days - first)
    return np.lib.stride_tricks.sliding_window_view(daily, days).sum(axis=1)


def _laid_out(
    part: Part, keys: list[Key], day: np.ndarray, place: np.ndarray, begins: np.ndarray, days: int, n: int
) -> sparse.csr_array:
    """Lay a sum out with one row per window."""
    group, when = part.renumbered(keys), day[part.candidate]
    low = int(min(when.min(initial=0), begins.min(initial=0)))
    span = int(max(when.max(initial=0), begins.max(initial=0))) - low + days + 1
    key = group * span + when - low
    order = np.argsort(key, kind="stable")
    begin = np.searchsorted(key[order], place * span + begins - low)
    count = np.searchsorted(key[order], place * span + begins - low + days) - begin
    entry = order[expand(begin, count)]
    at = (np.repeat(np.arange(len(place)), count), part.candidate[entry])
    return sparse.csr_array(sparse.coo_array((part.value[entry], at), shape=(len(place), n)))

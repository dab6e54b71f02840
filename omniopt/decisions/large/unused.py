"""What limits have to leave unused, because contacts are whole.

A plan is worth what prices prove, less what its units lose against their best sets, less what it leaves
unused of the priced limits, at their prices. How many contacts of each bin it has are whole numbers. The
least that any such numbers leave unused is a small integer program, one for every part of the customers that
has limits of its own ("4,038 may be spent in the north, where at most 2,000 mails go at 1.40 and calls are
5"), and one for the limits that reach further.

What prices prove is no better than an LP over the units' sets (Geoffrion, 1974), which knows nothing of whole
numbers. This relaxation forgets the units instead, and counts contacts by bin.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from omniopt.decisions import exact
from omniopt.decisions.large.hunt import EFFORT, Hunt
from omniopt.decisions.large.part import use_of
from omniopt.decisions.large.shape import Large
from omniopt.decisions.large.whole import amounts_of
from omniopt.decisions.problem import ROUNDING

WORTH = 0.5  # of what a plan misses has to be what it leaves unused, or else looking for more of that is vain
MOST = 50  # programs, those first in which the plan leaves most
WIDEST = 4_000_000  # rows times bins of a program
SURE = 1e-9  # of what is left unused, allowed for rounding


@dataclass(frozen=True)
class _Rows:
    """Priced limits that each contact of a bin uses alike, as ``amount @ counts <= side``.

    ``own`` are their numbers, ``amount`` is a csr_array of shape (r, b), ``left`` what a plan leaves unused,
    ``price`` above 0 per unit of it, ``slip`` by how much plans may break them, and ``groups`` tells which
    groups of customers each row speaks of.
    """

    own: np.ndarray
    amount: sparse.csr_array
    left: np.ndarray
    price: np.ndarray
    slip: np.ndarray
    groups: list[frozenset[int]]


def prove_unused(hunt: Hunt) -> Large | None:
    """Lower the bound by what limits have to leave unused, if that is what keeps the plan below it.

    Returns
    -------
    Large or None
        The problem with limits that whole numbers of contacts can use up: what its plans leave unused is as
        little as can be. None where that was not looked for.
    """
    large = hunt.large
    if hunt.chosen is None or not np.isfinite(hunt.from_prices):
        return None
    used = use_of(large, hunt.chosen)
    rows = _rows(large, hunt.prices, used)
    if rows.price @ rows.left < WORTH * (hunt.bound - hunt.objective):
        return None
    rest = np.zeros(len(rows.own))
    least = _least(rows, used[:: large.bins.width], hunt, rest)
    hunt.tighten(exact.rounded_up(hunt.from_prices - (1.0 - SURE) * least))
    hunt.report("whole contacts")
    lo, hi = large.system.lo.copy(), large.system.hi.copy()
    above = hunt.prices[rows.own] > 0.0
    hi[rows.own[above]] -= rest[above]
    lo[rows.own[~above]] += rest[~above]
    return replace(large, system=replace(large.system, lo=lo, hi=hi))


def _rows(large: Large, prices: np.ndarray, used: np.ndarray) -> _Rows:
    system, width, kinds = large.system, large.bins.width, large.bins.kinds
    own = np.flatnonzero(
        (prices != 0.0) & (np.diff(system.extra.tocsr().indptr) == 0)
    )  # others may be missed
    stated = [(k, *amounts_of(large, int(k))) for k in own]
    stated = [row for row in stated if len(row[1])]
    own = np.array([k for k, _, _ in stated], np.int64)
    bins = [of for _, of, _ in stated]
    sign = np.sign(prices[own])
    data = np.concatenate([[0.0], *(amount * s for (_, _, amount), s in zip(stated, sign, strict=True))])[1:]
    start = np.concatenate([[0], np.cumsum([len(of) for of in bins], dtype=np.int64)])
    at = np.concatenate([np.zeros(0, np.int64), *bins])
    amount = sparse.csr_array((data, at, start), shape=(len(own), len(large.bins)))
    side = sign * np.where(sign > 0, system.hi[own], system.lo[own])
    counts = used[::width]
    slip = ROUNDING * np.maximum(1.0, np.abs(side) + abs(amount) @ counts)
    groups = [frozenset(np.unique(of // kinds).tolist()) for of in bins]
    return _Rows(own, amount, np.maximum(side - amount @ counts, 0.0), np.abs(prices[own]), slip, groups)


def _least(rows: _Rows, counts: np.ndarray, hunt: Hunt, rest: np.ndarray) -> float:
    """Return what no whole numbers of contacts can but leave unused, at its price.

    What all rows leave is at least the sum of what each part of them has to leave. ``rest`` is filled with
    what is left of each row where as little as possible is.
    """
    part_of: dict[int, int] = {}  # by group, parts that have none in common
    for groups in sorted(set(rows.groups), key=lambda g: (len(g), min(g))):
        if part_of.keys().isdisjoint(groups):
            part_of |= dict.fromkeys(groups, min(groups))
    found = [{part_of.get(group, -1) for group in groups} for groups in rows.groups]
    part = np.array([min(of) if len(of) == 1 else -1 for of in found])  # -1 for rows that reach further
    names, inverse = np.unique(part, return_inverse=True)
    lost = np.bincount(inverse, rows.price * rows.left, minlength=len(names))
    total = 0.0
    for place in np.argsort(-lost, kind="stable")[:MOST]:
        if lost[place] > 0.0 and not hunt.out_of_time():
            total += _least_of(rows, np.flatnonzero(inverse == place), counts, hunt, rest)
    return total


def _least_of(rows: _Rows, at: np.ndarray, counts: np.ndarray, hunt: Hunt, rest: np.ndarray) -> float:
    """Do so for some rows: ask by how much other numbers than the plan's can use more of them."""
    amount = rows.amount[at]
    bins = np.unique(amount.indices)
    if len(at) * len(bins) > WIDEST:
        return 0.0
    kinds, kind = np.unique(amount[:, bins].toarray(), axis=1, return_inverse=True)  # what uses them alike
    have = np.bincount(kind.ravel(), counts[bins], minlength=kinds.shape[1])
    price, left, size = rows.price[at], rows.left[at], kinds.shape[1]
    outcome = exact.solve(
        price @ kinds, sparse.csr_array(kinds), np.full(len(at), -np.inf), left + rows.slip[at],
        -have, np.full(size, np.inf), np.ones(size, bool), 0.0, hunt.patience(), effort=EFFORT,
    )  # fmt: skip
    if outcome.values is not None:
        rest[at] = np.maximum(left - kinds @ np.round(outcome.values), 0.0)
    return max(float(price @ left) - max(exact.rounded_up(outcome.bound), 0.0), 0.0)

"""What limits have to leave unused, because contacts are whole.

A plan is worth what prices prove, less what its units lose against their best sets, less what it leaves
unused of the priced limits, at their prices. How many contacts of each bin it has are whole numbers. The
least that any such numbers leave unused is a small integer program, one for every part of the customers that
has limits of its own ("4,038 may be spent in the north, where at most 2,000 mails go at 1.40 and calls are
5"), and one for the limits that reach further.

It is the bound of a relaxation in which units are forgotten and contacts counted by bin, as the prices'
own bound is one in which contacts are not whole (Geoffrion, 1974, on what Lagrangian bounds leave out).
"""

from __future__ import annotations

from dataclasses import dataclass

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

    ``amount`` is a csr_array of shape (r, b), ``left`` what a plan leaves unused, ``price`` above 0 per unit
    of it, and ``groups`` tells which groups of customers each row speaks of.
    """

    amount: sparse.csr_array
    left: np.ndarray
    price: np.ndarray
    slip: np.ndarray
    groups: list[frozenset[int]]


def prove_unused(hunt: Hunt) -> None:
    """Lower the bound by what limits have to leave unused, if that is what keeps the plan below it."""
    if hunt.chosen is None or not np.isfinite(hunt.from_prices):
        return
    used = use_of(hunt.large, hunt.chosen)
    rows = _rows(hunt.large, hunt.prices, used)
    if rows.price @ rows.left < WORTH * (hunt.bound - hunt.objective):
        return
    counts = used[:: hunt.large.bins.width]
    hunt.tighten(exact.rounded_up(hunt.from_prices - (1.0 - SURE) * _least(rows, counts, hunt)))
    hunt.report("whole contacts")


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
    # by so much a plan may break a limit
    slip = ROUNDING * np.maximum(1.0, np.abs(side) + abs(amount) @ counts)
    groups = [frozenset(np.unique(of // kinds).tolist()) for of in bins]
    return _Rows(amount, np.maximum(side - amount @ counts, 0.0), np.abs(prices[own]), slip, groups)


def _least(rows: _Rows, counts: np.ndarray, hunt: Hunt) -> float:
    """Return what no whole numbers of contacts can but leave unused, at its price.

    What all rows leave is at least the sum of what each part of them has to leave.
    """
    parts: list[frozenset[int]] = []
    for groups in sorted(set(rows.groups), key=lambda g: (len(g), min(g))):
        if not any(groups & part for part in parts):
            parts.append(groups)
    inside = [np.flatnonzero([own <= part for own in rows.groups]) for part in parts]
    inside.append(np.setdiff1d(np.arange(len(rows.groups)), np.concatenate([*inside, np.zeros(0, np.int64)])))
    lost = np.array([rows.price[at] @ rows.left[at] for at in inside])
    total = 0.0
    for place in np.argsort(-lost, kind="stable")[:MOST]:
        if lost[place] > 0.0 and not hunt.out_of_time():
            total += _least_of(rows, inside[place], counts, hunt)
    return total


def _least_of(rows: _Rows, at: np.ndarray, counts: np.ndarray, hunt: Hunt) -> float:
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
    return max(float(price @ left) - max(exact.rounded_up(outcome.bound), 0.0), 0.0)

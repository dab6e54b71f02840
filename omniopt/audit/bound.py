"""The bound that prices prove: what no plan under the rules can exceed.

With a price for every row of every limit, of the right sign, no plan is worth more than

    Σ rows price × bound  +  Σ customers max over feasible sets of Σ contacts (objective − price × use)

whatever the prices are. Each customer's maximum is found here by a search that knows nothing of the one
that made the plan (`omniopt.audit.search`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from omniopt.audit.candidates import Candidates
from omniopt.audit.contact import Conflict, ContactRule
from omniopt.audit.inputs import Inputs
from omniopt.audit.limits import Limit, Usage
from omniopt.audit.parts import split
from omniopt.audit.rounding import FLOOR
from omniopt.audit.scope import Rows
from omniopt.audit.search import WORK_LIMIT, best
from omniopt.errors import Faults

# Items that are looked at together; bounds memory, never changes a result.
CHUNK = 200_000


@dataclass
class Search:
    """What the search over all customers found.

    Attributes
    ----------
    total : float
        Sum over customers of the best worth (an upper bound on it where `cut` > 0).
    size : float
        Sum of the absolute values added up, by which rounding is judged.
    cut : int
        Parts whose search was cut off and whose relaxation stands in.
    advantage : ndarray of float
        Per asked candidate, by how much its customer's best set loses without it; NaN where not known.
    """

    total: float
    size: float
    cut: int
    advantage: np.ndarray


def search(
    inputs: Inputs,
    candidates: Candidates,
    worth: np.ndarray,
    locked: np.ndarray,
    asked: np.ndarray,
    rules: tuple[list[ContactRule], list[Conflict]],
    past: Rows,
    limit: int = WORK_LIMIT,
) -> Search:
    """The best feasible set of every customer.

    Parameters
    ----------
    worth : ndarray of float
        Per candidate, its objective less the price of what it uses, as maximised.
    locked : ndarray of bool
        Candidates that are chosen in any case.
    asked : ndarray of int
        Candidates whose advantage is wanted, sorted.
    rules : lists of ContactRule and Conflict
    past : Rows
        Contacts of the past and commitments that count.
    limit : int
        Nodes that the search of one part may cost.
    """
    total, size, cut = float(worth[locked].sum()), float(np.abs(worth[locked]).sum()), 0
    advantage = np.where(locked[asked], np.nan, np.maximum(worth[asked], 0.0))
    for items in _chunks(candidates, np.flatnonzero((worth > 0) | locked)):
        parts, order, alone, barred = split(inputs, candidates, items, worth, locked[items], rules, past)
        everything = np.arange(len(parts.start) - 1)
        value, exact = best(parts, everything, np.full(len(everything), -1), limit)
        total += float(worth[items[alone]].sum()) + float(value.sum())
        size += float(worth[items[alone]].sum()) + float(value.sum())
        cut += int((~exact).sum())

        place = np.full(len(items), -1)
        place[order] = np.arange(len(order))
        at = np.searchsorted(items, asked)
        mine = np.flatnonzero((at < len(items)) & (items[np.minimum(at, len(items) - 1)] == asked))
        advantage[mine[barred[at[mine]]]] = 0.0
        mine = mine[place[at[mine]] >= 0]
        item = place[at[mine]]
        part = np.searchsorted(parts.start, item, side="right") - 1
        without, sure = best(parts, part, item, limit)
        advantage[mine] = np.where(sure & exact[part], value[part] - without, np.nan)
    return Search(total, size, cut, advantage)


def _chunks(candidates: Candidates, items: np.ndarray) -> Iterator[np.ndarray]:
    """Items in lots that never part a customer."""
    customer = candidates.rows.customer[items]
    begin = 0
    while begin < len(items):
        end = min(begin + CHUNK, len(items))
        end = int(np.searchsorted(customer, customer[end - 1], side="right"))
        yield items[begin:end]
        begin = end


def priced(
    objective: np.ndarray, rows: list[tuple[Limit, dict[str, np.ndarray]]], faults: Faults
) -> tuple[np.ndarray, float, float]:
    """Each candidate's worth at the prices, the priced bounds, and the size of what was added up.

    Parameters
    ----------
    objective : ndarray of float
        Per candidate, as maximised.
    rows : list of (Limit, dict)
        Each limit and the prices of its rows by side.
    faults : Faults
        Receives prices of the wrong sign; they count as 0, which leaves the bound valid.
    """
    worth, constant, size = objective.copy(), 0.0, 0.0
    for limit, by_side in rows:
        for side, prices in by_side.items():
            low, high = limit.low, limit.high
            if limit.over is not None:
                # A ratio's row is measure − ratio × denominator, bounded by 0 on one side.
                low = np.where(np.isfinite(low) & (side == "min"), 0.0, -np.inf)
                high = np.where(np.isfinite(high) & (side == "max"), 0.0, np.inf)
            price = np.nan_to_num(prices)
            bound = np.where(price > 0, high, low)
            wrong = (price != 0) & ~np.isfinite(bound)
            for k in np.flatnonzero(wrong & (np.abs(price) > FLOOR))[:5]:
                needed = "maximum" if price[k] > 0 else "minimum"
                faults.add(
                    f"the price {price[k]:.6g} needs a {needed}, and the row has none", rule=limit.name
                )
            price = np.where(wrong, 0.0, price)
            terms = price * np.where(price != 0, bound, 0.0)
            constant += float(terms.sum())
            size += float(np.abs(terms).sum())
            _subtract(worth, limit.use, price)
            if limit.over is not None:
                ratio = limit.low if side == "min" else limit.high
                _subtract(worth, limit.over, -price * np.where(np.isfinite(ratio), ratio, 0.0))
    return worth, constant, size


def _subtract(worth: np.ndarray, use: Usage, price: np.ndarray) -> None:
    if np.any(price):
        worth -= np.bincount(use.index, price[use.code] * use.amount, len(worth))

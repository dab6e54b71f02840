"""What prices make of a plan's parts: the worth of each candidate and each cell, and the priced bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from omniopt.audit.candidates import Candidates
from omniopt.audit.limits import Block, Limit
from omniopt.audit.measures import values_of
from omniopt.audit.objective import Rank
from omniopt.audit.rounding import FLOOR, ROW
from omniopt.audit.scope import World
from omniopt.errors import Faults


@dataclass
class Earlier:
    """An earlier rank, what the plan must still be worth in it, and the price of that."""

    rank: Rank
    least: float
    price: float


@dataclass
class Priced:
    """What a price for every row makes of the problem.

    Attributes
    ----------
    rank : Rank
    earlier : list of (Rank, float)
        Earlier ranks, and how often each one's contribution is taken off.
    uses : list of (Limit, list of ndarray)
        For each limit, the price of each bin of its sum, and of what it is divided by.
    constant : float
        The priced bounds, and the worth of all cells that it pays to open.
    size : float
        Sum of the absolute values added up in `constant`.
    """

    rank: Rank
    earlier: list[tuple[Rank, float]]
    uses: list[tuple[Limit, list[np.ndarray]]]
    constant: float
    size: float

    def worth(self, world: World, candidates: Candidates) -> np.ndarray:
        """Per candidate, its objective as maximised less the price of what it uses."""
        worth = self.rank.sign * values_of(world, candidates, self.rank.expression)
        for rank, paid in self.earlier:
            worth = worth - paid * values_of(world, candidates, rank.expression)
        for limit, prices in self.uses:
            if not any(price.any() for price in prices):
                continue
            for use, price in zip(limit.uses(world, candidates), prices, strict=True):
                worth -= np.bincount(use.index, price[use.code] * use.amount, len(worth))
        return worth


def priced(
    rank: Rank,
    earlier: Sequence[Earlier],
    limits: Sequence[Limit],
    rows: Sequence[tuple[Limit, Block, np.ndarray]],
    faults: Faults,
) -> Priced:
    """Price everything for one rank.

    Parameters
    ----------
    rank : Rank
        What is optimised.
    earlier : sequence of Earlier
        What the plan must keep.
    limits : sequence of Limit
        Those with cells among them count.
    rows : sequence of (Limit, Block, ndarray)
        Rows and their prices; NaN counts as 0.
    faults : Faults
        Receives prices of the wrong sign, and those beyond a penalty; they count as 0, or as the penalty,
        which leaves the bound valid.
    """
    paid_for: list[tuple[Rank, float]] = []
    uses: dict[int, tuple[Limit, list[np.ndarray]]] = {}
    constant, size, per_cost = 0.0, 0.0, rank.sign * rank.fixed
    mild = -rank.sign * rank.penalties
    for before in earlier:
        # An earlier objective is a minimum of what is maximised, so that its price is never above 0.
        if before.price > FLOOR:
            faults.add(f"the price {before.price:.6g} of an earlier objective has the wrong sign")
        paid = before.rank.sign * min(before.price, 0.0)
        paid_for.append((before.rank, paid))
        per_cost -= paid * before.rank.fixed
        mild += paid * before.rank.penalties
        constant += paid * before.least
        size += abs(paid * before.least)
    opening = {id(limit): np.zeros(len(limit.labels)) for limit in limits if limit.cost is not None}
    for limit, block, said in rows:
        price = _clipped(limit, block, np.nan_to_num(said), mild, faults)
        edge = np.where(price > 0, block.high, block.low)
        terms = np.where(price != 0, price, 0.0) * np.where(price != 0, edge - block.history(), 0.0)
        constant += float(terms.sum())
        size += float(np.abs(terms).sum())
        sides = 1 if block.over is None else 2
        _, of_bins = uses.setdefault(id(limit), (limit, [np.zeros(block.bins) for _ in range(sides)]))
        of_bins[0] += block.per_bin(price)
        if block.over is not None:
            of_bins[1] -= block.per_bin(price * block.ratio)
        per_cost -= float((price * block.fixed()).sum())
        if id(limit) in opening:
            opening[id(limit)] += np.bincount(block.group, price * block.least, len(limit.labels))
    for limit in limits:
        if limit.cost is None:
            continue
        gain = opening[id(limit)] + per_cost * limit.cost
        # A group without candidates never opens.
        pays = np.maximum(gain, 0.0)[limit.filled]
        constant += float(pays.sum())
        size += float(pays.sum())
    return Priced(rank, paid_for, list(uses.values()), constant, size)


def _clipped(limit: Limit, block: Block, price: np.ndarray, mild: float, faults: Faults) -> np.ndarray:
    """Prices as far as they prove anything: of the right sign, and within the penalty."""
    edge = np.where(price > 0, block.high, block.low)
    wrong = (price != 0) & ~np.isfinite(edge)
    for k in np.flatnonzero(wrong & (np.abs(price) > FLOOR))[:5]:
        needed = "maximum" if price[k] > 0 else "minimum"
        faults.add(f"the price {price[k]:.6g} needs a {needed}, and the row has none", rule=limit.name)
    price = np.where(wrong, 0.0, price)
    penalty = limit.penalty[block.group]
    most = np.where(
        np.isfinite(penalty), np.where(np.isfinite(penalty), penalty, 0.0) * max(mild, 0.0), np.inf
    )
    beyond = np.abs(price) > most + FLOOR + ROW * np.where(np.isfinite(most), most, 0.0)
    for k in np.flatnonzero(beyond)[:5]:
        faults.add(
            f"the price {price[k]:.6g} proves nothing: a unit may be missed for {most[k]:.6g}",
            rule=limit.name,
        )
    return np.clip(price, -most, most)

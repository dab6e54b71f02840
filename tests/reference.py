"""The rules in plain Python, by loops and by trying every plan: slow, short, and independent.

Written from the words of the contract alone; it imports nothing of the package. It reads the DataFrames
that a project is given, finds the candidates, and checks every rule literally: every window, every pair,
every group. The tests compare the optimizer with it on projects of up to a dozen candidates. Tables and
candidates are in ``reference_tables``, limits in ``reference_limits``, what holds for each customer or
household in ``reference_units``; here is what a plan is worth, and the best of all plans.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from reference_limits import Cell, Row, missed
from reference_tables import Broken, Contact, text
from reference_units import Units, Window

CLOSE = 1e-9
__all__ = ["Answer", "Broken", "Cell", "Contact", "Rank", "Reference", "Row", "Window"]


@dataclass(frozen=True)
class Rank:
    """One objective: what each candidate and each unit of fixed cost adds to it."""

    expression: str
    sign: float
    within: float
    own: tuple[float, ...]
    fixed: float
    penalties: bool  # whether missed limits are taken off it

    def floor(self, best: float) -> float:
        """The least that later ranks have to leave of it, as maximised."""
        return self.sign * best - self.within * abs(best)


@dataclass(frozen=True)
class Answer:
    """The best plan; with ranks, ``best`` has the best value of each."""

    feasible: bool
    objective: float | None = None
    chosen: tuple[int, ...] = ()
    plans: int = 0
    best: tuple[float, ...] = ()


class Reference(Units):
    """A project's candidates, rules and best plan.

    ``rows`` holds the limits that bind, ``shown`` those as well that are only computed, in the order of
    the certificate; ``objectives`` and ``sign`` are the first rank's.
    """

    def __init__(
        self, tables: Mapping[str, pd.DataFrame], policy: Mapping[str, Any],
        horizon: Mapping[str, Any] | None = None, multi_valued: Mapping[str, str] | None = None,
        vetoes: Sequence[tuple[str, str]] = (), locks: Sequence[tuple[str, str]] = (),
    ) -> None:  # fmt: skip
        super().__init__(tables, policy, horizon, multi_valued, vetoes)
        self.locked = {(text(c), text(a)) for c, a in locks}
        self.ranks = self._ranks()
        self.objectives, self.sign = list(self.ranks[0].own), self.ranks[0].sign
        self.read_limits()

    def _ranks(self) -> list[Rank]:
        raw, ranks = self.policy["objective"], []
        for entry in raw if isinstance(raw, list) else [raw]:
            told = {"maximise": entry} if isinstance(entry, str) else dict(entry)
            within = float(told.pop("within", 0.0))
            ((sense, expression),) = told.items()
            sign = 1.0 if sense == "maximise" else -1.0
            fixed = self.fixed_factor(expression)
            if not ranks and "fixed_cost" not in expression:
                fixed = -sign  # they are paid all the same
            own = tuple(sum(self.amounts(c, expression, False)) for c in self.alive)
            ranks.append(Rank(expression, sign, within, own, fixed, not ranks))
        return ranks

    # what a plan does

    def is_open(self, cell: Cell, chosen: Sequence[int]) -> bool:
        return not cell.members.isdisjoint(chosen)

    def fixed_costs(self, chosen: Sequence[int]) -> float:
        """What the open cells cost."""
        return sum(cell.cost for cell in self.cells if self.is_open(cell, chosen))

    def used(self, row: Row, chosen: Sequence[int]) -> float:
        """What a plan uses of a limit, past contacts and fixed costs counted."""
        own = sum(row.weights[j] for j in chosen)
        return row.history + own + row.per_fixed_cost * self.fixed_costs(chosen)

    def miss(self, row: Row, chosen: Sequence[int]) -> float:
        """By how much a plan misses a limit."""
        return float(missed(row, self.used(row, chosen), not row.members.isdisjoint(chosen)))

    def penalties(self, chosen: Sequence[int]) -> float:
        """What a plan pays for the limits that it misses."""
        return sum(row.penalty * self.miss(row, chosen) for row in self.rows if row.penalty < math.inf)

    def value(self, chosen: Sequence[int], rank: int = 0) -> float:
        """A plan's objective in one rank, in the policy's own sense."""
        r = self.ranks[rank]
        paid = self.penalties(chosen) if r.penalties else 0.0
        return sum(r.own[j] for j in chosen) + r.fixed * self.fixed_costs(chosen) - r.sign * paid

    def slip(self, row: Row, chosen: Sequence[int]) -> float:
        """What rounding may make of a sum."""
        fixed = abs(row.per_fixed_cost) * self.fixed_costs(chosen)
        return CLOSE * (sum(row.sizes[j] for j in chosen) + abs(row.history) + fixed)

    def keeps_all(self, chosen: Sequence[int]) -> bool:
        """Whether a plan keeps every rule that may not be missed, and every lock."""
        hard = [row for row in self.rows if row.penalty == math.inf]
        return (
            all(self.miss(row, chosen) <= self.slip(row, chosen) for row in hard)
            and all(
                self.keeps_unit_rules(unit, [j for j in chosen if self.alive[j].customer in unit])
                for unit in self.units
            )
            and self.locked <= {self.alive[j].key for j in chosen}
        )

    # the best plan

    def solve(self) -> Answer:
        """Try every plan."""
        if self.locked - {c.key for c in self.alive}:
            raise Broken("a lock names no candidate")
        sets = [tuple(j for part in parts for j in part) for parts in itertools.product(*self.unit_plans)]
        plans = np.zeros((len(sets), len(self.alive)))
        for number, chosen in enumerate(sets):
            plans[number, list(chosen)] = 1.0
        fixed = sum((cell.cost * _any(plans, cell.members) for cell in self.cells), np.zeros(len(sets)))
        paid, kept = np.zeros(len(sets)), np.ones(len(sets), bool)
        for row in self.rows:
            by_fixed = row.per_fixed_cost * fixed
            miss = missed(row, plans @ row.weights + row.history + by_fixed, _any(plans, row.members))
            if row.penalty < math.inf:
                paid += row.penalty * miss
            else:
                kept &= miss <= CLOSE * (plans @ row.sizes + abs(row.history) + abs(by_fixed))
        best: list[float] = []
        for rank in self.ranks:
            if not kept.any():
                return Answer(False, plans=len(sets))
            value = rank.sign * (plans @ rank.own + rank.fixed * fixed) - (paid if rank.penalties else 0.0)
            best.append(rank.sign * float(value[kept].max()))
            last = int(np.flatnonzero(kept)[value[kept].argmax()])
            kept &= value >= rank.floor(best[-1]) - CLOSE * max(1.0, abs(best[-1]))
        return Answer(True, self.value(sets[last]), sets[last], len(sets), tuple(best))

    # what prices prove

    def proven_by(
        self,
        prices: Sequence[float],
        rank: int = 0,
        rank_prices: Sequence[float] = (),
        best: Sequence[float] = (),
    ) -> float:
        """The bound that prices prove on a rank's objective, in the policy's own sense.

        The prices are those of the rows, and of the earlier ranks: each of these rows keeps a rank's
        objective, as maximised, above its floor.
        """
        bound = 0.0
        for p, row in zip(prices, self.rows, strict=True):
            bound += p * ((row.hi if p > 0 else row.lo) - row.history) if p else 0.0
        bound += sum(m * r.floor(b) for m, r, b in zip(rank_prices, self.ranks, best, strict=False))
        worth = self.worth(prices, rank, rank_prices)
        for sets in self.unit_plans:
            bound += max((sum(worth[j] for j in s) for s in sets), default=-math.inf)
        for number, cell in enumerate(self.cells):
            bound += max(0.0, self.cell_worth(number, cell, prices, rank, rank_prices))
        return self.ranks[rank].sign * bound

    def worth(self, prices: Sequence[float], rank: int = 0, rank_prices: Sequence[float] = ()) -> list[float]:
        """Each candidate's objective, as maximised, less what it uses at the prices."""
        used = [
            sum(p * row.weights[j] for p, row in zip(prices, self.rows, strict=True))
            + sum(m * r.sign * r.own[j] for m, r in zip(rank_prices, self.ranks, strict=False))
            for j in range(len(self.alive))
        ]
        r = self.ranks[rank]
        return [r.sign * v - u for v, u in zip(r.own, used, strict=True)]

    def cell_worth(
        self, number: int, cell: Cell, prices: Sequence[float], rank: int, rank_prices: Sequence[float]
    ) -> float:
        """What opening a cell is worth at the prices, its members aside."""
        r = self.ranks[rank]
        worth = r.sign * r.fixed * cell.cost
        for p, row in zip(prices, self.rows, strict=True):
            own = -row.need if row.need is not None and row.cell == number else 0.0
            worth -= p * (own + row.per_fixed_cost * cell.cost)
        for m, earlier in zip(rank_prices, self.ranks, strict=False):
            worth -= m * earlier.sign * earlier.fixed * cell.cost
        return worth


def _any(plans: np.ndarray, members: frozenset[int]) -> np.ndarray:
    """For each plan 1.0 if it holds one of the members, else 0.0."""
    return plans[:, sorted(members)].any(axis=1).astype(float)

"""One pass over all candidates: what the checks need to know of those that the plan does not hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from omniopt.audit.candidates import Candidates, join
from omniopt.audit.inputs import Inputs
from omniopt.audit.lots import Lot, Lots, position
from omniopt.audit.measures import values_of
from omniopt.audit.objective import Rank
from omniopt.audit.plan import Located, keys_of
from omniopt.audit.scope import Unchecked
from omniopt.audit.sums import Sums


class Survey:
    """Counts of candidates, the candidates behind the plan's rows, and the groups of every limit.

    Attributes
    ----------
    candidates, given : int
        How many there are, and how many there were before any fell out.
    served : ndarray of bool
        Customers with a candidate.
    dropped, matched : Counter
        How many fell out by reason, and how many each eligibility rule speaks of.
    unread : list of str
        Why eligibility rules could not be read.
    sums : list of Sums or Unchecked
        For each limit of the policy what was seen of it, or why it could not be read.
    located : Located
        The candidates behind the plan's rows.
    """

    def __init__(self, inputs: Inputs, lots: Lots, ranks: Sequence[Rank], frame: pd.DataFrame | None) -> None:
        self.candidates = self.given = 0
        self.served = np.zeros(len(inputs.world.ids["customer"]), dtype=bool)
        self.dropped: Counter[str] = Counter()
        self.matched: Counter[str] = Counter()
        self.unread: list[str] = []
        self.rules = inputs.policy.get("limits") or []
        self.sums = [_sums(rule) for rule in self.rules]
        customer, keys = keys_of(inputs, frame)
        # A row of an unknown customer is nowhere.
        in_lot = np.where(customer >= 0, lots.number[customer], -1)
        rows: list[np.ndarray] = []
        found: list[Candidates] = []
        for k, lot in enumerate(lots):
            self._count(lot, ranks)
            mine = np.flatnonzero(in_lot == k)
            at = position(inputs.key(lot.everything.rows), keys[mine])
            rows.append(mine[at >= 0])
            found.append(lot.everything.take(at[at >= 0]))
        row = np.concatenate(rows)
        order = np.argsort(row, kind="stable")
        self.located = Located(row[order], join(found).take(order))

    def _count(self, lot: Lot, ranks: Sequence[Rank]) -> None:
        world, everything, living = lot.inputs.world, lot.everything, lot.living
        for rank in reversed(ranks):
            living.objective = values_of(world, living, rank.expression)
        everything.objective[lot.kept] = living.objective
        self.candidates += len(living)
        self.given += len(everything)
        self.served[living.rows.customer] = True
        numbers = np.bincount(everything.reason, minlength=1 + len(everything.reasons)).tolist()
        self.dropped.update(dict(zip(everything.reasons, numbers[1:], strict=True)))
        self.matched.update(everything.matched)
        self.unread = lot.unread
        for k, sums in enumerate(self.sums):
            if isinstance(sums, Sums):
                try:
                    sums.see(world, living)
                except Unchecked as error:
                    self.sums[k] = error


def _sums(rule: Any) -> Sums | Unchecked:
    if not isinstance(rule, Mapping):
        return Unchecked("it is no rule")
    try:
        return Sums(rule)
    except Unchecked as error:
        return error

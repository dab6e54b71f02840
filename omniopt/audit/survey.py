"""One pass over all candidates: what the checks need to know of those that the plan does not hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from omniopt.audit.arms import Drawn
from omniopt.audit.arrays import position
from omniopt.audit.candidates import join
from omniopt.audit.inputs import Inputs
from omniopt.audit.lots import Lot, Lots
from omniopt.audit.measures import values_of
from omniopt.audit.objective import Rank
from omniopt.audit.plan import Located, keys_of
from omniopt.audit.scope import Unchecked
from omniopt.audit.sums import Sums
from omniopt.tables.storage import in_threads


@dataclass
class Survey:
    """Counts of candidates, the candidates behind the plan's rows, and the groups of every limit.

    Attributes
    ----------
    candidates, given : int
        How many there are, and how many there were before any fell out.
    served : ndarray of int
        Customers with a candidate.
    dropped, matched : Counter
        How many fell out by reason, and how many each eligibility rule speaks of.
    unread : list of str
        Why eligibility rules could not be read.
    sums : list of Sums or Unchecked
        For each limit of the policy what was seen of it, or why it could not be read.
    located : Located
        The candidates behind the plan's rows.
    drawn : Drawn
        Contacts at random.
    """

    candidates: int
    given: int
    served: np.ndarray
    dropped: Counter[str]
    matched: Counter[str]
    unread: list[str]
    sums: list[Sums | Unchecked]
    located: Located
    drawn: Drawn


def look_at_all(inputs: Inputs, lots: Lots, ranks: Sequence[Rank], frame: pd.DataFrame | None) -> Survey:
    """Look at every lot, several at a time; what is found is put together in their order."""
    customer, keys = keys_of(inputs, frame)
    # A row of an unknown customer is nowhere.
    in_lot = np.where(customer >= 0, lots.number[customer], -1)

    def look(k: int) -> Survey:
        lot, mine = lots[k], np.flatnonzero(in_lot == k)
        survey = _count(lot, ranks)
        at = position(inputs.key(lot.everything.rows), keys[mine])
        survey.located = Located(mine[at >= 0], lot.everything.take(at[at >= 0]))
        return survey

    return _together(in_threads(look, range(len(lots))))


def _count(lot: Lot, ranks: Sequence[Rank]) -> Survey:
    """One lot, but for the plan's rows."""
    world, everything, living = lot.inputs.world, lot.everything, lot.living
    for rank in reversed(ranks):
        living.objective = values_of(world, living, rank.expression)
    everything.objective[lot.kept] = living.objective
    numbers = np.bincount(everything.reason, minlength=1 + len(everything.reasons)).tolist()
    return Survey(
        len(living),
        len(everything),
        np.unique(living.rows.customer),
        Counter(dict(zip(everything.reasons, numbers[1:], strict=True))),
        Counter(everything.matched),
        lot.unread,
        [_seen(rule, lot) for rule in lot.inputs.policy.get("limits") or []],
        Located(np.arange(0), everything.take(np.arange(0))),
        lot.drawn,
    )


def _seen(rule: Any, lot: Lot) -> Sums | Unchecked:
    if not isinstance(rule, Mapping):
        return Unchecked("it is no rule")
    try:
        sums = Sums(rule)
        sums.see(lot.inputs.world, lot.living)
    except Unchecked as error:
        return error
    return sums


def _together(parts: list[Survey]) -> Survey:
    first = parts[0]
    row = np.concatenate([part.located.row for part in parts])
    order = np.argsort(row, kind="stable")
    found = join([part.located.candidates for part in parts]).take(order)
    sums = first.sums
    for part in parts[1:]:
        for k, (mine, other) in enumerate(zip(sums, part.sums, strict=True)):
            if isinstance(mine, Sums) and isinstance(other, Sums):
                mine.add(other)
            elif isinstance(mine, Sums):
                sums[k] = other
    return Survey(
        sum(part.candidates for part in parts),
        sum(part.given for part in parts),
        np.concatenate([part.served for part in parts]),
        _sum(part.dropped for part in parts),
        _sum(part.matched for part in parts),
        first.unread,
        sums,
        Located(row[order], found),
        Drawn.join([part.drawn for part in parts]),
    )


def _sum(counts: Iterable[Counter[str]]) -> Counter[str]:
    """All counts added up; what was counted and is 0 stays."""
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return total

"""The bound that prices prove: what no plan under the rules can exceed.

With a price for every row of every limit, of the right sign, no plan is worth more than

    Σ rows price × bound  +  Σ customers max over feasible sets of Σ contacts (objective − price × use)

whatever the prices are. Each customer's maximum is found here by a search that knows nothing of the one
that made the plan (`omniopt.audit.search`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from omniopt.audit.asked import Demands
from omniopt.audit.asked import demands as contact_demands
from omniopt.audit.candidates import Candidates
from omniopt.audit.contact import ContactRule
from omniopt.audit.inputs import Inputs
from omniopt.audit.pairs import Conflict, Requires
from omniopt.audit.pairs import demands as requires_demands
from omniopt.audit.parts import split
from omniopt.audit.scope import Rows
from omniopt.audit.search import WORK_LIMIT, best

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
    impossible : list of int
        Customers for whom no set of contacts keeps the rules.
    """

    total: float
    size: float
    cut: int
    advantage: np.ndarray
    impossible: list[int]

    def add(self, part: Search, at: np.ndarray) -> None:
        """Add what was found for other customers, whose asked candidates are these."""
        self.total += part.total
        self.size += part.size
        self.cut += part.cut
        self.advantage[at] = part.advantage
        self.impossible += part.impossible


@dataclass
class Rules:
    """The rules for each customer or household."""

    contact: list[ContactRule] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    requires: list[Requires] = field(default_factory=list)

    def units(self, customers: int) -> np.ndarray:
        """The unit of each customer: all that one rule may count together."""
        for rule in self.contact:
            if rule.household:
                return rule.owner[:-1]
        return np.arange(customers)


def search(
    inputs: Inputs,
    candidates: Candidates,
    worth: np.ndarray,
    locked: np.ndarray,
    asked: np.ndarray,
    rules: Rules,
    past: Rows,
    limit: int = WORK_LIMIT,
) -> Search:
    """The best feasible set of every unit.

    Parameters
    ----------
    worth : ndarray of float
        Per candidate, its objective less the price of what it uses, as maximised.
    locked : ndarray of bool
        Candidates that are chosen in any case.
    asked : ndarray of int
        Candidates whose advantage is wanted, sorted.
    rules : Rules
    past : Rows
        Contacts of the past and commitments that count.
    limit : int
        Nodes that the search of one part may cost.
    """
    total, size, cut = float(worth[locked].sum()), float(np.abs(worth[locked]).sum()), 0
    advantage = np.where(locked[asked], np.nan, np.maximum(worth[asked], 0.0))
    impossible: list[int] = []
    unit = rules.units(len(inputs.world.ids["customer"]))[candidates.rows.customer]
    asking = [rule for rule in rules.contact if rule.asks()]
    # Where nothing is ever asked for, a contact of negative worth serves no purpose.
    start = np.arange(len(candidates)) if asking or rules.requires else np.flatnonzero((worth > 0) | locked)
    for everyone in _chunks(unit, start):
        fixed = locked[everyone]
        parts_of = [contact_demands(inputs, candidates, everyone, rule, past, fixed) for rule in asking]
        parts_of += [
            requires_demands(inputs, candidates, everyone, rule, past, fixed) for rule in rules.requires
        ]
        wanted = Demands.join(parts_of)
        useful = (worth[everyone] > 0) | fixed
        useful[wanted.item] = True
        items = everyone[useful]
        if not len(items):
            continue
        wanted = wanted.among(useful)
        parts, order, alone, barred = split(
            inputs, candidates, items, worth, fixed[useful], (rules.contact, rules.conflicts), wanted, past
        )
        everything = np.arange(len(parts.start) - 1)
        value, exact = best(parts, everything, np.full(len(everything), -1), limit)
        for part in np.flatnonzero(np.isneginf(value)).tolist():
            impossible.append(int(candidates.rows.customer[items[order[parts.start[part]]]]))
        value = np.where(np.isneginf(value), 0.0, value)
        single = np.maximum(worth[items[alone]], 0.0)
        total += float(single.sum()) + float(value.sum())
        size += float(single.sum()) + float(np.abs(value).sum())
        cut += int((~exact).sum())

        place = np.full(len(items), -1)
        place[order] = np.arange(len(order))
        at = np.searchsorted(items, asked)
        mine = np.flatnonzero((at < len(items)) & (items[np.minimum(at, max(len(items) - 1, 0))] == asked))
        advantage[mine[barred[at[mine]]]] = 0.0
        mine = mine[place[at[mine]] >= 0]
        item = place[at[mine]]
        part_of = np.searchsorted(parts.start, item, side="right") - 1
        without, sure = best(parts, part_of, item, limit)
        sure &= exact[part_of] & np.isfinite(without)
        advantage[mine] = np.where(sure, value[part_of] - np.where(sure, without, 0.0), np.nan)
    return Search(total, size, cut, advantage, impossible)


def _chunks(unit: np.ndarray, items: np.ndarray) -> Iterator[np.ndarray]:
    """Items in lots that never part a unit, each sorted."""
    items = items[np.argsort(unit[items], kind="stable")]
    ordered = unit[items]
    begin = 0
    while begin < len(items):
        end = min(begin + CHUNK, len(items))
        end = int(np.searchsorted(ordered, ordered[end - 1], side="right"))
        yield np.sort(items[begin:end])
        begin = end

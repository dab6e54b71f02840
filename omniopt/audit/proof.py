"""The bound of every rank, proven anew from the prices of the certificate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from omniopt.audit import certificate as cert
from omniopt.audit.bound import Rules, Search, search
from omniopt.audit.candidates import Candidates
from omniopt.audit.inputs import Inputs
from omniopt.audit.limit_rows import Checked
from omniopt.audit.limits import Limit
from omniopt.audit.lots import Lots
from omniopt.audit.objective import Rank
from omniopt.audit.plan import FILE, NAMED
from omniopt.audit.prices import Earlier, Priced, priced
from omniopt.audit.ranks import prices as rank_prices
from omniopt.audit.rounding import allowed, same_row
from omniopt.errors import Faults
from omniopt.tables.storage import in_threads


@dataclass
class Case:
    """What was recomputed of a plan, as far as its bound rests on it.

    Attributes
    ----------
    lots : Lots
        All candidates.
    chosen : Candidates
        The plan's, by customer and action.
    locked : ndarray of int
        Keys of those that are chosen in any case.
    limits : list of (Limit, Checked)
        Each limit, and the prices of its rows.
    rules : Rules
    ranks : list of Rank
    worth : list of float
        What the plan is worth in each.
    exact : bool
        The plan is the exact solver's, whose bound may be tighter than what prices prove. Of a decomposed
        plan's bounds, only those may be that are said to be `bound_by` the exact solver.
    """

    inputs: Inputs
    lots: Lots
    chosen: Candidates
    locked: np.ndarray
    limits: list[tuple[Limit, Checked]]
    rules: Rules
    ranks: list[Rank]
    worth: list[float]
    exact: bool


@dataclass
class Proven:
    """What the prices prove, the certificate's bound, and a word on both; advantages at these prices."""

    proven: float
    bound: float
    words: str
    advantage: np.ndarray


def first_rank(case: Case, certificate: Mapping[str, Any], faults: Faults) -> Proven:
    """The bound of the first, or only, objective, from the prices beside the rules."""
    return _prove(case, 0, certificate, [checked.prices for _, checked in case.limits], [], faults)


def later_rank(case: Case, entries: Sequence[Mapping[str, Any]], k: int, faults: Faults) -> str:
    """The bound of a rank, from its own prices; those of the first must be the ones beside the rules."""
    rows = sum(len(block) for limit, _ in case.limits for block in limit.blocks if not limit.report_only)
    of_rows, of_ranks = rank_prices(entries[k], rows, k, faults)
    table = np.append(of_rows, 0.0)
    prices = [[table[place] for place in checked.place] for _, checked in case.limits]
    if k == 0:
        for (limit, checked), mine in zip(case.limits, prices, strict=True):
            both = zip(mine, checked.prices, checked.place, strict=True)
            if any((~same_row(one, other) & (place >= 0)).any() for one, other, place in both):
                faults.add("the first objective's prices are not the rule's", file=cert.FILE, rule=limit.name)
        return ""
    bests = [cert.number(before, "best", Faults()) for before in entries[:k]]
    earlier = [
        Earlier(rank, rank.kept(best), price)
        for rank, best, price in zip(case.ranks[:k], bests, of_ranks, strict=True)
    ]
    found = _prove(case, k, entries[k], prices, earlier, faults)
    return f"; objective {k + 1}: {found.words}"


def _prove(
    case: Case,
    k: int,
    said: Mapping[str, Any],
    prices: Sequence[Sequence[np.ndarray]],
    earlier: Sequence[Earlier],
    faults: Faults,
) -> Proven:
    """What the prices prove for one rank, against what the certificate says of it."""
    rank, rule = case.ranks[k], f"objective {k + 1}" if k else None
    rows = [
        (limit, block, price)
        for (limit, _), of in zip(case.limits, prices, strict=True)
        for block, price in zip(limit.blocks, of, strict=True)
        if not limit.report_only
    ]
    at_prices = priced(rank, earlier, [limit for limit, _ in case.limits], rows, faults)
    found = _search(case, at_prices, advantages=k == 0)
    for customer in found.impossible[:NAMED]:
        who = case.inputs.world.ids["customer"][customer]
        words = f"no set of contacts of customer {who} keeps the rules, so that nothing is proven"
        faults.add(words, rule=rule)
    proven, size = at_prices.constant + found.total, at_prices.size + found.size
    bound, from_prices = (cert.number(said, key, faults, rule) for key in ("bound", "bound_from_prices"))
    room = allowed(size)
    words = f"the prices prove {rank.sign * proven:.10g}"
    cut = f" ({found.cut} searches were cut off, and a relaxation counted instead)" if found.cut else ""
    if proven > rank.sign * from_prices + room:
        message = f"{words}{cut}, not {from_prices:.10g}"
        faults.add(message, file=cert.FILE, column="bound_from_prices", rule=rule)
    worth = case.worth[k]
    if rank.sign * worth > proven + room:
        faults.add(f"{words}, yet the plan is worth {worth:.10g}: it breaks a rule", file=FILE, rule=rule)
    words += cut
    if proven <= rank.sign * bound + room:
        words += f", the certificate's bound {bound:.10g} with it"
    elif case.exact or said.get("bound_by") == "exact":
        rest = abs(proven - rank.sign * bound)
        words += f"; the bound {bound:.10g} is tighter by {rest:.4g}, and that rest is the solver's word"
    else:
        message = f"{words}, the bound {bound:.10g} is not proven"
        faults.add(message, file=cert.FILE, column="bound", rule=rule)
    return Proven(rank.sign * proven, bound, words, found.advantage)


def _search(case: Case, at_prices: Priced, advantages: bool) -> Search:
    """The best set of every customer, lot by lot, and perhaps the advantages of what is chosen."""
    keys = case.inputs.key(case.chosen.rows)
    lot_of = case.lots.number[case.chosen.rows.customer]

    def look(k: int) -> tuple[np.ndarray, Search]:
        lot, mine = case.lots[k], np.flatnonzero(lot_of == k) if advantages else np.arange(0)
        locked, held = np.zeros(len(lot.living), dtype=bool), lot.find(case.locked)
        locked[held[held >= 0]] = True
        worth = at_prices.worth(case.inputs.world, lot.living)
        asked = lot.find(keys[mine])
        return mine, search(lot.inputs, lot.living, worth, locked, asked, case.rules, lot.past)

    whole = Search(0.0, 0.0, 0, np.full(len(keys), np.nan), [])
    for mine, part in in_threads(look, range(len(case.lots))):
        whole.add(part, mine)
    return whole

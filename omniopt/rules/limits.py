"""Limits across customers, as rows over the candidates.

A limit ``lo ≤ Σ measure ≤ hi`` is one row per group. A ratio ``Σ measure ≥ r Σ over`` is the row
``Σ (measure - r over) ≥ 0``, which holds where nothing is chosen. With ``all_or_nothing`` or
``fixed_cost`` a group is a *cell*, with a binary z that is 1 if any of its contacts is chosen:
``Σ measure - min z ≥ 0``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from omniopt.actions.candidates import Candidates
from omniopt.rules.bounds import Bounds, Key
from omniopt.rules.measures import Measures
from omniopt.rules.policy import Denominator, Limit
from omniopt.rules.rolling import Part, Side, rolling_sides
from omniopt.rules.statements import states
from omniopt.rules.where import Scopes
from omniopt.tables import Tables


@dataclass(frozen=True)
class Cells:
    """Groups that are opened by their first contact.

    Attributes
    ----------
    rule : list of str
    group : list of dict
    cost : ndarray of float64, shape (g,)
        Fixed cost of opening each.
    member : csr_array, shape (g, n)
        1 for the candidates whose choice opens the cell.
    """

    rule: list[str]
    group: list[dict[str, Any]]
    cost: np.ndarray
    member: sparse.csr_array

    def __len__(self) -> int:
        return len(self.rule)

    def opened(self, chosen: np.ndarray) -> np.ndarray:
        """Say which cells a choice opens, bool of shape (g,)."""
        return np.asarray(self.member @ chosen.astype(np.float64)) > 0


@dataclass(frozen=True)
class Coupling:
    """Rows that tie customers together: ``lo ≤ matrix x + cells z ≤ hi``.

    Attributes
    ----------
    rule : list of str
        Name of the limit that each row comes from.
    group : list of dict
        Attribute to value, for limits with ``per``; ``from`` is the first day of a rolling window.
    lo, hi : ndarray of float64, shape (k,)
        Bounds less what past contacts use; -inf and inf where there is none; 0 for ratios without past.
    ratio : ndarray of float64, shape (k,)
        The bound on the ratio, NaN for sums.
    numerator, denominator : csr_array, shape (k, n)
        Measures of the candidates in each row; the denominator is empty for sums.
    past, past_over : ndarray of float64, shape (k,)
        What past contacts add to numerator and denominator.
    penalty : ndarray of float64, shape (k,)
        Price of missing the row by one unit; inf where it must hold.
    cell : ndarray of int64, shape (k,)
        The cell whose opening the row shows, or -1.
    opening : ndarray of float64, shape (k,)
        What the row asks for if its cell is opened (all or nothing), NaN for other rows.
    fixed, fixed_over : ndarray of float64, shape (k,)
        Coefficient of the plan's fixed costs in numerator and denominator.
    cells : Cells
    """

    rule: list[str]
    group: list[dict[str, Any]]
    lo: np.ndarray
    hi: np.ndarray
    ratio: np.ndarray
    numerator: sparse.csr_array
    denominator: sparse.csr_array
    past: np.ndarray
    past_over: np.ndarray
    penalty: np.ndarray
    cell: np.ndarray
    opening: np.ndarray
    fixed: np.ndarray
    fixed_over: np.ndarray
    cells: Cells

    @property
    def matrix(self) -> sparse.csr_array:
        """The rows over the candidates, as the solver sees them."""
        share = sparse.diags_array(np.nan_to_num(self.ratio))
        return sparse.csr_array(self.numerator - share @ self.denominator)

    @property
    def cell_matrix(self) -> sparse.csr_array:
        """The rows over the cells: what opening one asks for, and its fixed cost where a measure has it."""
        share = self.fixed - np.nan_to_num(self.ratio) * self.fixed_over
        table = sparse.lil_array(np.outer(share, self.cells.cost))
        for k in np.flatnonzero(~np.isnan(self.opening)):
            table[k, self.cell[k]] -= self.opening[k]
        return sparse.csr_array(table)

    @property
    def history(self) -> np.ndarray:
        """What past contacts add to each row."""
        return self.past - np.nan_to_num(self.ratio) * self.past_over

    def __len__(self) -> int:
        return len(self.rule)


@dataclass(frozen=True)
class _Block:
    """Rows of one limit: arrays by the names that `Coupling` gives them, and the groups."""

    rule: str
    group: list[dict[str, Any]]
    side: Side
    penalty: np.ndarray
    cell: np.ndarray
    opening: np.ndarray
    fixed: float
    fixed_over: float


class LimitRows:
    """Turns limits into coupling rows; faults go to the scopes' list."""

    def __init__(self, candidates: Candidates, tables: Tables, scopes: Scopes, measures: Measures) -> None:
        self.candidates, self.scopes, self.measures = candidates, scopes, measures
        self.bounds = Bounds(tables, scopes)
        self._rules: list[str] = []
        self._groups: list[dict[str, Any]] = []
        self._costs: list[float] = []
        self._members: list[sparse.csr_array] = []

    def build(self, limits: list[Limit]) -> Coupling:
        """Return the rows of all limits, in the policy's order, groups sorted by value."""
        n = len(self.candidates)
        self._rules, self._groups, self._costs, self._members = [], [], [], []
        blocks = [block for limit in limits for block in self._limit(limit)]
        sizes = [len(b.group) for b in blocks]

        def joined(values: list[Any]) -> np.ndarray:
            return np.concatenate(
                [np.zeros(0), *(np.broadcast_to(v, s) for v, s in zip(values, sizes, strict=True))]
            )

        def stacked(parts: list[sparse.csr_array]) -> sparse.csr_array:
            return sparse.csr_array(sparse.vstack(parts)) if parts else sparse.csr_array((0, n))

        sides = [b.side for b in blocks]
        plain = {
            name: joined([getattr(s, name) for s in sides])
            for name in ("lo", "hi", "ratio", "past", "past_over")
        }
        own = {
            name: joined([getattr(b, name) for b in blocks])
            for name in ("penalty", "opening", "fixed", "fixed_over")
        }
        cells = Cells(self._rules, self._groups, np.array(self._costs, np.float64), stacked(self._members))
        return Coupling(
            rule=[b.rule for b in blocks for _ in b.group],
            group=[g for b in blocks for g in b.group],
            numerator=stacked([s.top for s in sides]),
            denominator=stacked([s.bottom for s in sides]),
            cell=joined([b.cell for b in blocks]).astype(np.int64),
            cells=cells, **plain, **own,
        )  # fmt: skip

    @states("groups")
    def _limit(self, limit: Limit) -> list[_Block]:
        over = limit.over
        if isinstance(over, str):
            over = Denominator(measure=over, where=limit.where)
        by_channel = self.scopes.names_channel(limit.where, limit.per)
        by_channel |= over is not None and self.scopes.names_channel(over.where)
        before = len(self.scopes.faults)
        top = self._part(limit.measure, limit.where, limit, by_channel)
        bottom = None if over is None else self._part(over.measure, over.where, limit, by_channel)
        looked = {
            side: self.bounds.look_up(getattr(limit, side), limit)
            for side in ("min", "max", "penalty", "fixed_cost")
        }
        if len(self.scopes.faults) > before:  # the groups of a faulty limit would only bring more faults
            return []
        found = set(top.keys) | set(bottom.keys if bottom else [])
        keys = sorted(found.union(*(table for table in looked.values() if isinstance(table, dict))))
        missing = {"min": -np.inf, "max": np.inf, "penalty": np.inf, "fixed_cost": 0.0}
        lo, hi, penalty, cost = (
            self.bounds.of(limit, getattr(limit, s), looked[s], keys, found, none)
            for s, none in missing.items()
        )
        for key in [k for k, a, b in zip(keys, lo, hi, strict=True) if a > b]:
            self.scopes.fault(limit.name, f"min is above max for {self.bounds.show(limit, key)}")
        for what, numbers in (("penalty", penalty), ("fixed_cost", cost)):
            for key in [k for k, v in zip(keys, numbers, strict=True) if v < 0]:
                self.scopes.fault(limit.name, f"{what} is below 0 for {self.bounds.show(limit, key)}")
        if len(self.scopes.faults) > before:
            return []
        return self._blocks(limit, over, keys, lo, hi, penalty, cost, top, bottom)

    @states("limit", "ratio", "all or nothing")
    def _blocks(
        self, limit: Limit, over: Denominator | None, keys: list[Key], lo: np.ndarray, hi: np.ndarray,
        penalty: np.ndarray, cost: np.ndarray, top: Part, bottom: Part | None,
    ) -> list[_Block]:  # fmt: skip
        """Lay a limit's rows out, side by side where it has several."""
        n = len(self.candidates)
        place = np.arange(len(keys))
        if limit.rolling_days is not None:
            sides = self._rolling(limit, over, keys, lo, hi, top, bottom)
        elif bottom is not None:
            sides = []
            top_rows, bottom_rows = top.matrix(keys, n), bottom.matrix(keys, n)
            none = np.full(len(keys), np.inf)
            if limit.min is not None:
                sides.append(Side(place, 0 * lo, none, lo, top_rows, bottom_rows))
            if limit.max is not None:
                sides.append(Side(place, -none, 0 * hi, hi, top_rows, bottom_rows))
        else:
            rows = top.matrix(keys, n)
            empty, nan = sparse.csr_array(rows.shape), np.full(len(keys), np.nan)
            if limit.all_or_nothing:
                sides = [Side(place, 0 * lo, 0 * lo + np.inf, nan, rows, empty)]
                if limit.max is not None:
                    sides.append(Side(place, 0 * hi - np.inf, hi, nan, rows, empty))
            else:
                sides = [Side(place, lo, hi, nan, rows, empty)]
        cells = limit.all_or_nothing or limit.fixed_cost is not None
        first = self._open(limit, keys, cost, top) if cells else 0
        fixed = self.measures.fixed_share(limit.measure) or 0.0
        fixed_over = 0.0 if over is None else self.measures.fixed_share(over.measure) or 0.0
        if limit.rolling_days is not None and (fixed or fixed_over):
            self.scopes.fault(limit.name, "fixed_cost is a sum over the whole plan: a window has none")
        blocks = []
        for number, side in enumerate(sides):
            own = cells and number == 0
            group = [dict(zip(limit.per, keys[p], strict=True)) for p in side.place]
            for labels, day in zip(group, side.begins, strict=False):
                labels["from"] = int(day)
            blocks.append(
                _Block(
                    limit.name,
                    group,
                    side,
                    penalty[side.place],
                    first + side.place if own else np.full(len(group), -1),
                    lo[side.place] if own and limit.all_or_nothing else np.full(len(group), np.nan),
                    fixed,
                    fixed_over,
                )  # fmt: skip
            )
        return blocks

    @states("cell")
    def _open(self, limit: Limit, keys: list[Key], cost: np.ndarray, top: Part) -> int:
        """Note the cells of a limit; return the number of the first."""
        first = len(self._rules)
        rows = top.members(keys, len(self.candidates))
        self._rules += [limit.name] * len(keys)
        self._groups += [dict(zip(limit.per, key, strict=True)) for key in keys]
        self._costs += cost.tolist()
        self._members.append(rows)
        return first

    def _rolling(
        self, limit: Limit, over: Denominator | None, keys: list[Key], lo: np.ndarray, hi: np.ndarray,
        top: Part, bottom: Part | None,
    ) -> list[Side]:  # fmt: skip
        catalogue = self.candidates.catalogue
        if not self.scopes.dates_known(limit.name, "with rolling_days"):
            return []
        past = self._past(limit.measure, limit.where, limit, keys)
        past_over = None if over is None else self._past(over.measure, over.where, limit, keys)
        assert limit.rolling_days is not None
        sides, unknown = rolling_sides(
            limit.rolling_days, catalogue.span, keys, top, bottom, past, past_over,
            None if limit.min is None else lo, None if limit.max is None else hi,
            catalogue.actions.day[self.candidates.action],
        )  # fmt: skip
        if unknown:
            lacking = limit.measure if over is None else f"{limit.measure}, or no {over.measure}"
            self.scopes.fault(
                limit.name, f"past contacts in its windows have no {lacking}",
                "Add the column to the history, or count contacts.",
            )  # fmt: skip
        return sides

    def _part(self, measure: str, where: Mapping[str, Any], limit: Limit, by_channel: bool) -> Part:
        first, second = self.measures.evaluate(measure, limit.name, by_channel)
        legs = [(1, first), (2, second)] if by_channel else [(1, first + second)]
        candidate, value, keys = [], [], []
        for leg, values in legs:
            rows = self.candidates.rows(leg)
            mask = self.scopes.match(where, rows, limit.name)
            if leg == 2:
                mask &= self.candidates.fallback >= 0
            inside = np.flatnonzero(mask)
            index, levels, codes = self.scopes.groups(limit.per, rows.take(inside), limit.name)
            candidate.append(inside[index])
            value.append(values[inside[index]])
            keys.append(_keys(levels, codes, len(index)))
        return Part.of(candidate, value, keys, limit.per)

    def _past(self, measure: str, where: Mapping[str, Any], limit: Limit, keys: list[Key]) -> Part:
        """What past contacts and commitments add, by group; ``candidate`` holds their days."""
        history = self.candidates.catalogue.history
        values = self.measures.of_history(measure)
        inside = np.flatnonzero(self.scopes.match(where, history, limit.name))
        index, levels, codes = self.scopes.groups(
            limit.per, history.take(inside), limit.name, empty_is_none=True
        )
        split = _keys(levels, codes, len(index))
        place = {key: i for i, key in enumerate(keys)}
        group = np.array([place.get(k, -1) for k in split[1]] or [0], np.int64)[split[0]]
        known = group >= 0
        return Part(history.day[inside[index]][known], group[known], values[inside[index]][known], keys)


def _keys(levels: list[list[Any]], codes: list[np.ndarray], size: int) -> tuple[np.ndarray, list[Key]]:
    """Number the distinct combinations of codes: (combination of each membership, the combinations)."""
    if not codes:
        return np.zeros(size, np.int64), [()]
    combined = np.zeros(size, np.int64)
    for values, code in zip(levels, codes, strict=True):
        combined = combined * max(len(values), 1) + code
    distinct, first, inverse = np.unique(combined, return_index=True, return_inverse=True)
    picked = [[values[c] for c in code[first]] for values, code in zip(levels, codes, strict=True)]
    return inverse, [tuple(p) for p in zip(*picked, strict=True)] if len(distinct) else []

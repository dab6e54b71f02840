"""Limits across customers, as rows over the candidates.

A limit ``lo ≤ Σ measure ≤ hi`` is one row per group. A ratio ``Σ measure ≥ r Σ over`` is the row
``Σ (measure - r over) ≥ 0``, which holds where nothing is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from omniopt.actions.candidates import Candidates
from omniopt.errors import nearest
from omniopt.rules.measures import Measures
from omniopt.rules.policy import Denominator, Limit, Reference
from omniopt.rules.where import DAY_COLUMNS, Scopes, as_text
from omniopt.tables import Tables

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Coupling:
    """Rows that tie customers together: ``lo ≤ matrix x ≤ hi``.

    Attributes
    ----------
    rule : list of str
        Name of the limit that each row comes from.
    group : list of dict
        Attribute to value, for limits with ``per``.
    lo, hi : ndarray of float64, shape (k,)
        Bounds; -inf and inf where there is none; 0 for ratios.
    ratio : ndarray of float64, shape (k,)
        The bound on the ratio, NaN for sums.
    numerator, denominator : csr_array, shape (k, n)
        Measures of the candidates in each row; the denominator is empty for sums.
    """

    rule: list[str]
    group: list[dict[str, Any]]
    lo: np.ndarray
    hi: np.ndarray
    ratio: np.ndarray
    numerator: sparse.csr_array
    denominator: sparse.csr_array

    @property
    def matrix(self) -> sparse.csr_array:
        """The rows as the solver sees them."""
        share = sparse.diags_array(np.nan_to_num(self.ratio))
        return sparse.csr_array(self.numerator - share @ self.denominator)

    def __len__(self) -> int:
        return len(self.rule)


@dataclass
class _Part:
    """A sum over candidates, split into groups: coordinates of a matrix, and the groups' keys."""

    candidate: np.ndarray
    group: np.ndarray
    value: np.ndarray
    keys: list[Key]

    def matrix(self, keys: list[Key], n: int) -> sparse.csr_array:
        """Lay the sum out with one row per key, in the given order."""
        place = {key: i for i, key in enumerate(keys)}
        row = np.array([place[k] for k in self.keys], np.int64)
        at = (row[self.group] if len(self.group) else self.group, self.candidate)
        return sparse.csr_array(sparse.coo_array((self.value, at), shape=(len(keys), n)))


class LimitRows:
    """Turns limits into coupling rows; faults go to the scopes' list."""

    def __init__(self, candidates: Candidates, tables: Tables, scopes: Scopes, measures: Measures) -> None:
        self.candidates, self.tables, self.scopes, self.measures = candidates, tables, scopes, measures

    def build(self, limits: list[Limit]) -> Coupling:
        """Return the rows of all limits, in the policy's order, groups sorted by value."""
        n = len(self.candidates)
        names: list[str] = []
        groups: list[dict[str, Any]] = []
        bounds: list[np.ndarray] = []
        matrices: list[tuple[sparse.csr_array, sparse.csr_array]] = []
        for limit in limits:
            keys, lo, hi, numerator, denominator = self._limit(limit, n)
            labels = [dict(zip(limit.per, key, strict=False)) for key in keys]
            if denominator is None:
                sides = [(lo, hi, np.full(len(keys), np.nan), numerator, sparse.csr_array(numerator.shape))]
            else:
                zero, none = np.zeros(len(keys)), np.full(len(keys), np.inf)
                sides = []
                if limit.min is not None:
                    sides.append((zero, none, lo, numerator, denominator))
                if limit.max is not None:
                    sides.append((-none, zero, hi, numerator, denominator))
            for low, high, ratio, top, bottom in sides:
                names += [limit.name] * len(keys)
                groups += labels
                bounds.append(np.stack([low, high, ratio]))
                matrices.append((top, bottom))
        table = np.concatenate(bounds, axis=1) if bounds else np.zeros((3, 0))
        stacked = [
            sparse.csr_array(sparse.vstack(m)) if matrices else sparse.csr_array((0, n))
            for m in (zip(*matrices, strict=True) if matrices else ((), ()))
        ]
        return Coupling(names, groups, table[0], table[1], table[2], stacked[0], stacked[1])

    def _limit(
        self, limit: Limit, n: int
    ) -> tuple[list[Key], np.ndarray, np.ndarray, sparse.csr_array, sparse.csr_array | None]:
        over = limit.over
        if isinstance(over, str):
            over = Denominator(measure=over, where=limit.where)
        by_channel = self.scopes.names_channel(limit.where, limit.per)
        by_channel |= over is not None and self.scopes.names_channel(over.where)
        before = len(self.scopes.faults)
        top = self._part(limit.measure, limit.where, limit, by_channel)
        bottom = None if over is None else self._part(over.measure, over.where, limit, by_channel)
        look_ups = [self._look_up(b, limit) for b in (limit.min, limit.max)]
        if len(self.scopes.faults) > before:  # the groups of a faulty limit would only bring more faults
            return [], np.zeros(0), np.zeros(0), sparse.csr_array((0, n)), None
        found = set(top.keys) | set(bottom.keys if bottom else [])
        keys = sorted(found.union(*(table for table in look_ups if isinstance(table, dict))))
        lo = self._bounds(limit, limit.min, look_ups[0], keys, found, -np.inf)
        hi = self._bounds(limit, limit.max, look_ups[1], keys, found, np.inf)
        for key in [k for k, a, b in zip(keys, lo, hi, strict=True) if a > b]:
            self.scopes.fault(limit.name, f"min is above max for {self._show(limit, key)}")
        return keys, lo, hi, top.matrix(keys, n), None if bottom is None else bottom.matrix(keys, n)

    def _part(self, measure: str, where: Mapping[str, Any], limit: Limit, by_channel: bool) -> _Part:
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
        distinct: list[Key] = list(dict.fromkeys(k for _, ks in keys for k in ks))
        if not limit.per:
            distinct = [()]
        place = {key: i for i, key in enumerate(distinct)}
        group = [np.array([place[k] for k in ks] or [0], np.int64)[inverse] for inverse, ks in keys]
        return _Part(np.concatenate(candidate), np.concatenate(group), np.concatenate(value), distinct)

    def _look_up(self, bound: float | Reference | None, limit: Limit) -> dict[Key, float] | float | None:
        """Read a bound's table into a mapping from group to number; None after a fault."""
        if not isinstance(bound, Reference):
            return bound
        table = self._table(bound.table)
        if table is None:
            legal = [*self.tables.extra, "customers", "offers", "channels", "actions"]
            self.scopes.fault(limit.name, f"there is no table '{bound.table}'", nearest(bound.table, legal))
            return None
        columns = [self._key_column(name, table) for name in limit.per]
        for name, column in zip([*limit.per, bound.column], [*columns, bound.column], strict=True):
            if column is None or column not in table:
                self.scopes.fault(
                    limit.name,
                    f"the table '{bound.table}' has no column for {name}",
                    nearest(name, [str(c) for c in table.columns]),
                )
                return None
        if not pd.api.types.is_numeric_dtype(table[bound.column]):
            self.scopes.fault(
                limit.name, f"column {bound.column} of the table '{bound.table}' does not hold numbers"
            )
            return None
        table = self._in_scope(limit, table)
        cells = zip(*(table[c] for c in columns), strict=True) if limit.per else [()] * len(table)
        keys = [tuple(self._value(name, v) for name, v in zip(limit.per, row, strict=True)) for row in cells]
        found: dict[Key, float] = {}
        numbers = table[bound.column].to_numpy(np.float64)
        for row, key, number in zip(table.index + 1, keys, numbers, strict=True):
            if key in found:
                self.scopes.fault(
                    limit.name,
                    f"the table '{bound.table}' has two rows for {self._show(limit, key)}",
                    "Add what tells them apart to per.",
                )
            if np.isnan(number):
                self.scopes.fault(limit.name, f"row {row} of the table '{bound.table}' has no {bound.column}")
            found[key] = float(number)
        return found

    def _table(self, name: str) -> pd.DataFrame | None:
        if name in self.tables.extra:
            return self.tables.extra[name]
        if name in ("customers", "offers", "channels", "actions"):
            return getattr(self.tables, name)
        return None

    def _key_column(self, attribute: str, table: pd.DataFrame) -> str | None:
        """Return the table's column for an attribute, with or without the part before the dot."""
        short = attribute.rpartition(".")[2]
        names = (attribute, short, f"{attribute}_id", attribute.replace(".", "_"))
        return next((c for c in names if c in table), None)

    def _in_scope(self, limit: Limit, table: pd.DataFrame) -> pd.DataFrame:
        """Leave out the table's rows that the rule's own scope excludes."""
        keep = np.ones(len(table), bool)
        for name, condition in limit.where.items():
            column = self._key_column(name, table)
            attribute = self.scopes.attribute(name, limit.name)
            if attribute is None or attribute.separator:
                continue
            if column is None:  # the row of an offer also tells the offer's category
                column = self._key_column(attribute.entity, table)
                if column is None or attribute.values is None:
                    continue
                codes = self.scopes.catalogue.codes_of(attribute.entity, table[column].astype("str"))
                by_code = self.scopes.holds(attribute, attribute.values, condition, limit.name)
                keep &= np.append(by_code, False)[codes]
            else:
                keep &= self.scopes.holds(attribute, table[column], condition, limit.name)
        return table[keep]

    def _value(self, attribute: str, value: Any) -> Any:
        """Bring a table's cell to the type of the attribute's own values."""
        known = self.scopes.attribute(attribute, attribute)
        if known is not None and (known.values is None or attribute.rpartition(".")[2] in DAY_COLUMNS):
            return int(value)
        if known is not None and known.values is not None and pd.api.types.is_bool_dtype(known.values):
            return bool(value)
        if known is not None and known.values is not None and pd.api.types.is_numeric_dtype(known.values):
            return float(value)
        return as_text(value)

    def _bounds(
        self, limit: Limit, bound: float | Reference | None, look_up: dict[Key, float] | float | None,
        keys: list[Key], found: set[Key], none: float,
    ) -> np.ndarray:  # fmt: skip
        if not isinstance(look_up, dict) or not isinstance(bound, Reference):
            return np.full(len(keys), none if look_up is None else look_up)
        missing = sorted(found - set(look_up))
        for key in missing[:10]:
            what = f"the table '{bound.table}' has no row for {self._show(limit, key)}"
            self.scopes.fault(limit.name, what, "Add the row.")
        if len(missing) > 10:
            self.scopes.fault(limit.name, f"the table '{bound.table}' lacks {len(missing) - 10} more rows")
        return np.array([look_up.get(key, none) for key in keys])

    def _show(self, limit: Limit, key: Key) -> str:
        shown = [
            self.scopes.catalogue.day_text(v) if a == "date" else v
            for a, v in zip(limit.per, key, strict=False)
        ]
        return ", ".join(f"{a} {v}" for a, v in zip(limit.per, shown, strict=False)) or "the whole plan"


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

"""Bounds of limits: numbers, or cells of a table by the rule's ``per`` attributes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from omniopt.errors import nearest
from omniopt.rules.policy import Limit, Reference
from omniopt.rules.where import DAY_COLUMNS, Scopes, as_text
from omniopt.tables import Tables

Key = tuple[Any, ...]
# A bound may stand in these too, beside the project's further tables.
ENTITY_TABLES = ("customers", "offers", "channels", "actions")
LookUp = dict[Key, float] | float | None


class Bounds:
    """Reads the bounds, penalties and fixed costs of limits; faults go to the scopes' list."""

    def __init__(self, tables: Tables, scopes: Scopes) -> None:
        self.tables, self.scopes = tables, scopes

    def look_up(self, bound: float | Reference | None, limit: Limit) -> LookUp:
        """Read a bound's table into a mapping from group to number; None after a fault."""
        if not isinstance(bound, Reference):
            return bound
        table = self._table(bound.table)
        if table is None:
            legal = [*self.tables.extra, *ENTITY_TABLES]
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
                    f"the table '{bound.table}' has two rows for {self.show(limit, key)}",
                    "Add what tells them apart to per.",
                )
            if np.isnan(number):
                self.scopes.fault(limit.name, f"row {row} of the table '{bound.table}' has no {bound.column}")
            found[key] = float(number)
        return found

    def _table(self, name: str) -> pd.DataFrame | None:
        if name in self.tables.extra:
            return self.tables.extra[name]
        return getattr(self.tables, name) if name in ENTITY_TABLES else None

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
        if known is None:
            return as_text(value)
        if known.values is None or attribute.rpartition(".")[2] in DAY_COLUMNS:
            return int(value)
        if pd.api.types.is_bool_dtype(known.values):
            return bool(value)
        if pd.api.types.is_numeric_dtype(known.values):
            return float(value)
        return as_text(value)

    def of(
        self, limit: Limit, bound: float | Reference | None, look_up: LookUp,
        keys: list[Key], found: set[Key], none: float,
    ) -> np.ndarray:  # fmt: skip
        """Return the number of every group, ``none`` where there is no bound; a missing row is a fault."""
        if not isinstance(look_up, dict) or not isinstance(bound, Reference):
            return np.full(len(keys), none if look_up is None else look_up)
        missing = sorted(found - set(look_up))
        for key in missing[:10]:
            what = f"the table '{bound.table}' has no row for {self.show(limit, key)}"
            self.scopes.fault(limit.name, what, "Add the row.")
        if len(missing) > 10:
            self.scopes.fault(limit.name, f"the table '{bound.table}' lacks {len(missing) - 10} more rows")
        return np.array([look_up.get(key, none) for key in keys])

    def show(self, limit: Limit, key: Key) -> str:
        """Name a group for a message."""
        shown = [
            self.scopes.catalogue.day_text(v) if a == "date" else v
            for a, v in zip(limit.per, key, strict=False)
        ]
        return ", ".join(f"{a} {v}" for a, v in zip(limit.per, shown, strict=False)) or "the whole plan"

"""Scopes: which contacts a rule speaks of, and how ``per`` splits them into groups.

A scope is a mapping of attributes to a value, a list of values or a comparison. It is looked
up, never evaluated. A missing cell matches ``is_null: true`` and nothing else.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from omniopt.actions.catalogue import ID_COLUMN, Catalogue, Rows
from omniopt.errors import Faults, nearest

COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne", "in", "not_in", "is_null")
DAY_COLUMNS = ("date", "valid_from", "valid_to")


@dataclass(frozen=True)
class Attribute:
    """A named attribute: the entity it belongs to and its values by entity code.

    ``values`` is None for ``date``, whose values are the days of the things themselves.
    """

    name: str
    entity: str
    values: pd.Series | None
    separator: str | None


class Scopes:
    """Finds attributes, matches scopes and makes groups; keeps the faults it meets."""

    def __init__(self, catalogue: Catalogue, faults: Faults, policy_file: str | None = None) -> None:
        self.catalogue = catalogue
        self.faults = faults
        self.file = policy_file
        self._cache: dict[str, Attribute] = {}

    def fault(self, rule: str, message: str, hint: str | None = None) -> None:
        """Record what is wrong with a rule."""
        self.faults.add(message, file=self.file, rule=rule, hint=hint)

    def dates_known(self, rule: str, kind: str) -> bool:
        """Whether the actions carry dates, which this kind of rule needs; if not, it is a fault."""
        if not self.catalogue.has_dates:
            self.fault(rule, f"a rule {kind} needs a column date in the actions")
        return self.catalogue.has_dates

    def legal(self) -> list[str]:
        """Return every attribute name that a rule may use."""
        names = ["channel", "offer", "action", "date"]
        for entity in ("customer", "offer", "channel", "action"):
            names += [f"{entity}.{c}" for c in self.catalogue.entities[entity].columns]
        return names

    def attribute(self, name: str, rule: str) -> Attribute | None:
        """Return an attribute by name, or None after recording the fault."""
        if name in self._cache:
            return self._cache[name]
        entity, _, column = name.partition(".")
        if name == "date":
            found = Attribute(name, "date", None, None)
        elif entity in ID_COLUMN and (column or entity != "customer"):
            frame = self.catalogue.entities[entity]
            column = column or ID_COLUMN[entity]
            if column not in frame:
                self.fault(rule, f"there is no attribute '{name}'", nearest(name, self.legal()))
                return None
            found = Attribute(name, entity, frame[column], self.catalogue.multi_valued.get(name))
        else:
            self.fault(rule, f"there is no attribute '{name}'", nearest(name, self.legal()))
            return None
        self._cache[name] = found
        return found

    def names_channel(self, where: Mapping[str, Any], per: list[str] | None = None) -> bool:
        """Whether a scope or its groups tell the channel apart."""
        return any(n.partition(".")[0] == "channel" for n in [*where, *(per or [])])

    def match(self, where: Mapping[str, Any], rows: Rows, rule: str) -> np.ndarray:
        """Return a mask of the things for which every entry of ``where`` holds."""
        mask = np.ones(len(rows), bool)
        for name, condition in where.items():
            attribute = self.attribute(name, rule)
            if attribute is None:
                continue
            if attribute.entity == "date":
                if self.dates_known(rule, "on date"):
                    mask &= self.holds(attribute, pd.Series(rows.day), condition, rule)
                continue
            assert attribute.values is not None
            by_code = self.holds(attribute, attribute.values, condition, rule)
            codes = rows.codes.get(attribute.entity)
            if codes is None or not len(by_code):
                mask &= False
            else:
                mask &= by_code[codes] & (codes >= 0)
        return mask

    def holds(self, attribute: Attribute, values: pd.Series, condition: Any, rule: str) -> np.ndarray:
        """Match one condition against a column of values."""
        if not isinstance(condition, Mapping):
            condition = {"in": condition} if isinstance(condition, list) else {"eq": condition}
        if not condition:
            self.fault(
                rule, f"the comparison on {attribute.name} is empty", f"legal here: {', '.join(COMPARISONS)}"
            )
        mask = np.ones(len(values), bool)
        for operator, operand in condition.items():
            if operator not in COMPARISONS:
                self.fault(
                    rule,
                    f"unknown comparison '{operator}' on {attribute.name}",
                    nearest(str(operator), COMPARISONS),
                )
            elif operator == "is_null":
                if not isinstance(operand, bool):
                    self.fault(rule, f"is_null on {attribute.name} takes true or false")
                mask &= values.isna().to_numpy() == bool(operand)
            else:
                mask &= self._compare(attribute, values, str(operator), operand, rule)
        return mask

    def _compare(
        self, attribute: Attribute, values: pd.Series, operator: str, operand: Any, rule: str
    ) -> np.ndarray:
        present = values.notna().to_numpy()
        many = operator in ("in", "not_in")
        if many != isinstance(operand, list):
            self.fault(rule, f"'{operator}' on {attribute.name} takes {'a list' if many else 'one value'}")
            return present
        ordered = operator in ("lt", "le", "gt", "ge")
        holds_numbers = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
        if ordered and (attribute.separator or not holds_numbers):
            self.fault(rule, f"'{operator}' on {attribute.name} needs a number or a date")
            return present
        wanted = [self._operand(attribute, values, o, rule) for o in (operand if many else [operand])]
        if any(w is None for w in wanted):
            return present
        if ordered:
            return present & np.asarray(getattr(values, operator)(wanted[0]).fillna(False), bool)
        if attribute.separator:
            split = values.astype("str").str.split(attribute.separator)
            hit = np.array([isinstance(v, list) and any(x.strip() in wanted for x in v) for v in split], bool)
        else:
            hit = values.isin(wanted).to_numpy(bool)
        return present & (hit if operator in ("eq", "in") else ~hit)

    def _operand(self, attribute: Attribute, values: pd.Series, operand: Any, rule: str) -> Any:
        """Bring an operand to the column's type; an unknown text value is a fault."""
        column = attribute.name.rpartition(".")[2]
        if attribute.entity == "date" or column in DAY_COLUMNS:
            return self._day(attribute, operand, rule)
        if pd.api.types.is_bool_dtype(values):
            if not isinstance(operand, bool):
                self.fault(rule, f"{attribute.name} is true or false, not '{operand}'")
                return None
            return operand
        if pd.api.types.is_numeric_dtype(values):
            if isinstance(operand, bool) or not isinstance(operand, int | float) or not np.isfinite(operand):
                self.fault(rule, f"{attribute.name} holds numbers, not '{operand}'")
                return None
            return operand
        if isinstance(operand, Mapping | list) or operand is None:
            self.fault(
                rule,
                f"'{operand}' is no value for {attribute.name}",
                "To match empty cells write {is_null: true}.",
            )
            return None
        text = operand.isoformat() if isinstance(operand, dt.date) else as_text(operand)
        known = self.values_of(attribute)
        if text not in known:
            self.fault(
                rule, f"no {attribute.entity} has {attribute.name} '{text}'", nearest(text, sorted(known))
            )
            return None
        return text

    def _day(self, attribute: Attribute, operand: Any, rule: str) -> int | None:
        if isinstance(operand, bool) or not isinstance(operand, int | str | dt.date):
            self.fault(rule, f"{attribute.name} takes a date or a day number, not '{operand}'")
            return None
        if isinstance(operand, int):
            return operand
        try:
            day = dt.date.fromisoformat(operand) if isinstance(operand, str) else operand
        except ValueError:
            self.fault(
                rule,
                f"{attribute.name} takes a date or a day number, not '{operand}'",
                "Write dates as 2026-11-23.",
            )
            return None
        if self.catalogue.start is None:
            self.fault(rule, f"{attribute.name} is given as a date, but the project has no horizon")
            return None
        return int((np.datetime64(day, "D") - self.catalogue.start).astype(int)) + 1

    def values_of(self, attribute: Attribute) -> set[str]:
        """Return the distinct text values of an attribute, split where several share a cell."""
        assert attribute.values is not None
        texts = attribute.values.dropna().astype("str").unique()
        if attribute.separator:
            return {part.strip() for t in texts for part in t.split(attribute.separator) if part.strip()}
        return set(texts)

    def groups(
        self, per: list[str], rows: Rows, rule: str, empty_is_none: bool = False
    ) -> tuple[np.ndarray, list[list[Any]], list[np.ndarray]]:
        """Split things into groups by the values of the ``per`` attributes.

        An empty cell is a fault, or with ``empty_is_none`` belongs to no group.

        Returns
        -------
        index : ndarray of int64, shape (m,)
            Position of the thing of each membership; with several values in one cell a thing
            belongs to several groups.
        levels : list of list
            For each attribute its values, sorted.
        codes : list of ndarray of int64, shape (m,)
            For each attribute the position of the membership's value in ``levels``.
        """
        index = np.arange(len(rows))
        levels: list[list[Any]] = []
        codes: list[np.ndarray] = []
        for name in per:
            attribute = self.attribute(name, rule)
            if attribute is None:
                continue
            values, repeat, flat = self._levels(attribute, rows, index, None if empty_is_none else rule)
            index = np.repeat(index, repeat)
            codes = [np.repeat(c, repeat) for c in codes]
            levels.append(values)
            codes.append(flat)
        return index, levels, codes

    def _levels(
        self, attribute: Attribute, rows: Rows, index: np.ndarray, rule: str | None
    ) -> tuple[list[Any], np.ndarray, np.ndarray]:
        """Values of one attribute, how many each membership has, and their codes in a row."""
        if attribute.values is None:
            self.dates_known(rule or "", "per date")
            days, flat = np.unique(rows.day[index], return_inverse=True)
            return [int(d) for d in days], np.ones(len(index), np.int64), flat
        entity = rows.codes[attribute.entity][index]
        if not attribute.separator:
            values = attribute.values
            by_code, uniques = pd.factorize(values, sort=True)
            flat = np.where(entity >= 0, by_code[entity], -1) if len(by_code) else np.full(len(entity), -1)
            self._report_null(attribute, entity[(flat < 0) & (entity >= 0)], rule)
            return [_plain(v) for v in uniques], (flat >= 0).astype(np.int64), flat[flat >= 0]
        known = sorted(self.values_of(attribute))
        place = {v: i for i, v in enumerate(known)}
        sets = [
            sorted({place[x.strip()] for x in str(t).split(attribute.separator) if x.strip()})
            if pd.notna(t)
            else []
            for t in attribute.values
        ]
        counts = np.array([len(s) for s in sets] or [0], np.int64)
        start = np.concatenate([[0], np.cumsum(counts)])
        joined = np.array([x for s in sets for x in s], np.int64)
        repeat = np.where(entity >= 0, counts[entity], 0)
        self._report_null(attribute, entity[(repeat == 0) & (entity >= 0)], rule)
        return known, repeat, joined[expand(start[entity], repeat)]

    def _report_null(self, attribute: Attribute, entity: np.ndarray, rule: str | None) -> None:
        ids = self.catalogue.ids_of(attribute.entity)
        for code in np.unique(entity)[:5] if rule is not None else ():
            self.fault(
                str(rule),
                f"{attribute.entity} {ids[code]} has no {attribute.name}, which the rule is per",
                "Fill the cell, or keep such contacts out of the rule with where.",
            )


def expand(first: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Concatenate the ranges ``first[i] … first[i] + count[i] - 1`` without a loop.

    >>> expand(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    total = np.cumsum(count)
    offset = np.repeat(first - (total - count), count)
    return np.arange(int(total[-1]) if len(total) else 0) + offset


def as_text(value: Any) -> str:
    """Write a YAML scalar as ids are written: 7, 7.0 and "7" are one."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value

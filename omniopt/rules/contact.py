"""Contact rules: how many contacts each customer, or each household, may and has to get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from omniopt.actions.candidates import Candidates
from omniopt.actions.catalogue import Rows
from omniopt.rules.distinct import distinct, numbered
from omniopt.rules.policy import ColumnBound, Contact
from omniopt.rules.statements import states
from omniopt.rules.unit_rows import UnitRows
from omniopt.rules.units import Units
from omniopt.rules.where import Scopes
from omniopt.rules.windows import Things, Windows

FIRST_MONDAY = 3  # 1970-01-01 was a Thursday, three days after a Monday


class ContactRows:
    """Turns contact rules into unit rows; faults go to the scopes' list."""

    def __init__(self, candidates: Candidates, scopes: Scopes, units: Units) -> None:
        self.candidates, self.scopes, self.units = candidates, scopes, units
        self.catalogue = candidates.catalogue
        self.first, self.second = candidates.rows(1), candidates.rows(2)

    def build(self, rules: list[Contact]) -> UnitRows:
        """Return the rows of all contact rules."""
        return UnitRows.stack([part for rule in rules for part in self._rows(rule)])

    def fullest(self, rule: Contact) -> tuple[np.ndarray, np.ndarray]:
        """Count every window of a contact rule that holds a candidate: (owner, contacts) of each.

        Past contacts count where the rule counts them.
        """
        windows = self._things(rule).begin_on_things(_length(rule))
        return windows.owner[windows.held], (windows.classes + windows.past)[windows.held]

    def emptiest(self, rule: Contact) -> tuple[np.ndarray, np.ndarray]:
        """Count every window that a minimum is asked of: (owner, contacts) of each."""
        windows = self._asked(rule, self._things(rule))
        count = windows.classes + windows.past
        asked = count > 0 if rule.min_or_none else np.ones(len(count), bool)
        return windows.owner[asked], count[asked]

    @states("bounds of customers")
    def bound(self, rule: Contact, side: str) -> np.ndarray:
        """Return the bound of every owner, a customer or a household."""
        bound = getattr(rule, side)
        size = len(self.units.names) if rule.unit == "household" else len(self.catalogue.entities["customer"])
        if not isinstance(bound, ColumnBound):
            return np.full(size, bound, np.int64)
        by_customer = self._column(rule, bound.column)
        if rule.unit == "customer":
            return by_customer
        found = np.zeros(size, np.int64)
        found[self.units.of] = by_customer
        for code in np.flatnonzero(found[self.units.of] != by_customer)[:10]:
            household = self.units.names[self.units.of[code]]
            self.scopes.fault(
                rule.name, f"the members of household {household} have different {bound.column}",
                "A household has one bound: give its members the same.",
            )  # fmt: skip
        return found

    def _rows(self, rule: Contact) -> list[UnitRows]:
        things = self._things(rule)
        parts = []
        if rule.max is not None:
            windows = things.begin_on_things(_length(rule))
            cap = self.bound(rule, "max")[windows.owner]
            parts.append(windows.at_most(cap, self._unit(rule, windows.owner), rule.name))
        if rule.min is not None:
            lo = self.bound(rule, "min")
            windows = self._asked(rule, things)
            unit = self._unit(rule, windows.owner)
            parts.append(windows.at_least(lo[windows.owner], unit, rule.min_or_none, rule.name))
            if not rule.per and not rule.min_or_none and self._first_days(rule):
                # whoever has nothing at all is asked too: a row that nothing can fill
                none = np.setdiff1d(self._owners_asked(rule), things.owner)
                none = none[lo[none] > 0]
                nobody = np.zeros(0, np.int64)
                empty = np.zeros(len(none), np.int64)
                parts.append(UnitRows.of(rule.name, self._unit(rule, none), empty, nobody, nobody, lo[none]))
        return parts

    def _unit(self, rule: Contact, owner: np.ndarray) -> np.ndarray:
        """Unit of each owner: a household rule's owners are the units."""
        return owner if rule.unit == "household" else self.units.of[owner]

    def _things(self, rule: Contact) -> Things:
        """Sort out what a contact rule counts."""
        history = self.catalogue.history.take(np.zeros(0, np.int64))
        if (rule.days is not None or rule.every is not None) and self._dates_known(rule) and rule.history:
            history = self.catalogue.history
            history = history.take(self.scopes.match(rule.where, history, rule.name))
            history = history.take(history.codes["customer"] >= 0)
        inside = np.flatnonzero(matches(self.candidates, self.scopes, rule.where, rule.name))
        rows = self.first.take(inside)
        index, group, past_index, past_group = self._groups(rule, inside, rows, history)
        rows, past = rows.take(index), history.take(past_index)
        customer = np.concatenate([rows.codes["customer"], past.codes["customer"]])
        owner = self.units.of[customer] if rule.unit == "household" else customer
        day = self._period(rule, np.concatenate([rows.day, past.day]))
        candidate = np.concatenate([inside[index], np.full(len(past), -1, np.int64)])
        kind, counted = self._kinds(rule, rows, past, candidate, owner)
        group = np.concatenate([group, past_group])
        return Things.of(*(v[counted] for v in (candidate, owner, day, kind, group)))

    def _leg(self, rule: Contact, leg: int) -> np.ndarray:
        """Mark the candidates whose own leg, or whose fallback leg, is in scope."""
        rows = self.first if leg == 1 else self.second
        return self.scopes.match(rule.where, rows, rule.name) & (rows.codes["channel"] >= 0)

    def _dates_known(self, rule: Contact) -> bool:
        if not self.scopes.dates_known(rule.name, "with days"):
            return False
        if rule.every is not None and self.catalogue.start is None:
            self.scopes.fault(rule.name, f"every: {rule.every} needs calendar dates",
                              "Give the project a horizon with a start date.")  # fmt: skip
            return False
        return True

    @states("what is counted")
    def _kinds(
        self, rule: Contact, rows: Rows, past: Rows, candidate: np.ndarray, owner: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Say what each thing counts as, and which things count at all."""
        every = np.ones(len(owner), bool)
        if rule.count == "offers":
            kind = candidate.copy()
            kind[candidate < 0] = -1 - np.arange(int((candidate < 0).sum()))
            return kind, every
        both = rows.followed_by(past)
        if rule.count == "occasions":
            return numbered(owner, both.codes["channel"], both.day), every
        attribute = self.scopes.attribute(rule.count, rule.name)
        if attribute is None or attribute.separator:
            if attribute is not None:
                what = f"count: {rule.count} needs one value for each contact"
                self.scopes.fault(rule.name, what, "The column holds several values in a cell.")
            return np.zeros(len(owner), np.int64), every
        self.scopes.groups([rule.count], rows, rule.name)  # a candidate without a value is a fault
        index, _, codes = self.scopes.groups([rule.count], both, rule.name, empty_is_none=True)
        value = np.full(len(owner), -1, np.int64)
        if codes:
            value[index] = codes[0]
        return numbered(owner, value), value >= 0

    @states("horizon and calendar")
    def _period(self, rule: Contact, day: np.ndarray) -> np.ndarray:
        """Day numbers, or the numbers of the calendar weeks or months that the days are in."""
        start = self.catalogue.start
        if rule.every is None or start is None:
            return day
        date = start + (day - 1).astype("timedelta64[D]")
        if rule.every == "month":
            return date.astype("datetime64[M]").astype(np.int64)
        return (date.astype(np.int64) + FIRST_MONDAY) // 7

    def _first_days(self, rule: Contact) -> list[int]:
        """First days, or periods, of the windows that lie wholly inside the horizon."""
        first, last = self.catalogue.span
        if rule.days is not None:
            return list(range(first, last - rule.days + 2))
        if rule.every is None:
            return [0]
        around = self._period(rule, np.arange(first - 1, last + 2))
        return sorted(set(around[1:-1].tolist()) - {int(around[0]), int(around[-1])})

    def _owners_asked(self, rule: Contact) -> np.ndarray:
        """Customers, or households with a member, that are in the rule's scope themselves."""
        everybody = np.arange(len(self.catalogue.entities["customer"]), dtype=np.int64)
        mine = {a: c for a, c in rule.where.items() if a.startswith("customer.")}
        rows = Rows({"customer": everybody}, np.zeros_like(everybody))
        asked = everybody[self.scopes.match(mine, rows, rule.name)]
        return np.unique(self.units.of[asked]) if rule.unit == "household" else asked

    @states("minimum")
    def _asked(self, rule: Contact, things: Things) -> Windows:
        """List the windows that a minimum is asked of, among the owners that have anything at all.

        With ``per`` these are the groups that hold a candidate of the owner.
        """
        groups, place = np.unique(things.owner_group, return_index=True)
        if rule.per:
            groups = np.unique(things.owner_group[things.candidate >= 0])
        else:
            groups = groups[np.isin(things.owner[place], self._owners_asked(rule))]
        return things.begin_on(groups, self._first_days(rule), _length(rule))

    def _column(self, rule: Contact, column: str) -> np.ndarray:
        """Read a bound of every customer from a column."""
        customer = self.catalogue.entities["customer"]
        attribute = self.scopes.attribute(column, rule.name)
        none = np.zeros(len(customer), np.int64)
        if attribute is None:
            return none
        if attribute.entity != "customer" or not np.issubdtype(np.asarray(attribute.values).dtype, np.number):
            self.scopes.fault(rule.name, f"the bound {column} is no numeric column of the customers")
            return none
        numbers = np.asarray(attribute.values, np.float64)
        wrong = np.isnan(numbers) | (numbers < 0) | (numbers != np.floor(numbers))
        for code in np.flatnonzero(wrong)[:10]:
            self.scopes.fault(
                rule.name,
                f"customer {self.catalogue.ids_of('customer')[code]} has {column} {numbers[code]:g}",
                "Give a whole number from 0: a missing bound is not guessed.",
            )  # fmt: skip
        return np.where(wrong, 0, numbers).astype(np.int64)

    @states("each value")
    def _groups(
        self, rule: Contact, inside: np.ndarray, rows: Rows, history: Rows
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Split candidates and history by ``per``; a contact with two values is in both groups.

        With ``per`` on the channel a contact is also in the group of its fallback channel, each of
        the two if it is in scope itself.
        """
        if not rule.per:
            return (
                np.arange(len(rows)),
                np.zeros(len(rows), np.int64),
                np.arange(len(history)),
                np.zeros(len(history), np.int64),
            )
        both = rows.followed_by(history)
        if self.scopes.names_channel({}, rule.per):
            both = both.followed_by(self.second.take(inside))
        index, levels, codes = self.scopes.groups(rule.per, both, rule.name)
        group = np.zeros(len(index), np.int64)
        for values, code in zip(levels, codes, strict=True):
            group = group * max(len(values), 1) + code
        if self.scopes.names_channel({}, rule.per):
            kept = np.concatenate(
                [self._leg(rule, 1)[inside], np.ones(len(history), bool), self._leg(rule, 2)[inside]]
            )
            index, group = index[kept[index]], group[kept[index]]
        past = (index >= len(rows)) & (index < len(rows) + len(history))
        now = np.where(index >= len(rows), index - len(rows) - len(history), index)[~past]
        # a channel and its fallback may share a group
        now, group_now = distinct(now, group[~past])
        return now, group_now, index[past] - len(rows), group[past]


def matches(candidates: Candidates, scopes: Scopes, where: Mapping[str, Any], rule: str) -> np.ndarray:
    """Mark the candidates that match on their own channel or on the fallback's."""
    mask = scopes.match(where, candidates.rows(1), rule)
    if scopes.names_channel(where):
        mask |= scopes.match(where, candidates.rows(2), rule) & (candidates.fallback >= 0)
    return mask


def _length(rule: Contact) -> int:
    """Length of a rule's windows, 0 for the whole horizon; a calendar period is one long."""
    return 1 if rule.every is not None else rule.days or 0

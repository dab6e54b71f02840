"""Contact rules and conflicts: rows within one customer.

Every such rule becomes rows of one shape: *at most ``cap`` distinct classes among the chosen
members*. For ``count: offers`` each member is a class of its own; for occasions the contacts of
one channel and date share a class. A conflicting pair is a row of two members with cap 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from omniopt.actions.candidates import Candidates
from omniopt.actions.catalogue import Rows
from omniopt.rules.policy import ColumnBound, Conflict, Contact
from omniopt.rules.where import Scopes, expand


@dataclass(frozen=True)
class UnitRows:
    """Rows within units, in compressed form: members of row i are ``start[i]:start[i + 1]``.

    Attributes
    ----------
    rule : ndarray of int64, shape (r,)
        Position in ``names`` of the rule that each row comes from.
    cap : ndarray of int64, shape (r,)
        How many distinct classes may be chosen, history taken off.
    start : ndarray of int64, shape (r + 1,)
    member : ndarray of int64
        Candidates.
    occasion : ndarray of int64
        Class of each member: members of one row with the same class count once.
    names : list of str
    """

    rule: np.ndarray
    cap: np.ndarray
    start: np.ndarray
    member: np.ndarray
    occasion: np.ndarray
    names: list[str]

    def __len__(self) -> int:
        return len(self.cap)

    @staticmethod
    def stack(parts: list[UnitRows]) -> UnitRows:
        """Put the rows of several rules under one another."""
        if not parts:
            none = np.zeros(0, np.int64)
            return UnitRows(none, none, np.zeros(1, np.int64), none, none, [])
        names: list[str] = []
        rule, start, shift = [], [np.zeros(1, np.int64)], 0
        for part in parts:
            rule.append(part.rule + len(names))
            names += part.names
            start.append(part.start[1:] + shift)
            shift += part.start[-1]
        joined = {k: np.concatenate([getattr(p, k) for p in parts]) for k in ("cap", "member", "occasion")}
        return UnitRows(np.concatenate(rule), start=np.concatenate(start), names=names, **joined)


class ContactRows:
    """Turns contact rules and conflicts into unit rows; faults go to the scopes' list."""

    def __init__(self, candidates: Candidates, scopes: Scopes) -> None:
        self.candidates, self.scopes = candidates, scopes
        self.catalogue = candidates.catalogue
        self.first, self.second = candidates.rows(1), candidates.rows(2)

    def build(self, contact: list[Contact], conflicts: list[Conflict]) -> UnitRows:
        """Return the rows of all contact rules, then of all conflicts."""
        return UnitRows.stack([self._contact(r) for r in contact] + [self._conflict(r) for r in conflicts])

    def _matches(self, where: Mapping[str, Any], rule: str) -> np.ndarray:
        """Candidates that match on their own channel or on the fallback's."""
        mask = self.scopes.match(where, self.first, rule)
        if self.scopes.names_channel(where):
            mask |= self.scopes.match(where, self.second, rule) & (self.candidates.fallback >= 0)
        return mask

    def _days_needed(self, rule: str) -> None:
        if not self.catalogue.has_dates:
            self.scopes.fault(rule, "a rule with days needs a column date in the actions")

    def fullest(self, rule: Contact) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Count every window of a contact rule that holds a candidate: (customer, contacts, cap) of each.

        Past contacts count where the rule counts them.
        """
        things, cap = self._things(rule)
        windows = things.windows(rule.days or 0, rule.count == "occasions")
        held = windows.held
        customer = things.customer[windows.begin][held]
        return customer, (windows.classes + windows.past)[held], cap[customer]

    def _contact(self, rule: Contact) -> UnitRows:
        things, cap = self._things(rule)
        windows = things.windows(rule.days or 0, rule.count == "occasions")
        return windows.rows(things, cap[things.customer[windows.begin]], rule.name)

    def _things(self, rule: Contact) -> tuple[_Things, np.ndarray]:
        """Sort out what a contact rule counts, and every customer's cap."""
        cap = self._cap(rule)
        history = self.catalogue.history.take(np.zeros(0, np.int64))
        if rule.days is not None:
            self._days_needed(rule.name)
            if rule.history:
                history = self.catalogue.history
                history = history.take(self.scopes.match(rule.where, history, rule.name))
                history = history.take(history.codes["customer"] >= 0)
        inside = np.flatnonzero(self._matches(rule.where, rule.name))
        rows = self.first.take(inside)
        index, group, past_index, past_group = self._groups(rule, inside, rows, history)
        return _Things.of(inside[index], rows.take(index), group, history.take(past_index), past_group), cap

    def _cap(self, rule: Contact) -> np.ndarray:
        """Return the cap of every customer."""
        customer = self.catalogue.entities["customer"]
        if not isinstance(rule.max, ColumnBound):
            return np.full(len(customer), rule.max, np.int64)
        attribute = self.scopes.attribute(rule.max.column, rule.name)
        none = np.zeros(len(customer), np.int64)
        if attribute is None:
            return none
        if attribute.entity != "customer" or not np.issubdtype(np.asarray(attribute.values).dtype, np.number):
            self.scopes.fault(rule.name, f"the bound {rule.max.column} is no numeric column of the customers")
            return none
        numbers = np.asarray(attribute.values, np.float64)
        wrong = np.isnan(numbers) | (numbers < 0) | (numbers != np.floor(numbers))
        for code in np.flatnonzero(wrong)[:10]:
            self.scopes.fault(
                rule.name,
                f"customer {self.catalogue.ids('customer')[code]} has {rule.max.column} {numbers[code]:g}",
                "Give a whole number from 0: a missing bound is not guessed.",
            )  # fmt: skip
        return np.where(wrong, 0, numbers).astype(np.int64)

    def _groups(
        self, rule: Contact, inside: np.ndarray, rows: Rows, history: Rows
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Split candidates and history by ``per``; a contact with two values is in both groups.

        With ``per`` on the channel a contact is also in the group of its fallback channel.
        """
        if not rule.per:
            return (
                np.arange(len(rows)),
                np.zeros(len(rows), np.int64),
                np.arange(len(history)),
                np.zeros(len(history), np.int64),
            )
        both = Rows(
            {k: np.concatenate([rows.codes[k], history.codes[k]]) for k in rows.codes},
            np.concatenate([rows.day, history.day]),
        )
        if self.scopes.names_channel({}, rule.per):
            behind = self.second.take(inside)
            both = Rows(
                {k: np.concatenate([both.codes[k], behind.codes[k]]) for k in rows.codes},
                np.concatenate([both.day, behind.day]),
            )
        index, levels, codes = self.scopes.groups(rule.per, both, rule.name)
        group = np.zeros(len(index), np.int64)
        for values, code in zip(levels, codes, strict=True):
            group = group * max(len(values), 1) + code
        past = (index >= len(rows)) & (index < len(rows) + len(history))
        now = np.where(index >= len(rows), index - len(rows) - len(history), index)[~past]
        pairs = np.unique(
            np.stack([now, group[~past]]), axis=1
        )  # a channel and its fallback may share a group
        return pairs[0], pairs[1], index[past] - len(rows), group[past]

    def _conflict(self, rule: Conflict) -> UnitRows:
        self._days_needed(rule.name)
        firsts, thens = self._matches(rule.first, rule.name), self._matches(rule.then, rule.name)
        orders = [(firsts, thens, rule.first)] + ([(thens, firsts, rule.then)] if rule.either_order else [])
        barred = self._barred(rule, orders)
        alone = np.flatnonzero(barred)
        ones = np.ones(len(alone), np.int64)
        forbidden = _rows_of(ones, 0 * ones, alone, rule.name)
        if rule.first == rule.then:
            # any two within the lag clash: one row per window says so, and says it tighter than pairs
            inside = np.flatnonzero(firsts & ~barred)
            none = np.zeros(0, np.int64)
            past = self.catalogue.history.take(none)
            things = _Things.of(inside, self.first.take(inside), 0 * inside, past, none)
            windows = things.windows(rule.days, False)
            return _merged(windows.rows(things, np.ones(len(windows.begin), np.int64), rule.name), forbidden)
        pairs = [
            _followers(*self._placed(leading), *self._placed(following), rule.days)
            for leading, following, _ in orders
        ]
        pair = np.concatenate(pairs, axis=1)
        pair = np.unique(np.sort(pair[:, pair[0] != pair[1]], axis=0), axis=1)
        pair = pair[:, ~(barred[pair[0]] | barred[pair[1]])]
        ones = np.ones(pair.shape[1], np.int64)
        return _merged(_rows_of(2 * ones, ones, pair.T.ravel(), rule.name), forbidden)

    def _placed(self, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Customer, day and position of the masked candidates."""
        index = np.flatnonzero(mask)
        return self.candidates.customer[index], self.first.day[index], index

    def _barred(
        self, rule: Conflict, orders: list[tuple[np.ndarray, np.ndarray, dict[str, Any]]]
    ) -> np.ndarray:
        """Mark the candidates that past contacts and commitments rule out."""
        barred = np.zeros(len(self.candidates), bool)
        for _, following, where in orders:
            past = self.catalogue.history
            past = past.take(self.scopes.match(where, past, rule.name) & (past.codes["customer"] >= 0))
            earlier = (past.codes["customer"], past.day, np.full(len(past), -1))
            later = self._placed(following)
            barred[_followers(*earlier, *later, rule.days)[1]] = True
            if rule.either_order:  # a commitment in the future also bars what would come before it
                barred[_followers(*later, *earlier, rule.days)[0]] = True
        return barred


def _rows_of(count: np.ndarray, cap: np.ndarray, member: np.ndarray, name: str) -> UnitRows:
    """Rows with ``count`` members each, every member a class of its own."""
    start = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    return UnitRows(np.zeros(len(cap), np.int64), cap, start, member, member, [name])


def _merged(a: UnitRows, b: UnitRows) -> UnitRows:
    """Put two lots of rows of the same rule together."""
    both = UnitRows.stack([a, b])
    return UnitRows(0 * both.rule, both.cap, both.start, both.member, both.occasion, a.names)


def _followers(
    customer: np.ndarray, day: np.ndarray, thing: np.ndarray,
    then_customer: np.ndarray, then_day: np.ndarray, then_thing: np.ndarray, days: int,
) -> np.ndarray:  # fmt: skip
    """Pair each thing with the ones of its customer that follow within ``days`` days, same day included."""
    low = int(min(day.min(initial=0), then_day.min(initial=0)))
    span = int(max(day.max(initial=0), then_day.max(initial=0))) - low + days + 1
    key = then_customer * span + (then_day - low)
    order = np.argsort(key, kind="stable")
    begin = np.searchsorted(key[order], customer * span + (day - low), side="left")
    end = np.searchsorted(key[order], customer * span + (day - low) + days, side="left")
    count = end - begin
    return np.stack([np.repeat(thing, count), then_thing[order][expand(begin, count)]])


@dataclass(frozen=True)
class _Things:
    """Candidates and past contacts of one contact rule, sorted by customer, group and day."""

    candidate: np.ndarray  # -1 for a past contact
    customer: np.ndarray
    day: np.ndarray
    occasion: np.ndarray
    unit_group: np.ndarray

    @staticmethod
    def of(
        candidate: np.ndarray, rows: Rows, group: np.ndarray, past: Rows, past_group: np.ndarray
    ) -> _Things:
        customer = np.concatenate([rows.codes["customer"], past.codes["customer"]])
        channel = np.concatenate([rows.codes["channel"], past.codes["channel"]])
        day = np.concatenate([rows.day, past.day])
        code = np.concatenate([candidate, np.full(len(past), -1, np.int64)])
        _, unit_group = np.unique(
            np.stack([customer, np.concatenate([group, past_group])]), axis=1, return_inverse=True
        )
        _, occasion = np.unique(np.stack([customer, channel, day]), axis=1, return_inverse=True)
        order = np.lexsort((code, day, unit_group))
        return _Things(code[order], customer[order], day[order], occasion[order], unit_group[order])

    def windows(self, days: int, occasions: bool) -> _Windows:
        """List the windows that matter; ``days`` 0 is one window over everything.

        A window may be moved on until it begins with a contact without losing any, so those that
        begin on the days of candidates or past contacts are enough.
        """
        span = int(self.day.max(initial=0) - self.day.min(initial=0)) + days + 2
        day = self.day - self.day.min(initial=0) if days else np.zeros_like(self.day)
        key = self.unit_group * span + day
        begin = np.flatnonzero(np.diff(key, prepend=-1))
        end = np.searchsorted(key, key[begin] + max(days, 1), side="left")
        end = np.minimum(end, np.searchsorted(self.unit_group, self.unit_group[begin], side="right"))
        row = np.repeat(np.arange(len(begin)), end - begin)
        thing = expand(begin, end - begin)
        past = self.candidate[thing] < 0
        kind = self.occasion[thing] if occasions else thing
        used, taken = _distinct_past(row, kind, past, len(begin))
        new = np.unique(np.stack([row, kind])[:, ~past & ~taken], axis=1)[0]
        classes = np.bincount(new, minlength=len(begin))
        row, thing, taken = row[~past], thing[~past], taken[~past]
        # a class means the same in all rows of a rule, so positions among these things would not do
        kind = kind[~past] if occasions else self.candidate[thing]
        return _Windows(begin, end, used, classes, row, thing, kind, taken)


@dataclass(frozen=True)
class _Windows:
    """Windows over things: extent, past contacts, classes that candidates add, and memberships.

    A membership is ``taken`` if it adds nothing, its occasion being one of the past.
    """

    begin: np.ndarray
    end: np.ndarray
    past: np.ndarray
    classes: np.ndarray
    row: np.ndarray
    thing: np.ndarray
    kind: np.ndarray
    taken: np.ndarray

    @property
    def held(self) -> np.ndarray:
        """Whether a window holds a candidate."""
        return np.bincount(self.row, minlength=len(self.begin)) > 0

    def rows(self, things: _Things, cap: np.ndarray, name: str) -> UnitRows:
        """One row for every window that can be overfull."""
        room = np.maximum(cap - self.past, 0)
        group = things.unit_group[self.begin]
        over = self.past > cap  # then nothing may come, not even on an occasion of the past
        tight = (self.classes > room) | (over & self.held)
        tight &= ~_inside_previous(self.begin, self.end, group, room)
        number = np.cumsum(tight) - 1
        chosen = tight[self.row] & ~(self.taken & ~over[self.row])
        row, thing = number[self.row[chosen]], self.thing[chosen]
        start = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=int(tight.sum())))]).astype(
            np.int64
        )
        rule = np.zeros(int(tight.sum()), np.int64)
        return UnitRows(rule, room[tight], start, things.candidate[thing], self.kind[chosen], [name])


def _distinct_past(
    row: np.ndarray, kind: np.ndarray, past: np.ndarray, rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """Count the distinct classes of past contacts in each row, and mark the members that share one."""
    if not past.any():
        return np.zeros(rows, np.int64), np.zeros(len(row), bool)
    _, pair = np.unique(np.stack([row, kind]), axis=1, return_inverse=True)
    in_past = np.zeros(pair.max() + 1, bool)
    in_past[pair[past]] = True
    first = np.unique(pair[past], return_index=True)[1]
    return np.bincount(row[past][first], minlength=rows), in_past[pair] & ~past


def _inside_previous(
    begin: np.ndarray, end: np.ndarray, unit_group: np.ndarray, room: np.ndarray
) -> np.ndarray:
    """Mark windows that end where the one before ends and leave no less room: they say nothing new."""
    inside = np.zeros(len(begin), bool)
    if len(begin) > 1:
        inside[1:] = (end[1:] == end[:-1]) & (unit_group[1:] == unit_group[:-1]) & (room[1:] >= room[:-1])
    return inside

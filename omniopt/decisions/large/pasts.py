"""Units to which a rule applies alike: of the same groups, with pasts that the rule cannot tell apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from omniopt.actions.candidates import Candidates
from omniopt.actions.catalogue import Rows
from omniopt.decisions.large.bins import first_of, group_scopes, renumbered, stand_in_scopes, tell_apart
from omniopt.decisions.large.seen import Rule, seen_by
from omniopt.decisions.large.shape import Bins
from omniopt.decisions.large.values import split
from omniopt.rules.units import Units
from omniopt.rules.where import Scopes, expand


@dataclass(frozen=True)
class Members:
    """The customers of every unit: those of unit i are ``customer[start[i]:start[i + 1]]``.

    Members come by group, so that households of the same kinds of people are alike; ``number`` is the
    place of every customer within the unit.
    """

    start: np.ndarray
    customer: np.ndarray
    number: np.ndarray

    @staticmethod
    def of(grouping: Units, group_of: np.ndarray) -> Members:
        """List the members of all units."""
        if grouping.word == "customer":
            alone = np.arange(len(group_of) + 1)
            return Members(alone, alone[:-1], np.zeros(len(group_of), np.int32))
        order = np.lexsort((group_of, grouping.of))
        start = np.searchsorted(grouping.of[order], np.arange(len(grouping.names) + 1))
        number = np.zeros(len(order), np.int32)
        number[order] = np.arange(len(order)) - start[grouping.of[order]]
        return Members(start, order, number)


@dataclass(frozen=True)
class Alike:
    """Units that a rule, or a part of it, treats alike.

    Attributes
    ----------
    plain : bool
        Whether it is enough to know the groups of a unit's members.
    state : ndarray of int32, shape (units,)
        Units of the same state are alike. Of those in `Pasts.first` only, where ``plain``.
    unit : ndarray of int64, shape (states,)
        One unit of each state, which stands for it.
    past : Rows
        The past contacts that the rule can see, by customer.
    only : ndarray of bool, shape (b,)
        Bins that the part speaks of.
    """

    plain: bool
    state: np.ndarray
    unit: np.ndarray
    past: Rows
    only: np.ndarray


@dataclass(frozen=True)
class Present:
    """Which classes of bins customers have living candidates in, for rules that ask nobody else.

    Attributes
    ----------
    kind : ndarray of int64, shape (b,)
        Class of every bin, or -1 for bins that the rule does not speak of.
    customer, held : ndarray of int64, shape (m,)
        Customer and class, sorted, each pair once.
    """

    kind: np.ndarray
    customer: np.ndarray
    held: np.ndarray

    def of(self, customers: np.ndarray, group: np.ndarray, kinds: int) -> np.ndarray:
        """Mark the kinds that the rule may ask each customer about, bool of shape (customers, kinds)."""
        begin = np.searchsorted(self.customer, customers)
        count = np.searchsorted(self.customer, customers, side="right") - begin
        has = np.zeros((len(customers), int(self.kind.max(initial=0)) + 1), bool)
        has[np.repeat(np.arange(len(customers)), count), self.held[expand(begin, count)]] = True
        kind = self.kind.reshape(-1, kinds)[group]
        return (kind < 0) | np.take_along_axis(has, np.maximum(kind, 0), axis=1)


@dataclass(frozen=True)
class StandIns:
    """Candidates of some units, one for each kind that their groups have.

    Attributes
    ----------
    candidates : Candidates
    key : ndarray of int64, shape (n,)
        Key of each candidate in the unit's template.
    scopes : Scopes
    units : Units
        Numbered from 0.
    could : ndarray of int64, shape (units,)
        How many kinds of contacts there can be for each unit.
    """

    candidates: Candidates
    key: np.ndarray
    scopes: Scopes
    units: Units
    could: np.ndarray


class Pasts:
    """Finds out which units a rule treats alike.

    Attributes
    ----------
    plain : ndarray of int32, shape (units,)
        Number of every unit by the groups of its members.
    first : ndarray of int64
        The first unit of each of these numbers.
    """

    def __init__(self, bins: Bins, scopes: Scopes, members: Members) -> None:
        self.bins, self.whole, self.members = bins, scopes, members
        self.history = scopes.catalogue.history
        self.scopes = group_scopes(bins, scopes)
        self.units = np.arange(len(members.start) - 1)
        state, count = self._of_members(self.units, bins.group_of, len(bins.customer))
        self.plain = state
        self.first = first_of(state, count)

    def alike(self, rule: Rule, present: Present | None = None) -> Iterator[Alike]:
        """Yield the units that a rule treats alike, for each part of the rule."""
        own, _ = tell_apart([rule], self.scopes)
        at, label = seen_by(rule, self.scopes, self.history.codes["customer"])
        every = [(np.ones(len(self.bins), bool), np.arange(len(at)))]
        parts = split(rule, self.bins, self.scopes, self.scopes.catalogue.history.take(at))
        for only, mine in parts if present is None else every:
            open_to = np.packbits((self.bins.occurs & only).reshape(-1, self.bins.kinds), axis=1)
            kinds = np.unique(open_to, axis=0, return_inverse=True)[1].ravel()
            group, count = renumbered(kinds * len(own) + own, len(own) ** 2)
            yield self._part(only, group, count, self.history.take(at[mine]), label[mine], present)

    def _part(
        self, only: np.ndarray, group: np.ndarray, count: int, past: Rows, label: np.ndarray,
        present: Present | None,
    ) -> Alike:  # fmt: skip
        if not len(past) and present is None:
            state, states = self._of_members(self.first, group[self.bins.group_of], count)
            return Alike(True, state, self.first[first_of(state, states)], past, only)
        state = group[self.bins.group_of]
        for customer, mark in [(past.codes["customer"], label)] + (
            [] if present is None else [(present.customer, present.held)]
        ):
            state, count = _told_apart(state, count, customer, mark)
        state, states = self._of_members(self.units, state, count)
        return Alike(False, state, first_of(state, states), past, only)

    def at_once(self, candidates: int) -> int:
        """How many units have about so many candidates, at least one."""
        most = self.bins.occurs.reshape(-1, self.bins.kinds).sum(axis=1).max(initial=1)
        return max(1, candidates // int(max(most * np.diff(self.members.start).max(initial=1), 1)))

    def stand_ins(self, alike: Alike, states: slice, grouping: Units, present: Present | None) -> StandIns:
        """Return the candidates of those who stand for some states."""
        bins, members, unit = self.bins, self.members, alike.unit[states]
        size = members.start[unit + 1] - members.start[unit]
        customers = members.customer[expand(members.start[unit], size)]
        code = alike.past.codes["customer"]
        begin = np.searchsorted(code, customers)
        count = np.searchsorted(code, customers, side="right") - begin
        past = alike.past.take(expand(begin, count))
        past.codes["customer"] = np.repeat(np.arange(len(customers)), count)
        scopes = stand_in_scopes(self.whole, customers, past, pd.DataFrame())
        group = bins.group_of[customers]
        there = bins.occurs.reshape(-1, bins.kinds)[group]
        of = np.repeat(np.arange(len(unit)), size)
        could = np.bincount(of, there.sum(axis=1), minlength=len(unit)).astype(np.int64)
        there = there & alike.only.reshape(-1, bins.kinds)[group]
        if present is not None:
            there &= present.of(customers, group, bins.kinds)
        customer, kind = np.nonzero(there)
        none = np.zeros(len(kind), np.int16)
        candidates = Candidates(
            scopes.catalogue, customer, bins.action[kind], none, [""], np.ones(len(kind)), bins.fallback[kind]
        )
        units = Units(of, grouping.names[unit], grouping.word)
        key = members.number[customers][customer] * bins.kinds + kind
        return StandIns(candidates, key, scopes, units, could)

    def _of_members(self, units: np.ndarray, state: np.ndarray, count: int) -> tuple[np.ndarray, int]:
        """States of some units from those of their members, and how many there are."""
        if len(self.members.customer) == len(self.units):  # one member each
            return renumbered(state[self.members.customer[units]], count)
        begin, size = self.members.start[units], np.diff(self.members.start)[units]
        start = np.concatenate([[0], np.cumsum(size)])
        mark = state[self.members.customer[expand(begin, size)]].astype(np.int64)
        return renumbered(*sequences(np.zeros(len(units), np.int64), 1, start, mark))


def _told_apart(
    state: np.ndarray, count: int, customer: np.ndarray, mark: np.ndarray
) -> tuple[np.ndarray, int]:
    """Split states by the marks that their customers have, in any order."""
    order = np.lexsort((mark, customer))
    customer, mark = customer[order], mark[order]
    begin = np.flatnonzero(np.diff(customer, prepend=-1))
    who = customer[begin]
    own, count = sequences(state[who], count, np.append(begin, len(customer)), mark)
    found = state.astype(np.int64)
    found[who] = own
    return renumbered(found, count)


def sequences(state: np.ndarray, count: int, start: np.ndarray, mark: np.ndarray) -> tuple[np.ndarray, int]:
    """Number the distinct (state, sequence of marks); those without marks keep their numbers.

    Parameters
    ----------
    state : ndarray of int64, shape (m,)
        Below ``count``.
    start : ndarray of int64, shape (m + 1,)
        Marks of the i-th are ``mark[start[i]:start[i + 1]]``.

    Returns
    -------
    ndarray of int64, shape (m,)
        Not all numbers need to occur.
    int
        Above all of them.
    """
    state = state.astype(np.int64)
    size, marks = np.diff(start), int(mark.max(initial=0)) + 1
    active, nth = np.flatnonzero(size > 0), 0
    while len(active):
        place, distinct = pd.factorize(state[active] * marks + mark[start[active] + nth])
        state[active] = count + place
        count += len(distinct)
        nth += 1
        active = active[size[active] > nth]
    return state, count

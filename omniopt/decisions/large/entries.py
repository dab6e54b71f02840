"""What a plan uses of every rule of a large problem, for its certificate.

Contact rules count windows over the contacts of some units only: of all units that a rule treats
alike and that were given contacts of the same kinds, one is looked at, and stands for the others.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pandas as pd

from omniopt.actions.candidates import Candidates
from omniopt.actions.catalogue import Rows
from omniopt.decisions.certificate import contact_entry, entry_of, limit_entries
from omniopt.decisions.large.bins import (
    bin_candidates,
    first_of,
    group_scopes,
    renumbered,
    stand_in_scopes,
)
from omniopt.decisions.large.pasts import Members, sequences
from omniopt.decisions.large.seen import seen_by
from omniopt.decisions.large.shape import Columns, Large, Templates
from omniopt.errors import Faults
from omniopt.rules.contact import ContactRows, matches
from omniopt.rules.policy import Contact, Requires
from omniopt.rules.unit_rows import NO_CAP
from omniopt.rules.units import Units
from omniopt.rules.where import Scopes, expand
from omniopt.tables.storage import in_threads

PART = 50_000  # units looked at in one go


def rule_entries(
    large: Large, chosen: np.ndarray, used: np.ndarray, prices: np.ndarray
) -> list[dict[str, Any]]:
    """Return what every rule allows, what the plan uses of it, and its price.

    Parameters
    ----------
    large : Large
    chosen : ndarray of int64
        Places of the chosen candidates, ascending.
    used : ndarray of float64, shape (b t,)
        Their sums of measures by (bin, term).
    prices : ndarray of float64, shape (k + q,)
    """
    entries = limit_entries(large, used, prices)
    scopes = Scopes(large.catalogue, Faults())
    counted = _Counted(large, chosen, scopes)
    entries += [counted.entry(rule) for rule in large.policy.contact]
    entries += _pair_entries(large, used, counted.groups)
    for name, matched in large.eligibility.items():
        dropped = large.dropped.get(name, 0)
        entries.append(entry_of(name, "eligibility", used=0.0, dropped=dropped, matched=matched))
    return entries


def customer_of(columns: Columns, at: np.ndarray) -> np.ndarray:
    """Return the customer of some candidates, int64."""
    own = at if len(columns.key) else unit_of(columns, at)
    return columns.customer[own].astype(np.int64)


def unit_of(columns: Columns, at: np.ndarray) -> np.ndarray:
    """Return the unit of some candidates, int64."""
    return np.searchsorted(columns.start, at, side="right") - 1


# ---- contact rules


class _Counted:
    """Counts the contacts of units, by unit code, those without any candidate included."""

    def __init__(self, large: Large, chosen: np.ndarray, scopes: Scopes) -> None:
        self.large, self.chosen, self.scopes = large, chosen, scopes
        self.groups = group_scopes(large.bins, scopes)
        self.members = Members.of(large.grouping, large.bins.group_of)
        columns = large.columns
        self.customer = customer_of(columns, chosen)
        count = np.bincount(large.grouping.of[self.customer], minlength=len(self.members.start) - 1)
        self.start = np.concatenate([[0], np.cumsum(count)])
        self.key = columns.key[chosen] if len(columns.key) else columns.bin[chosen] % large.bins.kinds
        self.plain = self._patterns(large.bins.group_of, len(large.bins.customer))

    def entry(self, rule: Contact) -> dict[str, Any]:
        """Report a contact rule."""
        history = self.large.catalogue.history
        at, label = seen_by(rule, self.groups, history.codes["customer"])
        past = history.take(at)
        unit, times = self._with_past(past.codes["customer"], label) if len(at) else self.plain
        if rule.min is None:  # then who gets nothing is not asked about
            some = self.start[unit + 1] > self.start[unit]
            unit, times = unit[some], times[some]
        customers, plan = self._plan(past, unit)
        if rule.unit == "customer":
            times = times[self._rank(unit)[self.large.grouping.of[customers]]]
        return contact_entry(rule, plan, times)

    def _with_past(self, customer: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tell customers apart by the labels of their past contacts, too."""
        group_of = self.large.bins.group_of
        start = np.searchsorted(customer, np.arange(len(group_of) + 1))
        return self._patterns(*sequences(group_of, len(self.large.bins.customer), start, label))

    def _patterns(self, state: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return one unit of each sort, by its members' states and its contacts, and how many there are."""
        members = self.members
        if self.large.grouping.word == "household":
            none = np.zeros(len(members.start) - 1, np.int64)
            state, count = sequences(none, 1, members.start, state[members.customer].astype(np.int64))
        pattern, count = sequences(state, count, self.start, self.key.astype(np.int64))
        pattern, count = renumbered(pattern, count)
        return first_of(pattern, count), np.bincount(pattern, minlength=count)

    def _rank(self, unit: np.ndarray) -> np.ndarray:
        """Return the place of each unit in a list of some, by unit code."""
        rank = np.zeros(len(self.start) - 1, np.int64)
        rank[unit] = np.arange(len(unit))
        return rank

    def _plan(self, past: Rows, unit: np.ndarray) -> tuple[np.ndarray, ContactRows]:
        """Return the members of some units, and their contacts as the rules' own code knows them."""
        large, members = self.large, self.members
        size = members.start[unit + 1] - members.start[unit]
        customers = members.customer[expand(members.start[unit], size)]
        code = past.codes["customer"]
        begin = np.searchsorted(code, customers)
        count = np.searchsorted(code, customers, side="right") - begin
        past = past.take(expand(begin, count))
        past.codes["customer"] = np.repeat(np.arange(len(customers)), count)
        scopes = stand_in_scopes(self.scopes, customers, past, pd.DataFrame())
        own = self.start[unit + 1] - self.start[unit]
        at = expand(self.start[unit], own)
        whose = np.repeat(np.cumsum(size) - size, own) + members.number[self.customer[at]]
        kind = large.columns.bin[self.chosen[at]] % large.bins.kinds
        none = np.zeros(len(at), np.int16)
        candidates = Candidates(
            scopes.catalogue,
            whose,
            large.bins.action[kind],
            none,
            [""],
            1.0 + none,
            large.bins.fallback[kind],
        )
        of = np.repeat(np.arange(len(unit)), size)
        units = Units(of, large.grouping.names[unit], large.grouping.word)
        return customers, ContactRows(candidates, scopes, units)


# ---- conflicts and prerequisites


def _pair_entries(large: Large, used: np.ndarray, scopes: Scopes) -> list[dict[str, Any]]:
    """Report for how many customers each conflict and each requirement rules anything out."""
    policy = large.policy
    rules = [*((r, "conflict") for r in policy.conflicts), *((r, "requires") for r in policy.requires)]
    touched = _touched(large, [rule.name for rule, _ in rules]) if rules else {}
    contacts = used[:: large.bins.width]
    at = np.flatnonzero(contacts)
    candidates = bin_candidates(large.bins, at, scopes.catalogue)
    entries = []
    for rule, kind in rules:
        own = 0.0
        if isinstance(rule, Requires):
            own = float(contacts[at][matches(candidates, scopes, rule.offer, rule.name)].sum())
        entries.append(entry_of(rule.name, kind, used=own, customers=touched[rule.name]))
    return entries


def _touched(large: Large, names: list[str]) -> dict[str, int]:
    """Count the customers to whom rules leave less than all of their candidates."""
    columns, templates = large.columns, large.templates
    number = np.array([names.index(n) if n in names else -1 for n in templates.names], np.int64)
    index = _index(templates, number[templates.rule])
    customer = columns.customer if len(columns.key) else np.zeros(0, np.int32)
    starts = range(0, columns.units, PART)

    def count(begin: int) -> np.ndarray:
        found = np.zeros(len(names), np.int64)
        _count(
            begin, min(begin + PART, columns.units), columns.start, columns.bin, columns.base, columns.key,
            customer, columns.template, templates.key_start, *index, found,
        )  # fmt: skip
        return found

    total = sum(in_threads(count, starts), np.zeros(len(names), np.int64))
    return {name: int(n) for name, n in zip(names, total, strict=True)}


def _index(templates: Templates, rule: np.ndarray) -> tuple[Any, ...]:
    """List by key what is counted: caps that can be broken, and keys that need others.

    A key that needs others counts as a member of a row of its own that leaves no room.

    Returns
    -------
    start : ndarray of int64
        Entries of the i-th key are ``start[i]:start[i + 1]``.
    row, slot, cap, rule : ndarray of int64
        Of each entry; rows and slots are numbered within templates.
    rules : ndarray of int64, shape (s,)
        How many rules each template has rows of.
    size : int
        Above all numbers of rows and slots.
    """
    template = np.repeat(np.arange(len(templates)), np.diff(templates.row_start))
    of_key = np.repeat(np.arange(len(templates)), np.diff(templates.key_start))
    place = np.repeat(np.arange(len(of_key)), np.diff(templates.entry_start))
    row = templates.row_start[of_key[place]] + templates.entry_row
    counted = (rule[row] >= 0) & (templates.cap[row] < NO_CAP)
    needs = np.flatnonzero((rule >= 0) & (templates.trigger >= 0))
    widest = int(np.diff(templates.row_start).max(initial=0))
    own = needs - templates.row_start[template[needs]] + widest
    place = np.append(place[counted], templates.key_start[template[needs]] + templates.trigger[needs])
    order = np.argsort(place, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(place, minlength=len(of_key)))])
    columns = [
        (templates.entry_row[counted], own),
        (templates.entry_slot[counted], 0 * own),
        (templates.cap[row][counted], 0 * own),
        (rule[row][counted], rule[needs]),
    ]
    entries = [np.append(a, b)[order].astype(np.int64) for a, b in columns]
    pairs = np.unique(np.stack([template, rule])[:, rule >= 0], axis=1)
    rules = np.bincount(pairs[0], minlength=len(templates))
    return start, *entries, rules, 1 + max(2 * widest, int(templates.slots.max(initial=0)))


@numba.njit(cache=True, nogil=True)
def _count(  # type: ignore[no-untyped-def]
    first, last, unit_start, bin, base, key, customer, template, key_start, start, row, slot, cap, rule,
    rules, size, found,
):  # fmt: skip
    """Add to ``found`` for each rule the customers of whom it could rule something out.

    What is marked with the number of the customer at hand belongs to that customer.
    """
    count, marked, taken = np.zeros(size, np.int64), np.full(size, -1, np.int64), np.full(size, -1, np.int64)
    known = np.full(len(found), -1, np.int64)
    who, left = -1, 0
    for u in range(first, last):
        t = template[u]
        for j in range(unit_start[u], unit_start[u + 1]):
            if j == unit_start[u] or (len(customer) and customer[j] != customer[j - 1]):
                who, left = who + 1, rules[t]
            if left == 0:
                continue
            place = key_start[t] + (key[j] if len(key) else bin[j] - base[u])
            for e in range(start[place], start[place + 1]):
                r = row[e]
                if known[rule[e]] == who:
                    continue
                if cap[e] > 0:
                    if taken[slot[e]] == who:
                        continue
                    taken[slot[e]] = who
                if marked[r] != who:
                    marked[r], count[r] = who, 0
                count[r] += 1
                if count[r] > cap[e]:
                    known[rule[e]] = who
                    found[rule[e]] += 1
                    left -= 1

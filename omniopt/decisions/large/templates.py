"""Rows within units, made once for all units to which they apply alike.

The rules' own code is run on one unit of each sort, with every kind of contact that its customers
could have as a candidate. What comes out, rule by rule, is an *effect*: rows over keys. Units with
the same effects share a template.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from omniopt.actions.candidates import Candidates
from omniopt.decisions.large.bins import first_of, renumbered
from omniopt.decisions.large.effects import Effects, rows_of
from omniopt.decisions.large.living import present_of, sees_living
from omniopt.decisions.large.pasts import Members, Pasts
from omniopt.decisions.large.seen import Rule
from omniopt.decisions.large.shape import Bins, Columns, Templates
from omniopt.rules.contact import ContactRows
from omniopt.rules.policy import ColumnBound, Contact, Policy
from omniopt.rules.unit_rows import ALWAYS, ANY, NO_CAP, UnitRows
from omniopt.rules.units import Units
from omniopt.rules.where import Scopes, expand

LOCK = "lock"
NOBODY = -3  # a trigger that a unit does not have
AT_ONCE = 300_000  # candidates of stand-ins that rules are run on at once
Pairs = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class StatedTemplates:
    """Templates, and whose they are.

    Attributes
    ----------
    templates : Templates
    template_of : ndarray of int32, shape (units,)
        By unit code.
    member : ndarray of int32, shape (customers,)
        Number of every customer within the unit; its keys begin at that many kinds.
    """

    templates: Templates
    template_of: np.ndarray
    member: np.ndarray


def state_templates(
    policy: Policy, bins: Bins, scopes: Scopes, grouping: Units, locks: Pairs | None = None,
    living: Pairs | None = None,
) -> StatedTemplates:  # fmt: skip
    """State the rows of all rules within units.

    Parameters
    ----------
    policy : Policy
    bins : Bins
        Those that occur are the contacts that there can be.
    scopes : Scopes
        Of all customers; gets the faults.
    grouping : Units
    locks : pair of ndarray of int64, optional
        Customer and kind of the contacts that have to be chosen.
    living : pair of ndarray, optional
        Customer and bin of every living candidate; needed where `asks_living` says so.

    Returns
    -------
    StatedTemplates
    """
    rules: list[Rule] = [*policy.contact, *policy.conflicts, *policy.requires]
    names = list(dict.fromkeys([*(rule.name for rule in rules), LOCK]))
    members = Members.of(grouping, bins.group_of)
    pasts, effects = Pasts(bins, scopes, members), Effects()
    found: list[tuple[bool, np.ndarray]] = []
    for rule in rules:
        if _faulty_bounds(rule, scopes, grouping):
            continue
        number = names.index(rule.name)
        if grouping.word == "customer" or (isinstance(rule, Contact) and rule.unit == "household"):
            found += _effects_of(rule, number, pasts, grouping, effects, living)
        else:
            found += _effects_of_members(rule, number, pasts, scopes, effects, living)
    together = _Together(np.diff(members.start)[pasts.first])
    for plain, effect in found:
        if plain:
            together.add(effect)
    together.spread(pasts.plain)
    for plain, effect in found:
        if not plain:
            together.add(effect)
    if locks is not None and len(locks[0]):
        place = members.number[locks[0]] * bins.kinds + locks[1]
        together.add(_locked(grouping.of[locks[0]], place, len(pasts.units), effects, names.index(LOCK)))
    keys, table = together.table[:, 0] * bins.kinds, together.table[:, 1:]
    templates = effects.templates(table // 2, keys, np.asarray((table % 2).max(axis=1, initial=0) > 0), names)
    return StatedTemplates(templates, together.number.astype(np.int32), members.number)


def _effects_of(
    rule: Rule, number: int, pasts: Pasts, grouping: Units, effects: Effects, living: Pairs | None
) -> Iterator[tuple[bool, np.ndarray]]:
    """Find out what each part of a rule does to every unit.

    Yields
    ------
    bool
        Whether it is enough to know the groups of a unit's members.
    effect : ndarray of int64, shape (units,)
        Of every unit, or only of those in `Pasts.first`: twice its number, and 1 more if one row of it
        allows one contact of all that can be.
    """
    present = None
    if isinstance(rule, Contact) and sees_living(rule) and living is not None:
        present = present_of(rule, pasts.bins, pasts.scopes, *living)
    optional = isinstance(rule, Contact) and bool(rule.per) and present is None
    faults = pasts.whole.faults
    before = len(faults)
    for alike in pasts.alike(rule, present):
        found = np.zeros(len(alike.unit), np.int64)
        for begin in range(0, max(len(found), 1), pasts.at_once(AT_ONCE)):
            some = slice(begin, begin + pasts.at_once(AT_ONCE))
            stand_ins = pasts.stand_ins(alike, some, grouping, present)
            rows = rows_of(rule, stand_ins)
            cut = effects.cut(rows, stand_ins.key, len(stand_ins.could), number, optional)
            found[some] = 2 * cut + (np.array(effects.widest)[cut] == stand_ins.could)
            if len(faults) > before:  # all others would only bring the same faults
                return
        yield alike.plain, found[alike.state]


def _effects_of_members(
    rule: Rule, number: int, pasts: Pasts, scopes: Scopes, effects: Effects, living: Pairs | None
) -> Iterator[tuple[bool, np.ndarray]]:
    """Do as `_effects_of` where units are households and a rule speaks of each member alone.

    So that members with pasts of their own need not be looked at together: what the rule does to a
    customer, moved to the keys of each member in turn.
    """
    bins, members = pasts.bins, pasts.members
    customers = np.arange(len(bins.group_of))
    alone = Units(customers, scopes.catalogue.ids_of("customer"), "customer")
    single = Pasts(bins, scopes, Members.of(alone, bins.group_of))
    for plain, by_customer in _effects_of(rule, number, single, alone, effects, living):
        effect = (by_customer[single.plain] if plain else by_customer) // 2
        units = pasts.first if plain else pasts.units
        size = np.diff(members.start)[units]
        for member in range(int(size.max(initial=0))):
            has = np.flatnonzero(size > member)
            whose = members.customer[members.start[units[has]] + member]
            found = np.zeros(len(units), np.int64)
            found[has] = 2 * effects.moved(effect[whose], member * bins.kinds)
            yield plain, found


def _faulty_bounds(rule: Rule, scopes: Scopes, grouping: Units) -> bool:
    """Whether customers' own bounds are wrong; only here all customers are looked at."""
    if not isinstance(rule, Contact):
        return False
    before = len(scopes.faults)
    nothing = np.zeros(0, np.int64)
    nobody = Candidates(scopes.catalogue, nothing, nothing, nothing, [""], nothing, nothing)
    for side in ("min", "max"):
        if isinstance(getattr(rule, side), ColumnBound):
            ContactRows(nobody, scopes, grouping).bound(rule, side)
    return len(scopes.faults) > before


class _Together:
    """Numbers the distinct combinations of what rules do to units.

    Attributes
    ----------
    number : ndarray of int64, shape (units,)
    table : ndarray of int64, shape (combinations, 1 + rules)
    """

    def __init__(self, first: np.ndarray) -> None:
        self.number = np.zeros(len(first), np.int64)
        self.table = np.zeros((min(len(first), 1), 0), np.int64)
        self.add(first)

    def add(self, code: np.ndarray) -> None:
        """Tell units with different codes apart."""
        size = int(code.max(initial=0)) + 1
        number, count = renumbered(self.number * size + code, len(self.table) * size)
        first = first_of(number, count)
        self.table = np.column_stack([self.table[self.number[first]], code[first]])
        self.number = number.astype(np.int64)

    def spread(self, state: np.ndarray) -> None:
        """Go over from states to units."""
        self.number = self.number[state]


def _locked(unit: np.ndarray, key: np.ndarray, units: int, effects: Effects, rule: int) -> np.ndarray:
    """Say what locks do to every unit, as `_effects_of` does: a row of one key that is asked for."""
    found = np.zeros(units, np.int64)
    order = np.argsort(unit, kind="stable")
    whose, begin = np.unique(unit[order], return_index=True)
    for one, keys in zip(whose, np.split(key[order], begin[1:]), strict=True):
        keys = np.unique(keys)
        number = np.arange(len(keys))
        row = [1, NO_CAP, ALWAYS, 0, rule]
        rows = np.tile(np.array(row, np.int32), (len(keys), 1))
        found[one] = 2 * effects.take(rows, np.stack([number, keys, number], axis=1).astype(np.int32))
    return found


def unmet(templates: Templates, template_of: np.ndarray, empty: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the units that have to get contacts and have none to get.

    Parameters
    ----------
    templates : Templates
    template_of : ndarray of int32
        By unit code.
    empty : ndarray of int64
        Codes of units without a living candidate.

    Returns
    -------
    unit, rule : ndarray of int64
        The rule as its position in ``templates.names``; the first one of each unit.
    """
    asks = np.flatnonzero((templates.lo > 0) & (templates.trigger == ALWAYS) & ~templates.optional)
    template = np.searchsorted(templates.row_start, asks, side="right") - 1
    first = np.full(len(templates), -1, np.int64)
    first[template[::-1]] = templates.rule[asks[::-1]]
    rule = first[template_of[empty]]
    return empty[rule >= 0], rule[rule >= 0]


def unit_rows_of(templates: Templates, columns: Columns, units: np.ndarray) -> UnitRows:
    """Write the rows of some units down over their candidates, numbered from 0.

    Rows that cannot be broken are left out.

    Parameters
    ----------
    templates : Templates
    columns : Columns
    units : ndarray of int64, shape (m,)
        Ascending.

    Returns
    -------
    UnitRows
        ``unit`` is the place in ``units``.
    """
    size = columns.start[units + 1] - columns.start[units]
    at = expand(columns.start[units], size)
    unit = np.repeat(np.arange(len(units)), size)
    key = _keys(columns, units, unit, at)
    template = columns.template[units]
    row_count = np.diff(templates.row_start)[template]
    row = expand(templates.row_start[template], row_count)  # of the templates
    row_unit = np.repeat(np.arange(len(units)), row_count)
    begin = templates.entry_start[templates.key_start[template][unit] + key]
    count = templates.entry_start[templates.key_start[template][unit] + key + 1] - begin
    entry, member = expand(begin, count), np.repeat(np.arange(len(at)), count)
    of = (np.cumsum(row_count) - row_count)[unit[member]] + templates.entry_row[entry]
    slot = templates.entry_slot[entry]
    order = np.argsort(of, kind="stable")
    of, member, slot = of[order], member[order], slot[order]
    sizes = np.bincount(of, minlength=len(row))
    trigger = _triggers(templates.trigger[row].astype(np.int64), row_unit, unit, key)
    lo = np.where(trigger == NOBODY, 0, templates.lo[row]).astype(np.int64)
    lo[(templates.optional[row] | (trigger == ANY)) & (sizes == 0)] = 0
    trigger[trigger == NOBODY] = ALWAYS
    cap = templates.cap[row].astype(np.int64)
    kept = (lo > 0) | (sizes > cap)
    stays = kept[of]
    start = np.concatenate([[0], np.cumsum(sizes[kept])])
    return UnitRows(
        templates.rule[row][kept].astype(np.int64), lo[kept], cap[kept], trigger[kept], row_unit[kept], start,
        member[stays], slot[stays].astype(np.int64), templates.names,
    )  # fmt: skip


def _keys(columns: Columns, units: np.ndarray, unit: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the key of each candidate in its unit's template."""
    if len(columns.key):
        return columns.key[at].astype(np.int64)
    return columns.bin[at].astype(np.int64) - columns.base[units][unit]


def _triggers(trigger: np.ndarray, row_unit: np.ndarray, unit: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Turn triggering keys into candidates, `NOBODY` where a unit does not have the key."""
    named = np.flatnonzero(trigger >= 0)
    if not len(named):
        return trigger
    span = int(max(key.max(initial=0), trigger.max())) + 1
    place = unit * span + key
    order = np.argsort(place, kind="stable")
    wanted = row_unit[named] * span + trigger[named]
    found = np.searchsorted(place[order], wanted)
    found = np.minimum(found, len(place) - 1)
    trigger[named] = np.where(place[order][found] == wanted, order[found], NOBODY) if len(place) else NOBODY
    return trigger

"""Contact rules: at most, or at least, so many contacts of a customer or a household in every window.

The rules are asked twice with the same code: of the plan (is a rule broken?) and of the candidates that a
unit's best set might hold (what may stand together, what is asked for?).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from omniopt.audit.arrays import expand
from omniopt.audit.candidates import Candidates
from omniopt.audit.inputs import Inputs
from omniopt.audit.rounding import CAP
from omniopt.audit.scope import (
    DAYS,
    Rows,
    Unchecked,
    World,
    attribute,
    canonical,
    concat,
    flag,
    groups,
    known_keys,
    matches,
    split_by,
    whole,
)
from omniopt.audit.units import households, of_units
from omniopt.errors import Faults

KEYS = {
    "name", "where", "per", "max", "min", "min_or_none", "days", "every", "history", "count", "unit",
}  # fmt: skip
# Before and after every day there is.
EVER = DAYS


@dataclass
class ContactRule:
    """At most ``cap`` and at least ``least`` things counted in every window.

    Attributes
    ----------
    owner : ndarray of int
        The unit of each customer: itself, or its household.
    cap, least : ndarray of float
        Per unit; infinite and 0 where nothing is asked, NaN where it should be said and is not.
    or_none : bool
        Nothing at all will do as well as the minimum.
    days : int or None
        Length of the moving windows.
    every : str or None
        ``week`` or ``month``; without either, the one window is the whole horizon.
    history : bool
        Past contacts and commitments count.
    count : str
        ``offers``, ``occasions``, or the attribute whose distinct values count.
    """

    name: str
    where: Mapping[str, Any] | None
    per: list[str]
    owner: np.ndarray
    household: bool
    cap: np.ndarray
    least: np.ndarray
    or_none: bool
    days: int | None
    every: str | None
    history: bool
    count: str

    def asks(self) -> bool:
        """Whether anything is asked for."""
        return bool((np.nan_to_num(self.least, nan=1.0) > 0).any())


def read_contact(inputs: Inputs, rule: Mapping[str, Any]) -> ContactRule:
    """A contact rule of the policy; Unchecked if it says anything this check cannot read."""
    known_keys(rule, KEYS, "contact rules")
    world, unit, count = inputs.world, rule.get("unit", "customer"), rule.get("count", "offers")
    if unit not in ("customer", "household"):
        raise Unchecked(f"unit: {unit!r} is not known to this check")
    if not isinstance(count, str):
        raise Unchecked(f"count: {count!r} is not known to this check")
    if "max" not in rule and "min" not in rule:
        raise Unchecked("the rule has neither max nor min")
    or_none, history = flag(rule, "min_or_none"), flag(rule, "history", default=True)
    if or_none and "min" not in rule:
        raise Unchecked("min_or_none needs a min")
    days, every = rule.get("days"), rule.get("every")
    if days is not None:
        days = whole(days, "days")
    if every is not None:
        if every not in ("week", "month") or days is not None:
            raise Unchecked(f"every: {every!r} is not known to this check, or not beside days")
        world.period(np.zeros(1, dtype=np.int64), every)
    size = len(world.ids["customer"])
    owner = households(inputs) if unit == "household" else np.arange(size)
    return ContactRule(
        str(rule.get("name")), rule.get("where"), split_by(rule), np.append(owner, -1), unit == "household",
        of_units(inputs, rule.get("max"), owner, np.inf, "max"),
        of_units(inputs, rule.get("min"), owner, 0.0, "min"),
        or_none, days, every, (days or every) is not None and history, count,
    )  # fmt: skip


@dataclass
class Tokens:
    """What a contact rule counts, one line per thing counted on a day, sorted by `key`, `day` and `kind`.

    Attributes
    ----------
    key, owner : ndarray of int
        Unit and group, and the unit alone.
    day : ndarray of int
    kind : ndarray of int
        Things of one kind count once in a window.
    base : ndarray of bool
        It counts whatever is chosen: history, or a locked contact.
    item : ndarray of bool
        At least one item stands behind it.
    item_of, token_of : ndarray of int
        Which item is (also) which token; a token of history has no item, an occasion may have several.
    labels : int
        Groups of each unit; ``key`` is ``owner * labels + group``.
    once : bool
        A kind lies on one day only, so that tokens need not be told apart by kind.
    """

    key: np.ndarray
    owner: np.ndarray
    day: np.ndarray
    kind: np.ndarray
    base: np.ndarray
    item: np.ndarray
    item_of: np.ndarray
    token_of: np.ndarray
    labels: int
    once: bool


@dataclass
class Windows:
    """Windows that matter: tokens ``low`` to ``high`` (exclusive), how many kinds are base, and the bound."""

    low: np.ndarray
    high: np.ndarray
    base: np.ndarray
    number: np.ndarray
    cap: np.ndarray
    owner: np.ndarray
    day: np.ndarray


def in_scope(
    inputs: Inputs,
    candidates: Candidates,
    items: np.ndarray,
    where: Any,
    past: Rows | None,
    owner: np.ndarray | None = None,
) -> tuple[Rows, np.ndarray, Rows]:
    """Rows in scope, the item each is a leg of (-1 for history), and the rows on the items' own channels."""
    chosen = candidates.rows.take(items)
    second, rows = candidates.take(items).second_leg()
    parts, own, item = [chosen, rows], [chosen, chosen.take(second)], [np.arange(len(items)), second]
    if past is not None:
        of, near = (r.customer if owner is None else owner[r.customer] for r in (past, chosen))
        past = past.take(np.isin(of, near) & (past.customer >= 0))
        parts.append(past)
        own.append(past)
        item.append(np.full(len(past), -1))
    everything = concat(parts)
    mask = matches(inputs.world, everything, where)
    return everything.take(mask), np.concatenate(item)[mask], concat(own).take(mask)


def tokens(
    inputs: Inputs,
    candidates: Candidates,
    items: np.ndarray,
    rule: ContactRule,
    past: Rows,
    fixed: np.ndarray | None = None,
) -> Tokens:
    """What the rule counts among some candidates and in the history of their units.

    Parameters
    ----------
    items : ndarray of int
        Positions of candidates.
    past : Rows
        Contacts of the past and commitments that count.
    fixed : ndarray of bool, optional
        Items that are chosen in any case.
    """
    rows, item, own = in_scope(
        inputs, candidates, items, rule.where, past if rule.history else None, rule.owner
    )
    index, group, labels = groups(inputs.world, rows, rule.per)
    kind = _kinds(inputs.world, own, item, rule.count)[index]
    item, day, owner = item[index], rows.day[index], rule.owner[rows.customer[index]]
    width = max(len(labels), 1)
    key = owner * width + group
    # Both legs of a contact may match: it is still one contact.
    stem = np.where(item >= 0, item, len(items) + np.arange(len(item)))
    _, once = np.unique(key * (len(items) + len(item)) + stem, return_index=True)
    once = once[kind[once] >= 0]
    key, day, item, kind, owner = key[once], day[once], item[once], kind[once], owner[once]
    order = np.lexsort((item, kind, day, key))
    key, day, item, kind, owner = (a[order] for a in (key, day, item, kind, owner))
    new = np.ones(len(key), dtype=bool)
    if rule.count != "offers" and len(key):
        new[1:] = (key[1:] != key[:-1]) | (day[1:] != day[:-1]) | (kind[1:] != kind[:-1])
    token = np.cumsum(new) - 1
    size = int(new.sum())
    locked = np.append(np.zeros(len(items), dtype=bool) if fixed is None else fixed, False)[item]
    base, free = (item < 0) | locked, (item >= 0) & ~locked
    any_base, any_item = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    any_base[token[base]] = True
    any_item[token[item >= 0]] = True
    return Tokens(
        key[new], owner[new], day[new], kind[new], any_base, any_item, item[free], token[free], width,
        rule.count in ("offers", "occasions"),
    )  # fmt: skip


def _kinds(world: World, own: Rows, item: np.ndarray, count: str) -> np.ndarray:
    """What tells things counted apart, for each row; -1 for a past contact that has no value of it."""
    if count == "offers":
        return np.arange(len(own))
    if count == "occasions":
        # Tokens of different days are different ones already.
        return np.where(own.channel >= 0, own.channel, len(world.ids["channel"]))
    values, position, separator = attribute(world, own, count)
    if separator:
        raise Unchecked(f"'{count}' holds several values in a cell and cannot be counted")
    # Values that are one text are one value.
    names = [canonical(value) for value in values]
    number = {name: k for k, name in enumerate(dict.fromkeys(n for n in names if n is not None))}
    codes = np.array([*(-1 if name is None else number[name] for name in names), -1], dtype=np.int64)
    kind = codes[position]
    if (kind[item >= 0] < 0).any():
        raise Unchecked(f"a candidate has no '{count}' that could be counted")
    return kind


def items_of(told: Tokens, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The items behind tokens, and for each of them which entry of `at` it stands behind."""
    order = np.argsort(told.token_of, kind="stable")
    begin = np.searchsorted(told.token_of[order], np.arange(len(told.key) + 1))
    pick, which = expand(begin[at], begin[at + 1])
    return told.item_of[order[pick]], which


def kinds_in(told: Tokens, low: np.ndarray, high: np.ndarray, which: np.ndarray | None = None) -> np.ndarray:
    """How many different kinds of tokens (of `which`) windows hold."""
    if told.once:
        flag = np.ones(len(told.key), dtype=np.int64) if which is None else which.astype(np.int64)
        before = np.append(0, np.cumsum(flag))
        return before[high] - before[low]
    at, of = expand(low, high)
    if which is not None:
        at, of = at[which[at]], of[which[at]]
    width = int(told.kind.max(initial=0)) + 1
    return np.bincount(np.unique(of * width + told.kind[at]) // width, minlength=len(low))


def windows(inputs: Inputs, counted: Tokens, rule: ContactRule) -> Windows:
    """Every window that a maximum speaks of: it holds an item, and lies in no wider one."""
    size = len(counted.key)
    if not size:
        nothing = np.empty(0, dtype=np.int64)
        return Windows(nothing, nothing, nothing, nothing, nothing.astype(float), nothing, nothing)
    first_day = int(counted.day.min())
    span = int(counted.day.max()) - first_day + 1
    if rule.every is not None:
        period = inputs.world.period(counted.day, rule.every)
        new = (counted.key[1:] != counted.key[:-1]) | (period[1:] != period[:-1])
        low = np.flatnonzero(np.append(True, new))
        high = np.append(low[1:], size)
    else:
        length = span if rule.days is None else min(rule.days, span)
        time = counted.key * (2 * span) + (counted.day - first_day)
        low = np.flatnonzero(np.append(True, time[1:] != time[:-1]))
        high = np.searchsorted(time, time[low] + length - 1, side="right")
        # A later beginning that reaches no further sees a part of what the earlier one sees.
        wider = np.append(True, high[1:] != high[:-1])
        low, high = low[wider], high[wider]
    items = np.append(0, np.cumsum(counted.item))
    holds = items[high] > items[low]
    low, high = low[holds], high[holds]
    owner = counted.owner[low]
    return Windows(
        low, high, kinds_in(counted, low, high, counted.base), kinds_in(counted, low, high), rule.cap[owner],
        owner, counted.day[low],
    )  # fmt: skip


def spans(world: World, rule: ContactRule) -> tuple[np.ndarray, np.ndarray]:
    """First and last day of the windows that a minimum speaks of: those wholly inside the horizon."""
    first, last = world.inside()
    if rule.days is not None:
        begin = np.arange(first, last - rule.days + 2)
        return begin, begin + rule.days - 1
    if rule.every is None:
        return np.array([-EVER]), np.array([EVER])
    day = np.arange(first - 1, last + 2)
    period = world.period(day, rule.every)
    begin = day[np.flatnonzero(period[1:] != period[:-1]) + 1]
    return begin[:-1], begin[1:] - 1


def reached(
    inputs: Inputs, candidates: Candidates, chosen: np.ndarray, rule: ContactRule, past: Rows, faults: Faults
) -> dict[str, float]:
    """Each window with a chosen contact against the cap; one over it is a fault.

    Parameters
    ----------
    chosen : ndarray of bool
        Per candidate.

    Returns
    -------
    dict
        ``used``: the largest count in a window with a chosen contact; ``slack``: the least room in one, not
        said where there is none; ``at_cap``: how many units have no room left in one.
    """
    told = tokens(inputs, candidates, np.flatnonzero(chosen), rule, past)
    seen = windows(inputs, told, rule)
    over = np.flatnonzero(seen.number > seen.cap + CAP)
    for w in over[:5]:
        who, when = name_of(inputs, rule, int(seen.owner[w])), inputs.world.date(int(seen.day[w]))
        span = "in the horizon"
        if rule.days is not None:
            span = f"in {rule.days} days from {when}"
        elif rule.every is not None:
            span = f"in the {rule.every} of {when}"
        message = f"broken: {who} has {seen.number[w]} {things(rule)} {span}, at most {seen.cap[w]:g}"
        faults.add(message, rule=rule.name)
    if len(over) > 5:
        faults.add(f"broken in {len(over) - 5} more windows", rule=rule.name)
    room = np.floor(seen.cap + CAP) - seen.number
    state = {
        "used": float(seen.number.max(initial=0)),
        "at_cap": float(len(np.unique(seen.owner[room <= 0]))),
    }
    return state | ({"slack": float(room.min())} if len(room) else {})


def things(rule: ContactRule) -> str:
    """What the rule counts, in words."""
    return {"offers": "contacts", "occasions": "occasions"}.get(rule.count, f"values of {rule.count}")


def name_of(inputs: Inputs, rule: ContactRule, owner: int) -> str:
    """A unit in words."""
    first = int(np.flatnonzero(rule.owner == owner)[0])
    if not rule.household:
        return f"customer {inputs.world.ids['customer'][first]}"
    return f"household {canonical(inputs.world.frames['customer']['household_id'].iloc[first])}"

"""Rules for each customer: contact caps in moving windows, and conflicts between contacts.

Both are asked twice with the same code: of the plan (is a rule broken?) and of the candidates that a
customer's best set might hold (what may stand together?).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from omniopt.audit.candidates import Candidates
from omniopt.audit.inputs import Inputs
from omniopt.audit.rounding import CAP
from omniopt.audit.scope import Rows, Unchecked, concat, groups, matches
from omniopt.errors import Faults

CONTACT_KEYS = {"name", "where", "per", "max", "days", "history", "count", "unit"}
CONFLICT_KEYS = {"name", "first", "then", "days", "either_order"}


@dataclass
class ContactRule:
    """At most ``cap[customer]`` contacts in every window of ``days`` days (None: the whole horizon)."""

    name: str
    where: Mapping[str, Any] | None
    per: list[str]
    cap: np.ndarray
    days: int | None
    history: bool
    occasions: bool


@dataclass
class Conflict:
    """Not both of ``first`` and, within less than ``days`` days, ``then``."""

    name: str
    first: Mapping[str, Any]
    then: Mapping[str, Any]
    days: int
    either_order: bool


def read_contact(inputs: Inputs, rule: Mapping[str, Any]) -> ContactRule:
    """A contact rule of the policy; Unchecked if it says anything this check cannot read."""
    strange = sorted(set(rule) - CONTACT_KEYS)
    if strange:
        raise Unchecked(f"contact rules with {', '.join(map(repr, strange))} are not known to this check")
    if rule.get("unit", "customer") != "customer" or rule.get("count", "offers") not in (
        "offers",
        "occasions",
    ):
        raise Unchecked(f"unit {rule.get('unit')!r}, count {rule.get('count')!r} are not known to this check")
    world, cap, days = inputs.world, rule.get("max"), rule.get("days")
    size = len(world.ids["customer"])
    if isinstance(cap, Mapping) and set(cap) == {"column"} and str(cap["column"]).startswith("customer."):
        column = str(cap["column"]).partition(".")[2]
        if column not in world.frames["customer"]:
            raise Unchecked(f"no table has the attribute '{cap['column']}'")
        caps = world.frames["customer"][column].to_numpy(dtype=float, na_value=np.nan)
    elif isinstance(cap, int | float) and not isinstance(cap, bool):
        caps = np.full(size, float(cap))
    else:
        raise Unchecked(f"max: {cap!r} is not known to this check")
    if days is not None and (not isinstance(days, int) or isinstance(days, bool) or days < 1):
        raise Unchecked(f"days: {days!r} is not a number of days")
    per = [rule["per"]] if isinstance(rule.get("per"), str) else list(rule.get("per") or [])
    return ContactRule(
        str(rule.get("name")),
        rule.get("where"),
        per,
        caps,
        days,
        history=days is not None and rule.get("history", True) is not False,
        occasions=rule.get("count") == "occasions",
    )


def read_conflict(rule: Mapping[str, Any]) -> Conflict:
    """A conflict of the policy; Unchecked if it says anything this check cannot read."""
    strange = sorted(set(rule) - CONFLICT_KEYS)
    if strange:
        raise Unchecked(f"conflicts with {', '.join(map(repr, strange))} are not known to this check")
    days = rule.get("days")
    if not isinstance(days, int) or isinstance(days, bool) or days < 1:
        raise Unchecked(f"days: {days!r} is not a number of days")
    if "first" not in rule or "then" not in rule:
        raise Unchecked("a conflict needs first and then")
    either = rule.get("either_order", False) is True
    return Conflict(str(rule.get("name")), rule["first"], rule["then"], days, either)


@dataclass
class Tokens:
    """What a contact rule counts, one line per thing counted, sorted by `key` and `day`.

    Attributes
    ----------
    key : ndarray of int
        Customer and group.
    day, customer : ndarray of int
    base : ndarray of bool
        It counts whatever is chosen: history, or a locked contact.
    item : ndarray of bool
        At least one item stands behind it.
    item_of, token_of : ndarray of int
        Which item is (also) which token; a token of history has no item, an occasion may have several.
    """

    key: np.ndarray
    day: np.ndarray
    customer: np.ndarray
    base: np.ndarray
    item: np.ndarray
    item_of: np.ndarray
    token_of: np.ndarray


@dataclass
class Windows:
    """Windows that matter: tokens ``low`` to ``high`` (exclusive), how many are base, and the cap."""

    low: np.ndarray
    high: np.ndarray
    base: np.ndarray
    cap: np.ndarray
    customer: np.ndarray
    day: np.ndarray


def _events(
    inputs: Inputs, candidates: Candidates, items: np.ndarray, where: Any, past: Rows | None
) -> tuple[Rows, np.ndarray, np.ndarray]:
    """Rows in scope, the item each is a leg of (-1 for history), the channel that tells occasions apart."""
    chosen = candidates.rows.take(items)
    second, rows = candidates.take(items).second_leg()
    parts, item, channel = (
        [chosen, rows],
        [np.arange(len(items)), second],
        [chosen.channel, chosen.channel[second]],
    )
    if past is not None:
        near = np.zeros(len(inputs.world.ids["customer"]) + 1, dtype=bool)
        near[chosen.customer] = True
        past = past.take(near[past.customer])
        parts.append(past)
        item.append(np.full(len(past), -1))
        channel.append(past.channel)
    everything = concat(parts)
    mask = matches(inputs.world, everything, where)
    return everything.take(mask), np.concatenate(item)[mask], np.concatenate(channel)[mask]


def tokens(
    inputs: Inputs,
    candidates: Candidates,
    items: np.ndarray,
    rule: ContactRule,
    past: Rows,
    fixed: np.ndarray | None = None,
) -> Tokens:
    """What the rule counts among some candidates and in history.

    Parameters
    ----------
    items : ndarray of int
        Positions of candidates.
    past : Rows
        Contacts of the past and commitments that count.
    fixed : ndarray of bool, optional
        Items that are chosen in any case.
    """
    rows, item, channel = _events(inputs, candidates, items, rule.where, past if rule.history else None)
    index, code, labels = groups(inputs.world, rows, rule.per)
    item, channel, day = item[index], channel[index], rows.day[index]
    key = rows.customer[index] * max(len(labels), 1) + code
    # Both legs of a contact may match: it is still one contact.
    stem = np.where(item >= 0, item, len(items) + np.arange(len(item)))
    _, once = np.unique(key * (len(items) + len(item)) + stem, return_index=True)
    key, day, item, channel, customer = (
        key[once],
        day[once],
        item[once],
        channel[once],
        rows.customer[index][once],
    )
    order = np.lexsort((channel, day, key)) if rule.occasions else np.lexsort((item, day, key))
    key, day, item, channel, customer = (a[order] for a in (key, day, item, channel, customer))
    new = np.ones(len(key), dtype=bool)
    if rule.occasions and len(key):
        new[1:] = (key[1:] != key[:-1]) | (day[1:] != day[:-1]) | (channel[1:] != channel[:-1])
    token = np.cumsum(new) - 1
    size = int(new.sum())
    locked = np.append(np.zeros(len(items), dtype=bool) if fixed is None else fixed, False)[item]
    base, free = (item < 0) | locked, (item >= 0) & ~locked
    any_base, any_item = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    any_base[token[base]] = True
    any_item[token[item >= 0]] = True
    return Tokens(key[new], day[new], customer[new], any_base, any_item, item[free], token[free])


def windows(counted: Tokens, rule: ContactRule) -> Windows:
    """Every window that can bind: it begins with a contact, holds an item, and lies in no wider one."""
    size = len(counted.key)
    if not size:
        nothing = np.empty(0, dtype=np.int64)
        return Windows(nothing, nothing, nothing, nothing.astype(float), nothing, nothing)
    first_day = int(counted.day.min())
    span = int(counted.day.max()) - first_day + 1
    length = span if rule.days is None else min(rule.days, span)
    time = counted.key * (2 * span) + (counted.day - first_day)
    low = np.flatnonzero(np.append(True, time[1:] != time[:-1]))
    high = np.searchsorted(time, time[low] + length - 1, side="right")
    # A later beginning that reaches no further sees a part of what the earlier one sees.
    wider = np.append(True, high[1:] != high[:-1])
    low, high = low[wider], high[wider]
    bases, items = (np.append(0, np.cumsum(flag)) for flag in (counted.base, counted.item))
    holds = items[high] > items[low]
    low, high = low[holds], high[holds]
    customer = counted.customer[low]
    return Windows(low, high, bases[high] - bases[low], rule.cap[customer], customer, counted.day[low])


def pairs(
    inputs: Inputs, candidates: Candidates, items: np.ndarray, rule: Conflict, past: Rows
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of items that exclude each other, and items that history excludes.

    Returns
    -------
    one, other : ndarray of int
        Positions in `items`; a pair may occur more than once.
    barred : ndarray of int
        Positions in `items`.
    """
    ones, others, barred = [], [], []
    first, first_item, _ = _events(inputs, candidates, items, rule.first, past)
    then, then_item, _ = _events(inputs, candidates, items, rule.then, past)
    back = rule.days - 1 if rule.either_order else 0
    left, right = _within(first, then, back, rule.days - 1)
    i, j = first_item[left], then_item[right]
    distinct = i != j
    both = (i >= 0) & (j >= 0) & distinct
    ones.append(i[both])
    others.append(j[both])
    barred.append(j[(i < 0) & (j >= 0)])
    if rule.either_order:
        barred.append(i[(j < 0) & (i >= 0)])
    return np.concatenate(ones), np.concatenate(others), np.unique(np.concatenate(barred))


def _within(first: Rows, then: Rows, back: int, ahead: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of one customer with −back ≤ day of then − day of first ≤ ahead."""
    if not len(first) or not len(then):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    base = min(int(first.day.min()), int(then.day.min()))
    span = max(int(first.day.max()), int(then.day.max())) - base + 1
    back, ahead = min(back, span), min(ahead, span)
    order = np.lexsort((then.day, then.customer))
    # Three spans per customer, so that no window reaches into the next customer's days.
    time = then.customer[order] * (3 * span) + (then.day[order] - base + span)
    middle = first.customer * (3 * span) + (first.day - base + span)
    low, high = np.searchsorted(time, middle - back), np.searchsorted(time, middle + ahead, side="right")
    count = high - low
    left = np.repeat(np.arange(len(first)), count)
    begin = np.repeat(low - np.append(0, np.cumsum(count)[:-1]), count)
    return left, order[begin + np.arange(int(count.sum()))]


def reached(
    inputs: Inputs,
    candidates: Candidates,
    chosen: np.ndarray,
    rule: ContactRule,
    past: Rows,
    faults: Faults,
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
        said where there is none; ``at_cap``: how many customers have no room left in one.
    """
    told = tokens(inputs, candidates, np.flatnonzero(chosen), rule, past)
    seen = windows(told, rule)
    number = seen.high - seen.low
    over = np.flatnonzero(number > seen.cap + CAP)
    for w in over[:5]:
        who, when = inputs.world.ids["customer"][seen.customer[w]], inputs.world.date(int(seen.day[w]))
        span = "in the horizon" if rule.days is None else f"in {rule.days} days from {when}"
        what = "occasions" if rule.occasions else "contacts"
        message = f"broken: customer {who} has {number[w]} {what} {span}, at most {seen.cap[w]:g}"
        faults.add(message, rule=rule.name)
    if len(over) > 5:
        faults.add(f"broken in {len(over) - 5} more windows", rule=rule.name)
    room = np.floor(seen.cap + CAP) - number
    state = {"used": float(number.max(initial=0)), "at_cap": float(len(np.unique(seen.customer[room <= 0])))}
    return state | ({"slack": float(room.min())} if len(room) else {})


def broken(
    inputs: Inputs, candidates: Candidates, items: np.ndarray, rule: Conflict, past: Rows, faults: Faults
) -> None:
    """Chosen contacts that exclude each other, or that history excludes, are faults."""
    one, other, barred = pairs(inputs, candidates, items, rule, past)
    rows, world = candidates.rows, inputs.world

    def say(item: int) -> str:
        at = items[item]
        return f"{world.ids['action'][rows.action[at]]} on {world.date(int(rows.day[at]))}"

    seen: dict[tuple[int, int], None] = dict.fromkeys(
        (min(i, j), max(i, j)) for i, j in zip(one.tolist(), other.tolist(), strict=True)
    )
    for i, j in list(seen)[:5]:
        who = world.ids["customer"][rows.customer[items[i]]]
        faults.add(f"broken: customer {who} has both {say(i)} and {say(j)}", rule=rule.name)
    for i in barred[:5].tolist():
        who = world.ids["customer"][rows.customer[items[i]]]
        faults.add(
            f"broken: customer {who} has {say(i)}, which a contact in the history rules out", rule=rule.name
        )
    more = max(len(seen) - 5, 0) + max(len(barred) - 5, 0)
    if more:
        faults.add(f"broken {more} more times", rule=rule.name)

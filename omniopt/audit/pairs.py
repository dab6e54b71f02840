"""Rules on pairs of contacts of a customer: conflicts, and contacts that need another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from omniopt.audit.arrays import expand
from omniopt.audit.asked import Demands
from omniopt.audit.candidates import Candidates
from omniopt.audit.contact import in_scope
from omniopt.audit.inputs import Inputs
from omniopt.audit.scope import Rows, Unchecked, flag, known_keys, matches, whole
from omniopt.errors import Faults

CONFLICT_KEYS = {"name", "first", "then", "days", "either_order"}
REQUIRES_KEYS = {"name", "offer", "needs", "days", "order"}


@dataclass
class Conflict:
    """Not both of ``first`` and, within less than ``days`` days, ``then``."""

    name: str
    first: Mapping[str, Any]
    then: Mapping[str, Any]
    days: int
    either_order: bool


@dataclass
class Requires:
    """A contact in ``offer`` needs one in ``needs``, at most ``days`` days before it (or after it)."""

    name: str
    offer: Mapping[str, Any]
    needs: Mapping[str, Any]
    days: int
    any_order: bool


def read_conflict(rule: Mapping[str, Any]) -> Conflict:
    """A conflict of the policy; Unchecked if it says anything this check cannot read."""
    known_keys(rule, CONFLICT_KEYS, "conflicts")
    days = whole(rule.get("days"), "days")
    if "first" not in rule or "then" not in rule:
        raise Unchecked("a conflict needs first and then")
    return Conflict(str(rule.get("name")), rule["first"], rule["then"], days, flag(rule, "either_order"))


def read_requires(inputs: Inputs, rule: Mapping[str, Any]) -> Requires:
    """A requirement of the policy; Unchecked if it says anything this check cannot read."""
    known_keys(rule, REQUIRES_KEYS, "requirements")
    if not {"offer", "needs", "days"} <= set(rule):
        raise Unchecked("a requirement needs offer, needs and days")
    if rule.get("order", "before") not in ("before", "any"):
        raise Unchecked(f"order: {rule['order']!r} is not known to this check")
    if "date" not in inputs.world.frames["action"]:
        raise Unchecked("the actions have no dates to count days between")
    days = whole(rule["days"], "days", least=0)
    return Requires(
        str(rule.get("name")), rule["offer"], rule["needs"], days, rule.get("order", "before") == "any"
    )


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
    right, left = expand(low, high)
    return left, order[right]


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
    first, first_item, _ = in_scope(inputs, candidates, items, rule.first, past)
    then, then_item, _ = in_scope(inputs, candidates, items, rule.then, past)
    back = rule.days - 1 if rule.either_order else 0
    left, right = _within(first, then, back, rule.days - 1)
    i, j = first_item[left], then_item[right]
    both = (i >= 0) & (j >= 0) & (i != j)
    barred = j[(i < 0) & (j >= 0)]
    if rule.either_order:
        barred = np.append(barred, i[(j < 0) & (i >= 0)])
    return i[both], j[both], np.unique(barred)


def needed(
    inputs: Inputs, candidates: Candidates, items: np.ndarray, rule: Requires, past: Rows
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Items that need another contact, less those that history serves, and which items would serve them.

    Returns
    -------
    needing : ndarray of int
        Positions in `items`, sorted.
    one, other : ndarray of int
        Positions in `items`: one needs a contact, and the other would do.
    """
    mine, item, _ = in_scope(inputs, candidates, items, rule.offer, None)
    chosen = candidates.rows.take(items)
    serve = np.flatnonzero(matches(inputs.world, chosen, rule.needs))
    happened = past.take(matches(inputs.world, past, rule.needs))
    ahead = rule.days if rule.any_order else 0
    served, _ = _within(mine, happened, rule.days, ahead)
    needing = np.setdiff1d(item, item[served])
    left, right = _within(mine, chosen.take(serve), rule.days, ahead)
    pair = np.unique(np.stack([item[left], serve[right]], axis=1), axis=0)
    pair = pair[(pair[:, 0] != pair[:, 1]) & np.isin(pair[:, 0], needing)]
    return needing, pair[:, 0], pair[:, 1]


def demands(
    inputs: Inputs, candidates: Candidates, items: np.ndarray, rule: Requires, past: Rows, fixed: np.ndarray
) -> Demands:
    """What a requirement asks of some items: a row for each that needs another one."""
    needing, one, other = needed(inputs, candidates, items, rule, past)
    needing = np.setdiff1d(needing, one[fixed[other]])
    mine = np.isin(one, needing)
    one, other = one[mine], other[mine]
    row = np.searchsorted(needing, one)
    always = fixed[needing]
    free = np.flatnonzero(~always)
    return Demands(
        np.ones(len(needing), dtype=np.int64), always, other, np.arange(len(other)), row, needing[free], free,
        len(other),
    )  # fmt: skip


def broken(
    inputs: Inputs, candidates: Candidates, items: np.ndarray, rule: Conflict, past: Rows, faults: Faults
) -> None:
    """Chosen contacts that exclude each other, or that history excludes, are faults."""
    one, other, barred = pairs(inputs, candidates, items, rule, past)
    who, say = _words(inputs, candidates, items)
    seen: dict[tuple[int, int], None] = dict.fromkeys(
        (min(i, j), max(i, j)) for i, j in zip(one.tolist(), other.tolist(), strict=True)
    )
    for i, j in list(seen)[:5]:
        faults.add(f"broken: customer {who(i)} has both {say(i)} and {say(j)}", rule=rule.name)
    for i in barred[:5].tolist():
        faults.add(
            f"broken: customer {who(i)} has {say(i)}, which a contact in the history rules out",
            rule=rule.name,
        )
    more = max(len(seen) - 5, 0) + max(len(barred) - 5, 0)
    if more:
        faults.add(f"broken {more} more times", rule=rule.name)


def unserved(
    inputs: Inputs, candidates: Candidates, items: np.ndarray, rule: Requires, past: Rows, faults: Faults
) -> int:
    """Chosen contacts that lack the one they need are faults; returns how many need one at all."""
    needing, one, _ = needed(inputs, candidates, items, rule, past)
    alone = np.setdiff1d(needing, one)
    who, say = _words(inputs, candidates, items)
    when = "within" if rule.any_order else "in the"
    for i in alone[:5].tolist():
        before = "" if rule.any_order else " before it"
        words = (
            f"broken: customer {who(i)} has {say(i)} without what it needs {when} {rule.days} days{before}"
        )
        faults.add(words, rule=rule.name)
    if len(alone) > 5:
        faults.add(f"broken {len(alone) - 5} more times", rule=rule.name)
    return len(np.unique(in_scope(inputs, candidates, items, rule.offer, None)[1]))


def _words(inputs: Inputs, candidates: Candidates, items: np.ndarray) -> Any:
    """Two functions that name an item's customer, and the item."""
    rows, world = candidates.rows.take(items), inputs.world

    def who(item: int) -> str:
        return str(world.ids["customer"][rows.customer[item]])

    def say(item: int) -> str:
        return f"{world.ids['action'][rows.action[item]]} on {world.date(int(rows.day[item]))}"

    return who, say

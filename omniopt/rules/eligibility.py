"""Eligibility: which candidates the policy and the planners take out, and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from omniopt.actions.candidates import Candidates
from omniopt.actions.catalogue import Rows
from omniopt.errors import Faults
from omniopt.rules.policy import After, Eligibility
from omniopt.rules.statements import states
from omniopt.rules.where import Scopes

VETO = "veto"
SAME = {
    "offer": "offer",
    "category": "offer.category",
    "channel": "channel",
    "business_unit": "offer.business_unit",
}


@states("drop")
def drop_ineligible(candidates: Candidates, rules: list[Eligibility], scopes: Scopes) -> dict[str, int]:
    """Take out what each rule drops, in the policy's order.

    A contact is matched on its own channel; if only its fallback matches, the fallback is what
    is dropped, since the contact itself remains allowed.

    Returns
    -------
    dict of str to int
        For each rule how many candidates it matched, whether or not an earlier rule had them.
    """
    matched: dict[str, int] = {}
    for rule in rules:
        if rule.drop is not None:
            mask = scopes.match(rule.drop, candidates.rows(1), rule.name)
            if scopes.names_channel(rule.drop):
                behind = scopes.match(rule.drop, candidates.rows(2), rule.name) & (candidates.fallback >= 0)
                candidates.fallback[behind] = -1
        else:
            mask = _resting(candidates, rule, scopes, 1)
            if rule.drop_same == "channel":
                candidates.fallback[_resting(candidates, rule, scopes, 2)] = -1
        candidates.drop(mask, rule.name)
        matched[rule.name] = int(mask.sum())
    return matched


@dataclass(frozen=True)
class _Triggers:
    """Days on which a rule's number of outcomes was full, sorted by key and day; the key says for whom."""

    key: np.ndarray
    day: np.ndarray
    span: int

    def rest(self, key: np.ndarray, day: np.ndarray, days: int) -> np.ndarray:
        """Whether a trigger of the same key lies on the day or in the ``days`` - 1 days before it."""
        place = self.key * self.span + self.day
        first = np.searchsorted(place, key * self.span + np.maximum(day - days + 1, 0), side="left")
        last = np.searchsorted(place, key * self.span + day, side="right")
        return (last > first) & (key >= 0) & (day >= 0)


@states("rest")
def _resting(candidates: Candidates, rule: Eligibility, scopes: Scopes, leg: int) -> np.ndarray:
    """Mark the candidates that a customer's own outcomes keep quiet."""
    assert rule.after is not None and rule.drop_same is not None and rule.for_days is not None
    catalogue = candidates.catalogue
    out = np.zeros(len(candidates), bool)
    if not scopes.dates_known(rule.name, "with for_days"):
        return out
    now = candidates.rows(leg)
    index, group, past_index, past_group, groups = _same(rule, now, catalogue.past, scopes)
    if "outcome" not in catalogue.past_table or not len(past_index):
        return out
    hit = catalogue.past_table["outcome"].isin(rule.after.outcome).to_numpy(bool)[past_index]
    hit &= catalogue.past.codes["customer"][past_index] >= 0
    past_index, past_group = past_index[hit], past_group[hit]
    first = int(min(catalogue.past.day.min(initial=1), now.day.min(initial=1)))
    span = int(max(catalogue.past.day.max(initial=1), now.day.max(initial=1))) - first + 1
    key = catalogue.past.codes["customer"][past_index] * groups + past_group
    triggers = _triggers(key, catalogue.past.day[past_index] - first, rule.after, span)
    member = now.codes["customer"][index] * groups + group
    resting = triggers.rest(member, now.day[index] - first, rule.for_days)
    out[index[resting]] = True
    return out


def _same(
    rule: Eligibility, now: Rows, past: Rows, scopes: Scopes
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    """Group candidates and past rows by the same offer, category and so on; none for empty cells."""
    assert rule.drop_same is not None
    if rule.drop_same == "all":
        zero = np.zeros(len(now), np.int64)
        return np.arange(len(now)), zero, np.arange(len(past)), np.zeros(len(past), np.int64), 1
    both = now.followed_by(past)
    index, levels, codes = scopes.groups([SAME[rule.drop_same]], both, rule.name, empty_is_none=True)
    if not codes:
        return *(np.zeros(0, np.int64) for _ in range(4)), 1  # type: ignore[return-value]
    earlier = index >= len(now)
    return (
        index[~earlier],
        codes[0][~earlier],
        index[earlier] - len(now),
        codes[0][earlier],
        max(len(levels[0]), 1),
    )


def _triggers(key: np.ndarray, day: np.ndarray, after: After, span: int) -> _Triggers:
    """Keep the events at which the last ``within_days`` days held at least ``times`` of them."""
    events = pd.DataFrame({"key": key, "day": day}).sort_values(["key", "day"], ignore_index=True)
    key, day = events["key"].to_numpy(), events["day"].to_numpy()
    within = span if after.within_days is None else min(after.within_days, span)
    place = key * span + day
    begin = np.searchsorted(place, key * span + np.maximum(day - within + 1, 0), side="left")
    end = np.searchsorted(place, place, side="right")
    full = end - begin >= after.times
    return _Triggers(key[full], day[full], span)


def find_pairs(candidates: Candidates, pairs: list[list[str]], what: str, faults: Faults) -> np.ndarray:
    """Return the positions of (customer_id, action_id) pairs; unknown ones are faults.

    Parameters
    ----------
    candidates : Candidates
        In any order.
    pairs : list of [customer_id, action_id, …]
    what : str
        "veto" or "lock", for the message.
    """
    catalogue = candidates.catalogue
    named = pd.DataFrame([pair[:2] for pair in pairs], columns=["customer", "action"]).astype("str")
    codes = [catalogue.codes_of(entity, named[entity]) for entity in named]
    actions = max(len(catalogue.actions), 1)
    key = candidates.customer * actions + candidates.action
    order = np.argsort(key, kind="stable")
    found = []
    for (customer, action, *_), a, b in zip(pairs, *codes, strict=True):
        wanted = a * actions + b
        at = int(np.searchsorted(key, wanted, sorter=order))
        if min(a, b) < 0 or at == len(key) or key[order[at]] != wanted:
            faults.add(f"the {what} of customer {customer}, action {action} names no candidate",
                       hint="Check both ids against the candidates.")  # fmt: skip
            continue
        found.append(int(order[at]))
    return np.array(sorted(set(found)), np.int64)

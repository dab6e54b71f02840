"""What a contact rule counts each value of on its own, bins and past contacts by that value."""

from __future__ import annotations

import numpy as np

from omniopt.actions.catalogue import Rows
from omniopt.decisions.large.bins import CUSTOMER, bin_candidates
from omniopt.decisions.large.seen import Rule
from omniopt.decisions.large.shape import Bins
from omniopt.rules.policy import Contact
from omniopt.rules.where import Scopes

MOST_PARTS = 32
Part = tuple[np.ndarray, np.ndarray]


def values_of(rule: Contact, bins: Bins, scopes: Scopes, past: Rows) -> Part:
    """Pair the bins in a rule's scope, and past contacts, with the values that the rule is per.

    Customers' own attributes are left out: those are the same for all contacts of one.

    Parameters
    ----------
    rule : Contact
    bins : Bins
    scopes : Scopes
        In which groups are customers.
    past : Rows

    Returns
    -------
    thing, value : ndarray of int64, shape (m,)
        Sorted; a thing is a bin's number, or the number of bins + a past contact's place. One without
        a value stands there with -1.
    """
    at = np.flatnonzero(bins.occurs)
    candidates = bin_candidates(bins, at, scopes.catalogue)
    legs = candidates.rows(1).followed_by(candidates.rows(2))
    inside = np.flatnonzero(scopes.match(rule.where, legs, rule.name) & (legs.codes["channel"] >= 0))
    per = [name for name in rule.per if not name.startswith(CUSTOMER)]
    things = legs.take(inside).followed_by(past)
    index, levels, codes = scopes.groups(per, things, rule.name, empty_is_none=True)
    value = np.zeros(len(index), np.int64)
    for values, code in zip(levels, codes, strict=True):
        value = value * max(len(values), 1) + code
    thing = np.concatenate([np.tile(at, 2)[inside], len(bins) + np.arange(len(past))])
    bare = np.ones(len(thing), bool)
    bare[index] = False
    thing = np.concatenate([thing[index], thing[bare]])
    value = np.concatenate([value, np.full(int(bare.sum()), -1)])
    base = int(value.max(initial=0)) + 2
    pairs = np.sort(thing * base + value + 1)
    thing, value = np.divmod(pairs[np.diff(pairs, prepend=-1) > 0], base)
    return thing, value - 1


def split(rule: Rule, bins: Bins, scopes: Scopes, past: Rows) -> list[Part]:
    """Split a rule into parts that have nothing to do with one another: values that it counts on their own.

    Then customers need not be alike in all their past contacts at once.

    Returns
    -------
    list of (ndarray of bool, ndarray of int64)
        Bins and places of past contacts of each part; one part for all values without past contacts.
    """
    whole = [(np.ones(len(bins), bool), np.arange(len(past)))]
    if not isinstance(rule, Contact) or not rule.per or not len(past):
        return whole
    thing, value = values_of(rule, bins, scopes, past)
    if (np.diff(thing) == 0).any() or (value < 0).any():  # several values for one contact, or none
        return whole
    earlier = thing >= len(bins)
    known, place = np.unique(value[earlier], return_inverse=True)
    part_of = np.full(int(value.max()) + 1, -1, np.int64)
    part_of[known] = np.arange(len(known)) % MOST_PARTS
    part = np.full(len(bins), -2, np.int64)
    part[thing[~earlier]] = part_of[value[~earlier]]
    past_part = (place % MOST_PARTS).ravel()
    return [(part == p, np.flatnonzero(past_part == p)) for p in range(-1, min(len(known), MOST_PARTS))]

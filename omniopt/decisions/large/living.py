"""Minimums asked for each value that a customer has a contact for: they depend on what candidates there are.

In all windows of a value something is asked of whoever has any candidate with that value, be it in
a window without one. So units that have candidates of different values are not alike to such a rule.
"""

from __future__ import annotations

import numpy as np

from omniopt.decisions.large.pasts import Present, sequences
from omniopt.decisions.large.seen import Rule
from omniopt.decisions.large.shape import Bins
from omniopt.decisions.large.values import values_of
from omniopt.rules.policy import Contact, Policy
from omniopt.rules.where import Scopes


def sees_living(rule: Rule) -> bool:
    """Whether what a rule asks depends on the candidates that there are."""
    if not isinstance(rule, Contact) or rule.min is None or not rule.per:
        return False
    return rule.days is not None or rule.every is not None


def asks_living(policy: Policy) -> bool:
    """Whether what any rule asks depends on the candidates that there are."""
    return any(sees_living(rule) for rule in policy.contact)


def present_of(rule: Contact, bins: Bins, scopes: Scopes, customer: np.ndarray, bin: np.ndarray) -> Present:
    """Find out which values customers have candidates with.

    Parameters
    ----------
    rule : Contact
    bins : Bins
    scopes : Scopes
        In which groups are customers.
    customer, bin : ndarray, shape (n,)
        Of every living candidate.

    Returns
    -------
    Present
        Bins of the same class have the same values.
    """
    none = scopes.catalogue.history.take(np.zeros(0, np.int64))
    thing, value = values_of(rule, bins, scopes, none)
    start = np.searchsorted(thing, np.arange(len(bins) + 1))
    state, count = sequences(np.zeros(len(bins), np.int64), 1, start, value + 1)
    kind = np.where(np.diff(start) > 0, state, -1)
    held = kind[bin]
    pair = np.unique((customer.astype(np.int64) * count + held)[held >= 0])
    return Present(kind, *np.divmod(pair, count))

"""Past contacts that a rule can see, as far as it can tell them apart.

A past contact from before all candidates and before the horizon matters only by the candidates it
can reach: those on whose days a window with it, a lag or a need has not ended. So days on which the same
candidates are in reach are one.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from omniopt.actions.catalogue import Catalogue
from omniopt.rules.policy import Conflict, Contact, Requires
from omniopt.rules.where import Scopes

Rule = Contact | Conflict | Requires
LONGEST = {"week": 7, "month": 31}  # days of a calendar period
ALL = np.iinfo(np.int64).max


def seen_by(rule: Rule, scopes: Scopes, customer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the past contacts that matter to a rule.

    Parameters
    ----------
    rule : Contact, Conflict or Requires
    scopes : Scopes
        In which groups are customers.
    customer : ndarray of int64
        The customer behind each past contact of these scopes.

    Returns
    -------
    at : ndarray of int64, shape (m,)
        Ascending positions in the history.
    label : ndarray of int64, shape (m,)
        Customers of one group with the same labels, as often each, are alike to the rule.
    """
    catalogue = scopes.catalogue
    history = catalogue.history
    if not len(history) or not catalogue.has_dates or not len(catalogue.actions):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    mask, marks, reach, most = _asked(rule, scopes)
    day = np.unique(catalogue.actions.day)
    first, last = min(catalogue.span[0], int(day[0])), max(catalogue.span[1], int(day[-1]))
    mask &= (customer >= 0) & (history.day > first - reach) & (history.day < last + reach)
    at = np.flatnonzero(mask)
    mark = np.zeros(len(at), np.int64)
    for values in marks:
        mark = pd.factorize(mark * (int(values.max(initial=0)) + 2) + values[at] + 1)[0]
    early = (history.day[at] < first) & (most > 0)
    reached = np.searchsorted(day, history.day[at] + reach)  # how many days of candidates
    when = np.where(early, reached, len(day) + 1 + history.day[at] - (first - reach))
    kept = ~early | ((reached > 0) & _first_ones(customer[at], mark, -reached, early, most))
    label = pd.factorize(mark * (int(when.max(initial=0)) + 1) + when)[0]
    return at[kept], label[kept].astype(np.int64)


def _asked(rule: Rule, scopes: Scopes) -> tuple[np.ndarray, list[np.ndarray], int, int]:
    """Say what a rule asks of past contacts.

    Returns
    -------
    mask : ndarray of bool
        Those in its scope.
    marks : list of ndarray of int64
        What tells them apart besides their days.
    reach : int
        A candidate on a day before that many days later is in reach.
    most : int
        How many of those with the same marks can matter, which are the ones that reach farthest;
        0 where each day is different.
    """
    history = scopes.catalogue.history
    if isinstance(rule, Requires):
        return scopes.match(rule.needs, history, rule.name), [], rule.days + 1, 1
    if isinstance(rule, Conflict):
        first = scopes.match(rule.first, history, rule.name)
        if not rule.either_order:
            return first, [], rule.days, 1
        then = scopes.match(rule.then, history, rule.name)
        return first | then, [first, then], rule.days, 1
    if not rule.history or (rule.days is None and rule.every is None):
        return np.zeros(len(history), bool), [], 1, 0
    mask = scopes.match(rule.where, history, rule.name)
    reach = LONGEST[rule.every] if rule.every is not None else rule.days or 1
    if rule.every is not None or rule.count == "occasions":
        return mask, _counted(rule, scopes), reach, 0
    most = 1
    if rule.count == "offers":
        most = rule.max if isinstance(rule.max, int) and rule.max > 0 else ALL
    return mask, _counted(rule, scopes), reach, most


def _counted(rule: Contact, scopes: Scopes) -> list[np.ndarray]:
    """What tells past contacts of one day apart in a contact rule: groups, and what is counted."""
    catalogue: Catalogue = scopes.catalogue
    names = [*rule.per, "channel" if rule.count == "occasions" else rule.count]
    marks = []
    for name in names:
        attribute = None if name == "offers" else scopes.attribute(name, rule.name)
        if attribute is None or attribute.values is None or attribute.entity == "customer":
            continue
        value, _ = pd.factorize(attribute.values, use_na_sentinel=False)
        code = catalogue.history.codes[attribute.entity]
        marks.append(np.where(code >= 0, value[code], -1))
    return marks


def _first_ones(
    customer: np.ndarray, mark: np.ndarray, rank: np.ndarray, among: np.ndarray, most: int
) -> np.ndarray:
    """Mark those that are among the ``most`` lowest in rank of their customer and mark."""
    order = np.lexsort((rank, mark, customer))
    order = order[among[order]]
    begin = np.diff(customer[order], prepend=-1) != 0
    begin |= np.diff(mark[order], prepend=-1) != 0
    place = np.arange(len(order))
    nth = place - np.maximum.accumulate(np.where(begin, place, 0))
    found = np.zeros(len(customer), bool)
    found[order[nth < most]] = True
    return found

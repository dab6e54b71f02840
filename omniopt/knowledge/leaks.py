"""Attributes that nobody can know before the contact, such as how long the call took.

Three marks give them away.

- *Alone it predicts implausibly well.* Response depends on much, and one attribute known beforehand tells a
  responder from another customer in six or seven of ten pairs. From `IMPLAUSIBLE` on it is taken for a result
  of the contact. Only pairs of the same offer, channel and month are compared, so that an attribute which
  merely follows the season, as an interest rate does, raises no alarm; and each half of the customers is
  scored by what the other half taught, so that chance raises none either.
- *A value that only responders have.* Practically all contacts with it responded, where most others to the
  same offer on the same channel did not: so it is with the amount that was bought, even if few buy. Where
  most respond anyway, as in visits to a shop, a value of theirs says nothing.
- *It is filled for past contacts, and missing when scores are made.* What is known before a contact is known
  of customers who will be contacted, too.

(Leakage in data mining, and that it shows by surprising success: Kaufman, Rosset, Perlich and Stitelman 2012,
ACM Transactions on Knowledge Discovery from Data 6(4).)
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from omniopt.errors import Faults
from omniopt.knowledge.drift import MONTH
from omniopt.knowledge.evaluate import interval
from omniopt.knowledge.features import MOST_VALUES, Features, column_of
from omniopt.knowledge.profile import Floats, Ints
from omniopt.project.response import Response

#: Share of pairs that an attribute alone gets right from which it is taken for a result of the contact.
IMPLAUSIBLE = 0.8
#: Below so many responses, or contacts without one, an attribute cannot be judged.
ENOUGH = 30
#: Numbers are compared in so many groups of about equal size.
GROUPS = 20
#: A value is one of responders only if so many of its contacts responded (lower end of Wilson's interval).
PURE = 0.9
#: An attribute is filled for past contacts, and missing at scoring, from and up to these shares.
FILLED, MISSING = 0.5, 0.01


def separation(values: Floats, y: np.ndarray, stratum: Ints, half: np.ndarray) -> float:
    """Return how often one attribute alone gets a responder and another of the same stratum in order.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
        Numbers or codes; NaN and -1 are kinds of their own.
    y : ndarray of bool, shape (n,)
        Whether each responded.
    stratum : ndarray of int, shape (n,)
        Only pairs in the same stratum are compared.
    half : ndarray of bool, shape (n,)
        Each half is ordered by the response rates of the other one.

    Returns
    -------
    float
        From 0 to 1, 0.5 is chance; NaN without a pair.
    """
    group = _groups(values)
    size = int(group.max()) + 1
    score = np.empty(len(y))
    for mine in (half, ~half):
        seen = np.bincount(group[~mine], minlength=size)
        yes = np.bincount(group[~mine], y[~mine], minlength=size)
        # As if one more contact had gone the usual way: an empty group says nothing.
        score[mine] = ((yes + y[~mine].mean()) / (seen + 1))[group[mine]]
    # Ranks within stratum and half: the halves' scores come from different contacts.
    cell = np.unique(stratum * 2 + half, return_inverse=True)[1]
    rank = pd.Series(score).groupby(cell).rank().to_numpy()
    positive = np.bincount(cell, y)
    pairs = positive * np.bincount(cell, ~y)
    better = np.bincount(cell, rank * y) - positive * (positive + 1) / 2
    return float(better.sum() / pairs.sum()) if pairs.sum() else float("nan")


def purity(values: Floats, y: np.ndarray) -> float:
    """Return the response rate of the value whose contacts responded most surely, at its lower end.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
    y : ndarray of bool, shape (n,)

    Returns
    -------
    float
        The greatest lower end of Wilson's 95 % interval, over values and groups of numbers.
    """
    group = _groups(values)
    low, _ = interval(np.bincount(group, y), np.bincount(group))
    return float(low.max())


def _groups(values: Floats) -> Ints:
    """Give each contact the group of its value; a missing one is a group of its own."""
    kinds = np.unique(values[~np.isnan(values)])
    if len(kinds) > MOST_VALUES:
        kinds = np.unique(np.nanquantile(values, np.linspace(0, 1, GROUPS + 1)))
    return np.where(np.isnan(values), len(kinds), np.searchsorted(kinds, values)).astype(np.int64)


def check_leaks(
    features: Features, rows: pd.DataFrame, contacts: pd.DataFrame, response: Response
) -> dict[str, float]:
    """Refuse attributes that are known only after the contact; return how well each predicts alone.

    Parameters
    ----------
    features : Features
    rows : DataFrame, n rows
        Features of past contacts, as `Features.of_contacts` returns them.
    contacts : DataFrame, n rows
        date, offer_id, channel, customer_id and response (bool).
    response : Response
        Its ``known_before`` are not refused.

    Returns
    -------
    dict of str to float
        Attribute to its `separation`.

    Raises
    ------
    BadInput
        With every attribute that bears one of the marks.
    """
    y = contacts["response"].to_numpy(bool)
    if min(y.sum(), (~y).sum()) < ENOUGH:
        return {}
    keys = [contacts["offer_id"], contacts["channel"], contacts["date"] // MONTH]
    stratum = pd.concat(keys, axis=1).groupby(["offer_id", "channel", "date"]).ngroup().to_numpy(np.int64)
    half = features.positions(contacts) % 2 == 0
    seldom = (contacts.groupby(["offer_id", "channel"])["response"].transform("mean") < 0.5).to_numpy()
    alone: dict[str, float] = {}
    faults = Faults()
    for name in features.attributes:
        then = rows[column_of(name)].to_numpy(float)
        alone[name] = separation(then, y, stratum, half)
        why = _mark(name, then, y, seldom, alone[name], features)
        if why is not None and name not in response.known_before:
            place = "history" if name in features.at_contact else "customers"
            faults.add(
                f"it seems to be known only after the contact: {why}",
                file=features.tables.files.get(place), table=place, column=name,
                hint=f"Leave it out (response: {{without: [{name}]}}), or, if it is known before, say so "
                f"(response: {{known_before: [{name}]}})",
            )  # fmt: skip
    faults.raise_if_any()
    return alone


def _mark(
    name: str, then: Floats, y: np.ndarray, seldom: np.ndarray, alone: float, features: Features
) -> str | None:
    if alone >= IMPLAUSIBLE:
        return (
            "alone it tells who responded from who did not, to the same offer on the same channel in the "
            f"same month, in {alone:.0%} of pairs"
        )
    pure = purity(then[seldom], y[seldom]) if seldom.any() else 0.0
    if pure >= PURE:
        return (
            f"of the contacts with one of its values, at least {pure:.0%} responded; of all with the same "
            f"offers on the same channels, {y[seldom].mean():.0%}"
        )
    if name not in features.at_contact:
        return None
    today = features.known_today(name)
    filled = 1 - _empty(then, name in features.text)
    missing = _empty(today, name in features.text)
    if filled >= FILLED and missing >= 1 - MISSING:
        return f"it is filled for {filled:.0%} of past contacts and missing for {missing:.0%} of customers"
    return None


def _empty(values: Floats, text: bool) -> float:
    return float((values == -1 if text else np.isnan(values)).mean()) if len(values) else 1.0

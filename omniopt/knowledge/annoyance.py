"""How likely a contact makes a customer unsubscribe, estimated from history by channel and pressure.

The pressure of a contact is how many contacts, on any channel, the customer had in the days before it. A rate
of few contacts is drawn to that of its channel, and a channel's to that of all, as if so many more contacts
had gone as those do: the mean of a beta distribution, given the data (Robbins 1956; Efron and Morris 1975).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from omniopt.errors import BadInput, Fault
from omniopt.knowledge.profile import NOT_RECEIVED, UNKNOWN, Events, Floats, Ints
from omniopt.tables import Tables

#: The outcome that ends a relation.
UNSUBSCRIBED = "unsubscribed"
#: Levels of pressure: no contact in the days before, 1, 2, 3, and 4 or more.
LEVELS = 5
#: By so many contacts a rate is drawn to the one above it.
WEIGHT = 200.0


@dataclass(frozen=True)
class UnsubscribeRates:
    """Chances to unsubscribe after one contact that was received.

    Attributes
    ----------
    channels : pandas.Index
        Those that history knows, sorted.
    rate : ndarray of float64, shape (channels + 1, LEVELS)
        By channel and pressure; the last row is that of a channel without any history.
    cells : DataFrame
        channel, pressure, contacts, unsubscribed, rate: what was counted, and what came of it.
    """

    channels: pd.Index
    rate: Floats
    cells: pd.DataFrame

    def of(self, channel: pd.Series, pressure: Floats) -> Floats:
        """Return the chance for each channel and number of contacts in the days before."""
        return self.rate[self.channels.get_indexer(channel), level(pressure)]


def level(pressure: Floats) -> Ints:
    """Return the level of a number of contacts."""
    return np.minimum(pressure, LEVELS - 1).astype(np.int64)


def pressure_before(events: Events, customer: Ints, day: Ints, days: int) -> Floats:
    """Return how many contacts each customer had in the days before a day, that day left out.

    The events are contacts that reached somebody, and commitments.
    """
    return events.before(customer, day) - events.before(customer, day - days)


def unsubscribe_rates(tables: Tables, days: int) -> UnsubscribeRates:
    """Estimate how likely one more contact makes a customer unsubscribe.

    Counted are past contacts whose outcome is known and that were received.

    Parameters
    ----------
    tables : Tables
        Its history is used.
    days : int
        Length of the time that makes the pressure.

    Returns
    -------
    UnsubscribeRates

    Raises
    ------
    BadInput
        When no contact in history ended in ``unsubscribed``: nothing then says how likely that is.
    """
    history = tables.history
    if history is None or "outcome" not in history or not (history["outcome"] == UNSUBSCRIBED).any():
        hint = "Give scores with a column p_unsubscribe, or take annoyance out of the project file"
        message = "no past contact ended in unsubscribed, so nothing says what annoyance costs"
        raise BadInput(Fault(message, file=tables.files.get("history"), table="history",
                             column="outcome", hint=hint))  # fmt: skip
    planned = history["planned"].to_numpy(bool) if "planned" in history else np.zeros(len(history), bool)
    outcome = history["outcome"]
    reached = planned | (outcome.notna() & (outcome != NOT_RECEIVED)).to_numpy(bool)
    customer = pd.factorize(history["customer_id"])[0].astype(np.int64)
    day = history["date"].to_numpy(np.int64)
    known = reached & ~planned & (outcome != UNKNOWN).to_numpy(bool) & (day < 1)
    events = Events.of(customer[reached], day[reached])
    pressure = level(pressure_before(events, customer[known], day[known], days))
    left = (outcome == UNSUBSCRIBED).to_numpy(bool)[known]
    channels = pd.Index(np.sort(history["channel"].unique().astype(object)), dtype="str")
    cell = channels.get_indexer(history["channel"][known]) * LEVELS + pressure
    size = len(channels) * LEVELS
    contacts = np.bincount(cell, minlength=size).reshape(-1, LEVELS).astype(np.float64)
    lost = np.bincount(cell[left], minlength=size).reshape(-1, LEVELS).astype(np.float64)
    rate = _shrunk(contacts, lost)
    cells = pd.DataFrame({
        "channel": np.repeat(channels.to_numpy(object), LEVELS),
        "pressure": np.tile(np.arange(LEVELS), len(channels)),
        "contacts": contacts.ravel().astype(np.int64),
        "unsubscribed": lost.ravel().astype(np.int64),
        "rate": rate[:-1].ravel(),
    })  # fmt: skip
    return UnsubscribeRates(channels, rate, cells)


def _shrunk(contacts: Floats, lost: Floats) -> Floats:
    """Draw each cell to its channel and each channel to all; a channel without contacts is as all are."""
    whole = lost.sum() / contacts.sum()
    of_channel = (lost.sum(axis=1) + WEIGHT * whole) / (contacts.sum(axis=1) + WEIGHT)
    cells = (lost + WEIGHT * of_channel[:, None]) / (contacts + WEIGHT)
    return np.vstack([cells, np.full(LEVELS, whole)])

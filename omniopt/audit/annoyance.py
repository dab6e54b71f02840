"""What a contact may cost because it annoys, worked out again: chance to unsubscribe times the loss.

The chance of a contact on channel c, with k contacts in the days before (4 and more are alike), is::

    all      = unsubscribed / contacts
    channel  = (unsubscribed on c + 200 · all) / (contacts on c + 200)
    chance   = (unsubscribed on c at k + 200 · channel) / (contacts on c at k + 200)

Counted are contacts of the past that arrived and whose outcome is known.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from omniopt.audit.history import DELIVERED, history_rows, outcome, planned
from omniopt.audit.inputs import Inputs
from omniopt.audit.scope import Rows, Unchecked

MOST = 4  # contacts from which on the pressure is the same
PRIOR = 200.0  # contacts that a rate is blended with


def within(past: Rows, customer: np.ndarray, day: np.ndarray, days: int) -> np.ndarray:
    """How many past contacts and commitments each customer has in the days before each day."""
    if not len(past):
        return np.zeros(len(customer), dtype=np.int64)
    low = min(int(past.day.min()), int(day.min(initial=1)) - days)
    width = max(int(past.day.max()), int(day.max(initial=1))) - low + 1
    spot = np.sort(past.customer * width + past.day - low)
    here = customer * width + day - low
    return np.searchsorted(spot, here) - np.searchsorted(spot, here - days)


def chances(inputs: Inputs) -> np.ndarray:
    """Estimate the chances from the whole history: by channel (position) and pressure.

    Raises
    ------
    Unchecked
        If nobody ever unsubscribed.
    """
    assert inputs.annoyance is not None
    rows, counts = history_rows(inputs)
    history, size = inputs.tables.history, len(inputs.world.ids["channel"])
    if history is None or not len(history):
        raise Unchecked("there is no history to estimate annoyance from")
    ended = outcome(history)
    arrived = ended.isin(DELIVERED).to_numpy() & ~planned(history) & (rows.day < 1)
    mine = rows.take(arrived)
    pressure = np.minimum(within(rows.take(counts), mine.customer, mine.day, inputs.annoyance[1]), MOST)
    gone = (ended == "unsubscribed").fillna(False).to_numpy(dtype=bool)[arrived]
    if not gone.any():
        raise Unchecked("nobody in history unsubscribed, so the cost of annoyance cannot be told")
    cells = list(zip(mine.channel.tolist(), pressure.tolist(), strict=True))
    seen, lost = Counter(cells), Counter(cell for cell, left in zip(cells, gone, strict=True) if left)
    whole = int(gone.sum()) / len(gone)
    table = np.full((size, MOST + 1), whole)
    for channel in range(size):
        n, u = (sum(count[channel, k] for k in range(MOST + 1)) for count in (seen, lost))
        own = (u + PRIOR * whole) / (n + PRIOR)
        for k in range(MOST + 1):
            table[channel, k] = (lost[channel, k] + PRIOR * own) / (seen[channel, k] + PRIOR)
    return table


def chance(inputs: Inputs, rows: Rows, channel: np.ndarray) -> np.ndarray:
    """The chance of each contact on a channel (−1: none) to end in an unsubscription, if it arrives."""
    assert inputs.annoyance is not None and inputs.chances is not None
    past, counts = history_rows(inputs)
    pressure = np.minimum(within(past.take(counts), rows.customer, rows.day, inputs.annoyance[1]), MOST)
    return np.where(channel >= 0, inputs.chances[channel, pressure], 0.0)


def loss(inputs: Inputs, customer: np.ndarray) -> np.ndarray:
    """Money lost when each customer unsubscribes: the same for all, or a column of the customers."""
    assert inputs.annoyance is not None
    said = inputs.annoyance[0]
    if not isinstance(said, str):
        return np.full(len(customer), float(said))
    frame, name = inputs.world.frames["customer"], said.partition(".")[2]
    if name not in frame:
        raise Unchecked(f"there is no column {said}")
    return frame[name].to_numpy(dtype=float, na_value=np.nan)[customer]

"""Which contacts can train, and which of them are the later ones that a model is judged by."""

from __future__ import annotations

import numpy as np
import pandas as pd

from omniopt.errors import BadInput, Fault
from omniopt.tables import Tables

#: Each of the two periods needs so many responses, and so many contacts without one.
FEWEST = 5
#: Share of the contacts that the later period should have, roughly.
LATER = 1 / 3


def usable(contacts: pd.DataFrame) -> np.ndarray:
    """Mark contacts that can train: outcome known, and so are most of the same offer, channel and day."""
    known = contacts.groupby(["offer_id", "channel", "date"])["known"].transform("mean")
    return (contacts["known"] & (known >= 0.5)).to_numpy()


def later_period(contacts: pd.DataFrame, seed: int, tables: Tables) -> tuple[np.ndarray, str]:
    """Mark the later contacts: about a third, by date, with enough to learn from on each side."""
    y = contacts["response"].to_numpy()
    days, code = np.unique(contacts["date"].to_numpy(), return_inverse=True)
    yes = np.bincount(code, weights=y, minlength=len(days)).cumsum()
    no = np.bincount(code, weights=~y, minlength=len(days)).cumsum()
    if not len(y) or min(yes[-1], no[-1]) < 2 * FEWEST:
        raise BadInput([_too_little(contacts, tables)])
    enough = np.minimum.reduce([yes, no, yes[-1] - yes, no[-1] - no]) >= FEWEST
    if enough.any():
        share = 1 - (yes + no) / len(y)
        last = int(np.argmin(np.where(enough, np.abs(share - LATER), np.inf)))
        return code > last, "by date"
    customers, who = np.unique(contacts["customer_id"].to_numpy(str), return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(customers))
    # Responders and others are dealt out in turn, so that each side gets its share of both.
    responder = np.bincount(who, weights=y) > 0
    dealt = np.lexsort([order, responder])
    position = np.empty(len(customers), np.int64)
    position[dealt] = np.arange(len(customers))
    later = position[who] % 3 == 0
    if min(y[later].sum(), (~y[later]).sum(), y[~later].sum(), (~y[~later]).sum()) < 1:
        raise BadInput([_too_little(contacts, tables)])
    return later, "by customer"


def _too_little(contacts: pd.DataFrame, tables: Tables) -> Fault:
    n, yes = len(contacts), int(contacts["response"].sum())
    return Fault(
        f"history cannot train a response model: it has {yes} responses and {n - yes} contacts known to have "
        f"none; at least {2 * FEWEST} of each are needed",
        file=tables.files.get("history"),
        table="history",
        column="outcome",
        hint="Give more history, or a table of scores. 'sent' counts as not known yet: write 'delivered' "
        "where no answer came in time",
    )


def on_planned_channels(contacts: pd.DataFrame, tables: Tables) -> np.ndarray:
    """Mark the contacts by which a model is judged: those on channels of the actions, or on their fallbacks.

    On another channel, such as visits to a shop of which every one is a response, it is easy to be right
    and of no use. All are marked where there are no actions, or where contacts on their channels have but one
    outcome.

    Returns
    -------
    ndarray of bool
    """
    if tables.actions is None:
        return np.ones(len(contacts), bool)
    planned = set(tables.actions["channel"])
    if tables.channels is not None and "fallback" in tables.channels:
        own = tables.channels[tables.channels["channel"].isin(planned)]
        planned |= set(own["fallback"].dropna())
    marked: np.ndarray = contacts["channel"].isin(planned).to_numpy(bool)
    return marked if contacts["response"][marked].nunique() == 2 else np.ones(len(contacts), bool)

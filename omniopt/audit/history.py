"""What happened and what is promised: the history table, read for the rules that count it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from omniopt.audit.arrays import code
from omniopt.audit.inputs import Inputs
from omniopt.audit.scope import Rows

# What happened says something about delivery only where it is known; a contact merely `sent` does not.
DELIVERED = ("delivered", "opened", "clicked", "responded", "rejected", "unsubscribed")
COUNTED = ("sent", *DELIVERED)
OUTCOMES = (*COUNTED, "bounced")


def history_rows(inputs: Inputs) -> tuple[Rows, np.ndarray]:
    """Contacts of the past and commitments, and which of them count (all but those that bounced)."""
    history, world = inputs.tables.history, inputs.world
    if history is None or not len(history):
        nothing = np.empty(0, dtype=np.int64)
        return Rows(nothing, nothing, nothing, nothing, nothing), np.empty(0, dtype=bool)
    unknown = np.full(len(history), -1, dtype=np.int64)
    rows = Rows(
        inputs.customer_of("history"),
        code(world.ids["offer"], history["offer_id"]) if "offer_id" in history else unknown,
        code(world.ids["channel"], history["channel"]) if "channel" in history else unknown,
        code(world.ids["action"], history["action_id"]) if "action_id" in history else unknown,
        history["date"].to_numpy(dtype=np.int64),
    )
    return rows, planned(history) | outcome(history).isin(COUNTED).to_numpy()


def events(inputs: Inputs, outcomes: Sequence[str]) -> Rows:
    """The rows of history that ended in one of these ways, whenever that was."""
    rows, _ = history_rows(inputs)
    history = inputs.tables.history
    if history is None or not len(history):
        return rows
    return rows.take(outcome(history).isin(list(outcomes)).to_numpy(dtype=bool))


def planned(history: pd.DataFrame) -> np.ndarray:
    """Which rows are commitments."""
    if "planned" not in history:
        return np.zeros(len(history), dtype=bool)
    return history["planned"].fillna(False).to_numpy(dtype=bool)


def outcome(history: pd.DataFrame) -> pd.Series:
    """How each contact ended; missing where the table does not say."""
    return history["outcome"] if "outcome" in history else pd.Series([None] * len(history), dtype="str")

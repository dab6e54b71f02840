"""41,188 real calls of a bank (UCI Bank Marketing), as tables of the contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from market import read

from omniopt.tables import Tables


def bank(shared_data: Path, *, one_day: bool = False, duration: str | None = None) -> Tables:
    """Read the calls: one customer each, fifty a day in their order, or all on one day.

    `duration` puts the length of the call, known only afterwards, into "customers" or into "history".
    """
    calls = pd.read_csv(shared_data / "data" / "bank_marketing" / "bank-additional-full.csv.gz", sep=";")
    customers = calls.drop(columns=["contact", "y", "duration"])
    customers.insert(0, "customer_id", np.arange(len(calls)).astype(str))
    history = pd.DataFrame(
        {"customer_id": customers["customer_id"], "offer_id": "deposit", "channel": calls["contact"]}
    )
    history["date"] = -1 if one_day else (np.arange(len(calls)) - len(calls)) // 50
    history["outcome"] = np.where(calls["y"] == "yes", "responded", "delivered")
    if duration is not None:
        customers["duration"] = calls["duration"] if duration == "customers" else None
    if duration == "history":
        history["duration"] = calls["duration"]
        customers["duration"] = customers["duration"].astype("float64")
    return read(
        customers=customers,
        offers=pd.DataFrame({"offer_id": ["deposit"]}),
        channels=pd.DataFrame({"channel": ["cellular", "telephone"]}),
        history=history,
    )

"""A project whose policy holds customers out and gives others a contact at random."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import omniopt as oo

LEARNING = {"control": {"share": 0.1, "per_offer": 0.1, "by": "customer.region", "key": 2026},
            "explore": {"share": 0.1}}  # fmt: skip


def project(learning: dict[str, Any] | None, customers: int = 120, **policy: Any) -> oo.Project:
    """Customers of two regions, two to a household, with four contacts each."""
    random = np.random.default_rng(0)
    table = pd.DataFrame({
        "customer_id": [f"c{i:04d}" for i in range(customers)],
        "household_id": [f"h{i // 2}" for i in range(customers)],
        "region": random.choice(["north", "south"], customers),
    })  # fmt: skip
    actions = pd.DataFrame({
        "action_id": list("abcd"), "offer_id": list("xxyz"), "channel": list("eses"), "date": [1, 2, 3, 4],
    })  # fmt: skip
    pairs = pd.MultiIndex.from_product([table["customer_id"], actions["action_id"]])
    candidates = pairs.to_frame(index=False, name=["customer_id", "action_id"])
    candidates["value"] = random.integers(4, 40, len(candidates)) / 4
    candidates["cost"], candidates["response"] = 1.0, 0.1
    rules = {
        "objective": "value - cost",
        "limits": [{"name": "budget", "measure": "cost", "max": 0.6 * customers}],
        "contact": [{"name": "pressure", "max": 2, "days": 3}],
    }
    return oo.Project.from_frames(
        rules | policy | ({"learning": learning} if learning else {}),
        horizon={"start": "2026-11-23", "days": 7},
        customers=table, actions=actions, candidates=candidates,
    )  # fmt: skip

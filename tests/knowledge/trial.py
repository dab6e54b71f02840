"""A randomised experiment whose effect is known, and the project around it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from market import read

from omniopt.tables import Tables

PAST = {name: pd.Series(dtype="str") for name in ("customer_id", "offer_id", "channel", "outcome")}


class Experiment:
    """Customers of whom some were left out at random; the offer helps the young and puts off the old.

    The response is 0.2 without the offer, and 0.2 + `effect` with it.
    """

    def __init__(
        self, customers: int = 4000, seed: int = 0, share: float = 0.5, strength: float = 0.3
    ) -> None:
        rng = np.random.default_rng(seed)
        self.ids = np.array([f"c{i:06d}" for i in range(customers)])
        self.age = rng.uniform(20, 80, customers)
        self.effect = strength * (50 - self.age) / 60 + strength / 10
        self.treated = rng.random(customers) < share
        self.responded = rng.random(customers) < 0.2 + self.treated * self.effect
        self.customers = pd.DataFrame(
            {"customer_id": self.ids, "age": self.age, "region": rng.choice(["n", "s"], customers)}
        )
        self.experiments = pd.DataFrame({
            "customer_id": self.ids, "offer_id": "x", "arm": np.where(self.treated, "treated", "control"),
            "probability": np.where(self.treated, share, 1 - share), "date": -20,
        })  # fmt: skip
        self.outcomes = pd.DataFrame(
            {"customer_id": self.ids[self.responded], "date": -10, "outcome": "responded"}
        )

    def frames(self, **instead: Any) -> dict[str, pd.DataFrame]:
        history = pd.DataFrame(PAST).assign(date=0)
        names = ("customers", "experiments", "outcomes")
        return {name: getattr(self, name) for name in names} | {"history": history} | instead

    def tables(self, **instead: Any) -> Tables:
        return read(**{k: v for k, v in self.frames(**instead).items() if v is not None})

"""Tables for the tests of knowledge: as a project reads them, and a market whose probabilities are known."""

from __future__ import annotations

import numpy as np
import pandas as pd

from omniopt.errors import Faults
from omniopt.tables import Tables, read_tables

OFFERS = pd.DataFrame({"offer_id": ["x", "y", "z"]})
CHANNELS = pd.DataFrame({"channel": ["mail", "email"]})


def read(**frames: pd.DataFrame) -> Tables:
    """Read frames as a project without a horizon would: dates are day numbers."""
    frames = {"offers": OFFERS, "channels": CHANNELS, **frames}
    faults = Faults()
    tables = read_tables(frames, None, None, {}, faults)
    faults.raise_if_any()
    return tables


class Market:
    """Customers who are contacted every ten days and answer with a probability that is known.

    It depends on age, on the offer's category and on the channel, as `p` says.
    """

    def __init__(self, customers: int, seed: int = 0, rounds: int = 12, level: float = -2.0) -> None:
        rng = np.random.default_rng(seed)
        ids = np.array([f"c{i:05d}" for i in range(customers)])
        self.age = rng.uniform(20, 80, customers)
        self.customers = pd.DataFrame(
            {"customer_id": ids, "age": self.age, "region": rng.choice(["n", "s"], customers)}
        )
        self.offers = pd.DataFrame(
            {"offer_id": ["old a", "old b", "new a", "new b"], "category": ["a", "b", "a", "b"]}
        )
        self.channels = pd.DataFrame({"channel": ["mail", "email"]})
        self.level = level
        parts = []
        for number in range(rounds):
            offer, channel = rng.integers(0, 2, customers), rng.integers(0, 2, customers)
            answered = rng.random(customers) < self.p(np.arange(customers), offer, channel)
            part = pd.DataFrame({"customer_id": ids, "offer_id": np.array(["old a", "old b"])[offer]})
            part["channel"] = np.array(["mail", "email"])[channel]
            part["date"] = -10 * (rounds - number)
            part["outcome"] = np.where(answered, "responded", "delivered")
            parts.append(part)
        self.history = pd.concat(parts, ignore_index=True)

    def p(self, customer: np.ndarray, category: np.ndarray, channel: np.ndarray) -> np.ndarray:
        """The true probability: category a is 0 and b 1, mail is 0 and email 1."""
        return 1 / (
            1 + np.exp(-(self.level + (self.age[customer] - 50) / 20 + 1.0 * category - 0.8 * channel))
        )

    def tables(self, **instead: pd.DataFrame) -> Tables:
        frames = {name: getattr(self, name) for name in ("customers", "offers", "channels", "history")}
        return read(**{**frames, **instead})

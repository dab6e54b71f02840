"""What the project file says of annoyance: what it costs when a customer unsubscribes."""

from __future__ import annotations

import math
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Annoyance(BaseModel):
    """The price of annoyance, ``annoyance: {loss: 25, days: 30}``.

    Attributes
    ----------
    loss : float or str
        Money lost when a customer unsubscribes: an amount, or ``customer.<column>`` for each customer's own.
    days : int
        Contacts in so many days before a contact are the pressure under which it comes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    loss: float | str
    days: int = Field(default=30, ge=1, le=3650, strict=True)

    @field_validator("loss", mode="before")
    @classmethod
    def _money_or_column(cls, value: Any) -> Any:
        if isinstance(value, str) and value.startswith("customer.") and value != "customer.":
            return value
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < 0:
            raise ValueError("write an amount of money from 0 on, or customer.<column>")
        return float(value)

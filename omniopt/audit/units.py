"""Customers and households as the units that contact rules count, and what is asked of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from omniopt.audit.inputs import Inputs
from omniopt.audit.scope import Unchecked, canonical


def households(inputs: Inputs) -> np.ndarray:
    """The household of each customer as a number; a customer no table describes is one of its own."""
    column = inputs.world.frames["customer"].get("household_id")
    if column is None or inputs.tables.customers is None:
        raise Unchecked("the customers have no household_id")
    known = np.zeros(len(column), dtype=bool)
    known[inputs.customer_of("customers")] = True
    names = np.array([canonical(value) for value in column], dtype=object)
    empty = np.array([name is None or not name.strip() for name in names], dtype=bool)
    if (known & empty).any():
        raise Unchecked("a customer has no household_id")
    labels = np.where(empty, [f"\0{k}" for k in range(len(names))], names)
    return pd.factorize(labels, sort=True)[0].astype(np.int64)


def of_units(inputs: Inputs, bound: Any, owner: np.ndarray, none: float, side: str) -> np.ndarray:
    """The bound of every unit; members of a unit must agree."""
    units = int(owner.max(initial=-1)) + 1
    if bound is None:
        return np.full(units, none)
    if isinstance(bound, int | float) and not isinstance(bound, bool):
        return np.full(units, float(bound))
    named = str(bound["column"]) if isinstance(bound, Mapping) and set(bound) == {"column"} else ""
    if not named.startswith("customer."):
        raise Unchecked(f"{side}: {bound!r} is not known to this check")
    column = inputs.world.frames["customer"].get(named.partition(".")[2])
    if column is None or not pd.api.types.is_numeric_dtype(column):
        raise Unchecked(f"no table has the numbers '{named}'")
    numbers = column.to_numpy(dtype=float, na_value=np.nan)
    known = np.arange(len(numbers))
    if inputs.tables.customers is not None:
        known = inputs.customer_of("customers")
    result = np.full(units, np.nan)
    result[owner[known]] = numbers[known]
    agree = (result[owner[known]] == numbers[known]) | (
        np.isnan(result[owner[known]]) & np.isnan(numbers[known])
    )
    if not agree.all():
        raise Unchecked(f"the members of a household have different '{named}'")
    return result

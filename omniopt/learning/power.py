"""What a control group can tell: the smallest difference that it detects with a given power."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.stats import norm

#: Power and two-sided level of the test that is planned for.
POWER, LEVEL = 0.8, 0.05


def detectable(spread: float, treated: int, control: int) -> float:
    """Return the smallest difference of two means that a test detects.

    (z of 1 - level/2 + z of power) · spread · √(1/treated + 1/control), by the normal approximation (Cohen
    1988, Statistical Power Analysis for the Behavioral Sciences, chapter 2).

    Parameters
    ----------
    spread : float
        Standard deviation of what is measured of a customer.
    treated, control : int
        Customers in the arms.

    Returns
    -------
    float
        Per customer; NaN where an arm is empty.
    """
    if min(treated, control) < 1:
        return math.nan
    z = float(norm.isf(LEVEL / 2) + norm.isf(1 - POWER))
    return z * spread * math.sqrt(1 / treated + 1 / control)


def outlook(contacts: pd.DataFrame, customers: int) -> dict[str, float]:
    """Return what a plan predicts of a customer, contacted or not, and how much customers differ in it.

    Responses to different contacts are taken to be independent, each worth its expected value when it comes.

    Parameters
    ----------
    contacts : DataFrame
        customer_id, response and value: the plan's, of the arm that is treated.
    customers : int
        In that arm.

    Returns
    -------
    dict
        ``rate``, the share of customers who respond, and ``rate_spread``, its standard deviation of one
        customer; ``money`` and ``money_spread``, the same of the value of responses. NaN where not known.
    """
    told = dict.fromkeys(("rate", "rate_spread", "money", "money_spread"), math.nan)
    if customers < 1 or contacts["response"].isna().any() or not contacts["response"].between(0, 1).all():
        return told
    p = contacts["response"].to_numpy(float)
    silent = (1 - contacts["response"]).groupby(contacts["customer_id"], sort=False).prod()
    rate = float((1 - silent).sum()) / customers
    told |= {"rate": rate, "rate_spread": math.sqrt(rate * (1 - rate))}
    if contacts["value"].isna().any() or (contacts["value"].to_numpy(float)[p == 0] != 0).any():
        return told
    value = contacts["value"].to_numpy(float)
    brings = np.divide(value, p, out=np.zeros(len(p)), where=p > 0)
    each = contacts["value"].groupby(contacts["customer_id"], sort=False).sum().to_numpy(float)
    mean = float(each.sum()) / customers
    second = float((each**2).sum() + (p * (1 - p) * brings**2).sum()) / customers
    return told | {"money": mean, "money_spread": math.sqrt(max(second - mean**2, 0.0))}

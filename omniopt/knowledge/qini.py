"""How well an uplift model ranks: Qini curve, the area under it, and uplift by decile, with intervals.

Customers are sorted by predicted uplift, the highest first. The curve says what treating the first share of
them brings, against treating nobody: share × (response rate of the treated among them − that of the
controls). A ranking at random rises on a straight line to the effect of treating everybody. (Radcliffe 2007,
"Using control groups to target on predicted lift"; Gutierrez and Gérardy 2017 compare the definitions.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from omniopt.knowledge.evaluate import interval
from omniopt.knowledge.profile import Floats, Ints

#: Shares of the customers at which the curve is told.
POINTS = 20
#: Resamples of the customers behind an interval.
RESAMPLES = 300


@dataclass(frozen=True)
class Arms:
    """Randomised customers with what became of them.

    Attributes
    ----------
    treated : ndarray of bool, shape (n,)
    response : ndarray of bool or float, shape (n,)
    weight : ndarray of float, shape (n,)
        1 / probability of the arm that the customer came into.
    customer : ndarray of int, shape (n,)
        Rows of one customer are resampled together.
    """

    treated: np.ndarray
    response: np.ndarray
    weight: Floats
    customer: Ints


def difference(arms: Arms, at: np.ndarray | slice = slice(None)) -> dict[str, float]:
    """Return the difference of the response rates of treated and control customers, with its interval.

    Each customer counts inversely to the probability of the arm (Hájek 1971). The 95 % interval is
    Newcombe's (1998, Statistics in Medicine 17, 873-890, method 10), for as many customers as weights of
    that spread are worth.

    Returns
    -------
    dict
        ``treated`` and ``control`` (customers), ``rate_treated``, ``rate_control``, ``uplift``, ``low``,
        ``high``; NaN where an arm has nobody.
    """
    t, y, w = arms.treated[at], np.asarray(arms.response, float)[at], arms.weight[at]
    rates, ends, counts = [], [], []
    for mine in (t, ~t):
        total, square = w[mine].sum(), np.square(w[mine]).sum()
        rate = (w[mine] * y[mine]).sum() / total if total else float("nan")
        size = total**2 / square if square else 0.0
        low, high = interval(rate * size if size else 0.0, size)
        rates.append(rate)
        ends.append((float(low), float(high)))
        counts.append(int(mine.sum()))
    (p, q), ((p_low, p_high), (q_low, q_high)) = rates, ends
    return {
        "treated": counts[0], "control": counts[1], "rate_treated": p, "rate_control": q, "uplift": p - q,
        "low": p - q - np.hypot(p - p_low, q_high - q), "high": p - q + np.hypot(p_high - p, q - q_low),
    }  # fmt: skip


def deciles(predicted: Floats, arms: Arms, groups: int = 10) -> pd.DataFrame:
    """Compare predicted and actual uplift in groups of about equal size, from the highest prediction down.

    Returns
    -------
    DataFrame
        Per group ``group`` (from 1), ``predicted`` (mean), and what `difference` tells.
    """
    order = _order(predicted, arms)
    group = np.empty(len(order), np.int64)
    group[order] = np.arange(len(order)) * groups // max(len(order), 1)
    rows = []
    for number in range(groups):
        at = np.flatnonzero(group == number)
        mean = float(predicted[at].mean()) if len(at) else float("nan")
        rows.append({"group": number + 1, "predicted": mean} | difference(arms, at))
    return pd.DataFrame(rows)


def qini_curve(predicted: Floats, arms: Arms, seed: int = 0) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return the Qini curve of a ranking, and the areas under it.

    The areas are responses gained per customer, on average over all shares that might be treated. Intervals
    come from resampling the customers (percentile bootstrap); that another sample would have led to another
    model is not in them.

    Parameters
    ----------
    predicted : ndarray of float, shape (n,)
        By models that did not see the customer.
    arms : Arms
    seed : int
        Of the resampling.

    Returns
    -------
    curve : DataFrame
        ``share``, ``gain`` with ``low`` and ``high``, and ``random``: the gain of a ranking at random.
    areas : dict
        ``auuc`` (area under the curve) and ``qini`` (the part of it above the random line), with the ends
        ``…_low`` and ``…_high`` of 95 % intervals.
    """
    order = _order(predicted, arms)
    t, y, w = arms.treated[order], np.asarray(arms.response, float)[order], arms.weight[order]
    code = np.unique(arms.customer, return_inverse=True)[1][order]
    people, rng = int(code.max(initial=-1)) + 1, np.random.default_rng(seed)
    drawn = [_gains(t, y, w)]
    for _ in range(RESAMPLES):
        times = np.bincount(rng.integers(0, people, people), minlength=people)[code]
        drawn.append(_gains(t, y, w * times))
    gains = np.array(drawn)
    share = np.linspace(0.0, 1.0, POINTS + 1)
    low, high = np.nanpercentile(gains[1:], [2.5, 97.5], axis=0)
    curve = pd.DataFrame({
        "share": share, "gain": gains[0], "low": low, "high": high, "random": share * gains[0, -1],
    })  # fmt: skip
    auuc = np.asarray(np.trapezoid(gains, share, axis=1))
    areas: dict[str, float] = {}
    for name, values in (("auuc", auuc), ("qini", auuc - gains[:, -1] / 2)):
        ends = np.nanpercentile(values[1:], [2.5, 97.5])
        areas |= {name: float(values[0]), f"{name}_low": float(ends[0]), f"{name}_high": float(ends[1])}
    return curve, areas


def _order(predicted: Floats, arms: Arms) -> Ints:
    """Sort by prediction, the highest first; equal ones by customer, so that the order of rows is nothing."""
    return np.lexsort((arms.customer, -predicted))


def _gains(treated: np.ndarray, response: Floats, weight: Floats) -> Floats:
    """Return what treating each of the `POINTS` shares brings per customer; rows come sorted."""
    sums = [
        np.concatenate([[0.0], np.cumsum(column)])
        for mine in (treated, ~treated)
        for column in (weight * mine, weight * mine * response)
    ]
    total = sums[0] + sums[2]
    share = np.linspace(0.0, 1.0, POINTS + 1)
    at = np.searchsorted(total, share * total[-1] * (1 - 1e-12))
    n_t, y_t, n_c, y_c = (column[at] for column in sums)
    # a first share without anybody in one arm says nothing yet
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.where((n_t > 0) & (n_c > 0), y_t / n_t - y_c / n_c, 0.0)
    return share * rate

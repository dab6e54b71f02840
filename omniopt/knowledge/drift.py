"""Does response still follow what earlier contacts taught: predicted against actual, cell by cell.

The interval of an actual rate is Wilson's. Many rates are compared, and some leave their 95 % interval by
chance alone; a cell counts as drifted when the prediction is outside an interval so wide that not one in a
hundred reports would have such a cell if nothing had changed (Bonferroni's correction), and when it is off by
a fifth of the actual rate at least.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from omniopt.knowledge.calibrate import Calibration
from omniopt.knowledge.estimators import LEVELS, log_odds
from omniopt.knowledge.evaluate import interval
from omniopt.knowledge.profile import Floats

#: Days of a month: contacts have day numbers, and no calendar.
MONTH = 30
#: Chance of any false alarm in a report.
FALSE_ALARM = 0.01
#: A prediction off by less than this share of the actual rate is no drift to act on.
TOLERATED = 0.2
#: Share of the earlier contacts that recalibration is tried on, and the fewest of each outcome that it takes.
NEWEST = 0.2
FEWEST = 5
#: So many cells of each kind are told in words; the report has all.
TOLD = 3


def drift(p: Floats, contacts: pd.DataFrame) -> pd.DataFrame:
    """Compare predicted with actual response rates.

    Parameters
    ----------
    p : ndarray of float, shape (n,)
        Probabilities that contacts had by a model that did not see them.
    contacts : DataFrame, n rows
        date (day number), offer_id, channel and response (bool).

    Returns
    -------
    DataFrame
        ``by`` (all, month, offer or channel) and ``cell`` (the offer, the channel, or the first day number of
        the month), ``contacts``, ``responses``, ``predicted_rate``, ``rate`` with the ends ``low`` and
        ``high`` of its 95 % interval, and ``drifted``. Months are of thirty days, counted back from the last
        contact.
    """
    day = contacts["date"].to_numpy(np.int64)
    last = int(day.max())
    month = last - MONTH + 1 - MONTH * ((last - day) // MONTH)
    kinds = {
        "all": np.full(len(day), "all"), "month": month,
        "offer": contacts["offer_id"].to_numpy(str), "channel": contacts["channel"].to_numpy(str),
    }  # fmt: skip
    frame = pd.DataFrame({"p": p, "y": contacts["response"].to_numpy(bool)})
    parts = []
    for by, cell in kinds.items():
        summed = frame.groupby(cell, sort=True).agg(
            contacts=("y", "size"), responses=("y", "sum"), predicted_rate=("p", "mean")
        )
        parts.append(summed.reset_index(names="cell").assign(by=by).astype({"cell": str}))
    table = pd.concat(parts, ignore_index=True)
    return _judged(table)[
        ["by", "cell", "contacts", "responses", "predicted_rate", "rate", "low", "high", "drifted"]
    ]


def _judged(table: pd.DataFrame) -> pd.DataFrame:
    yes, n = table["responses"], table["contacts"]
    rate = yes / n
    low, high = interval(yes, n)
    # Two-sided, for as many cells as are compared.
    widest_low, widest_high = interval(yes, n, float(norm.isf(FALSE_ALARM / 2 / len(table))))
    predicted = table["predicted_rate"]
    outside = (predicted < widest_low) | (predicted > widest_high)
    off = (predicted - rate).abs() > TOLERATED * rate
    return table.assign(rate=rate, low=low, high=high, drifted=outside & off)


def warnings(table: pd.DataFrame) -> list[str]:
    """Say in words what drifted: for all contacts first, else for the cells that are off by most contacts.

    Parameters
    ----------
    table : DataFrame
        As `drift` returns it.

    Returns
    -------
    list of str
        Empty where nothing drifted.
    """
    whole = table[table["by"] == "all"].iloc[0]
    said = []
    if whole["drifted"]:
        said.append(
            "response has drifted: what earlier contacts taught predicts "
            f"{_percent(whole['predicted_rate'])} for the later ones, and {_percent(whole['rate'])} responded"
        )
    for by in ("offer", "channel"):
        cells = table[table["by"] == by]
        # A single cell is all contacts once more.
        cells = cells[cells["drifted"] & (len(cells) > 1)]
        missed = ((cells["predicted_rate"] - cells["rate"]).abs() * cells["contacts"]).sort_values()
        for i in missed.index[::-1][:TOLD]:
            cell = cells.loc[i]
            said.append(
                f"response to {by} {cell['cell']} has drifted: predicted {_percent(cell['predicted_rate'])}, "
                f"actual {_percent(cell['rate'])} ({_percent(cell['low'])} to {_percent(cell['high'])})"
            )
    return said


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def recalibration(
    contacts: pd.DataFrame, rows: pd.DataFrame, later: np.ndarray, plain: float, unfitted: Pipeline
) -> dict[str, float]:
    """Ask whether recalibrating on the newest contacts would have caught the drift.

    The earlier period is divided once more: the pipeline learns from the older four fifths of its contacts
    and is calibrated on the newest fifth. Then both are judged by the later period, which neither has seen.

    Parameters
    ----------
    contacts, rows : DataFrame
        All contacts and their features.
    later : ndarray of bool
        Which belong to the later period.
    plain : float
        The mean that a pipeline trained on all of the earlier period predicts for the later one.
    unfitted : Pipeline

    Returns
    -------
    dict
        ``predicted``, ``recalibrated`` and ``actual`` mean; ``error`` and ``error_recalibrated``, how far the
        first two are from the third; ``halved`` (bool). Empty where the newest fifth is too small.
    """
    y = contacts["response"].to_numpy(bool)
    day = contacts["date"].to_numpy(np.int64)
    newest = ~later & (day > np.quantile(day[~later], 1 - NEWEST, method="higher"))
    older = ~later & ~newest
    if min(y[newest].sum(), (~y[newest]).sum(), y[older].sum(), (~y[older]).sum()) < FEWEST:
        return {}
    with threadpool_limits(1):
        fitted = unfitted.fit(rows[older], y[older])
        curve = Calibration.fit(log_odds(fitted, rows[newest]), rows.loc[newest, LEVELS], y[newest])
        again = float(curve(log_odds(fitted, rows[later]), rows.loc[later, LEVELS]).mean())
    actual = float(y[later].mean())
    error, error_again = abs(plain - actual), abs(again - actual)
    return {
        "predicted": plain, "recalibrated": again, "actual": actual, "error": error,
        "error_recalibrated": error_again, "halved": error_again <= error / 2,
    }  # fmt: skip


def recalibration_in_words(again: dict[str, float]) -> list[str]:
    """Say what `recalibration` found, in one sentence."""
    if not again:
        return ["whether recalibrating helps cannot be said: the newest fifth holds too few responses"]
    errors = f"from {100 * again['error']:.1f} to {100 * again['error_recalibrated']:.1f} percentage points"
    if again["halved"]:
        return [
            "recalibrating on the newest fifth of earlier contacts at least halves the error of the mean: "
            f"{errors}; the scores are calibrated on the newest contacts"
        ]
    return [
        "recalibrating on the newest fifth of the earlier contacts cannot halve the error of the mean: it "
        f"goes {errors}; so the scores, though calibrated on the newest contacts, may be as far off"
    ]

"""How good predictions were: ranking, calibration, and predicted against actual responses."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from omniopt.errors import BadInput, Fault
from omniopt.knowledge.profile import NOT_RECEIVED, RESPONSE, UNKNOWN

#: What a comparison on past contacts can say, and what it cannot; for reports.
CAVEAT = (
    "Only customers who were contacted are compared, and they were chosen. So this shows whether predictions "
    "held among them; it does not show how others would have responded, nor what the contact changed."
)
_KEY = ["customer_id", "offer_id", "channel"]


def auc(p: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Return the chance that a responder was scored above a non-responder, ties counting one half.

    Parameters
    ----------
    p : array of float, shape (n,)
        Scores.
    y : array of bool, shape (n,)
        Whether each responded.

    Returns
    -------
    float
        From 0 to 1; 0.5 is chance. NaN where all or none responded.
    """
    scores, answered = np.asarray(p, float), np.asarray(y, bool)
    yes, no = int(answered.sum()), int((~answered).sum())
    if not yes or not no:
        return float("nan")
    rank = pd.Series(scores).rank().to_numpy()
    return float((rank[answered].sum() - yes * (yes + 1) / 2) / (yes * no))


def log_loss(p: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Return the mean of −log of the probability given to what happened: lower is better; 0 < p < 1."""
    scores, answered = np.asarray(p, float), np.asarray(y, bool)
    return float(-np.log(np.where(answered, scores, 1 - scores)).mean()) if len(scores) else float("nan")


def interval(
    responses: npt.ArrayLike, contacts: npt.ArrayLike, z: float = 1.959963984540054
) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's interval of a response rate (Wilson 1927, J. Am. Stat. Assoc. 22, 209-212).

    Parameters
    ----------
    responses, contacts : array of int
        Responses among contacts; with no contacts the interval is all of [0, 1].
    z : float
        Quantile of the normal distribution; 95 % if not given.

    Returns
    -------
    tuple of ndarray
        Lower and upper ends.
    """
    yes, n = np.asarray(responses, float), np.asarray(contacts, float)
    centre = (yes + z**2 / 2) / (n + z**2)
    half = (
        z / (n + z**2) * np.sqrt(np.divide(yes * (n - yes), n, out=np.zeros_like(n), where=n > 0) + z**2 / 4)
    )
    # At no and at all responses the end is exactly 0 and 1, which rounding may miss.
    low, high = np.where(yes > 0, centre - half, 0.0), np.where(yes < n, centre + half, 1.0)
    return np.clip(low, 0, 1), np.clip(np.where(n > 0, high, 1.0), 0, 1)


def calibration(p: npt.ArrayLike, y: npt.ArrayLike, bins: int = 10) -> pd.DataFrame:
    """Compare predicted and actual response rate in groups of about equal size, from low scores to high.

    Parameters
    ----------
    p : array of float, shape (n,)
        Predicted probabilities.
    y : array of bool, shape (n,)
        Whether each responded.
    bins : int
        Groups; equal scores share a group, so there may be fewer.

    Returns
    -------
    pandas.DataFrame
        Per group: ``contacts``, ``responses``, ``predicted_rate``, ``rate``, and the ends ``low`` and
        ``high`` of the rate's 95 % interval.
    """
    scores = pd.Series(np.asarray(p, float))
    group = np.minimum((scores.rank(method="average", pct=True) * bins - 1e-9).astype("int64"), bins - 1)
    frame = pd.DataFrame({"p": scores, "y": np.asarray(y, bool)}).groupby(group.to_numpy())
    table = frame.agg(contacts=("y", "size"), responses=("y", "sum"), predicted_rate=("p", "mean"))
    return _with_rates(table.reset_index(drop=True))


def join(scores: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    """Return outcomes that are known, with the score each contact had.

    Parameters
    ----------
    scores : pandas.DataFrame
        customer_id, offer_id, channel, p_response.
    outcomes : pandas.DataFrame
        customer_id, offer_id, channel, outcome, as in history.

    Returns
    -------
    pandas.DataFrame
        The rows of outcomes with ``p_response`` (NaN where there is no score) and ``response``, sorted.
        Contacts that bounced, are planned, or whose outcome is not known are left out.

    Raises
    ------
    BadInput
        When a column is missing.
    """
    lacking = [
        Fault(f"{name} has no column '{column}'", table=name, hint="Give the table with this column")
        for name, frame, columns in (
            ("scores", scores, [*_KEY, "p_response"]),
            ("outcomes", outcomes, [*_KEY, "outcome"]),
        )
        for column in columns
        if column not in frame.columns
    ]
    if lacking:
        raise BadInput(lacking)
    known = outcomes["outcome"].notna() & ~outcomes["outcome"].isin([UNKNOWN, NOT_RECEIVED])
    if "planned" in outcomes:
        known &= ~outcomes["planned"].fillna(False).astype(bool)
    rows = outcomes[known].assign(response=(outcomes["outcome"] == RESPONSE)[known])
    rows = rows.merge(scores[[*_KEY, "p_response"]], on=_KEY, how="left", validate="many_to_one")
    return rows.sort_values([*_KEY, *(["date"] if "date" in rows else [])], ignore_index=True)


def compare(scores: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    """Compare predicted with actual responses, by offer and channel and in total.

    This is among those who were contacted, who were chosen: see `CAVEAT`.

    Parameters
    ----------
    scores, outcomes : pandas.DataFrame
        As in `join`.

    Returns
    -------
    pandas.DataFrame
        One row per offer and channel that was contacted, then one for all (offer_id and channel "all"):
        ``contacts`` compared, ``unscored`` (contacts without a score, not compared), ``predicted`` and actual
        ``responses``, ``predicted_rate``, ``rate`` with the ends ``low`` and ``high`` of its 95 % interval,
        ``within`` (the predicted rate lies in it; missing without contacts), and ``auc`` among the contacts.
    """
    rows = join(scores, outcomes)
    cells = [(keys, cell) for keys, cell in rows.groupby(["offer_id", "channel"], sort=True)]
    table = pd.DataFrame(
        [_cell(offer, channel, cell) for (offer, channel), cell in [*cells, (("all", "all"), rows)]]
    )
    table = _with_rates(table)
    within = table["predicted_rate"].between(table["low"], table["high"]).astype("boolean")
    table["within"] = within.mask(table["contacts"] == 0)
    columns = [
        "offer_id",
        "channel",
        "contacts",
        "unscored",
        "predicted",
        "responses",
        "predicted_rate",
        "rate",
    ]
    return table[[*columns, "low", "high", "within", "auc"]]


def _cell(offer: str, channel: str, cell: pd.DataFrame) -> dict[str, object]:
    scored = cell[cell["p_response"].notna()]
    predicted = float(scored["p_response"].sum())
    return {
        "offer_id": offer,
        "channel": channel,
        "contacts": len(scored),
        "unscored": len(cell) - len(scored),
        "predicted": predicted,
        "responses": int(scored["response"].sum()),
        "predicted_rate": predicted / len(scored) if len(scored) else float("nan"),
        "auc": auc(scored["p_response"], scored["response"]),
    }


def _with_rates(table: pd.DataFrame) -> pd.DataFrame:
    contacts, responses = table["contacts"].to_numpy(float), table["responses"].to_numpy(float)
    rate = np.divide(responses, contacts, out=np.full(len(table), np.nan), where=contacts > 0)
    low, high = interval(responses, contacts)
    return table.assign(rate=rate, low=low, high=high)

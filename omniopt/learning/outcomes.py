"""Outcomes joined to a plan: which contact each belongs to, what became of each contact, and history of it.

What happened is counted for a run from the first day of its horizon until its answers are in. Every row of
outcomes is either joined to a contact, or set aside with a reason: none is lost, and none counts twice.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from omniopt.errors import Faults, nearest
from omniopt.knowledge.evaluate import interval
from omniopt.tables.contract import LARGEST

#: From the least that a contact can come to, to the most: of several outcomes the last one stands.
STRENGTH = (
    "sent",
    "bounced",
    "delivered",
    "opened",
    "clicked",
    "rejected",
    "unsubscribed",
    "responded",
)
#: Why a row of outcomes belongs to no contact of a run.
BEFORE, AFTER, OTHER_RUN, NO_CONTACT, UNKNOWN = (
    "before the run",
    "after its answers were in",
    "of another run",
    "no contact of this run came before it",
    "a customer whom the run does not know",
)
_KEY = ["customer_id", "date", "offer_id", "channel", "outcome", "action_id", "run_id"]
_COLUMNS = {"offer_id": None, "channel": None, "outcome": None, "action_id": None, "run_id": None}


def checked(outcomes: pd.DataFrame, file: str | None, faults: Faults) -> pd.DataFrame:
    """Check a table of outcomes.

    Parameters
    ----------
    outcomes : pandas.DataFrame
        customer_id and date (a day number); offer_id, channel, outcome, value, action_id and run_id where
        known. Without the column outcome every row is a response.
    file : str or None
        How to call it in messages.
    faults : Faults
        Receives what is wrong: a column or a cell that is missing, a row that stands there twice, an unknown
        outcome, a response without a value where others have one.

    Returns
    -------
    pandas.DataFrame
        With all of these columns, ``value`` only where it was given; sorted, so that the order in which the
        rows came changes nothing.
    """
    for name in ("customer_id", "date"):
        if name not in outcomes:
            faults.add("the column is missing", file=file, table="outcomes", column=name)
    if faults:
        return outcomes
    absent = {name: pd.Series(pd.NA, outcomes.index, "str") for name in _COLUMNS if name not in outcomes}
    rows = outcomes.assign(**absent)
    if "outcome" not in outcomes:
        rows["outcome"] = "responded"
    for name in ("customer_id", "date"):
        _told(rows[name].isna(), "the cell is empty", "Write a value", name, file, faults)
    strange = rows["outcome"].notna() & ~rows["outcome"].isin(STRENGTH)
    for word in sorted(set(rows.loc[strange, "outcome"]))[:20]:
        known = nearest(word, STRENGTH)
        _told(rows["outcome"] == word, f"the outcome '{word}' is unknown", known, "outcome", file, faults)
    if "value" in rows:
        number = pd.to_numeric(rows["value"], errors="coerce").astype(float)
        strange = rows["value"].notna() & ~(number.abs() <= LARGEST)
        hint = f"Write a number such as 40.5, below {LARGEST:g}"
        _told(strange, "this is no amount of money", hint, "value", file, faults)
        lacking = (rows["outcome"] == "responded") & rows["value"].isna()
        hint = "Write what it brought, 0 for nothing, or leave the column out"
        _told(lacking, "a response without a value", hint, "value", file, faults)
        rows["value"] = number
    twice = rows.duplicated(_KEY)
    hint = "Keep one of the two rows, with the sum of their values"
    _told(twice, "the same outcome stands in an earlier row already", hint, "customer_id", file, faults)
    return rows if faults else rows.sort_values(_KEY, ignore_index=True)


def _told(
    wrong: pd.Series, message: str, hint: str, column: str, file: str | None, faults: Faults, shown: int = 20
) -> None:
    rows = np.flatnonzero(wrong.to_numpy(bool))
    for row in rows[:shown]:
        faults.add(message, file=file, table="outcomes", row=int(row) + 1, column=column, hint=hint)
    if len(rows) > shown:
        faults.add(f"and {len(rows) - shown} more rows", file=file, table="outcomes", column=column)


def join(
    contacts: pd.DataFrame, outcomes: pd.DataFrame, run_id: str, last: int, known: pd.Index | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Find the contact that each outcome belongs to.

    A row that names this run, or none, belongs to the contact it names by its action. Without an action it
    belongs to the customer's latest contact with the same offer on or before its day, on the same channel if
    there was one, else on any: an answer to an e-mail may come in a shop.

    Parameters
    ----------
    contacts : pandas.DataFrame
        customer_id, action_id, offer_id, channel, date (a day number): the plan.
    outcomes : pandas.DataFrame
        As `checked` returns them.
    run_id : str
        The plan's run.
    last : int
        Day on which the run's answers are in: later rows are not its own. The first day is 1.
    known : pandas.Index, optional
        Ids of all customers of the run; those of the contacts if not given.

    Returns
    -------
    contact : ndarray of int64, shape (outcomes,)
        Row of `contacts`, or -1.
    reason : ndarray of str, shape (outcomes,)
        Why there is none; empty where there is.
    """
    contact = np.full(len(outcomes), -1, np.int64)
    day = outcomes["date"].to_numpy(np.int64)
    other = (outcomes["run_id"].notna() & (outcomes["run_id"] != run_id)).to_numpy(bool)
    window = (day >= 1) & (day <= last) & ~other
    by_action = window & outcomes["action_id"].notna().to_numpy(bool)
    keys = pd.MultiIndex.from_frame(contacts[["customer_id", "action_id"]])
    named = pd.MultiIndex.from_frame(outcomes.loc[by_action, ["customer_id", "action_id"]])
    contact[by_action] = keys.get_indexer(named)
    by_offer = window & ~by_action & outcomes["offer_id"].notna().to_numpy(bool)
    for by in (["customer_id", "offer_id", "channel"], ["customer_id", "offer_id"]):
        open_ = by_offer & (contact < 0)
        contact[open_] = _latest(contacts, outcomes[open_], by)
    strangers = contacts["customer_id"] if known is None else known
    cases = [
        contact >= 0,
        other,
        ~outcomes["customer_id"].isin(strangers).to_numpy(bool),
        day < 1,
        day > last,
    ]
    reason = np.select(cases, ["", OTHER_RUN, UNKNOWN, BEFORE, AFTER], NO_CONTACT)
    return contact, reason


def _latest(contacts: pd.DataFrame, rows: pd.DataFrame, by: list[str]) -> np.ndarray:
    """Return the latest contact that agrees in `by`, on or before each row's day; -1 where there is none."""
    if rows.empty or contacts.empty:
        return np.full(len(rows), -1, np.int64)
    left = rows[[*by, "date"]].assign(row=np.arange(len(rows)), date=rows["date"].astype("int64"))
    right = contacts[[*by, "date"]].assign(
        contact=np.arange(len(contacts)), date=contacts["date"].astype("int64")
    )
    # Of contacts on the same day the last stands; the plan's order is the same each time.
    left, right = left.dropna().sort_values(["date", "row"]), right.sort_values(["date", "contact"])
    found = pd.merge_asof(left, right, on="date", by=by)
    latest = np.full(len(rows), -1, np.int64)
    latest[found["row"].to_numpy(np.int64)] = found["contact"].fillna(-1).to_numpy(np.int64)
    return latest


def of_contacts(
    contacts: pd.DataFrame, outcomes: pd.DataFrame, contact: np.ndarray, known_until: int, answer_days: int
) -> pd.DataFrame:
    """Say what became of each contact.

    Parameters
    ----------
    contacts, outcomes : pandas.DataFrame
        As for `join`.
    contact : ndarray of int64, shape (outcomes,)
        As `join` returns it.
    known_until : int
        Last day of which outcomes are known.
    answer_days : int
        Days after a contact during which an answer may come.

    Returns
    -------
    pandas.DataFrame
        The contacts with ``outcome``, ``value`` (sum of what its responses brought, where values are given;
        else missing), ``planned`` and ``over``. A contact of which no outcome is known is ``sent`` as long as
        an answer may come; when that time is over it is ``delivered``, which counts as no response. One that
        is still to come is planned.
    """
    mine = contact >= 0
    at = contact[mine]
    strength = outcomes["outcome"].map({name: k for k, name in enumerate(STRENGTH)}).to_numpy(float)[mine]
    best = np.full(len(contacts), -1.0)
    np.maximum.at(best, at, np.nan_to_num(strength, nan=-1.0))
    day = contacts["date"].to_numpy(np.int64)
    names = np.array([*STRENGTH, ""], dtype=object)  # -1 finds the empty one
    outcome = names[best.astype(np.int64)]
    over = day + answer_days <= known_until
    outcome[(best < 0) & over], outcome[(best < 0) & ~over] = "delivered", "sent"
    value = np.full(len(contacts), np.nan)
    if "value" in outcomes:
        brought = np.bincount(at, outcomes["value"].fillna(0).to_numpy(float)[mine], len(contacts))
        value = np.where(outcome == "responded", brought, np.nan)
    planned = (day > known_until) & (best < 0)
    outcome[planned] = None
    return contacts.assign(outcome=pd.array(outcome, dtype="str"), value=value, planned=planned, over=over)


def predicted_and_actual(contacts: pd.DataFrame) -> pd.DataFrame:
    """Set predicted against actual responses and value of contacts whose time to answer is over.

    Parameters
    ----------
    contacts : pandas.DataFrame
        As `of_contacts` returns them, with ``predicted_response`` and ``predicted_value``.

    Returns
    -------
    pandas.DataFrame
        For each offer and channel, then for all (``all``): ``contacts``; ``open``, those to which an answer
        may still come, which are not compared; ``predicted`` and actual ``responses``; ``predicted_rate`` and
        ``rate`` with the ends ``low`` and ``high`` of its 95 % interval; ``predicted_value`` and ``value``.
    """
    # Of younger contacts the first answers are known, and nothing of those who did not answer yet.
    known = contacts["over"]
    rows = contacts.assign(
        known=known,
        responded=(contacts["outcome"] == "responded") & known,
        expected=contacts["predicted_response"].where(known, 0.0),
        worth=contacts["predicted_value"].where(known, 0.0),
        earned=contacts["value"].where(known),
    )
    whole = rows.assign(offer_id="all", channel="all")
    parts = [rows, whole] if len(rows) else [rows]
    table = pd.concat(
        part.groupby(["offer_id", "channel"], as_index=False).agg(
            contacts=("known", "size"), compared=("known", "sum"), predicted=("expected", "sum"),
            responses=("responded", "sum"), predicted_value=("worth", "sum"),
            value=("earned", lambda cells: cells.sum(min_count=1)),
        )
        for part in parts
    )  # fmt: skip
    table = table.reset_index(drop=True)
    n = table["compared"].to_numpy(float)
    share = {
        name: np.divide(table[column], n, out=np.full(len(n), np.nan), where=n > 0)
        for name, column in (("predicted_rate", "predicted"), ("rate", "responses"))
    }
    low, high = interval(table["responses"], n)
    table = table.assign(open=table["contacts"] - table["compared"], **share, low=low, high=high)
    return table.drop(columns="compared")


def set_aside(reason: np.ndarray) -> dict[str, int]:
    """Count the rows of outcomes that belong to no contact, by reason."""
    counts = pd.Series(reason[reason != ""], dtype="str").value_counts().sort_index()
    return {str(name): int(n) for name, n in counts.items()}

"""The plan's rows against the candidates: each exists, once, is allowed, and says what is true of it."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from omniopt.audit.arrays import code, position
from omniopt.audit.candidates import Candidates
from omniopt.audit.inputs import Inputs
from omniopt.audit.measures import values_of
from omniopt.audit.rounding import same, same_row
from omniopt.errors import Faults
from omniopt.tables import read_parquet

COLUMNS = (
    "customer_id", "action_id", "offer_id", "channel", "date", "fallback", "value", "cost", "response",
    "objective", "advantage",
)  # fmt: skip
# Measures that a plan shows where its candidates have them.
FURTHER = ("incremental_response", "incremental_value", "annoyance")
DRAWN = "probability"  # of contacts, where the policy explores: see `omniopt.audit.experiment`
FILE = "plan.parquet"
# So many rows are named one by one for each kind of fault; the rest are counted.
NAMED = 5


@dataclass
class Located:
    """The candidates behind the plan's rows.

    Attributes
    ----------
    row : ndarray of int
        The rows of the plan that are candidates, dropped or not.
    candidates : Candidates
        The same, in this order.
    """

    row: np.ndarray
    candidates: Candidates

    def chosen(self, inputs: Inputs) -> Candidates:
        """The living ones by customer and action, each once."""
        living = np.flatnonzero(self.candidates.reason == 0)
        _, first = np.unique(inputs.key(self.candidates.rows)[living], return_index=True)
        return self.candidates.take(living[first])


def read(directory: Path, faults: Faults) -> pd.DataFrame | None:
    """Read plan.parquet; None, and a fault, if that is not possible."""
    path = directory / FILE
    if not path.is_file():
        faults.add("there is no plan in this folder", file=FILE)
        return None
    try:
        frame = read_parquet(path)
    except Exception as error:  # a damaged file fails in many ways, and every one of them is a finding
        faults.add(
            f"it cannot be read: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            file=FILE,
        )
        return None
    missing = [name for name in COLUMNS if name not in frame]
    for name in missing:
        faults.add("the column is missing", file=FILE, column=name)
    for name in frame.columns.difference([*COLUMNS, *FURTHER, DRAWN]):
        faults.add("a plan has no such column", file=FILE, column=str(name))
    return None if missing else frame


def name_rows(faults: Faults, rows: np.ndarray, say: Sequence[str] | str, column: str | None = None) -> None:
    """One fault for each of the first few rows, and one for how many more there are."""
    for k, row in enumerate(rows[:NAMED].tolist()):
        faults.add(say if isinstance(say, str) else say[k], file=FILE, row=int(row) + 1, column=column)
    if len(rows) > NAMED:
        faults.add(f"the same in {len(rows) - NAMED} more rows", file=FILE, column=column)


def keys_of(inputs: Inputs, frame: pd.DataFrame | None) -> tuple[np.ndarray, np.ndarray]:
    """Customer of each row (-1 if unknown), and its `Inputs.key` (-1 if the action is)."""
    if frame is None:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    ids = inputs.world.ids
    customer, action = code(ids["customer"], frame["customer_id"]), code(ids["action"], frame["action_id"])
    key = customer * (len(ids["action"]) + 1) + action
    return customer, np.where((customer >= 0) & (action >= 0), key, -1)


def rows(inputs: Inputs, frame: pd.DataFrame, located: Located, faults: Faults) -> None:
    """Every row is a candidate that was not dropped, and stands there once; all else is a fault."""
    candidates = located.candidates

    def pair(row: int) -> str:
        return f"customer {frame['customer_id'].iloc[row]}, action {frame['action_id'].iloc[row]}"

    known = np.zeros(len(frame), dtype=bool)
    known[located.row] = True
    strange = np.flatnonzero(~known)
    name_rows(faults, strange, [f"{pair(r)}: there is no such candidate" for r in strange[:NAMED]])
    fell = np.flatnonzero(candidates.reason > 0)
    why = [candidates.reasons[k - 1] for k in candidates.reason[fell[:NAMED]]]
    gone = located.row[fell]
    say = [f"{pair(r)} is chosen, but is no candidate: {w}" for r, w in zip(gone[:NAMED], why, strict=True)]
    name_rows(faults, gone, say)
    again = pd.Series(inputs.key(candidates.rows)).duplicated().to_numpy(dtype=bool)
    twice = located.row[again]
    name_rows(faults, twice, [f"{pair(r)} is chosen twice" for r in twice[:NAMED]])


def days(inputs: Inputs, column: pd.Series) -> np.ndarray:
    """The plan's dates as day numbers; NaN where there is none or it is no date."""
    if inputs.world.start is None:
        return pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    if not pd.api.types.is_datetime64_any_dtype(column):
        return np.full(len(column), np.nan)
    start = pd.Timestamp(datetime.datetime.combine(inputs.world.start, datetime.time()))
    return ((column - start).dt.days + 1).to_numpy(dtype=float, na_value=np.nan)


def columns(inputs: Inputs, whole: pd.DataFrame, located: Located, faults: Faults) -> None:
    """Every column but `advantage`, row by row, against the candidate; and the order of the rows."""
    world, found, small = inputs.world, located.row, located.candidates
    rows, frame = small.rows, whole.iloc[found]
    for name, root, at in (
        ("offer_id", "offer", rows.offer),
        ("channel", "channel", rows.channel),
        ("fallback", "channel", small.fallback),
    ):
        text = isinstance(frame[name].dtype, pd.StringDtype)
        given = code(world.ids[root], frame[name]) if text else np.full(len(frame), -1)
        # What no table knows, or is no text, is wrong also where nothing should stand.
        strange = (given < 0) & frame[name].notna().to_numpy(dtype=bool)
        wrong = np.flatnonzero((given != at) | strange)
        words = frame[name].iloc[wrong[:NAMED]]
        names = [None, *world.ids[root]]
        _differ(faults, found[wrong], words, [names[k + 1] for k in at[wrong[:NAMED]]], name)
    day = days(inputs, frame["date"])
    wrong = np.flatnonzero(~(day == rows.day))
    dates = frame["date"].iloc[wrong[:NAMED]].astype("str").str[:10]
    _differ(faults, found[wrong], dates, [world.date(int(d)) for d in rows.day[wrong[:NAMED]]], "date")
    for name in FURTHER:
        if (name in frame) != (name in small.own):
            what = "the column is missing" if name in small.own else "a plan has no such column"
            faults.add(what, file=FILE, column=name)
    further = [name for name in FURTHER if name in frame and name in small.own]
    for name in ("value", "cost", "response", "objective", *further):
        numbers = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        if name == "objective":
            true = small.objective
        else:
            # What an offer calls its value is money per response, and not what a contact is worth.
            own = name in small.own or name in world.frames["action"]
            true = values_of(world, small, name) if own else np.full(len(small), np.nan)
        wrong = np.flatnonzero(~same_row(numbers, true))
        _differ(faults, found[wrong], numbers[wrong[:NAMED]], true[wrong[:NAMED]], name)
    ordered = whole[["customer_id", "date", "action_id"]]
    key = [code(world.ids["customer"], ordered["customer_id"]), days(inputs, ordered["date"])]
    key.append(code(world.ids["action"], ordered["action_id"]))
    order = np.lexsort(key[::-1])
    out = np.flatnonzero(order != np.arange(len(order)))
    if len(out):
        faults.add("the rows are not sorted by customer_id, date, action_id", file=FILE, row=int(out[0]) + 1)


def _differ(
    faults: Faults, wrong: np.ndarray, said: Iterable[object], true: Iterable[object], column: str
) -> None:
    """A fault for the rows whose cell is not what the inputs give; of the first few it is told."""
    pairs = zip(said, true, strict=True)
    say = [f"it says {_show(mine)}, the inputs give {_show(other)}" for mine, other in pairs]
    name_rows(faults, wrong, say, column)


def _show(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return "nothing"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def locks(inputs: Inputs, located: Located, faults: Faults) -> np.ndarray:
    """Keys of the locked candidates, sorted; a lock that the plan does not hold is a fault."""
    locked = pd.DataFrame(inputs.locks, columns=["customer_id", "action_id"])
    _, key = keys_of(inputs, locked)
    held = np.isin(key, inputs.key(located.candidates.rows))
    for row in np.flatnonzero(~held):
        customer, action = inputs.locks[row]
        words = f"customer {customer}, action {action} is locked, but the plan does not have it"
        faults.add(words, file=FILE)
    return np.unique(key[held])


def advantages(
    inputs: Inputs,
    frame: pd.DataFrame,
    located: Located,
    chosen: Candidates,
    advantage: np.ndarray,
    faults: Faults,
) -> str:
    """The column `advantage`, where it says something and the search could work it out.

    Parameters
    ----------
    chosen : Candidates
        The plan's, by customer and action.
    advantage : ndarray of float
        Of each of them; NaN where not known.

    Returns
    -------
    str
        A word on contacts whose advantage the plan does not say.
    """
    at = position(inputs.key(chosen.rows), inputs.key(located.candidates.rows))
    true = np.append(advantage, np.nan)[at]
    rows, mine = located.row[~np.isnan(true)], true[~np.isnan(true)]
    said = pd.to_numeric(frame["advantage"], errors="coerce").to_numpy(dtype=float, na_value=np.nan)[rows]
    wrong = np.flatnonzero(~(same_row(said, mine) | same(said, mine) | np.isnan(said)))
    say = [f"it says {said[w]:.8g}, at the certificate's prices it is {mine[w]:.8g}" for w in wrong[:NAMED]]
    name_rows(faults, rows[wrong], say, "advantage")
    silent = int(np.isnan(said).sum())
    return f" ({silent} contacts whose advantage the plan does not say)" if silent else ""

"""The plan's rows against the candidates: each exists, once, is allowed, and says what is true of it."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from omniopt.audit.candidates import Candidates
from omniopt.audit.inputs import Inputs, code
from omniopt.audit.measures import values_of
from omniopt.audit.rounding import same_row
from omniopt.errors import Faults
from omniopt.tables import read_parquet

COLUMNS = (
    "customer_id", "action_id", "offer_id", "channel", "date", "fallback", "value", "cost", "response",
    "objective", "advantage",
)  # fmt: skip
FILE = "plan.parquet"
# So many rows are named one by one for each kind of fault; the rest are counted.
NAMED = 5


@dataclass
class Plan:
    """The plan as read.

    Attributes
    ----------
    frame : DataFrame
        Its rows as they stand in the file.
    at : ndarray of int
        Position of each row's candidate; -1 where there is none.
    chosen : ndarray of bool
        Per candidate, whether the plan has it.
    """

    frame: pd.DataFrame
    at: np.ndarray
    chosen: np.ndarray


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
    for name in frame.columns.difference(COLUMNS):
        faults.add("a plan has no such column", file=FILE, column=str(name))
    return None if missing else frame


def name_rows(faults: Faults, rows: np.ndarray, say: Sequence[str] | str, column: str | None = None) -> None:
    """One fault for each of the first few rows, and one for how many more there are."""
    for k, row in enumerate(rows[:NAMED].tolist()):
        faults.add(say if isinstance(say, str) else say[k], file=FILE, row=int(row) + 1, column=column)
    if len(rows) > NAMED:
        faults.add(f"the same in {len(rows) - NAMED} more rows", file=FILE, column=column)


def locate(inputs: Inputs, candidates: Candidates, frame: pd.DataFrame, faults: Faults) -> Plan:
    """Find each row's candidate; duplicates, strangers and eliminated candidates are faults."""
    ids, rows = inputs.world.ids, candidates.rows
    width = len(ids["action"]) + 1
    key = rows.customer * width + rows.action
    customer, action = code(ids["customer"], frame["customer_id"]), code(ids["action"], frame["action_id"])
    wanted = customer * width + action
    at = np.minimum(np.searchsorted(key, wanted), len(key) - 1) if len(key) else np.full(len(frame), -1)
    known = (customer >= 0) & (action >= 0) & (len(key) > 0)
    if len(key):
        known &= key[at] == wanted
    at = np.where(known, at, -1)
    strange = np.flatnonzero(~known)
    pair = [
        f"customer {c}, action {a}" for c, a in zip(frame["customer_id"], frame["action_id"], strict=True)
    ]
    name_rows(faults, strange, [f"{pair[r]}: there is no such candidate" for r in strange[:NAMED]])
    gone = np.flatnonzero(known)[candidates.reason[at[known]] > 0]
    say = [
        f"{pair[r]} is chosen, but is no candidate: {candidates.reasons[candidates.reason[at[r]] - 1]}"
        for r in gone[:NAMED]
    ]
    name_rows(faults, gone, say)
    twice = np.flatnonzero(pd.Series(wanted).duplicated().to_numpy() & known)
    name_rows(faults, twice, [f"{pair[r]} is chosen twice" for r in twice[:NAMED]])
    chosen = np.zeros(len(candidates), dtype=bool)
    chosen[at[at >= 0]] = True
    return Plan(frame, at, chosen)


def days(inputs: Inputs, column: pd.Series) -> np.ndarray:
    """The plan's dates as day numbers; NaN where there is none or it is no date."""
    if inputs.world.start is None:
        return pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    if not pd.api.types.is_datetime64_any_dtype(column):
        return np.full(len(column), np.nan)
    start = pd.Timestamp(datetime.datetime.combine(inputs.world.start, datetime.time()))
    return ((column - start).dt.days + 1).to_numpy(dtype=float, na_value=np.nan)


def columns(inputs: Inputs, candidates: Candidates, plan: Plan, faults: Faults) -> None:
    """Every column but `advantage`, row by row, against the candidate; and the order of the rows."""
    world, rows = inputs.world, candidates.rows
    found = np.flatnonzero(plan.at >= 0)
    at, frame = plan.at[found], plan.frame.iloc[found]
    for name, root, position in (
        ("offer_id", "offer", rows.offer[at]),
        ("channel", "channel", rows.channel[at]),
        ("fallback", "channel", candidates.fallback[at]),
    ):
        true = np.array([*world.ids[root], None], dtype=object)[position]
        said = frame[name].astype(object).where(frame[name].notna(), None).to_numpy()
        wrong = np.flatnonzero(true != said)
        _differ(faults, found, wrong, said, true, name)
    day = days(inputs, frame["date"])
    wrong = np.flatnonzero(~(day == rows.day[at]))
    said = frame["date"].astype("str").str[:10].to_numpy() if len(frame) else np.array([])
    true_dates = np.array([world.date(int(d)) for d in rows.day[at][wrong]])
    full = np.full(len(found), "", dtype=object)
    full[wrong] = true_dates
    _differ(faults, found, wrong, said, full, "date")
    small = candidates.take(at)
    for name in ("value", "cost", "response", "objective"):
        numbers = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        if name == "objective":
            true = small.objective
        else:
            # What an offer calls its value is money per response, and not what a contact is worth.
            own = name in small.own or name in world.frames["action"]
            true = values_of(world, small, name) if own else np.full(len(at), np.nan)
        _differ(faults, found, np.flatnonzero(~same_row(numbers, true)), numbers, true, name)
    ordered = plan.frame[["customer_id", "date", "action_id"]]
    key = [code(world.ids["customer"], ordered["customer_id"]), days(inputs, ordered["date"])]
    key.append(code(world.ids["action"], ordered["action_id"]))
    order = np.lexsort(key[::-1])
    out = np.flatnonzero(order != np.arange(len(order)))
    if len(out):
        faults.add("the rows are not sorted by customer_id, date, action_id", file=FILE, row=int(out[0]) + 1)


def _differ(
    faults: Faults, found: np.ndarray, wrong: np.ndarray, said: np.ndarray, true: np.ndarray, column: str
) -> None:
    """A fault for the rows whose cell is not what the inputs give."""
    say = [f"it says {_show(said[w])}, the inputs give {_show(true[w])}" for w in wrong[:NAMED]]
    name_rows(faults, found[wrong], say, column)


def _show(value: object) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "nothing"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def locks(inputs: Inputs, candidates: Candidates, plan: Plan, faults: Faults) -> np.ndarray:
    """Mask of the locked candidates; a lock that the plan does not hold is a fault."""
    ids, rows = inputs.world.ids, candidates.rows
    locked = np.zeros(len(candidates), dtype=bool)
    width = len(ids["action"]) + 1
    key = rows.customer * width + rows.action
    for customer, action in inputs.locks:
        c, a = code(ids["customer"], [customer])[0], code(ids["action"], [action])[0]
        at = int(np.searchsorted(key, c * width + a))
        if c < 0 or a < 0 or at == len(key) or key[at] != c * width + a or not plan.chosen[at]:
            faults.add(
                f"customer {customer}, action {action} is locked, but the plan does not have it", file=FILE
            )
        else:
            locked[at] = True
    return locked

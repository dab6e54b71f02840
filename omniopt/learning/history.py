"""What became of a plan's contacts, appended to history, so that the next run learns from it.

A contact is in history once, by customer, offer, channel and date. Appending again, with newer outcomes or
the same, brings its row up to date; the file is replaced as a whole or not at all.
"""

from __future__ import annotations

import datetime
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from omniopt.errors import BadInput, Fault, Faults
from omniopt.learning.outcomes import STRENGTH
from omniopt.tables import read_parquet, read_table, write_parquet

#: The columns that a contact has in history.
COLUMNS = "customer_id offer_id channel date outcome value planned action_id run_id".split()
_KEY = ["customer_id", "offer_id", "channel", "day"]


def append(path: Path, contacts: pd.DataFrame, run_id: str, start: datetime.date | None) -> dict[str, int]:
    """Append contacts to a history file, or bring their rows there up to date.

    Parameters
    ----------
    path : Path
        A .csv, .csv.gz or .parquet file; made if it is not there.
    contacts : pandas.DataFrame
        customer_id, offer_id, channel, date (a day number), action_id, outcome, value and planned, as
        `omniopt.learning.outcomes.of_contacts` returns them.
    run_id : str
        The run they are of.
    start : datetime.date or None
        Day 1; without it dates are written as day numbers.

    Returns
    -------
    dict
        ``added``, ``updated``, ``unchanged``: contacts; ``merged``: those that history cannot tell from
        another, for they agree in customer, offer, channel and date; and ``rows`` of history afterwards.

    Raises
    ------
    BadInput
        When the file cannot be read as history, is of a kind that cannot be appended to, counts days by
        number where the run has dates, or has one of these contacts from another run. Nothing is written.
    """
    _check_kind(path)
    mine, merged = _one_each(contacts, run_id)
    stored, keys = _stored(path, start)
    at = keys.get_indexer(pd.MultiIndex.from_frame(mine[_KEY]))
    _of_no_other_run(stored, at, mine, run_id, path)
    mine["date"] = _dates(mine["day"], start)
    added, there = at < 0, at >= 0
    wanted = [*stored.columns, *(column for column in COLUMNS if column not in stored)]
    now = stored.reindex(columns=wanted).astype(object)
    changed = _update(now, at[there], mine[there])
    more = mine.loc[added, COLUMNS]
    made = pd.concat([now, more.astype(object)], ignore_index=True) if len(more) else now
    if len(more) or changed:
        _write(made, path)
    unchanged = int(there.sum()) - changed
    return {
        "added": len(more),
        "updated": changed,
        "unchanged": unchanged,
        "merged": merged,
        "rows": len(made),
    }


@contextmanager
def draft(path: Path) -> Iterator[Path]:
    """Give a copy of a history file to append to, which takes its place if nothing is raised meanwhile.

    Parameters
    ----------
    path : Path
        As for `append`.

    Raises
    ------
    BadInput
        When the file is of a kind that cannot be appended to.
    """
    _check_kind(path)
    with _staging(path) as staging:
        copy = staging / path.name
        if path.exists():
            shutil.copy2(path, copy)
        yield copy
        if copy.exists():
            os.replace(copy, path)


def _check_kind(path: Path) -> None:
    if path.is_dir() or not path.name.endswith((".csv", ".csv.gz", ".parquet")):
        hint = "Name a .csv, .csv.gz or .parquet file"
        raise BadInput(Fault("history cannot be appended to here", file=path.name, hint=hint))


@contextmanager
def _staging(path: Path) -> Iterator[Path]:
    """Give a folder next to a file, from which another can take its place at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".appending-") as folder:
        yield Path(folder)


def _one_each(contacts: pd.DataFrame, run_id: str) -> tuple[pd.DataFrame, int]:
    """Return one row for each contact that history can tell, the strongest outcome of several."""
    rows = contacts.assign(day=contacts["date"], run_id=run_id, strength=_strength(contacts["outcome"]))
    order = [*_KEY, "strength", "action_id"]
    rows = rows.sort_values(order, ascending=[True] * 4 + [False, True], ignore_index=True)
    total = rows.groupby(_KEY)["value"].transform(lambda values: values.sum(min_count=1))
    first = ~rows.duplicated(_KEY)
    return rows.assign(value=total)[first].reset_index(drop=True), int((~first).sum())


def _strength(outcome: pd.Series) -> pd.Series:
    return outcome.map({name: rank for rank, name in enumerate(STRENGTH)}).astype(float).fillna(-1.0)


def _stored(path: Path, start: datetime.date | None) -> tuple[pd.DataFrame, pd.MultiIndex]:
    """Read history as it stands there, and the key of each row with its day as a number."""
    if not path.exists():
        return pd.DataFrame(columns=COLUMNS), pd.MultiIndex.from_arrays([[]] * 4, names=_KEY)
    faults = Faults()
    read = read_table(path, "history", faults, horizon_start=start)
    faults.raise_if_any()
    if path.suffix == ".parquet":
        stored = read_parquet(path).astype(object)
        numbers = pd.api.types.is_numeric_dtype(read_parquet(path)["date"]) if len(stored) else False
    else:
        stored = pd.read_csv(path, dtype=str, keep_default_na=False).astype(object)
        numbers = bool(len(stored)) and bool(stored["date"].str.fullmatch(r"\s*[+-]?\d+\s*").any())
        stored = stored.where(stored != "", None)
    if start is not None and numbers:
        hint = "Write dates such as 2026-11-23: numbers would mean other days in the next run"
        raise BadInput(Fault("history counts days by number", file=path.name, column="date", hint=hint))
    return stored, pd.MultiIndex.from_frame(read.rename(columns={"date": "day"})[_KEY])


def _of_no_other_run(
    stored: pd.DataFrame, at: np.ndarray, mine: pd.DataFrame, run_id: str, path: Path
) -> None:
    if stored.empty or "run_id" not in stored:
        return
    # Position -1, of what is not there, is masked out again.
    theirs = stored["run_id"].to_numpy(object)[at]
    faults = Faults()
    for row in np.flatnonzero((at >= 0) & pd.notna(theirs) & (theirs != run_id))[:20]:
        contact = mine.iloc[row]
        message = f"contact '{contact['action_id']}' of customer '{contact['customer_id']}' is in history "
        faults.add(
            f"{message}from run '{theirs[row]}'",
            file=path.name,
            table="history",
            row=int(at[row]) + 1,
            column="run_id",
            hint="Leave out the run that was not executed",
        )
    faults.raise_if_any()


def _dates(day: pd.Series, start: datetime.date | None) -> pd.Series:
    if start is None:
        return day
    return pd.Timestamp(start) + pd.to_timedelta(day - 1, unit="D")


def _update(stored: pd.DataFrame, at: np.ndarray, mine: pd.DataFrame) -> int:
    """Bring rows up to date in place; an outcome never becomes less than it was. Return how many changed."""
    before = stored.iloc[at]
    # What was sent is planned no more; else only a stronger outcome says more than the row did.
    was_planned = before["planned"].map(lambda cell: str(cell).strip().lower() in ("true", "yes", "1"))
    more = _strength(mine["outcome"]).to_numpy() > _strength(before["outcome"]).to_numpy()
    told = was_planned.to_numpy(bool) & ~mine["planned"].to_numpy(bool)
    same = _strength(mine["outcome"]).to_numpy() == _strength(before["outcome"]).to_numpy()
    earned = same & _differs(before["value"], mine["value"])
    unknown = before["run_id"].isna().to_numpy()
    which = np.flatnonzero(more | told | earned | unknown)
    for name in ("outcome", "value", "planned"):
        newer = which[(more | told | earned)[which]]
        stored.iloc[at[newer], stored.columns.get_loc(name)] = mine[name].astype(object).to_numpy()[newer]
    for name in ("action_id", "run_id"):
        stored.iloc[at[which], stored.columns.get_loc(name)] = mine[name].astype(object).to_numpy()[which]
    return len(which)


def _differs(before: pd.Series, now: pd.Series) -> np.ndarray:
    was, new = pd.to_numeric(before).to_numpy(float), now.to_numpy(float)
    return ~np.isnan(new) & ~(np.isclose(was, new, rtol=1e-12, atol=0))


def _write(frame: pd.DataFrame, path: Path) -> None:
    with _staging(path) as staging:
        file = staging / path.name
        if path.suffix == ".parquet":
            write_parquet(_typed(frame), file)
        else:
            text = frame.assign(
                date=[f"{d:%Y-%m-%d}" if isinstance(d, datetime.datetime) else d for d in frame["date"]],
                planned=[str(p).lower() if isinstance(p, bool | np.bool_) else p for p in frame["planned"]],
            )
            zipped = {"method": "gzip", "mtime": 0} if path.suffix == ".gz" else None
            text.to_csv(file, index=False, lineterminator="\n", encoding="utf-8", compression=zipped)
        os.replace(file, path)


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Give cells of mixed origin one type in each column again."""
    dates = (
        frame["date"]
        if frame["date"].map(lambda d: isinstance(d, int)).all()
        else pd.to_datetime(frame["date"])
    )
    typed = {
        "date": dates,
        "value": pd.to_numeric(frame["value"]),
        "planned": frame["planned"].astype("boolean"),
    }
    return frame.assign(**typed).convert_dtypes()

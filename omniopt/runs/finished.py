"""A run that is over or under way, as its folder tells: its contacts, its arms, its first and last day."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas.api.types import union_categoricals

from omniopt.decisions import Plan
from omniopt.errors import Faults
from omniopt.project import Project
from omniopt.runs import manifest
from omniopt.tables import Tables, read_pieces, read_table

#: What a contact of a plan must say to be measured.
CONTACT = "customer_id action_id offer_id channel date value cost response".split()


@dataclass(frozen=True)
class Finished:
    """A run whose contacts were made, as its folder tells.

    Parameters
    ----------
    folder : Path
        Where its files are.
    run_id : str
        Its name, which outcomes may give.
    start : datetime.date or None
        Day 1; None without a calendar.
    last : int
        Last day of the horizon; without a calendar that of the last contact.
    contacts : DataFrame
        plan.parquet, its dates as day numbers; value and response, which are what was expected, are called
        ``predicted_value`` and ``predicted_response``.
    experiment : DataFrame or None
        Who was held out, explored or treated; None where the run had no control group.
    tables : Tables or None
        The tables of the run's project, if they can still be read.
    """

    folder: Path
    run_id: str
    start: datetime.date | None
    last: int
    contacts: pd.DataFrame
    experiment: pd.DataFrame | None
    tables: Tables | None

    def date(self, day: float) -> Any:
        """Write a day number as a date, where there is a calendar."""
        return int(day) if self.start is None else str(self.start + datetime.timedelta(int(day) - 1))


def open_run(folder: Path, project: Project | None = None) -> Finished:
    """Read a run's folder.

    Parameters
    ----------
    folder : Path
        That of a run, or any with a plan.
    project : Project, optional
        The run's project; without it the certificate says where it is.

    Raises
    ------
    BadInput
        There is no plan, or what was held out cannot be read.
    """
    check_files(folder)
    plan = Plan.load(folder)
    horizon = plan.certificate.get("horizon")
    start = datetime.date.fromisoformat(horizon["start"]) if horizon else None
    contacts = plan.contacts.rename(columns={"value": "predicted_value", "response": "predicted_response"})
    contacts["date"] = _days(contacts["date"], start)
    last = horizon["days"] if horizon else int(contacts["date"].max()) if len(contacts) else 1
    experiment = _experiment(folder / "experiment.parquet", start)
    run_id = (manifest.read(folder) or {}).get("run_id")
    if run_id is None and experiment is not None and len(experiment.get("run_id", pd.Series()).dropna()):
        run_id = experiment["run_id"].dropna().iloc[0]
    tables = None
    written = plan.certificate.get("project")
    if project is None and written and (folder / written).is_file():
        project = Project.load(folder / written)
    if project is not None:
        tables = _shifted(project, start)
    return Finished(folder, str(run_id or folder.resolve().name), start, last, contacts, experiment, tables)


def check_files(folder: Path) -> None:
    """Raise BadInput with every file of a run's folder that is damaged, or a plan that lacks columns."""
    faults = Faults()
    for path in sorted(folder.glob("*.json")):
        try:
            whole = isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
        except ValueError:
            whole = False
        if not whole:
            faults.add("the file is damaged: it holds no JSON object", file=path.name, hint=_AGAIN)
    for path in sorted(folder.glob("*.parquet")):
        try:
            columns = pq.read_schema(path)
        except pa.ArrowException:
            faults.add("the file is damaged: it is no Parquet file", file=path.name, hint=_AGAIN)
            continue
        if path.name == "plan.parquet":
            _check_columns(columns, path.name, faults)
    faults.raise_if_any()


_AGAIN = "Take it from a backup, or make the run again"


def _check_columns(schema: pa.Schema, file: str, faults: Faults) -> None:
    for name in CONTACT:
        kind = schema.field(name).type if name in schema.names else None
        if kind is None:
            faults.add("the column is missing", file=file, column=name, hint=_AGAIN)
            continue
        text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)
        if text != (name in ("customer_id", "action_id", "offer_id", "channel")):
            faults.add(f"the column holds {kind}", file=file, column=name, hint=_AGAIN)


def _days(dates: pd.Series, start: datetime.date | None) -> pd.Series:
    if start is None:
        return dates.astype("int64")
    return ((dates - pd.Timestamp(start)).dt.days + 1).astype("int64")


def _experiment(path: Path, start: datetime.date | None) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    faults = Faults()
    # One for each customer and offer: kept as codes, rows by the million stay small.
    parts = [_coded(part) for part in read_pieces(path, "experiments", faults, start)]
    if not parts and not faults:
        parts = [_coded(read_table(path, "experiments", faults, horizon_start=start))]
    faults.raise_if_any()
    coded = {name: union_categoricals([part[name] for part in parts]) for name in _CODED}
    plain = {name: pd.concat([part[name] for part in parts], ignore_index=True) for name in _PLAIN}
    frame = pd.DataFrame(plain | coded)
    offer = frame["offer_id"].cat.codes.to_numpy()
    for code in np.unique(offer):
        rows = np.flatnonzero(offer == code)
        for row in rows[frame["customer_id"].take(rows).duplicated()][:20]:
            faults.add("the customer stands in an earlier row already", file=path.name, row=int(row) + 1,
                       table="experiments", column="customer_id", hint="Keep one of the two")  # fmt: skip
    faults.raise_if_any()
    return frame


_PLAIN, _CODED = ("customer_id", "probability"), ("offer_id", "arm", "stratum", "run_id")


def _coded(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep what the arms are told by, few words as codes; what is not there is missing."""
    return rows.reindex(columns=[*_PLAIN, *_CODED]).astype(dict.fromkeys(_CODED, "category"))


def _shifted(project: Project, start: datetime.date | None) -> Tables:
    """Return the project's tables, with outcomes counted in the run's days: the project may have moved on."""
    tables = project.read(coded=True)
    rows, horizon = tables.extra.get("outcomes"), project.spec.horizon
    if rows is None or horizon is None or start is None or "date" not in rows:
        return tables
    moved = rows.assign(date=rows["date"] + (horizon.start - start).days)
    return replace(tables, extra=tables.extra | {"outcomes": moved})

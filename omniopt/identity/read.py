"""One source read: its columns under the contract's names, its cells by their meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from omniopt.errors import Faults, nearest
from omniopt.tables.contract import Column, spec_of
from omniopt.tables.convert import Days, Place, column_values, is_empty
from omniopt.tables.sources import Source, display_name, load, sha256_of, sha256_of_rows

if TYPE_CHECKING:
    from omniopt.project.sources import DataSource

#: Where a row's last change is kept; no source has a column of this name.
UPDATED = "\0updated"
_CHANGED = Column("date")


@dataclass(frozen=True)
class SourceRows:
    """The rows of one source.

    Attributes
    ----------
    name : str
        The source's name in the project file.
    declared : DataSource
        What the project file says of it.
    frame : DataFrame
        Columns by the contract's names; what the contract gives no meaning is text.
    file : str or None
        For messages.
    theirs : dict of str to str
        The contract's name of a column to the source's own.
    sha256 : str
        Of the file, or of the rows where there is none.
    """

    name: str
    declared: DataSource
    frame: pd.DataFrame
    file: str | None
    theirs: dict[str, str]
    sha256: str


def read_source(
    name: str, declared: DataSource, table: Source, days: Days, faults: Faults
) -> SourceRows | None:
    """Read a source.

    Parameters
    ----------
    name : str
        Its name in the project file.
    declared : DataSource
        What the project file says of it.
    table : Source
        Where the rows are.
    days : Days
        The horizon that dates are counted from.
    faults : Faults
        Receives what is wrong.

    Returns
    -------
    SourceRows or None
        None where nothing could be read.
    """
    loaded = load(table, name, faults)
    if loaded is None:
        return None
    file = display_name(table, name)
    theirs = _their_names(name, declared, loaded, file, faults)
    spec, columns = spec_of(declared.kind), {}
    for ours, column in theirs.items():
        wanted = _CHANGED if ours == UPDATED else spec.columns.get(ours, Column("id"))
        place, cells = Place(faults, file, name, column), loaded[column]
        values = column_values(cells, wanted.kind, place, days)
        if wanted.filled and (ours != "customer_id" or declared.kind == "customers"):
            place.bad(np.flatnonzero(is_empty(cells)), lambda row: "the cell is empty", "Write a value")
        columns[ours] = values
    for ours, value in declared.values.items():
        kind = spec.columns.get(ours, Column("id")).kind
        cell = pa.chunked_array([pa.array([value])])
        one = column_values(cell, kind, Place(faults, file, name, ours), days)
        columns[ours] = one.repeat(loaded.num_rows).reset_index(drop=True)
    for ours in _needed(declared):
        if ours not in columns:
            hint = f"Name it in columns ({ours}: …), or give it one value in values"
            faults.add("the column is missing", file=file, table=name, column=ours, hint=hint)
    made = isinstance(table, pd.DataFrame | Mapping)
    digest = sha256_of_rows(loaded) if made else sha256_of(table)
    frame = pd.DataFrame(columns, index=range(loaded.num_rows))
    return SourceRows(name, declared, frame, file, theirs, digest)


def _their_names(
    name: str, declared: DataSource, loaded: pa.Table, file: str | None, faults: Faults
) -> dict[str, str]:
    """Name the source's column behind each of ours; the columns nobody names keep their names."""
    wanted = dict(declared.columns)
    if declared.updated is not None:
        wanted[UPDATED] = declared.updated
    for column in wanted.values():
        if column not in loaded.column_names:
            hint = nearest(column, loaded.column_names)
            faults.add("there is no such column", file=file, table=name, column=column, hint=hint)
    theirs = {ours: column for ours, column in wanted.items() if column in loaded.column_names}
    renamed = set(theirs.values())
    own = {column: column for column in loaded.column_names if column not in renamed | set(wanted)}
    for ours in declared.values:
        if ours in theirs or ours in own:
            hint = "Take it out of values, or give the column another name in columns"
            faults.add(
                "it has one value for all rows, but the source has the column too",
                file=file, table=name, column=theirs.get(ours, ours), hint=hint,
            )  # fmt: skip
    return theirs | own


def _needed(declared: DataSource) -> list[str]:
    """Name the columns that a source of this kind must have."""
    if declared.kind == "customers":
        return ["customer_id"]
    columns = spec_of(declared.kind).columns
    needed = [ours for ours, column in columns.items() if column.filled and ours != "customer_id"]
    return needed + ["customer_id"] * (declared.ids_of is not None)

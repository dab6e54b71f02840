"""Parquet in a file or in many: the parts of a folder, and the columns that the names of its folders give."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from omniopt.tables.unreadable import Unreadable, first_line

NO_CELL = "__HIVE_DEFAULT_PARTITION__"  # what Hive calls the folder of rows whose cell is empty


def parts_of(folder: Path) -> list[Path]:
    """Return the Parquet files of a folder, in the order in which their rows follow one another.

    Folders in it that are called ``key=value`` belong to it, as Hive partitions tables.
    """
    inner = [part for place in folder.glob("*=*") if place.is_dir() for part in parts_of(place)]
    return sorted([*inner, *(path for path in folder.glob("*.parquet") if path.is_file())])


def cells_of(part: Path, folder: Path) -> dict[str, str | None]:
    """Return the cells that all rows of a part have by the names of its folders, by column."""
    names = [name.partition("=") for name in part.relative_to(folder).parts[:-1]]
    return {unquote(key): None if cell == NO_CELL else unquote(cell) for key, _, cell in names}


def with_cells(table: pa.Table, cells: Mapping[str, str | None]) -> pa.Table:
    """Add columns that have one cell throughout, as text."""
    for name, cell in cells.items():
        if name in table.column_names:
            raise Unreadable(
                "the column is in the files and in the names of their folders", "Keep one of the two",
                column=name,
            )  # fmt: skip
        table = table.append_column(name, pa.repeat(pa.scalar(cell, pa.string()), len(table)))
    return table


def read_parts(path: Path) -> pa.Table:
    """Read a file, or all parts of a folder, columns as they are stored.

    Raises
    ------
    Unreadable
    """
    paths = parts_of(path) if path.is_dir() else [path]
    if not paths:
        raise Unreadable("the folder holds no .parquet file")
    names = [part.relative_to(path).as_posix() if path.is_dir() else part.name for part in paths]
    tables = []
    for part, name in zip(paths, names, strict=True):
        try:
            table = pq.ParquetFile(part).read()
        except (pa.ArrowException, OSError, ValueError) as error:
            raise Unreadable(f"{name} is not a readable Parquet file: {first_line(error)}") from error
        tables.append(with_cells(table, cells_of(part, path)))
    first = set(tables[0].column_names)
    for name, table in zip(names, tables, strict=True):
        if set(table.column_names) != first:
            odd = sorted(first ^ set(table.column_names))
            raise Unreadable(f"{name} has other columns than {names[0]}: {', '.join(odd)}")
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise Unreadable(f"the files of the folder do not fit together: {first_line(error)}") from error

"""Where tables come from: files, folders, workbooks, queries and frames, all read into Arrow columns."""

from __future__ import annotations

import codecs
import csv
import datetime
import decimal
import gzip
import hashlib
import io
import math
import re
import uuid
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from omniopt.errors import Faults
from omniopt.tables.database import query
from omniopt.tables.parts import cells_of, parts_of, read_parts, with_cells
from omniopt.tables.unreadable import Unreadable, first_line

#: A path, ``{"url": …, "sql": …}`` (with "root" for relative SQLite files), or a frame in memory.
Source: TypeAlias = Path | str | Mapping[str, Any] | pd.DataFrame

SUFFIXES = (".csv", ".csv.gz", ".parquet", ".xlsx")
_LINE_LIMIT = 20
_SAVE_AS_CSV = "Save the table as CSV in UTF-8"
_CELL_ERRORS = ("#N/A", "#DIV/0!", "#REF!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!")
#: What Arrow can make one column of, and what becomes text where it cannot.
_ARROW_KINDS = {bool, int, float, str, datetime.date, datetime.datetime, datetime.time}
_TEXT_KINDS = (*_ARROW_KINDS, decimal.Decimal, uuid.UUID, np.generic)


def load(source: Source, name: str, faults: Faults) -> pa.Table | None:
    """Read a source as it stands, before any cell is given a meaning.

    Parameters
    ----------
    source : path, mapping or DataFrame
        What to read.
    name : str
        The table's name in the project.
    faults : Faults
        Receives what is wrong.

    Returns
    -------
    pyarrow.Table or None
        None if nothing could be read; the reason is among the faults.
    """
    file = display_name(source, name)
    try:
        table = _load(source, name, faults)
        if table is None:
            return None
        _check_header(table.column_names)
        table = pa.table([_plain(column) for column in table.columns], names=table.column_names)
    except Unreadable as error:
        faults.add(str(error), file=file, table=name, column=error.column, hint=error.hint)
        return None
    return table


def pieces_of(path: Path, rows: int) -> Iterator[tuple[int, pa.Table]]:
    """Read Parquet piece by piece as `load` reads it whole: (row that a piece begins with, piece)."""
    first = 0
    for part in parts_of(path) if path.is_dir() else [path]:
        cells = cells_of(part, path)
        for batch in pq.ParquetFile(part).iter_batches(rows):
            piece = with_cells(pa.table(batch.columns, names=batch.schema.names), cells)
            yield first, pa.table([_plain(column) for column in piece.columns], names=piece.column_names)
            first += len(batch)


def display_name(source: Source, name: str) -> str | None:
    """Name a source for messages: the file's name, ``SQL`` for a query, None for a frame."""
    if isinstance(source, pd.DataFrame):
        return None
    if isinstance(source, Mapping):
        return f"{name} (SQL)"
    return Path(source).name


def sha256_of(source: Source) -> str:
    """Hash what a table is made from.

    Parameters
    ----------
    source : path, mapping or DataFrame
        A file is hashed by its bytes, a folder by the paths within it and bytes of its parquet files, a query
        and a frame by the CSV text of their rows.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    if isinstance(source, pd.DataFrame | Mapping):
        table = load(source, "table", faults := Faults())
        faults.raise_if_any()
        return sha256_of_rows(table)
    path = Path(source)
    if not path.is_dir():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    digest = hashlib.sha256()
    for part in parts_of(path):
        with part.open("rb") as stream:
            name = part.relative_to(path).as_posix()
            digest.update(name.encode() + b"\0" + hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def rows_of(source: Source) -> int | None:
    """Count the rows of a frame, or of Parquet by its metadata; None where only reading could tell."""
    if isinstance(source, pd.DataFrame):
        return len(source)
    if isinstance(source, Mapping):
        return None
    path = Path(source)
    if not (path.is_dir() or path.name.lower().endswith(".parquet")):
        return None
    try:
        return sum(pq.read_metadata(part).num_rows for part in (parts_of(path) if path.is_dir() else [path]))
    except (pa.ArrowException, OSError, ValueError):
        return None


def sha256_of_rows(table: pa.Table) -> str:
    """Hash the CSV text of rows that have no file of their own."""
    buffer = io.BytesIO()
    pyarrow.csv.write_csv(table, buffer)
    return hashlib.sha256(buffer.getbuffer()).hexdigest()


def _load(source: Source, name: str, faults: Faults) -> pa.Table | None:
    if isinstance(source, pd.DataFrame):
        return _frame(source)
    if isinstance(source, Mapping):
        header, columns = query(source)
        return _from_objects(header, columns)
    path = Path(source)
    lower = path.name.lower()
    try:
        if not path.exists():
            raise Unreadable(f"there is no such file in {path.parent.resolve()}", "Correct the path")
        if path.is_dir() or lower.endswith(".parquet"):
            return read_parts(path)
        if lower.endswith((".csv", ".csv.gz")):
            return _csv(path, name, faults)
        if lower.endswith(".xlsx"):
            return _excel(path, name, faults)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Unreadable(f"the file cannot be read: {reason}") from error
    raise Unreadable(
        f"'{path.suffix or path.name}' is no kind of table",
        f"Legal here: {', '.join(SUFFIXES)}, or a folder of .parquet",
    )


def _check_header(names: Sequence[str]) -> None:
    for position, column in enumerate(names, start=1):
        if not column.strip():
            raise Unreadable(
                f"column number {position} has no name", "Name the column in the first line, or remove it"
            )
        if column != column.strip():
            raise Unreadable(
                "the column's name begins or ends with a space", "Remove the space", column=repr(column)
            )
    twice = sorted({column for column in names if list(names).count(column) > 1})
    if twice:
        raise Unreadable("the column occurs twice", "Rename or remove one of them", column=twice[0])


# ---- text


def _csv(path: Path, name: str, faults: Faults) -> pa.Table | None:
    data = path.read_bytes()
    if path.name.lower().endswith(".gz"):
        try:
            data = gzip.decompress(data)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise Unreadable(
                f"the file is no gzip file: {error}", "Compress it again, or name it .csv"
            ) from error
    _check_text(data)
    if not data[:4096].removeprefix(b"\xef\xbb\xbf").strip():
        raise Unreadable("the file is empty", "Write the names of the columns in its first line")
    try:
        header = next(csv.reader(io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline="")))
    except csv.Error as error:
        raise Unreadable(f"the first line is not CSV: {error}") from error
    if len(header) == 1 and re.search("[;\t|]", header[0]):
        raise Unreadable(
            "the columns are not separated by commas", "Save the table with commas between the columns"
        )
    _check_header(header)
    return _parse_csv(data, header, path.name, name, faults)


def _parse_csv(data: bytes, header: list[str], file: str, name: str, faults: Faults) -> pa.Table | None:
    skipped = 0

    def skip(row: Any) -> str:
        nonlocal skipped
        skipped += 1
        if skipped <= _LINE_LIMIT:
            faults.add(
                f"the row has {row.actual_columns} cells, the header {row.expected_columns}",
                file=file,
                table=name,
                # Arrow counts the header line, and only knows the number when it reads in one thread.
                row=None if row.number is None else row.number - 1,
                hint="Put a cell that holds a comma or a quotation mark between quotation marks",
            )
        return "skip"

    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(data),
            read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=1 << 24),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={column: pa.string() for column in header},
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                null_values=[""],
            ),
        )
    except pa.ArrowInvalid as error:
        raise Unreadable(f"the file is not CSV: {first_line(error)}", _SAVE_AS_CSV) from error
    if skipped > _LINE_LIMIT:
        faults.add(
            f"and {skipped - _LINE_LIMIT} more rows with a wrong number of cells", file=file, table=name
        )
    # Without those rows the numbers of the others would not be the file's.
    return None if skipped else table


def _check_text(data: bytes) -> None:
    """Raise where the bytes are no UTF-8; piece by piece, since the text itself is not needed."""
    if b"\0" in data:
        raise Unreadable("the file is not text", _SAVE_AS_CSV)
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(data), 1 << 20):
        end = start + (1 << 20)
        try:
            decoder.decode(data[start:end], final=end >= len(data))
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, start + error.start) + 1
            raise Unreadable(f"the file is not UTF-8 text, see line {line}", _SAVE_AS_CSV) from error


# ---- workbooks


def _excel(path: Path, name: str, faults: Faults) -> pa.Table:
    import openpyxl

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        openpyxl.utils.exceptions.InvalidFileException,
    ) as error:
        raise Unreadable(
            f"the file is no .xlsx workbook: {first_line(error)}", "Save it again as .xlsx"
        ) from error
    try:
        sheets = {sheet.title: sheet for sheet in book.worksheets}
        if name not in sheets and len(sheets) != 1:
            raise Unreadable(
                f"the workbook has {len(sheets)} sheets and none is called '{name}'", "Rename the sheet"
            )
        sheet = sheets.get(name) or next(iter(sheets.values()))
        # The size a workbook states of itself may be wrong; without it, every row that is there is read.
        sheet.reset_dimensions()
        rows = list(sheet.iter_rows(values_only=True))
    finally:
        book.close()
    # Rows and columns that were only formatted are not data.
    while rows and all(cell is None for cell in rows[-1]):
        rows.pop()
    if not rows:
        raise Unreadable("the sheet is empty", "Write the names of the columns in its first row")
    width = max(i + 1 for row in rows for i, cell in enumerate(row) if cell is not None)
    rows = [(*row[:width], *[None] * (width - len(row))) for row in rows]
    header = ["" if cell is None else str(cell) for cell in rows[0]]
    for number, row in enumerate(rows[1:], start=1):
        for column, cell in zip(header, row, strict=True):
            if isinstance(cell, str) and cell in _CELL_ERRORS:
                faults.add(
                    f"the cell holds the error {cell}", file=path.name, table=name, row=number, column=column
                )
    return _from_objects(header, [[row[i] for row in rows[1:]] for i in range(width)])


# ---- Python objects


def _frame(frame: pd.DataFrame) -> pa.Table:
    header = [str(column) for column in frame.columns]
    columns = []
    for position, column in enumerate(header):
        series = frame.iloc[:, position]
        if series.dtype == object:
            columns.append(_array(series.where(series.notna(), None).tolist(), column))
            continue
        try:
            columns.append(pa.array(series, from_pandas=True))
        except (pa.ArrowException, TypeError) as error:
            raise Unreadable(f"a column of type {series.dtype} cannot be read", column=column) from error
    arrays = [array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array]) for array in columns]
    return pa.table(arrays, names=header) if header else pa.table({})


def _from_objects(header: list[str], columns: Sequence[Sequence[Any]]) -> pa.Table:
    return pa.table(
        [_array(list(cells), name) for name, cells in zip(header, columns, strict=True)], names=header
    )


def _array(cells: list[Any], column: str) -> pa.Array:
    """Make one Arrow column of Python objects; objects of several kinds become text."""
    kinds = {type(cell) for cell in cells if cell is not None}
    for kind in sorted(kinds, key=lambda kind: kind.__name__):
        if not issubclass(kind, _TEXT_KINDS):
            raise Unreadable(f"the column holds a {kind.__name__}, not text or a number", column=column)
    if kinds <= {int, float, np.float64} and kinds - {int}:
        return pa.array([None if cell is None else float(cell) for cell in cells], pa.float64())
    if len(kinds) <= 1 and kinds <= _ARROW_KINDS:
        try:
            return pa.array(cells, from_pandas=False)
        except (pa.ArrowException, OverflowError):
            pass
    return pa.array([None if cell is None else text_of(cell) for cell in cells], pa.string())


def text_of(cell: object) -> str:
    """Write one cell as text the way a CSV file would hold it: 7.0 as 7, midnight as a date, True as true."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float | decimal.Decimal | np.floating) and math.isfinite(cell) and cell == int(cell):
        return str(int(cell))
    if isinstance(cell, datetime.datetime):
        return cell.date().isoformat() if cell.time() == datetime.time() else cell.isoformat(sep=" ")
    if isinstance(cell, datetime.date):
        return cell.isoformat()
    return str(cell)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Undo what only saves space."""
    if pa.types.is_dictionary(column.type):
        return _plain(column.cast(column.type.value_type))
    return column.cast(pa.large_string()) if column.type == pa.string_view() else column

"""Write tables so that the same rows are the same bytes, and a spreadsheet finds no formula in them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP = 1 << 20
#: A cell that begins with one of these may be run as a formula by a spreadsheet.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
#: Text that has to be looked at cell by cell.
_UNSAFE = r"^[=+\-@\t\n]|\r"


def write_parquet(frame: pd.DataFrame, path: Path | str) -> None:
    """Write a frame as Parquet; equal frames give equal bytes.

    Parameters
    ----------
    frame : DataFrame
        The index is not written. Dates without a time become Parquet dates.
    path : Path or str
        The file; it is replaced if it exists.
    """
    write_parts([frame], path)


def write_parts(frames: Iterable[pd.DataFrame], path: Path | str) -> None:
    """Write frames one after another as Parquet, as `write_parquet` writes all of them at once.

    Parameters
    ----------
    frames : iterable of DataFrame
        One at least, all with the same columns; no more than one is held, and a row group besides.
    path : Path or str
        The file; it is replaced if it exists.
    """
    with contextlib.ExitStack() as stack:
        left, writer = None, None
        for frame in frames:
            rows = _stored(frame)
            if writer is None or left is None:
                # Without the schemas of pandas and Arrow the bytes depend on the rows alone, not on who
                # wrote them.
                repeats = [column.name for column in rows.schema if not pa.types.is_floating(column.type)]
                writer = pq.ParquetWriter(
                    path, rows.schema, compression="zstd", version="2.6", store_schema=False,
                    use_dictionary=repeats,
                )  # fmt: skip
                stack.enter_context(writer)
            else:
                rows = pa.concat_tables([left, rows])
            # Some are left for the end, else the last group might be empty.
            full = max(len(rows) - 1, 0) // ROW_GROUP * ROW_GROUP
            if full:
                writer.write_table(rows.slice(0, full), ROW_GROUP)
            left = rows.slice(full)
        assert writer is not None and left is not None
        writer.write_table(left, ROW_GROUP)


def _stored(frame: pd.DataFrame) -> pa.Table:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return pa.table([_as_stored(column) for column in table.columns], names=table.column_names)


def read_parquet(path: Path | str) -> pd.DataFrame:
    """Read a frame that `write_parquet` wrote.

    Parameters
    ----------
    path : Path or str
        The file.

    Returns
    -------
    DataFrame
        Text as ``str``, dates as ``datetime64[s]``, integers with missing cells as nullable integers.
    """
    table = pq.ParquetFile(path).read()
    frame = pd.DataFrame(
        {name: _as_frame(column) for name, column in zip(table.column_names, table.columns, strict=True)}
    )
    return frame[table.column_names]


def write_csv(frame: pd.DataFrame, path: Path | str) -> None:
    """Write a frame as CSV in UTF-8; lines end as on Unix.

    Text that a spreadsheet would run as a formula gets an apostrophe in front; numbers stay as they are. A
    carriage return inside a cell becomes a line feed.

    Parameters
    ----------
    frame : DataFrame
        The index is not written.
    path : Path or str
        The file; it is replaced if it exists.
    """
    safe = {name: _without_formula(frame[name]) for name in frame}
    out = pd.DataFrame(safe, index=frame.index).rename(columns=lambda name: _guard(str(name)))
    with Path(path).open("w", encoding="utf-8", newline="") as stream:
        out.to_csv(stream, index=False, lineterminator="\n")


def _as_stored(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _as_stored(column.cast(kind.value_type))
    if pa.types.is_large_string(kind):
        return column.cast(pa.string())
    if pa.types.is_null(kind):
        return column.cast(pa.string())
    if pa.types.is_timestamp(kind) and kind.tz is None:
        try:
            return (
                column.cast(pa.timestamp("s")).cast(pa.date32())
                if _all_midnight(column)
                else column.cast(pa.timestamp("us"))
            )
        except pa.ArrowInvalid:
            return column
    return column.combine_chunks() if column.num_chunks > 1 else column


def _all_midnight(column: pa.ChunkedArray) -> bool:
    import pyarrow.compute as pc

    return pc.all(pc.equal(column, pc.floor_temporal(column, unit="day"))).as_py() in (True, None)


def _as_frame(column: pa.ChunkedArray) -> pd.Series:
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_null(kind):
        return pd.Series(pd.array(column.cast(pa.large_string()), dtype="str"))
    if pa.types.is_date(kind):
        return pd.Series(column.cast(pa.timestamp("s")).to_numpy())
    if column.null_count and (pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        dtype = "boolean" if pa.types.is_boolean(kind) else str(kind).replace("i", "I").replace("u", "U")
        return pd.Series(pd.array(column.to_pylist(), dtype=dtype))
    return pd.Series(column.to_numpy())


def _without_formula(values: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_datetime64_any_dtype(values.dtype):
        return values
    if isinstance(values.dtype, pd.StringDtype) and not values.str.contains(_UNSAFE, na=False).any():
        return values
    return values.map(_guard, na_action="ignore")


def _guard(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    safe = f"'{cell}" if cell.startswith(_FORMULA) else cell
    # A lone carriage return would not be quoted, and so would end the line.
    return safe.replace("\r\n", "\n").replace("\r", "\n")

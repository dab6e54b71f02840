"""A few ids' rows of a long table, without reading the rest of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from omniopt.errors import Faults
from omniopt.tables.convert import id_texts
from omniopt.tables.parts import cells_of, parts_of, with_cells
from omniopt.tables.sources import Source, display_name, load
from omniopt.tables.unreadable import first_line


def rows_of_ids(source: Source, name: str, column: str, ids: Collection[str]) -> pa.Table:
    """Read the rows of some ids, columns as they are stored.

    Of Parquet only the ids are read of all rows, and not even these where a row group's statistics say that
    it holds none of them.

    Parameters
    ----------
    source : path, mapping or DataFrame
    name : str
        The table's name in the project.
    column : str
        The column of ids.
    ids : collection of str

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    BadInput
        If the table cannot be read.
    """
    faults = Faults()
    if isinstance(source, str | Path) and (Path(source).is_dir() or Path(source).suffix == ".parquet"):
        path = Path(source)
        try:
            found = [
                table
                for part in (parts_of(path) if path.is_dir() else [path])
                for table in _of_part(part, cells_of(part, path), column, ids)
            ]
            return pa.concat_tables(found, promote_options="permissive")
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            faults.add(f"cannot be read: {first_line(error)}", file=display_name(source, name), table=name)
            faults.raise_if_any()
    table = load(source, name, faults)
    faults.raise_if_any()
    assert table is not None
    return table.filter(_held(table[column], ids))


def _of_part(
    part: Path, cells: Mapping[str, str | None], column: str, ids: Collection[str]
) -> list[pa.Table]:
    """Return the rows of a file, and at least a table without rows, which tells the columns."""
    file = pq.ParquetFile(part, read_dictionary=[] if column in cells else [column])
    found = [with_cells(file.schema_arrow.empty_table(), cells)]
    if column in cells:
        return [with_cells(file.read(), cells)] if cells[column] in ids else found
    at = file.metadata.schema.to_arrow_schema().get_field_index(column)
    for group in range(file.num_row_groups):
        told = file.metadata.row_group(group).column(at).statistics if at >= 0 else None
        if told is not None and told.has_min_max and isinstance(told.min, str):
            if not any(told.min <= one <= told.max for one in ids):
                continue
        mask = _held(file.read_row_group(group, [column])[column], ids)
        if pc.any(mask).as_py():
            found.append(with_cells(file.read_row_group(group).filter(mask), cells))
    return found


def _held(column: pa.ChunkedArray, ids: Collection[str]) -> pa.ChunkedArray:
    """Mark the rows whose id is among some; each different id is looked at once."""
    wanted = pa.array(sorted(ids), pa.large_string())
    pieces = []
    for piece in column.chunks:
        coded = piece if pa.types.is_dictionary(piece.type) else piece.dictionary_encode()
        texts = id_texts(pa.chunked_array([coded.dictionary])).combine_chunks()
        is_in = pc.is_in(texts, wanted).to_numpy(zero_copy_only=False)
        code = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        pieces.append(pa.array(np.append(is_in, False)[code]))
    return pa.chunked_array(pieces, pa.bool_())

"""The table of candidates without a Python object per row: ids as codes, measures as numbers.

Parquet is read piece by piece, ids as the dictionaries they are stored with. What is read this way is
checked as any table is; where something looks wrong, or is not as simple as that, the reader of
frames takes over, which finds the words for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from omniopt.errors import Faults
from omniopt.tables.contract import CONTRACT, LARGEST
from omniopt.tables.parts import cells_of, parts_of
from omniopt.tables.storage import empty_array, in_threads

if TYPE_CHECKING:
    import pandas as pd

IDS = ("customer_id", "action_id")
BATCH = 1 << 19  # rows read at a time by each thread
BUFFER = 1 << 20  # bytes


@dataclass(frozen=True)
class Coded:
    """Candidates sorted by customer and action id.

    Attributes
    ----------
    customer_ids, action_ids : pyarrow.Array
        The ids that occur, as text, sorted by code points.
    start : ndarray of int64, shape (c + 1,)
        Candidates of the customer at position i of ``customer_ids`` are ``start[i]:start[i + 1]``.
    action : ndarray of uint16 or int32, shape (n,)
        Position of every candidate's action in ``action_ids``.
    measures : dict of str to ndarray of float64, shape (n,)
        Every numeric column.
    """

    customer_ids: pa.Array
    action_ids: pa.Array
    start: np.ndarray
    action: np.ndarray
    measures: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.action)


class RepeatedKey(Exception):
    """Two candidates have the same key; the message is its ids."""


def code_frame(frame: pd.DataFrame) -> Coded:
    """Code a table of candidates that was read and checked as a frame."""
    import pandas as pd

    words = [_Words(), _Words()]
    codes = []
    for name, own in zip(IDS, words, strict=True):
        column = pa.array(frame[name].array, from_pandas=True)
        pieces = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        codes.append(np.concatenate([own.add(piece) for piece in pieces] or [np.zeros(0, np.int32)]))
    ranks = [_ranked(own.pieces) for own in words]
    for code, (_, rank) in zip(codes, ranks, strict=True):
        code[:] = rank[code]
    measures = {
        str(name): column.to_numpy(np.float64, copy=True)
        for name, column in frame.items()
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    }
    ids = [words for words, _ in ranks]
    action = codes[1] if len(ids[1]) > np.iinfo(np.uint16).max else codes[1].astype(np.uint16)
    return _sorted(_grouped(codes[0], ids), action, measures, ids)


def read_coded(path: Path) -> Coded | None:
    """Read candidates from a Parquet file or a folder of such files.

    Returns
    -------
    Coded or None
        None where the reader of frames has to have a look: the table may be at fault.

    Raises
    ------
    RepeatedKey
    """
    layout = _layout(path)
    if layout is None:
        return None
    measures = {name: empty_array(layout.rows, np.float64) for name in layout.numbers}
    customer = empty_array(layout.rows, np.int32)
    action = empty_array(layout.rows, np.uint16)
    try:
        ids = _read_all(layout, [customer, action], measures)
    except OverflowError:  # more actions than is usual
        action = empty_array(layout.rows, np.int32)
        ids = _read_all(layout, [customer, action], measures)
    pa.default_memory_pool().release_unused()
    if ids is None:
        return None
    groups = _grouped(customer, ids)
    del customer
    return _sorted(groups, action, measures, ids)


def _read_all(
    layout: _Layout, codes: list[np.ndarray], measures: dict[str, np.ndarray]
) -> list[pa.Array] | None:
    """Read all pieces into their places; return the ids that the codes stand for.

    Raises
    ------
    OverflowError
        Where a column has more ids than fit its codes.
    """
    read = in_threads(lambda piece: _read(piece, layout, codes, measures), layout.pieces)
    whole = [one for one in read if one is not None]
    if len(whole) < len(read) or not _mere_text(layout, whole):
        return None
    found = []
    for code, name in zip(codes, IDS, strict=True):
        words = [one[name] for one in whole]
        ids, rank = _ranked([piece for own in words for piece in own.pieces])
        _check_width(code, len(ids))
        first = np.cumsum([0, *(own.size for own in words)])

        def translate(number: int, code=code, rank=rank, first=first) -> None:  # type: ignore[no-untyped-def]
            _translate(code[layout.pieces[number].places], rank[first[number] : first[number + 1]])

        in_threads(translate, range(len(layout.pieces)))
        found.append(ids)
    return found


def _translate(code: np.ndarray, rank: np.ndarray) -> None:
    """Put ranks for codes, in place."""
    if (np.diff(rank) != 1).any():
        code[:] = rank[code]
    elif len(rank) and rank[0]:  # in sorted pieces, one word after the other
        code += code.dtype.type(rank[0])


def _check_width(code: np.ndarray, ids: int) -> None:
    if ids > np.iinfo(code.dtype).max:
        raise OverflowError


# ---- layout


@dataclass(frozen=True)
class _Piece:
    """A row group of a file, the places of its rows, and the cells that folders' names give them all."""

    path: Path
    metadata: pq.FileMetaData
    group: int
    places: slice
    cells: dict[str, pa.Scalar]


@dataclass(frozen=True)
class _Layout:
    pieces: list[_Piece]
    rows: int
    numbers: list[str]
    texts: list[str]


def _layout(path: Path) -> _Layout | None:
    """Look at the files' metadata; None where the columns are not plain ids, numbers and attributes."""
    if not (path.is_dir() or path.name.lower().endswith(".parquet")):
        return None
    pieces, rows, types = [], 0, None
    parts = parts_of(path) if path.is_dir() else [path]
    given = _typed([cells_of(part, path) for part in parts])
    if given is None:
        return None
    try:
        for part, cells in zip(parts, given, strict=True):
            file = pq.ParquetFile(part)
            own = {field.name: _bare(field.type) for field in file.schema_arrow}
            own |= {name: cell.type for name, cell in cells.items()}
            if len(own) != len(file.schema_arrow) + len(cells) or (types is not None and own != types):
                return None
            types = own
            for group in range(file.num_row_groups):
                size = file.metadata.row_group(group).num_rows
                pieces.append(_Piece(part, file.metadata, group, slice(rows, rows + size), cells))
                rows += size
    except (pa.ArrowException, OSError, ValueError):
        return None
    if not rows or types is None or any(not name.strip() or name != name.strip() for name in types):
        return None
    spec = CONTRACT["candidates"].columns
    others = {name: kind for name, kind in types.items() if name not in IDS}
    numbers = [name for name, kind in others.items() if _is_number(kind)]
    texts = [name for name, kind in others.items() if _is_text(kind) and name not in spec]
    idle = [name for name, kind in others.items() if _is_idle(kind) and name not in spec]
    named = all(name in types and (_is_text(types[name]) or _is_number(types[name])) for name in IDS)
    if not named or len(numbers) + len(texts) + len(idle) < len(others):
        return None
    return _Layout(pieces, rows, numbers, texts)


def _typed(given: list[dict[str, str | None]]) -> list[dict[str, pa.Scalar]] | None:
    """Give the cells of folders' names the types that their columns have; None where they need a look."""
    if len({tuple(cells) for cells in given}) > 1 or any(None in cells.values() for cells in given):
        return None
    typed: list[dict[str, pa.Scalar]] = [{} for _ in given]
    for name in given[0] if given else {}:
        texts = pa.chunked_array([[cells[name] for cells in given]], pa.string())
        values = _values(texts, "free")
        if values is None:
            return None
        number = values.dtype == np.float64 and name not in IDS
        for cells, value, text in zip(typed, values, texts, strict=True):
            cells[name] = pa.scalar(float(value)) if number else text
    return typed


def _bare(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    return kind in (pa.string(), pa.large_string())


def _is_number(kind: pa.DataType) -> bool:
    # with more digits a decimal may be a name rather than a quantity
    short = pa.types.is_decimal(kind) and kind.precision < 16
    return short or pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _is_idle(kind: pa.DataType) -> bool:
    """Whether cells of a type can be neither measures nor at fault."""
    return pa.types.is_boolean(kind) or pa.types.is_temporal(kind) and not pa.types.is_duration(kind)


# ---- pieces


class _Words:
    """Ids as they come with each piece's dictionary; a code is a position among all of them."""

    def __init__(self) -> None:
        self.pieces: list[pa.Array] = []
        self.size = 0

    def add(self, column: pa.Array) -> np.ndarray:
        """Return the codes of a column without empty cells, of integers."""
        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        words = encoded.dictionary
        if not self.pieces or not words.equals(self.pieces[-1]):
            self.pieces.append(words)
            self.size += len(words)
        codes = _cells(encoded.indices)
        before = self.size - len(words)
        return codes + np.int32(before) if before else codes


def _read(
    piece: _Piece, layout: _Layout, codes: list[np.ndarray], measures: dict[str, np.ndarray]
) -> dict[str, _Words] | None:
    """Read a row group into its place; None where a cell is empty, not finite or too large."""
    texts = [*IDS, *layout.texts]
    stored = [name for name in (*texts, *measures) if name not in piece.cells]
    coded = [name for name in stored if name in texts]
    file = pq.ParquetFile(piece.path, metadata=piece.metadata, read_dictionary=coded, buffer_size=BUFFER)
    words = {name: _Words() for name in texts}
    begin = piece.places.start
    for batch in file.iter_batches(BATCH, [piece.group], stored, use_threads=False):
        for name, cell in piece.cells.items():
            batch = batch.append_column(name, pa.repeat(cell, len(batch)))
        rows = slice(begin, begin + len(batch))
        begin += len(batch)
        for name, code in zip(IDS, codes, strict=True):
            if batch[name].null_count:
                return None
            code[rows] = words[name].add(batch[name])
            _check_width(code, words[name].size)
        for name in layout.texts:
            words[name].add(batch[name].fill_null("") if batch[name].null_count else batch[name])
        for name, values in measures.items():
            own = values[rows]
            own[:] = _numbers(batch[name])
            if not (-LARGEST <= own.min(initial=0.0) and own.max(initial=0.0) <= LARGEST):  # NaN is neither
                return None
    return words if all(_legal(own) for name in IDS for own in words[name].pieces) else None


def _numbers(column: pa.Array) -> np.ndarray:
    """Return numbers, NaN for what is empty or none."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_decimal(column.type):
        numbers = _values(pa.chunked_array([column]), "number")
        return np.full(len(column), np.nan) if numbers is None else numbers.array
    return _cells(column)


def _cells(column: pa.Array) -> np.ndarray:
    """Return numbers as numpy has them, NaN for empty cells; Arrow's own way would import pandas first."""
    if column.null_count or not len(column):
        return column.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
    cells = np.frombuffer(column.buffers()[1], column.type.to_pandas_dtype())
    return cells[column.offset : column.offset + len(column)]


def _mere_text(layout: _Layout, read: Iterable[dict[str, _Words]]) -> bool:
    """Whether the attributes are text, and not numbers written as text, which would be measures."""
    for name in layout.texts:
        words = pa.chunked_array([piece for one in read for piece in one[name].pieces]).unique()
        values = _values(pa.chunked_array([words]), "free")
        if values is None or values.dtype == np.float64:
            return False
    return True


# ---- ids


def _ranked(pieces: list[pa.Array]) -> tuple[pa.Array, np.ndarray]:
    """Return the distinct words of the pieces, sorted, and the rank of every word, int32."""
    if not pieces:
        return pa.array([], pa.large_string()), np.zeros(0, np.int32)
    # writers like to repeat a file's dictionary in each of its row groups
    fresh = [i == 0 or not piece.equals(pieces[i - 1]) for i, piece in enumerate(pieces)]
    own = [piece for piece, new in zip(pieces, fresh, strict=True) if new]
    ids, rank = _ranked_words(pa.chunked_array(own))
    begin = np.cumsum([0, *map(len, own)])
    number = np.cumsum(fresh) - 1
    return ids, np.concatenate([rank[begin[n] : begin[n + 1]] for n in number])


def _ranked_words(words: pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    words = (words.cast(pa.large_string()) if _is_text(words.type) else _texts(words)).combine_chunks()
    if pc.all(pc.less_equal(words[:-1], words[1:]), min_count=0).as_py():
        differs = np.ones(len(words), bool)
        differs[1:] = pc.not_equal(words[1:], words[:-1]).to_numpy(zero_copy_only=False)
        return words.filter(pa.array(differs)), (np.cumsum(differs, dtype=np.int32) - np.int32(1))
    encoded = words.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary)
    rank = np.empty(len(order), np.int32)
    rank[order.to_numpy()] = np.arange(len(order), dtype=np.int32)
    return encoded.dictionary.take(order), rank[encoded.indices.to_numpy(zero_copy_only=False)]


def _texts(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    from omniopt.tables.convert import id_texts  # asks for pandas

    return id_texts(ids)


def _legal(ids: pa.Array) -> bool:
    """Whether nothing stands for an empty cell."""
    if _is_text(ids.type) and not ids.null_count and pc.min(pc.binary_length(ids)).as_py():
        letters = bytes(ids.buffers()[2]).upper()
        if not any(part in letters for part in (b"NAN", b"NAT", b"NA>")):  # of what programs write there
            return True
    texts = _values(pa.chunked_array([ids]), "id")
    return texts is not None and not texts.hasnans


def _values(column: pa.ChunkedArray, kind: str) -> pd.Series | None:
    """Read a column as the reader of frames does; None where it finds fault with it."""
    from omniopt.tables.convert import Days, Place, column_values  # asks for pandas

    faults = Faults()
    values = column_values(column, kind, Place(faults, None, "", ""), Days())
    return None if faults else values


def _grouped(customer: np.ndarray, ids: list[pa.Array]) -> tuple[np.ndarray, np.ndarray | None]:
    from omniopt.tables.order import grouped  # compiled code is slow to import

    return grouped(customer, len(ids[0]))


def _sorted(
    groups: tuple[np.ndarray, np.ndarray | None], action: np.ndarray, measures: dict[str, np.ndarray],
    ids: list[pa.Array],
) -> Coded:  # fmt: skip
    """Sort candidates by customer and action, in place."""
    from omniopt.tables.order import ordered

    start, place = groups
    if place is not None:
        action, measures = _moved(action, place), {k: _moved(v, place) for k, v in measures.items()}
    if not ordered(start, action, list(measures.values())):
        owner = np.repeat(np.arange(len(ids[0]), dtype=np.int32), np.diff(start))
        again = int(np.flatnonzero((np.diff(action.astype(np.int64)) == 0) & (np.diff(owner) == 0))[0])
        raise RepeatedKey(f"{ids[0][int(owner[again])]}, {ids[1][int(action[again])]}")
    return Coded(ids[0], ids[1], start, action, measures)


def _moved(column: np.ndarray, place: np.ndarray) -> np.ndarray:
    to = empty_array(len(column), column.dtype)
    to[place] = column
    return to

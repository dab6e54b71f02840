"""All tables of a project read and checked, by their contracts."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from omniopt.errors import Fault, Faults, nearest
from omniopt.tables import ahead, check
from omniopt.tables.coded import Coded, RepeatedKey, code_frame, read_coded
from omniopt.tables.contract import COMMON, CONTRACT, Column, spec_of
from omniopt.tables.convert import CELL_LIMIT, Days, Place, column_values, is_empty
from omniopt.tables.database import hide_password
from omniopt.tables.sources import Source, display_name, load, pieces_of, rows_of, sha256_of, sha256_of_rows
from omniopt.tables.texts import sorted_texts, text_codes

LONGEST_FRAME = 50_000_000  # candidates of which a frame may be made to say what is wrong with them
PIECE = 1 << 20  # rows looked at together where there are more


@dataclass
class Tables:
    """All tables of a project, read and checked.

    Attributes
    ----------
    customers, offers, channels, actions, scores, candidates, consents, history : DataFrame or None
    experiments : DataFrame or None
        None where the project does not give the table.
    coded : Coded or None
        The candidates as columns of codes and numbers, in place of ``candidates``, where that was asked for.
    extra : dict of str to DataFrame
        Every other table, such as the capacities a limit reads.
    linkage : dict of str to DataFrame
        How many sources became customers: see `omniopt.identity.Linked`. Empty where there are no sources.
    described : dict of str to dict
        Per table ``sha256``, ``rows`` and ``source``; the project adds its own files. To be read as `inputs`.
    hashing : dict of str to Future
        The hashes that are still being worked out.
    files : dict of str to str
        How to call a table in a message: its file's name, or the table's.
    """

    customers: pd.DataFrame | None = None
    offers: pd.DataFrame | None = None
    channels: pd.DataFrame | None = None
    actions: pd.DataFrame | None = None
    scores: pd.DataFrame | None = None
    candidates: pd.DataFrame | None = None
    consents: pd.DataFrame | None = None
    history: pd.DataFrame | None = None
    experiments: pd.DataFrame | None = None
    coded: Coded | None = None
    extra: dict[str, pd.DataFrame] = field(default_factory=dict)
    linkage: dict[str, pd.DataFrame] = field(default_factory=dict)
    described: dict[str, dict[str, Any]] = field(default_factory=dict)
    hashing: dict[str, Future[str]] = field(default_factory=dict, repr=False)
    files: dict[str, str] = field(default_factory=dict)

    @property
    def inputs(self) -> dict[str, dict[str, Any]]:
        """Per table ``sha256``, ``rows`` and ``source``, once all hashes are there."""
        for name, digest in self.hashing.items():
            self.described[name]["sha256"] = digest.result()
        self.hashing.clear()
        return self.described

    @property
    def brings_candidates(self) -> bool:
        """Whether the project gives its candidates, instead of having them made of scores."""
        return self.candidates is not None or self.coded is not None


def read_tables(
    sources: Mapping[str, Source],
    horizon_start: datetime.date | None,
    horizon_days: int | None,
    multi_valued: Mapping[str, str],
    faults: Faults,
    *,
    project_file: str | None = None,
    coded: bool = False,
) -> Tables:
    """Read and check every table of a project.

    Parameters
    ----------
    sources : mapping of str to source
        Table name to a path, ``{"url", "sql"}`` or a DataFrame.
    horizon_start : datetime.date or None
        Day 1. Without it, dates must be day numbers.
    horizon_days : int or None
        Length of the horizon in days.
    multi_valued : mapping of str to str
        Columns such as ``action.products`` that hold several values in a cell, and their separator.
    faults : Faults
        Receives everything that is wrong; nothing is raised here.
    project_file : str, optional
        Name of the project file, for messages.
    coded : bool
        Read the candidates as `Coded` columns, for tables that are too long for a frame.

    Returns
    -------
    Tables
        What could be read; only to be used if `faults` stayed empty.
    """
    days = Days(horizon_start, horizon_days)
    check.check_presence(sources, faults, project_file)
    tables, frames, whole = Tables(), dict[str, pd.DataFrame](), set[str]()
    reading = _read_ahead(sources["candidates"]) if coded and "candidates" in sources else None
    # Tables of the contract come first: what is text in them is text in the tables that rules look up.
    order = sorted(
        sources,
        key=lambda name: (name not in CONTRACT, list(CONTRACT).index(name) if name in CONTRACT else 0),
    )
    for name in order:
        source = sources[name]
        tables.files[name] = display_name(source, name) or name
        if reading is not None and name == "candidates":
            found = _coded(reading, source, frames, whole)
            if isinstance(found, tuple):
                tables.coded, tables.hashing[name] = found
                tables.described[name] = _input("", len(tables.coded), source)
                continue
            if (rows_of(source) or 0) > LONGEST_FRAME and _told_by_piece(
                Path(str(source)), days, frames, whole, tables.files, found, faults
            ):
                continue
        text = _text_columns(name, multi_valued, frames)
        before = len(faults)
        loaded = load(source, name, faults)
        if loaded is None:
            continue
        if loaded.num_rows and len(faults) == before:
            whole.add(name)
        frame = _shape(loaded, name, display_name(source, name), days, text, faults)
        if len(faults) == before:
            made = isinstance(source, pd.DataFrame | Mapping)
            digest = sha256_of_rows(loaded) if made else sha256_of(source)
            tables.described[name] = _input(digest, len(frame), source)
        if name in CONTRACT:
            frames[name] = frame
            setattr(tables, name, frame)
        else:
            tables.extra[name] = frame
    files = {name: display_name(source, name) for name, source in sources.items()}
    check.check_names(sources, tables.extra, faults, project_file)
    check.check_links(frames, whole, files, faults)
    check.check_rows(frames, files, days, faults)
    check.check_multi_valued(multi_valued, frames, project_file, faults)
    return with_codes(tables) if coded and not faults else tables


def with_codes(tables: Tables) -> Tables:
    """Return tables with their candidates as `Coded` columns instead of a frame."""
    if tables.candidates is None:
        return tables
    return replace(tables, candidates=None, coded=code_frame(tables.candidates))


def _read_ahead(source: Source) -> Future[Coded | None] | None:
    """Begin to read candidates as codes, which takes longest of all; None for frames."""
    if isinstance(source, pd.DataFrame | Mapping):
        return None
    return ahead.taken(Path(source)) or ahead.begun(read_coded, Path(source))


def _coded(
    reading: Future[Coded | None], source: Source, frames: Mapping[str, pd.DataFrame], whole: set[str]
) -> tuple[Coded, Future[str]] | RepeatedKey | None:
    """Return the candidates as codes, and their hash to come; None where that needs the reader of frames.

    Hashing begins when all is read: it would take the cores that reading needs, and nobody waits for it
    before the plan is there.
    """
    try:
        found = reading.result()
    except RepeatedKey as repeated:
        return repeated
    if found is None or not _known(found, frames, whole):
        return None
    return found, ahead.begun(sha256_of, source)


def _known(coded: Coded, frames: Mapping[str, pd.DataFrame], whole: set[str]) -> bool:
    """Whether every id of the candidates stands in the table it points to."""
    for column, ids in (("customer_id", coded.customer_ids), ("action_id", coded.action_ids)):
        target = CONTRACT["candidates"].links[column]
        if target in whole and column in frames[target]:
            if (text_codes(ids, sorted_texts(frames[target][column])) < 0).any():
                return False
    return True


def _told_by_piece(
    path: Path, days: Days, frames: Mapping[str, pd.DataFrame], whole: set[str], files: Mapping[str, str],
    found: RepeatedKey | None, faults: Faults,
) -> bool:  # fmt: skip
    """Look for what is wrong with candidates that are too many for a frame; whether anything was found."""
    file, before = files["candidates"], len(faults)
    targets = {name: frames[name] for name in CONTRACT["candidates"].links.values() if name in frames}
    for first, piece in pieces_of(path, PIECE):
        own = Faults()
        frame = _shape(piece, "candidates", file, days, (), own)
        check.check_links({"candidates": frame, **targets}, whole, files, own)
        faults.extend(_moved(own, first))
        if len(faults) - before >= CELL_LIMIT:
            break
    if len(faults) == before and found is not None:
        what = f"customer_id and action_id '{found}' stand in two rows"
        faults.add(what, file=file, table="candidates", column="action_id", hint="Keep one of the two rows")
    return len(faults) > before


def _moved(faults: Faults, rows: int) -> Iterator[Fault]:
    """Count the rows of faults in a piece from the table's first one."""
    return (replace(fault, row=None if fault.row is None else fault.row + rows) for fault in faults)


def _input(digest: str, rows: int, source: Source) -> dict[str, Any]:
    return {"sha256": digest, "rows": rows, "source": _source_name(source)}


def read_table(
    source: Source,
    name: str,
    faults: Faults,
    *,
    horizon_start: datetime.date | None = None,
    text: Collection[str] = (),
) -> pd.DataFrame:
    """Read one table by its contract, or as an extra table if the contract does not know its name.

    Parameters
    ----------
    source : path, mapping or DataFrame
        What to read.
    name : str
        The table's name.
    faults : Faults
        Receives what is wrong.
    horizon_start : datetime.date, optional
        Day 1; without it, dates must be day numbers.
    text : collection of str
        Free attributes to keep as text even if every cell is a number.

    Returns
    -------
    pandas.DataFrame
        Empty if nothing could be read.
    """
    loaded = load(source, name, faults)
    if loaded is None:
        return pd.DataFrame()
    return _shape(loaded, name, display_name(source, name), Days(horizon_start), text, faults)


def read_pieces(
    path: Path, name: str, faults: Faults, horizon_start: datetime.date | None
) -> Iterator[pd.DataFrame]:
    """Read Parquet as `read_table` does, but piece by piece; a piece with faults is the last, and not given.

    Whether a key stands in two pieces is for the caller to find out.
    """
    for first, piece in pieces_of(path, PIECE):
        own = Faults()
        frame = _shape(piece, name, path.name, Days(horizon_start), (), own)
        faults.extend(_moved(own, first))
        if own:
            return
        yield frame


def _shape(
    loaded: pa.Table, name: str, file: str | None, days: Days, text: Collection[str], faults: Faults
) -> pd.DataFrame:
    """Give every cell its meaning, fill in defaults, and check columns and keys."""
    spec = spec_of(name)
    columns: dict[str, pd.Series] = {}
    for column, cells in zip(loaded.column_names, loaded.columns, strict=True):
        wanted = spec.columns.get(column) or Column("text" if column in text else "free")
        place = Place(faults, file, name, column)
        values = column_values(cells, wanted.kind, place, days)
        if wanted.kind == "number" or (spec.measures and values.dtype == np.float64):
            place.too_large(values)
        if wanted.filled or (spec.measures and values.dtype == np.float64):
            # Asked of the cells as they came: one that could not be read is not called empty as well.
            place.bad(np.flatnonzero(is_empty(cells)), lambda row: "the cell is empty", "Write a value")
        elif wanted.default is not None:
            values = values.fillna(wanted.default).astype(_DTYPES[wanted.kind])
        columns[column] = values
    for column, wanted in spec.columns.items():
        if column in columns:
            continue
        if wanted.required:
            hint = nearest(column, [other for other in columns if other not in spec.columns] or columns)
            faults.add("the column is missing", file=file, table=name, column=column, hint=hint)
        elif wanted.default is not None:
            columns[column] = pd.Series(np.full(loaded.num_rows, wanted.default, _DTYPES[wanted.kind]))
    frame = pd.DataFrame(columns)
    if not loaded.num_rows and not spec.may_be_empty:
        faults.add(
            "the table has no rows", file=file, table=name, hint="Give it rows, or leave the table out"
        )
    check.check_keys(name, frame, file, faults)
    return frame


_DTYPES: dict[str, Any] = {"probability": np.float64, "bool": np.bool_, "days": np.int32}


def _text_columns(name: str, multi_valued: Mapping[str, str], frames: Mapping[str, pd.DataFrame]) -> set[str]:
    """Name the attributes to keep as text: multi-valued ones, and in extra tables what is text elsewhere."""
    names = {column for column in multi_valued if check.PREFIXES.get(column.partition(".")[0]) == name}
    text = {column.partition(".")[2] for column in names}
    if name in CONTRACT:
        return text
    for prefix, table in check.PREFIXES.items():
        frame = frames.get(table)
        if frame is not None:
            words = [column for column in frame if isinstance(frame[column].dtype, pd.StringDtype)]
            text |= {form for column in words for form in (column, f"{prefix}.{column}")}
    return text - set(COMMON)


def _source_name(source: Source) -> str:
    if isinstance(source, pd.DataFrame):
        return "in memory"
    if isinstance(source, Mapping):
        return f"{hide_password(str(source.get('url', '')))} {source.get('sql', '')}"
    return str(Path(source))

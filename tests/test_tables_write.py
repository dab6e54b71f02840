"""Writing: the same rows are the same bytes, and a spreadsheet finds no formula."""

from __future__ import annotations

import csv
import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniopt.tables import read_parquet, write_csv, write_parquet
from omniopt.tables import write as writing

FRAME = pd.DataFrame(
    {
        "customer_id": pd.Series(["1", "2"], dtype="str"),
        "date": np.array(["2026-11-23", "2026-11-24"], "datetime64[D]"),
        "fallback": pd.Series(["sms", None], dtype="str"),
        "day": pd.Series([1, None], dtype="Int32"),
        "value": [0.1, np.nan],
        "n": np.array([1, 2], np.int32),
        "ok": [True, False],
    }
)


def test_parquet_round_trip(tmp_path: Path) -> None:
    write_parquet(FRAME, tmp_path / "a.parquet")
    expected = FRAME.astype({"date": "datetime64[s]"})
    pd.testing.assert_frame_equal(read_parquet(tmp_path / "a.parquet"), expected, check_exact=True)


def test_dates_are_parquet_dates_and_text_is_text(tmp_path: Path) -> None:
    write_parquet(FRAME, tmp_path / "a.parquet")
    schema = pq.read_schema(tmp_path / "a.parquet")
    assert schema.field("date").type == pa.date32()
    assert schema.field("fallback").type == pa.string()
    assert schema.field("day").type == pa.int32()
    assert schema.metadata is None


@pytest.mark.parametrize(
    "other",
    [
        FRAME.set_index(pd.Index([7, 3])),
        FRAME.astype({"customer_id": "category", "fallback": "category"}),
        FRAME.astype({"customer_id": object, "fallback": object}),
        FRAME.astype({"date": "datetime64[ns]"}),
        FRAME.assign(date=[datetime.date(2026, 11, 23), datetime.date(2026, 11, 24)]),
        pd.concat([FRAME.iloc[:1], FRAME.iloc[1:]]),
    ],
    ids=["index", "categories", "objects", "nanoseconds", "dates", "chunks"],
)
def test_equal_rows_are_equal_bytes(other: pd.DataFrame, tmp_path: Path) -> None:
    for write in (write_parquet, write_csv):
        write(FRAME, tmp_path / "a")
        write(other, tmp_path / "b")
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_empty_frame_keeps_its_columns(tmp_path: Path) -> None:
    write_parquet(FRAME.iloc[:0], tmp_path / "a.parquet")
    read = read_parquet(tmp_path / "a.parquet")
    assert list(read) == list(FRAME) and len(read) == 0
    write_csv(FRAME.iloc[:0], tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "customer_id,date,fallback,day,value,n,ok\n"


def test_a_column_without_any_value(tmp_path: Path) -> None:
    write_parquet(pd.DataFrame({"fallback": [None, None]}), tmp_path / "a.parquet")
    assert read_parquet(tmp_path / "a.parquet")["fallback"].isna().all()


def test_csv(tmp_path: Path) -> None:
    write_csv(FRAME, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes() == (
        b"customer_id,date,fallback,day,value,n,ok\n1,2026-11-23,sms,1,0.1,1,True\n2,2026-11-24,,,,2,False\n"
    )


def test_no_formula_reaches_a_spreadsheet(tmp_path: Path) -> None:
    cells = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "a=1", "", " =1"]
    frame = pd.DataFrame({"=name": cells, "value": np.arange(9) - 4.0, "kind": pd.Categorical(cells)})
    write_csv(frame, tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header[0] == "'=name"
    for column in (0, 2):
        expected = ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\t=1", "'\n=1", "a=1", "", " =1"]
        assert [row[column] for row in rows] == expected
    assert [float(row[1]) for row in rows] == [-4, -3, -2, -1, 0, 1, 2, 3, 4]


@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=6))
def test_no_cell_of_text_begins_as_a_formula(
    tmp_path_factory: pytest.TempPathFactory, cells: list[str]
) -> None:
    file = tmp_path_factory.mktemp("csv") / "a.csv"
    write_csv(pd.DataFrame({"x": pd.Series(cells, dtype="str"), "y": 1}), file)
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))[1:]
    assert len(rows) == len(cells)
    for cell, row in zip(cells, rows, strict=True):
        plain = cell.replace("\r\n", "\n").replace("\r", "\n")
        assert row[0] in (plain, f"'{plain}")
        assert not row[0].startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.parametrize("cuts", [[], [0], [3], [4], [1, 5, 9], [4, 8], [10]])
def test_parts_are_written_as_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuts: list[int]
) -> None:
    monkeypatch.setattr(writing, "ROW_GROUP", 4)
    whole = pd.concat([FRAME] * 5, ignore_index=True)
    ends = [0, *cuts, len(whole)]
    writing.write_parts((whole.iloc[a:b] for a, b in zip(ends, ends[1:], strict=False)), tmp_path / "parts")
    write_parquet(whole, tmp_path / "whole")
    assert (tmp_path / "parts").read_bytes() == (tmp_path / "whole").read_bytes()
    groups = pq.ParquetFile(tmp_path / "parts").metadata
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [4, 4, 2]

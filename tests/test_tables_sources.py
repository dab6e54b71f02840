"""Sources that are broken, and what each kind of source may not do."""

from __future__ import annotations

import gzip
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from omniopt.errors import Fault, Faults
from omniopt.tables import Source, hide_password, read_table, read_tables, sha256_of


def faults_of(source: Source, name: str = "customers") -> list[Fault]:
    faults = Faults()
    read_table(source, name, faults)
    return list(faults)


def read(source: Source, name: str = "customers") -> pd.DataFrame:
    faults = Faults()
    frame = read_table(source, name, faults)
    faults.raise_if_any()
    return frame


# ---- CSV


def test_a_cell_may_hold_commas_quotes_and_lines(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('customer_id,note\n1,"a, ""b""\nc"\n2,\n')
    assert read(tmp_path / "a.csv")["note"].fillna("").tolist() == ['a, "b"\nc', ""]


def test_rows_of_a_wrong_length_are_numbered_and_counted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("customer_id,a\n" + "1,2\n" + "3\n" * 30 + "x,y,z\n")
    faults = faults_of(tmp_path / "a.csv")
    assert [fault.row for fault in faults[:20]] == list(range(2, 22))
    assert len(faults) == 21 and "11 more rows" in faults[-1].message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'customer_id,a\n"1,2\n', "cells"),
        (b"customer_id\n1\n\xff\n", "line 3"),
        ("customer_id\n1\n".encode("utf-16"), "not text"),
        (b"\xef\xbb\xbf", "empty"),
        (b"\n\n", "empty"),
        (b"customer_id;age\n1;2\n", "commas"),
        (b"customer_id\tage\n1\t2\n", "commas"),
        (b"customer_id,\n1,2\n", "column number 2"),
        (b"customer_id,customer_id\n1,2\n", "twice"),
    ],
)
def test_what_is_no_csv(data: bytes, words: str, tmp_path: Path) -> None:
    for file, content in (("a.csv", data), ("a.csv.gz", gzip.compress(data))):
        (tmp_path / file).write_bytes(content)
        faults = faults_of(tmp_path / file)
        assert len(faults) == 1 and words in str(faults[0]) and faults[0].file == file


def test_text_that_is_no_utf8_is_found_far_down(tmp_path: Path) -> None:
    lines = 300_000
    (tmp_path / "a.csv").write_bytes(b"customer_id\n" + b"12345678\n" * lines + b"\xe9\n")
    assert f"line {lines + 2}" in faults_of(tmp_path / "a.csv")[0].message


def test_a_large_file_is_read_block_by_block(tmp_path: Path) -> None:
    ids = [f"customer number {i}" for i in range(900_000)]
    pd.DataFrame({"customer_id": ids}).to_csv(tmp_path / "a.csv", index=False)
    assert (tmp_path / "a.csv").stat().st_size > 1 << 24
    assert read(tmp_path / "a.csv")["customer_id"].tolist() == ids


# ---- Parquet


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    for name, cell in (("b", "2"), ("a", "1"), ("c", "3")):
        pq.write_table(pa.table({"customer_id": [cell]}), tmp_path / f"{name}.parquet")
    (tmp_path / "notes.txt").write_text("no table")
    assert read(tmp_path)["customer_id"].tolist() == ["1", "2", "3"]


def test_parts_of_a_folder_with_other_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"customer_id": [1], "age": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"customer_id": [2]}), tmp_path / "b.parquet")
    assert "b.parquet has other columns than a.parquet: age" in str(faults_of(tmp_path)[0])


def test_parts_of_a_folder_with_other_types(tmp_path: Path) -> None:
    pq.write_table(pa.table({"customer_id": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"customer_id": ["x"]}), tmp_path / "b.parquet")
    assert "do not fit together" in str(faults_of(tmp_path)[0])


def test_an_empty_folder_and_half_a_file(tmp_path: Path) -> None:
    assert "no .parquet" in str(faults_of(tmp_path)[0])
    pq.write_table(pa.table({"customer_id": [1]}), tmp_path / "a.parquet")
    data = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(data[:-9])
    assert "a.parquet" in str(faults_of(tmp_path)[0])


def test_folders_called_column_and_value_are_a_column(tmp_path: Path) -> None:
    for place, ids in (("region=north/wave=2", [3]), ("region=a%20b/wave=1", [1, 2]), ("other", [9])):
        (tmp_path / place).mkdir(parents=True)
        pq.write_table(pa.table({"customer_id": ids}), tmp_path / place / "part-0.parquet")
    frame = read(tmp_path)
    assert frame["customer_id"].tolist() == ["1", "2", "3"]
    assert frame["region"].tolist() == ["a b", "a b", "north"]
    assert frame["wave"].tolist() == [1.0, 1.0, 2.0]
    before = sha256_of(tmp_path)
    (tmp_path / "region=north").rename(tmp_path / "region=south")
    assert sha256_of(tmp_path) != before


def test_rows_without_a_cell_in_the_names_of_folders(tmp_path: Path) -> None:
    for place, one in (("region=north", 1), ("region=__HIVE_DEFAULT_PARTITION__", 2)):
        (tmp_path / place).mkdir()
        pq.write_table(pa.table({"customer_id": [one]}), tmp_path / place / "part-0.parquet")
    assert read(tmp_path).set_index("customer_id")["region"].isna().to_dict() == {"1": False, "2": True}


def test_a_column_in_the_files_and_in_the_names_of_their_folders(tmp_path: Path) -> None:
    (tmp_path / "age=3").mkdir()
    pq.write_table(pa.table({"customer_id": [1], "age": [1]}), tmp_path / "age=3" / "a.parquet")
    assert "in the files and in the names of their folders" in str(faults_of(tmp_path)[0])
    (tmp_path / "age=3" / "a.parquet").write_text("no table")
    assert "age=3/a.parquet is not a readable Parquet file" in str(faults_of(tmp_path)[0])


# ---- workbooks


def book(file: Path, **sheets: Sequence[Sequence[object]]) -> Path:
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    workbook.save(file)
    return file


def test_the_only_sheet_or_the_one_called_like_the_table(tmp_path: Path) -> None:
    rows = [["customer_id"], [7]]
    assert read(book(tmp_path / "a.xlsx", anything=rows))["customer_id"].tolist() == ["7"]
    assert read(book(tmp_path / "b.xlsx", notes=[["x"]], customers=rows))["customer_id"].tolist() == ["7"]
    assert "none is called 'customers'" in str(faults_of(book(tmp_path / "c.xlsx", a=rows, b=rows))[0])


def test_formatted_but_empty_rows_and_columns_are_no_data(tmp_path: Path) -> None:
    rows = [["customer_id", "age", None], [1, None, None], [None, 3, None], [None, None, None]]
    faults = faults_of(book(tmp_path / "a.xlsx", a=rows))
    assert [(fault.row, fault.column) for fault in faults] == [(2, "customer_id")]


def test_cells_with_errors_and_empty_sheets(tmp_path: Path) -> None:
    faults = faults_of(book(tmp_path / "a.xlsx", a=[["customer_id", "name"], [1, "#N/A"], [2, "#REF!"]]))
    assert [(fault.row, fault.column) for fault in faults] == [(1, "name"), (2, "name")]
    assert "empty" in str(faults_of(book(tmp_path / "b.xlsx", a=[]))[0])


def test_mixed_cells_are_what_they_say(tmp_path: Path) -> None:
    rows = [["customer_id", "age", "code"], [1, 30, "007"], ["x1", "31", 7], [3.0, 32.5, None]]
    frame = read(book(tmp_path / "a.xlsx", a=rows))
    assert frame["customer_id"].tolist() == ["1", "x1", "3"]
    assert frame["age"].tolist() == [30.0, 31.0, 32.5]
    assert frame["code"].fillna("").tolist() == ["007", "7", ""]


# ---- databases


@pytest.fixture
def database(tmp_path: Path) -> Path:
    connection = sqlite3.connect(tmp_path / "my data.db")
    connection.execute("create table t (customer_id, age)")
    connection.execute("insert into t values (1, 30), ('x', 31.5)")
    connection.commit()
    connection.close()
    return tmp_path


def query(folder: Path, sql: str, url: str = "sqlite:///my data.db") -> Source:
    return {"url": url, "sql": sql, "root": str(folder)}


def test_a_query(database: Path) -> None:
    frame = read(query(database, "select customer_id, age from t where age % 7 <> 100 and ':a?' = ':a?'"))
    assert frame["customer_id"].tolist() == ["1", "x"]
    assert frame["age"].tolist() == [30.0, 31.5]
    absolute = query(Path("/"), "select * from t", f"sqlite:///{database / 'my data.db'}")
    assert len(read(absolute)) == 2


@pytest.mark.parametrize(
    "sql", ["delete from t", "drop table t", "insert into t values (2, 2)", "create table u (x)", "vacuum"]
)
def test_a_statement_that_writes_changes_nothing(sql: str, database: Path) -> None:
    before = {path.name: path.read_bytes() for path in database.iterdir()}
    faults = faults_of(query(database, sql))
    assert len(faults) == 1 and faults[0].file == "customers (SQL)"
    assert {path.name: path.read_bytes() for path in database.iterdir()} == before


@pytest.mark.parametrize(
    ("sql", "url", "words"),
    [
        ("select * from nothing", "sqlite:///my data.db", "nothing"),
        ("selct", "sqlite:///my data.db", "syntax"),
        ("", "sqlite:///my data.db", "customers (SQL)"),
        ("select 1 as a, 2 as a", "sqlite:///my data.db", "twice"),
        ("select x'00' as customer_id", "sqlite:///my data.db", "bytes"),
        ("select 1", "sqlite:///none.db", "none.db"),
        ("select 1", "no url", "url"),
        ("select 1", "oracle+nothing://x", "database"),
    ],
)
def test_queries_that_fail(sql: str, url: str, words: str, database: Path) -> None:
    faults = faults_of(query(database, sql, url))
    assert len(faults) == 1 and words in str(faults[0])
    assert [path.name for path in database.iterdir()] == ["my data.db"]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me:s3cret@db/warehouse",
        "postgresql+psycopg://me@db/warehouse?password=s3cret",
        "mssql+pyodbc://me:s3cret@db?token=s3cret&driver=x",
        "this is no url: s3cret",
    ],
)
def test_passwords_are_hidden(url: str, tmp_path: Path) -> None:
    assert "s3cret" not in hide_password(url)
    assert all("s3cret" not in str(fault) for fault in faults_of(query(tmp_path, "select 1", url)))


@pytest.mark.slow
def test_a_million_candidates_are_read_in_seconds(tmp_path: Path) -> None:
    rows, customers = 1_000_000, 50_000
    number = np.arange(rows)
    frame = pd.DataFrame(
        {
            "customer_id": pd.Series(number % customers).map("C{:07d}".format),
            "action_id": pd.Series(number // customers).map("A{:02d}".format),
            "value": np.sin(number),
            "cost": 1.0,
        }
    )
    frame.to_parquet(tmp_path / "candidates.parquet")
    actions = pd.DataFrame({"action_id": frame["action_id"].unique(), "offer_id": "o", "channel": "c"})
    faults = Faults()
    began = time.process_time()
    tables = read_tables(
        {"actions": actions, "candidates": tmp_path / "candidates.parquet"}, None, None, {}, faults
    )
    seconds = time.process_time() - began
    assert not faults
    assert tables.candidates is not None and len(tables.candidates) == rows
    # A loop over rows would take minutes; this leaves room for a slow machine.
    assert seconds < 15


def test_a_file_that_is_not_there_is_told_with_the_folder_it_was_looked_for_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    faults = Faults()
    read_table(Path("outcomes.csv"), "outcomes", faults)
    assert [str(fault) for fault in faults] == [
        f"outcomes.csv: there is no such file in {tmp_path.resolve()}. Correct the path."
    ]

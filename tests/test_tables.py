"""Sources of every kind, keys, and what tables must hold together."""

from __future__ import annotations

import datetime
import gzip
import hashlib
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniopt.errors import Faults
from omniopt.tables import CONTRACT, Source, Tables, read_table, read_tables, sha256_of

LISTS = pd.ArrowDtype(pa.list_(pa.string()))
START = datetime.date(2026, 11, 23)

#: One table of history, cell by cell as a CSV file would hold it, and its frame.
HEADER = [
    "customer_id",
    "offer_id",
    "channel",
    "date",
    "outcome",
    "value",
    "planned",
    "action_id",
    "size",
    "code",
    "vip",
]
ROWS = [
    ["1", "loan", "email", "2026-11-01", "delivered", "2.5", "false", "a", "3", "007", "true"],
    ["2", "loan", "sms", "2026-11-22", "sent", "", "", "", "0.5", "12", "false"],
    ["3", "Ärger", "sms", "2026-12-01", "", "10", "true", "b", "", "", "true"],
]


def typed(name: str, cell: str) -> object:
    """A cell as a database or a workbook would hold it."""
    if cell == "":
        return None
    if name in ("value", "size"):
        return float(cell)
    if name == "customer_id":
        return int(cell)
    if name in ("planned", "vip"):
        return cell == "true"
    return datetime.date.fromisoformat(cell) if name == "date" else cell


def columns() -> dict[str, list[object]]:
    return {name: [typed(name, row[i]) for row in ROWS] for i, name in enumerate(HEADER)}


def as_csv(folder: Path) -> Source:
    (folder / "t.csv").write_text("\n".join(",".join(row) for row in [HEADER, *ROWS]) + "\n", "utf-8")
    return folder / "t.csv"


def as_spreadsheet_csv(folder: Path) -> Source:
    lines = "\r\n".join(",".join(f'"{cell}"' for cell in row) for row in [HEADER, *ROWS])
    (folder / "t.csv").write_bytes(b"\xef\xbb\xbf" + lines.encode())
    return folder / "t.csv"


def as_gzip(folder: Path) -> Source:
    (folder / "t.csv.gz").write_bytes(gzip.compress(Path(str(as_csv(folder))).read_bytes()))
    return folder / "t.csv.gz"


def as_parquet(folder: Path) -> Source:
    pq.write_table(pa.table(columns()), folder / "t.parquet")
    return folder / "t.parquet"


def as_parquet_of_text(folder: Path) -> Source:
    text = {name: [row[i] or None for row in ROWS] for i, name in enumerate(HEADER)}
    pq.write_table(
        pa.table(text).to_pandas(strings_to_categorical=True).pipe(pa.Table.from_pandas), folder / "t.parquet"
    )
    return folder / "t.parquet"


def as_folder(folder: Path) -> Source:
    parts = folder / "parts"
    parts.mkdir()
    table = pa.table(columns())
    for number in range(len(ROWS)):
        pq.write_table(table.slice(number, 1), parts / f"part-{number}.parquet")
    (parts / "_SUCCESS").write_text("")
    return parts


def as_workbook(folder: Path) -> Source:
    book = openpyxl.Workbook()
    book.active.title = "notes"
    sheet = book.create_sheet("history")
    sheet.append(HEADER)
    for row in zip(*columns().values(), strict=True):
        sheet.append(list(row))
    book.save(folder / "t.xlsx")
    return folder / "t.xlsx"


def as_query(folder: Path) -> Source:
    with sqlite3.connect(folder / "t.db") as connection:
        connection.execute(f"create table t ({', '.join(HEADER)})")
        text = [[row[i] or None for i in range(len(HEADER))] for row in ROWS]
        for row in text:
            row[0] = int(row[0] or 0)  # type: ignore[call-overload]
        connection.executemany(f"insert into t values ({', '.join('?' * len(HEADER))})", text)
    connection.close()
    return {
        "url": "sqlite:///t.db",
        "sql": "select * from t where customer_id like '%' -- :x ?",
        "root": folder,
    }


def as_frame(folder: Path) -> Source:
    return pd.DataFrame(columns())


def as_frame_of_objects(folder: Path) -> Source:
    return pd.DataFrame(columns(), dtype=object)


def as_frame_of_timestamps(folder: Path) -> Source:
    frame = pd.DataFrame(columns())
    frame["date"] = pd.to_datetime(frame["date"]) + pd.Timedelta(hours=9, minutes=30)
    return frame


KINDS: list[Callable[[Path], Source]] = [
    as_csv, as_spreadsheet_csv, as_gzip, as_parquet, as_parquet_of_text, as_folder, as_workbook, as_query,
    as_frame, as_frame_of_objects, as_frame_of_timestamps,
]  # fmt: skip


def read(source: Source, name: str = "history") -> pd.DataFrame:
    faults = Faults()
    frame = read_table(source, name, faults, horizon_start=START)
    faults.raise_if_any()
    return frame


@pytest.mark.parametrize("write", KINDS, ids=lambda write: write.__name__)
def test_every_kind_of_source_gives_the_same_frame(write: Callable[[Path], Source], tmp_path: Path) -> None:
    expected = pd.DataFrame(
        {
            "customer_id": pd.Series(["1", "2", "3"], dtype="str"),
            "offer_id": pd.Series(["loan", "loan", "Ärger"], dtype="str"),
            "channel": pd.Series(["email", "sms", "sms"], dtype="str"),
            "date": np.array([-21, 0, 9], np.int32),
            "outcome": pd.Series(["delivered", "sent", None], dtype="str"),
            "value": [2.5, np.nan, 10.0],
            "planned": [False, False, True],
            "action_id": pd.Series(["a", None, "b"], dtype="str"),
            "size": [3.0, 0.5, np.nan],
            "code": pd.Series(["007", "12", None], dtype="str"),
            "vip": [True, False, True],
        }
    )
    assert_same = pd.testing.assert_frame_equal
    assert_same(read(write(tmp_path)), expected, check_exact=True, check_index_type="equiv")


@pytest.mark.parametrize("write", KINDS, ids=lambda write: write.__name__)
def test_the_hash_follows_the_content(write: Callable[[Path], Source], tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = sha256_of(write(tmp_path / "a"))
    if write is not as_workbook:  # a workbook holds the time at which it was written
        assert first == sha256_of(write(tmp_path / "b"))
    ROWS[0][5] = "2.25"
    try:
        assert first != sha256_of(write(_empty(tmp_path / "c")))
    finally:
        ROWS[0][5] = "2.5"


def _empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_file_is_hashed_by_its_bytes(tmp_path: Path) -> None:
    source = Path(str(as_csv(tmp_path)))
    assert sha256_of(source) == hashlib.sha256(source.read_bytes()).hexdigest()


# ---- keys, and tables together


def tables(**sources: Source) -> tuple[Tables, list[str]]:
    faults = Faults()
    read_ = read_tables(sources, START, 28, {}, faults)
    return read_, [str(fault) for fault in faults]


ACTIONS = pd.DataFrame({"action_id": ["a", "b"], "offer_id": "o", "channel": "c"})
CANDIDATES = pd.DataFrame({"customer_id": ["1", "1"], "action_id": ["a", "b"], "value": [1.0, 2.0]})


def test_many_faults_of_a_column_are_counted() -> None:
    many = pd.DataFrame({"customer_id": [str(i) for i in range(100)], "action_id": "a", "value": np.inf})
    _, faults = tables(actions=ACTIONS, candidates=many)
    assert len(faults) == 21
    assert faults[-1] == "table candidates, column value: and 80 more rows."
    many = pd.DataFrame({"customer_id": "1", "action_id": [f"x{i // 2}" for i in range(100)], "value": 1.0})
    _, faults = tables(actions=ACTIONS, candidates=many.drop_duplicates())
    assert len(faults) == 21
    assert "30 more unknown ids" in faults[-1]


def test_an_unknown_id_is_told_once_with_its_count() -> None:
    candidates = pd.DataFrame({"customer_id": ["1", "2", "3"], "action_id": ["a", "B", "B"], "value": 1.0})
    _, faults = tables(actions=ACTIONS, candidates=candidates)
    place = "table candidates, row 2, column action_id"
    assert faults == [f"{place}: 'B' is not in table actions (2 rows). Did you mean 'b'?"]


def test_a_duplicate_key_names_both_rows() -> None:
    candidates = pd.concat([CANDIDATES, CANDIDATES.iloc[:1]], ignore_index=True)
    _, faults = tables(actions=ACTIONS, candidates=candidates)
    assert len(faults) == 1
    assert "row 3" in faults[0] and "'1, a' stands in row 1 already" in faults[0]


def test_keys_that_are_empty_or_lack_a_column_are_told_as_that_alone() -> None:
    _, faults = tables(actions=ACTIONS, candidates=CANDIDATES.assign(customer_id=[None, None], action_id="a"))
    assert len(faults) == 2 and all("column customer_id: the cell is empty" in fault for fault in faults)
    scores = pd.DataFrame({"customer_id": ["1", "1"], "offer_id": "o", "p_response": 0.1})
    _, faults = tables(actions=ACTIONS, candidates=CANDIDATES, scores=scores)
    assert len(faults) == 1 and "column channel: the column is missing" in faults[0]


def test_consents_without_purposes_have_a_shorter_key() -> None:
    consents = pd.DataFrame({"customer_id": ["1", "1"], "channel": ["c", "c"], "granted": True})
    _, faults = tables(actions=ACTIONS, candidates=CANDIDATES, consents=consents)
    assert len(faults) == 1 and "customer_id and channel '1, c' stands in row 1" in faults[0]
    assert (
        tables(actions=ACTIONS, candidates=CANDIDATES, consents=consents.assign(purpose=["a", "b"]))[1] == []
    )


def test_long_cells_are_cut() -> None:
    _, faults = tables(actions=ACTIONS, candidates=CANDIDATES.assign(cost="x" * 10_000))
    assert all(len(fault) < 300 for fault in faults)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), min_size=1, max_size=9))
def test_keys_of_two_columns_clash_exactly_when_both_do(pairs: list[tuple[str, str]]) -> None:
    frame = pd.DataFrame(pairs, columns=["customer_id", "action_id"]).assign(value=1.0)
    faults = Faults()
    read_table(frame, "candidates", faults)
    expected = [row + 1 for row, pair in enumerate(pairs) if pair in pairs[:row]]
    assert [fault.row for fault in faults] == expected


def test_what_a_project_needs() -> None:
    offers = pd.DataFrame({"offer_id": ["o"]})
    _, faults = tables(offers=offers)
    assert [word in " ".join(faults) for word in ("table customers", "table channels", "respond")] == [
        True
    ] * 3
    _, faults = tables(candidates=CANDIDATES)
    assert "candidates are given without actions" in faults[0]
    assert tables(actions=ACTIONS, candidates=CANDIDATES)[1] == []


KEYS = {
    "costumers": ["customer_id"],
    "Customers": ["customer_id"],
    "score": ["customer_id", "offer_id", "channel"],
    "channel": ["channel"],
    "histroy": ["customer_id", "offer_id", "channel", "date"],
}


@pytest.mark.parametrize("name", KEYS)
def test_misspelt_tables_are_not_taken_for_extra_ones(name: str) -> None:
    misspelt = pd.DataFrame(dict.fromkeys(KEYS[name], ["1"]))
    _, faults = tables(actions=ACTIONS, candidates=CANDIDATES, **{name: misspelt})
    assert len(faults) == 1 and "Did you mean" in faults[0]


@pytest.mark.parametrize("name", ["stores", "contents", "reactions", "actions_2025"])
def test_extra_tables_may_be_called_almost_like_others(name: str) -> None:
    frame = pd.DataFrame({"store": ["1"], "channel": ["2"]})
    read_, faults = tables(actions=ACTIONS, candidates=CANDIDATES, **{name: frame})
    assert not faults and name in read_.extra


def test_extra_tables() -> None:
    capacity = pd.DataFrame({"date": ["2026-11-24"], "channel": [7], "seats": ["5"]})
    read_, faults = tables(
        actions=ACTIONS, candidates=CANDIDATES, capacity=capacity, outcomes=pd.DataFrame({"x": []})
    )
    assert not faults
    row = read_.extra["capacity"].iloc[0]
    assert (row["date"], row["channel"], row["seats"]) == (2, "7", 5.0)
    assert len(read_.extra["outcomes"]) == 0


def test_an_extra_table_keeps_as_text_what_is_text_elsewhere() -> None:
    customers = pd.DataFrame({"customer_id": ["1"], "region": ["north"], "size": [3]})
    capacity = pd.DataFrame({"customer.region": ["1"], "region": ["2"], "size": ["3"]})
    read_, faults = tables(actions=ACTIONS, candidates=CANDIDATES, customers=customers, capacity=capacity)
    assert not faults
    assert read_.extra["capacity"].iloc[0].tolist() == ["1", "2", 3.0]


def test_multi_valued_columns_stay_text() -> None:
    actions, faults = ACTIONS.assign(products=["1", "2"]), Faults()
    sources = {"actions": actions, "candidates": CANDIDATES}
    read_ = read_tables(sources, START, 28, {"action.products": ";"}, faults)
    assert read_.actions is not None and read_.actions["products"].tolist() == ["1", "2"] and not faults


@pytest.mark.parametrize("name", ["consents", "history", "outcomes"])
def test_tables_that_may_be_empty(name: str, tmp_path: Path) -> None:
    header = {
        "consents": "customer_id,channel,purpose,granted",
        "history": "customer_id,offer_id,channel,date,outcome",
    }
    (tmp_path / f"{name}.csv").write_text(header.get(name, "x") + "\n")
    read_, faults = tables(actions=ACTIONS, candidates=CANDIDATES, **{name: tmp_path / f"{name}.csv"})
    assert not faults
    assert read_.inputs[name]["rows"] == 0


def test_a_column_that_cannot_be_read_is_told_with_all_the_rest() -> None:
    customers = pd.DataFrame(
        {"customer_id": ["1"], "tags": pd.Series([["a"]], dtype=LISTS), "timezone": ["x"]}
    )
    _, faults = tables(actions=ACTIONS, candidates=CANDIDATES, customers=customers)
    assert len(faults) == 2
    assert "column tags" in faults[0] and "column timezone" in faults[1]


@pytest.mark.parametrize("path", ["a" * 300 + ".csv", "a\0.csv", "", ".", "s3://bucket/a.csv", "a.csv/b.csv"])
def test_paths_that_lead_nowhere(path: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("customer_id\n1\n")
    _, faults = tables(actions=ACTIONS, candidates=CANDIDATES, customers=tmp_path / path)
    assert len(faults) == 1 and "table customers" in faults[0]


def test_inputs_and_files(tmp_path: Path) -> None:
    read_, faults = tables(actions=as_named(tmp_path), candidates=CANDIDATES)
    assert not faults
    assert read_.files == {"actions": "my actions.csv", "candidates": "candidates"}
    assert read_.inputs["actions"]["sha256"] == sha256_of(tmp_path / "my actions.csv")
    assert read_.inputs["candidates"]["rows"] == 2


def as_named(folder: Path) -> Path:
    ACTIONS.to_csv(folder / "my actions.csv", index=False)
    return folder / "my actions.csv"


def test_rows_keep_their_order() -> None:
    shuffled = CANDIDATES.iloc[::-1]
    read_, _ = tables(actions=ACTIONS, candidates=shuffled)
    assert read_.candidates is not None
    assert read_.candidates["action_id"].tolist() == ["b", "a"]
    assert read_.candidates.index.tolist() == [0, 1]


def test_the_examples_of_the_documentation_are_a_project(checkout: Path, tmp_path: Path) -> None:
    text = (checkout / "docs" / "tables.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## ([\w ]+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    sources: dict[str, Source] = {}
    for name in [*CONTRACT, "Further tables"]:
        example = re.search(r"```csv\n(.*?)```", sections[name], re.DOTALL)
        assert example is not None, name
        (tmp_path / f"{name}.csv").write_text(example[1], encoding="utf-8")
        sources["capacity" if name == "Further tables" else name] = tmp_path / f"{name}.csv"
        spec = CONTRACT.get(name)
        for column in spec.columns if spec else ():
            assert re.search(rf"^\|[^|]*\b{column}\b", sections[name], re.MULTILINE), f"{name}: {column}"
    faults = Faults()
    read_ = read_tables(sources, START, 28, {"action.products": ";"}, faults)
    assert not list(faults)
    assert read_.history is not None and read_.history["date"].tolist() == [-51, -21, 5]

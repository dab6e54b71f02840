"""Candidates read as codes are the candidates that the reader of frames reads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import omniopt as oo
from omniopt.errors import BadInput
from omniopt.tables import Coded, ahead, coded, read, storage
from omniopt.tables.coded import code_frame, read_coded
from omniopt.tables.pick import rows_of_ids

CUSTOMERS = ["C1", "c2", "é", "007", "7", "\U0001f600", "\uffee", " x"]
ACTIONS = ["o1-call", "o1-mail", "o1-email", "o2-call"]


def frame(seed: int = 1, share: float = 0.7) -> pd.DataFrame:
    """Some of all pairs, shuffled."""
    rng = np.random.default_rng(seed)
    grid = pd.MultiIndex.from_product([CUSTOMERS, ACTIONS], names=["customer_id", "action_id"])
    rows = grid.to_frame(index=False).sample(frac=share, random_state=seed)
    return rows.assign(value=rng.normal(size=len(rows)), cost=rng.integers(0, 5, len(rows)))


def write(
    path: Path, rows: pd.DataFrame, *, parts: int = 1, group: int = 7, kind: pa.DataType | None = None
) -> Path:
    """Write rows as a folder of files with small row groups, ids of the given type."""
    path.mkdir(parents=True)
    for number, part in enumerate(np.array_split(np.arange(len(rows)), parts)):
        table = pa.Table.from_pandas(rows.iloc[part], preserve_index=False)
        if kind is not None:
            for name in ("customer_id", "action_id"):
                at = table.column_names.index(name)
                table = table.set_column(at, name, table[name].cast(pa.string()).cast(kind))
        pq.write_table(table, path / f"part-{number}.parquet", row_group_size=group)
    return path


def same(one: Coded, other: Coded) -> None:
    assert one.customer_ids.to_pylist() == other.customer_ids.to_pylist()
    assert one.action_ids.to_pylist() == other.action_ids.to_pylist()
    assert np.array_equal(one.start, other.start)
    assert np.array_equal(one.action, other.action)
    assert list(one.measures) == list(other.measures)
    for name, values in one.measures.items():
        assert values.dtype == np.float64
        assert np.array_equal(values, other.measures[name])


def expected(rows: pd.DataFrame) -> pd.DataFrame:
    """Sort as Python sorts text."""
    keys = list(zip(rows["customer_id"], rows["action_id"], strict=True))
    return rows.iloc[sorted(range(len(rows)), key=keys.__getitem__)]


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())], ids=str
)
def test_rows_in_any_order(tmp_path: Path, kind: pa.DataType, parts: int) -> None:
    rows = frame()
    found = read_coded(write(tmp_path / "c", rows, parts=parts, kind=kind))
    assert found is not None
    same(found, code_frame(rows))
    wanted = expected(rows)
    customers = np.repeat(found.customer_ids.to_pylist(), np.diff(found.start))
    assert customers.tolist() == wanted["customer_id"].tolist()
    assert [found.action_ids[int(a)].as_py() for a in found.action] == wanted["action_id"].tolist()
    assert found.measures["value"].tolist() == wanted["value"].tolist()
    assert found.measures["cost"].tolist() == wanted["cost"].tolist()


def test_sorted_rows_stay_where_they_are(tmp_path: Path) -> None:
    rows = expected(frame())
    found = read_coded(write(tmp_path / "c", rows))
    assert found is not None
    assert found.measures["value"].tolist() == rows["value"].tolist()


def test_whole_numbers_are_ids_as_text(tmp_path: Path) -> None:
    rows = pd.DataFrame({"customer_id": [10, 9, 9], "action_id": ["b", "a", "b"], "value": [1.0, 2.0, 3.0]})
    found = read_coded(write(tmp_path / "c", rows))
    assert found is not None
    assert found.customer_ids.to_pylist() == ["10", "9"]
    assert found.measures["value"].tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("kind", [pa.float64(), pa.int8(), pa.decimal128(9, 2), None], ids=str)
def test_ids_of_any_type(tmp_path: Path, kind: pa.DataType | None) -> None:
    table = pa.table(
        {"customer_id": pa.array([10, 9, 9]), "action_id": ["b", "a", "b"], "value": [1.0, 2.0, 3.0]}
    )
    ids = pa.array([10, 9, 9], pa.int8())
    table = table.set_column(0, "customer_id", ids.dictionary_encode() if kind is None else ids.cast(kind))
    pq.write_table(table, tmp_path / "c.parquet")
    found = read_coded(tmp_path / "c.parquet")
    assert found is not None
    assert found.customer_ids.to_pylist() == ["10", "9"]
    assert found.measures["value"].tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("kind", [pa.float32(), pa.int16(), pa.decimal128(9, 3), None], ids=str)
def test_numbers_of_any_type(tmp_path: Path, kind: pa.DataType | None) -> None:
    table = pa.table({"customer_id": ["b", "a"], "action_id": ["b", "a"]})
    values = pa.array([1, 3], pa.int8())
    table = table.append_column("value", values.dictionary_encode() if kind is None else values.cast(kind))
    table = table.append_column("seen", pa.array([1, 3], pa.timestamp("s")))
    pq.write_table(table, tmp_path / "c.parquet")
    found = read_coded(tmp_path / "c.parquet")
    assert found is not None
    assert list(found.measures) == ["value"]
    assert found.measures["value"].tolist() == [3.0, 1.0]


def test_attributes_are_no_measures(tmp_path: Path) -> None:
    rows = frame().assign(note=lambda f: f["action_id"] + "!", flag=True, few=lambda f: f["cost"] > 2)
    found = read_coded(write(tmp_path / "c", rows))
    assert found is not None
    assert list(found.measures) == ["value", "cost"]


@pytest.mark.parametrize("seed", range(3))
def test_long_groups_and_many_lots(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    key = rng.permutation(300 * 90)[:9000]
    rows = pd.DataFrame({"customer_id": key // 90, "action_id": key % 90, "value": rng.normal(size=9000)})
    rows = rows.astype({"customer_id": str, "action_id": str})
    found = read_coded(write(tmp_path / "c", rows, parts=2, group=1000))
    assert found is not None
    same(found, code_frame(rows))
    assert (
        found.measures["value"].tolist() == rows.sort_values(["customer_id", "action_id"])["value"].tolist()
    )


@pytest.mark.parametrize("threads", ["1", "2", "5"])
def test_any_number_of_threads(tmp_path: Path, threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIOPT_THREADS", threads)
    found = read_coded(write(tmp_path / "c", frame(), parts=3, group=2))
    assert found is not None
    same(found, code_frame(frame()))


def test_long_columns_may_lie_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "LONG", 1)
    monkeypatch.setattr(storage, "_room", storage._Room())
    monkeypatch.setattr(storage, "available_memory", lambda: 0)
    found = read_coded(write(tmp_path / "c", frame()))
    assert found is not None
    assert isinstance(found.measures["value"], np.memmap)
    same(found, code_frame(frame()))


def test_memory_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "LONG", 1)
    monkeypatch.setattr(storage, "_room", storage._Room())
    monkeypatch.setattr(storage, "available_memory", lambda: 2000)
    first = storage.empty_array(100, np.float64)
    assert not isinstance(first, np.memmap)
    assert isinstance(storage.empty_array((5, 10), np.float64), np.memmap)
    del first
    assert not isinstance(storage.empty_array((10, 10), np.float64), np.memmap)


# ---- what is wrong is said as the reader of frames says it

BROKEN = {
    "empty id": lambda f: f.assign(customer_id=f["customer_id"].where(f.index != f.index[3])),
    "id without text": lambda f: f.assign(action_id=f["action_id"].where(f.index != f.index[3], "")),
    "id that says nan": lambda f: f.assign(customer_id=f["customer_id"].where(f.index != f.index[3], "nan")),
    "empty number": lambda f: f.assign(value=f["value"].where(f.index != f.index[3])),
    "number too large": lambda f: f.assign(value=f["value"].where(f.index != f.index[3], -1e16)),
    "infinite number": lambda f: f.assign(value=f["value"].where(f.index != f.index[3], np.inf)),
    "key twice": lambda f: pd.concat([f, f.iloc[[2, 5]]]),
    "unknown action": lambda f: f.assign(action_id=f["action_id"].where(f.index != f.index[3], "o9-call")),
    "unknown customer": lambda f: f.assign(customer_id=f["customer_id"].where(f.index != f.index[3], "C9")),
    "no action": lambda f: f.drop(columns="action_id"),
    "no rows": lambda f: f.iloc[:0],
    "text for a number": lambda f: f.assign(value="much"),
    "cell of a measure": lambda f: f.assign(minutes=f["cost"].where(f.index != f.index[3])),
    "two faults": lambda f: pd.concat([f, f.iloc[[2]]]).assign(cost=np.nan),
}


def project(folder: Path, rows: pd.DataFrame) -> oo.Project:
    customers = pd.DataFrame({"customer_id": CUSTOMERS})
    customers.to_parquet(folder / "customers.parquet")
    actions = pd.DataFrame({"action_id": ACTIONS, "offer_id": "o", "channel": "x"})
    actions.to_csv(folder / "actions.csv", index=False)
    write(folder / "candidates", rows, parts=2)
    (folder / "omniopt.yaml").write_text(
        "version: 1\nname: p\npolicy: {objective: value}\n"
        "tables: {customers: customers.parquet, actions: actions.csv, candidates: candidates}\n"
    )
    return oo.Project.load(folder)


@pytest.mark.parametrize("name", BROKEN)
def test_faults(tmp_path: Path, name: str) -> None:
    broken = project(tmp_path, BROKEN[name](frame()))
    with pytest.raises(BadInput) as plain:
        broken.read()
    with pytest.raises(BadInput) as found:
        oo.Project.load(tmp_path).read(coded=True)
    assert [str(f) for f in found.value.faults] == [str(f) for f in plain.value.faults]


@pytest.mark.parametrize("name", BROKEN)
def test_faults_of_what_is_too_long_for_a_frame(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "LONGEST_FRAME", 0)
    monkeypatch.setattr(read, "PIECE", 4)
    broken = project(tmp_path, BROKEN[name](frame()))
    with pytest.raises(BadInput) as plain:
        broken.read()
    with pytest.raises(BadInput) as found:
        oo.Project.load(tmp_path).read(coded=True)
    wanted, said = ([str(f) for f in error.value.faults] for error in (plain, found))
    if "twice" in name:  # the rows are far apart
        assert said == [
            "candidates, column action_id: customer_id and action_id '7, o1-mail' stand in two rows. "
            "Keep one of the two rows."
        ]
    else:
        assert said[0] == wanted[0]


def test_numbers_written_as_text_are_measures(tmp_path: Path) -> None:
    rows = frame().assign(minutes=lambda f: f["cost"].map("{}.5".format))
    found = project(tmp_path, rows).read(coded=True).coded
    assert found is not None
    assert found.measures["minutes"].tolist() == (found.measures["cost"] + 0.5).tolist()


def test_inputs_are_hashed_alike(tmp_path: Path) -> None:
    plain = project(tmp_path, frame()).read()
    found = oo.Project.load(tmp_path).read(coded=True)
    assert found.inputs == plain.inputs
    assert found.candidates is None
    assert plain.coded is None


def test_tables_that_were_read_are_coded_without_reading_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    p = project(tmp_path, frame())
    p.read()
    monkeypatch.setattr(coded, "read_coded", None)
    found = p.read(coded=True).coded
    assert found is not None
    same(found, code_frame(frame()))


def test_a_file_without_rows_adds_nothing(tmp_path: Path) -> None:
    folder = write(tmp_path / "c", frame())
    table = pq.read_table(folder)
    with pq.ParquetWriter(folder / "0.parquet", table.schema) as file:
        file.write_table(table.slice(0, 0))
    found = read_coded(folder)
    assert found is not None
    same(found, code_frame(frame()))


def test_reading_may_begin_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    p = project(tmp_path, frame())
    p.read_ahead()
    assert not p._ahead  # these are few
    monkeypatch.setattr("omniopt.project.MANY", len(frame()))
    p.read_ahead()
    found = p.read(coded=True)
    assert found is p.with_decisions(None, None).read(coded=True)
    assert found.coded is not None
    same(found.coded, code_frame(frame()))


def test_reading_may_begin_before_the_project_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(tmp_path, frame())
    ahead.begin(tmp_path)
    assert not ahead._reading  # these are few
    monkeypatch.setattr(ahead, "MANY", len(frame()))
    ahead.begin(tmp_path / "omniopt.yaml")
    assert list(ahead._reading) == [tmp_path / "candidates"]
    monkeypatch.setattr(read, "read_coded", None)  # nothing is read twice
    found = oo.Project.load(tmp_path).read(coded=True)
    assert not ahead._reading
    assert found.coded is not None
    same(found.coded, code_frame(frame()))


@pytest.mark.parametrize(
    "text",
    ["", "[", "tables: 7", "tables: {}", "tables: {candidates: {url: x, sql: y}}",
     "tables: {candidates: gone}", "tables: {candidates: omniopt.yaml}", None],
)  # fmt: skip
def test_nothing_odd_is_begun(tmp_path: Path, text: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "MANY", 1)
    if text is not None:
        (tmp_path / "omniopt.yaml").write_text(text)
    ahead.begin(tmp_path)
    assert not ahead._reading


def test_reading_does_not_wait_for_what_takes_long_to_import(tmp_path: Path) -> None:
    write(tmp_path / "candidates", frame())
    script = (
        "import sys; from pathlib import Path; from omniopt.tables import coded\n"
        f"layout = coded._layout(Path({str(tmp_path / 'candidates')!r}))\n"
        "codes = [coded.empty_array(layout.rows, t) for t in ('int32', 'uint16')]\n"
        "measures = {name: coded.empty_array(layout.rows, float) for name in layout.numbers}\n"
        "assert all(coded._read(piece, layout, codes, measures) for piece in layout.pieces)\n"
        "print(sorted({'pandas', 'numba', 'scipy', 'pydantic'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"


def test_faults_of_what_was_read_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omniopt.project.MANY", 1)
    broken = project(tmp_path, BROKEN["unknown customer"](frame()))
    with pytest.raises(BadInput) as plain:
        broken.read()
    again = oo.Project.load(tmp_path)
    again.read_ahead()
    for _ in range(2):
        with pytest.raises(BadInput) as found:
            again.read(coded=True)
        assert [str(f) for f in found.value.faults] == [str(f) for f in plain.value.faults]


def test_more_actions_than_two_bytes_can_number(tmp_path: Path) -> None:
    rows = pd.DataFrame({"customer_id": "c", "action_id": [f"a{i}" for i in range(70_000)], "value": 1.0})
    found = read_coded(write(tmp_path / "c", rows, group=100_000))
    assert found is not None
    same(found, code_frame(rows))
    assert found.action.tolist() == list(range(70_000))


@pytest.mark.parametrize("keys", [["region"], ["wave"], ["action_id"], ["region", "customer_id"]])
def test_partitioned_candidates_are_those_of_one_file(tmp_path: Path, keys: list[str]) -> None:
    rows = frame()
    rows["region"] = np.where(rows["value"] > 0, "north", "a b")
    rows["wave"] = np.where(rows["cost"] > 2, 10, 9)
    whole = read_coded(write(tmp_path / "whole", rows))
    pq.write_to_dataset(
        pa.Table.from_pandas(rows, preserve_index=False), tmp_path / "parts", partition_cols=keys
    )
    found = read_coded(tmp_path / "parts")
    assert found is not None and whole is not None
    same(found, whole)
    ids = {"c2", "7"}
    picked = rows_of_ids(tmp_path / "parts", "candidates", "customer_id", ids)
    wanted = rows[rows["customer_id"].isin(ids)]
    assert sorted(picked["value"].to_pylist()) == sorted(wanted["value"])
    assert set(picked.column_names) == set(rows.columns)


def test_partitions_with_an_empty_cell_are_left_to_the_reader_of_frames(tmp_path: Path) -> None:
    for place in ("region=north", "region=__HIVE_DEFAULT_PARTITION__"):
        write(tmp_path / "parts" / place, frame())
    assert read_coded(tmp_path / "parts") is None

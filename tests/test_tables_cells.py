"""Cells: what every kind of column makes of what may stand in it."""

from __future__ import annotations

import datetime
import decimal
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniopt.errors import BadInput, Faults
from omniopt.tables import Source, read_table

START = datetime.date(2026, 11, 23)


def read(source: Source, name: str) -> pd.DataFrame:
    faults = Faults()
    frame = read_table(source, name, faults, horizon_start=START)
    faults.raise_if_any()
    return frame


def one(values: object, column: str = "x", name: str = "extra") -> pd.Series:
    return read(pd.DataFrame({column: values}), name)[column]


def wrong(values: object, column: str = "x", name: str = "extra") -> str:
    with pytest.raises(BadInput) as caught:
        one(values, column, name)
    return str(caught.value)


# ---- ids


@pytest.mark.parametrize(
    "values",
    [
        [7, 12], [7.0, 12.0], ["7", "12"], np.array([7, 12], np.uint8), pd.Series([7, 12], dtype="Int64"),
        pd.Categorical(["7", "12"]), [decimal.Decimal("7.00"), decimal.Decimal(12)], [7, "12"], [7.0, "12"],
        [np.int64(7), 12.0], pd.Categorical([7, 12]),
    ],
    ids=str,
)  # fmt: skip
def test_7_and_7_are_one_id(values: object) -> None:
    ids = one(values, "customer_id", "customers")
    assert ids.tolist() == ["7", "12"]
    assert ids.dtype == "str"


def test_ids_of_other_kinds() -> None:
    key = uuid.UUID(int=5)
    assert one([key], "customer_id", "customers").tolist() == [str(key)]
    assert one([True, False], "channel").tolist() == ["true", "false"]
    assert one([2.5], "offer_id").tolist() == ["2.5"]
    assert one([START], "action_id").tolist() == ["2026-11-23"]
    assert one([2**70], "action_id").tolist() == [str(2**70)]
    assert one(np.array([2**64 - 1], np.uint64), "action_id").tolist() == [str(2**64 - 1)]
    long = decimal.Decimal("12345678901234567890")
    for values in ([long], pd.Series([long], dtype=pd.ArrowDtype(pa.decimal128(25, 2)))):
        assert one(values, "action_id").tolist() == [str(long)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-(2**53), 2**53), min_size=1, max_size=20, unique=True))
def test_whole_numbers_are_the_same_ids_however_they_come(numbers: list[int]) -> None:
    expected = [str(number) for number in numbers]
    for values in (numbers, [float(number) for number in numbers], expected):
        assert one(values, "customer_id", "customers").tolist() == expected


_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=12).filter(
    lambda text: text.strip().lower() not in ("nan", "<na>", "nat", "")
)


@settings(max_examples=60, deadline=None)
@given(ids=st.lists(_TEXT, min_size=2, max_size=8, unique=True))
def test_any_text_is_an_id_and_is_kept(ids: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("ids")
    frame = pd.DataFrame({"customer_id": ids, "region": "north"})
    frame.to_csv(folder / "customers.csv", index=False, encoding="utf-8")
    frame.to_parquet(folder / "customers.parquet")
    for source in (frame, folder / "customers.csv", folder / "customers.parquet"):
        assert read(source, "customers")["customer_id"].tolist() == ids


def test_zeros_of_text_are_kept(tmp_path: Path) -> None:
    (tmp_path / "customers.csv").write_text("customer_id\n007\n7\n7.0\n")
    assert read(tmp_path / "customers.csv", "customers")["customer_id"].tolist() == ["007", "7", "7.0"]


# ---- dates, times, days


@settings(max_examples=80, deadline=None)
@given(st.lists(st.dates(datetime.date(1900, 1, 1), datetime.date(2200, 1, 1)), min_size=1, max_size=10))
def test_dates_are_days_from_the_start(dates: list[datetime.date]) -> None:
    expected = [(date - START).days + 1 for date in dates]
    as_text = [date.isoformat() for date in dates]
    as_time = [datetime.datetime.combine(date, datetime.time(23, 59)) for date in dates]
    frames = [dates, as_text, as_time, [f"{text}T10:00:00Z" for text in as_text], expected]
    frames += [
        [str(day) for day in expected],
        [float(day) for day in expected],
        [*expected[:1], *as_text[1:]],
    ]
    for values in frames:
        days = one(values, "date")
        assert days.tolist() == expected
        assert days.dtype == np.int32


def test_the_first_day_is_1_and_a_missing_date_is_missing() -> None:
    days = one(["2026-11-23", None, "2026-11-22"], "valid_from", "consents_")
    assert days.tolist()[0] == "2026-11-23"  # an extra table gives this name no meaning
    frame = pd.DataFrame({"offer_id": list("abc"), "valid_from": ["2026-11-23", None, "2026-11-22"]})
    days = read(frame, "offers")["valid_from"]
    assert days.dtype == "Int32"
    assert days.fillna(-99).tolist() == [1, -99, 0]


def test_a_moment_counts_on_the_day_of_its_own_zone() -> None:
    moments = pd.to_datetime(["2026-11-24T00:30:00+01:00"]).tz_convert("Europe/Berlin")
    assert one(moments, "date").tolist() == [2]


@pytest.mark.parametrize(
    "cell", ["23.11.2026", "2026-11-31", "2026-1-2", "20261123", "soon", "1.5", "2026-11-23x"]
)
def test_what_is_no_date(cell: str) -> None:
    assert "row 2, column date" in wrong(["2026-11-23", cell], "date")


@pytest.mark.parametrize(
    ("cell", "minutes"),
    [
        ("08:30", 510),
        ("8:30", 510),
        ("08:30:00", 510),
        (datetime.time(8, 30), 510),
        ("24:00", 1440),
        ("00:00", 0),
    ],
)
def test_times_are_minutes(cell: object, minutes: int) -> None:
    frame = pd.DataFrame({"channel": ["call"], "send_from": [cell]})
    assert read(frame, "channels")["send_from"].tolist() == [minutes]


@pytest.mark.parametrize("cell", ["8", "8 am", "25:00", "24:01", "08:60", "08:30:15"])
def test_what_is_no_time(cell: str) -> None:
    assert "no time of day" in wrong(["08:00", cell], "send_from", "channels")


@pytest.mark.parametrize(
    ("cell", "bits"),
    [
        ("mon-fri", 31), ("mon;wed;sat", 37), ("mon,tue", 3), ("Mon - Wed", 7), ("sat-mon", 97),
        ("sunday", 64), ("mon-fri sun", 95), ("mon-sun", 127), (None, 127),
    ],
)  # fmt: skip
def test_days_of_the_week_are_bits(cell: str | None, bits: int) -> None:
    frame = pd.DataFrame({"channel": ["call", "x"], "send_days": [cell, "tue"]})
    assert read(frame, "channels")["send_days"].tolist() == [bits, 2]


@pytest.mark.parametrize("cell", ["mo", "mon-fry", "weekdays", "mon-tue-wed", ";", "1-5"])
def test_what_is_no_day_of_the_week(cell: str) -> None:
    assert "no days of the week" in wrong(["mon", cell], "send_days", "channels")


# ---- numbers, booleans, attributes


@pytest.mark.parametrize(
    "cell", ["5", " 5 ", "+5", "5.0", "5e0", "5.", "0.5e1", 5, 5.0, decimal.Decimal(5), np.float32(5)]
)
def test_numbers(cell: object) -> None:
    frame = pd.DataFrame({"customer_id": ["a"], "action_id": ["b"], "cost": pd.Series([cell], dtype=object)})
    assert read(frame, "candidates")["cost"].tolist() == [5.0]


@pytest.mark.parametrize("cell", ["five", "5,0", "1 000", "5%", "0x5", "1_0", "--5", "true"])
def test_what_is_no_number(cell: str) -> None:
    assert f"row 2, column value: '{cell}' is not a number" in wrong(["1", cell], "value", "offers")


@pytest.mark.parametrize("cell", ["nan", "NaN", "inf", "-Infinity", float("inf"), "1e999"])
@pytest.mark.parametrize("column", ["value", "anything"])
def test_nan_and_infinity_are_faults_anywhere(cell: object, column: str) -> None:
    frame = pd.DataFrame({"offer_id": ["a", "b"], column: pd.Series([1.0, cell], dtype=object)})
    with pytest.raises(BadInput, match=rf"row 2, column {column}: .* is not a finite number"):
        read(frame, "offers")


@pytest.mark.parametrize("cell", ["1e16", -1.1e15, 1e308])
def test_quantities_that_cannot_be_added_up_are_faults(cell: object) -> None:
    text = wrong([1e15, cell], "value", "offers")
    assert "row 2, column value" in text and "is too large to be added up. Write it in a larger unit" in text
    frame = pd.DataFrame({"customer_id": ["a"], "action_id": ["b"], "minutes": [cell]})
    with pytest.raises(BadInput, match="row 1, column minutes: .* is too large to be added up"):
        read(frame, "candidates")
    # An attribute that nobody adds up may be a long number.
    assert read(pd.DataFrame({"customer_id": ["a"], "account": [cell]}), "customers")["account"].notna().all()


def test_nan_in_parquet_is_told_from_a_missing_cell(tmp_path: Path) -> None:
    table = pa.table(
        {"offer_id": ["a", "b", "c"], "value": pa.array([1.0, None, float("nan")], from_pandas=False)}
    )
    pq.write_table(table, tmp_path / "offers.parquet")
    with pytest.raises(BadInput) as caught:
        read(tmp_path / "offers.parquet", "offers")
    assert [(fault.row, fault.column) for fault in caught.value.faults] == [(3, "value")]


def test_nan_as_an_id_or_text_is_a_slip() -> None:
    assert "row 2, column customer_id" in wrong(["a", "nan"], "customer_id", "customers")
    assert "row 2, column category" in wrong(["a", "NaN"], "category", "offers_")


@pytest.mark.parametrize(
    ("values", "expected", "dtype"),
    [
        (["1", "2.5", ""], [1.0, 2.5, None], "float64"),
        (["1", "x"], ["1", "x"], "str"),
        (["01", "2"], ["01", "2"], "str"),
        (["0", "0.5", "-0.1"], [0.0, 0.5, -0.1], "float64"),
        (["12345678901234567", "1"], ["12345678901234567", "1"], "str"),
        (["true", "FALSE"], [True, False], "bool"),
        (["true", "", "false"], [True, None, False], "boolean"),
        (["true", "1"], ["true", "1"], "str"),
        (["yes", "no"], ["yes", "no"], "str"),
        (["", ""], [None, None], "float64"),
        ([True, None], [True, None], "boolean"),
        ([1, 2], [1.0, 2.0], "float64"),
        ([START, None], ["2026-11-23", None], "str"),
        ([datetime.datetime(2026, 11, 23, 8, 30)], ["2026-11-23 08:30:00"], "str"),
        ([datetime.time(8, 30)], ["08:30:00"], "str"),
    ],
)
def test_free_attributes_are_what_every_cell_is(
    values: list[object], expected: list[object], dtype: str
) -> None:
    series = one(values)
    assert series.dtype == dtype
    assert [None if pd.isna(cell) else cell for cell in series] == expected


_USELESS = [
    [[1, 2]], [{"a": 1}], [{1}], [b"x"], [1 + 2j], [object()], [None, [1]],
    pd.period_range("2026-01", periods=1), pd.interval_range(0, 1), pd.to_timedelta([1]),
    pd.Series([[1]], dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
]  # fmt: skip


@pytest.mark.parametrize("values", _USELESS, ids=lambda values: str(values)[:12])
def test_cells_of_no_use_are_told(values: list[object]) -> None:
    assert "column x" in wrong(values)


@pytest.mark.parametrize("word", ["true", "TRUE", "yes", "1", 1, True, 1.0, "Yes "])
def test_booleans(word: object) -> None:
    frame = pd.DataFrame({"customer_id": ["a"], "channel": ["b"], "granted": pd.Series([word], dtype=object)})
    granted = read(frame, "consents")["granted"]
    assert granted.dtype == bool and granted.tolist() == [True]


def test_defaults() -> None:
    channels = read(pd.DataFrame({"channel": ["a", "b"]}), "channels")
    assert channels["delivery_rate"].tolist() == [1.0, 1.0]
    assert channels["requires_consent"].tolist() == [False, False]
    assert channels["send_days"].tolist() == [127, 127]
    channels = read(pd.DataFrame({"channel": ["a", "b"], "delivery_rate": [None, 0.5]}), "channels")
    assert channels["delivery_rate"].tolist() == [1.0, 0.5]

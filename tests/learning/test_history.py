"""Contacts appended to history: each once, brought up to date, and read again by the next run."""

from __future__ import annotations

import datetime
from pathlib import Path

import pandas as pd
import pytest
from bank import table
from hypothesis import given, settings
from hypothesis import strategies as st

from omniopt.errors import BadInput, Faults
from omniopt.learning.history import append
from omniopt.tables import read_table

START = datetime.date(2026, 11, 30)
CONTACTS = table(
    "customer_id action_id offer_id channel date outcome value planned",
    "ann a1 card mail 1 responded 12.5 false",
    "bob a1 card mail 1 delivered - false",
    "bob a2 loan call 9 - - true",
)


def read(path: Path) -> pd.DataFrame:
    faults = Faults()
    frame = read_table(path, "history", faults, horizon_start=START)
    assert not faults, list(faults)
    return frame.sort_values(["customer_id", "date"], ignore_index=True)


@pytest.mark.parametrize("name", ["history.csv", "history.csv.gz", "history.parquet"])
def test_contacts_are_there_once_and_brought_up_to_date(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    told = append(path, CONTACTS, "r1", START)
    assert told == {"added": 3, "updated": 0, "unchanged": 0, "merged": 0, "rows": 3}
    before = path.read_bytes()
    assert append(path, CONTACTS, "r1", START)["unchanged"] == 3
    assert path.read_bytes() == before
    frame = read(path)
    assert frame["date"].tolist() == [1, 1, 9]
    assert frame["outcome"].fillna("-").tolist() == ["responded", "delivered", "-"]
    assert frame["planned"].tolist() == [False, False, True]
    assert frame["value"].tolist()[0] == 12.5 and set(frame["run_id"]) == {"r1"}
    later = CONTACTS.assign(outcome=["delivered", "clicked", "sent"], value=None, planned=False)
    assert append(path, later, "r1", START)["updated"] == 2
    frame = read(path)
    assert frame["outcome"].tolist() == ["responded", "clicked", "sent"]  # a response stays one
    assert frame["value"].tolist()[0] == 12.5 and not frame["planned"].any()


def test_what_stood_there_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    head = "customer_id,offer_id,channel,date,outcome,spend\n"
    path.write_text(f"{head}007,card,mail,2026-10-01,responded,1e3\n=x,loan,call,2026-10-02,opened,\n")
    append(path, CONTACTS[:1], "r1", START)
    lines = path.read_text().splitlines()
    assert lines[0] == "customer_id,offer_id,channel,date,outcome,spend,value,planned,action_id,run_id"
    assert lines[1] == "007,card,mail,2026-10-01,responded,1e3,,,,"
    assert lines[2] == "=x,loan,call,2026-10-02,opened,,,,,"
    assert lines[3] == "ann,card,mail,2026-11-30,responded,,12.5,false,a1,r1"


def test_a_commitment_becomes_the_contact(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    head = "customer_id,offer_id,channel,date,outcome,planned,run_id\n"
    path.write_text(f"{head}bob,card,mail,2026-11-30,,true,r1\n")
    assert append(path, CONTACTS[:2], "r1", START) == {
        "added": 1, "updated": 1, "unchanged": 0, "merged": 0, "rows": 2,
    }  # fmt: skip
    assert "bob,card,mail,2026-11-30,delivered,false,r1,,a1" in path.read_text()


def test_contacts_that_history_cannot_tell_apart_are_one(tmp_path: Path) -> None:
    twice = pd.concat([CONTACTS[:1], CONTACTS[:1].assign(action_id="a7", outcome="opened", value=None)])
    told = append(tmp_path / "h.csv", twice, "r1", START)
    assert (told["added"], told["merged"]) == (1, 1)
    assert read(tmp_path / "h.csv")["outcome"].tolist() == ["responded"]


def refused(path: Path, contacts: pd.DataFrame = CONTACTS) -> str:
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(BadInput) as caught:
        append(path, contacts, "r2", START)
    assert (path.read_bytes() if path.is_file() else b"") == before
    return str(caught.value)


def test_what_cannot_be_appended_to_is_left_as_it_is(tmp_path: Path) -> None:
    assert "cannot be appended to" in refused(tmp_path / "history.xlsx")
    assert "cannot be appended to" in refused(tmp_path)
    path = tmp_path / "history.csv"
    append(path, CONTACTS, "r1", START)
    said = refused(path)
    assert "row 1" in said and "from run 'r1'" in said and len(said.splitlines()) == 3
    path.write_text("customer_id,offer_id,channel,date\nann,card,mail,-20\n")
    assert "counts days by number" in refused(path)
    path.write_text("customer_id,offer_id,channel,date\nann,card,mail,soon\n")
    assert "soon" in refused(path)


def test_without_a_calendar_days_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    append(path, CONTACTS, "r1", None)
    assert append(path, CONTACTS, "r1", None)["unchanged"] == 3
    assert "ann,card,mail,1,responded,12.5,false,a1,r1" in path.read_text()


_KEYS = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.integers(1, 4)), unique=True)


@settings(max_examples=25)
@given(_KEYS, st.data())
def test_nothing_twice_and_nothing_lost(
    tmp_path_factory: pytest.TempPathFactory, keys: list[tuple[str, str, int]], data: st.DataObject
) -> None:
    _assert_appended_once(tmp_path_factory.mktemp("h") / "history.parquet", keys, data)


@pytest.mark.slow
@settings(max_examples=100)
@given(_KEYS, st.data())
def test_of_hundreds_of_histories_nothing_is_lost(
    tmp_path_factory: pytest.TempPathFactory, keys: list[tuple[str, str, int]], data: st.DataObject
) -> None:
    _assert_appended_once(tmp_path_factory.mktemp("h") / "history.parquet", keys, data)


def _assert_appended_once(path: Path, keys: list[tuple[str, str, int]], data: st.DataObject) -> None:
    frame = pd.DataFrame(keys, columns=["customer_id", "offer_id", "date"]).assign(
        action_id="a", channel="m", outcome="sent", value=float("nan"), planned=False
    )
    seen: set[tuple[str, str, int]] = set()
    for _ in range(3):
        some = data.draw(st.lists(st.sampled_from(range(len(keys))), unique=True) if keys else st.just([]))
        told = append(path, frame.iloc[some], "r", START)
        assert told["added"] == len({keys[k] for k in some} - seen)
        seen |= {keys[k] for k in some}
    if seen:
        stored = read(path)
        assert sorted(zip(stored["customer_id"], stored["offer_id"], stored["date"], strict=True)) == sorted(
            seen
        )

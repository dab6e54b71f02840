from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omniopt.errors import BadInput
from omniopt.review import FinishedRun, overrides
from omniopt.review.overrides import KEY, add, path_of, read

HEADER = "kind,customer_id,action_id,reason,who,when\n"


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def held(rows: pd.DataFrame) -> set[tuple[str, str]]:
    return set(rows[KEY].itertuples(index=False, name=None))


def by_hand(run: FinishedRun, text: str) -> None:
    path_of(run).parent.mkdir(exist_ok=True)
    path_of(run).write_text(text, encoding="utf-8")


def faults_of(call, *args) -> str:
    with pytest.raises(BadInput) as caught:
        call(*args)
    return str(caught.value)


def test_nothing_was_decided_yet(run: FinishedRun) -> None:
    found = read(run)
    assert len(found.log) == len(found.vetoes) == len(found.locks) == len(found.clashes) == 0
    found.require_sound()
    assert not path_of(run).parent.exists()


def test_a_veto_and_a_lock_are_saved_beside_the_run_which_stays_as_it_is(run: FinishedRun) -> None:
    before = hashes(run.folder)
    vetoed, locked = run.contacts.head(2), run.alternatives.head(1)
    add(run, "veto", vetoed, "under  complaint\n", "Ann")
    add(run, "lock", locked, "was promised")
    found = read(FinishedRun(run.folder))
    assert held(found.vetoes) == held(vetoed)
    assert held(found.locks) == held(locked)
    assert set(found.vetoes["reason"]) == {"under complaint"}
    assert set(found.vetoes["who"]) == {"Ann"}
    assert found.locks["when"].str.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00").all()
    assert hashes(run.folder) == before
    assert path_of(run).parent == run.folder.parent / "first.review"
    assert sorted(p.name for p in path_of(run).parent.iterdir()) == [".lock", "overrides.csv"]


@pytest.mark.parametrize(
    ("kind", "reason", "words"),
    [("veto", "  \n", "needs a reason"), ("lock", "", "needs a reason"), ("vet", "x", "Did you mean 'veto'")],
)
def test_what_cannot_be_saved_is_not(run: FinishedRun, kind: str, reason: str, words: str) -> None:
    assert words in faults_of(add, run, kind, run.contacts.head(1), reason)
    assert not path_of(run).exists()


def test_no_contact_marked(run: FinishedRun) -> None:
    assert "no contact chosen" in faults_of(add, run, "veto", run.contacts.head(0), "x")


def test_unknown_customers_and_actions_are_named_all_at_once(run: FinishedRun) -> None:
    known = run.contacts.head(1)[KEY]
    strange = pd.DataFrame(
        {"customer_id": ["C999", known["customer_id"].iloc[0]], "action_id": ["no-such", "nor-this"]}
    )
    said = faults_of(add, run, "veto", pd.concat([known, strange]), "x")
    assert all(words in said for words in ("customer 'C999'", "action 'no-such'", "action 'nor-this'"))
    assert not path_of(run).exists()  # the sound one was not saved alone


def test_a_dropped_contact_cannot_be_locked_but_vetoed(run: FinishedRun) -> None:
    dropped = run.table("dropped")
    one = dropped[dropped["reason"] == "no consent for sms"].head(1)
    assert "was dropped: no consent for sms" in faults_of(add, run, "lock", one, "x")
    add(run, "veto", one, "x")


def test_the_same_decision_twice_and_the_opposite_one_are_refused(run: FinishedRun) -> None:
    one = run.contacts.head(1)
    add(run, "veto", one, "first said", "Ann")
    assert "has a veto already by Ann" in faults_of(add, run, "veto", run.contacts.head(2), "again")
    said = faults_of(add, run, "lock", one, "no, keep it", "Ben")
    assert "has a veto by Ann" in said and "first said" in said and "Take the veto back first" in said
    assert len(read(run).log) == 1


def test_undo_takes_back_and_the_log_remembers(run: FinishedRun) -> None:
    two = run.contacts.head(2)
    add(run, "veto", two, "x", "Ann")
    found = add(run, "unveto", two.head(1), "a mistake", "Ann")
    assert held(found.vetoes) == held(two.tail(1))
    assert found.log["kind"].tolist() == ["veto", "veto", "unveto"]
    assert "no veto to take back" in faults_of(add, run, "unveto", two.head(1), "")
    found = add(run, "lock", two.head(1), "now wanted")
    assert held(found.locks) == held(two.head(1)) and found.clashes.empty
    assert held(add(run, "unlock", two.head(1), "").locks) == set()


def test_a_clash_written_by_hand_is_reported_and_stops_its_use(run: FinishedRun) -> None:
    customer, action = run.contacts[KEY].iloc[0]
    by_hand(run, HEADER + f"veto,{customer},{action},no,,\nlock,{customer},{action},yes,,\n")
    found = read(run)
    assert held(found.clashes) == {(customer, action)}
    assert "both vetoed (no) and locked (yes)" in faults_of(found.require_sound)
    assert add(run, "unveto", run.contacts.head(1), "settled").clashes.empty


def test_faults_in_rows_are_told_with_their_place_and_the_others_hold(run: FinishedRun) -> None:
    customer, action = run.contacts[KEY].iloc[0]
    by_hand(
        run,
        "\ufeffwho,kind,reason,customer_id,action_id\n"
        f"Ann,veto,fine,{customer},{action}\n"
        f"Ann,vetoo,fine,{customer},{action}\n"
        f"Ann,lock,,{customer},{action}\n"
        f"Ann,veto,fine,C999,{action}\n",
    )
    found = read(run)
    assert held(found.vetoes) == {(customer, action)} and found.locks.empty
    said = [str(fault) for fault in found.faults]
    assert said[0].startswith("overrides.csv, row 2, column kind") and "Did you mean 'veto'" in said[0]
    assert said[1].startswith("overrides.csv, row 3, column reason")
    assert said[2].startswith("overrides.csv, row 4, column customer_id")
    assert len(said) == 3
    assert "row 2" in faults_of(found.require_sound)


def test_rows_are_added_under_the_columns_that_the_file_has(run: FinishedRun) -> None:
    customer, action = run.contacts[KEY].iloc[0]
    by_hand(
        run, f"reason,note,action_id,customer_id,kind\nfine,mine,{action},{customer},veto"
    )  # and no last newline
    add(run, "lock", run.contacts.iloc[[1]], "kept", "Ben")
    lines = path_of(run).read_text("utf-8").splitlines()
    assert lines[1] == f"fine,mine,{action},{customer},veto"
    assert lines[2] == "kept,,{1},{0},lock".format(*run.contacts[KEY].iloc[1])
    assert held(read(run).locks) == held(run.contacts.iloc[[1]])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"kind,customer_id,action_id,raeson\n", "column 'reason' is missing. Did you mean 'raeson'"),
        (b"kind,customer_id,action_id,reason\nveto,C001\n", "row 1: 2 cells where the header has 4"),
        (b"\xff\xfe\x00binary", "cannot be read as CSV text"),
        (b'kind,customer_id,action_id,reason\nveto,"C001', "cannot be read as CSV text"),
    ],
)
def test_a_file_that_is_no_table_of_decisions(run: FinishedRun, content: bytes, words: str) -> None:
    path_of(run).parent.mkdir()
    path_of(run).write_bytes(content)
    assert words.lower() in faults_of(read, run).lower()
    faults_of(add, run, "veto", run.contacts.head(1), "x")
    assert path_of(run).read_bytes() == content


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reason=st.text(min_size=1).filter(lambda text: text.split()), who=st.text())
def test_any_words_are_read_as_they_were_said(run: FinishedRun, reason: str, who: str) -> None:
    path_of(run).unlink(missing_ok=True)
    add(run, "veto", run.contacts.head(1), reason, who)
    row = read(run).vetoes.iloc[0]
    assert (row["reason"], row["who"]) == (" ".join(reason.split()), " ".join(who.split()))


@pytest.mark.parametrize("reason", ["=HYPERLINK(0)", "+1", "-1", "@x", "'=x", "'quoted'", 'a "b", c'])
def test_no_cell_is_a_formula_to_a_spreadsheet(run: FinishedRun, reason: str) -> None:
    add(run, "veto", run.contacts.head(1), reason)
    assert read(run).vetoes["reason"].item() == reason
    cells = pd.read_csv(path_of(run), dtype="str").loc[0].dropna()
    assert not cells.str.startswith(("=", "+", "-", "@")).any()


def test_a_failing_disk_leaves_the_file_as_it_was(run: FinishedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    add(run, "veto", run.contacts.head(1), "first")
    before = path_of(run).read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert "No space left on device" in faults_of(add, run, "veto", run.contacts.iloc[[1]], "second")
    monkeypatch.undo()
    assert path_of(run).read_bytes() == before
    assert sorted(p.name for p in path_of(run).parent.iterdir()) == [".lock", "overrides.csv"]


def test_several_people_saving_at_once_all_keep_their_rows(run: FinishedRun) -> None:
    code = (
        "import sys; from omniopt.review import FinishedRun, overrides\n"
        "run, first = FinishedRun(sys.argv[1]), int(sys.argv[2])\n"
        "for i in range(first, first + 5): overrides.add(run, 'veto', run.contacts.iloc[[i]], f'row {i}')\n"
    )
    people = [subprocess.Popen([sys.executable, "-c", code, str(run.folder), str(5 * k)]) for k in range(4)]
    assert [person.wait() for person in people] == [0] * 4
    found = read(run)
    assert held(found.vetoes) == held(run.contacts.head(20)) and not found.faults
    assert len(found.log) == 20


def test_ids_keep_their_zeros(run: FinishedRun) -> None:
    run.contacts = run.contacts.assign(customer_id="007")
    one = run.contacts.head(1)
    add(run, "veto", one, "x")
    assert read(run).vetoes["customer_id"].tolist() == ["007"]
    assert overrides.KEY == ["customer_id", "action_id"]

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from handmade import CONTACTS

from omniopt.errors import BadInput
from omniopt.project import Project
from omniopt.runs.lists import COLUMNS, clock, write_lists
from omniopt.tables import sha256_of


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_each_channel_has_a_list_with_what_it_needs(small: Path, tmp_path: Path) -> None:
    written = write_lists(CONTACTS, Project.load(small), tmp_path / "lists")
    assert {channel: (of["file"], of["rows"]) for channel, of in written.items()} == {
        "Call": ("Call.csv", 1),
        "call": ("call-2.csv", 0),
        "e/mail": ("e-mail.csv", 3),
    }
    mail = rows(tmp_path / "lists" / "e-mail.csv")
    assert list(mail[0]) == [*COLUMNS, "customer.first_name"]
    assert mail[0] == {
        "customer_id": "C00001", "action_id": "a1", "offer_id": "card", "date": "2026-11-30",
        "template": "Dear {customer.first_name}", "fallback": "", "send_from": "08:00", "send_to": "20:00",
        "timezone": "Europe/Paris", "customer.first_name": "Ada",
    }  # fmt: skip
    assert mail[2]["fallback"] == "Call"
    assert written["e/mail"]["sha256"] == sha256_of(tmp_path / "lists" / "e-mail.csv")


def test_lists_hold_no_values_and_no_fields_nobody_asked_for(small: Path, tmp_path: Path) -> None:
    write_lists(CONTACTS, Project.load(small), tmp_path / "lists")
    [call] = rows(tmp_path / "lists" / "Call.csv")
    assert list(call) == COLUMNS
    assert (call["template"], call["send_from"], call["send_to"]) == ("T-17", "", "")


def test_a_channel_without_contacts_has_its_header_alone(small: Path, tmp_path: Path) -> None:
    write_lists(CONTACTS, Project.load(small), tmp_path / "lists")
    assert (tmp_path / "lists" / "call-2.csv").read_text() == ",".join(COLUMNS) + "\n"


def test_no_cell_is_a_formula(small: Path, tmp_path: Path) -> None:
    write_lists(CONTACTS, Project.load(small), tmp_path / "lists")
    assert rows(tmp_path / "lists" / "e-mail.csv")[2]["customer.first_name"] == "'=1+2"


def test_days_of_offers_are_written_as_dates(small: Path, tmp_path: Path) -> None:
    (small / "offers.csv").write_text(
        "offer_id,value,template,valid_to\ncard,1,until {offer.valid_to},2026-12-04\nloan,1,,\n"
    )
    write_lists(CONTACTS, Project.load(small), tmp_path / "lists")
    assert rows(tmp_path / "lists" / "e-mail.csv")[0]["offer.valid_to"] == "2026-12-04"


def test_every_template_field_without_a_column_is_named(small: Path, tmp_path: Path) -> None:
    (small / "offers.csv").write_text(
        "offer_id,value,template\ncard,1,{customer.fistname} {offer.x}\nloan,1,{customer.first_name}\n"
    )
    with pytest.raises(BadInput) as caught:
        write_lists(CONTACTS, Project.load(small), tmp_path / "lists")
    assert [fault.row for fault in caught.value.faults] == [1, 1]
    assert "Did you mean 'first_name'?" in str(caught.value)


def test_the_smallest_project_has_lists_too(tmp_path: Path) -> None:
    import pandas as pd

    actions = pd.DataFrame({"action_id": ["a1"], "offer_id": ["card"], "channel": ["../mail"]})
    candidates = pd.DataFrame({"customer_id": ["7"], "action_id": ["a1"], "value": [1.0]})
    project = Project.from_frames({"objective": "value"}, actions=actions, candidates=candidates)
    contacts = CONTACTS.head(1).assign(customer_id="7", channel="../mail", date=1)
    assert write_lists(contacts, project, tmp_path / "lists")["../mail"]["file"] == "mail.csv"
    assert rows(tmp_path / "lists" / "mail.csv")[0]["date"] == "1"


def test_clock() -> None:
    assert (clock(0), clock(570), clock(None), clock(float("nan"))) == ("00:00", "09:30", None, None)

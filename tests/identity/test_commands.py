"""Linked sources through the command line, and what notebook 01 shows of them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import shop_and_calls
from click.testing import CliRunner, Result

import omniopt as oo
from omniopt.cli import cli
from omniopt.runs.linkage_page import linkage


def _omniopt(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def test_check_reads_the_sources(tmp_path: Path) -> None:
    answer = json.loads(_omniopt("check", shop_and_calls.write(tmp_path), "--json").stdout)
    assert answer["ok"] and answer["customers"] == 5


def test_the_page_shows_what_was_done_but_nobodys_keys(tmp_path: Path) -> None:
    tables = oo.Project.load(shop_and_calls.write(tmp_path)).read()
    shown = linkage(tables).html
    assert "of 6 rows of people" in shown and "no customer has its key" in shown
    assert "ann@mail.org" not in shown and "1234567" not in shown


def test_without_sources_the_page_says_so(project: Path) -> None:
    assert "nothing was linked" in linkage(oo.Project.load(project).read()).html


def test_likely_links_are_proposed_for_review(tmp_path: Path) -> None:
    pytest.importorskip("splink", reason="the extra identity is not installed")
    names = [f"{one}{other}son" for one in ("an", "be", "cor", "dul", "em", "fra") for other in "abcdefghij"]
    towns = [f"town {at % 7}" for at in range(60)]
    born = [f"19{at % 40 + 50}-0{at % 9 + 1}-1{at % 10}" for at in range(60)]
    crm = pd.DataFrame(
        {"id": range(60), "mail": None, "tel": None, "name": names, "town": towns, "born": born}
    )
    slip = [name.replace("son", "sonn") if at % 5 == 0 else name for at, name in enumerate(names[:30])]
    web = pd.DataFrame(
        {"account": range(30), "login": None, "name": slip, "town": towns[:30], "born": born[:30]}
    )
    text = shop_and_calls.FILES["omniopt.yaml"].replace(
        "household: [street, city]", "compare: {name: name, born: text, town: exact}"
    )
    text = text.replace("    updated: changed\n", "").replace("    updated: seen\n", "")
    folder = shop_and_calls.write(
        tmp_path, omniopt=text, crm=crm.to_csv(index=False), accounts=web.to_csv(index=False)
    )
    result = _omniopt("link", folder, "--out", tmp_path / "links.csv", "--json")
    assert result.exit_code == 0, result.output
    links = pd.read_csv(tmp_path / "links.csv", dtype={"id_a": str, "id_b": str})
    likely = links[links["probability"] >= 0.95]
    assert json.loads(result.stdout)["likely"] == len(likely)
    assert (likely["id_a"] == likely["id_b"]).mean() > 0.9 and len(likely) >= 20
    again = _omniopt("link", folder, "--out", tmp_path / "again.csv")
    assert again.exit_code == 0
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "links.csv").read_bytes()


COMPARED = shop_and_calls.FILES["omniopt.yaml"].replace(
    "household: [street, city]", "compare: {city: name, street: text}, links: links.csv"
)
HEAD = "id,mail,tel,city,street,changed\n"


@pytest.mark.parametrize(
    ("out", "changed", "said"),
    [
        ("links.csv", {}, "identity.compare names fewer than two columns"),
        ("links.csv", {"omniopt": COMPARED.replace("city: name", "town: name")}, "has the column 'town'"),
        ("links.csv", {"omniopt": COMPARED, "crm": "id,mail\n1,a@b.c\n"}, "column tel: there is no such col"),
        ("links.csv", {"omniopt": COMPARED, "crm": HEAD}, "there are too few people"),
        ("links.csv", {"omniopt": COMPARED, "crm": f"{HEAD}1,a@b.c,,,,\n"}, "there are too few people"),
        (
            "links.csv",
            {"omniopt": COMPARED, "crm": HEAD, "accounts": "account,login,city,seen\n"},
            "no two ids to compare",
        ),
        (
            "links.csv",
            {"omniopt": COMPARED, "crm": f"{HEAD}1,a@b.c,,,,soon\n"},
            "column changed: 'soon'",
        ),
        ("links.parquet", {"omniopt": COMPARED}, "Name a .csv file"),
        (".", {"omniopt": COMPARED}, "Name a .csv file"),
        ("crm.csv", {"omniopt": COMPARED}, "the project reads its sources.crm there"),
        ("offers.csv", {"omniopt": COMPARED}, "the project reads its offers there"),
    ],
)
def test_links_that_cannot_be_proposed_are_bad_input(
    tmp_path: Path, out: str, changed: dict[str, str], said: str
) -> None:
    pytest.importorskip("splink", reason="the extra identity is not installed")
    folder = shop_and_calls.write(tmp_path, **changed)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    result = _omniopt("link", folder, "--out", folder / out)
    assert result.exit_code == 2 and said in result.stderr, result.output
    assert "Traceback" not in result.output
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_project_without_sources_has_nothing_to_link(project: Path, tmp_path: Path) -> None:
    result = _omniopt("link", project, "--out", tmp_path / "links.csv")
    assert result.exit_code == 2
    assert "the project has no sources to link" in result.stderr
    assert "no source says who the customers are" not in result.stderr

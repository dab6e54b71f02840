"""What each rule costs, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from omniopt.cli import cli
from omniopt.tables import read_parquet

PROJECT = """
version: 1
name: small
tables: {actions: actions.csv, candidates: candidates.csv}
policy:
  objective: value
  limits:
    - {name: phones, where: {channel: call}, max: 1}
    - {name: letters, where: {channel: mail}, min: 1}
  contact:
    - {name: one each, max: 1}
    - {name: two each, max: 2}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "omniopt.yaml").write_text(PROJECT)
    (folder / "actions.csv").write_text("action_id,offer_id,channel\ncall,card,call\nmail,card,mail\n")
    rows = ["customer_id,action_id,value", "ann,call,5", "ann,mail,3", "bob,call,4", "bob,mail,-1"]
    (folder / "candidates.csv").write_text("\n".join(rows) + "\n")
    return folder


def optimize(project: Path, out: Path, *options: str) -> Result:
    return CliRunner().invoke(cli, ["optimize", str(project), "--out", str(out), *options])


def test_rule_values_are_written_and_printed(project: Path, tmp_path: Path) -> None:
    """Ann is written to for 3 and bob called for 4; without one each, ann is called for 5 and written to."""
    result = optimize(project, tmp_path / "out", "--rule-values")
    assert result.exit_code == 0
    frame = read_parquet(tmp_path / "out" / "rule_values.parquet").set_index("rule")
    assert frame["gain_at_least"].round(6).to_dict() == {"letters": 0, "one each": 1, "two each": 0}
    assert frame["gain_at_most"].round(6).to_dict() == {"letters": 0, "one each": 1, "two each": 0}
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["one", "each", "contact", "1.00", "1.00", "optimal"] in lines
    assert ["two", "each", "contact", "0.00", "0.00", "changes", "nothing"] in lines
    certificate = json.loads((tmp_path / "out" / "certificate.json").read_text())
    assert all(rule["degenerate"] is not None for rule in certificate["rules"] if rule["kind"] == "limit")


def test_rule_values_are_in_the_json(project: Path, tmp_path: Path) -> None:
    answer = json.loads(optimize(project, tmp_path / "out", "--rule-values", "--json").stdout)
    assert [row["rule"] for row in answer["rule_values"]] == ["letters", "one each", "two each"]
    assert answer["rule_values"][1]["gain_at_most"] == pytest.approx(1)


def test_rule_values_of_an_earlier_plan_do_not_stay(project: Path, tmp_path: Path) -> None:
    optimize(project, tmp_path / "out", "--rule-values")
    assert (tmp_path / "out" / "rule_values.parquet").exists()
    assert "rule_values" not in json.loads(optimize(project, tmp_path / "out", "--json").stdout)
    assert not (tmp_path / "out" / "rule_values.parquet").exists()

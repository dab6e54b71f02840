from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import scores
import yaml
from click.testing import CliRunner
from market import Market

import omniopt as oo
from omniopt import knowledge
from omniopt.cli import cli
from omniopt.knowledge import fit
from omniopt.runs import quality
from omniopt.runs.notebook import begin
from omniopt.tables import read_parquet


def folder_of(market: Market, place: Path, **keys: object) -> Path:
    """Write a market as a project of files."""
    history = market.history.copy()
    history["date"] = (pd.Timestamp("2026-11-22") + pd.to_timedelta(history["date"], "D")).dt.strftime(
        "%Y-%m-%d"
    )
    frames = {"customers": market.customers, "offers": market.offers, "channels": market.channels}
    for name, frame in (frames | {"history": history}).items():
        frame.to_csv(place / f"{name}.csv", index=False)
    said = {
        "version": 1, "name": "market", "horizon": {"start": "2026-11-23", "days": 1},
        "tables": {name: f"{name}.csv" for name in (*frames, "history")}, "policy": {"objective": "response"},
    }  # fmt: skip
    text = yaml.safe_dump(said | keys).replace("'2026-11-23'", "2026-11-23")
    (place / "omniopt.yaml").write_text(text)
    return place


def drifting(customers: int) -> Market:
    """A market where twice as many respond in the later period, to everything."""
    market = Market(customers, seed=4)
    later = market.history["date"] > -50
    more = later & (market.history.index.to_numpy() % 4 == 0)
    market.history["outcome"] = market.history["outcome"].mask(more, "responded")
    return market


def test_scores_in_a_file_are_those_of_the_model(tmp_path: Path) -> None:
    folder = folder_of(Market(300), tmp_path, response={"estimator": "gradient_boosting"})
    said = CliRunner().invoke(cli, ["score", str(folder), "--out", str(tmp_path / "s.parquet"), "--json"])
    assert said.exit_code == 0, said.output
    told = json.loads(said.stdout)
    assert (told["rows"], told["estimator"], told["warnings"]) == (300 * 4 * 2, "gradient_boosting", [])
    project = oo.Project.load(folder)
    expected = fit(project.read(), response=project.spec.response).score()
    pd.testing.assert_frame_equal(read_parquet(tmp_path / "s.parquet"), expected, check_exact=True)


def test_drift_is_told_before_a_plan_is_made(tmp_path: Path) -> None:
    folder = folder_of(drifting(300), tmp_path)
    said = CliRunner().invoke(cli, ["score", str(folder), "--out", str(tmp_path / "s.parquet")])
    assert "omniopt: warning: response has drifted: " in said.stderr
    for solver in ("exact", "decomposed"):
        notes = oo.optimize(oo.Project.load(folder), solver=solver).certificate["notes"]
        assert any(note.startswith("response has drifted: ") for note in notes)
    checked = json.loads(CliRunner().invoke(cli, ["check", str(folder), "--json"]).stdout)
    assert any(note.startswith("response has drifted: ") for note in checked["notes"])


@pytest.mark.parametrize("drifts", [True, False])
def test_the_notebook_shows_whether_response_drifts(tmp_path: Path, drifts: bool) -> None:
    folder = folder_of(drifting(300) if drifts else Market(300), tmp_path)
    run = begin(folder, tmp_path / "run")
    quality.keep(run, *knowledge.scores(run.tables, 0, run.project.spec.response))
    notes = oo.optimize(run.project, scores=run.scores()).certificate["notes"]
    assert any(note.startswith("response has drifted: ") for note in notes) == drifts
    page = quality.model(run)._repr_html_()
    assert ("Warning: response has drifted: " in page) == drifts
    assert ("Response went on as the earlier contacts taught" in page) != drifts
    assert "Response in the later period: predicted by the earlier one, and actual" in page


@pytest.mark.parametrize(
    ("response", "said"),
    [
        ({"estimator": "logistics"}, "did you mean 'logistic'"),
        ({"without": ["ago"]}, "did you mean 'age'"),
    ],
)
def test_a_model_that_cannot_be_made_is_bad_input(
    tmp_path: Path, response: dict[str, object], said: str
) -> None:
    folder = folder_of(Market(100), tmp_path, response=response)
    result = CliRunner().invoke(cli, ["score", str(folder), "--out", str(tmp_path / "s.parquet")])
    assert result.exit_code == 2
    assert said in result.stderr.lower()
    assert "Traceback" not in result.output
    assert not (tmp_path / "s.parquet").exists()


def _history(**columns: object) -> Market:
    market = Market(100)
    market.history = market.history.assign(**columns)
    return market


@pytest.mark.parametrize(
    ("market", "out", "said"),
    [
        (_history(outcome="responded"), "s.parquet", "has 1200 responses and 0 contacts known to have none"),
        (_history(outcome="delivered"), "s.parquet", "it has 0 responses"),
        (_history(outcome="sold"), "s.parquet", "'sold' is no outcome"),
        (_history(channel="pigeon"), "s.parquet", "'pigeon' is not in channels.csv"),
        (_history(value=1e300), "s.parquet", "row 1, column value: 1e+300 is too large"),
        (Market(100), "s.csv", "Name a .parquet file"),
        (Market(100), ".", "Name a .parquet file"),
        (Market(100), "past/s.parquet", "the project reads its history there"),
    ],
)
def test_scores_that_cannot_be_made_leave_nothing(
    tmp_path: Path, market: Market, out: str, said: str
) -> None:
    folder = folder_of(market, tmp_path)
    if out.startswith("past"):  # a table in parts: another file among them would be a part of it
        (folder / "past").mkdir()
        pd.read_csv(folder / "history.csv").to_parquet(folder / "past" / "1.parquet")
        text = (folder / "omniopt.yaml").read_text().replace("history.csv", "past")
        (folder / "omniopt.yaml").write_text(text)
    before = sorted(folder.rglob("*"))
    result = CliRunner().invoke(cli, ["score", str(folder), "--out", str(folder / out)])
    assert result.exit_code == 2 and said in result.stderr, result.output
    assert "Traceback" not in result.output and sorted(folder.rglob("*")) == before


def test_the_folder_of_scores_is_made_and_their_own_file_replaced(tmp_path: Path) -> None:
    folder = folder_of(Market(100), tmp_path)
    for _ in range(2):
        result = CliRunner().invoke(cli, ["score", str(folder), "--out", str(folder / "made" / "s.parquet")])
        assert result.exit_code == 0, result.output
        text = (folder / "omniopt.yaml").read_text()
        (folder / "omniopt.yaml").write_text(text.replace("tables:\n", "tables:\n  scores: made/s.parquet\n"))
    assert len(read_parquet(folder / "made" / "s.parquet")) == 100 * 4 * 2


def test_dates_in_the_future_and_outcomes_said_twice_are_told_together(tmp_path: Path) -> None:
    market = Market(100)
    late = market.history.iloc[:1].assign(date=3)
    market.history = pd.concat([market.history, market.history.iloc[5:6], late], ignore_index=True)
    result = CliRunner().invoke(
        cli, ["score", str(folder_of(market, tmp_path)), "--out", str(tmp_path / "s.parquet")]
    )
    assert result.exit_code == 2
    assert "2 faults" in result.stderr


@pytest.mark.slow
def test_the_benchmark_scores_what_it_says(tmp_path: Path) -> None:
    found = scores.measure(tmp_path, customers=3000, cores=1)
    assert found["exit"] == 0, found
    assert found["rows"] == 3000 * 30
    assert found["target"]["memory_gb"]["met"]

"""Plans of large problems, as a user of the commands meets them: stopped, started again, checked."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner, Result

import omniopt as oo
from omniopt.cli import cli
from omniopt.decisions.large import decide

POLICY = {
    "objective": "value",
    "limits": [
        {"name": "budget", "measure": "cost", "max": 900},
        {"name": "quota", "per": ["offer"], "max": 150},
        {"name": "desk", "where": {"channel": "call"}, "per": ["customer.region"], "max": 40},
    ],
    "contact": [{"name": "two in all", "max": 2}, {"name": "offer once", "max": 1, "per": ["offer"]}],
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of a thousand customers with nine candidates each."""
    folder = tmp_path_factory.mktemp("thousand")
    random = np.random.default_rng(11)
    actions = pd.DataFrame(
        [(f"{o}-{c}", o, c) for o in "abcdefg" for c in ("call", "mail", "text")],
        columns=["action_id", "offer_id", "channel"],
    )
    customers = pd.DataFrame({"customer_id": [f"c{i:04}" for i in range(1000)]})
    customers["region"] = random.choice(["north", "south", "west"], 1000)
    candidates = customers[["customer_id"]].merge(actions[["action_id"]], how="cross")
    candidates = candidates[random.random(len(candidates)) < 9 / 21]
    candidates["value"] = random.gamma(2.0, 3.0, len(candidates))
    candidates["cost"] = random.uniform(0.5, 2.0, len(candidates))
    for name, frame in {"actions": actions, "customers": customers, "candidates": candidates}.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    tables = {name: f"{name}.parquet" for name in ("actions", "customers", "candidates")}
    text = yaml.safe_dump({"version": 1, "name": "thousand", "tables": tables, "policy": POLICY})
    (folder / "omniopt.yaml").write_text(text)
    return folder


def omniopt(*arguments: object) -> Result:
    """Run a command in this process."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert "Traceback" not in result.output
    return result


def optimize(project: Path, out: Path, *options: object) -> Result:
    return omniopt("optimize", project, "--out", out, "--solver", "decomposed", "--json", *options)


def interrupted_where(
    monkeypatch: pytest.MonkeyPatch, there: Callable[[float, float], bool]
) -> list[tuple[float, float]]:
    """Have somebody press Ctrl-C once bound and plan are as told; return what was shown till then."""
    shown: list[tuple[float, float]] = []

    def tell(step: str, best: float, bound: float) -> None:
        shown.append((best, bound))
        if there(best, bound):
            raise KeyboardInterrupt

    @contextmanager
    def watched() -> Iterator[Any]:
        yield tell

    monkeypatch.setattr("omniopt.cli.progress", watched)
    return shown


def test_a_plan_stands_up_to_the_check(project: Path, tmp_path: Path) -> None:
    result = optimize(project, tmp_path, "--gap", 1e-3)
    assert result.exit_code == 0, result.output
    certificate = json.loads((tmp_path / "certificate.json").read_text())
    assert certificate["solver"] == "decomposed"
    assert omniopt("verify", tmp_path).exit_code == 0


def test_stopped_at_the_first_prices_there_is_a_plan_at_once(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted_where(monkeypatch, lambda best, bound: True)
    result = optimize(project, tmp_path)
    assert result.exit_code == 4, result.output
    assert json.loads(result.stdout)["gap"] > 0
    assert omniopt("verify", tmp_path).exit_code == 0


def test_stopped_before_there_is_anything(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omniopt.decisions.large.search.hurry", lambda _: None)
    interrupted_where(monkeypatch, lambda best, bound: True)
    result = optimize(project, tmp_path)
    assert result.exit_code == 130
    assert json.loads(result.stdout)["error"] == "interrupted"
    assert not any(tmp_path.iterdir())


def test_stopped_with_the_best_plan_so_far(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = interrupted_where(monkeypatch, lambda best, bound: math.isfinite(best))
    result = optimize(project, tmp_path, "--gap", 0)
    assert result.exit_code == 4, result.output
    answer = json.loads(result.stdout)
    assert answer["status"] == "stopped_early"
    assert answer["objective"] == pytest.approx(shown[-1][0])
    assert answer["bound"] == pytest.approx(shown[-1][1])
    assert omniopt("verify", tmp_path).exit_code == 0


def test_started_from_an_earlier_plan(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    optimize(project, tmp_path / "first", "--gap", 1e-3)
    began: list[np.ndarray] = []
    solve = decide.search_by_rank

    def watched(*arguments: Any) -> Any:
        began.append(arguments[5])
        return solve(*arguments)

    monkeypatch.setattr(decide, "search_by_rank", watched)
    result = optimize(project, tmp_path / "second", "--gap", 1e-3, "--warm-start", tmp_path / "first")
    assert result.exit_code == 0, result.output
    prices = oo.Plan.load(tmp_path / "first").rules["price"].dropna().to_numpy()
    assert began[0].tolist() == prices.tolist()


def test_data_stay_in_memory_between_solves(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = oo.Project.load(project)
    plan = oo.optimize(loaded, gap=1e-3, solver="decomposed")
    tighter = loaded.with_limit("budget", max=500)
    fresh = oo.optimize(tighter, gap=1e-3, solver="decomposed")
    monkeypatch.setattr(decide, "build_large", None)
    again = oo.optimize(tighter, gap=1e-3, solver="decomposed", warm_start=plan)
    assert again.contacts["cost"].sum() <= 500
    assert again.objective == pytest.approx(fresh.objective, rel=2e-3)
    assert again.bound <= plan.bound


def test_check_builds_what_would_be_solved(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = json.loads(omniopt("check", project, "--json").stdout)
    monkeypatch.setattr(import_module("omniopt.decisions.check"), "LARGE", 1)
    monkeypatch.setattr(import_module("omniopt.decisions.check"), "build_problem", None)
    large = json.loads(omniopt("check", project, "--json").stdout)
    del small["unit_rows"]
    assert large == small

"""What the notebooks show of uplift and annoyance, and that they say why where they show none."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "knowledge"))
from trial import Experiment

from omniopt.project import Project
from omniopt.runs import sections, uplift
from omniopt.runs.notebook import Run
from omniopt.runs.report import Result, one_page


def run_of(folder: Path, annoyance: Any = None, **instead: Any) -> Run:
    frames = Experiment(2000).frames(**instead)
    frames["offers"] = pd.DataFrame({"offer_id": ["x"], "value": [10.0]})
    frames["channels"] = pd.DataFrame({"channel": ["mail"]})
    given = {name: frame for name, frame in frames.items() if frame is not None}
    return Run(Project.from_frames({"objective": "value"}, annoyance=annoyance, **given), folder)


def test_an_experiment_is_shown_with_intervals_and_pictures(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    assert "notebook 02 does it" in uplift.section(run).html
    uplift.keep(run)
    page = uplift.section(run).html
    assert "who were left out at random" in page and "pp (" in page
    assert page.count("<img") == 2
    assert "says more than chance about whom the contact moves" in page
    assert "c000001" not in page


def test_without_an_experiment_the_page_says_what_is_missing(tmp_path: Path) -> None:
    run = run_of(tmp_path, experiments=None)
    uplift.keep(run)
    assert "No customers were left out at random" in uplift.section(run).html
    assert not list(tmp_path.iterdir())


def test_a_failed_experiment_is_refused_with_its_reason(tmp_path: Path) -> None:
    experiment = Experiment(2000)
    chosen = experiment.experiments[(experiment.age > 40) | ~experiment.treated]
    run = run_of(tmp_path, experiments=chosen)
    uplift.keep(run)
    page = uplift.section(run).html
    assert "A difference is not reported, because" in page and "beyond chance" in page
    assert "<img" not in page


def test_annoyance_is_shown_by_channel_and_pressure(tmp_path: Path) -> None:
    assert "does not say what it costs" in uplift.annoyance(run_of(tmp_path)).html
    past = pd.DataFrame({
        "customer_id": "c000000", "offer_id": "x", "channel": "mail", "date": [-9, -5, -2],
        "outcome": ["delivered", "delivered", "unsubscribed"],
    })  # fmt: skip
    page = uplift.annoyance(run_of(tmp_path, {"loss": 25, "days": 30}, history=past)).html
    assert "When a customer unsubscribes, 25 is lost" in page and "4 and more" in page


def test_what_a_plan_brings_more_and_what_it_annoys_stand_with_the_money(result: Result) -> None:
    assert "Annoyance" not in one_page(result).html
    n = len(result.contacts)
    contacts = result.contacts.assign(incremental_value=2.0, annoyance=0.25)
    page = one_page(Result(result.run, contacts, result.reasons, result.certificate)).html
    assert "More value" in page and "expected loss by unsubscribing" in page
    totals = sections.totals(contacts, "channel")
    assert totals["annoyance"].sum() == pytest.approx(0.25 * n)
    assert totals["more value"].sum() == pytest.approx(2.0 * n)

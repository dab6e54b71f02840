"""A finished run measured: from its folder, by the command, and in notebook 05."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import afterwards
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

import omniopt as oo
from omniopt.cli import cli
from omniopt.errors import BadInput
from omniopt.project import Project
from omniopt.runs import measured_page, pipeline, quality
from omniopt.runs.finished import open_run
from omniopt.runs.measured import measure, not_run
from omniopt.runs.notebook import Run
from omniopt.tables import read_parquet, write_parquet


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop") / "project"
    afterwards.make(folder)
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(made, tmp_path / "project"))
    afterwards.outcomes().to_csv(folder / "outcomes.csv", index=False)
    return folder


@pytest.fixture
def run(project: Path) -> Path:
    return project / "reports" / afterwards.RUN_ID


def omniopt(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert "Traceback" not in result.output
    return result


def test_the_command_measures_and_keeps_the_results(project: Path, run: Path) -> None:
    done = omniopt(
        "measure", run, "--outcomes", project / "outcomes.csv", "--by", "customer.region", "--json"
    )
    assert done.exit_code == 0, done.output
    (told,) = json.loads(done.stdout)["runs"]
    whole = {row["metric"]: row for row in told["effects"] if row["scope"] == "all"}
    assert (whole["response"]["treated"], whole["response"]["control"]) == (480, 120)
    assert whole["response"]["low"] < 0.26 < whole["response"]["high"] and whole["response"]["p"] < 1e-4
    assert whole["money"]["effect"] == pytest.approx(40 * whole["response"]["effect"] - 1, abs=0.3)
    assert {row["scope"] for row in told["effects"]} == {"all", "offer", "channel", "department", "segment"}
    names = [row["name"] for row in told["effects"] if row["scope"] == "segment"]
    assert set(names) == {"north", "south", "region: north", "region: south"}
    assert told["compared"] == len(told["effects"]) - 2 and told["early"] is False
    assert told["outcomes_without_a_contact"]["no contact of this run came before it"] > 0
    kept = json.loads((run / "measured.json").read_text())
    assert kept["effects"] == told["effects"]
    assert len(read_parquet(run / "measured.parquet")) == len(told["effects"])
    # nobody's own
    assert "c0" not in (run / "measured.json").read_text()


def test_measuring_again_gives_the_same_bytes_whatever_the_order(project: Path, run: Path) -> None:
    file = project / "outcomes.csv"
    omniopt("measure", run, "--outcomes", file)
    before = [(run / name).read_bytes() for name in ("measured.json", "measured.parquet")]
    pd.read_csv(file).sample(frac=1, random_state=3).to_csv(file, index=False)
    omniopt("measure", run, "--outcomes", file)
    assert [(run / name).read_bytes() for name in ("measured.json", "measured.parquet")] == before


def test_an_early_look_is_wider_and_remembered(project: Path, run: Path) -> None:
    def look(until: str) -> dict:
        afterwards.outcomes(until).to_csv(project / "part.csv", index=False)
        result = omniopt("measure", run, "--outcomes", project / "part.csv", "--json")
        return json.loads(result.stdout)["runs"][0]

    first = look("2026-12-13")
    assert first["early"] and first["looks"] == [14] and first["planned_until"] == "2026-12-27"
    assert first["errors_to_each_side"] == pytest.approx(2.9626, abs=1e-3)
    assert look("2026-12-13") == first
    last = look("2026-12-27")
    assert last["looks"] == [14, 28] and not last["early"]
    assert last["errors_to_each_side"] == pytest.approx(1.9686, abs=1e-3)
    said = omniopt("measure", run, "--outcomes", project / "part.csv").output
    assert "complete" in said and "parts compared" in said


def test_what_was_measured_goes_with_the_plan(project: Path, run: Path) -> None:
    omniopt("measure", run, "--outcomes", project / "outcomes.csv")
    oo.optimize(Project.load(project)).save(run)
    assert not (run / "measured.json").exists() and not (run / "measured.parquet").exists()


def test_outcomes_become_the_next_history(project: Path, run: Path) -> None:
    history = project / "history.csv"
    arguments = ("measure", run, "--outcomes", project / "outcomes.csv", "--append", history, "--json")
    first = json.loads(omniopt(*arguments).stdout)["runs"][0]["history"]
    plan = read_parquet(run / "plan.parquet")
    assert first["added"] == first["rows"] == len(plan)
    again = json.loads(omniopt(*arguments).stdout)["runs"][0]["history"]
    assert again["unchanged"] == len(plan) and again["added"] == again["updated"] == 0
    # The next project reads it, and learns from it.
    rows = pd.read_csv(history)
    assert set(rows["outcome"]) == {"responded", "delivered"} and set(rows["run_id"]) == {afterwards.RUN_ID}
    answered = rows[rows["outcome"] == "responded"]
    assert len(answered) > 60 and (answered["value"] == 40).all()
    text = (project / "omniopt.yaml").read_text().replace("2026-11-30", "2026-12-28")
    (project / "omniopt.yaml").write_text(text.replace("tables: {", "tables: {history: history.csv, "))
    text = (project / "actions.csv").read_text()
    (project / "actions.csv").write_text(
        text.replace("2026-12-01", "2026-12-29").replace("2026-12-03", "2026-12-30")
    )
    assert omniopt("check", project).exit_code == 0


def test_history_gets_the_contacts_of_all_runs_or_of_none(project: Path, run: Path) -> None:
    again = project / "reports" / "again"
    shutil.copytree(run, again)
    # Of another name, the same contacts are refused: history has them from the first run by then.
    told = json.loads((again / "manifest.json").read_text())
    (again / "manifest.json").write_text(json.dumps(told | {"run_id": "again"}))
    history = project / "history.csv"
    head = "customer_id,offer_id,channel,date,outcome,run_id\n"
    history.write_text(f"{head}c0001,card,mail,2026-01-05,responded,earlier\n")
    before = history.read_bytes()
    arguments = ("--outcomes", project / "outcomes.csv", "--append", history)
    refused = omniopt("measure", run, again, *arguments)
    assert refused.exit_code == 2 and f"from run '{afterwards.RUN_ID}'" in refused.stderr
    assert history.read_bytes() == before
    assert not (run / "measured.json").exists() and not (again / "measured.json").exists()
    assert not list(project.glob(".appending-*"))
    # Contacts on other days are no contacts of the first run: now both are appended.
    plan = read_parquet(again / "plan.parquet")
    write_parquet(plan.assign(date=plan["date"] + pd.Timedelta(days=1)), again / "plan.parquet")
    done = omniopt("measure", run, again, *arguments, "--json")
    assert done.exit_code == 0, done.output
    rows = [one["history"]["rows"] for one in json.loads(done.stdout)["runs"]]
    assert rows == [1 + len(plan), 1 + 2 * len(plan)] and len(pd.read_csv(history)) == rows[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "nothing is known of what happened"),
        (("--outcomes", "none.csv"), "none.csv"),
        (("--by", "customer.regoin", "--outcomes", "outcomes.csv"), "Did you mean 'region'?"),
        (("--outcomes", "twice.csv"), "twice.csv, table outcomes, row 2"),
        (("--outcomes", "early.csv"), "nothing is known to have happened since"),
        (("--plan", "other", "--outcomes", "outcomes.csv"), "no finished plan"),
        (("--append", "history.xlsx", "--outcomes", "outcomes.csv"), "cannot be appended to"),
    ],
)
def test_what_cannot_be_measured_is_told(
    project: Path, run: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(project)
    row = "c0001,2026-12-05,responded\n"
    (project / "twice.csv").write_text(f"customer_id,date,outcome\n{row}{row}")
    (project / "early.csv").write_text("customer_id,date,outcome\nc0001,2026-11-05,responded\n")
    (project / "other").mkdir()
    done = omniopt("measure", run, *arguments)
    assert done.exit_code == 2
    assert words in done.stderr


def test_segments_of_a_run_that_has_left_its_project(project: Path, run: Path, tmp_path: Path) -> None:
    away = tmp_path / "away"
    shutil.copytree(run, away)
    arguments = ("measure", away, "--outcomes", project / "outcomes.csv")
    refused = omniopt(*arguments, "--by", "customer.region")
    assert refused.exit_code == 2 and f"{away}: the run's project" in refused.stderr
    assert not (away / "measured.json").exists()
    assert omniopt(*arguments).exit_code == 0


def test_without_a_control_group_no_difference_is_called_an_effect(project: Path, run: Path) -> None:
    (run / "experiment.parquet").unlink()
    done = omniopt("measure", run, "--outcomes", project / "outcomes.csv")
    assert done.exit_code == 0 and "what its contacts changed cannot be told" in done.output
    assert json.loads((run / "measured.json").read_text())["effects"] == []


def explored(run: Path) -> None:
    """Turn the control group into one that explores: each gets one of the two contacts, with chance 1/2."""
    experiment, plan = read_parquet(run / "experiment.parquet"), read_parquet(run / "plan.parquet")
    chosen = experiment["arm"] == "control"
    experiment.loc[chosen, "arm"] = "explored"
    names = experiment.loc[chosen, "customer_id"].to_numpy()
    mail = np.arange(len(names)) % 2 == 0
    draws = plan.head(len(names)).assign(
        customer_id=names,
        action_id=np.where(mail, "card-mail", "loan-email"),
        offer_id=np.where(mail, "card", "loan"),
        channel=np.where(mail, "mail", "email"),
        date=np.where(mail, plan["date"].min(), plan["date"].max()),
    )
    both = pd.concat([plan.assign(probability=1.0), draws.assign(probability=0.5)], ignore_index=True)
    write_parquet(both, run / "plan.parquet")
    write_parquet(experiment, run / "experiment.parquet")


def test_a_plan_that_was_not_run(project: Path, run: Path) -> None:
    other = project / "other"
    shutil.copytree(run, other)
    everyone = read_parquet(run / "plan.parquet").head(1)
    everyone = pd.concat([everyone] * afterwards.CUSTOMERS, ignore_index=True)
    told = {
        "customer_id": afterwards.ids(),
        "action_id": "card-mail",
        "response": 0.3,
        "value": 12.0,
        "cost": 1.0,
    }
    write_parquet(everyone.assign(**told), other / "plan.parquet")
    explored(run)
    # Half of those who got a letter at random answered it.
    names = afterwards.ids()[::5][::2]
    rows = [(name, "2026-12-05", "card", "mail", "responded", 40.0) for name in names[::2]]
    rows.append(("c0001", "2026-12-27", None, None, "clicked", None))
    columns = ["customer_id", "date", "offer_id", "channel", "outcome", "value"]
    pd.DataFrame(rows, columns=columns).to_csv(project / "outcomes.csv", index=False)
    result = measure(open_run(run), project / "outcomes.csv")
    assert result is not None
    found = not_run(result, other).set_index("metric")
    assert found.loc["response", "ips"] == pytest.approx(300)
    assert found.loc["money", "ips"] == pytest.approx(600 * (20 - 1))
    with pytest.raises(BadInput, match="gives contacts at random itself"):
        not_run(result, run)
    done = omniopt("measure", run, "--outcomes", project / "outcomes.csv", "--plan", other)
    assert "the other plan: response" in done.output and "60 draws count" in done.output


LEARNING = "learning: {control: {share: 0.2, by: [customer.region], per_offer: 0.1}, explore: {share: 0.3}}"


def learn(project: Path) -> None:
    """Have the policy hold customers out, and give others a contact at random."""
    text = (project / "omniopt.yaml").read_text()
    (project / "omniopt.yaml").write_text(text.replace("max: 1}]}", f"max: 1}}], {LEARNING}}}"))


def answered(plan: pd.DataFrame) -> pd.DataFrame:
    """What happened: each second contact is answered, and each twelfth customer comes without one."""
    some = plan.iloc[::2][["customer_id", "offer_id", "channel"]]
    others = pd.DataFrame(
        {"customer_id": [c for c in afterwards.ids()[::12] if c not in set(some["customer_id"])]}
    )
    rows = pd.concat([some, others], ignore_index=True)
    return rows.assign(date="2026-12-27", outcome="responded", value=40.0)


def test_from_a_policy_that_learns_to_its_effect_and_to_another_plan(project: Path) -> None:
    other = project / "reports" / "other"
    oo.optimize(Project.load(project)).save(other)
    learn(project)
    learnt = project / "reports" / "learnt"
    oo.optimize(Project.load(project)).save(learnt)
    answered(read_parquet(learnt / "plan.parquet")).to_csv(project / "outcomes.csv", index=False)
    done = omniopt("measure", learnt, "--outcomes", project / "outcomes.csv", "--plan", other, "--json")
    assert done.exit_code == 0, done.output
    (told,) = json.loads(done.stdout)["runs"]
    whole = told["effects"][0]
    assert whole["mean_treated"] > 0.4 and whole["mean_control"] < 0.2 and whole["low"] > 0.2
    assert {"offer's own control", "segment"} <= {row["scope"] for row in told["effects"]}
    assert told["split_by_chance"] > 0.001
    estimate = told["other_plan"][0]
    assert estimate["overlap"] > 0.95 and estimate["dr_low"] < 300 < estimate["dr_high"]


@pytest.mark.slow
def test_the_next_run_shows_what_the_first_one_changed(project: Path) -> None:
    shutil.rmtree(project / "reports")
    learn(project)
    first = pipeline.run(project, reports=project / "reports")
    rows = answered(read_parquet(first.folder / "plan.parquet")).assign(run_id=first.run_id)
    rows.loc[rows["offer_id"].isna(), "run_id"] = None
    rows.to_csv(project / "outcomes.csv", index=False)
    notebook(project)
    second = pipeline.run(project, reports=project / "reports")
    shown = (second.folder / "05_measure.ipynb").read_text()
    assert "beyond what chance explains" in shown and first.run_id in shown
    assert (first.folder / "measured.json").is_file() and not (second.folder / "measured.json").exists()


def notebook(project: Path, folder: str = "reports/next") -> Run:
    """What notebook 05 has, in a project whose table of outcomes is known."""
    text = (project / "omniopt.yaml").read_text()
    (project / "omniopt.yaml").write_text(text.replace("tables: {", "tables: {outcomes: outcomes.csv, "))
    (project / folder).mkdir(parents=True, exist_ok=True)
    return Run(Project.load(project), project / folder)


def test_the_notebook_shows_what_earlier_runs_changed(project: Path, run: Path) -> None:
    here = notebook(project)
    results, refused = measured_page.measure_runs(here, 14)
    assert refused == []
    assert [one.run.run_id for one in results] == [afterwards.RUN_ID]
    page = measured_page.overview(results, []).html + measured_page.effects(results).html
    page += measured_page.predicted(results).html
    assert "complete" in page and "beyond what chance explains" in page and "comparisons of parts" in page
    assert "Predicted were" in page and "c0001" not in page
    assert "other_plan" in measured_page.other_plan(here, results, "").html
    assert "overlap is missing" in measured_page.other_plan(here, results, f"reports/{run.name}").html
    assert (run / "measured.json").is_file()


def test_outcomes_are_found_when_the_project_has_moved_on(project: Path, run: Path) -> None:
    first = measured_page.measure_runs(notebook(project), 14)[0][0]
    text = (project / "omniopt.yaml").read_text().replace("start: 2026-11-30", "start: 2026-11-26")
    (project / "omniopt.yaml").write_text(text)
    again = measured_page.measure_runs(Run(Project.load(project), project / "reports/next"), 14)[0][0]
    pd.testing.assert_frame_equal(first.effects, again.effects)


def test_the_notebook_says_so_where_nothing_is_to_be_measured(project: Path, run: Path) -> None:
    (run / "experiment.parquet").unlink()
    here = notebook(project)
    assert measured_page.measure_runs(here, 14) == ([], [])
    assert "There is nothing to be measured" in measured_page.overview([], []).html
    # An outcome that names the run shows that it was executed.
    named = pd.read_csv(project / "outcomes.csv").assign(run_id=afterwards.RUN_ID)
    named.to_csv(project / "outcomes.csv", index=False)
    results, _ = measured_page.measure_runs(Run(Project.load(project), here.folder), 14)
    assert "cannot be told" in measured_page.effects(results).html
    assert "Predicted were" in measured_page.predicted(results).html


def test_faults_of_outcomes_are_shown_and_stop_no_plan(project: Path, run: Path) -> None:
    rows = pd.read_csv(project / "outcomes.csv")
    pd.concat([rows, rows.head(1)]).to_csv(project / "outcomes.csv", index=False)
    results, refused = measured_page.measure_runs(notebook(project), 14)
    assert results == [] and "stands in an earlier row already" in measured_page.overview([], refused).html


def test_outcomes_that_are_no_contacts_are_not_compared_with_scores(project: Path) -> None:
    here = notebook(project)
    scores = pd.DataFrame({"customer_id": afterwards.ids(), "offer_id": "card", "channel": "shop"})
    here.keep("scores", scores.assign(p_response=0.1))
    responses = pd.read_csv(project / "outcomes.csv").query("outcome == 'responded'")
    responses.to_csv(project / "outcomes.csv", index=False)
    (project / "candidates.csv").unlink()
    text = (project / "omniopt.yaml").read_text().replace(", candidates: candidates.csv", "")
    (project / "channels.csv").write_text("channel,unit_cost\nmail,1\nemail,1\nshop,1\n")
    (project / "omniopt.yaml").write_text(text.replace("tables: {", "tables: {channels: channels.csv, "))
    (project / "history.csv").write_text("customer_id,offer_id,channel,date,outcome\n")
    text = (project / "omniopt.yaml").read_text()
    (project / "omniopt.yaml").write_text(text.replace("tables: {", "tables: {history: history.csv, "))
    told = quality.outcomes(Run(Project.load(project), here.folder))
    assert "not who was contacted" in told.html


def test_a_rehearsal_is_not_measured(project: Path, run: Path) -> None:
    told = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(told | {"report_only": True}))
    assert measured_page.measure_runs(notebook(project), 14) == ([], [])

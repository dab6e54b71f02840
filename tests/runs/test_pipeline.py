"""The way from a project to a run folder, with notebooks that copy a plan made by hand."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from handmade import write_notebooks

from omniopt import decisions
from omniopt.errors import BadInput, Fault, Infeasible, NotebookFailed, StoppedWithoutPlan
from omniopt.project import Project
from omniopt.runs import pipeline, show
from omniopt.runs.notebook import Run

GOOD = {
    "ok": True,
    "bound_proven": 69.01,
    "checks": [{"name": "limits", "ok": True, "detail": ""}],
    "findings": [],
}
BAD = {"ok": False, "bound_proven": None, "checks": [{"name": "limits", "ok": False, "detail": ""}],
       "findings": [{"message": "used 7, not 6", "rule": "total budget"}]}  # fmt: skip


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch, small: Path) -> None:
    """The plan made by hand is neither checked nor verified: that is other tests' work."""
    monkeypatch.setattr(decisions, "check", lambda project: {}, raising=False)
    monkeypatch.setattr(pipeline, "verification", lambda folder: GOOD)
    write_notebooks(small)


def runs_in(reports: Path) -> list[str]:
    return sorted(
        path.name
        for path in reports.glob("*")
        if path.is_dir() and path.name != "failed" and not path.name.startswith(".")
    )


def test_whole_run(small: Path, tmp_path: Path) -> None:
    said: list[str] = []
    result = pipeline.run(small, {"gap": "0.01"}, reports=tmp_path / "reports {x}", progress=said.append)
    files = {str(path.relative_to(result.folder)) for path in result.folder.rglob("*") if path.is_file()}
    lists = {"lists/Call.csv", "lists/call-2.csv", "lists/e-mail.csv"}
    told = {"certificate.json", "verification.json", "manifest.json", "report.html"}
    assert files == {*pipeline.STEPS, "plan.parquet", *told, *lists}
    assert result.folder == tmp_path / "reports {x}" / result.run_id
    assert (result.status, result.objective, result.bound) == ("within_gap", 69.0, 69.005)
    manifest = json.loads((result.folder / "manifest.json").read_text())
    assert manifest["parameters"] == {"gap": 0.01}
    assert manifest["status"] == "within_gap" and manifest["finished"] >= manifest["started"]
    assert manifest["lists"]["e/mail"]["rows"] == 3 and manifest["lists"]["call"]["rows"] == 0
    assert set(manifest["inputs"]) >= {"customers", "offers", "project", "policy"}
    assert said[0] == "1 of 4: 01_customers" and "verifying the plan" in said


def test_nothing_of_this_machine_in_what_a_run_leaves(small: Path, tmp_path: Path) -> None:
    folder = pipeline.run(small, reports=tmp_path / "reports").folder
    for name in ("manifest.json", "report.html", *pipeline.STEPS):
        assert str(tmp_path) not in (folder / name).read_text(encoding="utf-8"), name
    executed = nbformat.read(folder / "03_allocate.ipynb", as_version=4)
    given = next(c.source for c in executed.cells if "injected-parameters" in c.metadata.get("tags", []))
    assert 'folder = "."' in given and os.path.relpath(small / "omniopt.yaml", folder) in given


def test_the_report_shows_what_04_shows_but_no_code_and_no_warnings(small: Path, tmp_path: Path) -> None:
    code = "import sys, warnings\nprint('the plan & all')\nwarnings.warn('mind the gap')"
    write_notebooks(small, **{"04_report": code})
    page = (pipeline.run(small, reports=tmp_path / "reports").folder / "report.html").read_text()
    assert "the plan &amp; all" in page
    assert "mind the gap" not in page and "import sys" not in page and "<script" not in page
    assert "<title>small &amp; tidy – " in page


def test_notebooks_run_on_this_interpreter_with_this_package_and_leave_the_home_alone(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".local/share/jupyter/kernels/python3").mkdir(parents=True)
    spec = home / ".local/share/jupyter/kernels/python3/kernel.json"
    spec.write_text('{"argv": ["/bin/false"], "display_name": "wrong", "language": "python"}')
    before = sorted(home.rglob("*"))
    monkeypatch.setenv("HOME", str(home))
    code = "import sys, omniopt\nprint(sys.executable)\nprint(omniopt.__file__)"
    write_notebooks(small, **{"01_customers": code})
    folder = pipeline.run(small, reports=tmp_path / "reports").folder
    printed = nbformat.read(folder / "01_customers.ipynb", as_version=4).cells[-1].outputs[0].text.split("\n")
    assert printed[:2] == [sys.executable, str(Path(pipeline.__file__).parents[1] / "__init__.py")]
    assert sorted(home.rglob("*")) == before


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"gpa": "1"}, "no notebook has a parameter 'gpa'. Did you mean 'gap'?"),
        ({"gap": "wide"}, "parameter gap: 'wide' is not a number"),
        ({"folder": "/tmp"}, "no notebook has a parameter 'folder'"),
        ({"gap": "nan"}, "parameter gap: 'nan' is not a finite number"),
        ({"gap": "__import__('os')"}, "is not a number"),
    ],
)
def test_wrong_parameters_are_told_before_anything_starts(
    small: Path, tmp_path: Path, given: dict[str, str], words: str
) -> None:
    with pytest.raises(BadInput) as caught:
        pipeline.run(small, given, reports=tmp_path / "reports")
    assert words in str(caught.value)
    assert not (tmp_path / "reports").exists()


def test_a_faulty_project_writes_nothing(small: Path, tmp_path: Path) -> None:
    (small / "offers.csv").write_text("offer_id,value\ncard,much\n")
    with pytest.raises(BadInput, match="much"):
        pipeline.run(small, reports=tmp_path / "reports")
    assert not (tmp_path / "reports").exists()


def test_a_template_that_names_no_column_is_told_before_anything_starts(small: Path, tmp_path: Path) -> None:
    offers = (small / "offers.csv").read_text().replace("first_name", "firstname")
    (small / "offers.csv").write_text(offers)
    with pytest.raises(
        BadInput, match=r"row 1, column template.*did you mean 'first_name'".replace("did", "Did")
    ):
        pipeline.run(small, reports=tmp_path / "reports")
    assert not (tmp_path / "reports").exists()


def test_a_missing_notebook_is_named(small: Path, tmp_path: Path) -> None:
    (small / "notebooks" / "02_scores.ipynb").unlink()
    with pytest.raises(BadInput, match=r"02_scores.ipynb: the notebook is missing"):
        pipeline.run(small, reports=tmp_path / "reports")


def test_a_failed_notebook_is_kept_aside(small: Path, tmp_path: Path) -> None:
    write_notebooks(small, **{"02_scores": "1 / 0"})
    with pytest.raises(NotebookFailed) as caught:
        pipeline.run(small, reports=tmp_path / "reports")
    error = caught.value
    assert (error.notebook, error.message) == ("02_scores.ipynb", "ZeroDivisionError: division by zero")
    assert error.folder.parent == tmp_path / "reports" / "failed"
    assert runs_in(tmp_path / "reports") == []
    assert "ZeroDivisionError" in (error.folder / "02_scores.ipynb").read_text()
    assert not (error.folder / "03_allocate.ipynb").exists()
    manifest = json.loads((error.folder / "manifest.json").read_text())
    assert manifest["status"] == "failed" and "division by zero" in manifest["error"]


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("raise BadInput([Fault('is odd', table='offers', row=3), Fault('is even')])", BadInput, "row 3"),
        ("raise Infeasible('total budget against launch')", Infeasible, "total budget against launch"),
        ("raise StoppedWithoutPlan('no plan in time')", StoppedWithoutPlan, "no plan in time"),
    ],
)
def test_errors_of_the_package_keep_their_kind(
    small: Path, tmp_path: Path, code: str, kind: type[Exception], words: str
) -> None:
    start = "from omniopt.errors import *\nfrom omniopt.runs.notebook import begin\nbegin(project, folder)\n"
    write_notebooks(small, **{"03_allocate": start + code})
    with pytest.raises(kind, match=words) as caught:
        pipeline.run(small, reports=tmp_path / "reports")
    if isinstance(caught.value, BadInput):
        assert caught.value.faults == [Fault("is odd", table="offers", row=3), Fault("is even")]
    [kept] = (tmp_path / "reports" / "failed").iterdir()
    assert (kept / "03_allocate.ipynb").exists() and not (kept / "plan.parquet").exists()
    status = json.loads((kept / "manifest.json").read_text())["status"]
    assert status == {BadInput: "failed", Infeasible: "infeasible"}.get(kind, "stopped_without_plan")
    assert runs_in(tmp_path / "reports") == []


def test_a_dying_kernel_is_a_failed_notebook(small: Path, tmp_path: Path) -> None:
    write_notebooks(small, **{"02_scores": "import os\nos._exit(1)"})
    with pytest.raises(NotebookFailed, match="the kernel ended"):
        pipeline.run(small, reports=tmp_path / "reports")


def test_a_notebook_that_leaves_no_plan_has_failed(small: Path, tmp_path: Path) -> None:
    write_notebooks(small, **{"03_allocate": "pass"})
    with pytest.raises(NotebookFailed, match="without leaving a plan"):
        pipeline.run(small, reports=tmp_path / "reports")


def test_a_plan_that_does_not_stand_up_is_kept_aside_without_lists(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "verification", lambda folder: BAD)
    with pytest.raises(BadInput, match="used 7, not 6"):
        pipeline.run(small, reports=tmp_path / "reports")
    [kept] = (tmp_path / "reports" / "failed").iterdir()
    assert (kept / "report.html").exists() and not (kept / "lists").exists()
    assert runs_in(tmp_path / "reports") == []


def test_a_rehearsal_writes_no_lists_and_says_so(small: Path, tmp_path: Path) -> None:
    folder = pipeline.run(small, report_only=True, reports=tmp_path / "reports").folder
    assert not (folder / "lists").exists()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["report_only"] is True and "lists" not in manifest


def test_interrupted_run_is_kept_aside(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "_verify", stop)
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(small, reports=tmp_path / "reports")
    [kept] = (tmp_path / "reports" / "failed").iterdir()
    assert json.loads((kept / "manifest.json").read_text())["status"] == "interrupted"
    assert runs_in(tmp_path / "reports") == []


def _run_in_process(small: Path, reports: Path) -> None:
    decisions.check = lambda project: {}
    pipeline.verification = lambda folder: GOOD
    pipeline.run(small, reports=reports)


def test_two_runs_at_once(small: Path, tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    two = [
        multiprocessing.get_context("spawn").Process(target=_run_in_process, args=(small, reports))
        for _ in "ab"
    ]
    for process in two:
        process.start()
    for process in two:
        process.join(120)
    assert [process.exitcode for process in two] == [0, 0]
    assert len(runs_in(reports)) == 2
    for name in runs_in(reports):
        assert json.loads((reports / name / "manifest.json").read_text())["run_id"] == name


def test_a_killed_run_leaves_no_run_folder_and_is_put_aside_by_the_next(small: Path, tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    write_notebooks(small, **{"02_scores": "open('started', 'w').close()\nimport time\ntime.sleep(60)"})
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_run_in_process, args=(small, reports))
    process.start()
    until = time.monotonic() + 60
    while not list(reports.glob(".*.running/started")):
        assert time.monotonic() < until, "the run never came to its second notebook"
        time.sleep(0.1)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert runs_in(reports) == []
    write_notebooks(small)
    result = pipeline.run(small, reports=reports)
    assert runs_in(reports) == [result.run_id]
    [kept] = (reports / "failed").iterdir()
    assert (kept / "02_scores.ipynb").exists()
    assert json.loads((kept / "manifest.json").read_text())["status"] == "interrupted"


def test_running_by_hand_needs_no_pipeline(small: Path, tmp_path: Path) -> None:
    code = (
        "from omniopt.runs.notebook import begin\n"
        f"run = begin({str(small)!r}, {str(tmp_path / 'draft')!r})\n"
        "print(run.manifest['run_id'], len(run.tables.customers))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "draft 3"
    assert Project.load(small).spec.name == "small & tidy"


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_stopped_command_leaves_no_run_folder_and_no_kernel(
    small: Path, tmp_path: Path, sent: signal.Signals, status: int
) -> None:
    code = "import os, time\nopen('started', 'w').write(str(os.getpid()))\ntime.sleep(300)"
    write_notebooks(small, **{"02_scores": code})
    command = [sys.executable, "-m", "omniopt", "run", str(small), "--reports", str(tmp_path / "reports")]
    environment = os.environ | {"PYTHONPATH": str(Path(pipeline.__file__).parents[2])}
    # in the background of a shell Ctrl-C is ignored from the start, by the command as well
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    until = time.monotonic() + 60
    while not (started := list(tmp_path.glob("reports/.*.running/started"))) or not started[0].stat().st_size:
        assert time.monotonic() < until and process.poll() is None, (
            "the run never came to its second notebook"
        )
        time.sleep(0.1)
    kernel = int(started[0].read_text())
    process.send_signal(sent)
    said = process.communicate(timeout=150)[1]
    assert process.returncode == status and "Traceback" not in said
    assert runs_in(tmp_path / "reports") == []
    if sent == signal.SIGINT:
        [kept] = (tmp_path / "reports" / "failed").iterdir()
        assert json.loads((kept / "manifest.json").read_text())["status"] == "interrupted"
    until = time.monotonic() + 10
    while Path(f"/proc/{kernel}").exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert not Path(f"/proc/{kernel}").exists()


def test_candidates_are_no_frame_where_none_is_needed(tmp_path: Path) -> None:
    """Millions of them would take longer to read so than to decide on."""
    (tmp_path / "actions.csv").write_text("action_id,offer_id,channel\na,o,call\nb,o,mail\n")
    (tmp_path / "candidates.csv").write_text("customer_id,action_id,value\nx,a,1\nx,b,1\ny,a,1\n")
    (tmp_path / "omniopt.yaml").write_text(
        "{version: 1, name: two, policy: {objective: value}, "
        "tables: {actions: actions.csv, candidates: candidates.csv}}"
    )
    run = Run(Project.load(tmp_path), tmp_path / "run")
    assert run.tables.candidates is None
    assert (run.needs_scores, run.own_model) == (False, False)
    assert '<div class="figure">2</div>' in show.customers(run.tables, None).html

"""From a project file to a run folder: the notebooks, one after the other, and what people need of them.

The order: parameters and project are checked while nothing is written; the notebooks run in a working folder;
the plan is verified by code that did not make it; the report is made; the lists are written; the folder
appears in its place.
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omniopt.errors import BadInput, Fault, NotebookFailed, OmnioptError
from omniopt.project import Project
from omniopt.runs import lists, manifest, notebook, parameters, share
from omniopt.runs.folders import RunFolder, mark
from omniopt.runs.html import page

STEPS = ("01_customers.ipynb", "02_scores.ipynb", "03_allocate.ipynb", "04_report.ipynb")
REPORT = "report.html"
_ENDINGS = {3: "infeasible", 4: "stopped_without_plan"}  # exit status → status in the manifest


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Parameters
    ----------
    run_id : str
        Its name; also its folder's.
    folder : Path
        Where it is.
    status : str
        ``optimal``, ``within_gap`` or ``stopped_early``.
    objective, bound, gap : float
        As in the certificate.
    """

    run_id: str
    folder: Path
    status: str
    objective: float
    bound: float
    gap: float


def run(
    project_path: Path | str,
    parameters: Mapping[str, str] | None = None,
    report_only: bool = False,
    reports: Path = Path("reports"),
    progress: Callable[[str], None] | None = None,
) -> RunResult:
    """Run the whole way from the tables to the report.

    Parameters
    ----------
    project_path : Path or str
        omniopt.yaml or its folder.
    parameters : mapping of str to str, optional
        Parameters of the notebooks, as text.
    report_only : bool
        A rehearsal: everything is computed and shown, but no lists for execution are written.
    reports : Path
        Where the run's folder appears.
    progress : callable, optional
        Told in a line what happens now. Without it, a terminal is told and a log is not.

    Returns
    -------
    RunResult

    Raises
    ------
    BadInput
        Parameters, project or policy are wrong; found before anything starts, nothing was written. Also when
        the plan does not stand up to verification: then the run is kept aside.
    Infeasible, StoppedWithoutPlan
        No plan keeps all the rules, or none was found in time; the run is kept aside.
    NotebookFailed
        A notebook failed for another reason; the run is kept aside with it.
    """
    say = progress or _say
    project, steps, values = prepare(project_path, parameters or {})
    with RunFolder(Path(reports).resolve(), project.spec.name) as folder:
        work = folder.work
        made = manifest.begin(
            project, folder.run_id, {k: v for step in values.values() for k, v in step.items()}, report_only
        )
        manifest.write(work, made)
        try:
            _execute_all(project, steps, values, work, say)
            title = f"{project.spec.name} – {folder.run_id}"
            (work / REPORT).write_text(page(work / STEPS[3], title), encoding="utf-8")
            _must_stand(work)
            certificate = json.loads((work / "certificate.json").read_text(encoding="utf-8"))
            made |= {key: certificate[key] for key in ("status", "objective", "bound", "gap")}
            if not report_only:
                made["lists"] = _write_lists(project, work)
            manifest.write(work, made | {"finished": manifest.now()})
        except OmnioptError as error:
            mark(work, _ENDINGS.get(error.exit_code, "failed"), str(error))
            place = folder.fail()
            if isinstance(error, NotebookFailed):
                raise NotebookFailed(place, error.notebook, error.message) from None
            raise
        place = folder.finish()
    return RunResult(folder.run_id, place, made["status"], made["objective"], made["bound"], made["gap"])


def prepare(
    project_path: Path | str, given: Mapping[str, str]
) -> tuple[Project, list[Path], dict[str, dict[str, parameters.Value]]]:
    """Check parameters, project and policy, and write nothing.

    Returns
    -------
    project : Project
    steps : list of Path
        The notebooks, in their order.
    values : dict
        Notebook's file name → its parameters.

    Raises
    ------
    BadInput
        With everything that is wrong.
    """
    from omniopt import decisions
    from omniopt.decisions.optimize import SOLVERS

    project = Project.load(project_path)
    steps = find_steps(share.notebooks(project.root))
    declared = parameters.merge({step.name: inspect(step) for step in steps})
    typed = parameters.coerce(given, declared, {"solver": SOLVERS})
    decisions.check(project)
    lists.merge_fields(project.read(coded=True))
    values = {
        step.name: {name: value for name, value in typed.items() if step.name in declared[name].notebooks}
        for step in steps
    }
    return project, steps, values


def find_steps(folder: Path) -> list[Path]:
    """The notebooks of the pipeline: 01 to 09 in their order; those from 10 on are for people.

    Raises
    ------
    BadInput
        One of the four that a run cannot do without is missing.
    """
    found = sorted(folder.glob("0[1-9]_*.ipynb"))
    lacking = [name for name in STEPS if name not in {path.name for path in found}]
    if lacking:
        hint = "Copy it from the notebooks that `omniopt init` lays"
        raise BadInput(
            [Fault(f"the notebook is missing in {folder}", file=name, hint=hint) for name in lacking]
        )
    return found


def inspect(path: Path) -> list[tuple[str, str, str, str]]:
    """Read which parameters a notebook declares: (name, type, default, help) of each."""
    import papermill

    declared = papermill.inspect_notebook(str(path).replace("{", "{{").replace("}", "}}"))
    return [(p["name"], p["inferred_type_name"], p["default"], p["help"]) for p in declared.values()]


def _execute_all(
    project: Project,
    steps: list[Path],
    values: Mapping[str, Mapping[str, parameters.Value]],
    work: Path,
    say: Callable[[str], None],
) -> None:
    assert project.file is not None
    # Relative, so that the executed notebooks run again from the run's folder, wherever that is moved.
    internal = {"project": os.path.relpath(project.file.resolve(), work), "folder": "."}
    with _kernel() as config:
        for number, step in enumerate(steps, 1):
            if step.name == STEPS[3]:
                _verify(work, say)
            say(f"{number} of {len(steps)}: {step.stem}")
            _execute(step, work, {**internal, **values[step.name]}, config)


def _must_stand(work: Path) -> None:
    """Refuse a plan that verification refused: it is kept aside with its report, and nobody executes it."""
    verdict = json.loads((work / "verification.json").read_text(encoding="utf-8"))
    if not verdict["ok"]:
        found = [Fault(**finding) for finding in verdict["findings"]]
        raise BadInput(
            [Fault(f"the plan does not stand up to verification; {REPORT} says what was found"), *found]
        )


def _execute(step: Path, work: Path, values: dict[str, Any], config: Any) -> None:
    """Execute one notebook into the working folder."""
    import papermill
    from papermill.exceptions import PapermillExecutionError

    def literal(path: Path) -> str:  # papermill formats paths with the parameters
        return str(path).replace("{", "{{").replace("}", "}}")

    out = work / step.name
    try:
        papermill.execute_notebook(
            literal(step),
            literal(out),
            values,
            kernel_name="python3",
            progress_bar=False,
            cwd=work,
            config=config,
        )
    except PapermillExecutionError as error:
        said = work / notebook.ERROR
        known = (
            notebook.error_from_json(json.loads(said.read_text(encoding="utf-8"))) if said.is_file() else None
        )
        raise known or NotebookFailed(work, step.name, f"{error.ename}: {error.evalue}") from None
    except (RuntimeError, TimeoutError) as error:  # the kernel died, or never came up
        raise NotebookFailed(work, step.name, f"the kernel ended: {error}".splitlines()[0]) from None
    finally:
        _forget_paths(out)


def _forget_paths(executed: Path) -> None:
    """Take this machine's paths out of what papermill writes into a notebook."""
    import nbformat

    if executed.is_file():
        made = nbformat.read(executed, as_version=4)
        made.metadata.get("papermill", {}).update(input_path=executed.name, output_path=executed.name)
        nbformat.write(made, executed)


def _verify(work: Path, say: Callable[[str], None]) -> None:
    """Verify the plan before the report is made, so that the report can tell."""
    if not (work / "certificate.json").is_file():
        raise NotebookFailed(work, STEPS[2], "it ended without leaving a plan")
    say("verifying the plan")
    (work / "verification.json").write_text(json.dumps(verification(work), indent=2) + "\n", encoding="utf-8")


def verification(folder: Path) -> dict[str, Any]:
    """Verify the plan in a folder by code that shares nothing with the code that made it.

    Returns
    -------
    dict
        ``ok``, ``objective``, ``bound_proven``, ``solver_bound``, ``checks``, ``findings``, and ``of``: the
        hashes of the plan's files that were verified.
    """
    from dataclasses import asdict

    from omniopt.audit.verify import verify

    verdict = verify(folder)
    return {
        "ok": bool(verdict.ok),
        "objective": _number(verdict.objective),
        "bound_proven": _number(verdict.bound_proven),
        "solver_bound": _number(verdict.solver_bound),
        "checks": [
            {"name": name, "ok": bool(ok), "detail": str(detail)} for name, ok, detail in verdict.checks
        ],
        "findings": [asdict(fault) for fault in verdict.findings],
        "of": notebook.plan_hashes(folder),
    }


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _write_lists(project: Project, work: Path) -> dict[str, dict[str, object]]:
    from omniopt.tables import read_parquet

    return lists.write_lists(read_parquet(work / "plan.parquet"), project, work / "lists")


@contextmanager
def _kernel() -> Iterator[Any]:
    """Run notebooks on this interpreter, whatever kernels are installed; leave nothing in the home folder."""
    from traitlets.config import Config

    package = Path(__file__).resolve().parents[2]
    installed = {Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "platlib")}
    own = (
        {}
        if package in installed
        else {"PYTHONPATH": os.pathsep.join([str(package), *_environment("PYTHONPATH")])}
    )
    with tempfile.TemporaryDirectory(prefix="omniopt-") as home:
        spec = Path(home, "kernels", "python3")
        spec.mkdir(parents=True)
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        # Interrupted on their way out, or with their sockets closed already, kernels would say so; what goes
        # wrong in them the notebooks tell.
        quiet = "__import__('logging').getLogger('tornado.general').setLevel('CRITICAL')"
        command += ["--IPKernelApp.log_level=CRITICAL", f"--IPKernelApp.exec_lines={quiet}"]
        described = {"argv": command, "display_name": "Python 3", "language": "python", "env": own}
        (spec / "kernel.json").write_text(json.dumps(described), encoding="utf-8")
        changed = {
            "JUPYTER_PATH": os.pathsep.join([home, *_environment("JUPYTER_PATH")]),
            "JUPYTER_RUNTIME_DIR": home,
            "IPYTHONDIR": str(Path(home, "ipython")),
            "JUPYTER_PLATFORM_DIRS": "1",
        }
        before = {name: os.environ.get(name) for name in changed}
        os.environ.update(changed)
        try:
            # Files instead of ports, where their names are short enough: nobody else can listen.
            yield Config({"KernelManager": {"transport": "ipc"}} if len(home) < 45 else {})
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def _environment(name: str) -> list[str]:
    return [os.environ[name]] if os.environ.get(name) else []


def _say(line: str) -> None:
    if sys.stderr.isatty():
        print(f"omniopt: {line}", file=sys.stderr)

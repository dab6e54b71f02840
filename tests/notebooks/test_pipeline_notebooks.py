"""Notebooks 01 to 05: thin, without outputs, and the same by hand as under papermill."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest

from omniopt.runs.parameters import merge
from omniopt.runs.pipeline import STEPS, find_steps, inspect

NAMES = [*STEPS, "05_measure.ipynb"]


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_are_thin_and_hold_no_outputs(checkout: Path, name: str) -> None:
    for cell in code_cells(checkout / "notebooks" / name):
        assert cell.outputs == [] and cell.execution_count is None
        assert len(cell.source.splitlines()) <= 10, "what is longer belongs into the package"
        assert not any(word in cell.source for word in ("def ", "groupby", "merge", "read_parquet"))


@pytest.mark.parametrize("name", NAMES)
def test_each_notebook_declares_where_it_works(checkout: Path, name: str) -> None:
    declared = {parameter[0]: parameter[1] for parameter in inspect(checkout / "notebooks" / name)}
    assert declared["project"] == declared["folder"] == "str"


def test_the_parameters_of_a_run_are_those_the_handbook_names(checkout: Path) -> None:
    declared = merge({step.name: inspect(step) for step in find_steps(checkout / "notebooks")})
    handbook = (checkout / "docs" / "runs.md").read_text(encoding="utf-8")
    assert set(declared) == {
        "gap", "time_limit", "solver", "rule_values", "resamples", "answer_days", "other_plan",
    }  # fmt: skip
    assert all(f"| `{name}` |" in handbook for name in declared)
    assert all(parameter.help for parameter in declared.values())


def test_by_hand_the_notebooks_find_the_project_around_them(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", str(checkout))
    project = tmp_path / "mine"
    shutil.copytree(checkout / "data" / "starter", project)
    shutil.copytree(checkout / "notebooks", project / "notebooks")
    shown = {}
    for name in NAMES:
        notebook = nbformat.read(project / "notebooks" / name, as_version=4)
        client = NotebookClient(notebook, resources={"metadata": {"path": str(project / "notebooks")}})
        client.execute()
        shown[name] = "".join(
            output.get("data", {}).get("text/html", "")
            for cell in notebook.cells
            for output in cell.get("outputs", [])
        )
    report = shown["04_report.ipynb"]
    assert "<h1>starter</h1>" in report and "Run draft" in report and "A rehearsal" in report
    assert "There is nothing to be measured" in shown["05_measure.ipynb"]
    assert (project / "reports" / "draft" / "plan.parquet").is_file()

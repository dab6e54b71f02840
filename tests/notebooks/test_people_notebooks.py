"""The two notebooks for people, run without people: as a scheduler runs them, by papermill."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest

import omniopt as oo
from omniopt.review import FinishedRun, overrides

NOTEBOOKS = ("10_review.ipynb", "20_what_if.ipynb")


def execute(checkout: Path, notebook: str, project: Path, **parameters: Any) -> nbformat.NotebookNode:
    out = project / f"executed_{notebook}"
    papermill.execute_notebook(
        checkout / "notebooks" / notebook,
        out,
        parameters={"reports": str(project / "reports"), **parameters},
        cwd=project,
        progress_bar=False,
        kernel_name="python3",
    )
    return nbformat.read(out, as_version=4)


def shown(notebook: nbformat.NotebookNode) -> list[str]:
    """The markup of every output that people see."""
    return [
        output["data"]["text/html"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "text/html" in output.get("data", {})
    ]


def widget_views(notebook: nbformat.NotebookNode) -> int:
    kind = "application/vnd.jupyter.widget-view+json"
    return sum(kind in output.get("data", {}) for c in notebook.cells for output in c.get("outputs", []))


def warnings_and_errors(notebook: nbformat.NotebookNode) -> list[Any]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_the_notebook_is_thin_and_declares_its_parameters(checkout: Path, notebook: str) -> None:
    made = nbformat.read(checkout / "notebooks" / notebook, as_version=4)
    nbformat.validate(made)
    assert made.metadata.kernelspec.name == "python3"
    tagged = [cell for cell in made.cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    names = [line.split(" = ")[0] for line in tagged[0].source.splitlines()]
    assert names[:2] == ["run", "reports"]
    assert all("#" in line for line in tagged[0].source.splitlines())
    code = [cell.source for cell in made.cells if cell.cell_type == "code" and cell not in tagged]
    assert sum(len(source.splitlines()) for source in code) <= 15


def test_the_review_runs_headless_on_the_newest_run(checkout: Path, project: Path) -> None:
    run = FinishedRun(project / "reports" / "first")
    overrides.add(run, "veto", run.contacts.head(1), "asked to be left alone")
    made = execute(checkout, "10_review.ipynb", project)
    assert warnings_and_errors(made) == []
    assert widget_views(made) == 5
    assert f"{run.contacts['customer_id'].nunique()} customers" in "".join(shown(made))
    state = json.dumps(made.metadata["widgets"])
    for words in (
        f"of {len(run.contacts)} contacts",
        "asked to be left alone",
        "call desk",
        "SelectionRangeSlider",
    ):
        assert words in state


def test_a_what_if_from_parameters_leaves_a_table_a_figure_and_a_comparison(
    checkout: Path, project: Path
) -> None:
    run = FinishedRun(project / "reports" / "first")
    vetoed = run.contacts.head(2)
    overrides.add(run, "veto", vetoed, "no")
    comparison = project / "out" / "comparison.json"
    made = execute(
        checkout,
        "20_what_if.ipynb",
        project,
        changes={"total budget": 40, "call desk": {"scale": 0.5}},
        decisions=True,
        comparison=str(comparison),
    )
    assert warnings_and_errors(made) == []
    result = shown(made)[-1]
    assert result.count("<table") == 2 and result.count("data:image/svg+xml;base64,") == 2
    said = json.loads(comparison.read_text())
    assert said["words"][0] in result
    again = oo.Project.load(project).with_limit("total budget", max=40).with_decisions(vetoed, None)
    assert said["what_if"]["objective"] <= oo.optimize(again).bound
    assert said["what_if"]["objective"] < said["run"]["objective"] == run.certificate["objective"]
    assert said["decisions"] == {"vetoes": 2, "locks": 0}


@pytest.mark.slow
def test_changes_may_come_as_text_from_a_command_line(checkout: Path, project: Path) -> None:
    comparison = project / "comparison.json"
    execute(checkout, "20_what_if.ipynb", project, changes='{"pressure": 1}', comparison=str(comparison))
    assert json.loads(comparison.read_text())["changes"] == {"pressure": {"max": 1}}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "words"),
    [({"partner guarantee": {"min": 1000}}, "partner guarantee"), ({"total budgt": 1}, "Did you mean")],
)
def test_what_cannot_be_solved_is_said_in_words(
    checkout: Path, project: Path, changes: dict[str, Any], words: str
) -> None:
    comparison = project / "comparison.json"
    made = execute(checkout, "20_what_if.ipynb", project, changes=changes, comparison=str(comparison))
    assert words in shown(made)[-1] and words in json.loads(comparison.read_text())["error"]
    assert warnings_and_errors(made) == []


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_a_run_that_is_not_there_fails_in_one_sentence(checkout: Path, project: Path, notebook: str) -> None:
    with pytest.raises(papermill.exceptions.PapermillExecutionError):
        execute(checkout, notebook, project, run="frist")
    made = nbformat.read(project / f"executed_{notebook}", as_version=4)
    errors = [o for cell in made.cells for o in cell.get("outputs", []) if o["output_type"] == "error"]
    assert [error["traceback"] for error in errors] == [[errors[0]["evalue"]]]
    assert errors[0]["evalue"].startswith("There is no run 'frist'")

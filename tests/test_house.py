"""The house's own promises: nothing heavy at the door, one room per library, no machine in the files."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

HEAVY = (
    "sklearn", "matplotlib", "pulp", "papermill", "ipywidgets", "sqlalchemy", "numba", "scipy", "distributed"
)  # fmt: skip


@pytest.fixture(scope="module")
def tracked(checkout: Path) -> list[Path]:
    """The files under version control."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=checkout, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no git checkout: there is no list of tracked files")
    paths = [checkout / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


@pytest.fixture(scope="module")
def modules(checkout: Path) -> dict[str, ast.Module]:
    """Every module of the package by its path inside it, parsed."""
    package = checkout / "omniopt"
    return {
        path.relative_to(package).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(package.rglob("*.py"))
    }


def imported(tree: ast.Module) -> set[str]:
    """The top-level packages that a module imports anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_no_registry_and_no_machine_in_tracked_files(tracked: list[Path], checkout: Path) -> None:
    # put together here, so that this file does not hold what it looks for
    forbidden = [
        "pypi" + ".org",
        "pythonhosted" + ".org",
        "npmjs" + ".org",
        "file:" + "///",
        "--index" + "-url http",
    ]
    forbidden += [f"{place}/" for place in (str(Path.home()), str(checkout.parent)) if len(place) > 4]
    found = []
    for path in tracked:
        text = path.read_bytes().decode("utf-8", errors="ignore")
        found += [f"{path.relative_to(checkout)} holds {words}" for words in forbidden if words in text]
    assert not found


def test_readme_opens_with_the_two_commands(checkout: Path) -> None:
    first_block = re.search(
        r"```\w*\n(.*?)```", (checkout / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert first_block is not None
    commands = [line.split("#")[0].strip() for line in first_block[1].strip().splitlines()]
    assert commands == ["make run", "make test"]


def test_the_readme_example_says_what_comes_out(checkout: Path) -> None:
    text = (checkout / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    plan = names["plan"]
    assert f"('{plan.status}', {plan.objective:.1f}, {plan.bound:.1f})" in example
    chosen = sorted(zip(plan.contacts["customer_id"], plan.contacts["action_id"], strict=True))
    assert chosen == [("ann", "letter"), ("bob", "call")]
    assert names["cheaper"].objective == pytest.approx(6)


def test_links_between_pages_lead_somewhere(tracked: list[Path], checkout: Path) -> None:
    pages = [path for path in tracked if path.suffix == ".md"]
    broken = [
        f"{page.relative_to(checkout)} links to {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert pages
    assert not broken


def test_ci_uses_the_commands_of_the_readme(checkout: Path) -> None:
    script = (checkout / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(r"^make test$", script, re.MULTILINE)
    assert (checkout / ".ci" / "run").stat().st_mode & 0o111


def test_modules_hold_one_concern(checkout: Path) -> None:
    lengths = {
        path: len(path.read_text(encoding="utf-8").splitlines())
        for path in (checkout / "omniopt").rglob("*.py")
    }
    assert {str(path): lines for path, lines in lengths.items() if lines > 450} == {}


@pytest.mark.parametrize(
    ("library", "room"),
    [
        ("pulp", "decisions/"),
        ("distributed", "decisions/"),
        ("papermill", "runs/"),
        ("ipywidgets", "review/"),
        ("sqlalchemy", "tables/"),
    ],
)
def test_one_module_alone_imports(modules: dict[str, ast.Module], library: str, room: str) -> None:
    importers = [name for name, tree in modules.items() if library in imported(tree)]
    assert len(importers) == 1
    assert importers[0].startswith(room)


@pytest.mark.parametrize("statement", ["import omniopt", "import omniopt.cli", "import omniopt.__main__"])
def test_the_door_is_light(statement: str) -> None:
    code = f"import sys; {statement}; print([name for name in {HEAVY!r} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    import omniopt

    assert all(getattr(omniopt, name) is not None for name in omniopt.__all__)
    assert set(omniopt.__all__) <= set(dir(omniopt))
    with pytest.raises(AttributeError, match="optimize"):
        omniopt.optimise  # noqa: B018


def test_notebooks_are_kept_without_outputs(tracked: list[Path]) -> None:
    notebooks = [path for path in tracked if path.suffix == ".ipynb"]
    assert notebooks
    for path in notebooks:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        run = [
            cell
            for cell in cells
            if cell["cell_type"] == "code" and (cell["outputs"] or cell["execution_count"])
        ]
        assert not run, path.name


def test_every_dependency_is_locked(checkout: Path) -> None:
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["dev"], *extras["examples"], *extras["cluster"]]
    lock = (checkout / "requirements.lock").read_text(encoding="utf-8")
    locked = {name.lower().replace("_", "-") for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}
    names = {re.split(r"[\[<>=;]", line)[0].strip().lower() for line in wanted}
    assert names <= locked
    assert "://" not in lock


def test_the_lock_brings_both_pulps(checkout: Path) -> None:
    lock = (checkout / "requirements.lock").read_text(encoding="utf-8")
    assert re.search(r"^pulp==3\.3\.\d+ ; python_full_version < '3\.12'", lock, re.MULTILINE)
    assert re.search(r"^pulp==4\.\d+\.\d+ ; python_full_version >= '3\.12'", lock, re.MULTILINE)

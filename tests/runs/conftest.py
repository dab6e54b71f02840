import sys
import textwrap
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from handmade import BASELINES, CERTIFICATE, CONTACTS, POLICY, PROJECT, REASONS, TABLES

from omniopt.project import Project
from omniopt.runs import manifest
from omniopt.runs.notebook import Run
from omniopt.runs.report import Result


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The folder of a small project."""
    folder = tmp_path / "small project"
    folder.mkdir()
    for name, content in {"omniopt.yaml": PROJECT, "policy.yaml": POLICY, **TABLES}.items():
        (folder / name).write_text(textwrap.dedent(content), encoding="utf-8")
    return folder


@pytest.fixture
def result(small: Path, tmp_path: Path) -> Result:
    """A plan made by hand in a run folder, with all that notebooks leave beside it."""
    run = Run(Project.load(small), tmp_path / "run")
    run.folder.mkdir()
    manifest.write(run.folder, manifest.begin(run.project, "20261122-120000-small", {"gap": 0.001}, False))
    run.keep("baselines", BASELINES)
    checks = [{"name": "limits", "ok": True, "detail": "customer C00001 is fine"}]
    run.keep("verification", {"ok": True, "bound_proven": 69.006, "checks": checks, "findings": [], "of": {}})
    return Result(run, CONTACTS, REASONS, CERTIFICATE)

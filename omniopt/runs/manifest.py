"""What a run was made of: inputs with their hashes, parameters, seed, versions; nothing of the machine."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from omniopt import __version__
from omniopt.project import Project

FILE = "manifest.json"
_PACKAGES = (
    "numpy", "pandas", "pyarrow", "scipy", "scikit-learn", "numba", "pulp", "highspy", "matplotlib",
    "papermill", "nbconvert", "ipykernel",
)  # fmt: skip


def now() -> str:
    """The time in UTC, to the second."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def versions() -> dict[str, str]:
    """Versions of Python, of this package and of those that a result depends on."""
    found = {"omniopt": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def begin(project: Project, run_id: str, parameters: Mapping[str, Any], report_only: bool) -> dict[str, Any]:
    """Make the manifest of a run that starts now.

    Parameters
    ----------
    project : Project
        Its tables are read already, or will be now.
    run_id : str
        The run's id.
    parameters : mapping
        Typed values of the parameters that the user gave.
    report_only : bool
        Whether this is a rehearsal, without lists for execution.
    """
    horizon = project.spec.horizon
    return {
        "run_id": run_id,
        "project": project.spec.name,
        "horizon": None if horizon is None else {"start": horizon.start.isoformat(), "days": horizon.days},
        "report_only": report_only,
        "parameters": dict(parameters),
        "seed": project.spec.seed,
        "inputs": project.read(coded=True).inputs,
        "versions": versions(),
        "started": now(),
        "finished": None,
        "status": "running",
    }


def write(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest into a run folder."""
    text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def read(folder: Path) -> dict[str, Any] | None:
    """The manifest of a run folder, or None where notebooks are run by hand."""
    path = folder / FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

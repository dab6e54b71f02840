"""What the notebooks call first: the project and the folder they work in, by hand as under papermill.

Under papermill the folder is the run's working folder, with a manifest that the pipeline began. By hand it is
any folder; what the notebooks leave there for each other is the same.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from omniopt.errors import BadInput, Fault, Infeasible, OmnioptError, StoppedWithoutPlan
from omniopt.project import PROJECT_FILE, Project
from omniopt.runs import manifest, share
from omniopt.tables import Tables, read_parquet, sha256_of, write_parquet

ERROR = (
    "error.json"  # how a failed notebook tells the pipeline what was wrong, with every fault and its place
)


@dataclass(frozen=True)
class Run:
    """A run in the making: a project, and the folder where notebooks leave what the next ones need.

    Parameters
    ----------
    project : Project
        What is planned.
    folder : Path
        Where everything goes.
    """

    project: Project
    folder: Path

    @property
    def tables(self) -> Tables:
        """The project's tables; candidates as codes, for no notebook looks at them one by one."""
        return self.project.read(coded=True)

    @property
    def needs_scores(self) -> bool:
        """Whether values are worked out from scores; a project may bring candidates with values instead."""
        return not self.tables.brings_candidates or self.tables.scores is not None

    @property
    def own_model(self) -> bool:
        """Whether scores are those of a model made here; a project may bring scores or candidates."""
        return not self.tables.brings_candidates and self.tables.scores is None

    def scores(self) -> pd.DataFrame | None:
        """The scores that notebook 02 left; None where it makes none, whatever lies in the folder.

        What their model was warned of is in ``attrs["warnings"]``, where `omniopt.optimize` looks for it.
        """
        scores = self.frame("scores") if self.own_model else None
        if scores is not None:
            scores.attrs["warnings"] = (self.mapping("model") or {}).get("warnings", [])
        return scores

    def verdict(self) -> dict[str, Any] | None:
        """What verification said of the very plan that is in the folder; None if it was not asked."""
        said = self.mapping("verification")
        return said if said and said.get("of") == plan_hashes(self.folder) else None

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The run's manifest; by hand, one that is made up on the spot and calls itself a draft."""
        return manifest.read(self.folder) or manifest.begin(self.project, "draft", {}, report_only=True)

    def keep(self, name: str, what: pd.DataFrame | dict[str, Any] | None) -> None:
        """Leave a frame (Parquet) or a mapping (JSON) in the folder; None leaves nothing."""
        if isinstance(what, pd.DataFrame):
            write_parquet(what, self.folder / f"{name}.parquet")
        elif what is not None:
            (self.folder / f"{name}.json").write_text(json.dumps(what, indent=2) + "\n", encoding="utf-8")

    def frame(self, name: str) -> pd.DataFrame | None:
        """A frame that an earlier notebook left, or None."""
        path = self.folder / f"{name}.parquet"
        return read_parquet(path) if path.is_file() else None

    def mapping(self, name: str) -> dict[str, Any] | None:
        """A mapping that an earlier notebook left, or None."""
        path = self.folder / f"{name}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def begin(project: str | Path = "", folder: str | Path = ".") -> Run:
    """Start a notebook.

    Parameters
    ----------
    project : str or Path
        omniopt.yaml or its folder. Empty: the project around the working folder, or else the example.
    folder : str or Path
        Where the run's files go; made if it is not there.

    Raises
    ------
    BadInput
        There is no such project, or it cannot be read.
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    _tell_pipeline_of_errors(place)
    return Run(Project.load(project or nearby()), place)


def plan_hashes(folder: Path) -> dict[str, str]:
    """Hashes of a plan's files, by which a later reader knows whether it is still the same plan."""
    return {
        name: sha256_of(folder / name)
        for name in ("plan.parquet", "certificate.json")
        if (folder / name).is_file()
    }


def nearby() -> Path:
    """The project around the working folder; without one, the example that travels with the package."""
    here = Path.cwd()
    around = [folder for folder in (here, *here.parents[:2]) if (folder / PROJECT_FILE).is_file()]
    return around[0] if around else share.root() / "data" / share.EXAMPLE


def error_as_json(error: OmnioptError) -> dict[str, Any]:
    """An error as something `error_from_json` makes the same error of, in another process."""
    faults = [asdict(fault) for fault in error.faults] if isinstance(error, BadInput) else []
    return {"error": type(error).__name__, "message": str(error), "faults": faults}


def error_from_json(said: dict[str, Any]) -> OmnioptError | None:
    """The error that `error_as_json` described; None for any other error."""
    for kind in (Infeasible, StoppedWithoutPlan):
        if said["error"] == kind.__name__:
            return kind(said["message"])
    return BadInput([Fault(**fault) for fault in said["faults"]]) if said["error"] == "BadInput" else None


def _tell_pipeline_of_errors(folder: Path) -> None:
    """Have this package's errors written into the folder when they end a cell; they are shown as ever."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None:
        return
    place = folder.resolve()

    def tell(shell: Any, kind: type, error: OmnioptError, trace: Any, tb_offset: int | None = None) -> None:
        (place / ERROR).write_text(json.dumps(error_as_json(error)) + "\n", encoding="utf-8")
        shell.showtraceback((kind, error, trace), tb_offset=tb_offset)

    (place / ERROR).unlink(missing_ok=True)
    shell.set_custom_exc((OmnioptError,), tell)

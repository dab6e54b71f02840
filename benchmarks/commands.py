"""Commands of omniopt run as a user runs them: in a process of their own, timed, on so many cores."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KEPT = ("status", "objective", "bound", "gap", "candidates", "customers", "coupling_rows", "solver", "seconds",
        "peak_memory_mb")  # fmt: skip


def python(*arguments: str, cores: int = 0) -> tuple[int, float, float, str]:
    """Run Python in a process of its own.

    Parameters
    ----------
    *arguments : str
        Its arguments.
    cores : int
        How many cores it may use; 0 for all. Needs ``taskset``, which is on Linux.

    Returns
    -------
    tuple
        Exit status, seconds, the process's largest resident memory in MB, and what it printed.
    """
    command = [sys.executable, *arguments]
    if cores and shutil.which("taskset"):
        command = ["taskset", "-c", ",".join(map(str, sorted(_allowed())[:cores])), *command]
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
    assert process.stdout is not None
    said = process.stdout.read().decode()
    # wait4 tells the memory of this child alone
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return process.returncode, seconds, usage.ru_maxrss / unit, said


def _allowed() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def optimize(
    project: Path,
    out: Path,
    *,
    gap: float,
    solver: str = "auto",
    time_limit: float | None = None,
    warm_start: Path | None = None,
    cores: int = 0,
) -> dict[str, Any]:
    """Run ``omniopt optimize`` and return what it took and what its certificate says."""
    arguments = ["-m", "omniopt", "optimize", str(project), "--out", str(out), "--gap", str(gap)]
    arguments += ["--solver", solver]
    if time_limit is not None:
        arguments += ["--time-limit", str(time_limit)]
    if warm_start is not None:
        arguments += ["--warm-start", str(warm_start)]
    status, seconds, memory, said = python(*arguments, cores=cores)
    found: dict[str, Any] = {"exit": status, "command_seconds": seconds, "command_peak_mb": memory}
    certificate = out / "certificate.json"
    if certificate.exists():
        read = json.loads(certificate.read_text())
        return found | {key: read.get(key) for key in KEPT}
    return found | {"said": said.strip()}

"""Commands of omniopt run as a user runs them: in a process of their own, timed, on so many cores."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
#: What is taken over from a certificate.
KEPT = (
    "status", "objective", "bound", "gap", "candidates", "customers", "coupling_rows", "solver", "seconds",
)  # fmt: skip


def python(*arguments: str, cores: int = 0, seconds: float | None = None) -> tuple[int, float, float, str]:
    """Run Python in a process of its own.

    Parameters
    ----------
    *arguments : str
        Its arguments.
    cores : int
        How many cores it may use; 0 for all. Needs ``taskset``, which is on Linux.
    seconds : float, optional
        After which the process and its children are ended.

    Returns
    -------
    tuple
        Exit status, seconds, the largest resident memory of the process in MB (0 where the system does not
        tell), and what it printed.
    """
    command = [sys.executable, *arguments]
    if cores and shutil.which("taskset"):
        command = ["taskset", "-c", ",".join(map(str, sorted(_allowed())[:cores])), *command]
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed is not parsed again by every command
    signal.signal(signal.SIGTERM, _leave)
    began, memory = time.perf_counter(), 0.0
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=subprocess.STDOUT, env=environment, process_group=0
        )
        try:
            while process.poll() is None:
                # not from getrusage: what the parent had in memory when it started the child counts there
                memory = max(memory, _peak_mb(process.pid))
                if seconds is not None and time.perf_counter() - began > seconds:
                    os.killpg(process.pid, signal.SIGKILL)
                time.sleep(0.01)
            taken = time.perf_counter() - began
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        said.seek(0)
        return process.returncode, taken, memory, said.read().decode(errors="replace")


def _leave(number: int, _: Any) -> None:
    """End as an exception does, so that the process that was started is ended too."""
    raise SystemExit(128 + number)


def _peak_mb(process: int) -> float:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(found[0]) / 1024 if found else 0.0


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

"""omniopt beside other ways to solve the same problem, in one run: ``python benchmarks/side_by_side.py``.

The problem is a synthetic one (see synthetic.py), or the project that ``--project`` names. omniopt is
timed from tables in memory, building included; the rivals from the model's arrays, stating it in
their terms included. A rival that is cut off counts with its time so far, which is then a lower bound.
The yardstick is one ``numpy.maximum.reduceat`` over the candidates' values, the median of five.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from commands import python
from rivals import RIVALS, save
from synthetic import CASES, project

import omniopt as oo
from omniopt.decisions.problem import build_problem

REPEATS = 5
GRACE = 300.0  # seconds that a rival may take to state the model and to notice that its time is up


def seconds_of(job: Callable[[], Any]) -> float:
    """Return the median of how long a job takes."""
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        job()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def ours(given: oo.Project, gap: float, solver: str) -> tuple[oo.Plan, dict[str, Any]]:
    """Solve as often as the median needs; return the plan and what it took."""
    oo.optimize(project(100), gap=gap, solver=solver)  # compiles what is not compiled yet
    given.read()
    plan = oo.optimize(given, gap=gap, solver=solver)
    seconds = seconds_of(lambda: oo.optimize(given, gap=gap, solver=solver))
    certificate = plan.certificate
    kept = ("status", "objective", "bound", "gap", "solver", "seconds")
    return plan, {"total_seconds": seconds, **{key: certificate[key] for key in kept}}


def rival(name: str, file: Path, gap: float, seconds: float, threads: int) -> dict[str, Any]:
    """Let a rival solve the model in a file."""
    script = str(Path(__file__).with_name("rivals.py"))
    arguments = (name, str(file), "--gap", str(gap), "--time-limit", str(seconds), "--threads", str(threads))
    status, taken, memory, said = python(script, *arguments, seconds=seconds + GRACE)
    found: dict[str, Any] = {"peak_memory_mb": memory}
    try:
        found |= json.loads(said.splitlines()[-1])
    except (json.JSONDecodeError, IndexError):
        found |= {"cut_off": True, "exit": status, "said": said[-500:], "solve_seconds": taken}
    if "solve_seconds" in found:
        found["total_seconds"] = found.get("build_seconds", 0.0) + found["solve_seconds"]
    return found


def compared(found: dict[str, Any], plan: oo.Plan, seconds: float) -> dict[str, Any]:
    """Add how a rival's time and plan compare with ours."""
    if "total_seconds" in found:
        least = "at least " if found["cut_off"] else ""
        found["times_ours"] = f"{least}{found['total_seconds'] / seconds:.1f}"
    if "objective" in found:
        found["below_our_bound"] = (plan.bound - found["objective"]) / max(1.0, abs(plan.bound))
    return found


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--project", type=Path)
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--case", choices=list(CASES), default="one")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--round", type=float, default=0.0)
    parser.add_argument("--gap", type=float, default=1e-4)
    parser.add_argument("--time-limit", type=float, default=600.0, metavar="S", help="for each rival")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--solver", default="decomposed")
    parser.add_argument("--rivals", nargs="*", choices=list(RIVALS), default=list(RIVALS))
    a = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):  # children keep to the same cores
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: a.cores])
    given = oo.Project.load(a.project) if a.project else project(a.customers, a.case, a.rows, a.round)
    plan, mine = ours(given, a.gap, a.solver)
    problem = build_problem(given)
    starts = np.flatnonzero(np.diff(problem.candidates.customer, prepend=-1))
    values = problem.objective
    yardstick = seconds_of(lambda: np.maximum.reduceat(values, starts))
    answer = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()} {platform.system()}, {a.cores} cores",
        "customers": len(starts),
        "candidates": len(problem),
        "coupling_rows": len(problem.coupling),
        "gap_asked_for": a.gap,
        "yardstick_seconds": yardstick,
        "omniopt": mine | {"in_yardsticks": mine["total_seconds"] / yardstick},
    }
    with tempfile.TemporaryDirectory() as folder:
        save(problem, file := Path(folder) / "model.npz")
        for name in a.rivals:
            answer[name] = compared(
                rival(name, file, a.gap, a.time_limit, a.cores), plan, mine["total_seconds"]
            )
    print(json.dumps(answer, indent=1))


if __name__ == "__main__":
    main()

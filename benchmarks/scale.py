"""How the solver grows: ``python benchmarks/scale.py CASE…``, each case against its target.

A case writes its synthetic project below ``--data`` (where it is kept for the next time), runs
``omniopt optimize`` on it as often as ``--repeat`` says, each in a process of its own on ``--cores``
cores, and prints one JSON object: medians of the seconds for the solve and for the whole command, the
gap, the largest resident memory, and the solve in yardsticks (see yardstick.py) of the same run.

"growth" runs the one-contact case at 10,000, 100,000, 1,000,000 and 10,000,000 customers, as far as
``--up-to`` allows; "warm" changes the budget of a solved project that is still in memory.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import synthetic
from commands import ROOT, optimize, python

import omniopt as oo
from omniopt.errors import StoppedWithoutPlan

MILLION = 1_000_000


@dataclass(frozen=True)
class Case:
    """A synthetic project, and what its solve may take; 0 where nothing is asked."""

    gap: float
    yardsticks: float = 0.0
    seconds: float = 0.0
    memory_gb: float = 0.0
    customers: int = MILLION
    case: str = "one"
    rows: int | None = None
    round_to: float = 0.0


CASES = {
    "one": Case(1e-6, yardsticks=40, memory_gb=3),
    "rows": Case(1e-5, yardsticks=120, rows=300),
    "ties 0.25": Case(1e-5, yardsticks=120, round_to=0.25),
    "ties 1.0": Case(1e-5, yardsticks=120, round_to=1.0),
    "costs": Case(1e-6),
    "windows": Case(1e-5, yardsticks=150, memory_gb=8, case="windows"),
    "lags": Case(1e-5, seconds=60, case="lags"),
    "ten million": Case(1e-6, memory_gb=12, customers=10 * MILLION),
}
#: Customers, and the gap asked for: the fewer there are, the more each contact counts.
GROWTH = {10_000: 1e-4, 100_000: 1e-5, MILLION: 1e-6, 10 * MILLION: 1e-6}
WARM_YARDSTICKS = 10
#: What the budget is multiplied by for the warm starts.
BUDGETS = (0.97, 1.03, 0.9, 1.1, 0.99)
OTHERS = ("growth", "warm")


def project_of(case: Case, data: Path) -> Path:
    """Return the case's project folder, writing it if it is not there."""
    names = [case.case, str(case.customers), *([f"rows{case.rows}"] if case.rows else [])]
    folder = data / "-".join([*names, *([f"round{case.round_to}"] if case.round_to else [])])
    if not (folder / "omniopt.yaml").exists():  # it is written last
        shutil.rmtree(folder, ignore_errors=True)
        synthetic.write(folder, case.customers, case.case, case.rows, case.round_to)
    return folder


def run(case: Case, data: Path, repeat: int, cores: int, time_limit: float, verify: bool) -> dict[str, Any]:
    """Solve a case so many times; return medians, and the figures that its target speaks of."""
    folder = project_of(case, data)
    found: dict[str, Any] = {"customers": case.customers, "case": case.case}
    found |= _child("yardstick.py", str(folder), cores=cores)
    runs = []
    with tempfile.TemporaryDirectory(dir=data) as scratch:
        out = Path(scratch) / "run"
        for _ in range(repeat):
            runs.append(optimize(folder, out, gap=case.gap, time_limit=time_limit, cores=cores))
            if "seconds" not in runs[-1]:
                return found | runs[-1]
        if verify:
            status, taken, memory, said = python("-m", "omniopt", "verify", str(out), cores=cores)
            found["verify"] = {
                "exit": status,
                "seconds": taken,
                "peak_mb": memory,
                "said": said.strip()[-300:],
            }
    solve = statistics.median(r["seconds"]["solve"] for r in runs)
    whole = statistics.median(r["command_seconds"] for r in runs)
    found |= {
        **{
            key: runs[-1][key]
            for key in ("status", "objective", "bound", "candidates", "coupling_rows", "solver")
        },
        "gap": max(r["gap"] for r in runs),
        "seconds": {
            part: statistics.median(r["seconds"][part] for r in runs) for part in runs[-1]["seconds"]
        },
        "solve_in_yardsticks": solve / found["yardstick_seconds"],
        "command_seconds": whole,
        "command_in_three_solves_and_reading": whole / (3 * solve + found["pyarrow_seconds"]),
        "peak_gb": max(r["command_peak_mb"] for r in runs) / 1024,
    }
    return found | {"target": _judged(case, found)}


def _judged(case: Case, found: dict[str, Any]) -> dict[str, Any]:
    """Set each figure of the target beside what was reached."""
    pairs = {
        "gap": (found["gap"], case.gap),
        "yardsticks": (found["solve_in_yardsticks"], case.yardsticks),
        "seconds": (found["seconds"]["solve"], case.seconds),
        "memory_gb": (found["peak_gb"], case.memory_gb),
    }
    return {
        name: {"asked": asked, "reached": reached, "met": reached <= asked}
        for name, (reached, asked) in pairs.items()
        if asked
    }


def growth(data: Path, up_to: int, repeat: int, cores: int, time_limit: float) -> list[dict[str, Any]]:
    """Solve the one-contact case at each size."""
    kept = (
        "customers",
        "status",
        "gap",
        "seconds",
        "solve_in_yardsticks",
        "command_seconds",
        "pyarrow_seconds",
        "peak_gb",
    )
    table = []
    for customers, gap in GROWTH.items():
        if customers <= up_to:
            found = run(Case(gap, customers=customers), data, repeat, cores, time_limit, verify=False)
            table.append(found if "said" in found else {key: found[key] for key in kept})
    for smaller, larger in zip(table, table[1:], strict=False):
        larger["command_times_the_last"] = larger["command_seconds"] / smaller["command_seconds"]
    return table


def warm(folder: Path, time_limit: float) -> dict[str, Any]:
    """Solve a project, then again with one budget after another, from the plan before."""
    gap = CASES["one"].gap
    given = oo.Project.load(folder)
    plan = oo.optimize(given, gap=gap, time_limit=time_limit, solver="decomposed")
    limit = next(rule for rule in given.policy["limits"] if rule["name"] == "budget")
    solves, wholes = [], []
    gaps: list[float | None] = []
    for factor in BUDGETS:
        changed = given.with_limit("budget", max=limit["max"] * factor)
        began = time.perf_counter()
        try:
            found = oo.optimize(changed, gap=gap, time_limit=time_limit, solver="decomposed", warm_start=plan)
        except StoppedWithoutPlan:  # counts with its time so far
            wholes.append(time.perf_counter() - began)
            solves.append(wholes[-1])
            gaps.append(None)
            continue
        wholes.append(time.perf_counter() - began)
        solves.append(found.certificate["seconds"]["solve"])
        gaps.append(found.gap)
        plan = found
    return {
        "solve_seconds": statistics.median(solves),
        "whole_seconds": statistics.median(wholes),
        "each_solve": solves,
        "each_gap": gaps,  # none where no plan was found in time
    }


def _warm(data: Path, cores: int, time_limit: float) -> dict[str, Any]:
    folder = project_of(CASES["one"], data)
    found = _child("yardstick.py", str(folder), cores=cores)
    arguments = ("warm", "--in-memory", str(folder), "--time-limit", str(time_limit))
    found |= _child("scale.py", *arguments, cores=cores)
    in_yardsticks = found["solve_seconds"] / found["yardstick_seconds"]
    met = in_yardsticks <= WARM_YARDSTICKS
    return found | {"target": {"asked": WARM_YARDSTICKS, "reached": in_yardsticks, "met": met}}


def _child(script: str, *arguments: str, cores: int) -> dict[str, Any]:
    """Run a script of this folder and return the JSON object that it prints."""
    status, _, memory, said = python(str(ROOT / "benchmarks" / script), *arguments, cores=cores)
    if status:
        raise RuntimeError(f"{script} ended with exit status {status}:\n{said}")
    return json.loads(said[said.index("{") :]) | ({"peak_gb": memory / 1024} if script == "scale.py" else {})


def main() -> None:
    """Run the cases that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("cases", nargs="+", choices=[*CASES, *OTHERS], metavar="CASE")
    parser.add_argument("--data", type=Path, default=Path("benchmark-data"), help="where projects are kept")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--time-limit", type=float, default=600.0, metavar="S", help="for each solve")
    parser.add_argument("--up-to", type=int, default=max(GROWTH), metavar="N", help="customers, for growth")
    parser.add_argument("--verify", action="store_true", help="let omniopt verify check the last plan")
    parser.add_argument("--in-memory", type=Path, help=argparse.SUPPRESS)  # the child of "warm"
    given = parser.parse_args()
    if given.in_memory:
        print(json.dumps(warm(given.in_memory, given.time_limit)))
        return
    given.data.mkdir(parents=True, exist_ok=True)
    options = (given.repeat, given.cores, given.time_limit)
    for name in given.cases:
        if name == "growth":
            found: Any = growth(given.data, given.up_to, *options)
        elif name == "warm":
            found = _warm(given.data, given.cores, given.time_limit)
        else:
            found = run(CASES[name], given.data, *options, given.verify)
        print(json.dumps({"name": name, "result": found}, indent=1), flush=True)


if __name__ == "__main__":
    main()

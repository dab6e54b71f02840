"""What a cluster has to hold, send and wait for: ``python benchmarks/cluster.py --customers N``.

Builds the one-contact project of synthetic.py (kept below ``--data``), solves it here and on a local
cluster of ``--workers`` processes, and prints one JSON object: bytes per customer that the workers
keep, bytes that a pass sends out and brings back, seconds per pass here and there, how many passes a
solve makes, and the memory of the process that leads. Medians of five passes.
"""

from __future__ import annotations

import argparse
import json
import pickle
import resource
import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from distributed import Client, LocalCluster
from scale import Case, project_of

import omniopt as oo
from omniopt.decisions.large.build import build_large
from omniopt.decisions.large.cluster import ClusterEngine
from omniopt.decisions.large.prices import worth_table
from omniopt.decisions.large.search import search_by_rank
from omniopt.decisions.large.shape import Large
from omniopt.decisions.large.sweep import Engine

GAP = 1e-5


class Counting(ClusterEngine):
    """Counts jobs and what comes back from them."""

    def _on_workers(self, job: Callable[..., Any], table: np.ndarray, *arguments: Any) -> list[Any] | None:
        began = time.perf_counter()
        parts = super()._on_workers(job, table, *arguments)
        name = job.__name__.strip("_")
        COUNTS[name] += 1
        SECONDS[name] += time.perf_counter() - began
        BACK[name] = sum(len(pickle.dumps(part)) for part in parts or [])
        return parts


COUNTS: Counter[str] = Counter()
SECONDS: Counter[str] = Counter()
BACK: dict[str, int] = {}


def timed(call: Callable[[], Any], times: int = 5) -> float:
    """Return the median of the seconds that a call takes, after one that does not count."""
    taken = []
    for _ in range(times + 1):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return round(statistics.median(taken[1:]), 4)


def measure(large: Large, workers: int) -> dict[str, Any]:
    """Take all figures of a problem."""
    given = (large.columns, large.templates, large.system, large.bins.width)
    units, k = large.columns.units, len(large.system)
    here = Engine(*given)
    found = search_by_rank(large, here, GAP, None, lambda *_: None)[-1]
    table = worth_table(large, found.prices)
    kept = sum(v.nbytes for v in here.data if isinstance(v, np.ndarray))
    result: dict[str, Any] = {
        "customers": units,
        "candidates": len(large),
        "limits": k,
        "bins": len(large.bins),
        "parts": len(here.cuts) - 1,
        "kept_bytes_per_customer": round(kept / units, 1),
        "leader_peak_bytes_per_customer": round(peak() / units),
        "table_bytes": table.nbytes,
        "seconds_here": {
            "pass": timed(lambda: here.sweep(table)),
            "pass_close": timed(lambda: here.near(table, 0.05)),
            "best": timed(lambda: here.best(table)),
            "solve": solved(large, here),
        },
    }
    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=1, memory_limit=0, dashboard_address=":0", silence_logs=50
        ) as cluster,
        Client(cluster) as client,
    ):
        there = Counting(*given, client=client)
        began = time.perf_counter()
        there.sweep(table)
        first = time.perf_counter() - began
        passed = {
            "pass": timed(lambda: there.sweep(table)),
            "pass_close": timed(lambda: there.near(table, 0.05)),
            "best": timed(lambda: there.best(table)),
        }
        COUNTS.clear()
        SECONDS.clear()
        passed["solve"] = solved(large, there)
        result |= {
            "workers": workers,
            "seconds_to_send": round(first - passed["pass"], 2),
            "seconds_there": passed,
            "jobs_of_a_solve": dict(COUNTS),
            "seconds_of_them": {name: round(s, 3) for name, s in SECONDS.items()},
            "bytes_back": BACK,
        }
    return result


def solved(large: Large, engine: Engine) -> float:
    """Return the seconds of a solve."""
    began = time.perf_counter()
    search_by_rank(large, engine, GAP, None, lambda *_: None)
    return round(time.perf_counter() - began, 3)


def peak() -> int:
    """Return the largest resident memory so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--customers", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--workers", type=int, default=2, metavar="W")
    parser.add_argument("--data", type=Path, default=Path("benchmark-data"), help="where projects are kept")
    given = parser.parse_args()
    folder = project_of(Case(GAP, customers=given.customers), given.data)
    large, _ = build_large(oo.Project.load(folder), None)
    print(json.dumps(measure(large, given.workers), indent=1))


if __name__ == "__main__":
    main()

"""The exact solver beside PuLP with HiGHS alone: ``python benchmarks/exact.py [CUSTOMERS] [SECONDS]``.

Makes a synthetic problem (30 actions per customer, one contact each, 71 limits), solves it to a
gap of 1e-4 both ways in the same run, and prints one JSON object. SECONDS bounds the rival,
whose time is then a lower bound. The yardstick is one ``numpy.maximum.reduceat`` over the
candidates' values.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
import pandas as pd

import omniopt as oo
from omniopt.decisions import Problem, build_problem, exact
from omniopt.decisions.model import state_model

GAP = 1e-4


def synthetic(customers: int, seed: int = 1) -> oo.Project:
    """Return a project of customers × 10 offers × 3 channels with a budget, desks and quotas."""
    rng = np.random.default_rng(seed)
    ids = np.array([f"c{i:07d}" for i in range(customers)])
    channels = {"call": 4.0, "mail": 1.0, "email": 0.1}
    grid = [(f"o{i}-{c}", f"o{i}", c) for i in range(10) for c in channels]
    actions = pd.DataFrame(grid, columns=["action_id", "offer_id", "channel"])
    size = customers * len(actions)
    candidates = pd.DataFrame(
        {
            "customer_id": np.repeat(ids, len(actions)),
            "action_id": np.tile(actions["action_id"].to_numpy(), customers),
            "value": rng.beta(1, 12, size) * rng.uniform(20, 100, size),
            "cost": np.tile(actions["channel"].map(channels).to_numpy(np.float64), customers),
        }
    )
    region = rng.integers(0, 10, customers).astype(str)
    n = float(customers)
    policy = {
        "objective": "value",
        "limits": [
            {"name": "budget", "measure": "cost", "max": 0.8 * n},
            {"name": "offer quota", "per": ["offer"], "max": 0.06 * n},
            {
                "name": "call desk",
                "where": {"channel": "call"},
                "per": ["customer.region"],
                "max": 0.01 * n,
            },
            {
                "name": "mail desk",
                "where": {"channel": "mail"},
                "per": ["customer.region"],
                "max": 0.02 * n,
            },
            {"name": "channel and region", "per": ["channel", "customer.region"], "max": 0.03 * n},
            {"name": "regional budget", "measure": "cost", "per": ["customer.region"], "max": 0.09 * n},
        ],
        "contact": [{"name": "one each", "max": 1}],
    }
    return oo.Project.from_frames(
        policy,
        actions=actions,
        candidates=candidates,
        customers=pd.DataFrame({"customer_id": ids, "region": region}),
    )


def timed(job: Any, *arguments: Any) -> tuple[float, Any]:
    """Run a job and return (seconds, result)."""
    began = time.perf_counter()
    result = job(*arguments)
    return time.perf_counter() - began, result


def pulp_alone(problem: Problem, seconds: float) -> exact.Outcome:
    """Hand the whole model to PuLP and HiGHS, building included."""
    m = state_model(problem)
    return exact.solve(m.objective, m.matrix, m.lo, m.hi, m.lower, m.upper, m.integer, GAP, seconds)


def main() -> None:
    """Run the comparison and print it."""
    customers = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    limit = float(sys.argv[2]) if len(sys.argv) > 2 else 600.0
    oo.optimize(synthetic(200), gap=GAP, solver="exact")  # compiles the kernels
    project = synthetic(customers)
    project.read()
    ours, plan = timed(oo.optimize, project, GAP, None, "exact")
    problem = build_problem(project)
    starts = np.flatnonzero(np.diff(problem.candidates.customer, prepend=-1))
    yardstick, _ = timed(np.maximum.reduceat, problem.objective, starts)
    rival, outcome = timed(pulp_alone, problem, limit)
    best = None if outcome.values is None else float(problem.objective @ outcome.values[: len(problem)])
    print(
        json.dumps(
            {
                "candidates": len(problem),
                "limits": len(problem.coupling),
                "yardstick_seconds": yardstick,
                "omniopt": {"seconds": ours, "gap": plan.gap, "objective": plan.objective},
                "pulp_highs": {"seconds": rival, "status": outcome.status, "objective": best},
                "times_faster": rival / ours,
                "in_yardsticks": ours / yardstick,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()

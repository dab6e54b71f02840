"""What each rule kind costs to solve: ``python benchmarks/rules.py [CUSTOMERS] [SECONDS] [KIND…]``.

A synthetic campaign (5 offers × 2 channels × 3 dates for every customer, a budget, a call desk per
date, one contact a week) is solved to a gap of 1e-4 by itself and with one rule of each kind added.
Prints one JSON object per line: seconds, and how many times the bare campaign's they are.
SECONDS bounds each solve, whose time is then a lower bound.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
import pandas as pd

import omniopt as oo
from omniopt.errors import Infeasible, StoppedWithoutPlan

GAP = 1e-4
CALLS, EMAILS = {"channel": "call"}, {"channel": "email"}


def campaign(customers: int, seed: int = 1) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """Return the bare campaign's policy and tables."""
    rng = np.random.default_rng(seed)
    ids = np.array([f"c{i:07d}" for i in range(customers)])
    grid = [
        (f"{o}-{c}-{d}", o, c, d) for o in ("card", "loan", "fund", "home", "life") for c in ("call", "email")
        for d in (1, 8, 15)
    ]  # fmt: skip
    actions = pd.DataFrame(grid, columns=["action_id", "offer_id", "channel", "date"])
    actions["agent"] = np.where(actions["channel"] == "call", "agent " + actions["date"].astype(str), "desk")
    size = customers * len(actions)
    candidates = pd.DataFrame(
        {
            "customer_id": np.repeat(ids, len(actions)),
            "action_id": np.tile(actions["action_id"].to_numpy(), customers),
            "value": rng.beta(1, 12, size) * rng.uniform(20, 100, size),
            "cost": np.tile(np.where(actions["channel"] == "call", 4.0, 0.2), customers),
        }
    )
    offers = pd.DataFrame(
        {
            "offer_id": ["card", "loan", "fund", "home", "life"],
            "category": ["pay", "credit", "save", "credit", "save"],
        }
    )
    people = pd.DataFrame(
        {
            "customer_id": ids,
            "household_id": [f"h{i // 2:07d}" for i in range(customers)],
            "region": rng.integers(0, 5, customers).astype(str),
        }
    )
    past = pd.DataFrame(
        {
            "customer_id": ids[::3], "offer_id": "card", "channel": "email", "date": -2,
            "outcome": np.where(np.arange(len(ids[::3])) % 2, "rejected", "delivered"),
        }
    )  # fmt: skip
    n = float(customers)
    policy = {
        "objective": "value - cost",
        "limits": [
            {"name": "budget", "measure": "cost", "max": 1.0 * n},
            {"name": "call desk", "where": CALLS, "per": ["date"], "max": 0.05 * n},
        ],
        "contact": [{"name": "one a week", "max": 1, "days": 7}],
    }
    return policy, {
        "actions": actions, "candidates": candidates, "offers": offers, "customers": people, "history": past
    }  # fmt: skip


def kinds(n: float) -> dict[str, tuple[str, Any]]:
    """Return one rule of each kind, with the section that it belongs to."""
    return {
        "nothing": ("limits", None),
        "after": ("eligibility", {"after": {"outcome": "rejected"}, "drop_same": "category", "for_days": 14}),
        "per": ("limits", {"per": ["customer.region", "offer"], "max": 0.06 * n}),
        "guarantee": ("limits", {"where": {"offer": "life"}, "min": 0.7 * n}),
        "share": ("limits", {"where": CALLS, "over": {"measure": "contacts"}, "max": 0.04}),
        "rolling_days": ("limits", {"where": EMAILS, "max": 0.8 * n, "rolling_days": 8}),
        "penalty": ("limits", {"where": {"offer": "life"}, "min": 0.9 * n, "penalty": 0.5}),
        "fixed_cost": ("limits", {"per": ["offer", "channel"], "fixed_cost": 0.15 * n}),
        "all_or_nothing": (
            "limits",
            {"per": ["offer"], "min": 0.6 * n, "all_or_nothing": True, "fixed_cost": 0.2 * n},
        ),
        "25 cells": (
            "limits",
            {
                "per": ["offer", "customer.region"],
                "min": 0.12 * n,
                "all_or_nothing": True,
                "fixed_cost": 0.05 * n,
            },
        ),  # fmt: skip
        "per category": ("contact", {"max": 1, "days": 30, "per": ["offer.category"], "history": True}),
        "every month": ("contact", {"max": 1, "every": "month"}),
        "occasions": ("contact", {"max": 2, "count": "occasions"}),
        "one agent": ("contact", {"max": 1, "count": "action.agent"}),
        "household": ("contact", {"unit": "household", "max": 3}),
        "min": ("contact", {"min": 2}),
        "min_or_none": ("contact", {"min": 2, "min_or_none": True}),
        "conflict": (
            "conflicts",
            {"first": {"offer": "loan"}, "then": {"offer": "home"}, "days": 30, "either_order": True},
        ),  # fmt: skip
        "requires": ("requires", {"offer": {"offer": "life"}, "needs": {"offer": "fund"}, "days": 14}),
        "ranks": ("objective", [{"maximise": "value - cost", "within": 0.01}, {"minimise": "contacts"}]),
    }


def main() -> None:
    """Solve the campaign with each rule and print what it took."""
    customers = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    limit = float(sys.argv[2]) if len(sys.argv) > 2 else 300.0
    wanted = sys.argv[3:]
    horizon = {"start": "2026-11-23", "days": 28}
    solve(*campaign(100), horizon, limit)  # compiles the kernels
    policy, tables = campaign(customers)
    bare = 0.0
    for name, (section, rule) in kinds(float(customers)).items():
        if wanted and name not in ("nothing", *wanted):
            continue
        changed = policy
        if section == "objective":
            changed = policy | {"objective": rule}
        elif rule is not None:
            changed = policy | {section: [*policy.get(section, []), {"name": name} | rule]}
        seconds, figures = solve(changed, tables, horizon, limit)
        bare = bare or seconds
        print(
            json.dumps({"rule": name, "seconds": seconds, "times_bare": seconds / bare} | figures), flush=True
        )


def solve(policy: Any, tables: Any, horizon: Any, limit: float) -> tuple[float, dict[str, Any]]:
    """Solve one campaign; return the seconds that it took, building included, and what came out."""
    project = oo.Project.from_frames(policy, horizon=horizon, **tables)
    project.read()
    began = time.perf_counter()
    try:
        plan = oo.optimize(project, gap=GAP, time_limit=limit)
    except (Infeasible, StoppedWithoutPlan) as error:
        return time.perf_counter() - began, {"status": type(error).__name__, "why": str(error)[:200]}
    taken = time.perf_counter() - began
    c = plan.certificate
    return taken, {
        "status": plan.status, "gap": plan.gap, "contacts": len(plan.contacts), "candidates": c["candidates"],
        "rows": c["coupling_rows"], "build": c["seconds"]["build"], "solve": c["seconds"]["solve"],
    }  # fmt: skip


if __name__ == "__main__":
    main()

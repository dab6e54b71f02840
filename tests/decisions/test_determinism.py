"""The same inputs give the same bytes, whatever the order of rows and columns, hash seed and threads."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest
import tiny
from agree import in_order, rows_of, sorted_as
from portions import slow_after

import omniopt as oo

HEAD = {"start": tiny.START, "days": 14}
# what may differ between two machines, two moments, or two orders of the same rows
ASIDE = ("seconds", "peak_memory_mb", "inputs", "versions")


def campaign(customers: int = 60, paired: bool = True) -> tiny.Case:
    """A project with rules of every kind and many ties; customers may live in pairs."""
    r = Random(3)
    regions = ["north", "south", "west"]
    actions = [(f"a{k}", ["loan", "card"][k % 2], ["email", "call", "sms"][k % 3], 1 + k) for k in range(9)]
    tables = {
        "customers": pd.DataFrame({"customer_id": range(customers),
            "region": [regions[c % 3] for c in range(customers)],
            "household_id": [c // 2 if paired else c for c in range(customers)]}),
        "offers": pd.DataFrame({"offer_id": ["loan", "card"], "category": ["credit", "plastic"]}),
        "channels": pd.DataFrame({"channel": ["email", "call", "sms"], "minutes": [0, 10, 1]}),
        "actions": pd.DataFrame(actions, columns=["action_id", "offer_id", "channel", "date"]),
        "candidates": pd.DataFrame([
            {"customer_id": c, "action_id": a[0], "value": r.randint(1, 8), "cost": r.randint(1, 3)}
            for c in range(customers) for a in actions
        ]),
        "history": pd.DataFrame([
            {"customer_id": c, "offer_id": "loan", "channel": "call", "date": -r.randint(0, 9),
                "outcome": "rejected" if c % 8 else "sent"}
            for c in range(0, customers, 4)
        ]),
        "desk": pd.DataFrame({"region": regions, "minutes": [40, 50, 60]}),
    }  # fmt: skip
    policy = {
        "objective": [{"maximise": "value - cost", "within": 0.05}, {"minimise": "contacts"}],
        "eligibility": [{"name": "rest", "after": {"outcome": "rejected"}, "drop_same": "category",
            "for_days": 12}],
        "limits": [
            {"name": "budget", "measure": "cost", "max": 120},
            {"name": "desk", "where": {"channel": "call"}, "per": "customer.region", "measure": "minutes",
             "max": {"table": "desk", "column": "minutes"}},
            {"name": "sms share", "where": {"channel": "sms"}, "over": {"measure": "contacts"}, "max": 0.4},
            {"name": "mails", "where": {"channel": "email"}, "max": 30, "rolling_days": 3},
            {"name": "launch", "where": {"offer": "card"}, "per": ["customer.region"], "min": 6,
             "all_or_nothing": True, "fixed_cost": 5},
            {"name": "guarantee", "where": {"channel": "sms"}, "min": 40, "penalty": 0.5},
            {"name": "watched", "max": 10, "report_only": True},
        ],
        "contact": [{"name": "pressure", "max": 2, "days": 7},
            {"name": "category", "max": 1, "per": ["offer.category"], "days": 14},
            {"name": "home", "max": 3, "every": "week", "unit": "household", "count": "occasions"},
            {"name": "both or none", "where": {"channel": ["email", "call"]}, "min": 2, "min_or_none": True}],
        "conflicts": [{"name": "calls", "first": {"channel": "call"}, "then": {"channel": "call"},
            "days": 10}],
        "requires": [{"name": "mail first", "offer": {"channel": "call"}, "needs": {"channel": "email"},
            "days": 9}],
    }  # fmt: skip
    return tiny.Case(tables, policy, HEAD, {})


def claims(plan: oo.decisions.Plan) -> dict:
    return {k: v for k, v in plan.certificate.items() if k not in ASIDE}


def saved(plan: oo.decisions.Plan, folder: Path) -> tuple[bytes, bytes, bytes]:
    plan.save(folder)
    return tuple((folder / f"{n}.parquet").read_bytes() for n in ("plan", "dropped", "alternatives"))  # type: ignore[return-value]


def solve(case: tiny.Case) -> oo.decisions.Plan:
    return oo.optimize(case.project(), gap=0.01)


def shuffled(case: tiny.Case, seed: int) -> tiny.Case:
    """The same case with the rows of every table shuffled and its columns in reverse."""
    draw = np.random.default_rng(seed)
    tables = {
        name: frame.iloc[draw.permutation(len(frame))].reset_index(drop=True)[frame.columns[::-1]]
        for name, frame in case.tables.items()
    }
    return replace(case, tables=dict(reversed(tables.items())))


def test_order_of_rows_and_columns_changes_nothing(tmp_path: Path) -> None:
    first = solve(campaign())
    again = solve(shuffled(campaign(), 1))
    assert saved(first, tmp_path / "a") == saved(again, tmp_path / "b")
    assert json.dumps(claims(first)) == json.dumps(claims(again))
    assert len(first.contacts) > 40


@pytest.mark.parametrize("part", slow_after(1, 3))
def test_order_changes_nothing_in_random_projects(part: int, tmp_path: Path) -> None:
    for number in range(3000 + 10 * part, 3010 + 10 * part):
        case = tiny.make(Random(number))
        try:
            first = solve(case)
        except oo.Infeasible:
            continue
        again = solve(shuffled(case, number))
        assert saved(first, tmp_path / "a") == saved(again, tmp_path / "b"), number
        assert json.dumps(claims(first)) == json.dumps(claims(again)), number


SCRIPT = """
import pickle, sys
from pathlib import Path
import omniopt as oo
tables, policy, horizon = pickle.loads(Path(sys.argv[1]).read_bytes())
oo.optimize(oo.Project.from_frames(policy, horizon=horizon, **tables), gap=0.01).save(sys.argv[2])
"""


def test_hash_seed_and_threads_change_nothing(tmp_path: Path) -> None:
    case = campaign()
    (tmp_path / "case").write_bytes(pickle.dumps((case.tables, case.policy, case.horizon)))
    here = saved(solve(case), tmp_path / "here")
    root = str(Path(oo.__file__).parents[1])
    running = []
    for seed, threads in (("1", "1"), ("4711", "2")):
        environment = os.environ | {
            "PYTHONHASHSEED": seed, "PYTHONPATH": root, "NUMBA_NUM_THREADS": threads,
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
        }  # fmt: skip
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / "case"), str(tmp_path / seed)]
        running.append((seed, subprocess.Popen(command, env=environment)))
    for seed, process in running:
        assert process.wait(timeout=120) == 0
        there = tuple(
            (tmp_path / seed / f"{n}.parquet").read_bytes() for n in ("plan", "dropped", "alternatives")
        )
        assert there == here
        told = json.loads((tmp_path / seed / "certificate.json").read_text())
        expected = json.loads((tmp_path / "here" / "certificate.json").read_text())
        assert {k: v for k, v in told.items() if k not in ASIDE} == {
            k: v for k, v in expected.items() if k not in ASIDE
        }


def test_the_campaign_is_solved_right() -> None:
    """Too large for brute force; its plan keeps the rules all the same, and its prices prove the bound."""
    case = campaign(18, paired=False)
    plan, reference = solve(case), case.reference()
    assert reference.keeps_all(rows_of(reference, plan))
    entries = in_order(reference, plan)
    prices = sorted_as(reference, plan, [entry["price"] for row, entry in entries if not row.report_only])
    assert abs(plan.certificate["bound_from_prices"] - reference.proven_by(prices)) < 1e-6

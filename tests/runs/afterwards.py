"""A small project with a finished run, a fifth of its customers held out, and what happened afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

import omniopt as oo
from omniopt.tables import read_parquet, write_parquet

RUN_ID = "20261130-060000-shop"
PROJECT = """
version: 1
name: shop
horizon: {start: 2026-11-30, days: 14}
tables: {customers: customers.csv, offers: offers.csv, actions: actions.csv, candidates: candidates.csv}
policy: {objective: value - cost, contact: [{name: one each, max: 1}]}
"""
CUSTOMERS = 600


def ids() -> np.ndarray:
    return np.array([f"c{i:04d}" for i in range(CUSTOMERS)])


def make(folder: Path) -> Path:
    """Write the project, and a plan in reports/ with every fifth customer held out; return its folder."""
    folder.mkdir()
    customer = ids()
    region = np.where(np.arange(CUSTOMERS) % 3 == 0, "north", "south")
    pd.DataFrame({"customer_id": customer, "region": region}).to_csv(folder / "customers.csv", index=False)
    (folder / "offers.csv").write_text("offer_id,business_unit\ncard,retail\nloan,lending\n")
    actions = "card-mail,card,mail,2026-12-01\nloan-email,loan,email,2026-12-03\n"
    (folder / "actions.csv").write_text(f"action_id,offer_id,channel,date\n{actions}")
    rng = np.random.default_rng(1)
    parts = [
        pd.DataFrame(
            {
                "customer_id": customer,
                "action_id": action,
                "value": 50 * p,
                "cost": 1.0,
                "response": p,
            }
        )
        for action in ("card-mail", "loan-email")
        for p in (rng.uniform(0.2, 0.5, CUSTOMERS),)
    ]
    pd.concat(parts).to_csv(folder / "candidates.csv", index=False)
    (folder / "omniopt.yaml").write_text(PROJECT)
    run = folder / "reports" / RUN_ID
    oo.optimize(oo.Project.load(folder)).save(run)
    hold_out(run, region)
    return run


def hold_out(run: Path, region: np.ndarray) -> None:
    """Take the contacts of every fifth customer out of the plan, and write who was in which arm."""
    control = np.arange(CUSTOMERS) % 5 == 0
    plan = read_parquet(run / "plan.parquet")
    plan = plan[~plan["customer_id"].isin(ids()[control])].reset_index(drop=True)
    write_parquet(plan, run / "plan.parquet")
    arms = {"customer_id": ids(), "offer_id": None, "arm": np.where(control, "control", "treated")}
    arms |= {"probability": np.where(control, 0.2, 0.8), "stratum": region}
    write_parquet(pd.DataFrame({**arms, "date": pd.Timestamp("2026-11-30")}), run / "experiment.parquet")
    manifest = {"run_id": RUN_ID, "project": "shop", "finished": "2026-11-30T07:00:00Z", "report_only": False}
    (run / "manifest.json").write_text(json.dumps(manifest))


def outcomes(until: str = "2026-12-27") -> pd.DataFrame:
    """What happened: of the treated 36 of a hundred respond, of the control group 10, each bringing 40."""
    customer = ids()
    rng = np.random.default_rng(2)
    control = np.arange(CUSTOMERS) % 5 == 0
    responds = rng.random(CUSTOMERS) < np.where(control, 0.10, 0.36)
    days = pd.Timestamp("2026-12-04") + pd.to_timedelta(rng.integers(0, 20, CUSTOMERS), unit="D")
    rows = pd.DataFrame(
        {
            "customer_id": customer,
            "date": days.strftime("%Y-%m-%d"),
            "offer_id": rng.choice(["card", "loan"], CUSTOMERS),
            "channel": "shop",
            "outcome": "responded",
            "value": 40.0,
        }
    )[responds]
    nobody = {"customer_id": "c0001", "date": until, "offer_id": None, "channel": "web", "outcome": "clicked"}
    rows = pd.concat([rows, pd.DataFrame([{**nobody, "value": None}])], ignore_index=True)
    return rows[rows["date"] <= until]

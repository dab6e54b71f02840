"""A small project with a plan made by hand, and notebooks that copy it: runs and reports without a solver."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd

from omniopt.tables import write_parquet

EVIL = "<script>alert('x')</script>"

PROJECT = """
version: 1
name: small & tidy
seed: 7
horizon: {start: 2026-11-30, days: 14}
tables:
  customers: customers.csv
  offers: offers.csv
  channels: channels.csv
  actions: actions.csv
  scores: scores.csv
policy: policy.yaml
"""
POLICY = """
objective: value - cost
limits:
  - {name: total budget, measure: cost, max: 6}
"""
TABLES = {
    "customers.csv": "customer_id,first_name,timezone\n"
    "C00001,Ada,Europe/Paris\nC00002,Bo,Asia/Tokyo\nC00003,=1+2,UTC\n",
    "offers.csv": "offer_id,name,value,template\n"
    f'card,"{EVIL}",100,Dear {{customer.first_name}}\nloan,Loan,50,T-17\n',
    "channels.csv": "channel,unit_cost,send_from,send_to\ne/mail,0.5,08:00,20:00\nCall,5,,\ncall,4,,\n",
    "actions.csv": "action_id,offer_id,channel,date\na1,card,e/mail,2026-11-30\na2,loan,Call,2026-12-02\n",
    "scores.csv": "customer_id,offer_id,channel,p_response\n"
    + "".join(
        f"C0000{c},{offer},{channel},0.{c}\n"
        for c in (1, 2, 3)
        for offer in ("card", "loan")
        for channel in ("e/mail", "Call")
    ),
}
CONTACTS = pd.DataFrame(
    {
        "customer_id": ["C00001", "C00002", "C00003", "C00003"],
        "action_id": ["a1", "a1", "a1", "a2"],
        "offer_id": ["card", "card", "card", "loan"],
        "channel": ["e/mail", "e/mail", "e/mail", "Call"],
        "date": pd.to_datetime(["2026-11-30", "2026-11-30", "2026-11-30", "2026-12-02"]),
        "fallback": pd.array([None, None, "Call", None], dtype="str"),
        "value": [10.0, 20.0, 30.0, 15.0],
        "cost": [0.5, 0.5, 0.5, 4.5],
        "response": [0.1, 0.2, 0.3, 0.3],
        "objective": [9.5, 19.5, 29.5, 10.5],
        "advantage": [9.5, 19.5, 29.5, 10.5],
    }
)
CERTIFICATE: dict[str, Any] = {
    "status": "within_gap",
    "objective": 69.0,
    "bound": 69.005,
    "gap": 0.005 / 69.005,
    "gap_target": 1e-4,
    "candidates": 6,
    "customers": 3,
    "coupling_rows": 1,
    "solver": "exact",
    "objective_expr": "value - cost",
    "sense": "maximise",
    "seconds": {"read": 0.1, "build": 0.2, "solve": 0.3, "write": 0.1},
    "rules": [
        {"name": "total budget", "kind": "limit", "group": {}, "min": None, "max": 6.0, "used": 6.0,
         "slack": 0.0, "price": 1.5, "missed_by": 0.0, "penalty_paid": 0.0},
        {"name": "share", "kind": "limit", "group": {"customer.region": EVIL, "date": "2026-12-01"},
         "min": 0.1, "max": None, "used": None, "slack": 0.0, "price": 0.0, "missed_by": 0.0,
         "penalty_paid": 0.0, "vacuous": True},
        {"name": "pressure", "kind": "contact", "group": {}, "max": 2, "used": 2, "slack": 0, "price": None,
         "at_cap": 1},
        {"name": "apart", "kind": "conflict", "group": {}, "used": 0, "customers": 3},
    ],
}  # fmt: skip
REASONS = pd.DataFrame({"reason": ["veto", EVIL], "candidates": [1, 1234], "customers": [1, 2]})
BASELINES = pd.DataFrame(
    {
        "name": ["highest score first", "first come, first served", "random"],
        "contacts": [3, 3, 2],
        "value": [60.0, 50.0, 30.0],
        "cost": [2.0, 5.0, 1.0],
        "response": [0.6, 0.5, 0.3],
        "objective": [58.0, 45.0, 29.0],
        "missed": [[], ["share"], []],
    }
)


def write_notebooks(project: Path, **cells: str) -> None:
    """Give a project notebooks of its own; where nothing else is said, they copy the plan made by hand."""
    made = project / "ready"
    made.mkdir(exist_ok=True)
    write_parquet(CONTACTS, made / "plan.parquet")
    (made / "certificate.json").write_text(json.dumps(CERTIFICATE), encoding="utf-8")
    copy = (
        "import shutil, pathlib\n"
        "for name in ('plan.parquet', 'certificate.json'):\n"
        "    shutil.copy(pathlib.Path(project).parent / 'ready' / name, folder)"
    )
    codes = {"01_customers": "", "02_scores": "", "03_allocate": copy, "04_report": "print('told')"} | cells
    (project / "notebooks").mkdir(exist_ok=True)
    for name, code in codes.items():
        head = 'project: str = ""\nfolder: str = "."'
        if name == "03_allocate":
            head += "\ngap: float = 1e-4  # the share that may be missing"
        first = nbformat.v4.new_code_cell(head, metadata={"tags": ["parameters"]})
        notebook = nbformat.v4.new_notebook(cells=[first, nbformat.v4.new_code_cell(code)])
        notebook.metadata["kernelspec"] = {
            "name": "python3",
            "language": "python",
            "display_name": "Python 3",
        }
        nbformat.write(notebook, project / "notebooks" / f"{name}.ipynb")

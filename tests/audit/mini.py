"""A project small enough to solve in the head, with its plan and certificate written by hand.

Ann may get the loan by e-mail (worth 9) and by call (7); she holds a card. Bob may get loan and card by
e-mail (5, 6) and by call (3, 6); he had an e-mail three days before, so that only one more contact fits
into the first days. Cal gave no consent to e-mail, and is called about the loan (4) or the card (15), not
about both. The desk has ten minutes for each region and a call takes ten: in the north it goes to Ann,
whose call is worth 7 against Bob's 6. So a minute there is worth 0.6, and no plan is worth more than 37.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from omniopt.project import Project
from omniopt.tables import read_parquet, write_parquet

HORIZON = {"start": "2026-11-23", "days": 14}

TABLES = {
    "customers": "customer_id,region,has_card,timezone\n"
    "ann,n,true,Europe/Madrid\nbob,n,false,\ncal,s,false,\n",
    "offers": "offer_id,category\nloan,credit\ncard,plastic\n",
    "channels": "channel,minutes,requires_consent\nemail,0,true\ncall,10,false\n",
    "actions": "action_id,offer_id,channel,date\n"
    "a1,loan,email,2026-11-23\na2,card,email,2026-11-25\na3,loan,call,2026-11-24\na4,card,call,2026-12-01\n",
    "candidates": "customer_id,action_id,value,cost\n"
    "ann,a1,10,1\nann,a2,8,1\nann,a3,12,5\nann,a4,9,5\n"
    "bob,a1,6,1\nbob,a2,7,1\nbob,a3,8,5\nbob,a4,11,5\n"
    "cal,a1,99,1\ncal,a2,99,1\ncal,a3,9,5\ncal,a4,20,5\n",
    "consents": "customer_id,channel,purpose,granted\n"
    "ann,email,news,true\nbob,email,news,true\ncal,email,news,false\n",
    "history": "customer_id,offer_id,channel,date,outcome\n"
    "bob,loan,email,2026-11-20,delivered\ncal,loan,call,2026-11-18,bounced\n",
    "capacity": "region,minutes\nn,10\ns,10\n",
}

POLICY: dict[str, Any] = {
    "objective": "value - cost",
    "eligibility": [{"name": "card holders", "drop": {"offer": "card", "customer.has_card": True}}],
    "limits": [
        {"name": "budget", "measure": "cost", "max": 12, "min": 2},
        {
            "name": "call desk",
            "where": {"channel": "call"},
            "per": ["customer.region"],
            "measure": "minutes",
            "max": {"table": "capacity", "column": "minutes"},
        },
        {"name": "hurdle", "measure": "value", "over": "cost", "min": 1.5},
        {"name": "call share", "where": {"channel": "call"}, "over": {"measure": "contacts"}, "max": 0.6},
    ],
    "contact": [
        {"name": "pressure", "max": 2, "days": 7},
        {"name": "per category", "max": 2, "per": ["offer.category"]},
    ],
    "conflicts": [
        {"name": "calls apart", "first": {"channel": "call"}, "then": {"channel": "call"}, "days": 90}
    ],
}

PLAN = [
    # customer, action, offer, channel, date, value, cost, objective, advantage
    ("ann", "a1", "loan", "email", "2026-11-23", 10.0, 1.0, 9.0, 9.0),
    ("ann", "a3", "loan", "call", "2026-11-24", 12.0, 5.0, 7.0, 1.0),
    ("bob", "a2", "card", "email", "2026-11-25", 7.0, 1.0, 6.0, 1.0),
    ("cal", "a4", "card", "call", "2026-12-01", 20.0, 5.0, 15.0, 11.0),
]


def limit(
    name: str, used: float, slack: float, low: float | None = None, high: float | None = None, **more: Any
) -> dict:
    """An entry of the certificate."""
    entry = {
        "name": name,
        "kind": "limit",
        "group": {},
        "min": low,
        "max": high,
        "used": used,
        "slack": slack,
    }
    return entry | {"price": 0.0, "missed_by": 0.0, "penalty_paid": 0.0} | more


CERTIFICATE: dict[str, Any] = {
    "name": "mini",
    "project": "../omniopt.yaml",
    "changes": {},
    "objective_expr": "value - cost",
    "sense": "maximise",
    "status": "optimal",
    "objective": 37.0,
    "bound": 37.0,
    "bound_from_prices": 37.0,
    "gap": 0.0,
    "gap_target": 1e-4,
    "candidates": 8,
    "customers": 3,
    "coupling_rows": 5,
    "solver": "exact",
    "horizon": HORIZON,
    "dropped": {"no consent for email": 2, "card holders": 2},
    "rules": [
        {"name": "card holders", "kind": "eligibility", "group": {}, "dropped": 2},
        limit("budget", 12.0, 0.0, 2.0, 12.0),
        limit("call desk", 10.0, 0.0, None, 10.0, group={"customer.region": "n"}, price=0.6),
        limit("call desk", 10.0, 0.0, None, 10.0, group={"customer.region": "s"}),
        limit("hurdle", 49 / 12, 31.0, 1.5),
        limit("call share", 0.5, 0.4, None, 0.6),
        {
            "name": "pressure",
            "kind": "contact",
            "group": {},
            "max": 2,
            "used": 2,
            "slack": 0,
            "price": None,
            "at_cap": 2,
        },
        {
            "name": "per category",
            "kind": "contact",
            "group": {},
            "max": 2,
            "used": 2,
            "slack": 0,
            "price": None,
            "at_cap": 1,
        },
        {"name": "calls apart", "kind": "conflict", "group": {}, "used": 0, "customers": 2},
    ],
    "seconds": {"read": 0.0, "build": 0.0, "solve": 0.0, "write": 0.0},
    "peak_memory_mb": 0,
    "seed": 7,
    "versions": {},
}


def make(root: Path) -> Path:
    """Write the project into `root` and the plan into `root/plan`; return the plan's folder."""
    for name, text in TABLES.items():
        (root / f"{name}.csv").write_text(text)
    (root / "policy.yaml").write_text(yaml.safe_dump(POLICY, sort_keys=False))
    project = {
        "version": 1,
        "name": "mini",
        "seed": 7,
        "horizon": {"start": datetime.date(2026, 11, 23), "days": 14},
        "tables": {name: f"{name}.csv" for name in TABLES},
        "policy": "policy.yaml",
    }
    (root / "omniopt.yaml").write_text(yaml.safe_dump(project, sort_keys=False))
    folder = root / "plan"
    folder.mkdir()
    names = [
        "customer_id",
        "action_id",
        "offer_id",
        "channel",
        "date",
        "value",
        "cost",
        "objective",
        "advantage",
    ]
    frame = pd.DataFrame(PLAN, columns=names)
    frame["date"] = pd.to_datetime(frame["date"])
    frame.insert(5, "fallback", pd.array([None] * len(frame), dtype="str"))
    frame.insert(8, "response", pd.Series([float("nan")] * len(frame)))
    write_parquet(frame, folder / "plan.parquet")
    (folder / "certificate.json").write_text(json.dumps(CERTIFICATE))
    sign(folder)
    return folder


def sign(folder: Path) -> None:
    """Write the inputs' hashes, as they are now, into the certificate."""

    def put(certificate: dict) -> None:
        certificate["inputs"] = Project.load(folder.parent).read().inputs

    edit(folder, put)


def edit(folder: Path, change: Callable[[dict], Any]) -> None:
    """Change the certificate."""
    path = folder / "certificate.json"
    certificate = json.loads(path.read_text())
    change(certificate)
    path.write_text(json.dumps(certificate))


def edit_plan(folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame | None]) -> None:
    """Change the plan."""
    path = folder / "plan.parquet"
    frame = read_parquet(path)
    changed = change(frame)
    write_parquet(frame if changed is None else changed, path)


def edit_policy(folder: Path, change: Callable[[dict], Any]) -> None:
    """Change the policy, and sign it."""
    path = folder.parent / "policy.yaml"
    policy = yaml.safe_load(path.read_text())
    change(policy)
    path.write_text(yaml.safe_dump(policy, sort_keys=False))
    sign(folder)


def rule(certificate: dict, name: str, **group: str) -> dict:
    """The certificate's entry of a rule."""
    wanted = {key.replace("_", ".", 1): value for key, value in group.items()}
    return next(entry for entry in certificate["rules"] if entry["name"] == name and entry["group"] == wanted)

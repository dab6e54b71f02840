"""Public customer-assignment instances: ``python benchmarks/assignment.py INSTANCE…``.

Makes a project of the four tables that Bigler, Kammermann and Baumann published with "A matheuristic
for a customer assignment problem in direct marketing" (European Journal of Operational Research
304(2), 2023), runs ``omniopt optimize`` on it and prints one JSON object per instance.

Every bound is hard. A conflict forbids the second activity less than Lag days after the first, a day
counts from 0. Sales are expected responses. A maximum contact counts a customer's activities between
two days. An activity for the products "1;11" belongs to both.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from commands import optimize

GAP = 1e-5
ALL = "ALL"
#: Bound of the LP relaxation and a plan's worth, by HiGHS; GS1_prime is known to have no plan.
REFERENCE = {"GS1": (151_158.05, 151_152.19), "GS2": (139_817.29, 139_815.27)}
INFEASIBLE = {"GS1_prime"}
LIMITS = {
    "Minimum assignment": (None, "min"),
    "Maximum assignment": (None, "max"),
    "Budget": ("cost", "max"),
    "Minimum sales": ("response", "min"),
    "Maximum sales": ("response", "max"),
}


def policy_of(bounds: pd.DataFrame, conflicts: pd.DataFrame) -> dict[str, Any]:
    """State table 3 (bounds) and table 4 (conflicts) as a policy."""
    policy: dict[str, Any] = {"objective": "value", "limits": [], "contact": [], "conflicts": []}
    for row in bounds.to_dict("records"):
        where = _scope(row["Channels"], row["TargetProducts"])
        where["date"] = {"ge": int(row["StartDay"]), "le": int(row["EndDay"])}
        rule = {"name": f"{row['Type']} {row['Index']}", "where": where}
        if row["Type"] == "Maximum contact":
            policy["contact"].append(rule | {"max": int(row["Bound"])})
            continue
        measure, side = LIMITS[row["Type"]]
        rule |= {"measure": measure} if measure else {}
        policy["limits"].append(rule | {side: float(row["Bound"])})
    for row in conflicts.to_dict("records"):
        policy["conflicts"].append(
            {
                "name": f"{row['Channel1']} then {row['Channel2']} ({row['Index']})",
                "first": _scope(row["Channel1"], row["TargetProduct1"]),
                "then": _scope(row["Channel2"], row["TargetProduct2"]),
                "days": int(row["Lag"]),
            }
        )
    return policy


def _scope(channels: str, products: str) -> dict[str, Any]:
    scope: dict[str, Any] = {}
    if channels != ALL:
        scope["channel"] = [channel.strip() for channel in channels.split(";")]
    if products != ALL:
        scope["action.products"] = [product.strip() for product in products.split(";")]
    return scope


def write(instance: Path, folder: Path) -> Path:
    """Write an instance as a project folder; return the folder."""
    read = [pd.read_csv(instance / f"table{i}.csv", dtype=texts) for i, texts in enumerate(_TEXTS, 1)]
    activities, assignments, bounds, conflicts = read
    actions = activities.set_axis(["action_id", "date", "channel", "products", "cost"], axis=1)
    actions["offer_id"] = actions["products"].str.split(";").str[0]
    candidates = assignments.set_axis(["customer_id", "action_id", "value", "response"], axis=1)
    folder.mkdir(parents=True, exist_ok=True)
    actions.to_csv(folder / "actions.csv", index=False)
    candidates.to_parquet(folder / "candidates.parquet", index=False)
    last = max(int(activities["Day"].max()), int(bounds["EndDay"].max()))
    spec = {
        "version": 1,
        "name": instance.name,
        "horizon": {"start": "2026-01-01", "days": last},
        "tables": {"actions": "actions.csv", "candidates": "candidates.parquet"},
        "multi_valued": {"action.products": ";"},
        "policy": policy_of(bounds, conflicts),
    }
    (folder / "omniopt.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    return folder


_TEXTS: tuple[dict[str, Any], ...] = (
    {"Activity": "str", "TargetProducts": "str"},
    {"Customer": "str", "Activity": "str"},
    {"Channels": "str", "TargetProducts": "str"},
    {"TargetProduct1": "str", "TargetProduct2": "str"},
)


def run(instance: Path, solver: str, seconds: float) -> dict[str, Any]:
    """Solve an instance and put the references beside what came out."""
    with tempfile.TemporaryDirectory() as folder:
        project = write(instance, Path(folder) / "project")
        found = optimize(project, Path(folder) / "run", gap=GAP, solver=solver, time_limit=seconds)
    name = instance.name
    bound, plan = REFERENCE.get(name, (None, None))
    wanted = 3 if name in INFEASIBLE else 0
    return {
        "instance": name,
        "reference_lp_bound": bound,
        "reference_plan": plan,
        "as_expected": found["exit"] == wanted if plan or wanted else None,
        **found,
    }


def main() -> None:
    """Run the instances that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("instances", nargs="+", type=Path, metavar="INSTANCE", help="folder of table1..4.csv")
    parser.add_argument("--solver", default="auto")
    parser.add_argument("--time-limit", type=float, default=300.0, metavar="S")
    given = parser.parse_args()
    for instance in given.instances:
        print(json.dumps(run(instance, given.solver, given.time_limit), indent=1), flush=True)


if __name__ == "__main__":
    main()

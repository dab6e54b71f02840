"""What a plan says of its control groups and its contacts at random, against what the policy's keys give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from omniopt.audit import arms, plan
from omniopt.audit import certificate as cert
from omniopt.audit.arrays import code, position
from omniopt.audit.candidates import rows_per_customer
from omniopt.audit.inputs import Inputs
from omniopt.audit.scope import World
from omniopt.audit.survey import Survey
from omniopt.errors import Faults
from omniopt.tables import read_parquet

FILE = "experiment.parquet"
TREATED, CONTROL, EXPLORED = "treated", "control", "explored"


def check(
    inputs: Inputs, survey: Survey, said: dict[str, Any], directory: Path, frame: pd.DataFrame, faults: Faults
) -> None:
    """The certificate's groups, the plan's probabilities, and the table of who is in which arm."""
    has = np.flatnonzero(rows_per_customer(inputs) > 0)
    true = arms.entries(inputs, has, survey.dropped, survey.drawn)
    told = said.get("learning") or []
    if not isinstance(told, list) or not all(isinstance(entry, dict) for entry in told):
        told = []
    if [entry.get("name") for entry in told] != [entry["name"] for entry in true]:
        names = ", ".join(entry["name"] for entry in true) or "none"
        faults.add(f"its groups are not those of the policy: {names}", file=cert.FILE, column="learning")
    else:
        for entry, mine in zip(told, true, strict=True):
            for key, value in mine.items():
                if entry.get(key) != value:
                    words = f"it says {entry.get(key)!r}, the policy and the inputs give {value!r}"
                    faults.add(words, file=cert.FILE, column=key, rule=mine["name"])
    if inputs.arms is not None and inputs.arms.said["explore"]:
        _probabilities(inputs, survey, frame, faults)
    elif "probability" in frame:
        faults.add("a plan has no such column", file=plan.FILE, column="probability")
    path = directory / FILE
    if inputs.arms is None or not path.is_file():
        if inputs.arms is not None or path.is_file():
            wrong = "is missing" if inputs.arms is not None else "does not belong to this plan"
            faults.add(f"the table of who is in which arm {wrong}", file=FILE)
        return
    _table(inputs, has, survey.drawn, read_parquet(path), faults)


def drawn(inputs: Inputs, survey: Survey, faults: Faults) -> np.ndarray:
    """Keys of the contacts at random that the plan holds; one that it lacks is a fault."""
    key = survey.drawn.key
    held = np.isin(key, inputs.key(survey.located.candidates.rows))
    width = len(inputs.world.ids["action"]) + 1
    for one in key[~held][:5].tolist():
        who, what = inputs.world.ids["customer"][one // width], inputs.world.ids["action"][one % width]
        words = f"customer {who}, action {what} was drawn at random, but the plan does not have it"
        faults.add(words, file=plan.FILE)
    return key[held]


def _probabilities(inputs: Inputs, survey: Survey, frame: pd.DataFrame, faults: Faults) -> None:
    if plan.DRAWN not in frame:
        faults.add("the column is missing", file=plan.FILE, column="probability")
        return
    located = survey.located
    at = position(survey.drawn.key, inputs.key(located.candidates.rows))
    true = np.append(survey.drawn.probability, 1.0)[at]
    said = pd.to_numeric(frame["probability"], errors="coerce").to_numpy(dtype=float)[located.row]
    wrong = np.flatnonzero(~np.isclose(said, true, rtol=1e-12, atol=0))
    say = [f"it says {said[w]:.8g}, the draw gives {true[w]:.8g}" for w in wrong[: plan.NAMED]]
    plan.name_rows(faults, located.row[wrong], say, "probability")


def _table(inputs: Inputs, has: np.ndarray, draws: arms.Drawn, said: pd.DataFrame, faults: Faults) -> None:
    """Every row of the table of arms, and that none is missing."""
    columns = {"customer_id", "offer_id", "arm", "probability", "stratum", "date"}
    if not columns <= set(said):
        faults.add(f"these columns are missing: {', '.join(sorted(columns - set(said)))}", file=FILE)
        return
    world = inputs.world
    true = _expected(inputs, has, draws)
    mine = pd.DataFrame({
        "customer": code(world.ids["customer"], said["customer_id"]),
        "offer": code(world.ids["offer"], said["offer_id"]),
        "arm": said["arm"].astype("str"),
        "said": pd.to_numeric(said["probability"], errors="coerce"),
        "stratum": said["stratum"].astype("str").fillna(""),
        "date": said["date"],
    })  # fmt: skip
    both = true.merge(mine, how="outer", on=["customer", "offer", "arm"])
    off = ~np.isclose(both["probability"].astype(float), both["said"].astype(float), rtol=1e-12, atol=0)
    for row in both[off].head(plan.NAMED).itertuples():
        who = world.ids["customer"][row.customer] if row.customer >= 0 else "an unknown customer"
        words = f"{who}: {row.arm} with probability {row.said}, the policy's keys give {row.probability}"
        faults.add(words, file=FILE)
    if off.sum() > plan.NAMED:
        faults.add(f"the same in {int(off.sum()) - plan.NAMED} more rows", file=FILE)
    known = mine[(mine["customer"] >= 0).to_numpy()]
    first = np.int64(1) if world.start is None else np.datetime64(world.start, "s")
    _same(world, known, "stratum", arms.strata(inputs)[known["customer"]], faults)
    _same(world, known, "date", np.full(len(known), first), faults)


def _same(world: World, mine: pd.DataFrame, column: str, true: np.ndarray, faults: Faults) -> None:
    """One fault for the rows whose cells in a column are not the true ones, with the first of them."""
    wrong = np.flatnonzero(mine[column].reset_index(drop=True).ne(pd.Series(true)))
    if len(wrong):
        row = mine.iloc[wrong[0]]
        words = f"{world.ids['customer'][row['customer']]}: it says {row[column]}, the inputs give "
        faults.add(f"{words}{true[wrong[0]]}; {len(wrong)} such rows", file=FILE, column=column)


def _expected(inputs: Inputs, has: np.ndarray, draws: arms.Drawn) -> pd.DataFrame:
    """Customer, offer (-1: all), arm and probability, as the policy's keys give them."""
    groups = inputs.arms
    assert groups is not None
    control, explore = groups.said["control"], groups.said["explore"]
    out, tried = float(control.get("share", 0.0)), float(explore.get("share", 0.0))
    parts = []
    if "share" in control or explore:
        free = np.where(groups.pinned[has], 1.0, 1.0 - tried)
        left, probability = groups.control[has], (1 - out) * free
        probability[left] = out
        explored = groups.explored[has]
        probability[explored] = (1 - out) * tried
        arm = np.where(left, CONTROL, np.where(explored, EXPLORED, TREATED))
        known = ~explored | np.isin(has, draws.members)
        parts.append((has[known], -1, arm[known], probability[known]))
    for offer, who in groups.offers.items():
        share, mine = float(control["per_offer"]), who[has]
        arm, probability = np.where(mine, CONTROL, TREATED), np.where(mine, share, 1 - share)
        parts.append((has, offer, arm, probability))
    frames = [
        pd.DataFrame(dict(zip(("customer", "offer", "arm", "probability"), p, strict=True))) for p in parts
    ]
    return pd.concat(frames, ignore_index=True).astype({"arm": "str"})

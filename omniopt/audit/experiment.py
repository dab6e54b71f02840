"""What a plan says of its control groups and its contacts at random, against what the policy's keys give."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from omniopt.audit import arms, plan
from omniopt.audit import certificate as cert
from omniopt.audit.arrays import code, position
from omniopt.audit.candidates import rows_per_customer
from omniopt.audit.inputs import Inputs
from omniopt.audit.scope import World
from omniopt.audit.survey import Survey
from omniopt.errors import Faults

FILE = "experiment.parquet"
COLUMNS = {"customer_id", "offer_id", "arm", "probability", "stratum", "date"}
ARMS = ("treated", "control", "explored")
TREATED, CONTROL, EXPLORED = range(3)


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
    _table(inputs, has, survey.drawn, path, faults)


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


def _table(inputs: Inputs, has: np.ndarray, draws: arms.Drawn, path: Path, faults: Faults) -> None:
    """Every row of the table of arms, and that none is missing."""
    strata = arms.strata(inputs)
    try:
        missing = sorted(COLUMNS - set(pq.read_schema(path).names))
        if missing:
            faults.add(f"these columns are missing: {', '.join(missing)}", file=FILE)
            return
        told = _told(inputs, strata, path, faults)
    except Exception as error:  # a damaged file fails in many ways, and every one of them is a finding
        faults.add(f"it cannot be read: {(str(error) or type(error).__name__).splitlines()[0]}", file=FILE)
        return
    told = told.iloc[np.argsort(told["offer"].to_numpy(), kind="stable")]
    wrong, seen = 0, 0
    for offer, true in _expected(inputs, has, draws):
        low, high = np.searchsorted(told["offer"], [offer, offer + 1])
        mine = told.iloc[low:high]
        mine = mine.iloc[np.argsort(mine["customer"].to_numpy(), kind="stable")]
        seen += len(mine)
        if not _alike(true, mine):
            wrong += _differences(inputs.world, true, mine, max(plan.NAMED - wrong, 0), faults)
    if wrong > plan.NAMED:
        faults.add(f"the same in {wrong - plan.NAMED} more rows", file=FILE)
    if seen < len(told):
        faults.add(f"{len(told) - seen} rows are of offers without a control group", file=FILE)


def _alike(true: pd.DataFrame, mine: pd.DataFrame) -> bool:
    return (
        len(true) == len(mine)
        and bool((true["customer"].to_numpy() == mine["customer"].to_numpy()).all())
        and bool((true["arm"].to_numpy() == mine["arm"].to_numpy()).all())
        and np.allclose(true["probability"], mine["said"], rtol=1e-12, atol=0)
    )


def _differences(
    world: World, true: pd.DataFrame, mine: pd.DataFrame, named: int, faults: Faults
) -> int:  # fmt: skip
    """One fault for each of the first rows that differ in one scope; how many there are."""
    both = true.merge(mine, how="outer", on=["customer", "arm"])
    off = ~np.isclose(both["probability"].astype(float), both["said"].astype(float), rtol=1e-12, atol=0)
    off |= both.duplicated(["customer", "arm"]).to_numpy()
    for row in both[off].head(named).itertuples():
        who = world.ids["customer"][row.customer] if row.customer >= 0 else "an unknown customer"
        arm = ARMS[row.arm] if row.arm >= 0 else "an unknown arm"
        words = f"{who}: {arm} with probability {row.said}, the policy's keys give {row.probability}"
        faults.add(words, file=FILE)
    return int(off.sum())


def _told(inputs: Inputs, strata: np.ndarray, path: Path, faults: Faults) -> pd.DataFrame:
    """The table's customer, offer (-1: all, -2: unknown), arm and probability in numbers, part by part.

    Its strata and dates are compared on the way.
    """
    world, parts = inputs.world, []
    stratum, names = pd.factorize(strata)
    first = pa.scalar(1) if world.start is None else pa.scalar(world.start)
    off: dict[str, list[np.ndarray]] = {"stratum": [], "date": []}
    for rows in pq.ParquetFile(path).iter_batches(1 << 20, columns=sorted(COLUMNS)):
        customer = code(world.ids["customer"], rows["customer_id"])
        offer = code(world.ids["offer"], rows["offer_id"])
        offer[(offer < 0) & rows["offer_id"].is_valid().to_numpy(zero_copy_only=False)] = -2
        known = customer >= 0
        said = code(pd.Index(names), rows["stratum"].cast(pa.large_string()).fill_null(""))
        off["stratum"].append(customer[known & (said != stratum[customer])])
        off["date"].append(customer[known & _not(rows["date"], first)])
        parts.append(pd.DataFrame({
            "customer": customer.astype(np.int32),
            "offer": offer.astype(np.int32),
            "arm": code(pd.Index(ARMS), rows["arm"]).astype(np.int8),
            "said": pd.to_numeric(rows["probability"].to_pandas(), errors="coerce"),
        }))  # fmt: skip
    for column, found in off.items():
        who = np.concatenate([np.empty(0, np.int64), *found])
        if len(who):
            words = f"{len(who)} rows do not say what the inputs give, the first that of customer "
            faults.add(f"{words}{world.ids['customer'][who[0]]}", file=FILE, column=column)
    empty = pd.DataFrame({"customer": [], "offer": [], "arm": [], "said": []})
    return pd.concat(parts, ignore_index=True) if parts else empty


def _not(values: pa.Array, one: pa.Scalar) -> np.ndarray:
    """Whether cells are anything but one value."""
    try:
        same = pc.equal(values.cast(one.type), one).fill_null(False)
    except pa.ArrowException:  # they are of another kind
        return np.ones(len(values), dtype=bool)
    return ~same.to_numpy(zero_copy_only=False)


def _expected(
    inputs: Inputs, has: np.ndarray, draws: arms.Drawn
) -> Iterator[tuple[int, pd.DataFrame]]:  # fmt: skip
    """By offer (-1: all), the customers in ascending order, each with arm and probability by the keys."""
    groups = inputs.arms
    assert groups is not None
    control, explore = groups.said["control"], groups.said["explore"]
    out, tried = float(control.get("share", 0.0)), float(explore.get("share", 0.0))
    if "share" in control or explore:
        free = np.where(groups.pinned[has], 1.0, 1.0 - tried)
        left, probability = groups.control[has], (1 - out) * free
        probability[left] = out
        explored = groups.explored[has]
        probability[explored] = (1 - out) * tried
        arm = np.where(left, CONTROL, np.where(explored, EXPLORED, TREATED))
        known = ~explored | np.isin(has, draws.members)
        yield -1, _frame(has[known], arm[known], probability[known])
    for offer, who in groups.offers.items():
        share, mine = float(control["per_offer"]), who[has]
        yield offer, _frame(has, np.where(mine, CONTROL, TREATED), np.where(mine, share, 1 - share))


def _frame(customer: np.ndarray, arm: np.ndarray, probability: np.ndarray) -> pd.DataFrame:
    made = {"customer": customer.astype(np.int32), "arm": arm.astype(np.int8), "probability": probability}
    return pd.DataFrame(made)

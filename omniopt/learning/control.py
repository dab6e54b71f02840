"""Control groups and exploration of a plan: the power they buy, the money they cost, and their balance."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chi2

from omniopt.decisions.optimize import optimize
from omniopt.decisions.plan import Plan
from omniopt.learning.power import detectable, outlook
from omniopt.project import Project

#: What is left out of ``learning`` to know what the rest of it costs.
PARTS = {"control": "control groups", "explore": "exploration"}


def costs(
    project: Project, plan: Plan, gap: float = 1e-4, time_limit: float | None = None
) -> dict[str, dict[str, float]]:
    """Return what control groups and exploration cost a plan, each by making the plan again without it.

    Parameters
    ----------
    project : Project
        With ``learning`` in its policy.
    plan : Plan
        Made from it.
    gap : float
    time_limit : float, optional
        Seconds, for each plan.

    Returns
    -------
    dict of str to dict
        For ``control`` and ``explore``, where the policy has them: ``estimate``, the objective that is given
        up by what was found, and ``at_most``, by the proven bound of the plan without it.
    """
    learning = project.policy.get("learning") or {}
    found = {}
    for part in PARTS:
        if not learning.get(part):
            continue
        rest = {key: value for key, value in learning.items() if key != part}
        without = replace(project, policy=project.policy | {"learning": rest})
        other = optimize(without, gap=gap, time_limit=time_limit, solver=plan.certificate["solver"],
                         warm_start=plan, scores=plan.scores)  # fmt: skip
        sign = 1.0 if plan.certificate["sense"] == "maximise" else -1.0
        found[part] = {
            "estimate": sign * (other.objective - plan.objective),
            "at_most": max(sign * (other.bound - plan.objective), 0.0),
        }
    return found


def powers(plan: Plan) -> pd.DataFrame:
    """Return what each group of a plan can tell.

    Parameters
    ----------
    plan : Plan
        With an experiment.

    Returns
    -------
    DataFrame
        One row per control group: ``name``, ``share``, ``treated`` and ``control`` (customers), ``rate`` and
        ``money`` (predicted of a treated customer), ``detectable_rate`` and ``detectable_money``: the
        smallest difference per customer that is found with 80 % power at 5 %, two-sided.
    """
    groups = {entry.get("offer", ""): entry for entry in plan.certificate["learning"] if "drawn" not in entry}
    rows = []
    for offer, arms in plan.scopes():
        if offer not in groups:  # those who explore are told apart from the treated, without a control group
            continue
        entry = groups[offer]
        treated = arms.loc[arms["arm"] == "treated", "customer_id"]
        held = int((arms["arm"] == "control").sum())
        mine = plan.contacts[plan.contacts["customer_id"].isin(treated)]
        told = outlook(mine[mine["offer_id"] == offer] if offer else mine, len(treated))
        rows.append({
            "name": entry["name"],
            "share": entry["share"],
            "treated": len(treated),
            "control": held,
            "rate": told["rate"],
            "detectable_rate": detectable(told["rate_spread"], len(treated), held),
            "money": told["money"],
            "detectable_money": detectable(told["money_spread"], len(treated), held),
        })  # fmt: skip
    return pd.DataFrame(rows)


def strata(experiment: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """Return the share of each stratum that was held out from all offers, and how probable such shares are.

    Parameters
    ----------
    experiment : DataFrame
        As of `Plan.experiment`.

    Returns
    -------
    shares : DataFrame
        ``stratum``, ``customers``, ``held_out`` and ``share``.
    p : float
        Of shares at least as unequal by chance alone (Pearson's chi-squared test); NaN for one stratum.
    """
    rows = experiment[experiment["offer_id"].isna() & experiment["arm"].isin(["treated", "control"])]
    held = (rows["arm"] == "control").groupby(rows["stratum"], sort=True).agg(["size", "sum"])
    shares = held.reset_index().set_axis(["stratum", "customers", "held_out"], axis=1)
    shares["share"] = shares["held_out"] / shares["customers"]
    whole = shares["held_out"].sum() / max(shares["customers"].sum(), 1)
    if len(shares) < 2 or not 0 < whole < 1:
        return shares, math.nan
    expected = shares["customers"] * whole
    off = (shares["held_out"] - expected) ** 2 / (expected * (1 - whole))
    return shares, float(chi2.sf(off.sum(), len(shares) - 1))


def summary(project: Project, plan: Plan, gap: float, time_limit: float | None) -> dict[str, Any] | None:
    """Return all of it as what JSON can hold; None for a plan that learns nothing.

    Parameters
    ----------
    project : Project
    plan : Plan
    gap, time_limit : float, float or None
        As for `costs`.
    """
    if plan.arms is None:
        return None
    _, first = next(plan.scopes())
    shares, p = strata(first)
    return {
        "groups": plan.certificate["learning"],
        "powers": _plain(powers(plan)),
        "strata": _plain(shares),
        "balance": None if math.isnan(p) else p,
        "costs": costs(project, plan, gap, time_limit),
    }


def _plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    unknown = frame.astype(object).where(frame.notna(), None)
    return [
        {k: v.item() if isinstance(v, np.generic) else v for k, v in row.items()}
        for row in unknown.to_dict("records")
    ]

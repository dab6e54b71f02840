"""The report's section on control groups and exploration: what they can tell, and what they cost."""

from __future__ import annotations

from typing import Any

import pandas as pd

from omniopt.decisions.plan import Plan
from omniopt.runs.html import Fragment, number, paragraph, percent, table
from omniopt.runs.notebook import Run
from omniopt.runs.report import Result
from omniopt.tables.write import write_parts

NAME = "learning"  # of the file that notebook 03 leaves
#: Below this, chance alone hardly made the shares of the strata so unequal.
UNBALANCED = 0.001


def keep(run: Run, plan: Plan, found: dict[str, Any] | None) -> None:
    """Leave for the report what `omniopt.learning.control.summary` found, and the run's id with the arms."""
    run.keep(NAME, found)
    if plan.arms is not None:
        rows = (part.assign(run_id=run.manifest["run_id"]) for _, part in plan.scopes())
        write_parts(rows, run.folder / "experiment.parquet")


def section(result: Result) -> Fragment:
    """Who is held out and who explores, which differences that will show, and what it costs."""
    told = result.run.mapping(NAME)
    if told is None:
        words = (
            "Nobody is held out, so nobody will be able to tell what these contacts changed. A control group "
            "would show it: learning: {control: {share: 0.05}} in the policy."
        )
        return Fragment(paragraph(words, "aside"))
    pieces = [paragraph(_costs(result, told["costs"]))] if told["costs"] else []
    if told["powers"]:
        words = (
            "Detectable is the smallest difference, per customer, between those who could be contacted and "
            "those held out that shows in four runs of five (80 % power, 5 % two-sided), if responses "
            "come as predicted. A smaller effect needs a larger group, or several runs measured together."
        )
        pieces += [table(_powers(result, told["powers"]), _FORMATS), paragraph(words, "aside")]
    for group in told["groups"]:
        if "drawn" in group:
            pieces.append(paragraph(_explored(group)))
    if len(told["strata"]) > 1:
        pieces.append(_strata(told))
    return Fragment("".join(pieces))


_FORMATS = {
    "of customers": percent,
    "predicted response": lambda x: percent(x, 2),
    "detectable": lambda x: percent(x, 2),
}


def _costs(result: Result, costs: dict[str, dict[str, float]]) -> str:
    """One sentence for each part, in the units of the objective."""
    words = {"control": "The control groups cost", "explore": "Contacts drawn at random cost"}
    return " ".join(
        f"{words[part]} {number(cost['estimate'], 2)} of {result.aim}, by a plan made without them, "
        f"whose bound proves that it is {number(cost['at_most'], 2)} at most."
        for part, cost in costs.items()
    )


def _powers(result: Result, powers: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(powers)
    offers = frame["name"].str.removeprefix("control group of offer ")
    own = offers != frame["name"]
    frame["name"] = offers.map(result.offer).where(own, "all offers")
    return frame[
        ["name", "control", "share", "rate", "detectable_rate", "money", "detectable_money"]
    ].set_axis(
        ["held out from", "customers", "of customers", "predicted response", "detectable",
         "predicted value", "detectable value"],
        axis=1,
    )  # fmt: skip


def _explored(group: dict[str, Any]) -> str:
    words = (
        f"{number(group['drawn'])} contacts were drawn at random, one for each exploring {group['unit']}, "
        "among those that its own rules allow. They show what the plan never tries, and let other plans be "
        "judged by this run."
    )
    if group["without_draw"]:
        words += f" For {number(group['without_draw'])} customers the rules allowed none; the plan decided."
    return words


def _strata(told: dict[str, Any]) -> str:
    shares = pd.DataFrame(told["strata"])[["stratum", "customers", "held_out", "share"]]
    p, kind = told["balance"], "aside"
    words = "The shares differ between the strata by no more than chance explains."
    if p is not None and p < UNBALANCED:
        words, kind = "The shares differ by more than chance explains: look at how ids were given.", "bad"
    made = shares.rename(columns={"held_out": "held out"})
    return table(made, {"share": percent}) + paragraph(words, kind)

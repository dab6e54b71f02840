"""The report's section on how much of the plan is owed to chance in the history behind its scores."""

from __future__ import annotations

import pandas as pd

from omniopt.learning.stability import Stability
from omniopt.runs import figures
from omniopt.runs.html import Fragment, number, paragraph, percent, picture, side_by_side, table
from omniopt.runs.notebook import Run
from omniopt.runs.report import Result

#: Contacts that at least such a share of the plans have, and what to call them.
_LEVELS = (
    (1.0, "in all of them"),
    (0.75, "in three quarters or more"),
    (0.5, "in half or more"),
    (0.0, "in fewer"),
)


def keep(run: Run, found: Stability | None) -> None:
    """Leave what was found for the report; nothing where the scores cannot be made again."""
    if found is not None:
        run.keep("stability", found.as_dict())
        run.keep("kept_contacts", found.kept)


def chance(result: Result) -> Fragment:
    """What another model finds the plan worth, and how many contacts stay when history is resampled."""
    told, kept = result.run.mapping("stability"), result.run.frame("kept_contacts")
    if told is None or kept is None:
        if not result.run.own_model:
            return Fragment(paragraph("The scores came with the project: how sure they are it does not say."))
        words = (
            "This run did not make the plan again from parts of the history; with the parameter resamples it "
            "does. A plan takes the contacts with the highest scores, so it is likely to be worth a little "
            "less than it says."
        )
        return Fragment(paragraph(words, "aside"))
    first = (
        "Two models that each learnt from one half of the customers made a plan each; the one said its own "
        f"was worth {number(told['claimed'])} on average, the other, which had no part in it, "
        f"{number(told['rescored'])}. "
        + (
            f"The truth is likely to lie between them: up to {percent(told['optimism'])} of what such a plan "
            "promises is owed to overestimated scores; less of this one, whose model learnt from both halves."
            if told["optimism"] * result.sign > 0
            else "So no overestimation shows."
        )
    )
    if not told["plans"]:
        return Fragment(paragraph(first))
    second = (
        f"{number(told['plans'])} more plans were made, each with scores learnt from half of the customers. "
        f"Of the {number(told['contacts'])} contacts, {percent(told['kept_share'])} stay on average; for "
        f"{percent(told['kept_offer_share'])} the customer gets the same offer, be it on another day or "
        "channel. A contact that does not stay is not wrong: another one was worth nearly the same."
    )
    groups, most = [], 2.0
    for least, name in _LEVELS:
        groups.append((name, int(kept["kept"].between(least, most, inclusive="left").sum())))
        most = least
    drawn = figures.bars([
        figures.Bar(name, n, number(n), full=float(len(kept))) for name, n in groups
    ])  # fmt: skip
    return Fragment(
        paragraph(first)
        + paragraph(second)
        + side_by_side(
            picture(drawn, f"Contacts of this plan that {told['plans']} other plans have too"),
            table(_by_offer(result, kept), {"same contact": percent, "same offer": percent}),
        )
    )


def _by_offer(result: Result, kept: pd.DataFrame) -> pd.DataFrame:
    """Return how many contacts of each offer stay."""
    shares = kept.groupby("offer_id", sort=True, observed=True)[["kept", "kept_offer"]].mean().reset_index()
    shares["offer_id"] = shares["offer_id"].map(result.offer)
    return shares.set_axis(["offer", "same contact", "same offer"], axis=1)

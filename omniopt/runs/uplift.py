"""What notebooks and report show of what contacts change: uplift by experiment, and annoyance."""

from __future__ import annotations

from typing import Any

import pandas as pd

from omniopt.errors import BadInput
from omniopt.runs import figures
from omniopt.runs.html import Fragment, number, paragraph, percent, picture, side_by_side, table
from omniopt.runs.notebook import Run

NAME = "uplift"  # of the files that notebook 02 leaves


def keep(run: Run) -> None:
    """Learn from the project's experiments what contacts change, or leave the reason why that cannot be told.

    Parameters
    ----------
    run : Run
        Gets ``uplift.json``, and ``uplift_curve.parquet`` and ``uplift_deciles.parquet``.
    """
    from omniopt.knowledge import uplift

    if run.tables.experiments is None:
        return
    try:
        model = uplift.fit(run.tables, run.project.spec.seed)
    except BadInput as error:
        run.keep(NAME, {"refused": [str(fault) for fault in error.faults]})
        return
    told, curves, groups = [], [], []
    for (offer, channel), said in model.report.items():
        key = {"offer_id": offer, "channel": channel}
        plain = {name: said[name] for name in ("effect", "areas", "balance", "of_today")}
        told.append(key | plain)
        curves.append(said["curve"].assign(treatment=len(told) - 1))
        groups.append(said["deciles"].assign(treatment=len(told) - 1))
    run.keep(NAME, {"treatments": told})
    run.keep(f"{NAME}_curve", pd.concat(curves, ignore_index=True))
    run.keep(f"{NAME}_deciles", pd.concat(groups, ignore_index=True))


def section(run: Run) -> Fragment:
    """What contacts change, as the experiments show it; or why they do not."""
    said = run.mapping(NAME)
    if run.tables.experiments is None:
        words = (
            "No customers were left out at random, so it cannot be told what contacts change: those who were "
            "contacted had been chosen. An offer given to a random part of the customers would show it."
        )
        return Fragment(paragraph(words))
    if said is None:
        return Fragment(paragraph("The experiments were not looked at yet: notebook 02 does it."))
    if "refused" in said:
        words = "What is called an experiment shows no uplift. A difference is not reported, because:"
        return Fragment(paragraph(words, "bad") + "".join(map(paragraph, said["refused"])))
    curves, groups = run.frame(f"{NAME}_curve"), run.frame(f"{NAME}_deciles")
    assert curves is not None and groups is not None  # kept together
    made = ""
    for place, one in enumerate(said["treatments"]):
        mine = groups[groups["treatment"] == place].drop(columns="treatment")
        made += _treatment(one, curves[curves["treatment"] == place], mine)
    words = (
        "The intervals hold 95 % of what chance would bring. Every customer is ranked by a model that learnt "
        "from others."
    )
    return Fragment(made + paragraph(words, "aside"))


def _treatment(one: dict[str, Any], curve: pd.DataFrame, groups: pd.DataFrame) -> str:
    """One treatment: its effect in words, the Qini curve, and uplift by decile."""
    effect, areas = one["effect"], one["areas"]
    name = f"Offer {one['offer_id']}" + (f" on {one['channel']}" if one["channel"] else "")
    first = (
        f"{name}: {percent(effect['rate_treated'], 2)} of {number(effect['treated'])} treated customers "
        f"responded, and {percent(effect['rate_control'], 2)} of {number(effect['control'])} who were left "
        f"out at random. The contact changed the response by {_points(effect['uplift'])} "
        f"({_points(effect['low'])} to {_points(effect['high'])})."
    )
    better = areas["qini_low"] > 0
    second = (
        f"Area under the uplift curve {number(areas['auuc'])} ({number(areas['auuc_low'])} to "
        f"{number(areas['auuc_high'])}) responses per customer, {number(areas['qini'])} "
        f"({number(areas['qini_low'])} to {number(areas['qini_high'])}) of it by the ranking. "
    )
    second += (
        "So the ranking says more than chance about whom the contact moves."
        if better
        else "So it is not shown that the ranking says more than chance about whom the contact moves."
    )
    labels = [f"{n}. tenth" for n in groups["group"]]
    drawn = side_by_side(
        picture(
            figures.gain(curve["share"], curve["gain"], curve["low"], curve["high"], curve["random"]),
            f"{name}: responses gained, treating those with the highest uplift first",
        ),
        picture(
            figures.forecast(labels, groups["predicted"], groups["uplift"], groups["low"], groups["high"]),
            f"{name}: predicted and actual uplift, from the highest prediction down",
        ),
    )
    shown = groups[["group", "treated", "control", "predicted", "uplift", "low", "high"]]
    words = paragraph(first) + paragraph(second, "" if better else "aside")
    return words + drawn + table(shown, dict.fromkeys(("predicted", "uplift", "low", "high"), _points),
                                 fold=f"{name}: uplift by tenth")  # fmt: skip


def _points(share: Any) -> str:
    """A difference of two shares, in percentage points."""
    return f"{number(100 * share, 1)} pp"


def annoyance(run: Run) -> Fragment:
    """How likely a contact makes customers unsubscribe, by channel and pressure; and what that costs."""
    said = run.project.spec.annoyance
    if said is None:
        return Fragment(paragraph("The project does not say what it costs when a customer unsubscribes."))
    loss = (
        f"the customer's {said.loss.partition('.')[2]}" if isinstance(said.loss, str) else number(said.loss)
    )
    words = f"When a customer unsubscribes, {loss} is lost. "
    scores = run.tables.scores
    if scores is not None and "p_unsubscribe" in scores:
        mean = percent(scores["p_unsubscribe"].mean(), 2)
        return Fragment(paragraph(words + f"The project's scores say how likely that is: {mean} on average."))
    from omniopt.knowledge.annoyance import LEVELS, unsubscribe_rates

    cells = unsubscribe_rates(run.tables, said.days).cells
    words += (
        f"How likely that is, was counted in history: by channel, and by the contacts of the {said.days} "
        "days before. Rates of few contacts are drawn to those of their channel."
    )
    cells["before"] = cells["pressure"].astype("str").replace(str(LEVELS - 1), f"{LEVELS - 1} and more")
    shown = cells[["channel", "before", "contacts", "unsubscribed", "rate"]]
    return Fragment(
        paragraph(words)
        + table(shown.rename(columns={"before": "contacts before"}), {"rate": lambda x: percent(x, 2)})
    )

"""How far predictions can be trusted: the model on a later period, and predicted against actual responses."""

from __future__ import annotations

from typing import Any

import pandas as pd

from omniopt.runs import figures
from omniopt.runs.html import Fragment, number, paragraph, percent, picture, side_by_side, table
from omniopt.runs.notebook import Run

#: Months that the figure of drift shows, the newest: more would not be read.
MONTHS = 12


def keep(run: Run, scores: pd.DataFrame, model: Any) -> None:
    """Leave what the model made for the later notebooks; nothing, where the project brings its own scores.

    Parameters
    ----------
    run : Run
        Where to.
    scores : DataFrame
        customer_id, offer_id, channel, p_response.
    model : ResponseModel or None
        None where the scores are the project's own.
    """
    if model is None:
        return
    run.keep("scores", scores)
    run.keep("calibration", model.report["calibration"])
    run.keep("drift", model.report["drift"])
    plain = {k: v for k, v in model.report.items() if isinstance(v, int | float | str | dict | list)}
    run.keep("model", plain)


def model(run: Run) -> Fragment:
    """How good the response model is, on a period later than the one it was trained on."""
    report, bins = run.mapping("model"), run.frame("calibration")
    if not run.own_model:
        brought = "candidates" if run.tables.brings_candidates else "scores"
        return Fragment(
            paragraph(f"The project brings its own {brought}; no model was made, and none is judged here.")
        )
    if report is None or bins is None:
        return Fragment(paragraph("No model was made yet: notebook 02 does it."))
    trained, later, judged = report["trained"], report["calibrated"], report["judged"]
    day = _days(run)
    first = (
        f"Trained on {number(trained['contacts'])} contacts with {number(trained['responses'])} responses "
        f"({day(trained)}), calibrated and judged on {number(later['contacts'])} later ones with "
        f"{number(later['responses'])} ({day(later)}), each by a calibration that had not seen it."
    )
    if judged["contacts"] < later["contacts"]:
        first += (
            f" Judged were only the {number(judged['contacts'])} on channels of this run's actions, with "
            f"{number(judged['responses'])} responses."
        )
    second = (
        "Of a customer who responded and one who did not, the model scores the first higher in "
        f"{percent(report['auc'])} of cases; 50 % would be chance."
    )
    better = 1 - report["log_loss"] / report["log_loss_constant"]
    third = (
        f"Its probabilities are {percent(abs(better))} {'better' if better > 0 else 'WORSE'} (log loss) "
        "than giving everyone the response rate of the training period."
    )
    left = ", ".join(f"{number(n)} ({reason})" for reason, n in report.get("left_out", {}).items() if n)
    words = paragraph(first) + paragraph(second) + paragraph(third)
    words += paragraph(f"Contacts left out of the training: {left}.", "aside") if left else ""
    drawn = figures.calibration(bins["predicted_rate"], bins["rate"], bins["contacts"])
    made = bins[["contacts", "predicted_rate", "responses", "rate"]].rename(
        columns={"predicted_rate": "predicted", "rate": "actual"}
    )
    return Fragment(
        words
        + side_by_side(
            picture(drawn, "Predicted and actual response of customers from low to high scores"),
            table(made, {"predicted": percent, "actual": percent}),
        )
        + _drift(run, report)
    )


def _drift(run: Run, report: dict[str, Any]) -> str:
    """Whether response went on as the earlier contacts taught; nothing where all contacts are of one day."""
    cells = run.frame("drift")
    if cells is None or report["split"] != "by date":
        return ""
    said = report["warnings"]
    told = "".join(paragraph(f"Warning: {line}.", "bad") for line in said) or paragraph(
        "Response went on as the earlier contacts taught: what they predict is off by no more than chance "
        "explains, or by less than a fifth of the actual rate."
    )
    whole, months = cells[cells["by"] == "all"], cells[cells["by"] == "month"].iloc[-MONTHS:]
    shown = pd.concat([whole, months])
    first = [run.project.date_of(int(cell)) for cell in months["cell"]]
    dated = run.project.spec.horizon is not None
    words = [f"from {pd.Timestamp(day):%-d %b %Y}" if dated else f"from day {day}" for day in first]
    drawn = figures.forecast(
        ["all contacts", *words], shown["predicted_rate"], shown["rate"], shown["low"], shown["high"]
    )
    return (
        paragraph("What the earlier contacts predict for the later ones, before calibration:")
        + told
        + picture(drawn, "Response in the later period: predicted by the earlier one, and actual")
    )


def outcomes(run: Run) -> Fragment:
    """Predicted against actual responses, where the project knows what happened after the planning date."""
    from omniopt import knowledge
    from omniopt.knowledge.evaluate import CAVEAT

    actual = run.tables.extra.get("outcomes")
    if actual is None:
        return Fragment(
            paragraph("The project has no table of outcomes after the planning date to compare with.")
        )
    scores = run.scores() if run.tables.scores is None else run.tables.scores
    if scores is None:
        return Fragment(paragraph("There are outcomes, but no scores to compare them with."))
    actual = _contacts(actual)
    if actual is None:
        return Fragment(
            paragraph("The outcomes say who responded, not who was contacted: notebook 05 has them by run.")
        )
    compared = knowledge.compare(scores, actual)
    rows, whole = compared.iloc[:-1], compared.iloc[-1]
    judged = rows[rows["contacts"] > 0]
    if judged.empty:
        return Fragment(paragraph("None of the outcomes belongs to a contact that was scored."))
    drawn = figures.forecast(
        [f"{row.offer_id}, {row.channel}" for row in judged.itertuples()],
        judged["predicted_rate"], judged["rate"], judged["low"], judged["high"],
    )  # fmt: skip
    inside = "inside" if whole["within"] else "outside"
    words = (
        f"Predicted were {number(whole['predicted'], 0)} responses among the {number(whole['contacts'])} "
        f"contacts that were made; {number(whole['responses'])} came. The predicted rate of "
        f"{percent(whole['predicted_rate'], 2)} lies {inside} the range that chance explains around the "
        f"actual {percent(whole['rate'], 2)}."
    )
    if whole["unscored"]:
        words += f" {number(whole['unscored'])} more contacts had no score and are not compared."
    made = compared[
        ["offer_id", "channel", "contacts", "predicted", "responses", "predicted_rate", "rate"]
    ].rename(
        columns={
            "offer_id": "offer",
            "predicted_rate": "predicted rate",
            "rate": "actual rate",
            "responses": "actual",
        }
    )
    shares = {"predicted rate": lambda x: percent(x, 2), "actual rate": lambda x: percent(x, 2)}
    return Fragment(
        paragraph(words)
        + paragraph(CAVEAT, "aside")
        + picture(drawn, "Response: predicted and actual")
        + table(made, shares)
    )


def _contacts(outcomes: pd.DataFrame) -> pd.DataFrame | None:
    """Return the outcomes that are contacts; None where they tell of responses alone."""
    if not {"offer_id", "channel", "outcome"} <= set(outcomes):
        return None
    contacts = outcomes.dropna(subset=["offer_id", "channel", "outcome"])
    return None if (contacts["outcome"] == "responded").all() else contacts


def _days(run: Run) -> Any:
    """A function that writes a period of day numbers as dates."""

    def write(period: dict[str, Any]) -> str:
        first, last = (run.project.date_of(int(period[end])) for end in ("from", "to"))
        if run.project.spec.horizon is None:
            return f"days {first} to {last}"
        return f"{pd.Timestamp(first):%-d %b %Y} to {pd.Timestamp(last):%-d %b %Y}"

    return write

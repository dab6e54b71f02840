"""What notebook 05 shows: which runs can be measured, what they changed, and what was predicted of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from omniopt.errors import BadInput
from omniopt.learning.measure import compared
from omniopt.runs import figures, manifest
from omniopt.runs.finished import Finished, open_run
from omniopt.runs.html import Fragment, number, paragraph, percent, picture, table, tiles
from omniopt.runs.measured import RESPONDERS, UNEVEN, Measured, measure, not_run
from omniopt.runs.notebook import Run

NOTHING = (
    "There is nothing to be measured: no finished run here has a control group or outcomes that name it."
)
_PARTS = {
    "offer's own control": "By offer, against customers held out from it alone",
    "offer": "By offer of the response",
    "channel": "By channel: responses recorded there, less the cost of its contacts",
    "department": "By department of the offer",
    "segment": "By segment of the customers",
}
_SHOWN = 16  # of one kind, those with the largest effects


def measure_runs(run: Run, answer_days: int) -> tuple[list[Measured], list[str]]:
    """Measure the finished runs of this project that lie beside this one; this one too, if it is finished.

    Only those count that have a control group, or that outcomes name: others may never have been executed.
    Results are written into the runs' folders, where a look before the end is remembered.

    Parameters
    ----------
    run : Run
        Whose project has outcomes.
    answer_days : int
        Days after a contact during which an answer may come.

    Returns
    -------
    measured : list of Measured
        In the order of their first days.
    refused : list of str
        What is wrong with outcomes or with a run's folder: no reason to refuse this run's plan.
    """
    happened = run.tables.extra.get("outcomes")
    if happened is None:
        return [], []
    named = set(happened["run_id"].dropna()) if "run_id" in happened else set()
    found: list[Measured] = []
    refused: dict[str, None] = {}  # the same fault of outcomes meets every run
    for folder in sorted(path for path in run.folder.resolve().parent.iterdir() if path.is_dir()):
        try:
            finished = _finished(folder, run)
            executed = finished and (finished.run_id in named or finished.experiment is not None)
            result = measure(finished, answer_days=answer_days) if finished and executed else None
        except BadInput as error:
            refused |= dict.fromkeys(str(fault) for fault in error.faults)
            continue
        if result is not None:
            result.save()
            found.append(result)
    return sorted(found, key=lambda one: (str(one.run.start), one.run.run_id)), list(refused)


def _finished(folder: Path, run: Run) -> Finished | None:
    """Open a folder, if it holds a finished run of this project that was no rehearsal."""
    of = manifest.read(folder) or {}
    if of.get("project") != run.project.spec.name or not of.get("finished") or of.get("report_only"):
        return None
    if not (folder / "plan.parquet").is_file() or not (folder / "certificate.json").is_file():
        return None
    return open_run(folder, run.project)


def overview(results: list[Measured], refused: list[str]) -> Fragment:
    """Each measured run on a line, or why there is none; and what could not be measured."""
    wrong = "".join(paragraph(line, "bad") for line in refused)
    if not results:
        return Fragment(wrong or paragraph(NOTHING))
    rows = []
    for one in results:
        row = {"run": one.run.run_id, "until": _day(one, one.until), "contacts": len(one.contacts)}
        for metric, title in (("response", "more responses"), ("money", "more money")):
            row[title] = _with_interval(one.whole(metric))
        rows.append(row | {"": "early look" if one.early else "complete"})
    return Fragment(table(pd.DataFrame(rows)) + wrong)


def effects(results: list[Measured]) -> Fragment:
    """What the latest run changed, in all and part by part."""
    if not results:
        return Fragment("")
    one = results[-1]
    if one.effects.empty:
        return Fragment(paragraph("This run had no control group: what its contacts changed cannot be told."))
    response, money = one.whole("response"), one.whole("money")
    if response is None:
        return Fragment(paragraph("The control group is too small to compare with: ten customers at least."))
    words = [_in_words(response, "response", one)]
    made = [("Treated", number(response["treated"]), "customers who could be contacted")]
    made += [("Control", number(response["control"]), "customers held out at random")]
    made += [("More responses", number(response["total"], 0), _range(response, 0))]
    if money is not None:
        words.append(_in_words(money, "money", one))
        made.append(("More money", number(money["total"], 0), _range(money, 0)))
    return Fragment(tiles(made) + "".join(map(paragraph, words)) + _trust(one) + _parts(one))


def _in_words(found: dict[str, Any], metric: str, one: Measured) -> str:
    what = {
        "response": f"{percent(found['mean_treated'], 2)} of the treated customers responded, and "
        f"{percent(found['mean_control'], 2)} of the control group",
        "money": f"A treated customer brought {number(found['mean_treated'], 2)} after the cost of contacts, "
        f"one of the control group {number(found['mean_control'], 2)}",
    }[metric]
    sure = "more" if found["low"] > 0 else "less" if found["high"] < 0 else None
    said = (
        f"the contacts brought {sure}, beyond what chance explains" if sure else "chance explains that, too"
    )
    return f"{what}: {said}{' so far' if one.early else ''}."


def _trust(one: Measured) -> str:
    """How far the figures can be trusted: an early look, an uneven split, outcomes set aside."""
    said = ""
    if one.early:
        said += paragraph(
            f"This is a look before the planned end ({_day(one, one.end)}), number {len(one.looks)} of them. "
            f"Its intervals reach {number(one.reach, 2)} standard errors to each side instead of 1.96, so "
            "that looking early and often finds nothing where nothing is.",
            "aside",
        )
    if one.split < UNEVEN:
        said += paragraph(
            "The groups are not as large as the draw makes them: chance alone does this in fewer than one of "
            "a thousand runs. Find out who is missing before trusting these figures.",
            "bad",
        )
    if one.few and one.whole("money"):
        said += paragraph(
            f"Fewer than {RESPONDERS} customers of the control group responded. With so few the interval of "
            "money is somewhat too narrow: it holds the truth in 92 to 93 of a hundred runs rather than 95.",
            "aside",
        )
    aside = ", ".join(f"{number(n)} ({reason})" for reason, n in one.aside.items())
    return said + (paragraph(f"Outcomes that belong to no contact: {aside}.", "aside") if aside else "")


def _parts(one: Measured) -> str:
    """Pictures of the parts' effects, and how many were compared."""
    parts = one.effects[one.effects["scope"].isin(list(_PARTS)) & one.effects["effect"].notna()]
    if parts.empty:
        return ""
    metric = "money" if "money" in set(parts["metric"]) else "response"
    drawn = ""
    for scope, caption in _PARTS.items():
        rows = parts[(parts["scope"] == scope) & (parts["metric"] == metric)]
        if len(rows):
            largest = rows["total"].abs().sort_values(ascending=False, kind="stable").index[:_SHOWN]
            rows = rows.loc[sorted(largest)]
            shape = figures.effects(
                rows["name"].tolist(), rows["total"].tolist(), rows["total_low"].tolist(),
                rows["total_high"].tolist(), f"more {'money' if metric == 'money' else 'responses'}",
            )  # fmt: skip
            drawn += picture(shape, f"{caption}; 95 % intervals")
    beyond = parts[(parts["p_adjusted"] < 0.05) & (parts["metric"] == metric)]
    words = (
        f"{number(compared(one.effects))} comparisons of parts were made. One of twenty such intervals "
        "leaves out the truth, so single ones prove little. "
    )
    names = ", ".join(
        f"{name} ({scope})" for name, scope in zip(beyond["name"], beyond["scope"], strict=True)
    )
    words += f"Allowing for their number (Holm), those that differ in {metric}: {names or 'none'}."
    columns = [
        "scope",
        "name",
        "metric",
        "treated",
        "control",
        "total",
        "total_low",
        "total_high",
        "p_adjusted",
    ]
    shown = parts[columns].rename(
        columns={"total": "more", "total_low": "from", "total_high": "to", "p_adjusted": "p, adjusted"}
    )
    return drawn + paragraph(words) + table(shown, fold="Every comparison")


def predicted(results: list[Measured]) -> Fragment:
    """Predicted against actual responses to the latest run's contacts."""
    if not results:
        return Fragment("")
    one = results[-1]
    known = one.predicted[(one.predicted["contacts"] > one.predicted["open"])]
    if known.empty:
        return Fragment(paragraph("Answers may still come to all contacts: nothing is compared yet."))
    rows, whole = known[known["offer_id"] != "all"], known[known["offer_id"] == "all"].iloc[0]
    inside = whole["low"] <= whole["predicted_rate"] <= whole["high"]
    words = (
        f"Predicted were {number(whole['predicted'], 1)} responses to the contacts whose time to answer is "
        f"over; {number(whole['responses'])} came. The predicted rate of "
        f"{percent(whole['predicted_rate'], 2)} lies {'inside' if inside else 'outside'} the range that "
        f"chance explains around the actual {percent(whole['rate'], 2)}."
    )
    if whole["open"]:
        words += f" {number(whole['open'])} more contacts may still be answered, and are not compared."
    drawn = figures.forecast(
        [f"{row.offer_id}, {row.channel}" for row in rows.itertuples()],
        rows["predicted_rate"].tolist(), rows["rate"].tolist(), rows["low"].tolist(), rows["high"].tolist(),
    )  # fmt: skip
    names = {"offer_id": "offer", "predicted_rate": "predicted rate", "rate": "actual rate"}
    made = known[["offer_id", "channel", "contacts", "predicted", "responses", "predicted_rate", "rate"]]
    shares = {"predicted rate": lambda x: percent(x, 2), "actual rate": lambda x: percent(x, 2)}
    return Fragment(
        paragraph(words)
        + paragraph("Customers were chosen for high predictions, so less than predicted is usual.", "aside")
        + picture(drawn, "Response to the contacts made: predicted and actual")
        + table(made.rename(columns=names), shares)
    )


def other_plan(run: Run, results: list[Measured], other: str) -> Fragment:
    """What a plan that was not run would have brought, from the latest run's contacts at random.

    Parameters
    ----------
    run : Run
        This run.
    results : list of Measured
        The last one is asked.
    other : str
        The folder of the plan, relative to the project's; empty for none.
    """
    if not results or not other:
        return Fragment(paragraph("No plan that was not run is named: give the parameter other_plan."))
    try:
        found = not_run(results[-1], run.project.root / other)
    except BadInput as refusal:
        return Fragment(paragraph(str(refusal), "bad"))
    return Fragment(_estimates(found))


def _estimates(found: pd.DataFrame) -> str:
    first = found.iloc[0]
    words = (
        f"{number(first['matched'])} of {number(first['draws'])} contacts at random are contacts of this "
        f"plan; they count as {number(first['effective'], 0)} (effective number). "
        f"{percent(first['overlap'], 0)} of its contacts could have been drawn."
    )
    rows = [
        {
            "": row["metric"],
            "predicted": number(row["predicted"], 0),
            "by the draws": _estimate(row, "ips"),
            "doubly robust": _estimate(row, "dr"),
        }
        for row in found.to_dict("records")
    ]
    return paragraph(words) + table(pd.DataFrame(rows))


def _estimate(row: dict[str, Any], name: str) -> str:
    low, high = number(row[f"{name}_low"], 0), number(row[f"{name}_high"], 0)
    return f"{number(row[name], 0)} ({low} to {high})"


def _with_interval(found: dict[str, Any] | None) -> str:
    return "not measured" if found is None else f"{number(found['total'], 0)} ({_range(found, 0)})"


def _range(found: dict[str, Any], digits: int) -> str:
    return f"{number(found['total_low'], digits)} to {number(found['total_high'], digits)}"


def _day(one: Measured, day: int) -> str:
    return str(one.run.date(day))

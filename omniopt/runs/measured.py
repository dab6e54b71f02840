"""A finished run measured: its folder, what happened since, what that says, and what stays of it.

The measured days go from the first of the horizon until answers to the last contacts are in. A look before
that is told as one: its intervals are wider, and it is remembered, for every look makes the later ones wider.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from omniopt.decisions import Plan
from omniopt.errors import BadInput, Fault, Faults, nearest
from omniopt.learning import history
from omniopt.learning.looks import boundaries
from omniopt.learning.measure import compared, effects, split_as_planned
from omniopt.learning.off_policy import off_policy
from omniopt.learning.outcomes import checked, join, of_contacts, predicted_and_actual, set_aside
from omniopt.rules.holdout import EXPLORATION, control_of
from omniopt.runs.finished import Finished, check_files, open_run
from omniopt.tables import read_parquet, read_table, write_parquet

#: Days after a contact during which an answer may come, if not said otherwise.
ANSWER_DAYS = 14
#: Below this, who was held out was not left to chance alone.
UNEVEN = 0.001
#: With fewer responders in the control group the interval of money is too narrow.
RESPONDERS = 50
RESULT = "measured.json"
#: Reasons of dropped contacts that chance alone decides.
BY_CHANCE = (EXPLORATION, control_of(""))


@dataclass(frozen=True)
class Measured:
    """What is known of a run afterwards.

    Parameters
    ----------
    run : Finished
        The run.
    until : int
        Last day that is measured.
    end : int
        Last day that was to be measured: answers to the last contacts are in.
    looks : list of int
        Days up to which it was looked at, this look last.
    reach : float
        How many standard errors the intervals reach to each side.
    effects : DataFrame
        As `omniopt.learning.measure.effects` returns them; empty without a control group.
    contacts : DataFrame
        The plan's contacts with ``outcome``, ``value`` and ``planned``.
    predicted : DataFrame
        Predicted against actual responses, by offer and channel.
    aside : dict
        Rows of outcomes that belong to no contact, by reason.
    split : float
        How probable it is that chance alone made the split into arms so uneven.
    """

    run: Finished
    until: int
    end: int
    looks: list[int]
    reach: float
    effects: pd.DataFrame
    contacts: pd.DataFrame
    predicted: pd.DataFrame
    aside: dict[str, int]
    split: float

    @property
    def early(self) -> bool:
        """Whether this is a look before the planned end."""
        return self.until < self.end

    def whole(self, metric: str) -> dict[str, Any] | None:
        """The effect of all contacts together in a metric, response or money; None if it was not measured."""
        if self.effects.empty:
            return None
        found = self.effects[(self.effects["scope"] == "all") & (self.effects["metric"] == metric)]
        row = found.to_dict("records")
        return row[0] if row and math.isfinite(row[0]["effect"]) else None

    @property
    def few(self) -> bool:
        """Whether so few of the control group responded that the interval of money is too narrow."""
        found = self.whole("response")
        return found is not None and found["mean_control"] * found["control"] < RESPONDERS

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON can hold, without any customer."""
        day = self.run.date
        return {
            "run_id": self.run.run_id,
            "from": day(1),
            "until": day(self.until),
            "planned_until": day(self.end),
            "early": self.early,
            "looks": self.looks,
            "errors_to_each_side": self.reach,
            "split_by_chance": self.split,
            "compared": compared(self.effects),
            "adjusted_by": "Holm",
            "contacts": len(self.contacts),
            "outcomes_without_a_contact": self.aside,
            "predicted": _records(self.predicted),
            "effects": _records(self.effects),
        }

    def save(self) -> None:
        """Write measured.json and measured.parquet into the run's folder."""
        text = json.dumps(self.as_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        (self.run.folder / RESULT).write_text(text + "\n", encoding="utf-8")
        write_parquet(self.effects, self.run.folder / "measured.parquet")


def measure(
    run: Finished, outcomes: Path | None = None, answer_days: int = ANSWER_DAYS, by: tuple[str, ...] = ()
) -> Measured | None:
    """Measure a run.

    Parameters
    ----------
    run : Finished
        As `open_run` returns it.
    outcomes : Path, optional
        A table of what happened; without it the project's table called outcomes.
    answer_days : int
        Days after a contact during which an answer may come.
    by : tuple of str
        Columns of customers whose values are segments.

    Returns
    -------
    Measured or None
        None where nothing has happened since the run began.

    Raises
    ------
    BadInput
        There are no outcomes, or they cannot be used; a segment is no column of customers.
    """
    customers = None if run.tables is None else run.tables.customers
    _check_segments(by, run)
    rows = _outcomes(run, outcomes)
    end = run.last + answer_days
    if rows.empty or int(rows["date"].max()) < 1:
        return None
    until = min(int(rows["date"].max()), end)
    known = None
    if customers is not None:
        known = pd.Index(customers["customer_id"])
    elif run.experiment is not None:
        known = pd.Index(run.experiment["customer_id"].unique())
    contact, reason = join(run.contacts, rows, run.run_id, end, known)
    contacts = of_contacts(run.contacts, rows, contact, until, answer_days)
    looks = [*(day for day in _looks(run.folder) if day < until), until]
    reach = float(boundaries([day / end for day in looks])[-1])
    found, split = pd.DataFrame(), 1.0
    if run.experiment is not None:
        offers = None if run.tables is None else run.tables.offers
        window = rows[rows["date"].between(1, until)]
        made = run.contacts[run.contacts["date"] <= until]
        found = effects(run.experiment, window, made, offers, customers, by, reach)
        split = split_as_planned(run.experiment)
    return Measured(
        run,
        until,
        end,
        looks,
        reach,
        found,
        contacts,
        predicted_and_actual(contacts),
        set_aside(reason),
        split,
    )


def _check_segments(by: tuple[str, ...], run: Finished) -> None:
    if by and run.tables is None:
        message = f"{run.folder}: the run's project, which holds the columns to measure by, is not found"
        hint = "It is looked for where it was, seen from the run's folder: put the folder back in its place"
        raise BadInput([Fault(message, hint=hint)])
    customers = None if run.tables is None else run.tables.customers
    there = [] if customers is None else [name for name in customers if name != "customer_id"]
    faults = [
        Fault(f"customers have no column '{name}'", table="customers", column=name, hint=nearest(name, there))
        for name in by
        if name not in there
    ]
    if faults:
        raise BadInput(faults)


def _outcomes(run: Finished, path: Path | None) -> pd.DataFrame:
    faults = Faults()
    if path is not None:
        rows = read_table(path, "outcomes", faults, horizon_start=run.start)
        faults.raise_if_any()
        file: str | None = path.name
    else:
        given = None if run.tables is None else run.tables.extra.get("outcomes")
        if given is None:
            hint = "Name a file with --outcomes, or a table called outcomes in the project"
            raise BadInput(Fault(f"nothing is known of what happened after run {run.run_id}", hint=hint))
        rows, file = given, run.tables.files.get("outcomes") if run.tables else None
    rows = checked(rows, file, faults)
    faults.raise_if_any()
    return rows


def _looks(folder: Path) -> list[int]:
    path = folder / RESULT
    looks = json.loads(path.read_text(encoding="utf-8")).get("looks") if path.is_file() else []
    if not isinstance(looks, list) or not all(type(day) is int and day >= 1 for day in looks):
        raise BadInput(Fault("'looks' is no list of days", file=RESULT, hint="Remove the file"))
    return looks


def not_run(measured: Measured, other: Path) -> pd.DataFrame:
    """Estimate what another plan would have brought, from this run's contacts at random.

    Parameters
    ----------
    measured : Measured
        A run with an explored arm.
    other : Path
        Folder of the plan that was not run.

    Returns
    -------
    pandas.DataFrame
        As `omniopt.learning.off_policy.off_policy`.

    Raises
    ------
    BadInput
        When it refuses; when the other plan drew contacts at random itself.
    """
    check_files(other)
    plan = Plan.load(other).contacts
    if "probability" in plan and (plan["probability"] < 1).any():
        message = f"the plan in {other.name} gives contacts at random itself: it cannot be judged by draws"
        raise BadInput(Fault(message, hint="Make it without learning in the policy"))
    run = measured.run
    draws = drawn(run, measured.contacts)
    told = {
        "predicted_response": plan["response"],
        "predicted_money": plan["value"] - plan["cost"],
    }
    return off_policy(draws, plan[["customer_id", "action_id"]].assign(**told), _possible(run.folder))


def drawn(run: Finished, contacts: pd.DataFrame) -> pd.DataFrame:
    """Return the contacts of the explored arm that are known, as `off_policy` takes them."""
    if run.experiment is None or "probability" not in contacts:
        return contacts.head(0).assign(probability=pd.Series(dtype=float))
    explored = run.experiment.loc[run.experiment["arm"] == "explored", "customer_id"]
    mine = contacts[contacts["customer_id"].isin(explored) & contacts["over"]]
    return mine[["customer_id", "action_id", "probability", "predicted_response"]].assign(
        response=(mine["outcome"] == "responded").astype(float),
        money=mine["value"].fillna(0) - mine["cost"],
        predicted_money=mine["predicted_value"] - mine["cost"],
    )


def _possible(folder: Path) -> pd.DataFrame | None:
    """Return the contacts that chance alone took out, by a draw or by an offer's own control group."""
    path = folder / "dropped.parquet"
    dropped = read_parquet(path) if path.is_file() else pd.DataFrame()
    if dropped.empty or "action_id" not in dropped:
        return None
    return dropped[dropped["reason"].astype("str").str.startswith(BY_CHANCE)]


def append_all(results: Sequence[Measured], path: Path) -> list[dict[str, int]]:
    """Append the contacts of several runs with their outcomes to history, or none of them.

    Parameters
    ----------
    results : sequence of Measured
    path : Path
        As for `omniopt.learning.history.append`.

    Returns
    -------
    list of dict
        What that returns, for each run.

    Raises
    ------
    BadInput
        With what any of the runs is refused for.
    """
    told, faults = [], Faults()
    with history.draft(path) as draft:
        for one in results:
            try:
                told.append(history.append(draft, one.contacts, one.run.run_id, one.run.start))
            except BadInput as error:
                faults.extend(error.faults)
        faults.raise_if_any()
    return told


def measure_all(
    folders: Sequence[Path], outcomes: Path | None, answer_days: int, by: tuple[str, ...]
) -> list[Measured]:
    """Measure several runs, or none: what is wrong with any of them is told before anything is written.

    Parameters
    ----------
    folders : sequence of Path
        The runs' folders.
    outcomes, answer_days, by
        As in `measure`.

    Returns
    -------
    list of Measured
        One for each folder.

    Raises
    ------
    BadInput
        As `open_run` and `measure`; also where nothing has happened yet since a run began.
    """
    results, faults = [], Faults()
    for folder in folders:
        try:
            result = measure(open_run(folder), outcomes, answer_days, by)
        except BadInput as error:
            faults.extend(error.faults)
            continue
        if result is None:
            faults.add(f"nothing is known to have happened since the run in {folder} began")
        else:
            results.append(result)
    faults.raise_if_any()
    return results


def in_words(result: Measured) -> list[str]:
    """Say in a few lines what was measured."""
    look = f"an early look: the planned end is {result.run.date(result.end)}" if result.early else "complete"
    lines = [f"{result.run.run_id}, until {result.run.date(result.until)} ({look})"]
    for metric, what in (("response", "responses"), ("money", "money")):
        found = result.whole(metric)
        if found is not None:
            ends = f"95 % interval {found['total_low']:,.1f} to {found['total_high']:,.1f}"
            groups = f"{found['treated']:,} treated against {found['control']:,} held out"
            lines.append(f"  {found['total']:+,.1f} {what} by its contacts ({ends}; {groups})")
    if result.whole("response") is None:
        lines.append("  no control group of at least ten: what its contacts changed cannot be told")
    else:
        lines.append(f"  {compared(result.effects)} parts compared; p allows for that (Holm)")
    if result.few:
        lines.append(
            f"  fewer than {RESPONDERS} of the control group responded: money may vary more than told"
        )
    if result.split < UNEVEN:
        lines.append("  WARNING: the groups are not as large as the draw makes them: who is missing?")
    whole = result.predicted.tail(1).to_dict("records")
    if whole and whole[0]["contacts"] > whole[0]["open"]:
        of = whole[0]
        lines.append(
            f"  {of['responses']:,} responses to {of['contacts'] - of['open']:,} contacts, "
            f"{of['predicted']:,.1f} predicted; {of['open']:,} contacts may still be answered"
        )
    aside = [f"{n:,} {reason}" for reason, n in result.aside.items()]
    return lines + ([f"  outcomes that belong to no contact: {', '.join(aside)}"] if aside else [])


def estimates_in_words(rows: list[dict[str, Any]]) -> list[str]:
    """Say in a line for each metric what a plan that was not run would have brought."""
    return [
        f"  the other plan: {row['metric']} {row['dr']:,.1f} (95 % interval {row['dr_low']:,.1f} to "
        f"{row['dr_high']:,.1f}), {row['predicted']:,.1f} predicted; {row['effective']:,.0f} draws count"
        for row in rows
    ]


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {key: None if isinstance(x, float) and not math.isfinite(x) else x for key, x in row.items()}
        for row in frame.to_dict("records")
    ]

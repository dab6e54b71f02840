"""What if: a finished run's project solved again with other limits, other caps, the vetoes and locks applied.

Tables and scores are read once and stay in memory between solves. Nothing is written but the comparison,
where a path is given for it; the run stays as it is.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from omniopt.decisions import Plan, compare, optimize
from omniopt.errors import BadInput, Fault, Faults, Infeasible, nearest
from omniopt.project import Project
from omniopt.review import overrides, words
from omniopt.review.data import FinishedRun

#: Told a step's name, the best objective and the best bound.
Progress = Callable[[str, float, float], None]
#: Rule name → what changes in it: keys of the rule, or ``scale``, a factor on a limit's maximum.
Changes = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Knob:
    """One thing a planner can turn: the maximum of a limit or of a contact rule.

    Parameters
    ----------
    section : {"limits", "contact"}
    name : str
        The rule.
    key : {"max", "scale"}
        ``scale`` where the maximum is read from a table and can only be scaled as a whole.
    value, high, step : float
        The run's own value, and the slider's end and step; every slider starts at 0.
    what : str
        What the number counts.
    """

    section: str
    name: str
    key: str
    value: float
    high: float
    step: float
    what: str


@dataclass(frozen=True)
class Outcome:
    """A plan solved again, beside the run's.

    Attributes
    ----------
    before, after : omniopt.Plan
    changes : mapping
        What was changed, by rule.
    vetoes, locks : int
        How many of them were applied.
    table : DataFrame
        Measure by measure: the run, what if, the difference.
    words : list of str
        The same in sentences, the most important first.
    """

    before: Plan
    after: Plan
    changes: Changes
    vetoes: int
    locks: int
    table: pd.DataFrame
    words: list[str]

    def as_json(self) -> dict[str, Any]:
        """The outcome as what JSON can hold."""
        plans = {
            name: {key: plan.certificate[key] for key in ("status", "objective", "bound", "gap")}
            | {"contacts": len(plan.contacts)}
            for name, plan in (("run", self.before), ("what_if", self.after))
        }
        rows = json.loads(self.table.to_json(orient="records"))
        decisions = {"vetoes": self.vetoes, "locks": self.locks}
        return {**plans, "changes": self.changes, "decisions": decisions, "table": rows, "words": self.words}


class WhatIf:
    """A run's project, ready to be solved again.

    Parameters
    ----------
    run : FinishedRun
    project : str or Path, optional
        The project file, where the run does not name one or it has moved.
    gap : float
        Solve until this gap is proven,
    time_limit : float, optional
        or until this many seconds are over.

    Raises
    ------
    BadInput
        When the project cannot be found or read, or the gap or the time is no such number.
    """

    def __init__(
        self, run: FinishedRun, project: str | Path = "", gap: float = 1e-4, time_limit: float | None = None
    ) -> None:
        faults = Faults()
        if not _is_number(gap) or not 0 <= gap < 1:
            faults.add(f"gap is {gap!r}, not a number from 0 to below 1", hint="Write 1e-4 for 0.01 %.")
        if time_limit is not None and (not _is_number(time_limit) or time_limit <= 0):
            faults.add(
                f"time_limit is {time_limit!r}, not a number of seconds",
                hint="Write 60, or None for no limit.",
            )
        faults.raise_if_any()
        self.run, self.gap, self.time_limit = run, gap, time_limit
        self.project = _project_of(run, project)
        self._problem: Any = None  # of the plan that was solved last
        self.policy = self.project.effective_policy()

    @cached_property
    def changed_inputs(self) -> list[str]:
        """The tables that are no longer what they were when the run was made."""
        now, then = self.project.read().inputs, self.run.certificate.get("inputs", {})
        return [name for name in then if name in now and now[name].get("sha256") != then[name].get("sha256")]

    @cached_property
    def before(self) -> Plan:
        """The run's plan; solved again if its tables have changed since, to compare like with like."""
        if self.changed_inputs:
            return self._solve(self.project)
        return Plan.load(self.run.folder)

    @cached_property
    def _scores(self) -> pd.DataFrame | None:
        path = self.run.folder / "scores.parquet"
        return None if self.changed_inputs or not path.is_file() else self.run.table("scores")

    def knobs(self) -> list[Knob]:
        """What can be turned, in the policy's order; rules without a maximum to turn are left out."""
        found = []
        for rule in self.policy.get("limits") or []:
            most = rule.get("max")
            what = rule.get("measure", "contacts")
            counted = what == "contacts" and "over" not in rule
            if "over" in rule:
                over = _measure(rule["over"])
                what = f"share of {over}" if what == over else f"{what} over {over}"
            if _is_number(most) and most > 0:
                found.append(Knob("limits", rule["name"], "max", most, 2 * most, _step(most, counted), what))
            elif isinstance(most, Mapping):
                found.append(
                    Knob(
                        "limits", rule["name"], "scale", 1.0, 2.0, 0.05, f"% of the table {most.get('table')}"
                    )
                )
        for rule in self.policy.get("contact") or []:
            most = rule.get("max")
            if _is_number(most):
                span = f"in {rule['days']} days" if rule.get("days") else "in all"
                found.append(Knob("contact", rule["name"], "max", most, max(2 * most, most + 3), 1, span))
        return found

    def understood(self, changes: Any) -> Changes:
        """Read changes as people give them: rule → new maximum, or a mapping of keys; or JSON text of that.

        Raises
        ------
        BadInput
            When a rule is unknown, or a new value is no number.
        """
        if isinstance(changes, str):
            try:
                changes = json.loads(changes) if changes.strip() else {}
            except ValueError as error:
                raise BadInput(
                    f'changes cannot be read as JSON: {error}. Write {{"total budget": 40000}}.'
                ) from error
        if not isinstance(changes, Mapping):
            raise BadInput('changes must map rules to their new maximum, such as {"total budget": 40000}.')
        names = {rule["name"] for section in ("limits", "contact") for rule in self.policy.get(section) or []}
        faults, plain = Faults(), {}
        for name, change in changes.items():
            change = dict(change) if isinstance(change, Mapping) else {"max": change}
            if name not in names:
                faults.add(
                    f"changes: there is no limit and no contact rule '{name}'", hint=nearest(str(name), names)
                )
            for key, value in change.items():
                if key in ("max", "min", "scale") and value is not None and not isinstance(value, Mapping):
                    if not _is_number(value) or (key == "scale" and value < 0):
                        faults.add(f"changes: '{key}' is {value!r}, not a number", rule=str(name))
            plain[str(name)] = change
        faults.raise_if_any()
        return plain

    def solve(self, changes: Any, decisions: bool = False, progress: Progress | None = None) -> Outcome:
        """Solve again.

        Parameters
        ----------
        changes : mapping or str
            See `understood`.
        decisions : bool
            Apply the vetoes and locks that were saved beside the run.
        progress : callable, optional
            Called with a step's name, the best objective and the best bound, as they close in.

        Raises
        ------
        BadInput
            When the changes, or the vetoes and locks, cannot be used.
        Infeasible
            When no plan keeps all rules then.
        """
        changes = self.understood(changes)
        project, vetoes, locks = self.project, 0, 0
        limits = {rule["name"] for rule in self.policy.get("limits") or []}
        for name, change in changes.items():
            factor = change.get("scale")
            rest = {key: value for key, value in change.items() if key != "scale"}
            if factor is not None:
                project = self._scaled(project, name, factor)
            if rest:
                project = (
                    project.with_limit(name, **rest) if name in limits else project.with_contact(name, **rest)
                )
        if decisions:
            held = overrides.read(self.run)
            held.require_sound()
            vetoes, locks = len(held.vetoes), len(held.locks)
            project = project.with_decisions(
                _joined(self.project.changes.get("vetoes"), held.vetoes),
                _joined(self.project.changes.get("locks"), held.locks),
            )
        before = self.before
        try:
            after = self._solve(project, before, progress)
        except Infeasible as error:
            if not locks:
                raise
            held_fast = "A lock applies" if locks == 1 else f"{locks} locks apply"
            reason = f"{error.reason.rstrip('.')}. {held_fast} too: taking one back may help."
            raise Infeasible(reason, error.diagnosis) from error
        said = words.of_changes(self.policy, changes, vetoes, locks)
        told = words.of_two_plans(self.run.objective, said, before, after, self.run.maximises)
        if self.changed_inputs:
            told.append(words.of_changed_inputs(self.changed_inputs, self.run.name))
        return Outcome(before, after, changes, vetoes, locks, compare(before, after), told)

    def _solve(self, project: Project, start: Plan | None = None, progress: Progress | None = None) -> Plan:
        if start is not None and self._problem is not None:  # its candidates are still in memory
            start = replace(start, problem=self._problem)
        plan = optimize(
            project,
            gap=self.gap,
            time_limit=self.time_limit,
            warm_start=start,
            scores=self._scores,
            progress=progress,
        )
        self._problem = plan.problem
        return plan

    def _scaled(self, project: Project, name: str, factor: float) -> Project:
        """Scale a limit's maximum; one read from a table, in a copy of that table for this limit alone."""
        rule = next((r for r in self.policy.get("limits") or [] if r["name"] == name), None)
        if rule is None or rule.get("max") is None:
            raise BadInput(f"changes: '{name}' has no maximum that could be scaled. Give its max instead.")
        if _is_number(rule["max"]):
            return project.with_limit(name, max=rule["max"] * factor)
        tables, column = project.read(), rule["max"]["column"]
        source = tables.extra.get(rule["max"]["table"], getattr(tables, rule["max"]["table"], None))
        if source is None or column not in source:
            raise BadInput([Fault(f"table {rule['max']['table']} has no column '{column}'", rule=name)])
        copy = f"{rule['max']['table']}, scaled for {name}"
        scaled = source.assign(**{column: source[column] * factor})
        extra = replace(tables, extra={**tables.extra, copy: scaled})
        return replace(project, _cache={"tables": extra}).with_limit(
            name, max={"table": copy, "column": column}
        )


def write_comparison(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write a comparison as JSON, whole or not at all.

    Raises
    ------
    BadInput
        When the file cannot be written.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(
            json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8"
        )
        os.replace(beside, path)
    except OSError as error:
        raise BadInput([Fault(f"cannot be written: {error.strerror or error}", file=str(path))]) from error


def _project_of(run: FinishedRun, given: str | Path) -> Project:
    """The run's project as the run solved it, with the changes it was solved with."""
    named = run.certificate.get("project")
    if not str(given) and not named:
        raise BadInput(
            f"The run {run.name} was made of tables in memory: there is no project to solve again."
            " Give the project's file in the parameter `project`."
        )
    project = Project.load(given if str(given) else (run.folder / str(named)).resolve())
    changes = run.certificate.get("changes") or {}
    for name, change in (changes.get("limits") or {}).items():
        project = project.with_limit(name, **change)
    for name, change in (changes.get("contact") or {}).items():
        project = project.with_contact(name, **change)
    vetoes, locks = (_joined(changes.get(what), None) for what in ("vetoes", "locks"))
    return project.with_decisions(vetoes, locks) if len(vetoes) or len(locks) else project


def _joined(earlier: list[list[str]] | None, later: pd.DataFrame | None) -> pd.DataFrame:
    """The run's own vetoes or locks, and those decided since; one row per contact."""
    columns = [*overrides.KEY, "reason"]
    frames = [pd.DataFrame(earlier or [], columns=columns, dtype="str")]
    if later is not None:
        frames.append(later[columns])
    return pd.concat(frames, ignore_index=True).drop_duplicates(overrides.KEY, keep="last")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _measure(over: Any) -> str:
    return str(over.get("measure", over)) if isinstance(over, Mapping) else str(over)


def _step(most: float, counted: bool) -> float:
    """A slider's step: the roundest that divides the maximum into 20 to 200; else its hundredth."""
    if counted and most <= 200:
        return 1
    for power in range(math.ceil(math.log10(most)), math.floor(math.log10(most)) - 4, -1):
        for digit in (5, 2, 1):
            step = digit * 10.0**power
            parts = most / step
            if 20 <= parts <= 200 and abs(parts - round(parts)) < 1e-9:
                return step
    return max(1, round(most / 100)) if counted else most / 100

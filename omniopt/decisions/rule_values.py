"""What each rule costs: the plan that would be possible without it, found by solving again.

Neither the plan at hand nor the one without a rule need be the best there is, so that the gain has
two bounds: the new plan's objective less the old one's bound, and the new bound less the old
objective. The true gain lies between them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from omniopt.decisions import kernels
from omniopt.decisions.certificate import gap_of, status_of
from omniopt.decisions.dual import prove
from omniopt.decisions.plan import Plan
from omniopt.decisions.problem import Problem, build_problem, keeps_rules
from omniopt.decisions.redundant import redundant
from omniopt.decisions.restrict import search
from omniopt.decisions.system import state_system
from omniopt.errors import BadInput
from omniopt.project import Project
from omniopt.rules.limits import Coupling
from omniopt.rules.unit_rows import UnitRows
from omniopt.tables import write_parquet

COLUMNS = [
    "rule", "kind", "objective_without", "bound_without", "gain_at_least", "gain_at_most", "status", "seconds"
]  # fmt: skip
FILE = "rule_values.parquet"
KEPT = "changes nothing"  # status of a rule that is proven to change nothing, without solving again

Tell = Callable[[str, int, int], None]


def rule_values(
    project: Project,
    plan: Plan,
    gap: float = 1e-4,
    time_limit: float | None = None,
    all_limits: bool = False,
    progress: Tell | None = None,
) -> pd.DataFrame:
    """Say for each contact rule, conflict, requirement and guarantee what the plan would gain without it.

    A guarantee is a limit's minimum; its maximum stays. Each rule is left out alone, and the problem
    is solved again from the plan, which keeps the rules that are left.

    Parameters
    ----------
    project : Project
        The project that the plan was made of.
    plan : Plan
    gap : float
        Relative gap at which each solve stops. Gains below that share of the objective are not told
        from none.
    time_limit : float, optional
        Seconds for each solve.
    all_limits : bool
        Leave every limit out as well, whole: maximum, minimum and fixed cost.
    progress : callable, optional
        Told of each rule: its name, its number, and how many there are.

    Returns
    -------
    DataFrame
        One row per rule, in the policy's order: rule; kind (contact, conflict, requires, guarantee,
        limit); objective_without and bound_without, of the plan without it; gain_at_least and
        gain_at_most, from 0; status, that of the solve, or ``changes nothing`` where that is proven
        without one; seconds. With objectives in ranks all of this is about the first one.

    Raises
    ------
    BadInput
        If the project has faults, or the plan is not one of this project.

    Examples
    --------
    >>> import pandas as pd
    >>> import omniopt as oo
    >>> actions = pd.DataFrame({"action_id": ["a", "b"], "offer_id": "card", "channel": ["call", "mail"]})
    >>> candidates = pd.DataFrame({"customer_id": "ann", "action_id": ["a", "b"], "value": [5.0, 3.0]})
    >>> policy = {"objective": "value", "contact": [{"name": "one each", "max": 1}]}
    >>> project = oo.Project.from_frames(policy, actions=actions, candidates=candidates)
    >>> values = oo.rule_values(project, oo.optimize(project))
    >>> values[["rule", "gain_at_least", "gain_at_most"]].round(6).to_numpy().tolist()
    [['one each', 3.0, 3.0]]
    """
    problem = plan.problem
    if not isinstance(problem, Problem) or problem.project is not project:
        problem = build_problem(project, plan.scores)
    start, prices = _choice(problem, plan), _prices(plan)
    first = (plan.certificate.get("ranks") or [plan.certificate])[0]
    sign = problem.sign
    objective = sign * float(first.get("best", first["objective"]))
    bound = max(sign * float(first["bound"]), objective)
    idle = {found.rule for found in redundant(problem)}
    rules = list(_rules(problem, all_limits))
    rows: list[dict[str, Any]] = []
    for number, (kind, name) in enumerate(rules, 1):
        if progress is not None:
            progress(name, number, len(rules))
        began = time.perf_counter()
        best, most, status, gain = objective, bound, KEPT, (0.0, 0.0)
        if name not in idle:
            without, kept = _without(problem, kind, name)
            best, most = _solve(without, prices[kept], start, gap, time_limit)
            best = max(best, objective)
            status, gain = status_of(gap_of(best, most), gap), (best - bound, most - objective)
        rows.append({
            "rule": name, "kind": kind,
            "objective_without": sign * best + 0.0, "bound_without": sign * most + 0.0,
            "gain_at_least": max(gain[0], 0.0), "gain_at_most": max(gain[1], 0.0),
            "status": status, "seconds": round(time.perf_counter() - began, 3),
        })  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def save_values(frame: pd.DataFrame, folder: Path | str) -> None:
    """Write what rules cost beside a plan, as ``rule_values.parquet``, whole or not at all."""
    path = Path(folder) / FILE
    staged = path.with_name(f".{FILE}.{os.getpid()}")
    try:
        write_parquet(frame, staged)
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


def _choice(problem: Problem, plan: Plan) -> np.ndarray:
    """Find the plan's contacts among the candidates.

    Raises
    ------
    BadInput
        If one is none of them, or if together they break a rule.
    """
    chosen = problem.places(plan.contacts)
    if chosen.sum() < len(plan.contacts) or not keeps_rules(problem, chosen):
        raise BadInput("the plan is not one of this project: solve again, or take the project it was made of")
    return chosen


def _rules(problem: Problem, all_limits: bool) -> Iterator[tuple[str, str]]:
    """List the rules to leave out: (kind, name) of each."""
    policy = problem.policy
    for limit in policy.limits:
        if limit.min is not None and not limit.report_only:
            yield "guarantee", limit.name
        if all_limits and not limit.report_only and (limit.max is not None or limit.fixed_cost is not None):
            yield "limit", limit.name
    yield from (("contact", rule.name) for rule in policy.contact)
    yield from (("conflict", rule.name) for rule in policy.conflicts)
    yield from (("requires", rule.name) for rule in policy.requires)


def _prices(plan: Plan) -> np.ndarray:
    """Return the certificate's prices of the limits' rows."""
    entries = plan.certificate["rules"]
    return np.array([e["price"] for e in entries if e["kind"] == "limit" and not e.get("report_only")], float)


def _solve(
    problem: Problem, prices: np.ndarray, start: np.ndarray, gap: float, time_limit: float | None
) -> tuple[float, float]:
    """Return what the best plan found is worth, and the bound.

    Where the old plan's own prices prove that nothing much better is possible, that is all there is to do.
    """
    value = problem.value(start)
    if len(problem):
        index = kernels.UnitIndex.of(problem.unit, problem.units)
        bound = max(prove(problem, index, prices).bound, value)
        if gap_of(value, bound) <= gap:
            return value, bound
    found = search(problem, gap, time_limit, lambda *_: None, start)
    return found.objective, max(found.bound, found.objective)


def _without(problem: Problem, kind: str, name: str) -> tuple[Problem, np.ndarray]:
    """Return the problem without a rule, or without a limit's minimum, and which limits' rows are left."""
    if kind in ("guarantee", "limit"):
        return _without_limit(problem, name, whole=kind == "limit")
    units = problem.units
    number = units.names.index(name) if name in units.names else -1
    every = np.arange(len(problem.coupling))
    return replace(problem, units=_some(units, units.rule != number)), every


def _some(units: UnitRows, keep: np.ndarray) -> UnitRows:
    """Return some of the rows within units."""
    size = np.diff(units.start)
    inside = np.repeat(keep, size)
    start = np.concatenate([[0], np.cumsum(size[keep])]).astype(np.int64)
    rows = {key: getattr(units, key)[keep] for key in ("rule", "lo", "cap", "trigger", "unit")}
    return replace(units, start=start, member=units.member[inside], occasion=units.occasion[inside], **rows)


def _without_limit(problem: Problem, name: str, whole: bool) -> tuple[Problem, np.ndarray]:
    coupling, ranked = problem.coupling, problem.ranked
    mine = np.array([rule == name for rule in coupling.rule], bool)
    lo = np.where(mine, -np.inf, coupling.lo)
    hi = np.where(mine & whole, np.inf, coupling.hi)
    coupling = replace(coupling, lo=lo, hi=hi)
    if whole:
        opened = np.array([rule == name for rule in coupling.cells.rule], bool)
        coupling = replace(
            coupling, cells=replace(coupling.cells, cost=np.where(opened, 0.0, coupling.cells.cost))
        )
        ranked = [replace(rank, cells=np.where(opened, 0.0, rank.cells)) for rank in ranked]
    kept = np.flatnonzero(np.isfinite(coupling.lo) | np.isfinite(coupling.hi))
    coupling = _some_limits(coupling, kept)
    system = state_system(ranked[0].objective, ranked[0].cells, coupling)
    made = replace(
        problem, coupling=coupling, matrix=coupling.matrix, ranked=ranked, system=system, rank=0
    )  # fmt: skip
    return made, kept


def _some_limits(coupling: Coupling, kept: np.ndarray) -> Coupling:
    """Return some of the limits' rows; the cells stay as they are."""
    values: dict[str, Any] = {}
    for field in fields(coupling):
        value = getattr(coupling, field.name)
        if isinstance(value, list):
            values[field.name] = [value[i] for i in kept]
        elif field.name != "cells":
            values[field.name] = value[kept]
    return replace(coupling, **values)

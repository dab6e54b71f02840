"""Starting from an earlier plan: its prices, and its columns where only rows have changed since."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from omniopt.actions.valuation import FURTHER
from omniopt.decisions.certificate import dated
from omniopt.decisions.idle import idle_rules
from omniopt.decisions.large.bins import (
    asks_missed,
    bin_candidates,
    group_scopes,
    measures_asked,
)
from omniopt.decisions.large.entries import customer_of
from omniopt.decisions.large.living import asks_living
from omniopt.decisions.large.rows import state_rows
from omniopt.decisions.large.shape import Large
from omniopt.decisions.large.templates import state_templates, unmet
from omniopt.decisions.plan import SHOWN, Plan
from omniopt.decisions.problem import unique_faults
from omniopt.errors import Faults
from omniopt.project import Project
from omniopt.rules.parse import parse_policy
from omniopt.rules.policy import Denominator, Policy
from omniopt.rules.where import Scopes

BOUNDS = ("min", "max", "penalty", "fixed_cost")


def warm_prices(large: Large, plan: Plan) -> np.ndarray:
    """Return an earlier plan's prices for the rows of a problem.

    A row's price is that of the same rule and group; of a group that is new the mean of the rule's
    others; 0 for a new rule.

    Parameters
    ----------
    large : Large
    plan : Plan
        Of this project or of another one, such as last week's.

    Returns
    -------
    ndarray of float64, shape (k + q,)
    """
    limits = [e for e in plan.certificate["rules"] if e["kind"] == "limit" and not e.get("report_only")]
    known = dict(zip(_marks((e["name"], e["group"]) for e in limits), limits, strict=True))
    by_rule: dict[str, list[float]] = {}
    for entry in limits:
        by_rule.setdefault(entry["name"], []).append(float(entry["price"] or 0.0))
    coupling = large.coupling
    groups = [dated(large.catalogue, group) for group in coupling.group]
    prices = np.zeros(len(large.system))
    for k, mark in enumerate(_marks(zip(coupling.rule, groups, strict=True))):
        entry = known.get(mark)
        others = by_rule.get(coupling.rule[k], [0.0])
        prices[k] = sum(others) / len(others) if entry is None else float(entry["price"] or 0.0)
    return prices


def _marks(rows: Iterable[tuple[str, dict[str, Any]]]) -> list[str]:
    """Tell rows apart by rule and group, and those of one rule and group by their order."""
    seen: dict[str, int] = {}
    marks = []
    for name, group in rows:
        mark = json.dumps([name, group], sort_keys=True, default=str)
        seen[mark] = seen.get(mark, 0) + 1
        marks.append(f"{mark} {seen[mark]}")
    return marks


def restated(project: Project, before: Any, scores: pd.DataFrame | None) -> Large | None:
    """State a project's problem on the columns of an earlier one.

    That is possible where tables, vetoes and locks are the same, and the policy asks nothing of a
    candidate that the earlier one did not ask: where rules were left out, or have other bounds.

    Parameters
    ----------
    project : Project
    before : Large or anything else
        The earlier problem, if it is a large one.
    scores : DataFrame or None
        Those that the project is to be solved with.

    Returns
    -------
    Large or None
        None where columns have to be built anew, faults of the policy included.
    """
    if not isinstance(before, Large) or not _same_data(project, before, scores):
        return None
    faults = Faults()
    policy = parse_policy(project.effective_policy(), faults, project.policy_name)
    if faults or not _asks_no_more(policy, before):
        return None
    scopes = Scopes(before.catalogue, faults, project.policy_name)
    large = replace(before, project=project, policy=policy)
    if _within_units(policy) != _within_units(before.policy):
        large = _with_templates(large, scopes)
    coded, bins = before.tables.coded, before.bins
    measures = (*SHOWN, *FURTHER) if coded is None else coded.measures
    known = [n for n in measures if coded is not None or _has(before, n)]
    stated = state_rows(policy, bins, before.tables, scopes, sorted(known))
    unique_faults(faults).raise_if_any()
    stand_ins = group_scopes(bins, scopes)
    occurring = bin_candidates(bins, np.flatnonzero(bins.occurs), stand_ins.catalogue)
    couplings = [stated.coupling, stated.watched]
    return replace(
        large,
        coupling=stated.coupling, watched=stated.watched, system=stated.system, ranked=stated.ranked,
        notes=idle_rules(policy, before.eligibility, couplings, occurring, stand_ins),
    )  # fmt: skip


def _same_data(project: Project, before: Large, scores: pd.DataFrame | None) -> bool:
    """Whether a project has the very tables, scores, vetoes and locks of an earlier problem."""
    if before.extra.get("scores") is not scores or project.read(coded=True) is not before.tables:
        return False
    return all(project.changes.get(k) == before.project.changes.get(k) for k in ("vetoes", "locks"))


def _asks_no_more(policy: Policy, before: Large) -> bool:
    """Whether a policy asks nothing of a candidate that the earlier policy did not ask."""
    bins, earlier = before.bins, before.policy
    learning = policy.learning
    if learning != earlier.learning:
        return False
    if learning is not None and learning.explore is not None:
        if _within_units(policy) != _within_units(earlier):  # other contacts may be drawn
            return False
    if policy.eligibility != earlier.eligibility or not all(a in _asked(earlier) for a in _asked(policy)):
        return False
    known = [*bins.terms, *bins.constant, *before.columns.shown]
    if not set(measures_asked(policy, known)) <= {*bins.terms, *bins.constant}:
        return False
    if asks_missed(policy, bins, before.catalogue) and not asks_missed(earlier, bins, before.catalogue):
        return False
    household = any(rule.unit == "household" for rule in policy.contact)
    return household == (before.grouping.word == "household")


def _asked(policy: Policy) -> list[Any]:
    """List what each rule asks of candidates: all but its bounds."""
    found: list[Any] = []
    for limit in policy.limits:
        over = limit.over.where if isinstance(limit.over, Denominator) else {}
        found.append((limit.where, limit.per, over))
    for contact in policy.contact:
        numbers = {side: None for side in ("min", "max") if isinstance(getattr(contact, side), int)}
        found.append(contact.model_copy(update=numbers | {"name": "", "days": None, "every": None}))
    return [*found, *policy.conflicts, *policy.requires]


def _within_units(policy: Policy) -> list[Any]:
    return [*policy.contact, *policy.conflicts, *policy.requires]


def _has(large: Large, measure: str) -> bool:
    return measure in large.bins.terms or measure in large.bins.constant or measure in large.columns.shown


def _with_templates(large: Large, scopes: Scopes) -> Large:
    """State the rows within units anew."""
    columns, bins, grouping = large.columns, large.bins, large.grouping
    living = None
    if asks_living(large.policy):
        living = (customer_of(columns, np.arange(len(columns))), columns.bin)
    lock = (customer_of(columns, large.locked), columns.bin[large.locked].astype(np.int64) % bins.kinds)
    stated = state_templates(
        large.policy, bins, scopes, grouping, lock if len(large.locked) else None, living
    )
    unit = grouping.of[customer_of(columns, columns.start[:-1])]
    empty = np.ones(len(stated.template_of), bool)
    empty[unit] = False
    extra = large.extra | {
        "template_of": stated.template_of, "member": stated.member,
        "unmet": unmet(stated.templates, stated.template_of, np.flatnonzero(empty)),
    }  # fmt: skip
    return replace(
        large, columns=replace(columns, template=stated.template_of[unit]), templates=stated.templates,
        extra=extra,
    )  # fmt: skip

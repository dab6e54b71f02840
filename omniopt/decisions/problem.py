"""The problem: everything a solver needs, as columns.

max  Σ v_j x_j    s.t.  lo_k ≤ Σ a_kj x_j ≤ hi_k        coupling rows, from the limits
                        at most cap_r classes in row r     unit rows, from contact rules and conflicts
                        x_j = 1 for locked contacts,  x binary
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from omniopt.actions.candidates import Candidates, build_candidates, value_candidates
from omniopt.actions.catalogue import Catalogue, build_catalogue
from omniopt.actions.permission import build_permission
from omniopt.errors import BadInput, Faults
from omniopt.project import Project
from omniopt.rules.contact import ContactRows, UnitRows
from omniopt.rules.eligibility import VETO, drop_ineligible, find_pairs
from omniopt.rules.limits import Coupling, LimitRows
from omniopt.rules.measures import Measures
from omniopt.rules.policy import ColumnBound, Policy, parse_policy
from omniopt.rules.where import Scopes
from omniopt.tables import Tables

ROUNDING = 1e-9  # of a sum, relative to the sum of its terms' sizes


@dataclass(frozen=True)
class Problem:
    """The integer program of a project.

    Attributes
    ----------
    candidates : Candidates
        The living candidates, sorted by customer and action.
    everything : Candidates
        All candidates with the reasons of those that were dropped.
    objective : ndarray of float64, shape (n,)
        What each contact adds to the objective, as maximised.
    sign : float
        1 where the policy maximises, -1 where it minimises (``objective`` is then negated).
    coupling : Coupling
    matrix : csr_array, shape (k, n)
        ``coupling.matrix``, made once.
    units : UnitRows
    locked : ndarray of int64
        Candidates that have to be chosen.
    scores : DataFrame or None
        The scores behind the values, where the project worked them out.
    model_scores : bool
        Whether the scores came from the project's own model.
    notes : list of str
        What the reader should know, such as rules that match nothing.
    """

    project: Project
    tables: Tables
    policy: Policy
    candidates: Candidates
    everything: Candidates
    objective: np.ndarray
    sign: float
    coupling: Coupling
    matrix: sparse.csr_array
    units: UnitRows
    locked: np.ndarray
    scores: pd.DataFrame | None
    model_scores: bool
    eligibility: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def catalogue(self) -> Catalogue:
        """The entities behind the candidates' codes."""
        return self.candidates.catalogue

    def row_label(self, k: int) -> str:
        """Return the name of a coupling row: its limit and group, dates written as dates."""
        group = self.coupling.group[k].items()
        inside = ", ".join(f"{a} {self.catalogue.day_text(v) if a == 'date' else v}" for a, v in group)
        return self.coupling.rule[k] + (f" [{inside}]" if inside else "")

    def __len__(self) -> int:
        return len(self.candidates)


def build_problem(project: Project, scores: pd.DataFrame | None = None) -> Problem:
    """Read a project and state its problem.

    Parameters
    ----------
    project : Project
    scores : DataFrame, optional
        customer_id, offer_id, channel, p_response; overrides the project's scores. Without it
        and without tables of scores or candidates the project's own model is trained.

    Returns
    -------
    Problem

    Raises
    ------
    BadInput
        With every fault found in the tables, or else every fault found in policy and values.
    """
    faults = Faults()
    file = project.policy_name
    policy = parse_policy(project.effective_policy(), faults, file)
    try:
        tables = project.read()
    except BadInput as error:  # the policy's own faults belong to the same list
        raise BadInput([*error.faults, *faults]) from None
    catalogue = build_catalogue(project, tables, faults)
    permission = build_permission(catalogue, tables, faults)
    scopes = Scopes(catalogue, faults, file)
    everything = build_candidates(catalogue, tables, permission, faults)
    matched = drop_ineligible(everything, policy.eligibility, scopes)
    vetoed = find_pairs(everything, project.changes.get("vetoes", []), "veto", faults)
    if len(vetoed):
        mask = np.zeros(len(everything), bool)
        mask[vetoed] = True
        everything.drop(mask, VETO)
    candidates = everything.alive()
    model_scores = False
    if tables.candidates is None and not faults:
        scores, model_scores = _scores(project, tables, scores)
        value_candidates(candidates, scores, tables, faults)
    elif tables.candidates is None:  # only faults are still to be found: the measures' names have to be known
        candidates.measures |= {name: np.zeros(len(candidates)) for name in ("value", "cost", "response")}
    measures = Measures(candidates, scopes)
    first, second = measures.evaluate(policy.objective, "objective")
    coupling = LimitRows(candidates, tables, scopes, measures).build(policy.limits)
    units = ContactRows(candidates, scopes).build(policy.contact, policy.conflicts)
    locked = _locks(project, candidates, everything, faults)
    _unique_faults(faults).raise_if_any()
    sign = 1.0 if policy.sense == "maximise" else -1.0
    problem = Problem(
        project, tables, policy, candidates, everything, sign * (first + second), sign, coupling,
        coupling.matrix, units, locked, scores, model_scores, matched,
    )  # fmt: skip
    problem.notes.extend(_notes(problem, scopes))
    return problem


def keeps_rules(problem: Problem, chosen: np.ndarray) -> bool:
    """Whether a choice keeps every limit (but for rounding), every unit row and every lock.

    Parameters
    ----------
    problem : Problem
    chosen : ndarray of bool, shape (n,)
    """
    coupling, units = problem.coupling, problem.units
    used = problem.matrix @ chosen.astype(np.float64)
    size = np.maximum(1.0, np.abs(problem.matrix) @ chosen.astype(np.float64))
    row = np.repeat(np.arange(len(units)), np.diff(units.start))
    taken = chosen[units.member]
    classes = np.unique(np.stack([row[taken], units.occasion[taken]]), axis=1)[0] if taken.any() else row[:0]
    count = np.bincount(classes, minlength=len(units))
    return bool(
        (used >= coupling.lo - ROUNDING * size).all()
        and (used <= coupling.hi + ROUNDING * size).all()
        and (count <= units.cap).all()
        and chosen[problem.locked].all()
    )


def check(project: Project) -> dict[str, Any]:
    """Read and validate everything, solve nothing.

    Returns
    -------
    dict
        Counts of customers, candidates, coupling rows and unit rows; dropped candidates by
        reason; notes.

    Raises
    ------
    BadInput
    """
    problem = build_problem(project)
    reasons = problem.everything.reason
    counts = np.bincount(reasons, minlength=len(problem.everything.reasons))
    return {
        "name": project.spec.name,
        "customers": len(problem.catalogue.entities["customer"]),
        "actions": len(problem.catalogue.actions),
        "candidates": len(problem),
        "coupling_rows": len(problem.coupling),
        "unit_rows": len(problem.units),
        "dropped": {r: int(n) for r, n in zip(problem.everything.reasons[1:], counts[1:], strict=True) if n},
        "notes": problem.notes,
    }


def _scores(project: Project, tables: Tables, given: pd.DataFrame | None) -> tuple[pd.DataFrame, bool]:
    if given is not None:
        return given, tables.scores is None
    from omniopt import knowledge

    scores, model = knowledge.scores(tables, project.spec.seed)
    return scores, model is not None


def _locks(project: Project, candidates: Candidates, everything: Candidates, faults: Faults) -> np.ndarray:
    locks = project.changes.get("locks", [])
    if not locks:
        return np.zeros(0, np.int64)
    alive = []
    for lock in locks:
        at = find_pairs(everything, [lock], "lock", faults)
        if len(at) and everything.reason[at[0]]:
            why = everything.reasons[everything.reason[at[0]]]
            faults.add(f"the lock of customer {lock[0]}, action {lock[1]} cannot hold: {why}")
        elif len(at):
            alive.append(lock)
    return find_pairs(candidates, alive, "lock", faults)


def _unique_faults(faults: Faults) -> Faults:
    """Drop repetitions: a wrong attribute is met once for each leg of a contact."""
    unique = Faults()
    unique.extend(dict.fromkeys(faults))
    return unique


def _notes(problem: Problem, scopes: Scopes) -> list[str]:
    """Say which rules match nothing."""
    notes = [f"rule '{name}' drops nothing" for name, count in problem.eligibility.items() if not count]
    touched: dict[str, int] = {limit.name: 0 for limit in problem.policy.limits}
    sizes = np.diff(problem.coupling.numerator.indptr)
    for name, size in zip(problem.coupling.rule, sizes, strict=True):
        touched[name] += int(size)
    notes += [f"limit '{name}' matches no candidate" for name, size in touched.items() if not size]
    rows = problem.candidates.rows(1)
    behind = problem.candidates.rows(2)
    for rule in problem.policy.contact:
        if not (
            scopes.match(rule.where, rows, rule.name) | scopes.match(rule.where, behind, rule.name)
        ).any():
            notes.append(f"contact rule '{rule.name}' matches no candidate")
        if isinstance(rule.max, ColumnBound):
            continue
    for conflict in problem.policy.conflicts:
        for side, where in (("first", conflict.first), ("then", conflict.then)):
            if not scopes.match(where, rows, conflict.name).any():
                notes.append(f"'{side}' of conflict '{conflict.name}' matches no candidate")
    return notes

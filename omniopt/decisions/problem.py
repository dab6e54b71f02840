"""The problem: everything a solver needs, as columns.

max  Σ v_j x_j    s.t.  lo_k ≤ Σ a_kj x_j ≤ hi_k        coupling rows, from the limits
                        rows within units                  from contact rules, conflicts, prerequisites
                        x_j = 1 for locked contacts,  x binary

with cells that cost something to open and rows that may be missed at a price (see `System`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from omniopt.actions.candidates import Candidates, build_candidates
from omniopt.actions.catalogue import Catalogue, build_catalogue
from omniopt.actions.permission import build_permission
from omniopt.actions.valuation import BASIC, FURTHER, value_candidates
from omniopt.decisions.exploration import Trial, hold_trial
from omniopt.decisions.idle import idle_rules
from omniopt.decisions.system import System, state_system
from omniopt.errors import BadInput, Fault, Faults
from omniopt.project import Project
from omniopt.rules.eligibility import VETO, drop_ineligible, find_pairs
from omniopt.rules.holdout import hold_out
from omniopt.rules.limits import Coupling, LimitRows
from omniopt.rules.measures import Measures
from omniopt.rules.parse import parse_policy
from omniopt.rules.policy import Objective, Policy
from omniopt.rules.statements import states
from omniopt.rules.unit_rows import UnitRows
from omniopt.rules.units import Units, build_units
from omniopt.rules.where import Scopes
from omniopt.rules.within import build_unit_rows
from omniopt.tables import Tables

ROUNDING = 1e-9  # of a sum, relative to the sum of its terms' sizes
DAYS = ("date", "from")  # parts of a group that are days


@dataclass(frozen=True)
class Ranked:
    """One of the policy's objectives as maximised: of each contact, and of each cell that is opened."""

    objective: np.ndarray
    cells: np.ndarray


@dataclass(frozen=True)
class Problem:
    """The integer program of a project.

    Attributes
    ----------
    candidates : Candidates
        The living candidates, sorted by unit, customer and action.
    everything : Candidates
        All candidates with the reasons of those that were dropped.
    grouping : Units
        The unit of every customer: itself, or its household where a rule counts by household.
    unit : ndarray of int64, shape (n,)
        Unit of every candidate, ascending.
    rank : int
        Which of the policy's objectives is optimised, from 0.
    ranked : list of Ranked
        Every objective as maximised, by rank.
    coupling : Coupling
    matrix : csr_array, shape (k, n)
        ``coupling.matrix``, made once.
    system : System
        What is optimised across units: limits, cells, slacks, earlier objectives.
    watched : Coupling
        Limits that are only reported.
    units : UnitRows
    locked : ndarray of int64
        Candidates that have to be chosen.
    scores : DataFrame or None
        The scores behind the values, where the project worked them out.
    model_scores : bool
        Whether the scores came from the project's own model.
    notes : list of str
        What the reader should know, such as rules that match nothing.
    trial : Trial or None
        Who was held out, and the contacts drawn at random, which are among the locked.
    """

    project: Project
    tables: Tables
    policy: Policy
    candidates: Candidates
    everything: Candidates
    grouping: Units
    unit: np.ndarray
    rank: int
    ranked: list[Ranked]
    coupling: Coupling
    matrix: sparse.csr_array
    system: System
    watched: Coupling
    units: UnitRows
    locked: np.ndarray
    scores: pd.DataFrame | None
    model_scores: bool
    eligibility: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    trial: Trial | None = None

    @property
    def objective(self) -> np.ndarray:
        """What each contact adds to the objective, as maximised; float64 of shape (n,)."""
        return self.system.objective

    @property
    def sign(self) -> float:
        """1 where the policy maximises, -1 where it minimises (``objective`` is then negated)."""
        return self.policy.objectives[self.rank].sign

    @property
    def members(self) -> sparse.csr_array:
        """1 for the candidates whose choice opens a cell, shape (g, n)."""
        return self.coupling.cells.member

    def value(self, chosen: np.ndarray) -> float:
        """Return what a choice is worth as maximised, after fixed costs and penalties.

        Parameters
        ----------
        chosen : ndarray of bool, shape (n,)
        """
        extras = self.system.extra_objective * self.system.extras(self.coupling, chosen)
        return math.fsum([*self.objective[chosen], *extras])

    def at_rank(self, rank: int, floors: list[float]) -> Problem:
        """Return the problem of a later objective.

        Parameters
        ----------
        rank : int
        floors : list of float
            What each earlier objective, as maximised, has to keep.
        """
        system = state_system(self.ranked[0].objective, self.ranked[0].cells, self.coupling)
        for floor, ranked in zip(floors, self.ranked[1 : rank + 1], strict=True):
            system = system.next_rank(ranked.objective, ranked.cells, floor)
        return replace(self, rank=rank, system=system)

    @property
    def catalogue(self) -> Catalogue:
        """The entities behind the candidates' codes."""
        return self.candidates.catalogue

    def places(self, contacts: pd.DataFrame) -> np.ndarray:
        """Mark the candidates that are among some contacts, bool of shape (n,)."""
        catalogue, c = self.catalogue, self.candidates
        actions = len(catalogue.actions)
        customer = catalogue.codes_of("customer", contacts["customer_id"])
        action = catalogue.codes_of("action", contacts["action_id"])
        wanted = (customer * actions + action)[(customer >= 0) & (action >= 0)]
        return np.isin(c.customer * actions + c.action, wanted)

    def row_label(self, k: int) -> str:
        """Return the name of a coupling row: its limit and group, dates written as dates."""
        return self.label(self.coupling.rule[k], self.coupling.group[k])

    def label(self, rule: str, group: dict[str, Any]) -> str:
        """Return the name of a limit's group."""
        inside = ", ".join(f"{a} {self.catalogue.day_text(v) if a in DAYS else v}" for a, v in group.items())
        return rule + (f" [{inside}]" if inside else "")

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
    policy, tables, scopes = read_project(project, faults)
    catalogue = scopes.catalogue
    permission = build_permission(catalogue, tables, faults)
    everything = build_candidates(catalogue, tables, permission, faults)
    matched = drop_ineligible(everything, policy.eligibility, scopes)
    vetoed = find_pairs(everything, project.changes.get("vetoes", []), "veto", faults)
    if len(vetoed):
        mask = np.zeros(len(everything), bool)
        mask[vetoed] = True
        everything.drop(mask, VETO)
    grouping = build_units(policy.contact, scopes)
    held = hold_out(policy, scopes, project.changes.get("locks", []))
    trial = None if held is None or faults else hold_trial(everything, policy, scopes, held, grouping)
    candidates = everything.alive()
    model_scores = False
    warnings: list[str] = []
    if tables.candidates is None and not faults:
        scores, model_scores, warnings = find_scores(project, tables, scores)
        value_candidates(candidates, scores, tables, project.spec.annoyance, faults)
    elif tables.candidates is None:  # only faults are still to be found: the measures' names have to be known
        candidates.measures |= {name: np.zeros(len(candidates)) for name in (*BASIC, *FURTHER)}
    candidates = candidates.take(np.argsort(grouping.of[candidates.customer], kind="stable"))
    measures = Measures(candidates, scopes)
    limit_rows = LimitRows(candidates, tables, scopes, measures)
    coupling = limit_rows.build([limit for limit in policy.limits if not limit.report_only])
    watched = limit_rows.build([limit for limit in policy.limits if limit.report_only])
    ranked = [ranked_objective(o, i, measures, coupling) for i, o in enumerate(policy.objectives)]
    units = build_unit_rows(candidates, policy, scopes, grouping)
    locked = _locks(project, candidates, everything, faults)
    if trial is not None:
        locked = np.union1d(locked, trial.find(candidates))
    unique_faults(faults).raise_if_any()
    system = state_system(ranked[0].objective, ranked[0].cells, coupling)
    problem = Problem(
        project, tables, policy, candidates, everything, grouping, grouping.of[candidates.customer], 0,
        ranked, coupling, coupling.matrix, system, watched, units, locked, scores, model_scores, matched,
        trial=trial,
    )  # fmt: skip
    problem.notes.extend(warnings)
    problem.notes.extend(idle_rules(policy, matched, [coupling, watched], candidates, scopes))
    return problem


def read_project(project: Project, faults: Faults, *, coded: bool = False) -> tuple[Policy, Tables, Scopes]:
    """Read what a project's problem is stated from.

    Parameters
    ----------
    project : Project
    faults : Faults
        Gets the faults of the policy; those of the tables are raised together with them.
    coded : bool
        As for `read_tables`.
    """
    file = project.policy_name
    policy = parse_policy(project.effective_policy(), faults, file)
    try:
        tables = project.read(coded=coded)
    except BadInput as error:  # the policy's own faults belong to the same list
        raise BadInput([*error.faults, *faults]) from None
    return policy, tables, Scopes(build_catalogue(project, tables, faults), faults, file)


@states("objective")
def ranked_objective(objective: Objective, rank: int, measures: Measures, coupling: Coupling) -> Ranked:
    """Read an objective; fixed costs are paid off the first one unless it says otherwise."""
    first, second = measures.evaluate(objective.expression, "objective")
    share = measures.fixed_share(objective.expression)
    if rank == 0 and share is None:
        share = -objective.sign
    return Ranked(objective.sign * (first + second), objective.sign * (share or 0.0) * coupling.cells.cost)


def keeps_rules(problem: Problem, chosen: np.ndarray) -> bool:
    """Whether a choice keeps every limit (but for rounding), every unit row and every lock.

    Parameters
    ----------
    problem : Problem
    chosen : ndarray of bool, shape (n,)
    """
    system, x = problem.system, chosen.astype(np.float64)
    extras = system.extras(problem.coupling, chosen)
    used = system.matrix @ x + system.extra @ extras
    size = np.maximum(1.0, abs(system.matrix) @ x + abs(system.extra) @ extras)
    return bool(
        (used >= system.lo - ROUNDING * size).all()
        and (used <= system.hi + ROUNDING * size).all()
        and problem.units.kept(chosen).all()
        and chosen[problem.locked].all()
    )


def find_scores(
    project: Project, tables: Tables, given: pd.DataFrame | None
) -> tuple[pd.DataFrame, bool, list[str]]:
    """Return the scores to value candidates by, whether they are a model's, and what to be warned of.

    Where the policy counts what contacts change, the model learns that from the project's experiments.
    """
    from omniopt import knowledge

    scores, made = given, tables.scores is None
    if scores is None:
        scores, _ = knowledge.scores(tables, project.spec.seed, project.spec.response)
    warnings = list(scores.attrs.get("warnings", []))
    if "p_expected" in scores:
        how = project.spec.response.caution
        warnings = [*warnings, f"the scores are cautious ones ({how}): more is expected than the plan counts"]
    if "uplift" not in scores and _counts_uplift(project.effective_policy()):
        if not made:
            message = "the policy counts what contacts change, and the scores do not say it"
            hint = "Add the column, or leave the scores out: models then learn both"
            file = tables.files.get("scores")
            raise BadInput(Fault(message, file=file, table="scores", column="uplift", hint=hint))
        from omniopt.knowledge import uplift

        scores = uplift.fit(tables, project.spec.seed).add(scores)
    return scores, made, warnings


def _counts_uplift(policy: dict[str, Any]) -> bool:
    """Whether an objective or a limit names a measure that uplift makes."""
    limits = [rule for rule in policy.get("limits") or [] if isinstance(rule, dict)]
    said = [policy.get("objective"), *((rule.get("measure"), rule.get("over")) for rule in limits)]
    return any(name in str(said) for name in FURTHER[:2])


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


def unique_faults(faults: Faults) -> Faults:
    """Drop repetitions: a wrong attribute is met once for each leg of a contact."""
    unique = Faults()
    unique.extend(dict.fromkeys(faults))
    return unique

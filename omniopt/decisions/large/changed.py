"""Plans of changed problems, for the diagnosis: what a way out is worth, and how near a limit can be met."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from omniopt.decisions.large.build import build_large
from omniopt.decisions.large.entries import customer_of
from omniopt.decisions.large.shape import Large
from omniopt.decisions.large.sweep import Engine
from omniopt.decisions.problem import Problem
from omniopt.decisions.resolve import Solved, exactly
from omniopt.decisions.system import state_system
from omniopt.errors import Infeasible, StoppedWithoutPlan


def solve_changed(
    before: Large, problem: Problem, gap: float, seconds: float, start: np.ndarray,
    pursued: tuple[int, float] | None,
) -> Solved:  # fmt: skip
    """Solve a problem whose project or limits a diagnosis has changed; see `resolve.Solver`.

    Where only limits have, the problem ``before`` is at hand already. Problems with ratios or cells are
    left to the exact solver: their moved bounds are no bounds of rows.
    """
    from omniopt.decisions.large.search import search_by_rank  # which calls for a diagnosis itself

    if problem.system.g or np.isfinite(problem.coupling.ratio).any() or len(problem.policy.objectives) > 1:
        return exactly(problem, gap, seconds, start)
    same = problem.project is before.project
    large = before if same else build_large(problem.project, problem.scores)[0]
    if large.coupling.rule != problem.coupling.rule or large.coupling.group != problem.coupling.group:
        return exactly(problem, gap, seconds, start)
    large = _changed(large, problem, pursued)
    engine = Engine(large.columns, large.templates, large.system, large.bins.width)
    try:
        found = search_by_rank(large, engine, gap, seconds, lambda *_: None)[0]
    except (Infeasible, StoppedWithoutPlan):  # though there is a plan
        return exactly(problem, gap, seconds, start)
    assert found.chosen is not None
    return Solved(mask_of(large, problem, found.chosen), found.objective, found.reached())


def _changed(large: Large, problem: Problem, pursued: tuple[int, float] | None) -> Large:
    """Take a problem's bounds over, and pursue what it pursues."""
    theirs, system = problem.coupling, large.system
    coupling = replace(large.coupling, lo=theirs.lo, hi=theirs.hi, penalty=theirs.penalty)
    objective = system.objective
    if pursued is not None:
        row, sign = pursued
        objective = sign * coupling.matrix[[row]].toarray()[0]
    return replace(large, coupling=coupling, system=state_system(objective, np.zeros(0), coupling))


def mask_of(large: Large, problem: Problem, chosen: np.ndarray) -> np.ndarray:
    """Mark a plan's contacts among a problem's candidates."""
    count, mine = len(problem.catalogue.actions), problem.candidates
    action = large.bins.action[large.columns.bin[chosen] % large.bins.kinds]
    taken = customer_of(large.columns, chosen) * count + action
    return np.isin(mine.customer.astype(np.int64) * count + mine.action, taken)

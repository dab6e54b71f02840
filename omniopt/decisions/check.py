"""What a project holds, and whether it is in order, without a solution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from omniopt.decisions.optimize import LARGE, candidates_at_most
from omniopt.decisions.problem import Problem, build_problem
from omniopt.project import Project

if TYPE_CHECKING:
    from omniopt.decisions.large.shape import Large


def check(project: Project) -> dict[str, Any]:
    """Read and validate everything, solve nothing.

    Parameters
    ----------
    project : Project

    Returns
    -------
    dict
        Name; counts of customers, actions, candidates and coupling rows, and of unit rows up to
        100,000 candidates (beyond, units that rules treat alike share theirs); dropped candidates by
        reason; notes.

    Raises
    ------
    BadInput
        With every fault found in the tables, or else every fault found in policy and values.
    """
    if candidates_at_most(project) > LARGE:
        from omniopt.decisions.large.build import build_large

        large, _ = build_large(project)
        return _summary(large) | {"dropped": large.dropped, "notes": large.notes}
    problem = build_problem(project)
    reasons = problem.everything.reasons
    counts = np.bincount(problem.everything.reason, minlength=len(reasons))
    dropped = {reason: int(n) for reason, n in zip(reasons[1:], counts[1:], strict=True) if n}
    return _summary(problem) | {"unit_rows": len(problem.units), "dropped": dropped, "notes": problem.notes}


def _summary(stated: Problem | Large) -> dict[str, Any]:
    return {
        "name": stated.project.spec.name,
        "customers": len(stated.catalogue.entities["customer"]),
        "actions": len(stated.catalogue.actions),
        "candidates": len(stated),
        "coupling_rows": len(stated.coupling),
    }

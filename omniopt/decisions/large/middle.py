"""Problems of middling size: prices and a plan near them, kept as the exact solver keeps its own.

The plan then comes with all that is worked out of a model that is stated row by row; what prices leave
unproven goes on to the exact solver.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from omniopt.decisions import kernels
from omniopt.decisions.dual import prove
from omniopt.decisions.infeasible import quick_test
from omniopt.decisions.large.build import build_large
from omniopt.decisions.large.changed import mask_of, solve_changed
from omniopt.decisions.large.search import search_by_rank
from omniopt.decisions.large.sweep import Engine
from omniopt.decisions.problem import Problem
from omniopt.decisions.progress import Progress, Search


def search_by_prices(
    problem: Problem, gap: float, time_limit: float | None, progress: Progress, start: np.ndarray | None
) -> Search:
    """Find a plan as `restrict.search` does, by the prices of the decomposed solver.

    Returns
    -------
    Search
        Without a plan where prices would be those of other rows.

    Raises
    ------
    Infeasible
        If no plan keeps all rules.
    StoppedWithoutPlan
        If no plan was found.
    """
    large, _ = build_large(problem.project, problem.scores)
    index = kernels.UnitIndex.of(problem.unit, problem.units)
    quick_test(problem, index, time_limit, partial(solve_changed, large))
    state = Search(problem, gap, math.inf, progress, solver="decomposed")
    if (large.coupling.rule, large.coupling.group) != (problem.coupling.rule, problem.coupling.group):
        return state
    engine = Engine(large.columns, large.templates, large.system, large.bins.width)
    found = search_by_rank(large, engine, gap, time_limit, progress)[0]
    assert found.chosen is not None
    state.deadline = found.deadline
    if start is not None:
        state.offer(start)
    state.offer(mask_of(large, problem, found.chosen))
    state.dual = prove(problem, index, found.prices)
    state.tighten(state.dual.bound)
    state.tighten(found.bound)
    return state

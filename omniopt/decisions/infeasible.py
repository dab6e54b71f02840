"""Why no plan keeps all the rules, as far as single rules tell."""

from __future__ import annotations

import numpy as np

from omniopt.decisions import kernels
from omniopt.decisions.dual import forced, unit_optima
from omniopt.decisions.problem import Problem

SLACK = 1e-9


def explain(problem: Problem, index: kernels.UnitIndex) -> str:
    """Name the limits and locks that cannot be kept by themselves; failing that, those that clash.

    Parameters
    ----------
    problem : Problem
        Known to be infeasible.
    index : UnitIndex

    Returns
    -------
    str
    """
    return "; ".join(_locks(problem, index) or _limits(problem, index) or _suspects(problem))


def _locks(problem: Problem, index: kernels.UnitIndex) -> list[str]:
    value = unit_optima(index, np.zeros(len(problem)), forced(problem))[0]
    customers = problem.candidates.customer[index.unit_start[:-1][np.isneginf(value)]]
    names = problem.catalogue.ids("customer")[customers[:5]]
    if not len(names):
        return []
    more = "" if len(customers) <= 5 else f" and {len(customers) - 5} more"
    return [f"the locked contacts of customer {', '.join(names)}{more} break contact rules or conflicts"]


def _limits(problem: Problem, index: kernels.UnitIndex) -> list[str]:
    """Compare each bound with the most, or least, that the customers' own rules let the plan reach.

    Ratios are left out: they hold where nothing is chosen.
    """
    found, coupling = [], problem.coupling
    for k in np.flatnonzero(np.isnan(coupling.ratio)):
        use = problem.matrix[[k]].toarray()[0]
        for bound, sign, asked, reached in (
            (coupling.lo[k], 1.0, "at least", "at most"),
            (coupling.hi[k], -1.0, "at most", "at least"),
        ):
            reach = sign * unit_optima(index, sign * use, forced(problem))[0].sum()
            if np.isfinite(bound) and sign * (reach - bound) < -SLACK * max(1.0, abs(bound)):
                asks = f"limit '{problem.row_label(int(k))}' asks for {asked} {bound:,.10g}"
                bring = f"under the rules for each customer the candidates bring {reached} {reach:,.10g}"
                found.append(f"{asks}, but {bring}")
    return found


def _suspects(problem: Problem) -> list[str]:
    """Every limit can be kept alone: the minimums clash with the maximums or with one another."""
    coupling = problem.coupling
    asking = np.flatnonzero((coupling.lo > 0) | (coupling.hi < 0))
    names = ", ".join(dict.fromkeys(f"'{coupling.rule[k]}'" for k in asking))
    if not names:
        return ["the locks cannot be kept beside the limits"]
    return [f"each limit could be kept by itself, but {names} cannot be met beside the other rules"]

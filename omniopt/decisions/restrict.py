"""Solve a problem: relax, fix what is settled, let the exact solver finish the rest.

1.  The LP gives prices; the prices give the bound L and every unit's best set.
2.  A candidate's margin is what its unit loses if the candidate's fate is turned round. A plan
    that turns it round earns at most L - margin. So once a plan worth P is known, every
    candidate with a margin above L - P is fixed for good.
3.  Before that, candidates are fixed on trust: those of large margin stay as the LP has them,
    the rest goes to the exact solver. The undecided grow until the gap is met or the fixing is
    proven, in which case the exact solver's own bound holds for the whole problem.
"""

from __future__ import annotations

import math
import time
from functools import partial

import numpy as np

from omniopt.decisions import exact, kernels
from omniopt.decisions.cells import PriceRelaxer, branch_on, root_of
from omniopt.decisions.dual import Dual, all_margins, lowered, prove, rough_prices
from omniopt.decisions.infeasible import diagnosed, quick_test
from omniopt.decisions.model import Model, state_model
from omniopt.decisions.problem import Problem
from omniopt.decisions.progress import Progress, Search
from omniopt.decisions.relax import Relaxation, Relaxer, opening_prices
from omniopt.errors import Infeasible, StoppedWithoutPlan, is_interrupt

WHOLE = 1_000  # candidates up to which everything goes to the exact solver at once
FIRST_UNDECIDED = 2_000  # candidates left open at first
GROWTH = 4
LOOSE = 1e-6  # relative distance of the LP from what its prices prove, from which better ones are sought
MANY_ROWS = 20_000  # rows from which prices are looked for without the LP first
SAMPLED = 2_000  # units that they are first looked for on
MOST_UNDECIDED = 20_000  # candidates left open at most before the LP is solved after all
PASSES = 100  # steps that they are given


def search(
    problem: Problem,
    gap: float,
    time_limit: float | None,
    progress: Progress,
    start: np.ndarray | None = None,
) -> Search:
    """Find a plan within the gap, or the best one in the time.

    Parameters
    ----------
    problem : Problem
    gap : float
        Relative gap at which to stop.
    time_limit : float or None
        Seconds.
    progress : callable
        Told of each step, the best objective and the best bound.
    start : ndarray of bool, optional
        A plan to start from; ignored if it breaks a rule.

    Raises
    ------
    Infeasible
        If no plan keeps all rules.
    StoppedWithoutPlan
        If time ran out before any plan was found.
    """
    deadline = math.inf if time_limit is None else time.monotonic() + time_limit
    state = Search(problem, gap, deadline, progress)
    model = state_model(problem)
    if not len(problem):
        _empty(state)
        return state
    if start is not None:
        state.offer(start)
    index = kernels.UnitIndex.of(problem.unit, problem.units)
    quick_test(problem, index, time_limit)
    try:
        # cells that only cost something are told apart well by the LP, and hardly by prices alone
        only_costs = model.g > 0 and bool(np.isnan(problem.coupling.opening).all())
        if model.matrix.shape[0] > MANY_ROWS and not only_costs:
            _without_relaxation(state, model, index)
            if model.g and (state.chosen is not None or state.left() == 0.0):
                return _told(state)  # the LP of so many links would take longer still
        return state if state.reached() else _finish(state, model, index)
    except Infeasible:
        raise diagnosed(problem, time_limit) from None
    except (KeyboardInterrupt, SystemError) as error:  # whoever waits no longer gets the best plan so far
        if state.chosen is None or not is_interrupt(error):
            raise
        return _stopped(state, index)


def _stopped(state: Search, index: kernels.UnitIndex) -> Search:
    """Return an interrupted search as one whose time is up."""
    state.deadline = time.monotonic()
    if state.dual is None:
        state.dual = prove(state.problem, index, np.zeros(len(state.problem.system)))
        state.tighten(state.dual.bound)
    return state


def _without_relaxation(state: Search, model: Model, index: kernels.UnitIndex) -> None:
    """Try prices that lower the bound directly: an LP with tens of thousands of rows takes far longer.

    They are nearly as good, and near is enough where the exact solver can finish from them.
    """
    problem = state.problem
    if model.g:
        relaxer = PriceRelaxer(problem, model, index)
        found = relaxer.solve(state.left())
        state.dual = dual = prove(problem, index, found.prices)
        state.tighten(dual.bound)
        root = root_of(model, found, dual.bound)
        branch_on(state, model, relaxer, root, partial(close, most=MOST_UNDECIDED))
        return
    step = max(1, (len(index.unit_start) - 1) // SAMPLED)
    prices = lowered(problem, index, rough_prices(problem, index), step, PASSES)
    state.dual = dual = prove(problem, index, lowered(problem, index, prices, 1, PASSES))
    state.tighten(dual.bound)
    state.report("prices")
    values = np.concatenate([dual.chosen, np.zeros(len(model.objective) - model.n)])
    found = Relaxation(values, dual.prices, np.zeros(0), dual.bound)
    close(state, model, found, dual, all_margins(problem, index, dual), MOST_UNDECIDED)


def _finish(state: Search, model: Model, index: kernels.UnitIndex) -> Search:
    """Relax, prove, fix and let the exact solver finish, until the gap is met or time is up."""
    problem = state.problem
    relaxer = Relaxer(problem, model, index)
    try:
        relaxation = relaxer.solve(state.left())
    except TimeoutError as error:
        if state.chosen is None:
            raise StoppedWithoutPlan(str(error)) from None
        return _stopped(state, index)
    state.relaxer = relaxer
    state.dual = dual = prove(problem, index, relaxation.prices)
    state.tighten(dual.bound)
    if model.g:
        dual = prove(problem, index, relaxation.prices, *opening_prices(model, relaxation))
        state.tighten(dual.bound)
    if relaxation.value - dual.bound > LOOSE * max(1.0, abs(dual.bound)):
        # the units' rows are tighter than the LP sees: its prices are not the best, nor its values a plan
        refined = prove(problem, index, lowered(problem, index, dual.prices, 1, PASSES))
        if refined.bound < dual.bound:
            state.dual = refined if not model.g else state.dual
            dual, relaxation = refined, relaxation.rounded_to(refined.chosen)
            state.tighten(dual.bound)
    state.report("prices")
    root = root_of(model, relaxation, dual.bound)
    if len(problem) > WHOLE and root.undecided.any():
        branch_on(state, model, relaxer, root, close)
    else:
        close(state, model, relaxation, dual, all_margins(problem, index, dual))
    return _told(state)


def _told(state: Search) -> Search:
    """Return a finished search, or say why it has no plan."""
    if state.chosen is None and state.bound == -math.inf:
        raise Infeasible("no way to open cells keeps all rules")
    if state.chosen is None:
        limited = math.isfinite(state.deadline)
        why = "in time: give it more" if limited else "though none is proven impossible"
        raise StoppedWithoutPlan(f"no plan was found {why}")
    return state


def close(
    state: Search, model: Model, relaxation: Relaxation, dual: Dual, margin: np.ndarray,
    most: float = math.inf,
) -> None:  # fmt: skip
    """Leave more and more candidates to the exact solver, until the gap is met or time is up.

    Also given up where more than ``most`` would have to be left open.
    """
    n = len(state.problem)
    undecided = n if n <= WHOLE else FIRST_UNDECIDED
    while not state.reached():
        undecided = _step(state, model, relaxation, dual, margin, min(undecided, n))
        if not undecided or undecided > most:
            break


def _empty(state: Search) -> None:
    """Nothing to choose from: the empty plan is best, if the rules allow it."""
    problem = state.problem
    none = np.zeros(0, bool)
    state.offer(none)
    if state.chosen is None:
        raise diagnosed(problem, state.left())
    system = problem.system
    missed = system.extras(problem.coupling, none)[system.g :] > 0  # missing a limit is worth its penalty
    prices, zero = np.zeros(len(system)), np.zeros(0)
    row = system.slack_row[missed]
    paid = -system.extra_objective[system.g :][missed]  # nothing, where a later objective is optimised
    prices[row] = -system.slack_side[missed] * paid
    state.dual = Dual(prices, state.objective, zero, zero, none, none, np.zeros(0, np.int8))
    state.tighten(state.objective)


def _step(
    state: Search, model: Model, relaxation: Relaxation, dual: Dual, margin: np.ndarray, undecided: int
) -> int:
    """Solve with so many candidates undecided; return how many to leave open next, 0 to stop."""
    n = model.n
    noise = exact.SAFETY * max(1.0, abs(dual.bound))
    settled = state.chosen is not None and margin > dual.bound - state.objective + noise
    provable = np.broadcast_to(np.logical_not(settled), n)
    proven = int(provable.sum()) <= undecided
    if proven:
        free, base = provable, dual.chosen.astype(np.float64)
    else:
        split = np.abs(relaxation.values[:n] - np.round(relaxation.values[:n])) > 1e-6
        unit = state.problem.unit
        free = np.isin(unit, unit[split])
        rank = np.argsort(np.where(free, -1.0, margin), kind="stable")
        free[rank[:undecided]] = True
        base = np.round(relaxation.values[:n])
    base[state.problem.locked] = 1.0
    # half of the gap that the whole plan may have, most of which is settled and exact
    distance = state.gap / 2 * max(1.0, abs(state.bound))
    if int(free.sum()) <= WHOLE:  # so few are quickly solved to the end
        distance = 0.0
    outcome = restricted(model, free, base, distance, state.left())
    if outcome.values is not None:
        state.offer(_complete(free, base, outcome.values))
    if proven or free.all():
        if outcome.status == "infeasible" and state.chosen is None:
            raise Infeasible("no plan keeps all rules")
        state.tighten(exact.rounded_up(outcome.bound))
        state.report("proof")
        return 0
    state.report(f"{int(free.sum())} undecided")
    out_of_time = state.left() == 0.0
    return 0 if out_of_time else undecided * GROWTH


def _complete(free: np.ndarray, base: np.ndarray, values: np.ndarray) -> np.ndarray:
    chosen = base > 0.5
    chosen[free] = values > 0.5
    return chosen


def restricted(
    model: Model, free: np.ndarray, base: np.ndarray, distance: float, seconds: float | None,
    enough: float = math.inf, effort: float = math.inf,
) -> exact.Outcome:  # fmt: skip
    """Hand the free candidates and what the fixed ones leave of every row to the exact solver.

    Parameters
    ----------
    model : Model
    free : ndarray of bool, shape (n,)
    base : ndarray of float64, shape (n,)
        What the other candidates are fixed at.
    distance : float
        Of bound and objective, at which to stop.
    seconds : float or None
    enough : float
        Worth of the whole from which any solution will do.
    effort : float
        As for `exact.solve`.

    Returns
    -------
    Outcome
        ``values`` of the free candidates; the bound is that of the whole objective.
    """
    n = model.n
    fixed = np.where(free, 0.0, base)
    lower = model.lower.copy()
    lower[model.links[:, 1][fixed[model.links[:, 0]] > 0.5]] = 1.0
    open_ = np.concatenate([free, np.ones(len(model.objective) - n, bool)])
    # an occasion that no undecided contact shares is as the fixed ones have it
    open_[n : n + model.m] = False
    open_[model.links[free[model.links[:, 0]], 1]] = True
    columns = np.flatnonzero(open_)
    settled = np.where(open_, 0.0, np.concatenate([fixed, lower[n:]]))
    rest = model.matrix @ settled
    matrix = model.matrix[:, columns]
    matters = np.diff(matrix.indptr) > 0
    # rows without free contacts are kept by the fixed ones, or no choice of the free ones mends them
    broken = ~matters & ((rest > model.hi + 1e-7) | (rest < model.lo - 1e-7))
    if broken[: model.cell_links.start].any():
        return exact.Outcome("infeasible", None, -math.inf)
    constant = float(model.objective @ settled)
    outcome = exact.solve(
        model.objective[columns], matrix[matters], (model.lo - rest)[matters], (model.hi - rest)[matters],
        lower[columns], model.upper[columns], model.integer[columns], 0.0, seconds, distance,
        enough - constant, effort,
    )  # fmt: skip
    values = None if outcome.values is None else outcome.values[: int(free.sum())]
    return exact.Outcome(outcome.status, values, outcome.bound + constant)

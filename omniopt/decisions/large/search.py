"""The decomposed solver: price what ties units together, then let each unit do its best.

max Σ v_j x_j over plans that keep all rules is at most

    L(λ) = Σ_k λ_k b_k + Σ_units max { Σ_j (v_j - Σ_k λ_k a_kj) x_j : x keeps the unit's rows }

for any prices λ. Prices that make it small are found first (`prices`), then a plan near them
(`close`). Cells that are opened or not are branched on, with prices kept from node to node.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np

from omniopt.decisions.branching import FREE, Node, branch, enough
from omniopt.decisions.large.close import close
from omniopt.decisions.large.hunt import Hunt
from omniopt.decisions.large.hurried import hurry
from omniopt.decisions.large.infeasible import Impossible, clash_of, is_impossible
from omniopt.decisions.large.prices import lowered, worth_table
from omniopt.decisions.large.shape import Large
from omniopt.decisions.large.sweep import Engine, bound_of
from omniopt.decisions.problem import ROUNDING
from omniopt.decisions.progress import Progress
from omniopt.errors import Infeasible, StoppedWithoutPlan, is_interrupt

UNSETTLED = 0.01  # of the bound, by which it may be too high where prices may be running off
SURE = 0.98  # how open or closed a cell can look that is not held


def search_by_rank(
    large: Large, engine: Engine, gap: float, time_limit: float | None, progress: Progress,
    start: np.ndarray | None = None, use: np.ndarray | None = None,
) -> list[Hunt]:  # fmt: skip
    """Optimise each objective among the plans that keep the earlier ones within their shares.

    Parameters
    ----------
    large : Large
    engine : Engine
        Solves the units, here or elsewhere.
    gap : float
        Relative gap at which to stop.
    time_limit : float or None
        Seconds.
    progress : callable
        Told of each step, the best objective and the best bound.
    start : ndarray of float64, optional
        Prices of the limits to begin with.
    use : ndarray of float64, shape (b * t,), optional
        What all units use at these prices, by (bin, term), if that is known.

    Returns
    -------
    list of Hunt
        One for each objective; the last one's plan is the plan.

    Raises
    ------
    Infeasible
        If no plan keeps all rules.
    StoppedWithoutPlan
        If time ran out before any plan was found.
    """
    deadline = math.inf if time_limit is None else time.monotonic() + time_limit
    if len(large.extra["unmet"][0]):
        raise clash_of(large, engine, np.zeros(len(large.system)))
    found = [_searched(Hunt(large, engine, gap, deadline, progress), start, use)]
    system = large.system
    for rank, earlier in enumerate(large.policy.objectives[:-1], 1):
        best = found[-1].objective
        floor = best - earlier.within * abs(best) - ROUNDING * max(1.0, abs(best))
        ranked = large.ranked[rank]
        system = system.next_rank(ranked.objective, ranked.cells, floor)
        deadline = min(deadline, found[-1].deadline)  # of a search that somebody stopped it has passed
        later = Hunt(replace(large, system=system, rank=rank), engine.of(system), gap, deadline, progress)
        chosen = found[-1].chosen
        assert chosen is not None
        later.offer(chosen)
        found.append(_searched(later, np.append(found[-1].prices, 0.0)))
    return found


def _searched(hunt: Hunt, start: np.ndarray | None, use: np.ndarray | None = None) -> Hunt:
    """Lower the bound, then look for plans until the gap is met or time is up."""
    large = hunt.large
    g = large.system.g
    held = np.full(g, FREE, np.int8)
    prices = hunt.latest = np.zeros(len(large.system)) if start is None else start
    try:
        _settle(hunt, prices, held, use)
    except (KeyboardInterrupt, SystemError) as error:  # whoever waits no longer gets the best plan so far
        if not is_interrupt(error):
            raise
        hunt.deadline = time.monotonic()
        if hunt.chosen is None:
            hurry(hunt)
        if hunt.chosen is None:
            raise
    if hunt.chosen is None and hunt.out_of_time() and hunt.bound > -math.inf:
        hurry(hunt)
    if math.isinf(hunt.from_prices) and hunt.chosen is not None:  # any prices prove something
        prices = large.system.clipped(hunt.latest.copy())[0]
        hunt.price(prices, bound_of(large, prices, hunt.engine.sweep(worth_table(large, prices))))
    if hunt.chosen is None:
        if hunt.bound == -math.inf:
            raise clash_of(large, hunt.engine, hunt.prices)
        why = "in time: give it more" if math.isfinite(hunt.deadline) else "though none is proven impossible"
        raise StoppedWithoutPlan(f"no plan was found {why}")
    return hunt


def _settle(hunt: Hunt, start: np.ndarray, held: np.ndarray, use: np.ndarray | None) -> None:
    large = hunt.large
    found = lowered(large, hunt.engine, start, held, hunt.gap, hunt.deadline, hunt.report_bound, use)
    gone = found.diverging or found.bound == -math.inf
    if found.short > UNSETTLED * max(1.0, abs(found.bound)) and not hunt.out_of_time():
        gone = gone or is_impossible(large, hunt.engine, found.prices)
    if gone:
        raise clash_of(large, hunt.engine, found.prices)
    hunt.price(found.prices, found.bound)
    hunt.report("prices")
    if large.system.g and len(large):
        root = Node(held, found.bound, _looks(hunt, found.prices, held), found)
        branch(hunt, root, lambda cells: _visit(hunt, found.prices, cells))
        return
    try:
        close(hunt, found, held)
    except Impossible as error:
        raise clash_of(large, hunt.engine, error.prices) from None
    except Infeasible:
        raise clash_of(large, hunt.engine, found.prices) from None


def _looks(hunt: Hunt, prices: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Say how open each cell looks at the prices: how much of what it asks for the units would bring."""
    large, coupling = hunt.large, hunt.large.coupling
    use = hunt.engine.sweep(worth_table(large, prices, held)).use
    looks = held.astype(np.float64)
    own = np.flatnonzero(coupling.cell >= 0)
    asked = np.where(np.isnan(coupling.opening[own]), 1.0, np.maximum(coupling.opening[own], 1e-9))
    filled = np.clip((coupling.matrix @ use)[own] / asked, 1.0 - SURE, SURE)
    cell = coupling.cell[own]
    looks[cell] = np.where(held[cell] == FREE, filled, held[cell])
    return looks


def _visit(hunt: Hunt, start: np.ndarray, cells: np.ndarray) -> Node | float | None:
    """Lower the bound of the plans that hold some cells; where all are held, find their best plan."""
    large = hunt.large
    if hunt.out_of_time():
        return math.inf
    found = lowered(large, hunt.engine, start, cells, hunt.gap, hunt.deadline, hunt.report_bound)
    if found.diverging or found.bound == -math.inf:
        return None
    if (cells == FREE).any():
        return Node(cells, found.bound, _looks(hunt, found.prices, cells), found)
    if found.bound <= enough(hunt):
        return found.bound
    part = replace(hunt, bound=math.inf, prices=found.prices, from_prices=found.bound)
    part.tighten(found.bound)
    try:
        close(part, found, cells)
    except Infeasible:
        return None
    if part.chosen is not None:
        hunt.offer(part.chosen)
    return part.bound

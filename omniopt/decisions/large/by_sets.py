"""From prices to a plan where units have conflicts: a program whose columns are whole sets of contacts.

Rows within units are weak where they forbid pairs: their LP splits hundreds of units. Stated by the
units' best sets, of which each takes one, it splits no more units than limits bind, and is worth no
more than the prices prove (Dantzig and Wolfe, 1960). Units join whose sets differ in as many ways as
possible: many of the same kind, as ties make them, would all mend the same limit.

Where whole numbers keep plans below the bound, it is lowered by branching on numbers of contacts
(`counts`).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np

from omniopt.decisions.large.counts import split_count
from omniopt.decisions.large.hunt import Hunt
from omniopt.decisions.large.infeasible import Impossible
from omniopt.decisions.large.listed import list_sets
from omniopt.decisions.large.margins import closest_sets
from omniopt.decisions.large.prices import lowered, worth_table
from omniopt.decisions.large.set_program import SetProgram
from omniopt.decisions.large.shape import FREE, GENERAL, Large
from omniopt.decisions.large.unused import prove_unused
from omniopt.decisions.large.whole import with_whole_bounds
from omniopt.decisions.system import System
from omniopt.errors import Infeasible

FIRST = (500, 2_000)  # units whose sets are columns at first, at least and at most
FEW = 0.05  # of all units, which they are between
GROWTH = 4
LISTED = 10_000  # units whose sets are listed
MOST = 16  # sets of a unit
NEAR = 0.03  # of what a unit is worth; sets that lose less are listed, or those that units close by lose
ALTERNATIVES = (100, 400, 2_000)  # sets besides the LP's that the exact solver chooses among
SMALL = 20_000  # units up to which whole numbers keep plans from the bound
BRANCHES = 40  # nodes of branching on numbers of contacts
VAIN = 8  # nodes that bring little, after which the others are not looked at
LITTLE = 0.1  # of what is missing
NARROW = 1e-8  # gap below which sets that lose anything are not looked at
SURE = 1e-9  # of a difference, allowed for rounding


def is_for(large: Large) -> bool:
    """Whether a problem's units have rows that sets say better."""
    if not len(large.system):
        return False
    shape = large.templates.shape[large.columns.templates]
    return not large.system.g and bool((shape == GENERAL).any()) and not (shape == FREE).any()


@dataclass(frozen=True)
class _Node:
    """Plans that keep some more bounds: their limits, prices and what these prove."""

    system: System
    prices: np.ndarray
    proven: float


def close_by_sets(hunt: Hunt, prices: np.ndarray, noise: float, held: np.ndarray) -> None:
    """Look for a plan that meets the gap; the parameters are those of `close.close`.

    Raises
    ------
    Impossible
        If prices prove that units cannot keep the limits.
    Infeasible
        If no whole number of contacts keeps one of them.
    """
    nodes = [_rooted(hunt, prices, held)]
    settled, room = -math.inf, max(hunt.gap, NARROW) * max(1.0, abs(nodes[0].proven))
    least, vain, asked = math.inf, 0, np.zeros(0)
    for visited in itertools.count():
        nodes.sort(key=lambda node: node.proven)
        if hunt.chosen is not None and hunt.prices is not asked:
            asked = hunt.prices
            prove_unused(hunt)
        bound = min(max(settled, nodes[-1].proven if nodes else -math.inf), hunt.bound)
        missing = bound - hunt.objective - 0.99 * room
        if hunt.chosen is not None:
            least, vain = (missing, 0) if missing < (1.0 - LITTLE) * least else (least, vain + 1)
        ends = hunt.out_of_time() or settled >= bound or vain == VAIN
        if math.isfinite(bound) and (ends or (visited and missing <= 0.0)):
            hunt.tighten(bound)  # not sooner than it matters: prices alone do not prove it
        hunt.report("sets")
        if ends or hunt.reached():
            return
        node = nodes.pop()
        node = replace(node, proven=min(node.proven, hunt.bound))
        proven, branches, clash = _planned(hunt, node, noise, room, visited < BRANCHES)
        if clash is not None and not visited:
            raise Impossible(clash)
        if not branches:
            settled = max(settled, proven)
        for system in branches:
            found = _lowered(hunt, system, np.append(node.prices, 0.0), held)
            if found.proven > hunt.objective:
                nodes.append(found)


def _rooted(hunt: Hunt, prices: np.ndarray, held: np.ndarray) -> _Node:
    """Bring the limits to whole numbers; lower the bound again where that matters.

    Raises
    ------
    Infeasible
        If a limit's minimum is then above its maximum.
    """
    system, proven = with_whole_bounds(hunt.large), hunt.from_prices
    if (system.lo > system.hi).any():
        raise Infeasible("no whole number of contacts keeps a limit")
    tighter = _difference(hunt.large.system, system, hunt.prices)
    if tighter <= 0.0:
        return _Node(system, prices, proven)
    proven -= (1.0 - SURE) * tighter
    found = _lowered(hunt, system, hunt.prices, held) if hunt.large.columns.units <= SMALL else None
    return found if found and found.proven < proven else _Node(system, hunt.prices, proven)


def _lowered(hunt: Hunt, system: System, prices: np.ndarray, held: np.ndarray) -> _Node:
    """Lower the bound under some limits; -inf if they cannot be kept."""
    if (system.lo > system.hi).any():
        return _Node(system, prices, -math.inf)
    large = replace(hunt.large, system=system)
    found = lowered(large, hunt.engine.of(system), prices, held, hunt.gap, hunt.deadline, lambda *_: None)
    return _Node(system, found.prices, -math.inf if found.diverging else found.bound)


def _difference(system: System, tight: System, prices: np.ndarray) -> float:
    """Return how much lower the bound of some prices is with tighter limits."""
    sides = [np.where(prices > 0, s.hi, s.lo)[prices != 0] for s in (system, tight)]
    return float((sides[0] - sides[1]) @ prices[prices != 0])


def _planned(
    hunt: Hunt, node: _Node, noise: float, room: float, may_branch: bool
) -> tuple[float, list[System], np.ndarray | None]:
    """Look for a plan that a node proves to be good enough.

    Returns
    -------
    float
        What the node's plans are worth at most.
    list of System
        Limits of the nodes to branch into.
    ndarray of float64, or None
        Prices that prove that there is no plan.
    """
    large = replace(hunt.large, system=node.system)
    program = _program(hunt, large, node, noise, room)
    proven, size = node.proven, int(np.clip(FEW * large.columns.units, *FIRST))
    if program is None:
        return proven, [], None
    while program.open(size).relaxed(hunt, proven - 0.3 * room, room):
        proven = min(proven, program.bound)
        branches = split_count(program) if may_branch and large.columns.units <= SMALL else []
        for count in ALTERNATIVES[:1] if branches else ALTERNATIVES:
            plan = None if hunt.out_of_time() else program.whole(hunt, count, room, proven - 0.99 * room)
            if plan is not None:
                hunt.offer(plan)
            if hunt.objective >= proven - 0.99 * room:
                return proven, [], None
        if branches or size >= len(program.order):
            return proven, branches, None
        size *= GROWTH
    return (proven if program.clash is None else -math.inf), [], program.clash


def _program(hunt: Hunt, large: Large, node: _Node, noise: float, room: float) -> SetProgram | None:
    """List the best sets of the units closest to a change; None if there are none."""
    table = worth_table(large, node.prices)
    sets = closest_sets(hunt.engine, table, noise, LISTED)
    units = np.sort(np.argsort(sets.margin, kind="stable")[:LISTED])
    close_by = max(4.0 * float(sets.margin[units][np.isfinite(sets.margin[units])].max(initial=0.0)),
                   NEAR * abs(node.proven) / large.columns.units)  # fmt: skip
    width = max(min(room, close_by), noise)
    listed = list_sets(hunt.engine, table, units, MOST, 3.0 * width)
    return SetProgram(large, listed, np.flatnonzero(sets.chosen), node.prices, width) if len(listed) else None

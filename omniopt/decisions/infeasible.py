"""Why no plan keeps all the rules: the smallest set of rules that clash, and the ways out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from omniopt.actions.catalogue import Catalogue
from omniopt.decisions import kernels
from omniopt.decisions.clash import Found, smallest_clash
from omniopt.decisions.diagnosis import Clash, Diagnosis, Words
from omniopt.decisions.dual import forced, unit_optima
from omniopt.decisions.member_rows import MemberRows
from omniopt.decisions.movable import frozen, in_force
from omniopt.decisions.oracle import Oracle
from omniopt.decisions.problem import DAYS, Problem
from omniopt.decisions.repair import Repairs
from omniopt.decisions.resolve import Solver, exactly
from omniopt.errors import Infeasible
from omniopt.rules.policy import Limit
from omniopt.rules.unit_rows import ALWAYS

SECONDS = 180.0  # for a whole diagnosis
LEAST = 10.0  # seconds that it gets, however little the solve was given
SLACK = 1e-9
TOGETHER = 200  # customers that are looked at in one go
PASSES = 200  # limits at most whose reach a quick test works out customer by customer


def quick_test(
    problem: Problem, index: kernels.UnitIndex, seconds: float | None = None, solver: Solver = exactly
) -> None:
    """Find at once what cannot be kept even by itself, before a long solve.

    These are customers whose own rules and locks leave them no choice, not even none, and limits
    that ask for more, or allow less, than the rules for each customer let the candidates bring.
    It costs one pass over the customers, and one more for every limit that is not easily met.

    Parameters
    ----------
    problem : Problem
    index : UnitIndex
        The problem's units.
    seconds : float, optional
    solver : callable
        See `diagnosed`.

    Raises
    ------
    Infeasible
        With the whole diagnosis.
    """
    if len(stuck_units(problem, index)) or out_of_reach(problem, index) is not None:
        raise diagnosed(problem, seconds, solver)


def diagnosed(problem: Problem, seconds: float | None = None, solver: Solver = exactly) -> Infeasible:
    """Return the error for a problem that no plan can solve, with its diagnosis.

    Parameters
    ----------
    problem : Problem
        Known to be infeasible.
    seconds : float, optional
        Time that the solve was given, of which a diagnosis takes no more; but it always gets a little.
        One that runs out of time says so.
    solver : callable
        Solves changed problems.
    """
    diagnosis = diagnose(problem, SECONDS if seconds is None else min(max(seconds, LEAST), SECONDS), solver)
    if diagnosis is None:
        return Infeasible("no plan keeps all the rules, though each few of them could be kept: "
                          "they leave less room than rounding")  # fmt: skip
    return Infeasible(diagnosis.text, diagnosis)


def diagnose(problem: Problem, seconds: float = SECONDS, solver: Solver = exactly) -> Diagnosis | None:
    """Find the smallest set of rules that clash, and the cheapest ways to make a plan possible.

    Parameters
    ----------
    problem : Problem
    seconds : float
        Time at most.
    solver : callable
        Solves changed problems.

    Returns
    -------
    Diagnosis or None
        None if a plan is possible.
    """
    problem = frozen(problem)
    rows = MemberRows.of(problem)
    oracle = Oracle(rows, seconds)
    units, reach = stuck_units(problem), None
    if len(units):
        found, units = _within_units(problem, rows, oracle, units)
    else:
        index = kernels.UnitIndex.of(problem.unit, problem.units)
        reach = out_of_reach(problem, index) if len(problem) else None
        smallest = (
            smallest_clash(oracle, rows.everything())
            if reach is None
            else _beyond_reach(problem, rows, *reach)
        )
        if smallest is None:
            return None
        found = smallest
    if not len(found.members):
        return None
    ids = problem.catalogue.ids("customer")
    customers = tuple(str(c) for c in ids[np.isin(problem.grouping.of, units)]) if len(units) else ()
    repairs = Repairs(problem, rows, oracle, solver)
    mended, clashes = repairs.single(found, customers), [found]
    if not mended and not repairs.unsure:
        clashes, mended = repairs.combined(found)
    words = Words(
        {limit.name: unit_of_limit(limit) for limit in problem.policy.limits},
        {limit.name: limit.rolling_days for limit in problem.policy.limits if limit.rolling_days},
    )
    ways = repairs.ranked(
        mended, words, lambda move: replace(move, group=shown_group(problem.catalogue, move.group))
    )
    told = [_told(problem, rows, c, units if i == 0 else units[:0]) for i, c in enumerate(clashes)]
    unsure = repairs.unsure
    oracle.spend(0.5)
    if reach is None:
        far = [repairs.reach(clash) for clash in clashes]
    else:
        partly = in_force(problem, [rows.members[i] for i in found.members])
        index = kernels.UnitIndex.of(problem.unit, partly.units)
        far = [round(_missed(partly, *reach, index)[2], 2), *(None for _ in clashes[1:])]
    text = words.message(told, far, ways, unsure)
    return Diagnosis(text, told[0], tuple(told[1:]), ways)


def stuck_units(problem: Problem, index: kernels.UnitIndex | None = None) -> np.ndarray:
    """Return the codes of the units whose own rules and locks leave them no choice."""
    units = problem.units
    asked = (units.lo > np.diff(units.start)) & (units.trigger == ALWAYS)
    stuck = units.unit[asked]
    if len(problem) and (len(problem.locked) or (units.lo > 0).any()):
        index = index or kernels.UnitIndex.of(problem.unit, units)
        value = unit_optima(index, np.zeros(len(problem)), forced(problem))[0]
        stuck = np.concatenate([stuck, problem.unit[index.unit_start[:-1][np.isneginf(value)]]])
    return np.unique(stuck)


def out_of_reach(problem: Problem, index: kernels.UnitIndex) -> tuple[int, str] | None:
    """Return a limit's row and side that the rules for each customer put out of reach, if there is one.

    A side that is kept by some choice at hand is not looked at further, and a ratio never is: what
    it asks for depends on the rest of the plan.
    """
    system, coupling = problem.system, problem.coupling
    base = unit_optima(index, np.zeros(len(problem)), forced(problem))[1]
    used = problem.matrix @ base.astype(np.float64)
    hard = np.isinf(coupling.penalty) & np.isnan(coupling.ratio)
    hard &= np.diff(sparse.csr_array(system.extra[: len(coupling), : system.g]).indptr) == 0
    sides = [(k, "min", 1.0, coupling.lo[k]) for k in np.flatnonzero(hard & (used < coupling.lo))]
    sides += [(k, "max", -1.0, coupling.hi[k]) for k in np.flatnonzero(hard & (used > coupling.hi))]
    free = not len(problem.locked) and not (problem.units.lo > 0).any()
    closed = np.zeros(len(problem), bool)
    closed[problem.units.member[(problem.units.cap == 0)[problem.units.row]]] = True
    for k, side, sign, bound in sides[:PASSES]:
        if free:  # one contact each is always possible
            worth = np.where(closed, 0.0, np.maximum(sign * problem.matrix[[k]].toarray()[0], 0.0))
            if np.maximum.reduceat(worth, index.unit_start[:-1]).sum() >= sign * bound:
                continue
        if _missed(problem, int(k), side, index)[0]:
            return int(k), side
    return None


def _missed(problem: Problem, k: int, side: str, index: kernels.UnitIndex) -> tuple[bool, bool, float]:
    """Whether customers' own rules put a limit's bound out of reach, whether that is exact, the reach."""
    sign, bound = (1.0, problem.coupling.lo[k]) if side == "min" else (-1.0, problem.coupling.hi[k])
    worth = sign * problem.matrix[[k]].toarray()[0]
    value, _, searched = unit_optima(index, worth, forced(problem))
    room = SLACK * max(1.0, abs(bound), float(np.abs(worth).sum()))
    reach = float(value.sum())
    return reach - sign * bound < -room, bool(searched.all()), sign * reach + problem.coupling.past[k]


def _beyond_reach(problem: Problem, rows: MemberRows, k: int, side: str) -> Found:
    """Find the fewest rules for customers, and locks, that put a limit out of reach."""
    limit = int((rows.below if side == "min" else rows.above)[k])
    kept = [i for i, m in enumerate(rows.members) if m.kind != "limit"]
    sure = True
    for i in list(kept):
        fewer = [rows.members[j] for j in kept if j != i]
        partly = in_force(problem, fewer)
        index = kernels.UnitIndex.of(problem.unit, partly.units)
        missed, exact, _ = _missed(partly, k, side, index)
        sure &= missed or exact
        if missed:
            kept.remove(i)
    return Found(np.array(sorted([*kept, limit])), sure)


def _within_units(
    problem: Problem, rows: MemberRows, oracle: Oracle, units: np.ndarray
) -> tuple[Found, np.ndarray]:
    """Find a clash of rules for single customers; return it and the units it leaves no choice.

    A few units show a clash; it is smallest if no unit at all is left without a choice by fewer rules.
    """
    kept = np.array([m.kind != "limit" for m in rows.members], bool)
    while True:
        found = smallest_clash(Oracle(rows.within(units[:TOGETHER]), oracle.left()), kept)
        if found is None or not len(found.members):
            return Found(np.zeros(0, np.int64), False), units
        members = [rows.members[i] for i in found.members]
        for left_out in found.members:
            fewer = [rows.members[i] for i in found.members if i != left_out]
            others = stuck_units(in_force(problem, fewer))
            if len(others):
                kept = np.isin(np.arange(len(rows.members)), [i for i in found.members if i != left_out])
                units = others
                break
        else:
            stuck = stuck_units(in_force(problem, members))
            return found, stuck if len(stuck) else units


def _told(problem: Problem, rows: MemberRows, found: Found, units: np.ndarray) -> Clash:
    members = [rows.members[i] for i in found.members]
    shown = tuple(replace(m, group=shown_group(problem.catalogue, m.group)) for m in members)
    names = tuple(str(problem.grouping.names[u]) for u in units)
    return Clash(shown, names, problem.grouping.word, found.minimal)


def shown_group(catalogue: Catalogue, group: dict[str, Any]) -> dict[str, Any]:
    """Return a group as it is told: days as dates, numbers as Python has them."""
    plain = {a: v.item() if isinstance(v, np.generic) else v for a, v in group.items()}
    return {a: catalogue.day_text(v) if a in DAYS else v for a, v in plain.items()}


def unit_of_limit(limit: Limit) -> str:
    """Say what a limit's bounds are numbers of."""
    if limit.over is None:
        return limit.measure if limit.measure.isidentifier() else f"of {limit.measure}"
    over = limit.over if isinstance(limit.over, str) else limit.over.measure
    return f"{limit.measure} per {over}" if limit.measure != over else f"of all {over}"

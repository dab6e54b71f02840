"""Why no plan keeps all the rules of a large problem.

Prices at which the bound falls below what the plan is worth in any case, the objective being left
out, prove that there is no plan (Farkas, 1902): the limits with a price cannot all be kept. Limits
are left out one by one as long as the rest still clashes; what remains is the clash.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from functools import partial

import numpy as np
from scipy import sparse

from omniopt.decisions.branching import FREE
from omniopt.decisions.diagnosis import Clash, Diagnosis, Member, Move, Repair, Words
from omniopt.decisions.infeasible import diagnosed, shown_group, unit_of_limit
from omniopt.decisions.large.changed import solve_changed
from omniopt.decisions.large.entries import customer_of
from omniopt.decisions.large.hunt import Hunt
from omniopt.decisions.large.prices import lowered, worth_table
from omniopt.decisions.large.shape import Large
from omniopt.decisions.large.sweep import Engine
from omniopt.decisions.large.whole import with_whole_bounds
from omniopt.decisions.problem import build_problem
from omniopt.decisions.system import System
from omniopt.errors import Infeasible

SMALL = 400_000  # candidates up to which the small problems' diagnosis is used, which tries every way out
SECONDS = 120.0
PRECISE = 1e-6  # of how far a limit has to move
EASY = 0.1  # gap of plans that only have to keep some limits
LEAST = (0.1, 1e-2, 1e-6, 0.0)  # parts of the largest price below which others are left out, at first
SURE = 1e-7  # of the sizes of the terms, from which a negative bound is more than rounding


def clash_of(large: Large, engine: Engine, prices: np.ndarray) -> Infeasible:
    """Return the error for a large problem that no plan can solve, with its diagnosis.

    Parameters
    ----------
    large : Large
    engine : Engine
    prices : ndarray of float64, shape (k + q,)
        That the bound ran off with.
    """
    if len(large) <= SMALL:
        return diagnosed(build_problem(large.project, large.scores), None, partial(solve_changed, large))
    proof = _proof_for(large, engine)
    stuck, system = proof.stuck(), proof.large.system
    if len(stuck):
        return _said(large, [], tuple(stuck), False)
    crossed = np.flatnonzero(system.lo > system.hi)
    if len(crossed):
        k = int(crossed[0])
        return _said(large, [(k, "min", float(system.hi[k])), (k, "max", float(system.lo[k]))], (), True)
    deadline, minimal = time.monotonic() + SECONDS, True
    found = proof.of(prices, np.ones(len(prices), bool), deadline)
    if found is None:
        return Infeasible("no plan keeps all the rules, though no few of them could be named: "
                          "they leave less room than rounding")  # fmt: skip
    # the least priced is the least likely to matter
    for k in np.argsort(np.abs(found), kind="stable").tolist():
        if found[k] == 0.0:
            continue
        others = (found != 0.0) & (np.arange(len(found)) != k)
        without = proof.without(found, k)
        if without is None and not _can_be_kept(large, engine, others, deadline):
            without = proof.of(np.where(others, found, 0.0), others, deadline)
            minimal &= without is not None
        found = found if without is None else without
    rows = []
    for k in np.flatnonzero(found).tolist():
        short = proof.shortfall(found, k, deadline)
        rows.append((k, "max", system.hi[k] + short) if found[k] > 0 else (k, "min", system.lo[k] - short))
    return _said(large, rows, (), minimal)


def is_impossible(large: Large, engine: Engine, prices: np.ndarray) -> bool:
    """Whether prices, or the largest of them, prove by themselves that no plan keeps all limits.

    Parameters
    ----------
    large : Large
    engine : Engine
    prices : ndarray of float64, shape (k + q,)
    """
    return _proof_for(large, engine)._scaled(prices) is not None


def _proof_for(large: Large, engine: Engine) -> _Proof:
    """Leave the objective out, and bring bounds to what whole numbers of contacts can reach."""
    system = replace(
        with_whole_bounds(large),
        objective=np.zeros_like(large.system.objective),
        extra_objective=np.zeros_like(large.system.extra_objective),
    )
    return _Proof(replace(large, system=system), engine.of(system))


class Impossible(Infeasible):
    """No plan keeps all the rules, as prices prove.

    Parameters
    ----------
    prices : ndarray of float64, shape (k + q,)
    """

    def __init__(self, prices: np.ndarray) -> None:
        super().__init__("no plan keeps all rules")
        self.prices = prices


class _Proof:
    """Looks for prices that prove a set of limits impossible."""

    def __init__(self, large: Large, engine: Engine) -> None:
        self.large, self.engine = large, engine
        self.held = np.full(large.system.g, FREE, np.int8)

    def stuck(self) -> list[str]:
        """Name units whose own rules leave them no choice."""
        large = self.large
        sets = self.engine.best(worth_table(large, np.zeros(len(large.system)), self.held), width=0.0)
        first = large.columns.start[:-1][np.isneginf(sets.value)]
        unit = large.grouping.of[customer_of(large.columns, first)]
        return [str(large.grouping.names[u]) for u in np.unique(np.append(unit, large.extra["unmet"][0]))]

    def value(self, prices: np.ndarray) -> tuple[float, float]:
        """Return the bound that prices prove without an objective, and the size of its terms."""
        system = self.large.system
        prices, side = system.clipped(prices)
        found = self.engine.sweep(worth_table(self.large, prices, self.held))
        extra = -(system.extra.T @ prices)[: system.g]
        terms = float(np.abs(prices * side).sum()) + found.size
        return float(prices @ side) + found.value + float(np.maximum(extra, 0.0).sum()), terms

    def without(self, prices: np.ndarray, k: int) -> np.ndarray | None:
        """Return prices without that of one limit, if they prove the clash by themselves."""
        return self._scaled(np.where(np.arange(len(prices)) == k, 0.0, prices))

    def of(self, prices: np.ndarray, rows: np.ndarray, deadline: float) -> np.ndarray | None:
        """Look for prices of some limits that prove the clash, from where some prices are."""
        found = self._scaled(np.where(rows, prices, 0.0))
        if found is not None or time.monotonic() > deadline:
            return found
        large = replace(self.large, system=_only(self.large.system, rows))
        start = large.system.clipped(prices / (np.abs(prices).max(initial=0.0) or 1.0))[0]
        ends = min(deadline, time.monotonic() + SECONDS / 4)
        return self._scaled(lowered(large, self.engine, start, self.held, 0.0, ends, lambda *_: None).prices)

    def shortfall(self, prices: np.ndarray, k: int, deadline: float) -> float:
        """Return by how much one limit has to move at least for the others with a price to be kept."""
        system, side = _only(self.large.system, prices != 0.0), -np.sign(prices[k])
        missing = sparse.csr_array(([side], ([k], [0])), shape=(len(system), 1))
        soft = replace(
            system,
            extra=sparse.csr_array(sparse.hstack([system.extra, missing])),
            extra_objective=np.append(system.extra_objective, -1.0),
            slack_row=np.append(system.slack_row, k),
            slack_side=np.append(system.slack_side, side),
        )
        large, start = replace(self.large, system=soft), prices / abs(prices[k])
        ends = min(deadline, time.monotonic() + SECONDS / 40)
        found = lowered(large, self.engine, start, self.held, PRECISE, ends, lambda *_: None).prices
        tries = [start, found] if found[k] != 0.0 else [start]
        return max(-self.value(prices)[0] / abs(prices[k]) for prices in tries)

    def _scaled(self, prices: np.ndarray) -> np.ndarray | None:
        """Return prices as parts of the largest, without the smaller ones; None if they prove no clash.

        Those that run off prove it by themselves, long before the others are small beside them.
        """
        for least in LEAST:
            largest = float(np.abs(prices).max(initial=0.0))
            some = np.where(np.abs(prices) > least * largest, prices, 0.0) / (largest or 1.0)
            some = self.large.system.clipped(some)[0]
            if _negative(*self.value(some)):
                return some
        return None


def _only(system: System, rows: np.ndarray) -> System:
    """Lift the bounds of all but some limits."""
    return replace(system, lo=np.where(rows, system.lo, -math.inf), hi=np.where(rows, system.hi, math.inf))


def _can_be_kept(large: Large, engine: Engine, rows: np.ndarray, deadline: float) -> bool:
    """Whether a plan was found that keeps some of the limits."""
    from omniopt.decisions.large.close import close  # which asks for proofs itself

    system = _only(large.system, rows)
    part, held = replace(large, system=system), np.full(system.g, FREE, np.int8)
    hunt = Hunt(part, engine.of(system), EASY, deadline, lambda *_: None)
    try:
        found = lowered(part, hunt.engine, np.zeros(len(system)), held, EASY, deadline, lambda *_: None)
        if not found.diverging:
            hunt.price(found.prices, found.bound)
            close(hunt, found, held)
    except Infeasible:
        return False
    return hunt.chosen is not None


def _negative(value: float, terms: float) -> bool:
    return value < -SURE * max(terms, 1e-300)


def _said(
    large: Large, rows: list[tuple[int, str, float]], stuck: tuple[str, ...], minimal: bool
) -> Infeasible:
    """Word a clash: the limits' rows and sides, and where each alone would have to go at least."""
    words = Words(
        {limit.name: unit_of_limit(limit) for limit in large.policy.limits},
        {limit.name: limit.rolling_days for limit in large.policy.limits if limit.rolling_days},
    )
    coupling = large.coupling
    members, moves = [], []
    for k, side, after in rows:
        past, ratio = float(coupling.history[k]), float(coupling.ratio[k])
        bound = float(coupling.hi[k] if side == "max" else coupling.lo[k]) + past
        group = shown_group(large.catalogue, coupling.group[k])
        members.append(Member("limit", coupling.rule[k], side, group, bound if math.isnan(ratio) else ratio))
        if math.isnan(ratio):
            moves.append(Move("limit", coupling.rule[k], side, group, bound, after + past))
    if stuck:
        names = [rule.name for rule in large.policy.contact if rule.min is not None]
        members = [Member("contact", name, "min") for name in names]
        members += [Member("requires", rule.name) for rule in large.policy.requires]
    ways = tuple(
        Repair(f"{words.move(m)} at least", (m,), None, False, None, m.distance)
        for m in sorted(moves, key=lambda m: m.distance)
    )
    clash = Clash(tuple(members), stuck, large.grouping.word, minimal)
    text = words.message([clash], [None], ways, False)
    return Infeasible(text, Diagnosis(text, clash, (), ways))

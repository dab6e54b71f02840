"""Why no plan keeps all the rules of a large problem.

Prices at which the bound falls below what the plan is worth in any case, the objective being left
out, prove that there is no plan (Farkas, 1902): the limits with a price cannot all be kept. Limits
are left out one by one as long as the rest still clashes; what remains is the clash.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np

from omniopt.decisions.branching import FREE
from omniopt.decisions.diagnosis import Clash, Diagnosis, Member, Move, Repair, Words
from omniopt.decisions.infeasible import diagnosed, shown_group, unit_of_limit
from omniopt.decisions.large.entries import customer_of
from omniopt.decisions.large.prices import lowered, worth_table
from omniopt.decisions.large.shape import Large
from omniopt.decisions.large.sweep import Engine
from omniopt.decisions.problem import build_problem
from omniopt.errors import Infeasible

SMALL = 400_000  # candidates up to which the small problems' diagnosis is used, which tries every way out
SECONDS = 120.0
NAMED = 5  # customers
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
        return diagnosed(build_problem(large.project, large.scores), None)
    system = large.system
    nothing = replace(
        system,
        objective=np.zeros_like(system.objective),
        extra_objective=np.zeros_like(system.extra_objective),
    )
    proof = _Proof(replace(large, system=nothing), engine.of(nothing))
    stuck = proof.stuck()
    if len(stuck):
        return _said(large, (), 0.0, tuple(stuck), True)
    found = proof.of(prices)
    if found is None:
        return Infeasible("no plan keeps all the rules, though no few of them could be named: "
                          "they leave less room than rounding")  # fmt: skip
    deadline, minimal = time.monotonic() + SECONDS, True
    for k in np.flatnonzero(found):
        if not found[k]:
            continue
        if time.monotonic() > deadline:
            minimal = False
            break
        without = proof.of(found, left_out=int(k))
        found = found if without is None else without
    rows = np.flatnonzero(found)
    short = proof.value(found)[0]
    return _said(large, tuple((int(k), float(found[k])) for k in rows), short, (), minimal)


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

    def of(self, prices: np.ndarray, left_out: int = -1) -> np.ndarray | None:
        """Return prices that prove the clash, without those of one limit; None if none were found."""
        large = self.large
        if left_out >= 0:
            system = large.system
            lo, hi = system.lo.copy(), system.hi.copy()
            lo[left_out], hi[left_out] = -math.inf, math.inf
            large = replace(large, system=replace(system, lo=lo, hi=hi))
            prices = np.where(np.arange(len(prices)) == left_out, 0.0, prices)
        proof = _Proof(large, self.engine)
        scale = float(np.abs(prices).max(initial=0.0))
        start = large.system.clipped(prices / (scale or 1.0))[0]
        if not _negative(*proof.value(start)):
            deadline = time.monotonic() + SECONDS / 4
            found = lowered(large, self.engine, start, self.held, 0.0, deadline, lambda _: None)
            start = found.prices
            if not _negative(*proof.value(start)):
                return None
        largest = float(np.abs(start).max())
        start = np.where(np.abs(start) > 1e-6 * largest, start, 0.0)
        return start / largest if _negative(*proof.value(start)) else None


def _negative(value: float, terms: float) -> bool:
    return value < -SURE * max(terms, 1e-300)


def _said(
    large: Large, rows: tuple[tuple[int, float], ...], short: float, stuck: tuple[str, ...], minimal: bool
) -> Infeasible:
    """Word a clash: the limits with their bounds, and how far one alone would have to move."""
    words = Words(
        {limit.name: unit_of_limit(limit) for limit in large.policy.limits},
        {limit.name: limit.rolling_days for limit in large.policy.limits if limit.rolling_days},
    )
    coupling = large.coupling
    members, moves = [], []
    for k, price in rows:
        side = "max" if price > 0 else "min"
        ratio = coupling.ratio[k]
        bound = float(coupling.hi[k] if price > 0 else coupling.lo[k]) + float(coupling.history[k])
        group = shown_group(large.catalogue, coupling.group[k])
        shown = float(ratio) if not math.isnan(ratio) else bound
        members.append(Member("limit", coupling.rule[k], side, group, shown))
        if math.isnan(ratio):
            after = bound + (short / -abs(price) if side == "max" else short / abs(price))
            moves.append(Move("limit", coupling.rule[k], side, group, bound, after))
    if stuck:
        names = [rule.name for rule in large.policy.contact if rule.min is not None]
        members = [Member("contact", name, "min") for name in names]
        members += [Member("requires", rule.name) for rule in large.policy.requires]
    ways = tuple(
        Repair(f"{words.move(m)} at least", (m,), None, False, None, m.distance)
        for m in sorted(moves, key=lambda m: m.distance)
    )
    clash = Clash(tuple(members), stuck, large.grouping.word, minimal and not stuck)
    text = words.message([clash], [None], ways, False)
    return Infeasible(text, Diagnosis(text, clash, (), ways))

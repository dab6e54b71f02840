"""The cheapest ways to make an impossible policy possible, each of them tried.

For every bound of a clash the smallest movement is found that makes the whole problem possible,
by a solve in which that bound alone may give way. The moved bound is written as a planner would,
and the plan that was found has to keep it. Where no bound helps by itself, because there are
several clashes, the cheapest combination of moves is looked for.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from omniopt.decisions.clash import Found, smallest_clash
from omniopt.decisions.diagnosis import Move, Repair, Words
from omniopt.decisions.member_rows import MemberRows
from omniopt.decisions.movable import (
    Bound,
    changed,
    coupling_rows,
    is_ratio,
    pursued,
    same_bound,
    unrolled,
    without,
    written,
)  # fmt: skip
from omniopt.decisions.oracle import Answer, Oracle, Slack
from omniopt.decisions.problem import Problem, build_problem, keeps_rules
from omniopt.decisions.resolve import Solver, exactly
from omniopt.project import Project
from omniopt.rules.policy import ColumnBound, Reference

NEAR = 1e-5  # relative gap of how close a large problem comes to a bound
GAP = 1e-3  # of the plans that tell what a repair costs
SHARE, LEAST = 30.0, 0.5  # seconds for one of them, at most and at least
STEPS = 8  # at which a ratio, or a whole number, is moved
SMALL = 20_000  # candidates up to which a ratio is moved in steps
NEAREST = 4  # moves for each of several clashes that are combined
MOST = 8  # combinations of moves that are tried


@dataclass(frozen=True)
class Way:
    """A bound and where it goes; ``step`` is how far, for a contact rule's whole number."""

    bound: Bound
    move: Move
    step: int = 0


@dataclass(frozen=True)
class Mended:
    """Moves that work: the changed problem and a plan that keeps its rules."""

    moves: tuple[Move, ...]
    problem: Problem
    chosen: np.ndarray


class Repairs:
    """Looks for ways out of clashes.

    Parameters
    ----------
    problem : Problem
    rows : MemberRows
    oracle : Oracle
        Its time is what there is.
    solver : callable
        Solves changed problems.
    """

    def __init__(self, problem: Problem, rows: MemberRows, oracle: Oracle, solver: Solver = exactly) -> None:
        self.problem, self.rows, self.oracle, self.solver = problem, rows, oracle, solver
        self.limits = {limit.name: limit for limit in problem.policy.limits}
        self.contact = {rule.name: rule for rule in problem.policy.contact}
        self.unsure = False  # whether time ran out on some way

    def single(self, found: Found, customers: tuple[str, ...]) -> list[Mended]:
        """Return, for every bound of a clash, the smallest movement that suffices by itself.

        Parameters
        ----------
        found : Found
        customers : tuple of str
            Those that the clash is about, if it lies within single customers; their own bounds move.
        """
        mended = []
        bounds = self.bounds(found.members)
        for number, bound in enumerate(bounds):
            self.oracle.spend(0.5 / (len(bounds) - number))
            for more in range(STEPS):  # past contacts may ask for a longer step of a whole number
                way = self.way(bound, self.rows.everything(), customers, more)
                tried = None if way is None else self.tried([way[0]], way[1])
                if tried is not None:
                    mended.append(tried)
                if tried is not None or way is None or bound.member.kind != "contact":
                    break
        return mended

    def combined(self, first: Found) -> tuple[list[Found], list[Mended]]:
        """Find the clashes beside the first, and the moves, one for each of them, that suffice together."""
        clashes, freed = [first], self.rows.everything()
        while True:
            for bound in self.bounds(clashes[-1].members):
                freed[bound.members] = False
            found = smallest_clash(self.oracle, freed)
            if found is None or not len(found.members) or self.oracle.left() == 0.0:
                break
            clashes.append(found)
        options = []
        for clash in clashes:
            kept = self.rows.everything()
            for other in clashes:
                for bound in self.bounds(other.members) if other is not clash else []:
                    kept[bound.members] = False
            ways = [self.way(bound, kept, ()) for bound in self.bounds(clash.members)]
            near = sorted((way[0] for way in ways if way is not None), key=lambda w: w.move.distance)
            options.append(near[:NEAREST])
        choices = sorted(itertools.product(*options), key=lambda ways: sum(w.move.distance for w in ways))
        mended = [self.tried(list(ways)) for ways in choices[:MOST]]
        return clashes, [m for m in mended if m is not None]

    def bounds(self, members: np.ndarray) -> list[Bound]:
        """Return the bounds that a planner can move for these members, each of them once."""
        found: dict[Any, Bound] = {}
        for i in members.tolist():
            member = self.rows.members[i]
            key: Any = i
            mates, shared, column, before = np.array([i]), False, None, member.bound
            if member.kind == "limit":
                limit = self.limits[member.rule]
                shared = not isinstance(getattr(limit, member.side), Reference)
                key = (member.rule, member.side, None if shared else str(unrolled(member.group)))
                others = enumerate(self.rows.members)
                mates = np.array([j for j, other in others if same_bound(member, other, shared)])
            elif member.kind == "contact":
                value = getattr(self.contact[member.rule], member.side)
                if isinstance(value, ColumnBound):
                    column, before = value.column, None
            found.setdefault(key, Bound(member, mates, shared, before, column))
        return list(found.values())

    def _slack(self, bounds: list[Bound], rows: MemberRows | None = None, below: float = 0.0) -> Slack:
        """One column per bound, that loosens its rows; from ``below`` times as far on, that tightens them."""
        rows = rows or self.rows
        size = abs(rows.matrix).sum(axis=1)
        parts, price, upper, integer = [], [], [], []
        for bound in bounds:
            low, high = np.isin(rows.below, bound.members), np.isin(rows.above, bound.members)
            room = np.where(low, rows.lo + size, 0.0) + np.where(high, size - rows.hi, 0.0)
            grain = rows.grain[low | high]
            even = bound.member.kind == "contact" or bool((grain == grain[:1]).all() and (grain > 0).all())
            step = float(grain[0]) if even and bound.member.kind == "limit" else 1.0
            sign = step * (low.astype(np.float64) - high)
            parts.append(sparse.csc_array(sign[:, None]))
            price.append(step / max(1.0, abs(bound.before or 1.0)))
            upper.append(np.ceil(max(float(room.max(initial=0.0)), 0.0) / step) + 1.0)
            integer.append(even)
        lower = below * np.array(upper)
        return Slack(
            sparse.csc_array(sparse.hstack(parts)),
            np.array(price),
            lower,
            np.array(upper),
            np.array(integer, bool),
        )

    def way(
        self, bound: Bound, kept: np.ndarray, customers: tuple[str, ...], more: int = 0
    ) -> tuple[Way, np.ndarray] | None:
        """Return how little a bound has to give for the kept members to be possible, and a plan then.

        Parameters
        ----------
        bound : Bound
        kept : ndarray of bool, shape (members,)
        customers : tuple of str
            Whose own bounds move; all, if there are none.
        more : int
            By how much a whole number moves beyond that.
        """
        member = bound.member
        if not bound.moves:
            rest = kept.copy()
            rest[bound.members] = False
            answer = self._asked(rest)
            if answer.values is None:
                return None
            move = Move(member.kind, member.rule, member.side, member.group, member.bound, None)
            return Way(bound, move), answer.values[: self.rows.n] > 0.5
        if self.rows.n > SMALL and member.kind == "limit" and len(bound.members) == 1:
            return self._searched(bound, kept)
        answer = self._asked(kept, self._slack([bound]))
        if answer.values is None:
            return None
        chosen, slack = answer.values[: self.rows.n] > 0.5, float(answer.values[-1])
        if member.kind == "contact":
            counted, step = self._count(bound, max(1, round(slack)) + more, customers)
            return None if counted is None else (Way(bound, counted, step), chosen)
        return self._written(bound, kept, chosen)

    def _asked(self, kept: np.ndarray, slack: Slack | None = None) -> Answer:
        """Ask, and remember that there was no answer in time."""
        answer = self.oracle.ask(kept, slack)
        self.unsure |= answer.possible is None
        return answer

    def _written(self, bound: Bound, kept: np.ndarray, chosen: np.ndarray) -> tuple[Way, np.ndarray] | None:
        """Write down where a limit's bound goes for a plan to keep it."""
        member, after = bound.member, self._after(bound, chosen)
        if after is not None and is_ratio(self.problem, bound):
            after, chosen = self._nearer(bound, kept, after, chosen)
        if after is None:
            return None
        group = {} if bound.shared else unrolled(member.group)
        digits = 4 if is_ratio(self.problem, bound) or abs(after) < 1 else 2
        where = written(after, digits, member.side)
        return Way(bound, Move("limit", member.rule, member.side, group, bound.before, where)), chosen

    def _searched(self, bound: Bound, kept: np.ndarray) -> tuple[Way, np.ndarray] | None:
        """Do the same for one row of a large problem, by the way in which such problems are solved."""
        free = kept.copy()
        free[bound.members] = False
        start = self._asked(free)
        if start.values is None:
            return None
        nearest = pursued(self.problem, self.rows, kept, bound)
        seconds = max(min(self.oracle.patience, self.oracle.left()), 0.1)
        row = int(coupling_rows(self.problem, bound)[0]), 1.0 if bound.member.side == "min" else -1.0
        everything = self.rows.everything()
        everything[bound.members] = False
        solver = self.solver if (free == everything).all() else exactly  # which needs no project
        found = solver(nearest, NEAR, seconds, start.values[: self.rows.n] > 0.5, row)
        return None if found.chosen is None else self._written(bound, kept, found.chosen)

    def reach(self, found: Found) -> float | None:
        """Return how far a clash lets its only limit, or its only minimum within customers, come."""
        bounds = [b for b in self.bounds(found.members) if b.moves]
        limits = [b for b in bounds if b.member.kind == "limit"] or [
            b for b in bounds if b.member.side == "min"
        ]
        if len(limits) != 1 or limits[0].before is None:
            return None
        kept = np.isin(np.arange(len(self.rows.members)), found.members)
        way = self.way(limits[0], kept, ())
        return None if way is None else way[0].move.after

    def tried(self, ways: list[Way], chosen: np.ndarray | None = None) -> Mended | None:
        """Change policy and problem, and look for a plan; the one at hand may do.

        Parameters
        ----------
        ways : list of Way
        chosen : ndarray of bool, optional, shape (n,)
        """
        project = self.problem.project
        for way in ways:
            if way.bound.member.kind == "contact":
                project = self._with_count(project, way)
            elif way.move.after is None:
                project = without(project, way.bound.member)
        same = project is self.problem.project
        problem = self.problem if same else build_problem(project, self.problem.scores)
        for way in ways:
            if way.bound.member.kind == "limit" and way.move.after is not None:
                problem = changed(problem, way.bound, way.move.after)
        if chosen is None or not keeps_rules(problem, chosen):
            rows = MemberRows.of(problem)
            answer = Oracle(rows, self.oracle.left()).ask(rows.everything())
            if answer.values is None:
                return None
            chosen = answer.values[: rows.n] > 0.5
        if not keeps_rules(problem, chosen):
            return None
        return Mended(tuple(way.move for way in ways), problem, chosen)

    def _after(self, bound: Bound, chosen: np.ndarray) -> float | None:
        """Return where a limit's bound has to be for a plan to keep it, None if no bound helps."""
        assert bound.before is not None
        ks, coupling = coupling_rows(self.problem, bound), self.problem.coupling
        x = chosen.astype(np.float64)
        opened = coupling.cells.opened(chosen)
        paid = float(coupling.cells.cost @ opened)
        reached = coupling.numerator[ks] @ x + coupling.past[ks] + coupling.fixed[ks] * paid
        if is_ratio(self.problem, bound):
            bottom = coupling.denominator[ks] @ x + coupling.past_over[ks] + coupling.fixed_over[ks] * paid
            reached = reached[bottom > 0] / bottom[bottom > 0]
        elif bound.member.side == "min":  # of all-or-nothing groups the opened ones count
            asked = np.isnan(coupling.opening[ks])
            asked[~asked] = opened[coupling.cell[ks][~asked]]
            reached = reached[asked]
        if not len(reached):
            return None
        most = bound.member.side == "max"
        return float(max(bound.before, reached.max()) if most else min(bound.before, reached.min()))

    def _nearer(
        self, bound: Bound, kept: np.ndarray, after: float, chosen: np.ndarray
    ) -> tuple[float | None, np.ndarray]:
        """Bring a ratio's bound back as far as it goes: what is missing depends on the ratio itself.

        Each step asks for the plan that keeps the ratio reached by the last one with most to spare
        (Dinkelbach, 1967).
        """
        side = 1.0 if bound.member.side == "max" else -1.0
        for _ in range(STEPS if self.rows.n <= SMALL else 0):
            problem = changed(self.problem, bound, after)
            rows = MemberRows.of(problem)
            oracle = Oracle(rows, self.oracle.left())
            slack = self._slack([bound], rows, below=-1.0)
            answer = oracle.ask(kept, slack)
            if answer.values is None or float(answer.values[-1]) > -1e-7:
                break
            better = answer.values[: rows.n] > 0.5
            reached = self._after(bound, better)
            if reached is None or side * (after - reached) <= 1e-9 * max(1.0, abs(after)):
                break
            after, chosen = reached, better
        return after, chosen

    def _count(self, bound: Bound, by: int, customers: tuple[str, ...]) -> tuple[Move | None, int]:
        """Say where a contact rule's whole number goes; None if it cannot go so far."""
        rule, side = bound.member.rule, bound.member.side
        step = by if side == "max" else -by
        if bound.column is None:
            assert bound.before is not None
            after = bound.before + step
            return (Move("contact", rule, side, {}, bound.before, after) if after >= 0 else None), step
        before = self._own(bound, customers)
        if (before + step).max() < 0:
            return None, step
        if len(customers) == 1:
            now = float(before.iloc[0])
            return Move("contact", rule, side, {}, now, max(now + step, 0.0), customers), step
        return Move("contact", rule, side, {}, None, float(by), customers), step

    def _own(self, bound: Bound, customers: tuple[str, ...]) -> pd.Series:
        """The customers' own bounds, in the table's order."""
        assert bound.column is not None
        table = self.problem.project.read().customers
        assert table is not None
        mine = table["customer_id"].isin(customers) if customers else table["customer_id"].notna()
        return table.loc[mine, bound.column.rpartition(".")[2]]

    def _with_count(self, project: Project, way: Way) -> Project:
        """Change a contact rule's number, in the policy or in the customers' own bounds."""
        bound, side = way.bound, way.bound.member.side
        if bound.column is None:
            assert way.move.after is not None
            return project.with_contact(bound.member.rule, **{side: int(way.move.after)})
        tables = project.read()
        assert tables.customers is not None
        before = self._own(bound, way.move.customers)
        frame = tables.customers.copy()
        frame.loc[before.index, bound.column.rpartition(".")[2]] = (before + way.step).clip(lower=0)
        return replace(project, _cache={"tables": replace(tables, customers=frame)})

    def ranked(self, mended: list[Mended], words: Words, shown: Callable[[Move], Move]) -> tuple[Repair, ...]:
        """Work out what each way is worth, and put the best first."""
        sign = self.problem.sign
        worth: list[float | None] = []
        repairs = []
        for i, way in enumerate(mended):
            moves = tuple(shown(move) for move in way.moves)
            text = " and ".join(words.move(move) for move in moves)
            value, proven = None, False
            share = min(SHARE, self.oracle.left() / (len(mended) - i))
            if share >= LEAST:
                found = self.solver(way.problem, GAP, share, way.chosen, None)
                value, proven = found.objective, found.reached
                text += f": the plan is then worth {sign * value:,.2f}"
                text += "" if proven else ", or better: time ran out"
            worth.append(value)
            distance = sum(move.distance for move in moves)
            shown_value = None if value is None else sign * value + 0.0
            repairs.append(Repair(text, moves, shown_value, proven, None, distance))
        best = max((w for w in worth if w is not None), default=0.0)
        lost = [None if value is None else best - value for value in worth]
        ranked = [replace(way, lost=much) for way, much in zip(repairs, lost, strict=True)]
        return tuple(
            sorted(ranked, key=lambda way: (math.inf if way.lost is None else way.lost, way.distance))
        )

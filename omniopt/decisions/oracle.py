"""Whether a plan can keep some of the rules: the question that a diagnosis asks over and over.

Every side of every row of the model, and every lock, belongs to a *member*: a limit's row, or a
whole rule for the customers. The question is asked of a set of members; the rest is not in
force. Cheap answers come first: bounds of the rows' sums, then the LP relaxation, which is kept
in HiGHS and only has its bounds moved, then the exact solver on what these leave open.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import highspy
import numpy as np
from scipy import sparse

from omniopt.decisions import exact
from omniopt.decisions.member_rows import MemberRows
from omniopt.decisions.problem import ROUNDING
from omniopt.decisions.relax import PRIMAL

STRAIGHT = 4_000  # columns up to which the exact solver gets all that is open at once
GROWTH = 4
LEFT_OVER = 1e-12  # of a row, below which its numbers are rounding errors
LARGE = 20_000  # columns from which the LP is solved by the primal simplex
SAMPLE = 10_000  # candidates in a sample of a large problem
KNOWN = 10  # plans that are kept, since one may answer a later question


@dataclass(frozen=True)
class Slack:
    """Columns that loosen rows, at a price: how far bounds have to move.

    Attributes
    ----------
    columns : csc_array, shape (r, e)
        What one unit of each adds to every row.
    price, lower, upper : ndarray of float64, shape (e,)
    integer : ndarray of bool, shape (e,)
    """

    columns: sparse.csc_array
    price: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    integer: np.ndarray

    @staticmethod
    def none(rows: int) -> Slack:
        """No column."""
        empty = np.zeros(0)
        return Slack(sparse.csc_array((rows, 0)), empty, empty, empty, np.zeros(0, bool))


@dataclass(frozen=True)
class Answer:
    """Whether it is possible (None: not known in time), and how.

    Attributes
    ----------
    possible : bool or None
    values : ndarray of float64 or None, shape (c + e,)
    proof : ndarray of bool or None, shape (members,)
        Members that cannot be kept together, for what is impossible.
    """

    possible: bool | None
    values: np.ndarray | None = None
    proof: np.ndarray | None = None


class Oracle:
    """Answers whether members can be kept together, in whole numbers.

    Parameters
    ----------
    system : MemberRows
    seconds : float
        Time for all questions together; ``patience`` is the time for one.
    """

    def __init__(self, system: MemberRows, seconds: float) -> None:
        self.system, self.deadline = system, time.monotonic() + seconds
        self.patience = seconds
        self._program: _Program | None = None
        nothing = system.lower
        self._known = [nothing, np.where(np.isfinite(system.upper), system.upper, nothing)]  # nothing, all

    def left(self) -> float:
        """Seconds that are left."""
        return max(self.deadline - time.monotonic(), 0.0)

    def guess(self, kept: np.ndarray) -> np.ndarray | None:
        """Return members that a sample of the customers of a large problem shows to be impossible together.

        What a sample shows is no proof: it has to be asked of the whole.
        """
        if self.system.n <= LARGE:
            return None
        sample = self.system.sampled(max(2, self.system.n // SAMPLE))
        lo, hi = sample.bounds(kept)
        solved, _, ray = _Program(sample).solve(lo, hi, Slack.none(len(lo)), min(self.patience, self.left()))
        return self._members(ray, kept) if solved is False else None

    def spend(self, share: float) -> None:
        """Allow every question from here on a share of the time that is left."""
        self.patience = share * self.left()

    def ask(self, kept: np.ndarray, slack: Slack | None = None) -> Answer:
        """Ask for a plan that keeps some members, with as little slack as can be.

        Parameters
        ----------
        kept : ndarray of bool, shape (members,)
        slack : Slack, optional
        """
        system = self.system
        slack = slack or Slack.none(len(system.lo))
        if self.left() == 0.0:
            return Answer(None)
        until = time.monotonic() + min(self.patience, self.left())
        lo, hi = system.bounds(kept)
        if not len(slack.price):
            for known in self._known:
                if self._keeps(known, lo, hi, slack):
                    return Answer(True, known)
        self._program = self._program or _Program(system)
        solved, values, ray = self._program.solve(lo, hi, slack, until - time.monotonic())
        if solved is False:
            return Answer(False, proof=self._members(ray, kept))
        if solved is None:
            return Answer(None)
        assert values is not None
        whole = np.where(np.append(system.integer, slack.integer), np.round(values), values)
        near = np.abs(values - whole).max(initial=0.0) < 1e-6
        answer = Answer(True, whole)
        if not near or not self._keeps(whole, lo, hi, slack):
            answer = self._whole(values, lo, hi, slack, until)
        if answer.values is not None:
            self._known = [*self._known[:2], answer.values[: len(system.lower)], *self._known[2:KNOWN]]
        return answer

    def _members(self, ray: np.ndarray | None, kept: np.ndarray) -> np.ndarray:
        """Members of the rows that a proof of impossibility uses."""
        if ray is None:
            return kept
        used = np.abs(ray) > 1e-9 * np.abs(ray).max(initial=1e-300)
        found = np.zeros(len(kept) + 2, bool)
        found[self.system.below[used]] = found[self.system.above[used]] = True
        return found[: len(kept)] & kept

    def _keeps(self, values: np.ndarray, lo: np.ndarray, hi: np.ndarray, slack: Slack) -> bool:
        c = self.system.matrix.shape[1]
        used = self.system.matrix @ values[:c] + slack.columns @ values[c:]
        size = abs(self.system.matrix) @ np.abs(values[:c]) + abs(slack.columns) @ np.abs(values[c:])
        room = ROUNDING * np.maximum(1.0, size)
        return bool(((used >= lo - room) & (used <= hi + room)).all())

    def _whole(
        self, values: np.ndarray, lo: np.ndarray, hi: np.ndarray, slack: Slack, until: float
    ) -> Answer:
        """Let the exact solver find whole numbers, around the relaxation's where there are many columns."""
        system = self.system
        matrix = sparse.csr_array(sparse.hstack([system.matrix, slack.columns]))
        lower = np.concatenate([system.lower, slack.lower])
        upper = np.concatenate([system.upper, slack.upper])
        integer = np.append(system.integer, slack.integer)
        price = np.concatenate([np.zeros(len(system.lower)), slack.price])
        best = float(price @ values)
        open_ = STRAIGHT
        split = np.abs(values - np.round(values)) > 1e-6
        found: Answer = Answer(None)
        while True:
            low, up = lower.copy(), upper.copy()
            needed = _Reduced.of(matrix, lo, hi, lower, upper)
            if needed is None:
                return Answer(False)
            whole = int(needed.columns.sum()) <= open_
            if not whole:
                low, up = self._around(values, split, needed.columns, open_, low, up)
                needed = _Reduced.of(matrix, lo, hi, low, up)
            answer = Answer(False) if needed is None else self._exact(needed, low, up, integer, price, until)
            if whole and (answer.possible is not None or found.values is None):
                return answer
            if answer.possible:
                found = answer
                assert answer.values is not None
                if float(price @ answer.values) <= best + 1e-4 * max(1.0, abs(best)):
                    return answer
            if whole or time.monotonic() >= until:
                return found
            open_ *= GROWTH

    def _around(
        self, values: np.ndarray, split: np.ndarray, needed: np.ndarray, most: int,
        low: np.ndarray, up: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """Fix candidates as the relaxation has them, but for those of split rows and some of the rest."""
        n = self.system.n
        free = np.zeros(len(values), bool)
        free[n:] = True
        rows = self.system.matrix[:, :n]
        touched = (rows @ split[:n]) != 0
        counts = np.diff(rows.indptr)
        small = touched & (counts <= most / 20)  # the rows of single customers
        free[:n] = (rows.T @ small.astype(float)) > 0
        order = np.flatnonzero(needed[:n] & ~free[:n])
        room = max(most - int(free[:n].sum()), most // 2)
        if len(order):
            step = max(1.0, len(order) / room)
            free[order[(np.arange(int(len(order) / step)) * step).astype(np.int64)]] = True
        fixed = np.flatnonzero(~free)
        low[fixed] = up[fixed] = np.round(values[fixed])
        return low, up

    def _exact(
        self, needed: _Reduced, lower: np.ndarray, upper: np.ndarray, integer: np.ndarray, price: np.ndarray,
        until: float,
    ) -> Answer:  # fmt: skip
        columns = np.flatnonzero(needed.columns)
        outcome = exact.solve(
            -price[columns], sparse.csr_array(needed.matrix[:, columns]), needed.lo, needed.hi,
            lower[columns], upper[columns], integer[columns], 1e-6, max(until - time.monotonic(), 0.05),
        )  # fmt: skip
        if outcome.values is not None:
            values = lower.copy()
            values[columns] = outcome.values
            return Answer(True, np.where(integer, np.round(values), values))
        return Answer(False if outcome.status == "infeasible" else None)


@dataclass(frozen=True)
class _Reduced:
    """The rows and columns that can matter: no other column could mend a row that may be broken."""

    columns: np.ndarray
    matrix: sparse.csr_array
    lo: np.ndarray
    hi: np.ndarray

    @staticmethod
    def of(
        matrix: sparse.csr_array, lo: np.ndarray, hi: np.ndarray,
        lower: np.ndarray, upper: np.ndarray,
    ) -> _Reduced | None:  # fmt: skip
        """Leave out what cannot matter; None if some row cannot be kept."""
        up, down = matrix.maximum(0), -matrix.minimum(0)
        top = upper.copy()
        while True:
            least, most = up @ lower - down @ top, up @ top - down @ lower
            room = ROUNDING * np.maximum(1.0, up @ np.abs(top) + down @ np.abs(top))
            if ((most < lo - room) | (least > hi + room)).any():
                return None
            low, high = least < lo - room, most > hi + room
            mends = (up.T @ low.astype(float) + down.T @ high.astype(float)) > 0
            useless = ~mends & (top > lower)
            if not useless.any():
                break
            top[useless] = lower[useless]
        columns = top > lower
        rows = np.flatnonzero(low | high)
        rest = matrix[rows] @ np.where(columns, 0.0, lower)
        return _Reduced(
            columns, sparse.csr_array(matrix[rows]), np.where(low, lo, -np.inf)[rows] - rest,
            np.where(high, hi, np.inf)[rows] - rest,
        )  # fmt: skip


class _Program:
    """The LP relaxation, kept in HiGHS: from question to question only bounds move."""

    def __init__(self, system: MemberRows) -> None:
        lo, hi = system.bounds(system.everything())
        needed = _Reduced.of(system.matrix, lo, hi, system.lower, system.upper)
        # columns that mend nothing with all members in force mend nothing with fewer of them
        self.columns = np.arange(len(system.lower)) if needed is None else np.flatnonzero(needed.columns)
        self.size = len(system.lower)
        matrix = system.matrix[:, self.columns]
        largest = abs(matrix).max(axis=1).toarray().ravel() if matrix.nnz else np.zeros(len(system.lo))
        # what rounding left of a sum is no number to scale by: HiGHS would refuse the slack of such a row
        self.factor = np.where(largest > LEFT_OVER, 2.0 ** (1 - np.frexp(largest)[1]), 1.0)
        self.highs = highspy.Highs()
        for option, value in (("output_flag", False), ("threads", 1), ("solver", "simplex")):
            self.highs.setOptionValue(option, value)
        if len(self.columns) > LARGE:  # without costs the dual simplex wanders
            self.highs.setOptionValue("simplex_strategy", PRIMAL)
        rows, width = matrix.shape
        self.lo, self.hi = np.full(rows, -np.inf), np.full(rows, np.inf)
        none = np.zeros(0, np.int32)
        self.highs.addRows(rows, self.lo, self.hi, 0, np.zeros(rows, np.int32), none, np.zeros(0))
        self._add(np.zeros(width), system.lower[self.columns], system.upper[self.columns], matrix.tocsc())
        self.width = width

    def _add(self, cost: np.ndarray, lower: np.ndarray, upper: np.ndarray, part: sparse.csc_array) -> None:
        part = sparse.csc_array(sparse.diags_array(self.factor) @ part)
        start, index = part.indptr[:-1].astype(np.int32), part.indices.astype(np.int32)
        self.highs.addCols(len(cost), cost, lower, upper, part.nnz, start, index, part.data)

    def solve(
        self, lo: np.ndarray, hi: np.ndarray, slack: Slack, seconds: float
    ) -> tuple[bool | None, np.ndarray | None, np.ndarray | None]:
        """Return (possible in fractions?, values, proof of impossibility by row)."""
        moved = np.flatnonzero((lo != self.lo) | (hi != self.hi))
        if len(moved):
            low, high = lo[moved] * self.factor[moved], hi[moved] * self.factor[moved]
            self.highs.changeRowsBounds(len(moved), moved.astype(np.int32), low, high)
        self.lo, self.hi = lo, hi
        added = len(slack.price)
        if not self.width and not added:  # HiGHS says nothing of rows without columns
            broken = (lo > ROUNDING) | (hi < -ROUNDING)
            return (
                not broken.any(),
                np.zeros(self.size),
                (broken * (np.cumsum(broken) == 1)).astype(np.float64),
            )
        if added:
            self._add(slack.price, slack.lower, slack.upper, slack.columns)
        self.highs.setOptionValue("time_limit", self.highs.getRunTime() + max(seconds, 0.01))
        self.highs.run()
        status = self.highs.getModelStatus()
        impossible = status in (
            highspy.HighsModelStatus.kInfeasible,
            highspy.HighsModelStatus.kUnboundedOrInfeasible,
        )
        ray = self._ray() if impossible else None
        solved = status == highspy.HighsModelStatus.kOptimal
        values = None
        if solved:
            found = np.array(self.highs.getSolution().col_value)
            values = np.zeros(self.size + added)
            values[self.columns], values[self.size :] = found[: self.width], found[self.width :]
        if added:
            self.highs.deleteCols(added, np.arange(self.width, self.width + added, dtype=np.int32))
        return (True if solved else False if impossible else None), values, ray

    def _ray(self) -> np.ndarray | None:
        """The multipliers of the rows that add up to a contradiction, where HiGHS has them."""
        _, there, ray = self.highs.getDualRay()
        return np.array(ray) if there else None

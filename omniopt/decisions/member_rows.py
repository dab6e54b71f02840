"""The model as rows that belong to members: to limits' rows, to rules for each customer, to locks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from omniopt.decisions.diagnosis import Member
from omniopt.decisions.model import Model, state_model
from omniopt.decisions.problem import ROUNDING, Problem
from omniopt.rules.holdout import EXPLORATION
from omniopt.rules.limits import Coupling
from omniopt.rules.policy import Conflict, Contact, Requires, Rule

NEVER = -1
DECIMALS = 10_000  # parts of one that measures are looked at in, to tell what their sums can be


@dataclass(frozen=True)
class MemberRows:
    """The model as rows that belong to members.

    Attributes
    ----------
    members : list of Member
    matrix : csr_array, shape (r, c)
        Rows of the model, then one per lock.
    lo, hi : ndarray of float64, shape (r,)
    below, above : ndarray of int64, shape (r,)
        Member that each row's lower and upper bound belongs to; the number of members for what is
        always in force.
    lower, upper : ndarray of float64, shape (c,)
    integer : ndarray of bool, shape (c,)
    n : int
        How many of the columns, the first ones, are candidates.
    unit : ndarray of int64, shape (r,)
        The unit that each row belongs to, -1 for rows across units.
    owner : ndarray of int64, shape (n,)
        The unit of each candidate.
    grain : ndarray of float64, shape (r,)
        What each row's sum is a multiple of, 0 where it can be any number; the bounds are, too.
    """

    members: list[Member]
    matrix: sparse.csr_array
    lo: np.ndarray
    hi: np.ndarray
    below: np.ndarray
    above: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    integer: np.ndarray
    n: int
    unit: np.ndarray
    owner: np.ndarray
    grain: np.ndarray

    @staticmethod
    def of(problem: Problem) -> MemberRows:
        """Find the members of a problem: every rule that must hold, and every lock."""
        model = state_model(problem)
        rows, width, number = model.matrix.shape[0], model.matrix.shape[1], len(problem.locked)
        below, above = np.full(rows + number, NEVER), np.full(rows + number, NEVER)
        members = _limit_members(problem, below, above)
        of_unit = np.arange(model.k, model.k + len(model.unit_row))
        rule = problem.units.rule[model.unit_row]
        sections = problem.policy.contact, problem.policy.conflicts, problem.policy.requires
        policy: dict[str, Rule] = {rule.name: rule for section in sections for rule in section}
        kinds = {Contact: "contact", Conflict: "conflict", Requires: "requires"}
        for code, name in enumerate(problem.units.names):
            mine, kind = of_unit[rule == code], kinds[type(policy[name])]  # type: ignore[index]
            for owner, bound, side in ((below, model.lo, "min"), (above, model.hi, "max")):
                held = mine[np.isfinite(bound[mine])]
                if len(held):
                    owner[held] = len(members)
                    value = getattr(policy[name], side) if kind == "contact" else None
                    asked = float(value) if isinstance(value, int) else None
                    members.append(Member(kind, name, side if kind == "contact" else "", {}, asked))
        customer, action = (problem.catalogue.ids(entity) for entity in ("customer", "action"))
        drawn = np.zeros(number, bool)
        if problem.trial is not None:
            drawn = np.isin(problem.locked, problem.trial.find(problem.candidates))
        for i, j in enumerate(problem.locked):
            c = problem.candidates
            pair = {"customer_id": str(customer[c.customer[j]]), "action_id": str(action[c.action[j]])}
            below[rows + i] = len(members)
            members.append(Member("lock", EXPLORATION if drawn[i] else "", "", pair))
        # what ties columns together always holds; of earlier objectives nothing is asked here
        links = slice(model.k + len(model.unit_row), rows)
        below[links] = above[links] = len(members)
        lower = model.lower.copy()
        lower[problem.locked] = 0.0
        at = (np.arange(number), problem.locked)
        locks = sparse.csr_array(sparse.coo_array((np.ones(number), at), shape=(number, width)))
        matrix = sparse.csr_array(sparse.vstack([model.matrix, locks]))
        lo = np.concatenate([model.lo, np.ones(number)])
        hi = np.concatenate([model.hi, np.full(number, np.inf)])
        grain = _grain(matrix, model.integer)
        step = np.where(grain > 0, grain, 1.0)  # a bound between two sums that can be is moved on to one
        lo = np.where(grain > 0, np.ceil(lo / step - ROUNDING * np.maximum(1, np.abs(lo / step))) * step, lo)
        hi = np.where(grain > 0, np.floor(hi / step + ROUNDING * np.maximum(1, np.abs(hi / step))) * step, hi)
        return MemberRows(
            members, matrix, lo, hi, below, above, lower, model.upper, model.integer, model.n,
            _unit_of_rows(problem, model, matrix), problem.unit, grain,
        )  # fmt: skip

    def within(self, units: np.ndarray) -> MemberRows:
        """Return only the rows of some units, by their codes; the members keep their numbers."""
        at = np.flatnonzero(np.isin(self.unit, units))
        return replace(
            self, matrix=self.matrix[at], lo=self.lo[at], hi=self.hi[at], below=self.below[at],
            above=self.above[at], unit=self.unit[at], grain=self.grain[at],
        )  # fmt: skip

    def sampled(self, every: int) -> MemberRows:
        """Return the rows with only some of the units' candidates, and limits in proportion."""
        upper = self.upper.copy()
        upper[: self.n][self.owner % every != 0] = 0.0
        share = np.where(self.unit < 0, 1.0 / every, 1.0)
        asked = (self.unit < 0) | (self.unit % every == 0)
        lo, hi = np.where(asked, self.lo * share, -np.inf), np.where(asked, self.hi * share, np.inf)
        return replace(self, lo=lo, hi=hi, upper=upper)

    def bounds(self, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows' bounds with only the kept members, bool of shape (members,), in force."""
        below, above = self.held(kept)
        return np.where(below, self.lo, -np.inf), np.where(above, self.hi, np.inf)

    def held(self, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return whether each row's lower and upper bound is in force with only the kept members."""
        held = np.append(kept, [True, False])  # what is always in force, and (-1) what never is
        return held[self.below], held[self.above]

    def everything(self) -> np.ndarray:
        """All members."""
        return np.ones(len(self.members), bool)


def _unit_of_rows(problem: Problem, model: Model, matrix: sparse.csr_array) -> np.ndarray:
    """Return the unit that each row belongs to: that of its rule's row, or of its candidates; else -1."""
    unit = np.full(matrix.shape[0], -1)
    begin = model.k + len(model.unit_row)
    unit[model.k : begin] = problem.units.unit[model.unit_row]
    entries = sparse.csr_array(matrix[begin:, : model.n]).tocoo()
    unit[begin + entries.row] = problem.unit[entries.col]
    unit[model.cell_links.start : len(model.lo)] = -1
    return unit


def _grain(matrix: sparse.csr_array, integer: np.ndarray) -> np.ndarray:
    """Return the largest number that every sum of a row is a multiple of, 0 where there is none."""
    fine = matrix.data * DECIMALS
    whole = np.round(fine)
    odd = (np.abs(fine - whole) > 1e-6) | (whole == 0) | (np.abs(whole) > 1e15) | ~integer[matrix.indices]
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    grain = np.zeros(matrix.shape[0])
    held = np.flatnonzero(np.diff(matrix.indptr) > 0)
    if len(held):
        grain[held] = np.gcd.reduceat(whole.astype(np.int64), matrix.indptr[held]) / DECIMALS
    grain[np.unique(row[odd])] = 0.0
    return grain


def _limit_members(problem: Problem, below: np.ndarray, above: np.ndarray) -> list[Member]:
    """Make every side of every row of a limit that must hold a member."""
    members: list[Member] = []
    coupling = problem.coupling
    for k in np.flatnonzero(np.isinf(coupling.penalty)):
        for owner, bound, side in ((below, coupling.lo, "min"), (above, coupling.hi, "max")):
            if np.isfinite(bound[k]):
                owner[k] = len(members)
                bound_now = bound_of(coupling, int(k), side)
                members.append(Member("limit", coupling.rule[k], side, coupling.group[k], bound_now))
    return members


def bound_of(coupling: Coupling, k: int, side: str) -> float:
    """Return the bound of a limit's row as the policy or its table has it."""
    if np.isfinite(coupling.ratio[k]):
        return float(coupling.ratio[k])
    if side == "min" and np.isfinite(coupling.opening[k]):
        return float(coupling.opening[k])
    return float((coupling.lo if side == "min" else coupling.hi)[k] + coupling.past[k])

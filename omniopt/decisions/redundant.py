"""Rules that change nothing: implied by others, out of everybody's reach, or binding nowhere.

What is said here is proven. A row is implied by others if it is at most their sum, contact by
contact, and its bound is no tighter than the sum of theirs; a row within a unit, if its members
are among those of another row that leaves no more room; a limit is out of reach, if not even the
best each unit could do for it gets there. A rule that is named is no reason for naming another,
so that all of them together may go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from omniopt.decisions import kernels
from omniopt.decisions.dual import Dual, forced, unit_optima
from omniopt.decisions.problem import Problem
from omniopt.rules.unit_rows import ALWAYS, ANY, NO_CAP

LOOKS = 10_000_000  # candidates that all looks at what the units could do may come across
PAIRS = 20_000_000  # common members of rows that are looked at for one rule
SAMPLE = 50  # rows of a rule that are looked at first: most rules are told apart by them
SLIP = 1e-12  # of a row's sizes, for the rounding of its sums
NEAR = 1e-9  # relative difference below which a bound is the same without a rule


@dataclass(frozen=True)
class Redundant:
    """A rule without which the very same plans are possible.

    Attributes
    ----------
    rule : str
    kind : {"limit", "contact rule", "conflict", "requirement"}
    why : {"implied", "reach", "empty"}
        Other rules imply it; it is out of reach, whoever gets what; it rules nothing out.
    by : tuple of str
        The rules that imply it.
    """

    rule: str
    kind: str
    why: str
    by: tuple[str, ...] = ()

    def __str__(self) -> str:
        name = f"{self.kind} '{self.rule}' changes nothing"
        if self.why == "implied":
            return f"{name}: whatever keeps {', '.join(repr(other) for other in self.by)} keeps it"
        under = " under the rules for each customer" if self.why == "reach" else ""
        return f"{name}: no choice{under} can break it"


def redundant(problem: Problem, index: kernels.UnitIndex | None = None) -> list[Redundant]:
    """Find the rules that change nothing, in the order of the policy.

    Parameters
    ----------
    problem : Problem
    index : UnitIndex, optional
        The problem's units, where they are known already.

    Returns
    -------
    list of Redundant
    """
    if not len(problem):
        return []
    index = index or kernels.UnitIndex.of(problem.unit, problem.units)
    return _limits(problem, index) + _within_units(problem)


def kinds(problem: Problem) -> dict[str, str]:
    """Say of what kind each rule is, in words."""
    policy = problem.policy
    lists = {
        "limit": policy.limits, "contact rule": policy.contact, "conflict": policy.conflicts,
        "requirement": policy.requires,
    }  # fmt: skip
    return {rule.name: word for word, rules in lists.items() for rule in rules}  # type: ignore[attr-defined]


def binding_nowhere(
    problem: Problem, index: kernels.UnitIndex, chosen: np.ndarray, dual: Dual, gone: Sequence[Redundant] = ()
) -> list[str]:
    """Name the rules that a plan and the bound that prices prove do not feel.

    A limit, if none of its rows has a price or is used up; a rule within units, if no unit could do
    better without it at the prices. Without all of them together, and those that change nothing, the
    same bound is proven.

    Parameters
    ----------
    problem : Problem
    index : UnitIndex
    chosen : ndarray of bool, shape (n,)
    dual : Dual
        At the prices of the limits.
    gone : sequence of Redundant
        Rules that change nothing.
    """
    if not len(problem):
        return []
    system, units = problem.system, problem.units
    extras = system.extras(problem.coupling, chosen)
    used = system.matrix @ chosen.astype(np.float64) + system.extra @ extras
    room = NEAR * np.maximum(1.0, np.abs(used))
    felt = (used <= system.lo + room) | (used >= system.hi - room) | (dual.prices != 0)
    rule = np.array(problem.coupling.rule, object)
    touched = np.diff(problem.coupling.numerator.indptr) > 0
    limits = []
    relied = _relied_on(gone, set(rule[dual.prices[: len(rule)] != 0]))
    for limit in problem.policy.limits:
        mine = np.flatnonzero(rule == limit.name)
        if limit.fixed_cost is None and touched[mine].any() and not felt[mine].any():
            limits.append(limit.name)
    limits = [name for name in limits if name not in relied]
    if "" in relied:
        return limits
    names = np.array(units.names, object)[units.rule]
    total, within = dual.value.sum(), list[str]()
    idle = {found.rule for found in gone}
    off = np.isin(names, list(idle))
    rules = [units.names[i] for i in np.unique(units.rule) if units.names[i] not in idle]
    for name in rules[: LOOKS // len(problem)][::-1]:
        mine = off | (names == name)
        without = replace(index, cap=np.where(mine, NO_CAP, index.cap), lo=np.where(mine, 0, index.lo))
        more = unit_optima(without, dual.worth, forced(problem))[0].sum() - total
        if more <= NEAR * max(1.0, abs(dual.bound)):
            within.append(name)
            off = mine
    return limits + within[::-1]


def _relied_on(gone: Sequence[Redundant], priced: set[str]) -> set[str]:
    """Return the rules that stand behind limits which change nothing but have a price all the same.

    The empty name stands for the rules within units. Without a limit its price is that of those behind it.
    """
    behind = {found.rule: found.by or ("",) for found in gone}
    relied: set[str] = set()
    left = [name for name in behind if name in priced]
    while left:
        for other in behind.get(left.pop(), ()):
            if other not in relied:
                relied.add(other)
                left.append(other)
    return relied


def notes(
    problem: Problem, index: kernels.UnitIndex, chosen: np.ndarray, dual: Dual, gap: float
) -> list[str]:
    """Say which rules change nothing, and which ones bind nowhere.

    A rule binds nowhere only if the prices prove the plan to the gap: else it might be worth what is
    missing. Of a limit it is then said what is known all the same.
    """
    changing_nothing = redundant(problem, index)
    known = {found.rule for found in changing_nothing}
    words = kinds(problem)
    unfelt = [n for n in binding_nowhere(problem, index, chosen, dual, changing_nothing) if n not in known]
    missing = dual.bound - problem.value(chosen)
    tight = missing <= max(gap, NEAR) * max(1.0, abs(dual.bound))
    said = [str(found) for found in changing_nothing]
    for name in unfelt:
        if tight:
            said.append(f"{words[name]} '{name}' binds nowhere")
        elif words[name] == "limit":
            said.append(f"limit '{name}' has room and no price in every row")
    return said


@dataclass(frozen=True)
class _Rows:
    """Limits as rows that are all of one shape, ``matrix x ≤ bound``, each with its limit."""

    matrix: sparse.csr_array
    bound: np.ndarray
    rule: np.ndarray

    @staticmethod
    def of(problem: Problem) -> _Rows:
        """Turn minimums round; leave out what cells take part in and what earlier objectives ask for."""
        coupling = problem.coupling
        k = len(coupling)
        plain = np.diff(problem.system.extra[:k, : problem.system.g].indptr) == 0
        over, under = (np.flatnonzero(plain & np.isfinite(side)) for side in (coupling.hi, coupling.lo))
        matrix = sparse.vstack([problem.matrix[over], -problem.matrix[under]], format="csr")
        bound = np.concatenate([coupling.hi[over], -coupling.lo[under]])
        rule = np.array(coupling.rule, object)
        return _Rows(sparse.csr_array(matrix), bound, np.concatenate([rule[over], rule[under]]))


def _limits(problem: Problem, index: kernels.UnitIndex) -> list[Redundant]:
    """Find limits that others imply or that nothing reaches; from the last to the first."""
    rows, coupling = _Rows.of(problem), problem.coupling
    rule = np.array(coupling.rule, object)
    sides = {n: int(np.isfinite(coupling.lo[rule == n]).sum() + np.isfinite(coupling.hi[rule == n]).sum())
             for n in dict.fromkeys(coupling.rule)}  # fmt: skip
    soft = set(rule[np.isfinite(coupling.penalty)])
    touched = set(rule[np.diff(problem.matrix.indptr) > 0])
    opening = set(coupling.cells.rule)
    found, standing = [], [n for n in sides if n not in soft]
    left = LOOKS
    for limit in reversed(problem.policy.limits):
        mine = np.flatnonzero(rows.rule == limit.name)
        # cells cost something, and a limit without a row of its own for a side is not all told by these
        if limit.name in opening or limit.name not in touched or not 0 < sides[limit.name] == len(mine):
            continue
        by = _implied(rows, mine, [n for n in standing if n != limit.name])
        reached = True
        if by is None:
            reached, left = _reached(problem, index, rows, mine, left)
        if by is not None or not reached:
            why = "reach" if by is None else "implied"
            found.append(Redundant(limit.name, "limit", why, tuple(by or ())))
            standing = [n for n in standing if n != limit.name]
    return found[::-1]


def _implied(rows: _Rows, mine: np.ndarray, others: list[str]) -> list[str] | None:
    """Return the limits that imply all the given rows, None if some row is not implied."""
    by: dict[str, None] = {}
    for i in mine:
        row = rows.matrix[[i]]
        name = next(
            (n for n in others if _covers(rows, np.flatnonzero(rows.rule == n), row, rows.bound[i])), None
        )
        if name is None:
            return None
        by[name] = None
    return list(by)


def _covers(rows: _Rows, others: np.ndarray, row: sparse.csr_array, bound: float) -> bool:
    """Whether some rows of a limit, added up, are at least a row everywhere and leave no more room.

    Tried are each row that the given one overlaps, and all of those together.
    """
    overlap = others[np.diff((rows.matrix[others][:, row.indices]).indptr) > 0]
    tight = overlap[rows.bound[overlap] <= bound]
    for k in tight[:SAMPLE]:
        if (row - rows.matrix[[k]]).max() <= 0:
            return True
    if len(overlap) < 2 or rows.bound[overlap].sum() > bound:
        return False
    ones = sparse.csr_array(np.ones((1, len(overlap))))
    return bool((row - ones @ rows.matrix[overlap]).max() <= 0)


def _reached(
    problem: Problem, index: kernels.UnitIndex, rows: _Rows, mine: np.ndarray, left: int
) -> tuple[bool, int]:
    """Whether some choice of the units gets beyond one of the rows; also how many looks are left."""
    marks = forced(problem)
    part = rows.matrix[mine]
    most = np.asarray(part.maximum(0).sum(axis=1)).ravel()
    # what is most likely to be reached comes first
    for i in np.argsort(rows.bound[mine] - most, kind="stable"):
        bound, size = rows.bound[mine[i]], max(1.0, float(abs(part[[i]]).sum()))
        if most[i] <= bound + SLIP * size:
            continue
        left -= len(problem)
        if left < 0:
            return True, left
        value = unit_optima(index, part[[i]].toarray()[0], marks)[0]
        if not value.sum() <= bound + SLIP * size:
            return True, left
    return False, left


def _within_units(problem: Problem) -> list[Redundant]:
    """Find contact rules, conflicts and requirements that nothing can break, or whose rows others imply."""
    units, policy, words = problem.units, problem.policy, kinds(problem)
    noted = "\n".join(problem.notes)
    standing = np.ones(len(units), bool)
    rows = _UnitRows(problem)
    found = []
    for rule in [*policy.contact, *policy.conflicts, *policy.requires][::-1]:
        number = units.names.index(rule.name) if rule.name in units.names else -1
        mine = np.flatnonzero(units.rule == number)
        if not len(mine):
            if f"'{rule.name}'" not in noted:  # else it matches nothing
                found.append(Redundant(rule.name, words[rule.name], "empty"))
            continue
        standing[mine] = False
        by = rows.implying(mine, np.flatnonzero(standing))
        if by:
            found.append(Redundant(rule.name, words[rule.name], "implied", tuple(by)))
        standing[mine] = not by
    return found[::-1]


class _UnitRows:
    """Rows within units, to be compared with one another."""

    def __init__(self, problem: Problem) -> None:
        self.units = units = problem.units
        ones = np.ones(len(units.member), np.int64)
        at = (units.row, units.member)
        self.members = sparse.csr_array(sparse.coo_array((ones, at), shape=(len(units), len(problem))))
        self._finer: dict[tuple[int, int], bool] = {}

    def implying(self, mine: np.ndarray, others: np.ndarray) -> list[str] | None:
        """Return the rules among whose rows there is one for each given row that implies it."""
        if not len(others):
            return None
        units, by = self.units, dict[str, None]()
        there = self.members[others]
        degree = np.bincount(there.indices, minlength=there.shape[1])
        for part in (mine[:SAMPLE], mine):
            held = self.members[part]
            if int(degree[held.indices].sum()) > PAIRS:
                return None
            common = sparse.coo_array(held @ there.T)
            pairs = part[common.row], others[common.col], common.data
            capped, filled = (np.stack(pairs)[:2, kept(*pairs)] for kept in (self._capped, self._filled))
            filled = np.concatenate([filled, self._barred(part, others)], axis=1)
            by = {}
            for (a, b), asks in ((capped, units.cap < NO_CAP), (filled, units.lo > 0)):
                wanted = part[asks[part]]
                a, b = a[np.isin(a, wanted)], b[np.isin(a, wanted)]
                if not np.isin(wanted, a).all():
                    return None
                rule = units.rule[b]
                alone = [r for r in np.unique(rule) if np.isin(wanted, a[rule == r]).all()]
                by |= dict.fromkeys(units.names[r] for r in alone[:1] or np.unique(rule))
        return list(by)

    def _capped(self, a: np.ndarray, b: np.ndarray, shared: np.ndarray) -> np.ndarray:
        """Of pairs of rows: whether the cap of b keeps that of a, whose members are all among b's."""
        units, size = self.units, np.diff(self.units.start)
        inside = (shared == size[a]) & (units.cap[b] <= units.cap[a])
        return inside & self._finer_of(units.rule[b], units.rule[a], inside)

    def _filled(self, a: np.ndarray, b: np.ndarray, shared: np.ndarray) -> np.ndarray:
        """Of pairs of rows: whether the lower bound of b fills that of a, whose members hold all of b's."""
        units, size = self.units, np.diff(self.units.start)
        same = (units.trigger[a] == units.trigger[b]) & ((units.trigger[a] != ANY) | (shared == size[a]))
        inside = (shared == size[b]) & (units.lo[b] >= units.lo[a]) & (units.lo[b] > 0)
        inside &= (units.trigger[b] == ALWAYS) | same
        return inside & self._finer_of(units.rule[a], units.rule[b], inside)

    def _barred(self, part: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Pair the rows that a contact asks something of with the rows that bar this very contact."""
        asking = part[self.units.trigger[part] >= 0]
        barring = others[self.units.cap[others] == 0]
        held = self.members[barring][:, self.units.trigger[asking]].tocoo()
        return np.stack([asking[held.col], barring[held.row]])

    def _finer_of(self, first: np.ndarray, second: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """Of pairs of rules: whether things of one class by the first are of one by the second as well."""
        finer = np.zeros(len(first), bool)
        for r, s in np.unique(np.stack([first, second])[:, asked], axis=1).T.tolist():
            finer[(first == r) & (second == s)] = self._refines(r, s)
        return finer

    def _refines(self, first: int, second: int) -> bool:
        if (first, second) not in self._finer:
            units, row = self.units, self.units.row
            kind = []
            for number in (first, second):
                mine = units.rule[row] == number
                of = np.full(self.members.shape[1], -1, np.int64)  # by candidate, one class in all rows
                of[units.member[mine]] = units.occasion[mine]
                kind.append(of)
            both = np.unique(np.stack(kind)[:, (kind[0] >= 0) & (kind[1] >= 0)], axis=1)
            self._finer[first, second] = len(np.unique(both[0])) == both.shape[1]
        return self._finer[first, second]

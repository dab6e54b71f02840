"""What of a policy can be moved to make a plan possible, and the problem with it moved."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from omniopt.decisions.diagnosis import Member
from omniopt.decisions.member_rows import MemberRows
from omniopt.decisions.problem import Problem
from omniopt.decisions.system import state_system
from omniopt.project import Project
from omniopt.rules.holdout import EXPLORATION
from omniopt.rules.policy import SECTIONS
from omniopt.rules.unit_rows import NO_CAP


@dataclass(frozen=True)
class Bound:
    """What a planner can move: one number, or one rule or lock that can go.

    Attributes
    ----------
    member : Member
        One of the members that it bounds.
    members : ndarray of int64
        All of them: the groups of a limit with one number for all.
    shared : bool
        Whether it is one number for all groups.
    before : float or None
    column : str or None
        The customers' column that it is read from.
    """

    member: Member
    members: np.ndarray
    shared: bool
    before: float | None
    column: str | None = None

    @property
    def moves(self) -> bool:
        """Whether it is a number that can move."""
        return self.member.kind in ("limit", "contact")


def same_bound(member: Member, other: Member, shared: bool) -> bool:
    """Whether two members of limits are bounded by one number."""
    if (member.kind, member.rule, member.side) != (other.kind, other.rule, other.side):
        return False
    return shared or unrolled(member.group) == unrolled(other.group)


def unrolled(group: dict[str, Any]) -> dict[str, Any]:
    """Return a limit's group without the window that a row of it is about."""
    return {attribute: value for attribute, value in group.items() if attribute != "from"}


def written(after: float, digits: int, side: str) -> float:
    """Write a bound with few digits, on the side that a plan keeps."""
    near = round(after, digits)
    if abs(near - after) <= 1e-9 * max(1.0, abs(after)):
        return near
    scale = 10.0**digits
    return (math.ceil(after * scale) if side == "max" else math.floor(after * scale)) / scale


def coupling_rows(problem: Problem, bound: Bound) -> np.ndarray:
    """Return the coupling rows whose bound it is."""
    coupling, member = problem.coupling, bound.member
    finite = np.isfinite(coupling.lo if member.side == "min" else coupling.hi) & np.isinf(coupling.penalty)
    found = [
        k for k, (rule, group) in enumerate(zip(coupling.rule, coupling.group, strict=True))
        if rule == member.rule and finite[k] and (bound.shared or unrolled(group) == unrolled(member.group))
    ]  # fmt: skip
    return np.array(found, np.int64)


def is_ratio(problem: Problem, bound: Bound) -> bool:
    """Whether it bounds a ratio of sums."""
    return bool(np.isfinite(problem.coupling.ratio[coupling_rows(problem, bound)]).any())


def changed(problem: Problem, bound: Bound, value: float) -> Problem:
    """Return the problem with a limit's bound at another value."""
    coupling, ks = problem.coupling, coupling_rows(problem, bound)
    arrays = {name: getattr(coupling, name).copy() for name in ("lo", "hi", "ratio", "opening")}
    side = arrays["lo" if bound.member.side == "min" else "hi"]
    for k in ks:
        if np.isfinite(coupling.ratio[k]):
            arrays["ratio"][k] = value
            side[k] = value * coupling.past_over[k] - coupling.past[k]
        elif bound.member.side == "min" and np.isfinite(coupling.opening[k]):
            arrays["opening"][k] = value
        else:
            side[k] = value - coupling.past[k]
    made = replace(coupling, **arrays)
    first = problem.ranked[0]
    system = state_system(first.objective, first.cells, made)
    return replace(problem, coupling=made, matrix=made.matrix, system=system, rank=0)


def in_force(problem: Problem, members: list[Member]) -> Problem:
    """Return the problem with no rules for customers, and no locks, but these."""
    locked = {(m.group["customer_id"], m.group["action_id"]) for m in members if m.kind == "lock"}
    c, ids = problem.candidates, [problem.catalogue.ids(entity) for entity in ("customer", "action")]
    mine = [j for j in problem.locked if (ids[0][c.customer[j]], ids[1][c.action[j]]) in locked]
    kept = {(m.rule, m.side) for m in members if m.kind != "lock"}
    units = problem.units
    contact = {rule.name for rule in problem.policy.contact}

    def held(side: str) -> np.ndarray:
        return np.array([(n, side if n in contact else "") in kept for n in units.names], bool)[units.rule]

    lo, cap = np.where(held("min"), units.lo, 0), np.where(held("max"), units.cap, NO_CAP)
    return replace(problem, locked=np.array(mine, np.int64), units=replace(units, lo=lo, cap=cap))


def pursued(problem: Problem, rows: MemberRows, kept: np.ndarray, bound: Bound) -> Problem:
    """Return the problem of coming as close to the bound of one row as the other kept members allow.

    Parameters
    ----------
    problem : Problem
    rows : MemberRows
        Its members.
    kept : ndarray of bool, shape (members,)
    bound : Bound
        Of one row only.
    """
    partly = in_force(problem, [m for m, held in zip(rows.members, kept, strict=True) if held])
    coupling, (k,) = problem.coupling, coupling_rows(problem, bound)
    sign = 1.0 if bound.member.side == "min" else -1.0
    objective = sign * problem.matrix[[k]].toarray()[0]
    opening = sign * problem.system.extra[[k]].toarray()[0, : len(coupling.cells)]
    mine = np.isin(np.arange(len(rows.members)), bound.members)
    size = len(coupling)
    below, above = (held[:size] for held in rows.held(kept & ~mine))
    lo, hi = np.where(below, coupling.lo, -np.inf), np.where(above, coupling.hi, np.inf)
    made = replace(coupling, lo=lo, hi=hi, penalty=np.full(size, np.inf))
    return replace(partly, coupling=made, system=state_system(objective, opening, made), rank=0)


def frozen(problem: Problem) -> Problem:
    """Return the problem of a project that says one by one who is held out and which contacts were drawn.

    What was drawn depends on the rules for customers; so it stays when these are changed.
    """
    trial, everything = problem.trial, problem.everything
    if trial is None:
        return problem
    names = [*trial.held.reasons(trial.catalogue), EXPLORATION]
    of_trial = [i for i, reason in enumerate(everything.reasons) if i and reason in names]
    out = np.flatnonzero(np.isin(everything.reason, of_trial))
    drawn = (trial.draws.customer, trial.draws.action) if trial.draws else (out[:0], out[:0])
    changes = dict(problem.project.changes)
    pairs = {"vetoes": (everything.customer[out], everything.action[out]), "locks": drawn}
    for name, (customer, action) in pairs.items():
        ids = (trial.catalogue.ids("customer")[customer], trial.catalogue.ids("action")[action])
        changes[name] = [*changes.get(name, []), *(list(pair) for pair in zip(*ids, strict=True))]
    policy = {section: rules for section, rules in problem.project.policy.items() if section != "learning"}
    return replace(problem, project=replace(problem.project, policy=policy, changes=changes))


def without(project: Project, member: Member) -> Project:
    """Return a project without a rule, or a lock."""
    if member.kind == "lock":
        pair = [member.group["customer_id"], member.group["action_id"]]
        locks = [lock for lock in project.changes["locks"] if list(lock[:2]) != pair]
        return replace(project, changes={**project.changes, "locks": locks})
    policy = {
        section: [r for r in rules if r.get("name") != member.rule] if section in SECTIONS else rules
        for section, rules in project.policy.items()
    }
    return replace(project, policy=policy)

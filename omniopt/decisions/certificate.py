"""The certificate: what a plan claims, in numbers that anybody can check."""

from __future__ import annotations

import importlib.metadata
import math
import platform
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from omniopt.actions.catalogue import Catalogue
from omniopt.decisions.problem import DAYS, ROUNDING, Problem
from omniopt.errors import Faults
from omniopt.rules.contact import ContactRows, matches
from omniopt.rules.limits import Coupling
from omniopt.rules.policy import Contact, Policy, Requires
from omniopt.rules.statements import states
from omniopt.rules.where import Scopes

if TYPE_CHECKING:
    from omniopt.decisions.large.shape import Large

STATUSES = ("optimal", "within_gap", "stopped_early")
OPTIMAL = 1e-9
MISSED = 1e-9  # how far a limit may be off, relative to what is used, before it counts as missed
PACKAGES = ("omniopt", "pulp", "highspy", "numpy", "scipy", "pandas", "numba", "scikit-learn", "pyarrow")


def gap_of(objective: float, bound: float) -> float:
    """Return the relative gap, |bound - objective| / max(1, |bound|)."""
    return abs(bound - objective) / max(1.0, abs(bound))


def status_of(gap: float, target: float) -> str:
    """Name what a gap amounts to."""
    if gap <= OPTIMAL:
        return "optimal"
    return "within_gap" if gap <= target else "stopped_early"


def worst_of(statuses: list[str]) -> str:
    """Return the least that several statuses say."""
    return max(statuses, key=STATUSES.index)


@dataclass(frozen=True)
class Claim:
    """What a solve says of one of the policy's objectives, as maximised.

    Attributes
    ----------
    value : float
        Of the plan that is taken in the end.
    best, bound : float
        Of the plans that keep the earlier objectives.
    from_prices : float
        The bound that prices prove by themselves.
    prices : ndarray of float64, shape (k + q,)
        Of the limits, then of the earlier objectives.
    bound_by : {"prices", "exact"} or None
        What the bound stands on, where that may be the one or the other.
    """

    value: float
    best: float
    bound: float
    from_prices: float
    prices: np.ndarray
    bound_by: str | None = None


def claims_of(
    problem: Problem | Large, claims: list[Claim], used: np.ndarray, target: float, **own: Any
) -> dict[str, Any]:
    """Write down what a plan claims.

    Parameters
    ----------
    problem : Problem or Large
        Of the first objective.
    claims : list of Claim
        One for each objective.
    used : ndarray, shape (n,)
        The choice; of a large problem its sums by bin and term.
    target : float
        Relative gap that was asked for.
    **own
        What else the certificate says.
    """
    first, sign, policy, project = claims[0], problem.sign, problem.policy, problem.project
    bound = max(first.bound, first.value)
    gap = gap_of(first.value, bound)
    limits = len(problem.coupling)
    ranks = [_rank_entry(policy, rank, limits, claim, target) for rank, claim in enumerate(claims)]
    # what the first objective may lose to the later ones, and to the rounding of what it has to keep
    given_away = policy.objectives[0].within + 2 * ROUNDING if len(claims) > 1 else 0.0
    status = worst_of([str(r["status"]) for r in ranks])
    fixed, penalties = paid(problem, used)
    horizon = project.spec.horizon
    certificate = {
        "name": project.spec.name,
        "status": "within_gap" if status == "optimal" and gap > OPTIMAL else status,
        "objective": sign * first.value + 0.0,
        "bound": sign * bound + 0.0,
        "gap": gap,
        "gap_target": target + given_away,
        "bound_from_prices": sign * first.from_prices + 0.0,
        "objective_expr": policy.objective,
        "sense": policy.sense,
        "fixed_cost": fixed,
        "penalties": penalties,
        "coupling_rows": len(problem.coupling),
        **own,
        "horizon": None if horizon is None else {"start": horizon.start.isoformat(), "days": horizon.days},
        "peak_memory_mb": peak_memory_mb(),
        "seed": project.spec.seed,
        "inputs": problem.tables.inputs,
        "versions": versions(),
        "project": None,
        "changes": project.changes,
    }
    return certificate | ({"ranks": ranks} if len(ranks) > 1 else {})


def _rank_entry(policy: Policy, rank: int, limits: int, claim: Claim, target: float) -> dict[str, Any]:
    """Say of one of several objectives what was best for it, and its bound."""
    objective = policy.objectives[rank]
    bound = max(claim.bound, claim.best)
    gap = gap_of(claim.best, bound)
    return {
        "objective_expr": objective.expression,
        "sense": objective.sense,
        "within": objective.within,
        "objective": objective.sign * claim.value + 0.0,
        "best": objective.sign * claim.best + 0.0,
        "bound": objective.sign * bound + 0.0,
        "gap": gap,
        "status": status_of(gap, target),
        "bound_from_prices": objective.sign * claim.from_prices + 0.0,
        "prices": claim.prices[:limits].tolist(),
        "rank_prices": claim.prices[limits:].tolist(),
    } | ({} if claim.bound_by is None else {"bound_by": claim.bound_by})


def rule_entries(problem: Problem, chosen: np.ndarray, prices: np.ndarray) -> list[dict[str, Any]]:
    """Return what every rule allows, what the plan uses of it, and its price."""
    entries = limit_entries(problem, chosen, prices)
    plan = ContactRows(
        problem.candidates.take(np.flatnonzero(chosen)), Scopes(problem.catalogue, Faults()), problem.grouping
    )
    entries += [contact_entry(rule, plan) for rule in problem.policy.contact]
    entries += _pair_entries(problem, chosen)
    for name, matched in problem.eligibility.items():
        dropped = int((problem.everything.reason == problem.everything.reasons.index(name)).sum())
        entries.append(entry_of(name, "eligibility", used=0.0, dropped=dropped, matched=matched))
    return entries


def paid(problem: Problem | Large, used: np.ndarray) -> tuple[float, float]:
    """Return what a choice pays for opening cells, and for missing limits."""
    system = problem.system
    extras = system.extras(problem.coupling, used)
    penalties = problem.coupling.penalty[system.slack_row] * extras[system.g :]
    return math.fsum(problem.coupling.cells.cost * extras[: system.g]), math.fsum(penalties)


def entry_of(name: str, kind: str, **values: Any) -> dict[str, Any]:
    """Return what the certificate says of a rule, or of one group of it."""
    blank: dict[str, Any] = {
        "name": name, "kind": kind, "group": {}, "min": None, "max": None, "used": None, "slack": None,
        "price": None, "missed_by": 0.0, "penalty_paid": 0.0,
    }  # fmt: skip
    return blank | values


@states("watched limit")
def limit_entries(problem: Problem | Large, used: np.ndarray, prices: np.ndarray) -> list[dict[str, Any]]:
    """One entry for every row of every limit, in the policy's order; those only watched have no price.

    Parameters
    ----------
    problem : Problem or Large
    used : ndarray, shape (n,)
        The choice; of a large problem its sums by bin and term.
    prices : ndarray of float64, shape (k + q,)
    """
    spent = paid(problem, used)[0]
    found: dict[str, list[dict[str, Any]]] = {limit.name: [] for limit in problem.policy.limits}
    for coupling, own in ((problem.coupling, prices), (problem.watched, None)):
        x = used.astype(np.float64)
        opened = coupling.cells.opened(x)
        top = coupling.numerator @ x + coupling.past + coupling.fixed * spent
        bottom = coupling.denominator @ x + coupling.past_over + coupling.fixed_over * spent
        for k, name in enumerate(coupling.rule):
            price = 0.0 if own is None else float(own[k])
            group = dated(problem.catalogue, coupling.group[k])
            entry = _limit_entry(coupling, k, group, float(top[k]), float(bottom[k]), opened, price)
            if own is None:  # nothing is paid for what is only watched
                entry |= {"report_only": True, "penalty_paid": 0.0}
                entry |= {"fixed_cost": 0.0} if "fixed_cost" in entry else {}
            found[name].append(entry)
    return [entry for entries in found.values() for entry in entries]


def _limit_entry(
    coupling: Coupling, k: int, group: dict[str, Any], top: float, bottom: float, opened: np.ndarray,
    price: float,
) -> dict[str, Any]:  # fmt: skip
    """What one row allows and what is used of it, past contacts and fixed costs included."""
    past, ratio = float(coupling.history[k]), float(coupling.ratio[k])
    lo, hi = float(coupling.lo[k]) + past, float(coupling.hi[k]) + past
    cell = int(coupling.cell[k])
    asked = float(coupling.opening[k])
    weight = top - (0.0 if math.isnan(ratio) else ratio * bottom)
    if not math.isnan(asked):
        weight -= asked * float(opened[cell])
    missed = max(lo - weight, weight - hi, 0.0)
    if missed <= MISSED * max(1.0, abs(weight)):
        missed = 0.0
    penalty = float(coupling.penalty[k])
    values: dict[str, Any] = {
        "group": group, "min": _finite(lo), "max": _finite(hi), "used": top,
        "slack": _finite(min(weight - lo, hi - weight)), "price": price, "missed_by": missed,
        "penalty_paid": penalty * missed if math.isfinite(penalty) else 0.0,
    }  # fmt: skip
    if not math.isnan(asked):
        values["min"] = asked
    if not math.isnan(ratio):
        low = math.isfinite(lo)
        values |= {
            "min": ratio if low else None, "max": None if low else ratio,
            "used": top / bottom if bottom else None, "vacuous": bottom == 0,
        }  # fmt: skip
    if "from" in coupling.group[k]:
        values["history"] = past
    if cell >= 0:
        cost = float(coupling.cells.cost[cell])
        values |= {"opened": bool(opened[cell]), "fixed_cost": cost if opened[cell] else 0.0}
    return entry_of(coupling.rule[k], "limit", **values)


def dated(catalogue: Catalogue, group: dict[str, Any]) -> dict[str, Any]:
    """Write a limit's group with dates for days, where these are known."""
    known = catalogue.start is not None
    return {a: catalogue.day_text(v) if a in DAYS and known else v for a, v in group.items()}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def contact_entry(rule: Contact, plan: ContactRows, times: np.ndarray | None = None) -> dict[str, Any]:
    """Report the fullest window of a contact rule, history included, and the room that is left.

    Parameters
    ----------
    rule : Contact
    plan : ContactRows
        Of the chosen contacts.
    times : ndarray of int64, optional
        For how many customers, or households, each one stands; one if not given.
    """
    owner, count = plan.fullest(rule)
    room: list[int] = []
    at_cap = 0
    if rule.max is not None:
        left = plan.bound(rule, "max")[owner] - count
        room += left.tolist() or [rule.max] * isinstance(rule.max, int)
        full = np.unique(owner[left <= 0])
        at_cap = len(full) if times is None else int(times[full].sum())
    if rule.min is not None:
        asked, number = plan.emptiest(rule)
        least = plan.bound(rule, "min")[asked]
        room += (number - least)[least > 0].tolist()  # a minimum of 0 asks for nothing
    bounds = {
        side: getattr(rule, side) if isinstance(getattr(rule, side), int) else None for side in ("min", "max")
    }
    used, slack = float(count.max(initial=0)), int(min(room)) if room else None
    return entry_of(rule.name, "contact", **bounds, used=used, slack=slack, at_cap=at_cap)


def _pair_entries(problem: Problem, chosen: np.ndarray) -> list[dict[str, Any]]:
    """Report for how many customers each conflict and each requirement rules anything out."""
    units = problem.units
    begins = units.start[:-1]
    customer = problem.candidates.customer[units.member[begins]] if len(units.member) else begins
    scopes = Scopes(problem.catalogue, Faults())
    entries = []
    policy = problem.policy
    for rule, kind in [
        *((r, "conflict") for r in policy.conflicts),
        *((r, "requires") for r in policy.requires),
    ]:
        mine = (
            units.rule == units.names.index(rule.name)
            if rule.name in units.names
            else np.zeros(len(units), bool)
        )
        used = 0.0
        if isinstance(rule, Requires):
            used = float((matches(problem.candidates, scopes, rule.offer, rule.name) & chosen).sum())
        entries.append(entry_of(rule.name, kind, used=used, customers=len(np.unique(customer[mine]))))
    return entries


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def peak_memory_mb() -> int:
    """Return the greatest memory this process has held, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage says begins with the memory of the process that started this one
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) // 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak / (1024 * 1024 if sys.platform == "darwin" else 1024))

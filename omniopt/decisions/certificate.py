"""The certificate: what a plan claims, in numbers that anybody can check."""

from __future__ import annotations

import importlib.metadata
import math
import platform
import resource
import sys
from typing import Any

import numpy as np

from omniopt.decisions.problem import Problem
from omniopt.errors import Faults
from omniopt.rules.contact import ContactRows
from omniopt.rules.where import Scopes

OPTIMAL = 1e-9
PACKAGES = ("omniopt", "pulp", "highspy", "numpy", "scipy", "pandas", "numba", "scikit-learn", "pyarrow")


def gap_of(objective: float, bound: float) -> float:
    """Return the relative gap, |bound - objective| / max(1, |bound|)."""
    return abs(bound - objective) / max(1.0, abs(bound))


def status_of(gap: float, target: float) -> str:
    """Name what a gap amounts to."""
    if gap <= OPTIMAL:
        return "optimal"
    return "within_gap" if gap <= target else "stopped_early"


def rule_entries(problem: Problem, chosen: np.ndarray, prices: np.ndarray) -> list[dict[str, Any]]:
    """Return what every rule allows, what the plan uses of it, and its price."""
    entries = _limit_entries(problem, chosen, prices)
    entries += _contact_entries(problem, chosen)
    entries += _conflict_entries(problem)
    for name, matched in problem.eligibility.items():
        dropped = int((problem.everything.reason == problem.everything.reasons.index(name)).sum())
        entries.append(_entry(name, "eligibility", used=0.0, dropped=dropped, matched=matched))
    return entries


def _entry(name: str, kind: str, **values: Any) -> dict[str, Any]:
    blank: dict[str, Any] = {
        "name": name, "kind": kind, "group": {}, "min": None, "max": None, "used": None, "slack": None,
        "price": None, "missed_by": 0.0, "penalty_paid": 0.0,
    }  # fmt: skip
    return blank | values


def _limit_entries(problem: Problem, chosen: np.ndarray, prices: np.ndarray) -> list[dict[str, Any]]:
    coupling = problem.coupling
    x = chosen.astype(np.float64)
    top, bottom = coupling.numerator @ x, coupling.denominator @ x
    used = problem.matrix @ x
    entries = []
    for k, name in enumerate(coupling.rule):
        lo, hi, ratio = (float(v[k]) for v in (coupling.lo, coupling.hi, coupling.ratio))
        slack = min(used[k] - lo, hi - used[k])
        values: dict[str, Any] = {
            "group": _dated(problem, coupling.group[k]), "min": _finite(lo), "max": _finite(hi),
            "used": float(used[k]), "slack": _finite(float(slack)), "price": float(prices[k]),
        }  # fmt: skip
        if not math.isnan(ratio):
            values |= {
                "min": ratio if lo == 0 else None, "max": ratio if hi == 0 else None,
                "used": float(top[k] / bottom[k]) if bottom[k] else None, "vacuous": bool(bottom[k] == 0),
            }  # fmt: skip
        entries.append(_entry(name, "limit", **values))
    return entries


def _dated(problem: Problem, group: dict[str, Any]) -> dict[str, Any]:
    return {
        a: problem.catalogue.day_text(v) if a == "date" and problem.catalogue.start is not None else v
        for a, v in group.items()
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _contact_entries(problem: Problem, chosen: np.ndarray) -> list[dict[str, Any]]:
    """Report the fullest window of each contact rule, history included."""
    plan = ContactRows(problem.candidates.take(np.flatnonzero(chosen)), Scopes(problem.catalogue, Faults()))
    entries = []
    for rule in problem.policy.contact:
        customer, count, cap = plan.fullest(rule)
        single = rule.max if isinstance(rule.max, int) else None
        room = cap - count
        slack = int(room.min()) if len(room) else single
        at_cap = int(len(np.unique(customer[room <= 0])))
        used = float(count.max(initial=0))
        entries.append(_entry(rule.name, "contact", max=single, used=used, slack=slack, at_cap=at_cap))
    return entries


def _conflict_entries(problem: Problem) -> list[dict[str, Any]]:
    """Report for how many customers each conflict rules anything out."""
    units = problem.units
    customer = problem.candidates.customer[units.member[units.start[:-1]]]
    entries = []
    for rule in problem.policy.conflicts:
        mine = units.rule == units.names.index(rule.name)
        entries.append(_entry(rule.name, "conflict", used=0.0, customers=len(np.unique(customer[mine]))))
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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak / (1024 * 1024 if sys.platform == "darwin" else 1024))

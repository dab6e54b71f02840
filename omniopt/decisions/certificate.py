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
from omniopt.rules.contact import UnitRows

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
    for conflict in problem.policy.conflicts:
        entries.append(
            _entry(conflict.name, "conflict", used=0.0, pairs=_rows_of(problem.units, conflict.name))
        )
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


def _rows_of(units: UnitRows, name: str) -> int:
    return int((units.rule == units.names.index(name)).sum())


def _contact_entries(problem: Problem, chosen: np.ndarray) -> list[dict[str, Any]]:
    """Report the fullest window of each contact rule, history included where it leaves less room."""
    units = problem.units
    row = np.repeat(np.arange(len(units)), np.diff(units.start))
    picked = chosen[units.member]
    pairs = np.unique(np.stack([row[picked], units.occasion[picked]]), axis=1)
    count = np.bincount(pairs[0], minlength=len(units)) if pairs.size else np.zeros(len(units), np.int64)
    room = units.cap - count
    customer = problem.candidates.customer[units.member[units.start[:-1]]] if len(units) else room
    entries = []
    for rule in problem.policy.contact:
        mine = units.rule == units.names.index(rule.name)
        cap = rule.max if isinstance(rule.max, int) else None
        slack = int(room[mine].min()) if mine.any() else None
        full = int(len(np.unique(customer[mine & (room == 0)])))
        used = None if cap is None or slack is None else float(cap - slack)
        entries.append(_entry(rule.name, "contact", max=cap, used=used, slack=slack, at_cap=full))
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

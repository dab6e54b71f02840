"""What each limit of a plan charges for a contact, by the prices in its certificate."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np

from omniopt.decisions.certificate import dated
from omniopt.decisions.problem import Problem


class Charge(NamedTuple):
    """A limit with a price.

    Attributes
    ----------
    rule : str
    group : dict
    price : float
    uses : ndarray of float64, shape (n,)
        What every candidate uses of the limit.
    """

    rule: str
    group: dict[str, Any]
    price: float
    uses: np.ndarray


def charges_of(problem: Problem, certificate: dict[str, Any]) -> list[Charge]:
    """Return the limits with a price that some candidate of a problem uses.

    Parameters
    ----------
    problem : Problem
        With the plan's candidates, or with some customers' only: a limit's row is known by its rule and
        group, so that rows that only others use may be missing.
    certificate : dict
    """
    found = _windows(problem, certificate)
    matrix, coupling = problem.matrix, problem.coupling
    fixed = [k for k, group in enumerate(coupling.group) if "from" not in group]
    marks = _numbered([_mark(coupling.rule[k], dated(problem.catalogue, coupling.group[k])) for k in fixed])
    entries = [e for e in _entries(certificate) if "from" not in e["group"]]
    told = dict(zip(_numbered([_mark(e["name"], e["group"]) for e in entries]), entries, strict=True))
    for k, mark in zip(fixed, marks, strict=True):
        entry = told.get(mark)
        if entry is not None and entry["price"]:
            uses = matrix[[k]].toarray().ravel()
            found.append(Charge(entry["name"], entry["group"], float(entry["price"]), uses))
    return [charge for charge in found if charge.uses.any()]


def _windows(problem: Problem, certificate: dict[str, Any]) -> list[Charge]:
    """Charges of limits with windows: which windows there are depends on everybody's candidates."""
    matrix, coupling, catalogue = problem.matrix, problem.coupling, problem.catalogue
    uses: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(len(problem)))
    for k, group in enumerate(coupling.group):
        if "from" in group:
            mark = _side(coupling.rule[k], dated(catalogue, group), bool(np.isfinite(coupling.lo[k])))
            row = matrix[[k]].toarray().ravel()
            uses[mark] = np.where(uses[mark] == 0, row, uses[mark])
    days = {limit.name: limit.rolling_days for limit in problem.policy.limits}
    day = catalogue.actions.day[problem.candidates.action]
    found = []
    for entry in _entries(certificate):
        if "from" in entry["group"] and entry["price"]:
            first = _day(problem, entry["group"]["from"])
            inside = (day >= first) & (day < first + (days[entry["name"]] or 0))
            own = uses[_side(entry["name"], entry["group"], entry["min"] is not None)]
            found.append(Charge(entry["name"], entry["group"], float(entry["price"]), own * inside))
    return found


def _entries(certificate: dict[str, Any]) -> list[dict[str, Any]]:
    return [e for e in certificate["rules"] if e["kind"] == "limit" and not e.get("report_only")]


def _day(problem: Problem, written: Any) -> int:
    start = problem.catalogue.start
    if start is None:
        return int(written)
    return int((np.datetime64(str(written), "D") - start).astype(np.int64)) + 1


def _mark(rule: str, group: dict[str, Any]) -> str:
    return json.dumps([rule, {name: str(value) for name, value in group.items()}], sort_keys=True)


def _side(rule: str, group: dict[str, Any], lower: bool) -> str:
    return f"{_mark(rule, {k: v for k, v in group.items() if k != 'from'})} {lower}"


def _numbered(marks: list[str]) -> list[str]:
    """Tell rows of one rule and group apart by their order."""
    seen: dict[str, int] = defaultdict(int)
    numbered = []
    for mark in marks:
        seen[mark] += 1
        numbered.append(f"{mark} {seen[mark]}")
    return numbered

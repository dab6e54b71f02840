"""Limits across customers: a row for every combination of `per` values, its bounds, and who uses what.

A limit is ``lo ≤ Σ measure ≤ hi`` over the chosen candidates in its scope, a ratio limit ``Σ measure − r·Σ
over ≥ 0`` (or ``≤ 0``), one row per side. A candidate with a fallback channel has a second leg: with the
share 1 − d it becomes a contact on that channel and uses its resources. A limit that names a channel sees
both legs, each on its own channel; one that names none counts the contact once, and the resources of both.

With ``rolling_days`` there is a row for every window (`omniopt.audit.rolling`). With ``all_or_nothing`` or
``fixed_cost`` every group is a *cell*, open if it gets any contact: an open one holds at least ``min`` and
costs its fixed cost once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from omniopt.audit.bounds import Label, bound, by_group
from omniopt.audit.candidates import Candidates
from omniopt.audit.inputs import Inputs
from omniopt.audit.measures import FIXED, Usage, fixed_share
from omniopt.audit.rolling import Rolled, roll
from omniopt.audit.scope import Unchecked, World, flag, whole
from omniopt.audit.sums import Sums


@dataclass
class Block:
    """The rows of one limit for one side, or for both where one row has both.

    A row's *activity* is Σ measure − ratio · Σ over − least · z, history included, where z tells whether its
    group is open; it lies between `low` and `high`.

    Attributes
    ----------
    side : str
        ``min``, ``max``, or nothing where a row has both.
    group : ndarray of int
        The group of each row.
    start : ndarray of int or None
        First day of each row's window.
    alike : list of ndarray
        For each row, the first days of windows that may as well stand for it.
    low, high : ndarray of float
        What the activity must keep.
    ratio, least : ndarray of float
    top, over : Usage
        Their bins are groups, or days of groups where there are windows.
    bins : int
    spans : csr_matrix or None
        Rows × bins; None where row k is bin k.
    past_top, past_over : ndarray of float
        What history uses of each row.
    fixed_top, fixed_over : float
        How often the plan's fixed costs count in either sum.
    """

    side: str
    group: np.ndarray
    low: np.ndarray
    high: np.ndarray
    top: Usage
    over: Usage | None
    bins: int
    ratio: np.ndarray
    least: np.ndarray
    past_top: np.ndarray
    past_over: np.ndarray
    fixed_top: float
    fixed_over: float
    start: np.ndarray | None = None
    spans: csr_matrix | None = None
    alike: list[np.ndarray] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.group)

    def sums(self, use: Usage, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Per row, the sum of what is chosen and the sum of its sizes; without history and fixed costs."""
        total, size = use.totals(chosen, self.bins)
        return (total, size) if self.spans is None else (self.spans @ total, self.spans @ size)

    def per_bin(self, price: np.ndarray) -> np.ndarray:
        """Prices of rows as prices of bins."""
        return price if self.spans is None else np.asarray(self.spans.T @ price)

    def history(self) -> np.ndarray:
        """How much of each row's activity is the past's."""
        return self.past_top - self.ratio * self.past_over

    def fixed(self) -> np.ndarray:
        """How often the plan's fixed costs count in each row's activity."""
        return self.fixed_top - self.ratio * self.fixed_over


@dataclass
class Limit:
    """One limit of the policy with all its rows.

    Attributes
    ----------
    name : str
    per : list of str
        The attributes that split it.
    labels : list of tuple
        Their values, one tuple per group.
    blocks : list of Block
        Its rows, side by side.
    penalty : ndarray of float
        Per group, what a unit that is missed costs; infinite where nothing may be missed.
    cost : ndarray of float or None
        Per group, the fixed cost of its cell; None where the groups are no cells.
    members : Usage
        The candidates looked at by group: choosing one opens the group.
    filled : ndarray of bool
        Groups that have candidates at all.
    sums : Sums
    shows_cell : bool
        The certificate says whether a group is open, also where the rule is for the report only.
    report_only, is_ratio : bool
    rolled : Rolled or None
        What every window holds, for limits with windows.
    """

    name: str
    per: list[str]
    labels: list[Label]
    blocks: list[Block]
    penalty: np.ndarray
    members: Usage
    filled: np.ndarray
    sums: Sums
    cost: np.ndarray | None = None
    shows_cell: bool = False
    report_only: bool = False
    is_ratio: bool = False
    rolled: Rolled | None = None

    def uses(self, world: World, candidates: Candidates) -> list[Usage]:
        """What other candidates use of each bin: of the sum, and of what it is divided by."""
        uses = self.sums.uses(world, candidates)
        return uses if self.rolled is None else [self.rolled.daily(u, candidates.rows.day) for u in uses]

    def open(self, chosen: np.ndarray) -> np.ndarray:
        """Which groups get any contact."""
        held = self.members.code[chosen[self.members.index]]
        return np.bincount(held, minlength=len(self.labels)) > 0

    def paid(self, chosen: np.ndarray) -> float:
        """The fixed costs of the opened cells."""
        return 0.0 if self.cost is None else float(self.cost[self.open(chosen)].sum())


def read(inputs: Inputs, candidates: Candidates, rule: Mapping[str, Any], sums: Sums | None = None) -> Limit:
    """One limit of the policy, with all its rows.

    Parameters
    ----------
    inputs : Inputs
    candidates : Candidates
        Those whose use of it is looked at.
    rule : mapping
    sums : Sums, optional
        What was seen of it among all candidates; these ones if not given.

    Raises
    ------
    Unchecked
        If the rule says anything this check cannot read.
    """
    if sums is None:
        sums = Sums(rule)
        sums.see(inputs.world, candidates)
    uses = sums.uses(inputs.world, candidates)
    bounds = {
        key: bound(inputs, rule.get(key), sums.per, sums.where, key)
        for key in ("min", "max", "penalty", "fixed_cost")
    }
    tables = [read_bound for read_bound in bounds.values() if isinstance(read_bound, dict)]
    labels = list(dict.fromkeys([*sums.number, *(label for table in tables for label in table)]))
    if not sums.per and not labels:
        labels = [()]
    low = by_group(bounds["min"], labels, -np.inf, "min")
    high = by_group(bounds["max"], labels, np.inf, "max")
    costs = by_group(bounds["fixed_cost"], labels, 0.0, "fixed_cost")
    penalty = by_group(bounds["penalty"], labels, np.inf, "penalty")
    if (penalty < 0).any() or (costs < 0).any():
        raise Unchecked("a penalty or a fixed cost is negative")
    report_only, cell = flag(rule, "report_only"), flag(rule, "all_or_nothing")
    filled = np.isin(np.arange(len(labels)), list(sums.filled))
    limit = Limit(
        str(rule.get("name")), sums.per, labels, [], penalty, uses[0], filled, sums,
        cost=costs if (cell or "fixed_cost" in rule) and not report_only else None,
        shows_cell=cell or "fixed_cost" in rule, report_only=report_only, is_ratio=sums.below is not None,
    )  # fmt: skip
    fixed = (fixed_share(sums.measure), 0.0 if sums.below is None else fixed_share(sums.below))
    if sums.rolling:
        if any(fixed):
            raise Unchecked(f"{FIXED} belongs to no day, and so to no window of days")
        if any(attribute in ("date", "action.date") for attribute in sums.per):
            raise Unchecked("windows of days and a limit per date exclude each other")
        length = whole(rule["rolling_days"], "rolling_days")
        limit.rolled = roll(inputs, sums, labels, uses, candidates.rows.day, length)
        _roll(limit, limit.rolled, low, high)
    else:
        _plain(limit, uses, low, high, fixed, cell)
    return limit


def _plain(
    limit: Limit, uses: list[Usage], low: np.ndarray, high: np.ndarray, fixed: tuple[float, float], cell: bool
) -> None:
    """Rows of a limit without windows: one per group, or one per group and side."""
    rows = len(limit.labels)
    nothing = np.zeros(rows)
    over = uses[1] if len(uses) > 1 else None
    if over is None and not cell:
        sides = [("", low, high, nothing, nothing)]
    elif cell:
        sides = [("min", nothing, np.full(rows, np.inf), nothing, low)]
        if np.isfinite(high).any():
            sides.append(("max", np.full(rows, -np.inf), high, nothing, nothing))
    else:
        sides = []
        if np.isfinite(low).any():
            sides.append(("min", nothing, np.full(rows, np.inf), low, nothing))
        if np.isfinite(high).any():
            sides.append(("max", np.full(rows, -np.inf), nothing, high, nothing))
    for side, least, most, ratio, minimum in sides:
        limit.blocks.append(
            Block(
                side,
                np.arange(rows),
                least,
                most,
                uses[0],
                over,
                rows,
                ratio,
                minimum,
                nothing,
                nothing,
                *fixed,
            )
        )


def _roll(limit: Limit, rolled: Rolled, low: np.ndarray, high: np.ndarray) -> None:
    """Rows of a limit with windows: one per side, group and window."""
    for side, bound_of, sign in (("min", low, 1.0), ("max", high, -1.0)):
        if not np.isfinite(bound_of).any():
            continue
        ratio = bound_of if limit.is_ratio else np.zeros(len(bound_of))
        group, start, alike = rolled.rows(side, ratio if limit.is_ratio else None)
        edge = np.zeros(len(group)) if limit.is_ratio else bound_of[group]
        nowhere = np.full(len(group), np.inf)
        top, over = rolled.past(group, start)
        if np.isnan(top - over).any():
            raise Unchecked("a contact of the past lacks the measure")
        limit.blocks.append(
            Block(
                side, group,
                edge if sign > 0 else -nowhere, nowhere if sign > 0 else edge,
                rolled.top, rolled.over if limit.is_ratio else None, rolled.bins,
                ratio[group], np.zeros(len(group)), top, over, 0.0, 0.0, start, rolled.spans(group, start),
                alike,
            )
        )  # fmt: skip

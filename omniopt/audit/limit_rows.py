"""Every row of a limit: kept, and truly reported in the certificate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from omniopt.audit.certificate import FILE, Ledger, agree, number
from omniopt.audit.limits import Block, Limit
from omniopt.audit.rounding import same
from omniopt.errors import Faults


@dataclass
class Checked:
    """What a limit's rows came to.

    Attributes
    ----------
    prices : list of ndarray
        Per block, the price of each row; NaN where the certificate does not say.
    place : list of ndarray
        Per block, where each row stands among those that bind; -1 where it does not.
    missed : float
        The penalties that are due.
    """

    prices: list[np.ndarray]
    place: list[np.ndarray]
    missed: float


@dataclass
class _Row:
    """One row with the plan's sums, history and fixed costs included."""

    limit: Limit
    block: Block
    k: int
    top: float
    over: float
    size: float
    opened: bool

    @property
    def group(self) -> int:
        return int(self.block.group[self.k])

    @property
    def activity(self) -> float:
        block, k = self.block, self.k
        ratio = float(block.ratio[k]) * self.over if block.over is not None else 0.0
        return self.top - ratio - float(block.least[k]) * self.opened

    @property
    def slack(self) -> float:
        return min(
            float(self.block.high[self.k]) - self.activity, self.activity - float(self.block.low[self.k])
        )

    @property
    def broken(self) -> bool:
        return self.slack < 0 and not bool(same(self.slack, 0.0, self.size))


def check_limit(
    ledger: Ledger, limit: Limit, chosen: np.ndarray, fixed_costs: float, faults: Faults
) -> Checked:
    """Every row of a limit against the plan and the certificate.

    Parameters
    ----------
    chosen : ndarray of bool
        Per candidate.
    fixed_costs : float
        What the whole plan pays for opened cells.
    """
    result = Checked([], [], 0.0)
    if limit.rolled is not None and not limit.report_only and not np.isfinite(limit.penalty).any():
        _every_window(ledger, limit, chosen, faults)
    opened = limit.open(chosen)
    for number_of, block in enumerate(limit.blocks):
        top, size = block.sums(block.top, chosen)
        over, over_size = (
            block.sums(block.over, chosen) if block.over is not None else (np.zeros(len(block)),) * 2
        )
        top = top + block.past_top + block.fixed_top * fixed_costs
        over = over + block.past_over + block.fixed_over * fixed_costs
        size = size + np.abs(block.past_top) + abs(block.fixed_top) * fixed_costs
        size = size + np.abs(block.ratio) * (
            over_size + np.abs(block.past_over) + abs(block.fixed_over) * fixed_costs
        )
        prices, place = np.full(len(block), np.nan), np.full(len(block), -1)
        for k in range(len(block)):
            row = _Row(
                limit, block, k, float(top[k]), float(over[k]), float(size[k]), bool(opened[block.group[k]])
            )
            entry = _check_row(ledger, row, faults)
            penalty = float(limit.penalty[row.group])
            if row.slack < 0 and np.isfinite(penalty) and not limit.report_only:
                result.missed += -row.slack * penalty
            if entry is not None:
                if number_of == 0 and limit.shows_cell:
                    _check_cell(row, entry, faults)
                prices[k] = number(entry, "price", faults, limit.name)
                place[k] = ledger.place.get(id(entry), -1)
        result.prices.append(prices)
        result.place.append(place)
    return result


def _say(row: _Row, ledger: Ledger) -> str:
    limit, world, parts = row.limit, ledger.inputs.world, []
    for name, value in zip(limit.per, limit.labels[row.group], strict=True):
        if name.rpartition(".")[2] == "date" and value is not None:
            value = world.date(int(value))
        parts.append(f"{name} {value}")
    if row.block.start is not None:
        parts.append(f"from {world.date(int(row.block.start[row.k]))}")
    return f" for {', '.join(parts)}" if parts else ""


def _check_row(ledger: Ledger, row: _Row, faults: Faults) -> dict[str, Any] | None:
    """One row kept, and its entry true; the entry, if there is one."""
    limit, block, k, world = row.limit, row.block, row.k, ledger.inputs.world
    where = _say(row, ledger)
    soft = bool(np.isfinite(limit.penalty[row.group]))
    if row.broken and not soft and not limit.report_only and limit.rolled is None:
        faults.add(f"broken{where}: {_words(row)}", rule=limit.name)
    group: dict[str, Any] = dict(zip(limit.per, limit.labels[row.group], strict=True))
    if block.start is not None:
        for start in [*block.alike[k].tolist()[::-1], int(block.start[k])]:
            named = {**group, "from": start if world.start is None else world.date(start)}
            if ledger.has("limit", limit.name, named, block.side):
                break
        group = named
        if limit.rolled is not None:
            # Another window of the run holds as much of the past on balance, but perhaps of other things.
            top, over = limit.rolled.past(block.group[[k]], np.array([start]))
            row.top += float(top[0] - block.past_top[k])
            row.over += float(over[0] - block.past_over[k])
    entry = ledger.find("limit", limit.name, faults, group, block.side)
    if entry is None:
        return None
    ratio = row.top / row.over if limit.is_ratio and row.over else None
    low, high = _bounds(row)
    missed = max(0.0, -row.slack) if soft or limit.report_only else 0.0
    paid = missed * float(limit.penalty[row.group]) if soft and not limit.report_only else 0.0
    for key, true, size in (
        ("min", low, 0.0),
        ("max", high, 0.0),
        ("used", ratio if limit.is_ratio else row.top, 0.0 if limit.is_ratio else row.size),
        ("slack", row.slack, row.size),
        ("missed_by", missed, row.size),
        ("penalty_paid", paid, row.size * max(1.0, paid and float(limit.penalty[row.group]))),
    ):
        agree(entry, key, true, size, faults, where)
    if block.start is not None:
        agree(entry, "history", float(block.history()[k]), row.size, faults, where)
    vacuous = limit.is_ratio and ratio is None
    if bool(entry.get("vacuous", False)) != vacuous:
        words = "its denominator is zero" if vacuous else "its denominator is not zero"
        faults.add(f"vacuous{where}: {words}, the certificate says otherwise", file=FILE, rule=limit.name)
    if entry.get("report_only", False) is not limit.report_only:
        words = "for the report only" if limit.report_only else "no rule for the report only"
        faults.add(f"the rule is {words}, the certificate says otherwise", file=FILE, rule=limit.name)
    if limit.report_only:
        agree(entry, "price", 0.0, 0.0, faults, where)
    return entry


def _bounds(row: _Row) -> tuple[float | None, float | None]:
    """The row's bounds as the policy writes them."""
    block, k = row.block, row.k
    if row.limit.is_ratio:
        ratio = float(block.ratio[k])
        return (ratio, None) if block.side == "min" else (None, ratio)
    if block.side == "min" and row.block.start is None:
        return float(block.least[k]), None
    return float(block.low[k]), float(block.high[k])


def _words(row: _Row) -> str:
    """What is wrong with a row."""
    low, high = _bounds(row)
    if row.limit.is_ratio:
        ratio = f"{row.top / row.over:.10g}" if row.over else "nothing"
        return f"the ratio is {ratio}, its {row.block.side} is {low if high is None else high:.10g}"
    if high is not None and row.activity > high:
        return f"{row.top:.10g} is used, at most {high:.10g} is allowed"
    if row.block.side == "min" and row.block.start is None:
        return f"{row.top:.10g} is reached, none or at least {low:.10g} is required"
    return f"{row.top:.10g} is reached, at least {low:.10g} is required"


def _check_cell(row: _Row, entry: Mapping[str, Any], faults: Faults) -> None:
    """Whether the group is open, and what that costs."""
    limit = row.limit
    if limit.report_only and "opened" not in entry:
        return
    if entry.get("opened") is not row.opened:
        words = "the group is open" if row.opened else "the group is not open"
        faults.add(f"opened: {words}, the certificate says otherwise", file=FILE, rule=limit.name)
    cost = 0.0 if limit.cost is None else float(limit.cost[row.group]) * row.opened
    agree(entry, "fixed_cost", cost, 0.0, faults)


def _every_window(ledger: Ledger, limit: Limit, chosen: np.ndarray, faults: Faults) -> None:
    """Every window that the rule speaks of, one by one; not only those that stand for the others."""
    rolled = limit.rolled
    assert rolled is not None
    top, size = rolled.every(rolled.top, chosen)
    over, over_size = rolled.every(rolled.over, chosen)
    top, over = top + rolled.past_top, over + rolled.past_over
    for block in limit.blocks:
        bound, sign = (block.low, 1.0) if block.side == "min" else (block.high, -1.0)
        edge, ratio = np.zeros(len(limit.labels)), np.zeros(len(limit.labels))
        edge[block.group], ratio[block.group] = bound, block.ratio
        there = np.zeros(len(limit.labels), dtype=bool)
        there[block.group] = True
        asked = rolled.asked(block.side) & there[:, None]
        activity = top - ratio[:, None] * over
        short = sign * (edge[:, None] - activity)
        terms = (
            size + np.abs(rolled.past_top) + np.abs(ratio)[:, None] * (over_size + np.abs(rolled.past_over))
        )
        with np.errstate(invalid="ignore"):
            wrong = asked & (short > 0) & ~same(short, 0.0, terms)
        spots = list(zip(*(a.tolist() for a in np.nonzero(wrong)), strict=True))
        for group, at in spots[:5]:
            label = dict(zip(limit.per, limit.labels[group], strict=True))
            of = "".join(f"{name} {value}, " for name, value in label.items())
            begin = ledger.inputs.world.date(rolled.first + at)
            if limit.is_ratio:
                words = f"the ratio is on the wrong side of {ratio[group]:.10g}"
            elif block.side == "min":
                words = f"{activity[group, at]:.10g} is reached, at least {edge[group]:.10g} is required"
            else:
                words = f"{activity[group, at]:.10g} is used, at most {edge[group]:.10g} is allowed"
            faults.add(f"broken for {of}{rolled.length} days from {begin}: {words}", rule=limit.name)
        if len(spots) > 5:
            faults.add(f"broken in {len(spots) - 5} more windows", rule=limit.name)

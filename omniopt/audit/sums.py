"""What a limit adds up, and in which groups: read from its rule, and seen among the candidates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from omniopt.audit.bounds import Label
from omniopt.audit.candidates import Candidates
from omniopt.audit.measures import Usage, joined, usage
from omniopt.audit.scope import Unchecked, World, flag, known_keys, split_by

KEYS = {
    "name", "measure", "where", "per", "min", "max", "over",
    "rolling_days", "all_or_nothing", "fixed_cost", "penalty", "report_only",
}  # fmt: skip


class Sums:
    """A limit's sum, perhaps the sum it is divided by, and the groups that candidates were seen in.

    Attributes
    ----------
    per : list of str
        The attributes that split the limit.
    measure, below : str
        What is added up; `below` is None for plain sums.
    where, over_where : mapping or None
        The scope of each.
    number : dict of tuple to int
        The groups seen so far, by label.
    filled : set of int
        Groups with a candidate in the sum itself.
    days : set of (int, int)
        Groups and days on which a candidate was seen, for limits with windows.

    Raises
    ------
    Unchecked
        If the rule says anything this check cannot read.
    """

    def __init__(self, rule: Mapping[str, Any]) -> None:
        _known(rule)
        self.per, self.where, over = split_by(rule), rule.get("where"), rule.get("over")
        self.measure = rule.get("measure", "contacts")
        if isinstance(over, str):
            over = {"measure": over, "where": self.where}
        if over is not None and (not isinstance(over, Mapping) or set(over) - {"measure", "where"}):
            raise Unchecked(f"over: {over!r} is not known to this check")
        self.below = None if over is None else over.get("measure", "contacts")
        self.over_where = None if over is None else over.get("where")
        scopes = [scope for scope in (self.where, self.over_where) if isinstance(scope, Mapping)]
        named = [*self.per, *(attribute for scope in scopes for attribute in scope)]
        self.both = any(str(attribute).partition(".")[0] == "channel" for attribute in named)
        self.rolling = "rolling_days" in rule
        self.number: dict[Label, int] = {}
        self.filled: set[int] = set()
        self.days: set[tuple[int, int]] = set()

    def uses(self, world: World, candidates: Candidates) -> list[Usage]:
        """What candidates use of each group: of the sum, and of what it is divided by."""
        parts = [usage(world, candidates, self.measure, self.where, self.per, self.both)]
        if self.below is not None:
            parts.append(usage(world, candidates, self.below, self.over_where, self.per, self.both))
        return joined(parts, self.number)

    def see(self, world: World, candidates: Candidates) -> None:
        """Note the groups of some candidates, and the days on which they lie."""
        uses = self.uses(world, candidates)
        self.filled |= set(np.flatnonzero(np.bincount(uses[0].code)).tolist())
        if not self.rolling:
            return
        for use in uses:
            day = candidates.rows.day[use.index]
            low = int(day.min(initial=0))
            span = int(day.max(initial=0)) - low + 1
            for group, at in zip(*np.divmod(np.unique(use.code * span + day - low), span), strict=True):
                self.days.add((int(group), int(at) + low))

    def add(self, other: Sums) -> None:
        """Note what was seen among further candidates."""
        number = [self.number.setdefault(label, len(self.number)) for label in other.number]
        self.filled |= {number[group] for group in other.filled}
        self.days |= {(number[group], day) for group, day in other.days}


def _known(rule: Mapping[str, Any]) -> None:
    known_keys(rule, KEYS, "limits")
    if not {"min", "max", "fixed_cost"} & set(rule):
        raise Unchecked("the limit has neither min nor max nor fixed_cost")
    if flag(rule, "all_or_nothing") and (rule.get("min") is None or "over" in rule or "rolling_days" in rule):
        raise Unchecked("all_or_nothing needs a min, and knows neither over nor rolling_days")
    if "fixed_cost" in rule and "rolling_days" in rule:
        raise Unchecked("fixed_cost and rolling_days exclude each other")

"""Limits across customers in the reference: sums over groups and windows, cells, what a plan misses.

Written from the words of the contract alone, like the rest of the reference; it imports nothing of the
package.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from reference_tables import IDS, Broken, Contact, Tables, linear, text


@dataclass(frozen=True)
class Cell:
    """What is open if any of its members is chosen; it then costs ``cost``, once."""

    name: str
    group: tuple[tuple[str, Any], ...]
    cost: float
    members: frozenset[int]


@dataclass(frozen=True)
class Row:
    """One limit for one group, window and side.

    ``lo ≤ history + Σ numerator − ratio Σ denominator + fixed · (fixed costs of all) ≤ hi``. With ``need``
    the row is the minimum of what may also be left alone: ``lo`` is then ``need`` if a member is chosen.
    """

    name: str
    group: tuple[tuple[str, Any], ...]
    side: str
    lo: float
    hi: float
    numerator: tuple[float, ...]
    ratio: float | None = None
    denominator: tuple[float, ...] = ()
    past: tuple[float, float] = (0.0, 0.0)
    begins: int | None = None
    fixed: float = 0.0
    below: float = 0.0  # what the fixed costs add to the denominator
    penalty: float = math.inf
    need: float | None = None
    members: frozenset[int] = frozenset()
    cell: int | None = None
    report_only: bool = False

    @property
    def key(self) -> tuple[Any, ...]:
        return self.name, self.group, self.side, self.begins

    @functools.cached_property
    def weights(self) -> list[float]:
        """What each candidate adds."""
        if self.ratio is None:
            return list(self.numerator)
        return [a - self.ratio * b for a, b in zip(self.numerator, self.denominator, strict=True)]

    @functools.cached_property
    def sizes(self) -> list[float]:
        """How large the numbers are that each weight is made of; rounding goes by them."""
        if self.ratio is None:
            return [abs(a) for a in self.numerator]
        return [abs(a) + abs(self.ratio * b) for a, b in zip(self.numerator, self.denominator, strict=True)]

    @property
    def history(self) -> float:
        """What past contacts add."""
        return self.past[0] - (self.ratio or 0.0) * self.past[1]

    @property
    def per_fixed_cost(self) -> float:
        """What one unit of fixed cost adds."""
        return self.fixed - (self.ratio or 0.0) * self.below


def missed(row: Row, used: Any, is_open: Any) -> Any:
    """By how much a sum misses the row's bounds, for one plan or an array of plans."""
    low = row.lo if row.need is None else row.need * is_open
    return np.maximum(0.0, np.maximum(low - used, used - row.hi))


@dataclass
class Sum:
    """A measure's sum in a scope: group → candidate → amount; and what past contacts add, on demand."""

    expression: str
    where: Mapping[str, Any]
    fixed: float
    by_group: dict[Any, dict[int, float]] = field(default_factory=dict)

    def part(self, key: Any, number: int, days: range | None, alive: Sequence[Contact]) -> tuple[float, ...]:
        found = self.by_group.get(key, {})
        return tuple(
            found.get(j, 0.0) if days is None or alive[j].day in days else 0.0 for j in range(number)
        )


class Limits(Tables):
    """The limits of a policy as rows, each with a number per candidate."""

    def read_limits(self) -> None:
        self.cells: list[Cell] = []
        self.shown = [row for rule in self.policy.get("limits") or [] for row in self._limit(rule)]
        self.rows = [row for row in self.shown if not row.report_only]

    # measures

    def amounts(self, contact: Contact, expression: str, by_channel: bool) -> list[float]:
        """What each leg of a contact uses of a measure."""
        missed = 1.0 - contact.delivery
        use = [0.0 for _ in contact.legs]
        for factor, name in linear(expression):
            if name == "contacts":
                amounts = [1.0, missed if by_channel else 0.0]
            elif name == "fixed_cost":  # not a contact's: see the cells
                amounts = [0.0, 0.0]
            elif name in contact.own:
                amounts = [contact.own[name], 0.0]
            else:
                entity = next(
                    e
                    for e in ("action", "channel", "offer")
                    if any(name in r for r in self.entities[e].values())
                )
                found = [self.entities[entity][getattr(leg, entity)].get(name) for leg in contact.legs]
                if None in found:
                    raise Broken(f"{name} is missing")
                amounts = [found[0], missed * found[1] if entity == "channel" and len(found) > 1 else 0.0]
            for leg in range(len(use)):
                use[leg] += factor * amounts[leg]
        return use

    def fixed_factor(self, expression: str) -> float:
        return sum(factor for factor, name in linear(expression) if name == "fixed_cost")

    def past_amount(self, contact: Contact, expression: str) -> float:
        """What a past contact counts for in a window."""
        return sum(factor * self._past_number(contact, name) for factor, name in linear(expression))

    def _past_number(self, contact: Contact, name: str) -> float:
        if name == "contacts":
            return 1.0
        if name in contact.own:
            return contact.own[name]
        for entity in ("action", "channel", "offer") if name != "value" else ():  # an offer's is per response
            row = self.entities[entity].get(getattr(contact, entity), {})
            if isinstance(row.get(name), int | float):
                return float(row[name])
        raise Broken(f"no {name} of a past contact")

    # rows

    def _limit(self, rule: Mapping[str, Any]) -> Iterator[Row]:
        where, over = rule.get("where", {}), rule.get("over")
        per = [rule["per"]] if isinstance(rule.get("per"), str) else rule.get("per", [])
        if isinstance(over, str):
            over = {"measure": over, "where": where}
        names = [*where, *per, *(over or {}).get("where", {})]
        by_channel = any(n.split(".")[0] == "channel" for n in names)
        sums = [self._sum(rule.get("measure", "contacts"), where, per, by_channel)]
        if over is not None:
            sums.append(self._sum(over["measure"], over.get("where", {}), per, by_channel))
        occurring = {key for part in sums for key in part.by_group}
        words = ("min", "max", "fixed_cost", "penalty")
        told = {word: self._bounds(rule, word, where, per, occurring) for word in words}
        keys = occurring.union(*(t for t in told.values() if isinstance(t, dict))) if per else {()}
        ordered = [(key, {w: t[key] if isinstance(t, dict) else t for w, t in told.items()
                          if t is not None and not (isinstance(t, dict) and key not in t)})
                   for key in sorted(keys, key=repr)]  # fmt: skip
        if over is None and "rolling_days" not in rule and not rule.get("all_or_nothing"):
            sides: list[tuple[str, ...]] = [("min", "max")]
        else:
            sides = [("min",), ("max",)]
        cells = {key: self._cell(rule, per, key, bound, sums[0]) for key, bound in ordered}
        for side in sides:
            for key, bound in ordered:
                if len(side) == 1 and side[0] not in bound:
                    continue
                rows = list(self._rows(rule, per, key, {s: bound[s] for s in side if s in bound}, sums))
                for row in rows:
                    yield replace(
                        row, side=side[0] if len(side) == 1 else "", cell=cells[key],
                        penalty=bound.get("penalty", math.inf), report_only=rule.get("report_only", False),
                        members=frozenset(sums[0].by_group.get(key, {})),
                    )  # fmt: skip

    def _bounds(self, rule: Mapping[str, Any], word: str, where: Any, per: Any, occurring: Any) -> Any:
        """A number for every group, or for each its own."""
        if not isinstance(rule.get(word), Mapping):
            return None if rule.get(word) is None else float(rule[word])
        found = self._table(rule[word], where, per)
        for key in occurring:
            if key not in found:
                raise Broken(f"{rule['name']} has no {word} for {key}")
        return found

    def _cell(self, rule: Mapping[str, Any], per: Any, key: Any, bound: Any, top: Sum) -> int | None:
        """Add the group's cell, if it has one."""
        if rule.get("report_only") or not (rule.get("all_or_nothing") or "fixed_cost" in rule):
            return None
        members = frozenset(top.by_group.get(key, {}))
        group = tuple(zip(per, key, strict=True))
        self.cells.append(Cell(rule["name"], group, bound.get("fixed_cost", 0.0), members))
        return len(self.cells) - 1

    def _rows(
        self, rule: Mapping[str, Any], per: Any, key: Any, bound: Any, sums: list[Sum]
    ) -> Iterator[Row]:
        """The rows of one group: one, or with ``rolling_days`` one for each window that matters."""
        group, number = tuple(zip(per, key, strict=True)), len(self.alive)
        ratio = None if len(sums) == 1 else next(iter(bound.values()))
        lo, hi = bound.get("min", -math.inf), bound.get("max", math.inf)
        if ratio is not None:
            lo, hi = (0.0, math.inf) if "min" in bound else (-math.inf, 0.0)
        plain = Row(
            rule["name"], group, "", lo, hi, (), ratio, fixed=sums[0].fixed,
            below=sum(s.fixed for s in sums[1:]),
        )  # fmt: skip
        if rule.get("all_or_nothing") and "min" in bound:
            plain = replace(plain, lo=0.0, need=bound["min"])
        windows: list[tuple[int | None, tuple[float, float]]] = [(None, (0.0, 0.0))]
        if "rolling_days" in rule:
            windows = list(self._windows(rule["rolling_days"], per, key, "min" in bound, ratio, sums))
        for begins, past in windows:
            days = None if begins is None else range(begins, begins + rule["rolling_days"])
            top, *bottom = (part.part(key, number, days, self.alive) for part in sums)
            yield replace(plain, numerator=top, denominator=bottom[0] if bottom else (), past=past,
                          begins=begins)  # fmt: skip

    def _windows(
        self, width: int, per: Any, key: Any, least: bool, ratio: float | None, sums: list[Sum]
    ) -> Iterator[tuple[int, tuple[float, float]]]:
        """(first day, what the past adds above and below) of each window that says something of its own.

        Windows one after the other that hold the same days of candidates differ in their past alone: the
        one with most of it stands for all where there is a maximum, the one with least for a minimum.
        """
        days = sorted({self.alive[j].day for part in sums for j in part.by_group.get(key, {})})
        if least:
            starts = range(self.first_day, self.last_day - width + 2)
        else:
            starts = range(days[0] - width + 1, days[-1] + 1) if days else range(0)

        def inside(start: int) -> tuple[int, ...]:
            return tuple(d for d in days if start <= d <= start + width - 1)

        for held, run in itertools.groupby(starts, inside):
            if not held and (not least or ratio is not None):
                continue
            pasts = {t: self._past_sums(t, width, per, key, sums) for t in run}
            amounts = {t: top - (ratio or 0.0) * bottom for t, (top, bottom) in pasts.items()}
            worst = min(amounts.values()) if least else max(amounts.values())
            first = min(t for t, amount in amounts.items() if amount == worst)
            yield first, pasts[first]

    def _past_sums(self, start: int, width: int, per: Any, key: Any, sums: list[Sum]) -> tuple[float, float]:
        """What past contacts in a window add above the line and below it."""
        found = [0.0, 0.0]
        for place, part in enumerate(sums):
            inside = [h for h in self.history if start <= h.day <= start + width - 1]
            mine = [h for h in inside if self.matches(h, part.where) and key in self.groups(h, per)]
            found[place] = sum(self.past_amount(h, part.expression) for h in mine)
        return found[0], found[1]

    def _sum(self, measure: str, where: Mapping[str, Any], per: Sequence[str], by_channel: bool) -> Sum:
        result = Sum(measure, where, self.fixed_factor(measure))
        for j, contact in enumerate(self.alive):
            amounts = self.amounts(contact, measure, by_channel)
            legs = zip(contact.legs, amounts, strict=True) if by_channel else [(contact, sum(amounts))]
            for leg, amount in legs:
                for key in self.groups(leg, per) if self.matches(leg, where) else []:
                    group = result.by_group.setdefault(key, {})
                    group[j] = group.get(j, 0.0) + amount
        return result

    def _table(
        self, bound: Mapping[str, str], where: Mapping[str, Any], per: Sequence[str]
    ) -> dict[Any, float]:
        """Group → bound, from the rows of the limit's table that are in the limit's own scope."""
        found: dict[Any, float] = {}
        for row in self.tables[bound["table"]]:
            told = {a: self._told(row, a) for a in {*where, *per}}
            # a contact with several values is in scope by one of them and yet in the group of another
            known = [
                (a, condition)
                for a, condition in where.items()
                if told[a] is not None and a not in self.multi_valued
            ]
            if all(self._holds(told[a], a, condition) for a, condition in known):
                key = tuple(told[a][0] for a in per)  # type: ignore[index]
                if key in found or row[bound["column"]] is None:
                    raise Broken(f"{bound['table']} has two rows for {key}, or an empty cell")
                found[key] = float(row[bound["column"]])
        return found

    def _told(self, row: Mapping[str, Any], attribute: str) -> list[Any] | None:
        """What a row of a limit's table says of an attribute; None if it says nothing."""
        entity, _, column = attribute.partition(".")
        for name in (attribute, column or entity, f"{attribute}_id"):
            if name in row:
                return [] if row[name] is None else [row[name]]
        for name in (IDS.get(entity), entity):  # an offer's row also tells the offer's category
            if column and name in row:
                value = self.entities[entity].get(text(row[name]), {}).get(column)
                return [] if value is None else [value]
        return None

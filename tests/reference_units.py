"""Rules for each customer or household in the reference: windows, conflicts, what needs what.

Written from the words of the contract alone, like the rest of the reference; it imports nothing of the
package.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reference_limits import Limits
from reference_tables import Broken, Contact


@dataclass(frozen=True)
class Window:
    """A stretch of days of one unit and group: what may be chosen in it, what the past has put there.

    ``classes`` says as what each candidate inside counts, ``past`` what past contacts count as. Of ``least``
    one asks only of a window that is ``asked``; with ``or_none`` it may also hold nothing at all.
    """

    rule: str
    classes: tuple[tuple[int, Hashable], ...]
    past: frozenset[Hashable]
    most: float
    least: float
    asked: bool
    or_none: bool

    def chosen_and_count(self, chosen: frozenset[int]) -> tuple[int, int]:
        """How many chosen contacts are inside, and how much the window holds with the past."""
        inside = [kind for j, kind in self.classes if j in chosen]
        return len(inside), len(self.past.union(inside))

    def holds(self, chosen: frozenset[int]) -> bool:
        now, count = self.chosen_and_count(chosen)
        if now and count > self.most:
            return False
        return not self.asked or count >= self.least or (self.or_none and count == 0)


class Units(Limits):
    """The rules within a unit: a customer, or a household where some rule has households as its unit."""

    @functools.cached_property
    def by_household(self) -> bool:
        return any(rule.get("unit") == "household" for rule in self.policy.get("contact") or [])

    @functools.cached_property
    def units(self) -> list[list[str]]:
        """Customers, or households of them, in whose choice the rules couple nobody else."""
        if not self.by_household:
            return [[c] for c in self.customers]
        found: dict[str, list[str]] = {}
        for customer in self.customers:
            home = self.entities["customer"].get(customer, {}).get("household_id")
            if home is None:
                raise Broken(f"{customer} has no household")
            found.setdefault(home, []).append(customer)
        return [found[home] for home in sorted(found)]

    # contact rules

    def windows(self, rule: Mapping[str, Any], members: Sequence[str]) -> Iterator[Window]:
        """Every window of a rule for a customer, or for a household's members."""
        where, per = rule.get("where", {}), rule.get("per", [])
        per = [per] if isinstance(per, str) else per
        rolling = rule.get("days") is not None or rule.get("every") is not None
        past = [h for h in self.history if h.customer in members] if rolling else []
        past = past if rule.get("history", True) else []
        here = [(j, c) for j, c in enumerate(self.alive) if c.customer in members]
        kinds = {j: self._class(c, j, rule) for j, c in here if self._either(c, where)}
        groups = {j: self._groups(c, where, per) for j, c in here}
        past_groups = [
            (h, self._groups(h, where, per), self._past_class(h, k, rule)) for k, h in enumerate(past)
        ]
        most, least = (self._number(rule, side, members) for side in ("max", "min"))
        is_asked = not per and any(self._is_customer(c, where) for c in members)
        keys = {key for found in groups.values() for key in found} | ({()} if is_asked else set())
        for key in sorted(keys, key=repr):
            seen = set()
            for first, last in self._spans(rule, [c.day for _, c in here] + [h.day for h in past]):
                whole = not rolling or (self.first_day <= first and last <= self.last_day)
                inside = tuple((j, kinds[j]) for j, c in here if key in groups[j] and first <= c.day <= last)
                before = frozenset(
                    kind for h, found, kind in past_groups
                    if key in found and kind is not None and first <= h.day <= last
                )  # fmt: skip
                seen.add(
                    Window(
                        rule["name"], inside, before, most, least, whole and least > 0,
                        rule.get("min_or_none", False),
                    )
                )  # fmt: skip
            yield from seen

    def _spans(self, rule: Mapping[str, Any], days: Sequence[int]) -> list[tuple[float, float]]:
        """First and last day of every window that could hold one of the days, or lies in the horizon."""
        if rule.get("days") is not None:
            width = rule["days"]
            low, high = min([self.first_day, *days]) - width, max([self.last_day, *days])
            return [(t, t + width - 1) for t in range(low, high + 1)]
        if rule.get("every") is None:
            return [(-math.inf, math.inf)]
        if self.start is None:
            raise Broken(f"{rule['name']} needs a calendar")
        spans = set()
        for day in {*range(self.first_day, self.last_day + 1), *days}:
            date = self.start + dt.timedelta(days=day - 1)
            if rule["every"] == "week":
                first = date - dt.timedelta(days=date.weekday())
                last = first + dt.timedelta(days=6)
            else:
                first = date.replace(day=1)
                last = (first + dt.timedelta(days=31)).replace(day=1) - dt.timedelta(days=1)
            spans.add((self.day(first), self.day(last)))
        return sorted(spans)

    def _groups(self, contact: Contact, where: Mapping[str, Any], per: Sequence[str]) -> set[tuple[Any, ...]]:
        """The groups that a contact is in by either of its channels."""
        return {key for leg in contact.legs if self.matches(leg, where) for key in self.groups(leg, per)}

    def _class(self, contact: Contact, number: int, rule: Mapping[str, Any]) -> Hashable:
        """What a contact counts as: two of the same class count once."""
        count = rule.get("count", "offers")
        if count == "offers":
            return number
        if count == "occasions":
            return contact.channel, contact.day
        values = self.values(contact, count)
        if len(values) != 1 or count in self.multi_valued:
            raise Broken(f"{rule['name']}: {contact.key} has no one {count}")
        return values[0]

    def _past_class(self, contact: Contact, number: int, rule: Mapping[str, Any]) -> Hashable | None:
        count = rule.get("count", "offers")
        if count in ("offers", "occasions"):
            return ("past", number) if count == "offers" else (contact.channel, contact.day)
        values = self.values(contact, count)
        return values[0] if values else None

    def _number(self, rule: Mapping[str, Any], side: str, members: Sequence[str]) -> float:
        """The rule's maximum or minimum for these customers."""
        bound = rule.get(side)
        if bound is None:
            return math.inf if side == "max" else 0.0
        if not isinstance(bound, Mapping):
            return float(bound)
        column = bound["column"].partition(".")[2]
        found = {self.entities["customer"][c].get(column) for c in members}
        if len(found) != 1 or None in found:
            raise Broken(f"{rule['name']}: no one {column} for {members}")
        return float(found.pop())

    def _is_customer(self, customer: str, where: Mapping[str, Any]) -> bool:
        """Whether what a scope says of customers holds for one."""
        someone = Contact(customer, None, "", "", 0)
        return self.matches(someone, {a: c for a, c in where.items() if a.split(".")[0] == "customer"})

    # pairs

    def _clashes(self, chosen: Sequence[Contact], rule: Mapping[str, Any]) -> bool:
        """Whether contacts of one customer break a conflict."""
        customer = {c.customer for c in chosen}
        past = [h for h in self.history if h.customer in customer]
        orders = [(rule["first"], rule["then"])]
        if rule.get("either_order"):
            orders.append((rule["then"], rule["first"]))
        for first, then in orders:
            for i in [*chosen, *past]:
                for j in chosen:
                    if i is j or not self._either(i, first) or not self._either(j, then):
                        continue
                    lag = j.day - i.day
                    if 0 <= lag < rule["days"] or (rule.get("either_order") and 0 <= -lag < rule["days"]):
                        return True
        return False

    def _lacks(self, chosen: Sequence[Contact], rule: Mapping[str, Any]) -> bool:
        """Whether one of a customer's contacts lacks another that it requires."""
        if not self.dated:
            raise Broken(f"{rule['name']} needs dates")
        customer = {c.customer for c in chosen}
        past = [h for h in self.history if h.customer in customer]
        for j in chosen:
            if not self._either(j, rule["offer"]):
                continue
            lags = [j.day - i.day for i in [*chosen, *past] if i is not j and self.matches(i, rule["needs"])]
            if rule.get("order") == "any":
                lags = [abs(lag) for lag in lags]
            if not any(0 <= lag <= rule["days"] for lag in lags):
                return True
        return False

    def _either(self, contact: Contact, where: Mapping[str, Any]) -> bool:
        return any(self.matches(leg, where) for leg in contact.legs)

    # sets of contacts

    @functools.cached_property
    def _customer_windows(self) -> dict[tuple[str, ...], list[Window]]:
        """All windows of one customer's own rules, and of a household's."""
        found: dict[tuple[str, ...], list[Window]] = {}
        rules = self.policy.get("contact") or []
        for unit in self.units:
            alone = [rule for rule in rules if rule.get("unit", "customer") == "customer"]
            for customer in unit:
                found[customer,] = [w for rule in alone for w in self.windows(rule, [customer])]
            shared = [w for rule in rules if rule not in alone for w in self.windows(rule, unit)]
            found[tuple(unit)] = found.get(tuple(unit), []) + shared
        return found

    def windows_of(self, rule: Mapping[str, Any]) -> list[Window]:
        """All windows of one rule."""
        units = self.units if rule.get("unit") == "household" else [[c] for c in self.customers]
        return [w for unit in units for w in self.windows(rule, unit)]

    def keeps_customer_rules(self, customer: str, chosen: Sequence[int]) -> bool:
        """Whether contacts of one customer keep the rules for each customer."""
        contacts = [self.alive[j] for j in chosen]
        return (
            all(w.holds(frozenset(chosen)) for w in self._customer_windows[customer,])
            and not any(self._clashes(contacts, rule) for rule in self.policy.get("conflicts") or [])
            and not any(self._lacks(contacts, rule) for rule in self.policy.get("requires") or [])
        )

    def keeps_unit_rules(self, unit: Sequence[str], chosen: Sequence[int]) -> bool:
        """Whether contacts of a household, or of a customer alone, keep its rules."""
        return all(
            self.keeps_customer_rules(c, [j for j in chosen if self.alive[j].customer == c]) for c in unit
        ) and all(w.holds(frozenset(chosen)) for w in self._customer_windows[tuple(unit)])

    @functools.cached_property
    def unit_plans(self) -> list[list[tuple[int, ...]]]:
        """For each unit every set of candidates that keeps its rules, and the locks."""
        plans = []
        for unit in self.units:
            options = []
            for customer in unit:
                mine = [j for j, c in enumerate(self.alive) if c.customer == customer]
                locked = {j for j in mine if self.alive[j].key in self.locked}
                sets = itertools.chain.from_iterable(
                    itertools.combinations(mine, n) for n in range(len(mine) + 1)
                )
                options.append(
                    [s for s in sets if locked <= set(s) and self.keeps_customer_rules(customer, s)]
                )
            joined = (tuple(j for part in parts for j in part) for parts in itertools.product(*options))
            shared = self._customer_windows[tuple(unit)]
            plans.append([s for s in joined if all(w.holds(frozenset(s)) for w in shared)])
        return plans

    locked: set[tuple[str, str | None]]

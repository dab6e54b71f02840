"""Conflicts and prerequisites: what one contact of a customer means for another."""

from __future__ import annotations

from typing import Any

import numpy as np

from omniopt.actions.candidates import Candidates
from omniopt.rules.contact import matches
from omniopt.rules.distinct import distinct
from omniopt.rules.policy import Conflict, Requires
from omniopt.rules.statements import states
from omniopt.rules.unit_rows import UnitRows
from omniopt.rules.units import Units
from omniopt.rules.where import Scopes, expand
from omniopt.rules.windows import Things

Placed = tuple[np.ndarray, np.ndarray, np.ndarray]


class PairRows:
    """Turns conflicts and prerequisites into unit rows; faults go to the scopes' list."""

    def __init__(self, candidates: Candidates, scopes: Scopes, units: Units) -> None:
        self.candidates, self.scopes, self.units = candidates, scopes, units
        self.catalogue = candidates.catalogue
        self.rows = candidates.rows(1)

    def conflicts(self, rules: list[Conflict]) -> UnitRows:
        """Return the rows of all conflicts."""
        return UnitRows.stack([part for rule in rules for part in self._conflict(rule)])

    def requires(self, rules: list[Requires]) -> UnitRows:
        """Return the rows of all prerequisites."""
        return UnitRows.stack([part for rule in rules for part in self._requires(rule)])

    @states("conflict", "either order", "one scope")
    def _conflict(self, rule: Conflict) -> list[UnitRows]:
        """Pairs that clash; where both sides are one scope, windows that hold at most one."""
        self.scopes.dates_known(rule.name, "with days")
        firsts = matches(self.candidates, self.scopes, rule.first, rule.name)
        thens = matches(self.candidates, self.scopes, rule.then, rule.name)
        orders = [(firsts, thens, rule.first)] + ([(thens, firsts, rule.then)] if rule.either_order else [])
        barred = self._barred(rule, orders)
        forbidden = self._forbid(rule.name, barred)
        if rule.first == rule.then:
            # any two within the lag clash: one row per window says so, and says it tighter than pairs
            inside = np.flatnonzero(firsts & ~barred)
            customer = self.candidates.customer[inside]
            things = Things.of(inside, customer, self.rows.day[inside], inside, 0 * inside)
            windows = things.begin_on_things(rule.days)
            one = np.ones(len(windows.begin), np.int64)
            return [windows.at_most(one, self.units.of[windows.owner], rule.name), forbidden]
        pairs = [followers(self._placed(a), self._placed(b), rule.days) for a, b, _ in orders]
        pair = np.concatenate(pairs, axis=1)
        pair = np.stack(distinct(*np.sort(pair[:, pair[0] != pair[1]], axis=0)))
        pair = pair[:, ~(barred[pair[0]] | barred[pair[1]])]
        two = np.full(pair.shape[1], 2, np.int64)
        member = pair.T.ravel()
        unit = self.units.of[self.candidates.customer[pair[0]]]
        return [UnitRows.of(rule.name, unit, two, member, member, cap=1), forbidden]

    @states("prerequisite", "in any order")
    def _requires(self, rule: Requires) -> list[UnitRows]:
        """A contact needs one of those before it (or around it); without any it is ruled out."""
        self.scopes.dates_known(rule.name, "with days")
        asking = matches(self.candidates, self.scopes, rule.offer, rule.name)
        filling = self.scopes.match(rule.needs, self.rows, rule.name)
        past = self._past(rule.needs, rule.name)
        around = rule.order == "any"
        asked = self._placed(asking)
        met = np.zeros(len(self.candidates), bool)
        met[followers(past, asked, rule.days + 1)[1]] = True
        pairs = [followers(self._placed(filling), asked, rule.days + 1)]
        if around:
            met[followers(asked, past, rule.days + 1)[0]] = True
            pairs.append(followers(asked, self._placed(filling), rule.days + 1)[::-1])
        need, want = distinct(*np.concatenate(pairs, axis=1))
        keep = (need != want) & ~met[want]
        need, want = need[keep], want[keep]
        order = np.lexsort((need, want))
        need, want = need[order], want[order]
        each, count = np.unique(want, return_counts=True)
        unit = self.units.of[self.candidates.customer[each]]
        links = UnitRows.of(rule.name, unit, count, need, need, lo=1, trigger=each)
        lost = asking & ~met
        lost[each] = False
        return [links, self._forbid(rule.name, lost)]

    def _forbid(self, name: str, barred: np.ndarray) -> UnitRows:
        """Rows that leave no room for the marked candidates."""
        alone = np.flatnonzero(barred)
        unit = self.units.of[self.candidates.customer[alone]]
        return UnitRows.of(name, unit, np.ones(len(alone), np.int64), alone, alone, cap=0)

    def _placed(self, mask: np.ndarray) -> Placed:
        """Customer, day and position of the masked candidates."""
        index = np.flatnonzero(mask)
        return self.candidates.customer[index], self.rows.day[index], index

    def _past(self, where: dict[str, Any], rule: str) -> Placed:
        """Customer and day of the past contacts in a scope."""
        past = self.catalogue.history
        past = past.take(self.scopes.match(where, past, rule) & (past.codes["customer"] >= 0))
        return past.codes["customer"], past.day, np.full(len(past), -1)

    def _barred(
        self, rule: Conflict, orders: list[tuple[np.ndarray, np.ndarray, dict[str, Any]]]
    ) -> np.ndarray:
        """Mark the candidates that past contacts and commitments rule out."""
        barred = np.zeros(len(self.candidates), bool)
        for _, following, where in orders:
            earlier, later = self._past(where, rule.name), self._placed(following)
            barred[followers(earlier, later, rule.days)[1]] = True
            if rule.either_order:  # a commitment in the future also bars what would come before it
                barred[followers(later, earlier, rule.days)[0]] = True
        return barred


def followers(things: Placed, then: Placed, days: int) -> np.ndarray:
    """Pair each thing with the ones of its customer that follow within ``days`` days, same day included."""
    (customer, day, thing), (then_customer, then_day, then_thing) = things, then
    low = int(min(day.min(initial=0), then_day.min(initial=0)))
    span = int(max(day.max(initial=0), then_day.max(initial=0))) - low + days + 1
    key = then_customer * span + (then_day - low)
    order = np.argsort(key, kind="stable")
    begin = np.searchsorted(key[order], customer * span + (day - low), side="left")
    end = np.searchsorted(key[order], customer * span + (day - low) + days, side="left")
    count = end - begin
    return np.stack([np.repeat(thing, count), then_thing[order][expand(begin, count)]])

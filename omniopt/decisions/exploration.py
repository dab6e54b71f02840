"""Control groups and contacts at random, as a problem has them.

A unit that explores gets one contact, drawn with equal chances among those that its own rules allow alone.
Its other candidates give way; where the rules allow none, the unit is left to the plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from omniopt.actions.candidates import Candidates
from omniopt.actions.catalogue import Catalogue
from omniopt.rules.holdout import CONTROL, EXPLORATION, HoldOut, chance, control_of
from omniopt.rules.policy import Control, Policy
from omniopt.rules.units import Units
from omniopt.rules.where import Scopes
from omniopt.rules.within import build_unit_rows


@dataclass(frozen=True)
class Draws:
    """Contacts drawn at random.

    Attributes
    ----------
    customer, action : ndarray of int64, shape (d,)
        Codes of the contacts, sorted.
    probability : ndarray of float64, shape (d,)
        One over the number of candidates that each was drawn from.
    passed : ndarray of int64
        Positions of the other candidates of these units.
    resolved : ndarray of bool, shape (customers,)
        Members of units with a contact.
    """

    customer: np.ndarray
    action: np.ndarray
    probability: np.ndarray
    passed: np.ndarray
    resolved: np.ndarray


@dataclass(frozen=True)
class Trial:
    """Who is held out, and who got which contact at random.

    Attributes
    ----------
    catalogue : Catalogue
    held : HoldOut
    customers : ndarray of int64
        Codes of the customers who had any candidate before any was taken out, ascending.
    draws : Draws or None
        None without exploration.
    """

    catalogue: Catalogue
    held: HoldOut
    customers: np.ndarray
    draws: Draws | None

    def find(self, candidates: Candidates) -> np.ndarray:
        """Return the positions of the contacts drawn, ascending."""
        if self.draws is None:
            return np.zeros(0, np.int64)
        actions = len(self.catalogue.actions)
        wanted = self.draws.customer * actions + self.draws.action
        return np.flatnonzero(np.isin(candidates.customer * actions + candidates.action, wanted))

    def probabilities(self, contacts: pd.DataFrame) -> pd.Series:
        """Return the probability of each contact of a plan: 1 where it was not drawn."""
        told = pd.Series(1.0, contacts.index)
        if self.draws is None:
            return told
        actions = len(self.catalogue.actions)
        customer = self.catalogue.codes_of("customer", contacts["customer_id"])
        action = self.catalogue.codes_of("action", contacts["action_id"])
        drawn = pd.Index(self.draws.customer * actions + self.draws.action)
        at = drawn.get_indexer(customer * actions + action)
        told[at >= 0] = self.draws.probability[at[at >= 0]]
        return told

    def scopes(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield who was in which arm, of all offers and then of each, as a table of experiments has it.

        Yields
        ------
        offer : str
            Empty for all offers.
        rows : DataFrame
            customer_id, offer_id (missing: all offers), arm, probability, stratum, date. Customers who were
            to get a contact at random and whose rules allow none are in no arm of all offers.
        """
        held, some = self.held, self.customers
        control, explore = self.held.learning.control or Control(), self.held.learning.explore
        if control.share is not None or explore is not None:
            out, tried = control.share or 0.0, explore.share if explore else 0.0
            explored = held.explored[some]
            arm = np.select([held.control[some], explored], [1, 2], 0)
            free = np.where(held.pinned[some], 1.0, 1.0 - tried)
            chance_of = np.select([arm == 1, arm == 2], [out, (1 - out) * tried], (1 - out) * free)
            known = ~explored if self.draws is None else ~explored | self.draws.resolved[some]
            yield "", self._part(some[known], -1, arm[known], chance_of[known])
        if control.per_offer is not None:
            ids = self.catalogue.ids("offer")
            for code in np.unique(self.catalogue.actions.codes["offer"]):
                arm = held.offers[code, some].astype(np.int64)
                chance_of = np.where(arm == 1, control.per_offer, 1 - control.per_offer)
                yield str(ids[code]), self._part(some, code, arm, chance_of)

    def _part(self, customer: np.ndarray, offer: int, arm: np.ndarray, chance: np.ndarray) -> pd.DataFrame:
        start = self.catalogue.start
        columns: dict[str, Any] = {
            "customer_id": self.catalogue.ids_at("customer", customer),
            "offer_id": self.catalogue.ids_at("offer", np.full(len(customer), offer)),
            "arm": pd.array(np.array(["treated", "control", "explored"], dtype=object)[arm], dtype="str"),
            "probability": chance,
            "stratum": pd.array(self.held.stratum[customer], dtype="str"),
            "date": np.int64(1) if start is None else start.astype("datetime64[s]"),
        }
        return pd.DataFrame(columns)

    def entries(self, dropped: dict[str, int]) -> list[dict[str, Any]]:
        """Return what the certificate says of each group.

        Parameters
        ----------
        dropped : dict of str to int
            Candidates that were taken out, by reason.
        """
        held, some, control = self.held, self.customers, self.held.learning.control
        found = []

        def entry(name: str, share: float, who: np.ndarray, **own: Any) -> None:
            counts = {
                "customers": len(some),
                "in_group": int(who[some].sum()),
                "dropped": dropped.get(name, 0),
            }
            found.append({"name": name, "share": share, "unit": held.units.word, **counts, **own})

        if control is not None and control.share is not None:
            entry(CONTROL, control.share, held.control, by=control.by)
        if control is not None and control.per_offer is not None:
            ids = self.catalogue.ids("offer")
            for code in np.unique(self.catalogue.actions.codes["offer"]):
                entry(control_of(ids[code]), control.per_offer, held.offers[code], offer=ids[code])
        explore = self.held.learning.explore
        if explore is not None and self.draws is not None:
            left = held.explored & ~self.draws.resolved
            counts = {"drawn": len(self.draws.customer), "without_draw": int(left[some].sum())}
            entry(EXPLORATION, explore.share, held.explored, **counts)
        return found


def hold_trial(
    everything: Candidates, policy: Policy, scopes: Scopes, held: HoldOut, grouping: Units
) -> Trial:
    """Take out the candidates of those who are held out, and those that give way to a draw."""
    held.take_out(everything)
    draws = None
    if held.learning.explore is not None:
        living = np.flatnonzero(everything.reason == 0)
        draws = draw(everything.take(living), policy, scopes, held, grouping)
        passed = np.zeros(len(everything), bool)
        passed[living[draws.passed]] = True
        everything.drop(passed, EXPLORATION)
    return Trial(scopes.catalogue, held, np.unique(everything.customer), draws)


def draw(candidates: Candidates, policy: Policy, scopes: Scopes, held: HoldOut, grouping: Units) -> Draws:
    """Draw a contact for every unit that explores.

    Parameters
    ----------
    candidates : Candidates
        The living ones, by customer and action; at least those of all members of units that explore.
    policy : Policy
    scopes : Scopes
    held : HoldOut
        With exploration.
    grouping : Units
        The units of the policy's contact rules.
    """
    explore = held.learning.explore
    assert explore is not None
    place = np.flatnonzero(held.explored[candidates.customer])
    unit = held.units.of[candidates.customer]
    allowed = place[_allowed_alone(candidates.take(place), policy, scopes, held.units, grouping)]
    order = allowed[np.argsort(unit[allowed], kind="stable")]
    whose, first, count = np.unique(unit[order], return_index=True, return_counts=True)
    pick = (chance(held.units.names.take(whose), explore.key, "what") * count).astype(np.int64)
    drawn = order[first + pick]
    by_place = np.argsort(drawn)
    passed = np.setdiff1d(place[np.isin(unit[place], whose)], drawn)
    customer, action = candidates.customer[drawn], candidates.action[drawn]
    resolved = held.explored & np.isin(held.units.of, whose)
    return Draws(customer[by_place], action[by_place], (1.0 / count)[by_place], passed, resolved)


def _allowed_alone(
    c: Candidates, policy: Policy, scopes: Scopes, drawn_by: Units, grouping: Units
) -> np.ndarray:
    """Mark the candidates that keep every rule within units, chosen as the only one of their unit."""
    order = np.argsort(grouping.of[c.customer], kind="stable")
    c = c.take(order)
    rows = build_unit_rows(c, policy, scopes, grouping)
    unit_of = np.zeros(int(grouping.of.max(initial=-1)) + 1, np.int64)
    unit_of[grouping.of] = drawn_by.of  # the units of contact rules lie within those that draw
    unit = drawn_by.of[c.customer]
    by_unit = np.argsort(unit, kind="stable")
    begin = np.flatnonzero(np.diff(unit[by_unit], prepend=-1))
    rank = np.empty(len(unit), np.int64)
    rank[by_unit] = np.arange(len(unit)) - np.repeat(begin, np.diff(np.append(begin, len(unit))))
    allowed = np.empty(len(c), bool)
    broken = np.zeros(len(drawn_by.names), bool)
    for k in range(int(rank.max(initial=-1)) + 1):
        chosen = rank == k
        broken[:] = False
        broken[unit_of[rows.unit[~rows.kept(chosen)]]] = True
        allowed[order[chosen]] = ~broken[unit[chosen]]
    return allowed

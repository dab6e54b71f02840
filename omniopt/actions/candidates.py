"""Candidates: every customer with every action, and why some are out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from omniopt.actions.catalogue import Catalogue, Rows
from omniopt.actions.permission import ALLOWED, NO_CONSENT, NO_TIME_ZONE, Permission
from omniopt.errors import Faults
from omniopt.knowledge.profile import OWN_RATE_FROM, OWN_RATE_WEIGHT
from omniopt.tables import Tables

# why a candidate is out, in the order in which it is asked
NOT_VALID, NO_CONSENT_FOR = "offer not valid on that date", "no consent for"
NO_ZONE, SILENT = "no time zone", "outside the send days"


@dataclass
class Candidates:
    """Candidates as columns, sorted by customer and action id.

    Attributes
    ----------
    customer, action : ndarray of int64, shape (n,)
        Codes into the catalogue.
    reason : ndarray of int16, shape (n,)
        0 while the candidate is alive, else the position in ``reasons`` of why it is out.
    reasons : list of str
        Texts of the reasons; position 0 is unused.
    delivery : ndarray of float64, shape (n,)
        Probability that the first channel delivers.
    fallback : ndarray of int64, shape (n,)
        Channel that takes over when the first one fails, or -1.
    measures : dict of str to ndarray of float64
        Value, cost, response and the further numeric columns of the candidates table.
    """

    catalogue: Catalogue
    customer: np.ndarray
    action: np.ndarray
    reason: np.ndarray
    reasons: list[str]
    delivery: np.ndarray
    fallback: np.ndarray
    measures: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.customer)

    def rows(self, leg: int = 1) -> Rows:
        """Return the candidates as things to match rules against.

        Leg 1 is the contact on its own channel, leg 2 the one on the fallback channel
        (channel code -1 where there is none).
        """
        actions = self.catalogue.actions.take(self.action)
        codes = {"customer": self.customer, **actions.codes}
        if leg == 2:
            codes["channel"] = self.fallback
        return Rows(codes, actions.day)

    def drop(self, mask: np.ndarray, why: str) -> int:
        """Take the masked candidates out, if nothing took them out before; return how many went."""
        hit = mask & (self.reason == ALLOWED)
        if why not in self.reasons:
            self.reasons.append(why)
        self.reason[hit] = self.reasons.index(why)
        return int(hit.sum())

    def take(self, index: np.ndarray) -> Candidates:
        """Return the candidates at the given positions."""
        return Candidates(
            self.catalogue, self.customer[index], self.action[index], self.reason[index], self.reasons,
            self.delivery[index], self.fallback[index], {k: v[index] for k, v in self.measures.items()},
        )  # fmt: skip

    def alive(self) -> Candidates:
        """Return the candidates that nothing took out, as columns of their own."""
        return self.take(np.flatnonzero(self.reason == ALLOWED))


def build_candidates(
    catalogue: Catalogue, tables: Tables, permission: Permission, faults: Faults
) -> Candidates:
    """Pair customers with actions and take out what validity, consent or send times forbid.

    Parameters
    ----------
    catalogue : Catalogue
    tables : Tables
        ``candidates`` is used where given, else every customer meets every action.
    permission : Permission
    faults : Faults

    Returns
    -------
    Candidates
        Without measures where the project has no table of candidates; see `omniopt.actions.valuation`.
    """
    given = tables.candidates
    if given is None:
        customers, actions = len(catalogue.entities["customer"]), len(catalogue.actions)
        customer = np.repeat(np.arange(customers, dtype=np.int64), actions)
        action = np.tile(np.arange(actions, dtype=np.int64), customers)
        measures: dict[str, np.ndarray] = {}
    else:
        customer = catalogue.codes_of("customer", given["customer_id"])
        action = catalogue.codes_of("action", given["action_id"])
        order = np.lexsort((action, customer))
        customer, action = customer[order], action[order]
        measures = {
            str(name): column.to_numpy(np.float64)[order]
            for name, column in given.items()
            if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        }
    channel = catalogue.actions.codes["channel"][action]
    day = catalogue.actions.day[action]
    fallback = catalogue.fallback[channel]
    known = fallback >= 0
    open_to_fallback = np.zeros(len(customer), bool)
    open_to_fallback[known] = permission.reason(customer[known], fallback[known], day[known]) == ALLOWED
    fallback = np.where(open_to_fallback, fallback, -1)
    rates = Delivery(catalogue, tables)
    result = Candidates(
        catalogue, customer, action, np.zeros(len(customer), np.int16), [""],
        rates.of(customer, channel), fallback, measures,
    )  # fmt: skip
    _apply_permission(result, permission, channel, day)
    return result


def _apply_permission(c: Candidates, permission: Permission, channel: np.ndarray, day: np.ndarray) -> None:
    c.drop(invalid_actions(c.catalogue)[c.action], NOT_VALID)
    why = permission.reason(c.customer, channel, day)
    for code, name in enumerate(c.catalogue.ids("channel")):
        if permission.requires_consent[code]:
            c.drop((why == NO_CONSENT) & (channel == code), f"{NO_CONSENT_FOR} {name}")
    c.drop(why == NO_TIME_ZONE, NO_ZONE)
    c.drop((why != ALLOWED) & (why != NO_CONSENT), SILENT)


def invalid_actions(catalogue: Catalogue) -> np.ndarray:
    """Mark the actions whose offer is not valid on their date."""
    offer, actions = catalogue.entities["offer"], catalogue.actions
    out = np.zeros(len(actions), bool)
    for column, wrong in (("valid_from", np.less), ("valid_to", np.greater)):
        if column in offer:
            bound = offer[column].astype("Float64").to_numpy(np.float64, na_value=np.nan)
            # a missing bound is NaN, which no comparison holds for
            out |= wrong(actions.day, bound[actions.codes["offer"]])
    return out


class Delivery:
    """Delivery rate of a channel, the customer's own where history supports it."""

    def __init__(self, catalogue: Catalogue, tables: Tables) -> None:
        channel = catalogue.entities["channel"]
        self.channels = len(channel)
        rate = channel["delivery_rate"].fillna(1.0) if "delivery_rate" in channel else None
        self.base = np.ones(len(channel)) if rate is None else rate.to_numpy(np.float64)
        history = tables.history
        size = len(catalogue.entities["customer"]) * self.channels
        self.tried: np.ndarray = np.zeros(size)
        self.reached: np.ndarray = np.zeros(size)
        if history is None or history.empty or "outcome" not in history:
            return
        known = history["outcome"].notna() & (history["outcome"] != "sent")
        if "planned" in history:
            known &= ~history["planned"].fillna(False).astype(bool)
        customer = catalogue.codes_of("customer", history["customer_id"])
        where = catalogue.codes_of("channel", history["channel"])
        known_mask = known.to_numpy() & (customer >= 0) & (where >= 0)
        key = (customer * self.channels + where)[known_mask]
        reached = (history["outcome"] != "bounced").to_numpy(np.float64)[known_mask]
        self.tried = np.bincount(key, minlength=size).astype(np.float64)
        self.reached = np.bincount(key, weights=reached, minlength=size)

    @property
    def personal(self) -> bool:
        """Whether any customer has a rate of their own."""
        return bool((self.tried >= OWN_RATE_FROM).any())

    def of(self, customer: np.ndarray, channel: np.ndarray) -> np.ndarray:
        """Return the rate for each (customer, channel)."""
        key = customer * self.channels + channel
        base = self.base[channel]
        tried = self.tried[key]
        own = (self.reached[key] + OWN_RATE_WEIGHT * base) / (tried + OWN_RATE_WEIGHT)
        return np.where(tried >= OWN_RATE_FROM, own, base)

"""Who is held out, and who gets a contact at random: by hash, so that nobody's place depends on others.

A unit, a customer or a household, gets a number from 0 to 1 out of a key and its id; it is in a group if the
number is below the group's share. The numbers of other keys, and of other offers, are independent of it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from omniopt.actions.candidates import Candidates
from omniopt.actions.catalogue import Catalogue
from omniopt.rules.policy import Learning, Policy
from omniopt.rules.units import Units, build_units
from omniopt.rules.where import Scopes

CONTROL, EXPLORATION = "control group", "exploration"
RULE = "learning"


def control_of(offer: str) -> str:
    """Return the reason against candidates of an offer whose own control group a customer is in."""
    return f"{CONTROL} of offer {offer}"


def chance(ids: pd.api.extensions.ExtensionArray, *key: str) -> np.ndarray:
    """Give every id a number from 0 to 1 that follows from the key and the id alone.

    What `pandas.util.hash_array` makes of the id: its SipHash (Aumasson and Bernstein 2012, INDOCRYPT,
    489-508), under a key that is the BLAKE2b digest of the parts of ``key``.

    Parameters
    ----------
    ids : array of str, shape (n,)
    *key : str

    Returns
    -------
    ndarray of float64, shape (n,)
        In [0, 1).
    """
    secret = hashlib.blake2b("\0".join(key).encode(), digest_size=8).hexdigest()
    hashed = pd.util.hash_array(np.asarray(ids, dtype=object), hash_key=secret, categorize=False)
    return (hashed >> np.uint64(11)).astype(np.float64) * 2.0**-53


@dataclass(frozen=True)
class HoldOut:
    """The groups that chance put customers into.

    Attributes
    ----------
    learning : Learning
    units : Units
        Customers of one unit are in the same groups.
    control : ndarray of bool, shape (customers,)
        No contact at all.
    offers : ndarray of bool, shape (offers, customers)
        No contact with this offer.
    explored : ndarray of bool, shape (customers,)
        One contact at random for each unit, where its own rules allow any.
    pinned : ndarray of bool, shape (customers,)
        Not to be explored: people insist on a contact of the unit.
    stratum : ndarray of str, shape (customers,)
        Values of the columns that ``by`` names, joined.
    """

    learning: Learning
    units: Units
    control: np.ndarray
    offers: np.ndarray
    explored: np.ndarray
    pinned: np.ndarray
    stratum: np.ndarray

    def reasons(self, catalogue: Catalogue) -> list[str]:
        """Return the reasons against held-out candidates: of the control group, then of each offer's."""
        return [CONTROL, *(control_of(offer) for offer in catalogue.ids("offer"))]

    def take_out(self, candidates: Candidates) -> None:
        """Take the candidates of those who are held out, with the reason."""
        offer = candidates.catalogue.actions.codes["offer"][candidates.action]
        own = self.offers[offer, candidates.customer]
        why = self.reasons(candidates.catalogue)
        candidates.drop(self.control[candidates.customer], CONTROL)
        for code in np.flatnonzero(self.offers.any(axis=1)):
            candidates.drop(own & (offer == code), why[code + 1])


def hold_out(policy: Policy, scopes: Scopes, locks: list[list[str]]) -> HoldOut | None:
    """Say who is in which group; None where the policy learns nothing.

    Parameters
    ----------
    policy : Policy
    scopes : Scopes
        Gets the faults.
    locks : list of [customer_id, action_id, …]
        Contacts that people insist on: such customers get none at random.
    """
    learning = policy.learning
    if learning is None:
        return None
    catalogue, control = scopes.catalogue, learning.control
    for rule in policy.eligibility:
        if rule.name in (CONTROL, EXPLORATION) or rule.name.startswith(control_of("")):
            scopes.fault(rule.name, "this name is that of a group of learning", "Give the rule another one.")
    household = control is not None and control.unit == "household"
    units = build_units(policy.contact, scopes, RULE if household else None)
    out = explored = np.zeros(len(units.of), bool)
    offers = np.zeros((len(catalogue.entities["offer"]), len(units.of)), bool)
    names, ids = units.names, catalogue.ids("offer")
    if control is not None and control.share is not None:
        out = (chance(names, control.key) < control.share)[units.of]
    if control is not None and control.per_offer is not None:
        for code in np.unique(catalogue.actions.codes["offer"]):
            offers[code] = (chance(names, control.key, ids[code]) < control.per_offer)[units.of]
    insisted = catalogue.codes_of("customer", pd.Series([str(p[0]) for p in locks], dtype="str"))
    pinned = np.isin(units.of, units.of[insisted[insisted >= 0]])
    if learning.explore is not None:
        wanted = chance(names, learning.explore.key, "who") < learning.explore.share
        explored = wanted[units.of] & ~out & ~pinned
    stratum = _strata(control.by if control else [], scopes)
    return HoldOut(learning, units, out, offers, explored, pinned, stratum)


def _strata(by: list[str], scopes: Scopes) -> np.ndarray:
    """Join the values of some columns of customers, for each customer."""
    customers = scopes.catalogue.entities["customer"]
    columns = []
    for name in by:
        root, _, column = name.partition(".")
        # By its id each customer would be a stratum of one.
        if root != "customer" or column not in customers.columns[1:]:
            legal = ", ".join(f"customer.{c}" for c in customers.columns[1:])
            scopes.fault(RULE, f"'by' names no column of customers: '{name}'", f"legal here: {legal}")
            continue
        columns.append(customers[column].astype("str").fillna(""))
    if not columns:
        return np.full(len(customers), "", dtype=object)
    first, *others = columns
    return (first.str.cat(others, sep=", ") if others else first).to_numpy(dtype=object)

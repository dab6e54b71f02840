"""Eligibility: which candidates the policy and the planners take out, and why."""

from __future__ import annotations

import numpy as np

from omniopt.actions.candidates import Candidates
from omniopt.errors import Faults
from omniopt.rules.policy import Eligibility
from omniopt.rules.where import Scopes

VETO = "veto"


def drop_ineligible(candidates: Candidates, rules: list[Eligibility], scopes: Scopes) -> dict[str, int]:
    """Take out what each rule drops, in the policy's order.

    A contact is matched on its own channel; if only its fallback matches, the fallback is what
    is dropped, since the contact itself remains allowed.

    Returns
    -------
    dict of str to int
        For each rule how many candidates it matched, whether or not an earlier rule had them.
    """
    matched: dict[str, int] = {}
    for rule in rules:
        mask = scopes.match(rule.drop, candidates.rows(1), rule.name)
        if scopes.names_channel(rule.drop):
            behind = scopes.match(rule.drop, candidates.rows(2), rule.name) & (candidates.fallback >= 0)
            candidates.fallback[behind] = -1
        candidates.drop(mask, rule.name)
        matched[rule.name] = int(mask.sum())
    return matched


def find_pairs(candidates: Candidates, pairs: list[list[str]], what: str, faults: Faults) -> np.ndarray:
    """Return the positions of (customer_id, action_id) pairs; unknown ones are faults.

    Parameters
    ----------
    candidates : Candidates
    pairs : list of [customer_id, action_id, …]
    what : str
        "veto" or "lock", for the message.
    """
    catalogue = candidates.catalogue
    customers = {c: i for i, c in enumerate(catalogue.ids("customer"))}
    actions = {a: i for i, a in enumerate(catalogue.ids("action"))}
    key = candidates.customer * max(len(actions), 1) + candidates.action
    found = []
    for customer, action, *_ in pairs:
        wanted = customers.get(str(customer), -1) * max(len(actions), 1) + actions.get(str(action), -1)
        at = int(np.searchsorted(key, wanted))
        known = str(customer) in customers and str(action) in actions and at < len(key) and key[at] == wanted
        if not known:
            faults.add(f"the {what} of customer {customer}, action {action} names no candidate",
                       hint="Check both ids against the candidates.")  # fmt: skip
            continue
        found.append(at)
    return np.array(sorted(set(found)), np.int64)

"""Rules that match nothing, which the reader should know of."""

from __future__ import annotations

from typing import Any

import numpy as np

from omniopt.actions.candidates import Candidates
from omniopt.rules.contact import matches
from omniopt.rules.limits import Coupling
from omniopt.rules.policy import Policy
from omniopt.rules.where import Scopes


def idle_rules(
    policy: Policy,
    eligibility: dict[str, int],
    couplings: list[Coupling],
    candidates: Candidates,
    scopes: Scopes,
) -> list[str]:
    """Say which rules match nothing.

    Parameters
    ----------
    policy : Policy
    eligibility : dict of str to int
        How many candidates each eligibility rule matched.
    couplings : list of Coupling
    candidates : Candidates
        The living ones.
    scopes : Scopes
    """
    notes = [f"rule '{name}' drops nothing" for name, count in eligibility.items() if not count]
    touched = {limit.name: np.zeros(2, np.int64) for limit in policy.limits}
    for coupling in couplings:
        sizes = [np.diff(part.indptr) for part in (coupling.numerator, coupling.denominator)]
        for name, *size in zip(coupling.rule, *sizes, strict=True):
            touched[name] += size
    notes += [f"limit '{name}' matches no candidate" for name, size in touched.items() if not size[0]]
    ratios = [limit.name for limit in policy.limits if limit.over is not None]
    notes += [
        f"'over' of limit '{n}' matches no candidate" for n in ratios if touched[n][0] and not touched[n][1]
    ]

    def found(where: dict[str, Any], rule: str) -> bool:
        return bool(matches(candidates, scopes, where, rule).any())

    for rule in policy.contact:
        if not found(rule.where, rule.name):
            notes.append(f"contact rule '{rule.name}' matches no candidate")
    sides = [("conflict", r, ("first", "then")) for r in policy.conflicts]
    sides += [("requirement", r, ("offer", "needs")) for r in policy.requires]  # type: ignore[misc]
    for word, pair, keys in sides:
        for key in keys:
            if not found(getattr(pair, key), pair.name):
                notes.append(f"'{key}' of {word} '{pair.name}' matches no candidate")
    return notes

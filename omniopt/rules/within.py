"""All rules within units, stated on candidates: contact rules, conflicts, prerequisites."""

from __future__ import annotations

from omniopt.actions.candidates import Candidates
from omniopt.rules.contact import ContactRows
from omniopt.rules.pairs import PairRows
from omniopt.rules.policy import Policy
from omniopt.rules.unit_rows import UnitRows
from omniopt.rules.units import Units
from omniopt.rules.where import Scopes


def build_unit_rows(candidates: Candidates, policy: Policy, scopes: Scopes, grouping: Units) -> UnitRows:
    """Return the rows of all rules within units: contact rules, conflicts, prerequisites."""
    pairs = PairRows(candidates, scopes, grouping)
    contact = ContactRows(candidates, scopes, grouping).build(policy.contact)
    return UnitRows.stack([contact, pairs.conflicts(policy.conflicts), pairs.requires(policy.requires)])

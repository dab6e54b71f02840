"""The candidates in lots of customers: only one lot is in memory at a time, however many there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from omniopt.audit.arms import Drawn, take_out
from omniopt.audit.arrays import position
from omniopt.audit.candidates import Candidates, build, eliminate, rows_per_customer
from omniopt.audit.history import history_rows
from omniopt.audit.inputs import Inputs
from omniopt.audit.scope import Rows, Unchecked
from omniopt.audit.units import households

# Candidates that are looked at together; bounds memory, never changes a result.
LOT = 1_000_000


@dataclass
class Lot:
    """All candidates of some customers; a household is never parted.

    Attributes
    ----------
    inputs : Inputs
        With the rows of these customers only.
    everything : Candidates
        As built, with the reasons for which some fell out.
    kept : ndarray of int
        Those that stayed.
    living : Candidates
        The same.
    past : Rows
        Contacts of the past and commitments that count.
    unread : list of str
        Why eligibility rules could not be read.
    drawn : Drawn
        Contacts at random.
    """

    inputs: Inputs
    everything: Candidates
    kept: np.ndarray
    living: Candidates
    past: Rows
    unread: list[str]
    drawn: Drawn

    def find(self, keys: np.ndarray) -> np.ndarray:
        """Positions among the living candidates by `Inputs.key`; -1 where there is none."""
        return position(self.inputs.key(self.living.rows), keys)


class Lots:
    """The lots of a project; each is built anew whenever it is asked for, unless it is the only one."""

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        rows = rows_per_customer(inputs)
        unit = _units(inputs)
        of_unit = np.bincount(unit, rows, minlength=1)
        number = ((np.cumsum(of_unit) - of_unit) // LOT)[unit]
        # Which lot each customer is in; an id that is none is in the first.
        _, lot = np.unique(number, return_inverse=True)
        self.number = np.append(lot, 0)
        self.members = np.argsort(lot, kind="stable")
        self.edge = np.searchsorted(lot[self.members], np.arange(int(lot.max(initial=0)) + 2))
        self.only: Lot | None = None

    def __len__(self) -> int:
        return len(self.edge) - 1

    def __iter__(self) -> Iterator[Lot]:
        for k in range(len(self)):
            yield self[k]

    def __getitem__(self, k: int) -> Lot:
        if self.only is not None:
            return self.only
        if len(self) == 1:
            self.only = _lot(self.inputs)
            return self.only
        return _lot(self.inputs.of(self.members[self.edge[k] : self.edge[k + 1]]))


def _lot(inputs: Inputs) -> Lot:
    everything = build(inputs, inputs.scores)
    unread = eliminate(inputs, everything)
    drawn = take_out(inputs, everything)
    kept = np.flatnonzero(everything.reason == 0)
    living = everything if len(kept) == len(everything) else everything.take(kept)
    rows, counts = history_rows(inputs)
    return Lot(inputs, everything, kept, living, rows.take(counts), unread, drawn)


def _units(inputs: Inputs) -> np.ndarray:
    """What must not be parted: households, if a rule speaks of them, else customers."""
    rules = inputs.policy.get("contact") or []
    if inputs.arms is not None and inputs.arms.word == "household":
        return inputs.arms.unit
    if any(isinstance(rule, Mapping) and rule.get("unit") == "household" for rule in rules):
        try:
            return households(inputs)
        except Unchecked:
            pass  # such a rule is a finding of its own
    return np.arange(len(inputs.world.ids["customer"]))

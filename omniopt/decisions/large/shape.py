"""What the decomposed solver works on: candidates as columns, rows over bins, rows within units.

A *bin* is a group of customers that all rules treat alike, with a *kind* of contact: an action and
the channel that takes over if it fails. Within a bin candidates differ only in their measures, so a
coupling row's use of candidate j of bin b is linear in them,

    a_kj = Σ_t A_k[b, t] M_jt        with M_j0 = 1,

and so is its worth at prices λ: one table ``W = O - Aᵀλ`` of shape (bins, terms), made once per
pass, is all that the kernels have to look up.

Flattened, bins × terms is the space that `Coupling` and `System` of a large problem speak of: what
they call a candidate is here a pair (bin, term), and what they call a choice is the sum of the
chosen candidates' M, by bin.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from omniopt.actions.catalogue import Catalogue
from omniopt.decisions.system import System
from omniopt.project import Project
from omniopt.rules.limits import Coupling
from omniopt.rules.policy import Policy
from omniopt.rules.units import Units
from omniopt.tables import Tables


@dataclass(frozen=True)
class Bins:
    """Groups of customers × kinds of contacts; bin = group × kinds + kind.

    Attributes
    ----------
    group_of : ndarray of int32, shape (customers,)
        Group of every customer.
    customer : ndarray of int64, shape (g,)
        One customer of each group, who stands for it.
    action, fallback : ndarray of int64, shape (kinds,)
        Of each kind; fallback is a channel, or -1. Sorted by action, then fallback.
    occurs : ndarray of bool, shape (b,)
        Whether a living candidate is in the bin.
    terms : list of str
        Measures that differ within bins: term t is ``terms[t - 1]``, term 0 the number 1. ``missed``
        is the share of contacts that the fallback has to carry.
    constant : dict of str to ndarray of float64, shape (b,)
        Measures of candidates that are the same throughout each bin; 0 where nobody is.
    """

    group_of: np.ndarray
    customer: np.ndarray
    action: np.ndarray
    fallback: np.ndarray
    occurs: np.ndarray
    terms: list[str]
    constant: dict[str, np.ndarray]

    @property
    def kinds(self) -> int:
        """How many kinds of contacts there are."""
        return len(self.action)

    @property
    def width(self) -> int:
        """How many numbers a bin has in a table: 1 and one for each term."""
        return 1 + len(self.terms)

    def __len__(self) -> int:
        return len(self.customer) * len(self.action)


@dataclass(frozen=True)
class Columns:
    """Living candidates, sorted by unit, customer and kind; arrays may be memory-mapped.

    Attributes
    ----------
    start : ndarray of int64, shape (u + 1,)
        Candidates of unit i are ``start[i]:start[i + 1]``; no unit is empty.
    bin : ndarray of int32, shape (n,)
    measures : ndarray of float64, shape (n, t)
        What differs within bins, by `Bins.terms`; C order.
    customer : ndarray of int32, shape (n,) or (u,)
        Customer of every candidate, or of every unit where units are customers.
    base : ndarray of int32, shape (u,)
        Key 0 of a unit's template stands for this bin. Not used where ``key`` is given.
    key : ndarray of int32, shape (n,) or (0,)
        Key of every candidate in its unit's template, where units hold several customers.
    template : ndarray of int32, shape (u,)
        Which rows hold within the unit.
    shown : dict of str to ndarray of float64, shape (n,)
        Measures that the plan shows and that are neither in ``measures`` nor constant in their bins.
    """

    start: np.ndarray
    bin: np.ndarray
    measures: np.ndarray
    customer: np.ndarray
    base: np.ndarray
    key: np.ndarray
    template: np.ndarray
    shown: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.bin)

    @property
    def units(self) -> int:
        """How many units there are."""
        return len(self.start) - 1

    @functools.cached_property
    def largest(self) -> np.ndarray:
        """The largest measure by size of every term, float64 of shape (t,)."""
        lots = np.array_split(self.measures, 1 + len(self.measures) // 1_000_000)
        return np.max([np.abs([m.min(axis=0, initial=0.0), m.max(axis=0, initial=0.0)]).max(axis=0)
                       for m in lots], axis=0)  # fmt: skip

    @functools.cached_property
    def templates(self) -> np.ndarray:
        """The templates of any unit, ascending."""
        return np.unique(self.template)


ONE, FREE, GENERAL = 0, 1, 2  # of templates: at most one contact, no row at all, anything else


@dataclass(frozen=True)
class Templates:
    """Rows within a unit, shared by all units to which they apply alike.

    A template speaks of *keys*: places that a candidate can take in its unit. A row bounds the
    number of distinct classes among the chosen keys, as in `UnitRows`; members that a unit has no
    candidate for are not there. Rows, slots and keys are numbered within their template.

    Attributes
    ----------
    key_start : ndarray of int64, shape (s + 1,)
        Keys of template i are ``key_start[i]:key_start[i + 1]`` in ``entry_start``.
    entry_start : ndarray of int64, shape (keys + 1,)
        Memberships of each key.
    entry_row, entry_slot : ndarray of int32
        The row, and the class's slot: one for every distinct (row, class) of a template.
    row_start : ndarray of int64, shape (s + 1,)
    lo, cap, trigger : ndarray of int32, shape (rows,)
        As in `UnitRows`; ``trigger`` is ALWAYS, ANY or the key that has to be chosen. A row whose
        triggering key a unit does not have asks for nothing.
    optional : ndarray of bool, shape (rows,)
        Whether the lower bound is asked only of units that have a candidate among the members.
    rule : ndarray of int32, shape (rows,)
        Position in ``names``.
    slots : ndarray of int32, shape (s,)
        How many slots a template has.
    shape : ndarray of int8, shape (s,)
        ONE where "at most one contact" says all that the rows say, FREE where there is no row.
    names : list of str
    """

    key_start: np.ndarray
    entry_start: np.ndarray
    entry_row: np.ndarray
    entry_slot: np.ndarray
    row_start: np.ndarray
    lo: np.ndarray
    cap: np.ndarray
    trigger: np.ndarray
    optional: np.ndarray
    rule: np.ndarray
    slots: np.ndarray
    shape: np.ndarray
    names: list[str]

    def __len__(self) -> int:
        return len(self.slots)


@dataclass(frozen=True)
class RankedBins:
    """One of the policy's objectives as maximised, over (bin, term), and what opening each cell adds."""

    objective: np.ndarray
    cells: np.ndarray


@dataclass(frozen=True)
class Large:
    """The integer program of a project, for the decomposed solver.

    Attributes
    ----------
    tables : Tables
        ``candidates`` is None where they were streamed.
    coupling, watched : Coupling
        Over (bin, term).
    system : System
        Of the objective at hand, over (bin, term).
    ranked : list of RankedBins
    templates : Templates
    grouping : Units
        The unit of every customer.
    locked : ndarray of int64
        Candidates that have to be chosen; their units' templates see to it.
    dropped : dict of str to int
        Candidates that were taken out, by reason.
    eligibility : dict of str to int
        For each eligibility rule how many candidates it matched.
    candidates_given : int
        Candidates before any was taken out.
    """

    project: Project
    tables: Tables
    policy: Policy
    catalogue: Catalogue
    bins: Bins
    columns: Columns
    coupling: Coupling
    watched: Coupling
    system: System
    ranked: list[RankedBins]
    templates: Templates
    grouping: Units
    locked: np.ndarray
    rank: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    eligibility: dict[str, int] = field(default_factory=dict)
    candidates_given: int = 0
    scores: pd.DataFrame | None = None
    model_scores: bool = False
    notes: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def sign(self) -> float:
        """1 where the policy maximises, -1 where it minimises (``system.objective`` is then negated)."""
        return self.policy.objectives[self.rank].sign

    def table(self, vector: np.ndarray) -> np.ndarray:
        """Lay a vector over (bin, term) out by bin, float64 of shape (bins, terms)."""
        return np.ascontiguousarray(vector.reshape(len(self.bins), self.bins.width))

    def __len__(self) -> int:
        return len(self.columns)

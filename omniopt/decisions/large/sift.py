"""From the candidates that are given to those that live."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numba
import numpy as np
import pandas as pd

from omniopt.actions.candidates import Candidates
from omniopt.actions.catalogue import Catalogue
from omniopt.actions.permission import build_permission
from omniopt.decisions.exploration import Draws, Trial, draw
from omniopt.decisions.large.bins import eligible, group_customers, list_kinds
from omniopt.decisions.large.gate import Gate, Given
from omniopt.decisions.large.shape import Bins
from omniopt.errors import Faults
from omniopt.project import Project
from omniopt.rules.eligibility import find_pairs
from omniopt.rules.holdout import HoldOut, hold_out
from omniopt.rules.policy import Policy
from omniopt.rules.units import build_units
from omniopt.rules.where import Scopes, expand
from omniopt.tables import Tables
from omniopt.tables.order import lots_of
from omniopt.tables.storage import empty_array, in_threads

LOT = 1 << 18  # candidates judged or valued at a time
LISTED = 1_000_000  # candidates up to which those that were taken out are listed


@dataclass(frozen=True)
class TakenOut:
    """Candidates that were taken out, with the reason; empty where they are too many to list."""

    customer: np.ndarray
    action: np.ndarray
    reason: np.ndarray
    reasons: list[str]


@dataclass(frozen=True)
class Living:
    """What is left of the given candidates, sorted by customer and kind.

    Attributes
    ----------
    customer : ndarray of int64, shape (c,)
        Those that have any, ascending.
    start : ndarray of int64, shape (c + 1,)
    bin : ndarray of int32, shape (n,)
    occurs : ndarray of bool, shape (b,)
        Whether any of them is in a bin.
    given : Given
    marks : ndarray of int32
        For each given candidate its bin, or -1 if it was taken out.
    dropped, matched : dict of str to int
        How many went for each reason, and how many each rule of the policy matched.
    out : TakenOut
    lock_reason : ndarray of int64
        For each lock the place of the reason that took it out, or 0.
    trial : Trial or None
        Who was held out, and the contacts drawn at random, which are among the locks.
    """

    customer: np.ndarray
    start: np.ndarray
    bin: np.ndarray
    occurs: np.ndarray
    given: Given
    marks: np.ndarray
    dropped: dict[str, int]
    matched: dict[str, int]
    out: TakenOut
    lock_reason: np.ndarray
    trial: Trial | None = None

    def __len__(self) -> int:
        return len(self.bin)

    def kept(self, values: np.ndarray) -> np.ndarray:
        """Return what belongs to the living of a column of all given candidates; itself if all live."""
        if len(self.bin) == len(self.marks):
            return values
        return _kept(values, self.marks, self.given.start, len(self.bin))


def sift(
    project: Project, policy: Policy, tables: Tables, scopes: Scopes, given: Given
) -> tuple[Living, Bins, tuple[np.ndarray, np.ndarray]]:
    """Take out what may not be.

    Returns
    -------
    living : Living
    bins : Bins
        Without measures.
    locks : pair of ndarray of int64
        Customer and kind of the contacts that people insist on.
    """
    catalogue, faults = scopes.catalogue, scopes.faults
    permission = build_permission(catalogue, tables, faults)
    group_of, customer = group_customers(policy, scopes)
    action, fallback = list_kinds(catalogue)
    bins = Bins(group_of, customer, action, fallback, np.zeros(len(customer) * len(action), bool), [], {})
    held = hold_out(policy, scopes, project.changes.get("locks", []))
    gate = Gate(catalogue, permission, policy, bins, eligible(policy, bins, scopes), scopes, held)
    vetoed = _find(project.changes.get("vetoes", []), "veto", given, catalogue, faults)[0]
    locked, whose, what = _find(project.changes.get("locks", []), "lock", given, catalogue, faults)
    draws = None
    if held is not None and held.learning.explore is not None and not faults:
        draws = _draws(given, gate, vetoed, held, policy, scopes)
    living = find_living(given, gate, vetoed, locked, draws)
    if held is not None:
        trial = Trial(catalogue, held, given.customer[np.diff(given.start) > 0], draws)
        living = replace(living, trial=trial)
    for why, c, a in zip(living.lock_reason, whose, what, strict=True):
        if why:
            contact = f"customer {catalogue.ids_of('customer')[c]}, action {catalogue.ids_of('action')[a]}"
            faults.add(f"the lock of {contact} cannot hold: {gate.reasons[why]}")
    whose, what = whose[living.lock_reason == 0], what[living.lock_reason == 0]
    if draws is not None:
        whose, what = np.append(whose, draws.customer), np.append(what, draws.action)
    kind = living.bin[places(living, bins, whose, what)] % bins.kinds
    return living, replace(bins, occurs=living.occurs), (whose, kind.astype(np.int64))


def _draws(
    given: Given, gate: Gate, vetoed: np.ndarray, held: HoldOut, policy: Policy, scopes: Scopes
) -> Draws:
    """Draw contacts at random; ``passed`` are positions among the given."""
    some, rows = given.among(held.explored)
    none = np.zeros(0, np.int64)
    living = find_living(some, gate, np.flatnonzero(np.isin(rows, vetoed)), none, None)
    kind = living.bin % gate.bins.kinds
    customer = np.repeat(living.customer, np.diff(living.start))
    blank = np.zeros(len(kind), np.int16)
    candidates = Candidates(
        scopes.catalogue, customer, gate.bins.action[kind], blank, [""], 1.0 + blank, gate.bins.fallback[kind]
    )
    drawn = draw(candidates, policy, scopes, held, build_units(policy.contact, scopes))
    return replace(drawn, passed=rows[np.flatnonzero(living.marks >= 0)[drawn.passed]])


def find_living(
    given: Given, gate: Gate, vetoed: np.ndarray, locked: np.ndarray, draws: Draws | None
) -> Living:
    """Judge all candidates, in lots of customers.

    Parameters
    ----------
    given : Given
    gate : Gate
    vetoed, locked : ndarray of int64
        Positions of what people ruled out or insist on, ascending.
    draws : Draws or None
        Contacts drawn at random, to which others give way.
    """
    passed = np.zeros(0, np.int64) if draws is None else draws.passed
    sieve = _Sieve(given, gate, vetoed, passed, locked)
    found = in_threads(sieve.judge, lots_of(given.start, LOT))
    counts, matched = (
        np.sum([one[place] for one in found] or [empty], axis=0)
        for place, empty in enumerate((np.zeros(len(gate.reasons), int), np.zeros(len(gate.rules), int)))
    )
    has = sieve.alive > 0
    start = np.concatenate([[0], np.cumsum(sieve.alive[has])])
    marks, size = sieve.marks, int(start[-1])
    return Living(
        given.customer[has], start, marks if size == len(marks) else _kept(marks, marks, given.start, size),
        sieve.occurs, given, marks,
        {reason: int(n) for reason, n in zip(gate.reasons[1:], counts[1:], strict=True) if n},
        {rule.name: int(n) for rule, n in zip(gate.rules, matched, strict=True)},
        sieve.taken_out([one.out for one in found]), sieve.lock_reason,
    )  # fmt: skip


class _Found(NamedTuple):
    """What a lot of candidates came to."""

    reasons: np.ndarray  # 0 is not counted
    matched: np.ndarray
    out: tuple[np.ndarray, np.ndarray, np.ndarray]


class _Sieve:
    """Judges lots, and writes what becomes of each candidate into its place."""

    def __init__(
        self, given: Given, gate: Gate, vetoed: np.ndarray, passed: np.ndarray, locked: np.ndarray
    ) -> None:
        self.given, self.gate, self.vetoed, self.passed, self.locked = given, gate, vetoed, passed, locked
        self.marks = empty_array(len(given), np.int32)
        self.alive = np.zeros(len(given.customer), np.int64)
        self.occurs = np.zeros(len(gate.bins), bool)
        self.lock_reason = np.zeros(len(locked), np.int64)

    def judge(self, lot: tuple[int, int]) -> _Found:
        """Judge the candidates of a lot of customers."""
        given, rows = self.given, self.given.rows(lot)
        bin, reason, matched = self.gate.judge(given, lot, self.vetoed, self.passed)
        start, counts = given.start[lot[0] : lot[1] + 1] - rows.start, np.zeros(len(self.gate.reasons), int)
        _settle(start, bin, reason, self.marks[rows], self.alive[slice(*lot)], self.occurs, counts)
        mine = slice(*np.searchsorted(self.locked, [rows.start, rows.stop]))
        self.lock_reason[mine] = reason[self.locked[mine] - rows.start]
        at = np.flatnonzero(reason) if len(given) <= LISTED else np.zeros(0, np.int64)
        owner = np.searchsorted(given.start, at + rows.start, side="right") - 1
        out = (given.customer[owner], given.actions(lot)[at], reason[at])
        return _Found(counts, matched, out)

    def taken_out(self, parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> TakenOut:
        """Join what lots took out."""
        none = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int16))
        customer, action, reason = (np.concatenate(part) for part in zip(none, *parts, strict=True))
        return TakenOut(customer, action, reason, self.gate.reasons)


@numba.njit(cache=True, nogil=True)
def _settle(start, bin, reason, marks, alive, occurs, counts):  # type: ignore[no-untyped-def]
    """Mark candidates by their bins, or -1; count the living of each customer, the others by reason."""
    for i in range(len(alive)):
        for j in range(start[i], start[i + 1]):
            if reason[j] == 0:
                marks[j] = bin[j]
                occurs[bin[j]] = True
                alive[i] += 1
            else:
                marks[j] = -1
                counts[reason[j]] += 1


def _kept(values: np.ndarray, marks: np.ndarray, start: np.ndarray, size: int) -> np.ndarray:
    """Keep the values whose mark is not -1."""
    found = empty_array(size, values.dtype)
    rows = [slice(int(start[a]), int(start[b])) for a, b in lots_of(start, LOT)]
    counts = in_threads(lambda own: int(np.count_nonzero(marks[own] >= 0)), rows)
    begins = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def keep(number: int) -> None:
        own = rows[number]
        found[begins[number] : begins[number + 1]] = values[own][marks[own] >= 0]

    in_threads(keep, range(len(rows)))
    return found


def _find(
    pairs: list[list[str]], word: str, given: Given, catalogue: Catalogue, faults: Faults
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find what people ruled out or insist on: positions among the given, customer and action."""
    none = np.zeros(0, np.int64)
    if not pairs:
        return none, none, none
    named = catalogue.codes_of("customer", pd.Series([str(pair[0]) for pair in pairs], dtype="str"))
    at = np.flatnonzero(np.isin(given.customer, named))
    count = np.diff(given.start)[at]
    rows = expand(given.start[at], count)
    lots = [given.actions((int(i), int(i) + 1)) for i in at]
    customer, action = np.repeat(given.customer[at], count), np.concatenate([none, *lots])
    blank = np.zeros(len(rows), np.int16)
    theirs = Candidates(catalogue, customer, action, blank, [""], 1.0 + blank, blank - 1)
    found = find_pairs(theirs, pairs, word, faults)
    return rows[found], customer[found], action[found]


def places(living: Living, bins: Bins, customer: np.ndarray, action: np.ndarray) -> np.ndarray:
    """Return where some contacts are among the living, in the order in which they are asked for."""
    at = np.searchsorted(living.customer, customer)
    found = []
    for begin, end, wanted in zip(living.start[at], living.start[at + 1], action, strict=True):
        found.append(begin + np.searchsorted(bins.action[living.bin[begin:end] % bins.kinds], wanted))
    return np.array(found, np.int64)

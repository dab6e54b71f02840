"""Living candidates as columns, from all candidates that are given."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from omniopt.actions.candidates import Candidates, Delivery, Valuation
from omniopt.actions.catalogue import Catalogue
from omniopt.decisions.large.gate import Gate, Given, lots_of
from omniopt.decisions.large.shape import Bins, Columns
from omniopt.errors import Faults
from omniopt.rules.units import Units
from omniopt.tables.storage import empty_array, in_threads

SHOWN = ("value", "cost", "response")  # what a plan shows of every contact
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
    marks : ndarray of int32
        For each given candidate its bin, or -1 if it was taken out.
    dropped, matched : dict of str to int
        How many went for each reason, and how many each rule of the policy matched.
    out : TakenOut
    lock_reason : ndarray of int64
        For each lock the place of the reason that took it out, or 0.
    """

    customer: np.ndarray
    start: np.ndarray
    bin: np.ndarray
    occurs: np.ndarray
    marks: np.ndarray
    given: Given
    dropped: dict[str, int]
    matched: dict[str, int]
    out: TakenOut
    lock_reason: np.ndarray

    def __len__(self) -> int:
        return len(self.bin)

    def kept(self, values: np.ndarray) -> np.ndarray:
        """Return what belongs to the living of a column of all given candidates; itself if all live."""
        if len(self.bin) == len(self.marks):
            return values
        return _compressed(self.marks, values, self.given.start, lots_of(self.given.start), len(self.bin))


def find_living(given: Given, gate: Gate, vetoed: np.ndarray, locked: np.ndarray) -> Living:
    """Judge all candidates, in lots of customers.

    Parameters
    ----------
    given : Given
    gate : Gate
    vetoed, locked : ndarray of int64
        Positions of what people ruled out or insist on, ascending.
    """
    marks = empty_array(len(given), np.int32)
    alive = np.zeros(len(given.customer), np.int64)
    occurs = np.zeros(len(gate.bins), bool)
    lots = lots_of(given.start)
    listed = len(given) <= LISTED
    why_locked = np.zeros(len(locked), np.int64)

    def judge(lot: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...]]:
        bin, reason, matched = gate.judge(given, lot, vetoed)
        rows, lives = given.rows(lot), reason == 0
        marks[rows] = np.where(lives, bin, -1)
        occurs[bin[lives]] = True
        begins = given.start[slice(*lot)] - rows.start
        alive[slice(*lot)] = np.add.reduceat(lives, begins, dtype=np.int64)
        mine = slice(*np.searchsorted(locked, [rows.start, rows.stop]))
        why_locked[mine] = reason[locked[mine] - rows.start]
        at = np.flatnonzero(~lives) if listed else np.zeros(0, np.int64)
        owner = np.searchsorted(given.start, at + rows.start, side="right") - 1
        out = (given.customer[owner], given.actions(lot)[at], reason[at])
        return np.bincount(reason, minlength=len(gate.reasons)), matched, out

    found = in_threads(judge, lots)
    counts = sum((one[0] for one in found), np.zeros(len(gate.reasons), np.int64))
    matched = sum((one[1] for one in found), np.zeros(len(gate.rules), np.int64))
    none = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int16))
    parts = [np.concatenate(p) for p in zip(none, *(one[2] for one in found), strict=True)]
    out = TakenOut(parts[0], parts[1], parts[2], gate.reasons)
    has = alive > 0
    start = np.concatenate([[0], np.cumsum(alive[has])])
    whole = int(start[-1]) == len(given)
    return Living(
        given.customer[has], start,
        marks if whole else _compressed(marks, marks, given.start, lots, int(start[-1])), occurs, marks, given,
        {reason: int(n) for reason, n in zip(gate.reasons[1:], counts[1:], strict=True) if n},
        {rule.name: int(n) for rule, n in zip(gate.rules, matched, strict=True)}, out, why_locked,
    )  # fmt: skip


def _compressed(
    marks: np.ndarray, values: np.ndarray, start: np.ndarray, lots: list[tuple[int, int]], size: int
) -> np.ndarray:
    """Keep the values whose mark is not -1."""
    found = empty_array(size, values.dtype)
    rows = [slice(int(start[a]), int(start[b])) for a, b in lots]
    counts = in_threads(lambda r: int(np.count_nonzero(marks[r] >= 0)), rows)
    begins = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def keep(number: int) -> None:
        own = rows[number]
        found[begins[number] : begins[number + 1]] = values[own][marks[own] >= 0]

    in_threads(keep, range(len(rows)))
    return found


# ---- measures


def valued(
    living: Living, bins: Bins, catalogue: Catalogue, valuation: Valuation, faults: Faults
) -> dict[str, np.ndarray]:
    """Work out value, cost and response of the living from scores."""
    columns = {name: empty_array(len(living), np.float64) for name in SHOWN}
    lots = lots_of(living.start)

    def value(lot: tuple[int, int]) -> tuple[set[str], Faults]:
        own = Faults()
        candidates, rows = _candidates(living, bins, catalogue, valuation.delivery, lot)
        valuation.value(candidates, own)
        for name, values in candidates.measures.items():
            columns[name][rows] = values
        return set(candidates.measures), own

    done = in_threads(value, lots)
    for _, own in done:
        faults.extend(own)
    known = set(SHOWN).intersection(*(names for names, _ in done))
    return {name: values for name, values in columns.items() if name in known}


def missed_share(living: Living, bins: Bins, catalogue: Catalogue, delivery: Delivery) -> np.ndarray:
    """Return which share of each contact its fallback has to carry."""
    share = empty_array(len(living), np.float64)

    def fill(lot: tuple[int, int]) -> None:
        candidates, rows = _candidates(living, bins, catalogue, delivery, lot)
        share[rows] = np.where(candidates.fallback >= 0, 1.0 - candidates.delivery, 0.0)

    in_threads(fill, lots_of(living.start))
    return share


def _candidates(
    living: Living, bins: Bins, catalogue: Catalogue, delivery: Delivery, lot: tuple[int, int]
) -> tuple[Candidates, slice]:
    """Return the living of a lot of customers as small problems know them, and where they are."""
    rows = slice(int(living.start[lot[0]]), int(living.start[lot[1]]))
    customer = np.repeat(living.customer[slice(*lot)], np.diff(living.start[lot[0] : lot[1] + 1]))
    kind = living.bin[rows] % bins.kinds
    action = bins.action[kind]
    rate = delivery.of(customer, catalogue.actions.codes["channel"][action])
    none = np.zeros(len(customer), np.int16)
    return Candidates(catalogue, customer, action, none, [""], rate, bins.fallback[kind]), rows


def constants(bin: np.ndarray, values: np.ndarray, bins: int) -> np.ndarray | None:
    """Return a measure by bin, 0 where nobody is; None if it differs within some bin."""
    found, seen = np.zeros(bins), np.zeros(bins, bool)
    return found if _constant(bin, values, found, seen) else None


@numba.njit(cache=True, nogil=True)
def _constant(bin, values, found, seen):  # type: ignore[no-untyped-def]
    for j in range(len(bin)):
        b = bin[j]
        if not seen[b]:
            seen[b], found[b] = True, values[j]
        elif found[b] != values[j]:
            return False
    return True


# ---- layout


@dataclass(frozen=True)
class Layout:
    """Order in which customers are laid out, and where their candidates begin.

    Attributes
    ----------
    order : ndarray of int64 or None
        Places of customers among the living, unit by unit; None where they lie in that order already.
    """

    living: Living
    order: np.ndarray | None
    start: np.ndarray
    customer: np.ndarray

    @staticmethod
    def of(living: Living, grouping: Units) -> Layout:
        """Lay customers out unit by unit."""
        unit = grouping.of[living.customer]
        if (np.diff(unit) >= 0).all():
            return Layout(living, None, living.start, living.customer)
        order = np.argsort(unit, kind="stable")
        start = np.concatenate([[0], np.cumsum(np.diff(living.start)[order])])
        return Layout(living, order, start, living.customer[order])

    def laid(self, values: np.ndarray) -> np.ndarray:
        """Return a column of the living in this order."""
        if self.order is None:
            return values
        found = empty_array(len(values), values.dtype)
        _lay(self.living.start, self.order, self.start, values, found)
        return found


@numba.njit(cache=True, nogil=True)
def _lay(start, order, to, values, found):  # type: ignore[no-untyped-def]
    for i in range(len(order)):
        begin = start[order[i]]
        for j in range(to[i + 1] - to[i]):
            found[to[i] + j] = values[begin + j]


def side_by_side(columns: list[np.ndarray], size: int) -> np.ndarray:
    """Put columns side by side in one array, float64 of shape (size, columns)."""
    if len(columns) == 1:
        return columns[0].reshape(size, 1)
    joined = empty_array((size, len(columns)), np.float64)
    for place, column in enumerate(columns):
        joined[:, place] = column
    return joined


def lay_columns(
    layout: Layout, bins: Bins, measures: list[np.ndarray], shown: dict[str, np.ndarray], grouping: Units,
    member: np.ndarray, template_of: np.ndarray,
) -> Columns:  # fmt: skip
    """Lay the living out, unit by unit.

    Parameters
    ----------
    layout : Layout
    bins : Bins
    measures : list of ndarray
        By ``bins.terms``, in the layout's order.
    shown : dict of str to ndarray
    grouping : Units
    member : ndarray of int32
        Number of every customer within its unit.
    template_of : ndarray of int32
        Template of every unit.
    """
    bin = layout.laid(layout.living.bin)
    common = side_by_side(measures, len(bin))
    if grouping.word == "customer":
        customer = layout.customer.astype(np.int32)
        base = bins.group_of[customer] * np.int32(bins.kinds)
        none = np.zeros(0, np.int32)
        return Columns(layout.start, bin, common, customer, base, none, template_of[customer], shown)
    unit = grouping.of[layout.customer]
    first = np.flatnonzero(np.diff(unit, prepend=-1))
    start = np.append(layout.start[first], len(bin))
    customer = np.repeat(layout.customer, np.diff(layout.start)).astype(np.int32)
    key = member[customer] * np.int32(bins.kinds) + bin % np.int32(bins.kinds)
    base = np.zeros(len(first), np.int32)
    return Columns(start, bin, common, customer, base, key, template_of[unit[first]], shown)

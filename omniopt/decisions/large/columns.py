"""Measures of the living candidates, and how all is laid out unit by unit."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from omniopt.actions.candidates import Candidates, Delivery
from omniopt.actions.catalogue import Catalogue
from omniopt.actions.valuation import Valuation
from omniopt.decisions.large.shape import Bins, Columns
from omniopt.decisions.large.sift import LOT, Living
from omniopt.errors import Faults
from omniopt.rules.units import Units
from omniopt.tables.order import lots_of
from omniopt.tables.storage import empty_array, in_threads

# ---- measures


def valued(
    living: Living, bins: Bins, catalogue: Catalogue, valuation: Valuation, faults: Faults
) -> dict[str, np.ndarray]:
    """Work out all measures of the living from scores."""
    columns = {name: empty_array(len(living), np.float64) for name in valuation.names}
    lots = lots_of(living.start, LOT)

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
    known = set(valuation.names).intersection(*(names for names, _ in done))
    return {name: values for name, values in columns.items() if name in known}


def missed_share(living: Living, bins: Bins, catalogue: Catalogue, delivery: Delivery) -> np.ndarray:
    """Return which share of each contact its fallback has to carry."""
    share = empty_array(len(living), np.float64)

    def fill(lot: tuple[int, int]) -> None:
        candidates, rows = _candidates(living, bins, catalogue, delivery, lot)
        share[rows] = np.where(candidates.fallback >= 0, 1.0 - candidates.delivery, 0.0)

    in_threads(fill, lots_of(living.start, LOT))
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

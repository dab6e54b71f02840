"""Passes over all units, in parallel, with results that do not depend on the number of threads.

Units are cut into a fixed number of parts of about equal size. Each is one call of a compiled
function that lets go of Python's lock, and what the parts bring is added up in their order.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from omniopt.decisions.large import passes
from omniopt.decisions.large.curvature import Rows
from omniopt.decisions.large.kernels import Data, Rules
from omniopt.decisions.large.parallel import in_parts
from omniopt.decisions.large.shape import Columns, Large, Templates
from omniopt.decisions.large.unit_rules import unit_rules
from omniopt.decisions.system import System

PARTS = 32
PART_SIZE = 32_768  # candidates that are worth a part of their own
LARGEST_PART = 2**26  # candidates of a part at most, so that it fits into one message


@dataclass(frozen=True)
class Sweep:
    """Sums over units at one table of worths.

    Attributes
    ----------
    value : float
        Of the units' best worths.
    smooth, mixed : float
        Of their smoothed worths, never below the best; and of what they are worth when each is split
        among its best sets as in the smoothed worth, never above the best.
    use : ndarray of float64, shape (b * t,)
        Of the chosen candidates' measures, by (bin, term); of those of the split if smoothed.
    tilt : ndarray of float64, shape (b * t,)
        How ``use`` changes as the width falls to 0, if the sets that share in each choice stay.
    curvature : ndarray of float64, shape (k, k), or None
        Of the smoothed worths, in the prices of the coupling rows.
    size : float
        What the terms of all units sum up to at most, for judging rounding errors.
    largest : ndarray of float64, shape (t,)
        The largest measure by size of every term.
    units, contacts : int
        How many units there are, and the contacts in the largest best set.
    cut : int
        Units whose search was cut; an upper bound stands for their best worth.
    impossible : int
        A unit that cannot keep its own rows, or -1.
    depth : int
        Additions one after the other that ``value`` comes from, more than a sweep needs.
    """

    value: float
    smooth: float
    mixed: float
    use: np.ndarray
    tilt: np.ndarray
    curvature: np.ndarray | None
    size: float
    largest: np.ndarray
    units: int
    contacts: int
    cut: int
    impossible: int
    depth: int = 0


@dataclass(frozen=True)
class BestSets:
    """What every unit does at one table of worths.

    Attributes
    ----------
    value : ndarray of float64, shape (u,)
        The best worth, noise included; where the search was cut an upper bound of it; -inf where a
        unit cannot keep its own rows.
    margin : ndarray of float64, shape (u,)
        Its lead over the next set; inf where there is none within the width asked for, 0 where
        the search was cut.
    chosen : ndarray of bool, shape (n,)
    searched : ndarray of bool, shape (u,)
        Whether the search ended.
    contacts : int
        In the largest set.
    largest : ndarray of float64, shape (t,)
        The largest measure by size of every term.
    """

    value: np.ndarray
    margin: np.ndarray
    chosen: np.ndarray
    searched: np.ndarray
    contacts: int
    largest: np.ndarray

    @property
    def units(self) -> int:
        """How many units there are."""
        return len(self.value)


class Engine:
    """Solves all units at given worths, on this machine's cores.

    Parameters
    ----------
    columns : Columns
    templates : Templates
    system : System
        Over (bin, term).
    width_of_table : int
        Numbers that a bin has in a table.

    Attributes
    ----------
    origin : ndarray of int64, shape (u,)
        The number that each unit has in the engine from which this one was taken.
    largest : ndarray of float64, shape (t,)
        The largest measure by size of every term, or more.
    lists : bool
        Whether it lists contacts as it tells units apart: what comes from afar is sums.
    """

    lists = True

    def __init__(self, columns: Columns, templates: Templates, system: System, width_of_table: int) -> None:
        self._set_up(_data(columns), unit_rules(templates), width_of_table)
        self.rows = _columns_of(system)
        self.origin, self.largest = np.arange(self.units), columns.largest

    def _set_up(self, data: Data, rules: Rules, width: int) -> None:
        self.data, self.width = data, width
        self.rules = Rules(*(read_only(v) for v in rules))
        start = data.start
        most = max(PARTS, len(data.bin) // LARGEST_PART)
        parts = max(1, min(most, len(data.bin) // PART_SIZE, len(start) - 1))
        self.cuts = np.searchsorted(start, np.linspace(0, len(data.bin), parts + 1))
        self.cuts[0], self.cuts[-1] = 0, len(start) - 1
        widest = int(np.diff(rules.row_start).max(initial=0))
        slots = int(rules.entry_slot.max(initial=-1)) + 1
        self.sizes = (int(np.diff(start).max(initial=0)) + 1, rules.mask.shape[1], widest + 1, slots + 1)

    @property
    def units(self) -> int:
        """How many units there are."""
        return len(self.data.start) - 1

    @property
    def candidates(self) -> int:
        """How many candidates there are."""
        return len(self.data.bin)

    def of(self, system: System) -> Engine:
        """Return the engine of the same units under other coupling rows."""
        other = copy.copy(self)
        other.rows = _columns_of(system)
        return other

    def sweep(
        self, table: np.ndarray, *, stride: int = 1, width: float = 0.0, curvature: bool = False
    ) -> Sweep:
        """Add up what the units do.

        Parameters
        ----------
        table : ndarray of float64, shape (b, t)
            Worths; -inf for what must not be chosen.
        stride : int
            Only units whose number is a multiple of it.
        width : float
            How far below a unit's best set another one gets a share of the smoothed choice; 0 for
            no smoothing.
        curvature : bool

        Returns
        -------
        Sweep
        """
        return self._swept(table, stride, width, curvature, np.zeros(0, np.bool_))

    def near(self, table: np.ndarray, width: float) -> tuple[Sweep, Engine, np.ndarray | None]:
        """Take the units apart that have another set within ``width`` of the best one.

        Returns
        -------
        Sweep
            Of all other units.
        Engine
            Of those units.
        ndarray of int64, or None
            The other units' contacts, as places of candidates in ascending order, if they are listed.
        """
        near, chosen = np.zeros(self.units, np.bool_), list[np.ndarray]()
        rest = self._swept(table, 1, width, False, near, chosen)
        return rest, self.taken(np.flatnonzero(near)), np.concatenate(chosen) if self.lists else None

    def _sums(
        self, stride: int, rows: Rows, table: np.ndarray, width: float, near: np.ndarray
    ) -> Iterator[passes.Sums]:
        """Return what the parts add up to, in their order."""
        arguments = (stride, self.data, self.rules, rows, table, width, near, self.sizes)
        return in_parts(passes.sweep_part, self.cuts, *arguments)

    def taken(self, units: np.ndarray) -> Engine:
        """Return the engine of some units alone, which are numbered anew."""
        data = self.data
        place = np.concatenate([[0], np.cumsum(data.start[units + 1] - data.start[units])])
        bins = np.empty(place[-1], np.uint32)
        measures = np.empty((place[-1], self.width - 1))
        keys = np.empty(place[-1] if len(data.key) else 0, np.int32)
        base, template = data.base[units], data.template[units]
        parts = max(1, min(PARTS, len(bins) // PART_SIZE))
        cuts = np.linspace(0, len(units), parts + 1).astype(np.int64)
        list(in_parts(passes.take_part, cuts, units, place, data, bins, measures, keys))
        other = object.__new__(Engine)
        other._set_up(
            Data(
                read_only(place), read_only(bins), read_only(measures), read_only(base), read_only(keys),
                read_only(template), 0,
            ),
            self.rules, self.width,
        )  # fmt: skip
        other.rows, other.origin, other.largest = self.rows, units, self.largest
        return other

    def chosen(self, table: np.ndarray, left_out: np.ndarray) -> np.ndarray:
        """Return the contacts of all units' best sets, but those of some units.

        Parameters
        ----------
        table : ndarray of float64, shape (b, t)
        left_out : ndarray of int64
            Units.

        Returns
        -------
        ndarray of int64
            Places of candidates, ascending.
        """
        out = np.zeros(self.units, np.bool_)
        out[left_out] = True
        parts = in_parts(passes.chosen_part, self.cuts, self.data, self.rules, _table(table), out, self.sizes)
        return np.concatenate(list(parts))

    def best(self, table: np.ndarray, *, width: float = math.inf, noise: float = 0.0) -> BestSets:
        """Return every unit's best set.

        Parameters
        ----------
        table : ndarray of float64, shape (b, t)
        width : float
            How far below the best set another one is looked for.
        noise : float
            Up to which each worth is raised, by a number that looks random but is always the same
            for a unit and a kind of contact, so that ties are broken in all ways.

        Returns
        -------
        BestSets
        """
        units, n = self.units, len(self.data.bin)
        value, margin = np.empty(units), np.empty(units)
        chosen, searched = np.zeros(n, np.bool_), np.empty(units, np.bool_)
        arguments = (self.data, self.rules, _table(table), float(width), float(noise), self.sizes)
        contacts = max(in_parts(passes.best_part, self.cuts, *arguments, value, margin, chosen, searched))
        return BestSets(value, margin, chosen, searched, contacts, self.largest)

    def losses(self, table: np.ndarray, units: np.ndarray) -> np.ndarray:
        """Return what some units lose if a candidate's fate is turned round.

        A chosen one is left out, another one is put in. Never overstated; 0 in units whose search
        was cut, inf where turning round is impossible.

        Returns
        -------
        ndarray of float64
            One number per candidate of the units, in their order.
        """
        units = np.asarray(units, np.int64)
        place = np.concatenate([[0], np.cumsum(self.data.start[units + 1] - self.data.start[units])])
        loss = np.empty(place[-1])
        parts = max(1, min(PARTS, len(units) // 256))
        cuts = np.linspace(0, len(units), parts + 1).astype(np.int64)
        arguments = (units, place, self.data, self.rules, _table(table), self.sizes, loss)
        list(in_parts(passes.losses_part, cuts, *arguments))
        return loss

    def _swept(
        self, table: np.ndarray, stride: int, width: float, curvature: bool, near: np.ndarray,
        chosen: list[np.ndarray] | None = None,
    ) -> Sweep:  # fmt: skip
        table = _table(table)
        rows = self.rows if curvature else self.rows._replace(count=0)
        use, tilt = np.zeros(table.shape), np.zeros(table.shape)
        bent, values = np.zeros((rows.count, rows.count)), []
        contacts, cut, impossible = 0, 0, -1
        smooth, mixed = [], []
        for part in self._sums(stride, rows, table, float(width), near):
            values += [part.value, part.value_low]
            smooth.append(part.smooth)
            mixed.append(part.mixed)
            use += part.use
            tilt -= part.tilt
            bent += part.curvature
            contacts, cut = max(contacts, part.contacts), cut + part.cut
            impossible = part.impossible if impossible < 0 else impossible
            if chosen is not None:
                chosen.append(part.chosen)
        value = math.fsum(values)
        bent += np.tril(bent, -1).T
        count = -(-self.units // stride)
        largest = np.where(np.isfinite(table), np.abs(table), 0.0) @ np.append(1.0, self.largest)
        size = count * (contacts + 1) * float(largest.max(initial=0.0))
        return Sweep(
            value, value + math.fsum(smooth), value + math.fsum(mixed), use.reshape(-1), tilt.reshape(-1),
            bent if curvature else None, size, self.largest, count, contacts, cut, impossible,
        )  # fmt: skip


def bound_of(
    large: Large, prices: np.ndarray, found: Sweep | BestSets, held: np.ndarray | None = None
) -> float:
    """Return the bound that prices prove, with the rounding error of its own computation added.

    -inf if a unit cannot keep its own rows.

    Parameters
    ----------
    large : Large
    prices : ndarray of float64, shape (k + q,)
        As `System.clipped` leaves them.
    found : Sweep or BestSets
        Of all units at the prices' worths, neither noisy nor of a sample.
    held : ndarray of int8, shape (g,), optional
        1 for cells held open, 0 for cells held closed, -1 for the others.
    """
    if isinstance(found, Sweep) and found.impossible >= 0:
        return -math.inf
    system = large.system
    prices, side = system.clipped(prices.copy())
    extra = (system.extra_objective - system.extra.T @ prices)[: system.g]
    gained = gains(extra, held)
    size = np.abs(system.objective) + abs(system.matrix).T @ np.abs(prices)
    cells = np.abs(system.extra_objective[: system.g]) + abs(system.extra[:, : system.g]).T @ np.abs(prices)
    largest = size.reshape(-1, 1 + len(found.largest)) @ np.append(1.0, found.largest)
    units = found.units * (found.contacts + 1) * float(largest.max(initial=0.0))
    terms = units + float(np.abs(prices * side).sum() + cells.sum())
    depth = (
        int(np.diff(system.matrix.tocsc().indptr).max(initial=0)) + len(found.largest) + found.contacts + 128
    )
    depth += found.depth if isinstance(found, Sweep) else 0
    # numpy adds in pairs, so that the error of a sum grows with the logarithm of its length
    value = float(np.sum(found.value))
    return math.fsum([*(prices * side), value, *gained]) + terms * depth * float(np.finfo(np.float64).eps)


def gains(extra: np.ndarray, held: np.ndarray | None) -> np.ndarray:
    """Return what cells add to the bound if opening each is worth ``extra``."""
    gained = np.maximum(extra, 0.0)
    if held is None:
        return gained
    return np.where(held == 1, extra, np.where(held == 0, 0.0, gained))


def _data(columns: Columns) -> Data:
    """Bring the columns to the types that the kernels are compiled for, without copying them."""
    return Data(
        start=read_only(np.asarray(columns.start, np.int64)),
        bin=read_only(np.asarray(columns.bin, np.int32)).view(np.uint32),
        measures=read_only(np.asarray(columns.measures, np.float64)),
        base=read_only(np.asarray(columns.base, np.int32)),
        key=read_only(np.asarray(columns.key, np.int32)),
        template=read_only(np.asarray(columns.template, np.int32)).view(np.uint32),
        first=0,
    )


def read_only(values: np.ndarray) -> np.ndarray:
    """Return a plain view that cannot be written to: one type for arrays in memory and in files."""
    view = np.ascontiguousarray(values).view(np.ndarray)
    view.flags.writeable = False
    return view


def _table(table: np.ndarray) -> np.ndarray:
    return read_only(np.asarray(table, np.float64))


def _columns_of(system: System) -> Rows:
    by_column = system.matrix.tocsc()
    start, row = by_column.indptr.astype(np.int64), by_column.indices.astype(np.int64)
    coefficient = by_column.data.astype(np.float64)
    return Rows(read_only(start), read_only(row), read_only(coefficient), len(system))

"""Units close to a change, apart from all others, whose choice holds as long as worths move but little."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from omniopt.decisions.large.shape import ONE, Large
from omniopt.decisions.large.sweep import PART_SIZE, PARTS, Engine, Sweep, read_only


@dataclass(frozen=True)
class Apart:
    """Units close to a change, apart from all others, which have no other set within ``reach`` of the best.

    Attributes
    ----------
    table : ndarray of float64, shape (b, t)
        The worths at which that holds.
    reach : float
    rest : Sweep
        What the others do.
    close : Engine
        Of the close ones.
    settled : list of ndarray of int64, or None
        The others' contacts, as places of candidates, in several ascending pieces; None if not known.
    """

    table: np.ndarray
    reach: float
    rest: Sweep
    close: Engine
    settled: list[np.ndarray] | None

    @classmethod
    def of(cls, engine: Engine, table: np.ndarray, reach: float) -> Apart:
        """Look at all units."""
        rest, close, settled = engine.near(table, reach)
        return cls(table, reach, rest, close, None if settled is None else [settled])

    def lead(self, large: Large, table: np.ndarray) -> float:
        """Return by how much the others' best sets lead for certain at other worths.

        Above 0, their sets are the same there. It is known where units have one contact at most: no
        more is lost than the worths of any two candidates of a unit, which are of one group of customers
        unless it is a household, or of one and of nothing, have come nearer to each other.
        """
        shut = np.isinf(table)
        alone = large.templates.shape[large.columns.templates] == ONE
        if not alone.all() or (shut != np.isinf(self.table)).any():
            return 0.0
        move = np.where(shut, 0.0, table) - np.where(shut, 0.0, self.table)
        spread = np.abs(move[:, 1:]) @ self.close.largest
        together = len(table) if len(large.columns.key) else large.bins.kinds
        up, down = (side.reshape(-1, together) for side in (move[:, 0] + spread, move[:, 0] - spread))
        nearer = up.max(axis=1, initial=0.0) - down.min(axis=1, initial=0.0)
        return self.reach - float(nearer.max(initial=0.0))

    def at(self, table: np.ndarray) -> Sweep:
        """Return what the others do at other worths, where their sets are the same."""
        worth = np.where(self.rest.use != 0.0, table.reshape(-1), 0.0)
        units = self.rest.units
        # so many measures may have been added up one after the other for one number
        depth = min(units, PART_SIZE) + units // PARTS
        return replace(self.rest, value=float(worth @ self.rest.use), depth=depth)

    def sweep(self, table: np.ndarray) -> Sweep:
        """Return what all units do at other worths, where the others' sets are the same."""
        return self.joined(self.close.sweep(table), table)

    def joined(self, found: Sweep, table: np.ndarray) -> Sweep:
        """Return a sweep of the close units with what the others are worth."""
        rest = self.at(table)
        return replace(
            found, value=found.value + rest.value, size=found.size + rest.size, units=rest.units,
            contacts=max(found.contacts, rest.contacts), cut=found.cut + rest.cut,
            impossible=max(found.impossible, rest.impossible), depth=rest.depth + 1,
        )  # fmt: skip

    def within(self, whole: Engine, table: np.ndarray, reach: float) -> Apart:
        """Look at the close units alone, at other worths at which the others lead by ``reach``.

        Parameters
        ----------
        whole : Engine
            Of all units.
        table : ndarray of float64, shape (b, t)
        reach : float
        """
        rest, close, settled = self.close.near(table, reach)
        origin = self.close.origin
        close.origin = origin[close.origin]
        pieces = None
        if self.settled is not None and settled is not None:
            shift = whole.data.start[origin] - self.close.data.start[:-1]
            unit = np.searchsorted(self.close.data.start, settled, side="right") - 1
            pieces = [*self.settled, settled + shift[unit]]
        rest = replace(self.joined(rest, table), use=self.rest.use + rest.use)
        return Apart(read_only(table), reach, rest, close, pieces)

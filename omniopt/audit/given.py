"""The project's own candidates by position: customer, action and measures in a few plain arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from omniopt.audit.arrays import code, expand
from omniopt.audit.scope import World
from omniopt.tables.coded import Coded


@dataclass
class Given:
    """The table of candidates in the order of customer and action.

    Attributes
    ----------
    start : ndarray of int
        First row of each customer of the world, and the number of rows.
    action : ndarray of int
        Each row's action, as a position in `action_at`.
    action_at : ndarray of int
        Where those actions stand in the world.
    measures : dict of str to ndarray of float
        Every column of numbers.
    """

    start: np.ndarray
    action: np.ndarray
    action_at: np.ndarray
    measures: dict[str, np.ndarray]

    @classmethod
    def of_table(cls, world: World, table: Coded) -> Given:
        """A table of candidates that was read, its ids found in the world's."""
        rows = np.zeros(len(world.ids["customer"]) + 1, dtype=np.int64)
        rows[code(world.ids["customer"], table.customer_ids) + 1] = np.diff(table.start)
        return cls(np.cumsum(rows), table.action, code(world.ids["action"], table.action_ids), table.measures)

    def rows(
        self, customers: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Customer, action and measures of the rows of some customers (sorted), or of all."""
        if customers is None:
            customers = np.arange(len(self.start) - 1)
        first, stop = self.start[customers], self.start[customers + 1]
        at: slice | np.ndarray
        if len(customers) and customers[-1] - customers[0] == len(customers) - 1:
            at = slice(first[0], stop[-1])
        else:
            at, _ = expand(first, stop)
        measures = {name: np.array(values[at], dtype=np.float64) for name, values in self.measures.items()}
        return np.repeat(customers, stop - first), self.action_at[self.action[at]], measures

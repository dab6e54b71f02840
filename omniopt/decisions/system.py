"""What ties the units together, with everything that is not a contact: cells, slacks, earlier objectives."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from omniopt.rules.limits import Coupling
from omniopt.rules.statements import states


@dataclass(frozen=True)
class System:
    """``max objective·x + extra_objective·e`` with ``lo ≤ matrix x + extra e ≤ hi`` and each unit's rows.

    Attributes
    ----------
    objective : ndarray of float64, shape (n,)
    extra_objective : ndarray of float64, shape (g + s,)
        Of the cells z, then of the slacks.
    matrix : csr_array, shape (k + q, n)
        The rows of the limits, then one for each earlier objective.
    extra : csr_array, shape (k + q, g + s)
    lo, hi : ndarray of float64, shape (k + q,)
    g : int
        Number of cells.
    slack_row : ndarray of int64, shape (s,)
        The row that each slack belongs to.
    slack_side : ndarray of float64, shape (s,)
        1 for what is missing below, -1 for what is over.
    limits : int
        Number of rows that are limits; the others hold earlier objectives.
    """

    objective: np.ndarray
    extra_objective: np.ndarray
    matrix: sparse.csr_array
    extra: sparse.csr_array
    lo: np.ndarray
    hi: np.ndarray
    g: int
    slack_row: np.ndarray
    slack_side: np.ndarray
    limits: int

    def __len__(self) -> int:
        return len(self.lo)

    def extras(self, coupling: Coupling, chosen: np.ndarray) -> np.ndarray:
        """Return cells and slacks of a choice: opened or not, and how far each soft row is missed.

        Parameters
        ----------
        coupling : Coupling
        chosen : ndarray of bool, shape (n,)

        Returns
        -------
        ndarray of float64, shape (g + s,)
        """
        opened = coupling.cells.opened(chosen).astype(np.float64)
        used = self.matrix @ chosen.astype(np.float64) + self.extra[:, : self.g] @ opened
        bound = np.where(self.slack_side > 0, self.lo[self.slack_row], self.hi[self.slack_row])
        missed = np.maximum(self.slack_side * (bound - used[self.slack_row]), 0.0)
        return np.concatenate([opened, missed])

    def clipped(self, prices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bring prices to where they prove something; return them and the bound that each speaks of.

        A price whose side has no bound is 0, and that of a row that may be missed is no more than
        what missing it costs.
        """
        side = np.where(prices > 0, self.hi, self.lo)
        prices = np.where(np.isfinite(side), prices, 0.0)
        if len(self.slack_row):
            cost = (
                self.extra[self.limits :, self.g :].T @ prices[self.limits :] - self.extra_objective[self.g :]
            )
            room = np.maximum(cost, 0.0)
            for row, sign, most in zip(self.slack_row, self.slack_side, room, strict=True):
                prices[row] = max(prices[row], -most) if sign > 0 else min(prices[row], most)
        return prices, np.where(np.isfinite(side) & (prices != 0), side, 0.0)

    @states("ranks")
    def next_rank(self, objective: np.ndarray, cell_objective: np.ndarray, floor: float) -> System:
        """Return the system of the next objective, in which this one stays at or above ``floor``."""
        slacks = len(self.slack_row)
        held, held_extra = (sparse.csr_array(v[None, :]) for v in (self.objective, self.extra_objective))
        return replace(
            self,
            objective=objective,
            extra_objective=np.concatenate([cell_objective, np.zeros(slacks)]),
            matrix=sparse.csr_array(sparse.vstack([self.matrix, held])),
            extra=sparse.csr_array(sparse.vstack([self.extra, held_extra])),
            lo=np.append(self.lo, floor),
            hi=np.append(self.hi, np.inf),
        )  # fmt: skip


@states("penalty")
def state_system(objective: np.ndarray, cell_objective: np.ndarray, coupling: Coupling) -> System:
    """Put the limits, their cells and the slacks of soft limits into one system."""
    soft = np.isfinite(coupling.penalty)
    below, above = (
        np.flatnonzero(soft & np.isfinite(coupling.lo)),
        np.flatnonzero(soft & np.isfinite(coupling.hi)),
    )
    row = np.concatenate([below, above])
    side = np.concatenate([np.ones(len(below)), -np.ones(len(above))])
    at = (row, np.arange(len(row)))
    slack = sparse.csr_array(sparse.coo_array((side, at), shape=(len(coupling), len(row))))
    extra = sparse.csr_array(sparse.hstack([coupling.cell_matrix, slack]))
    costs = np.concatenate([cell_objective, -coupling.penalty[row]])
    return System(
        objective, costs, coupling.matrix, extra, coupling.lo, coupling.hi, len(coupling.cells), row, side,
        len(coupling),
    )  # fmt: skip

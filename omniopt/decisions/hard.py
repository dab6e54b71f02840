"""Units that are too hard for the depth-first search: the exact solver takes them one by one.

A customer with dozens of contacts that conflict in many pairs, and no cap that bounds how many
are chosen, is an independent-set problem of its own; branch and bound on its rows is quick.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from omniopt.decisions import exact
from omniopt.decisions.model import state_model
from omniopt.decisions.problem import Problem

MOST = 200  # units or contacts handed to the exact solver at one time; beyond, bounds have to do


class HardUnits:
    """The units' rows, ready to be solved for one unit at a time.

    Parameters
    ----------
    problem : Problem
    unit_start : ndarray of int64, shape (u + 1,)
        Candidates of unit i are ``unit_start[i]:unit_start[i + 1]``.
    """

    def __init__(self, problem: Problem, unit_start: np.ndarray) -> None:
        model = state_model(problem)
        self.rows = sparse.csc_array(model.matrix[model.units])
        self.lo, self.hi = model.lo[model.units], model.hi[model.units]
        self.links, self.unit_start = model.links[model.links[:, 1] < model.n + model.m], unit_start
        self.asked = np.zeros(model.n, bool)
        self.asked[problem.units.member[problem.units.lo[problem.units.row] > 0]] = True

    def solve(self, unit: int, worth: np.ndarray, marks: np.ndarray) -> tuple[float, np.ndarray | None]:
        """Return an upper bound of a unit's best worth, nearly tight, and its best set.

        Parameters
        ----------
        unit : int
        worth : ndarray of float64, shape (n,)
        marks : ndarray of int8, shape (n,)
            +1 for contacts that have to be in, -1 for those that must not be, else 0.

        Returns
        -------
        float
            -inf if the marks cannot be kept.
        ndarray of bool or None
            Over the unit's candidates; None if nothing was found.
        """
        mine = np.arange(self.unit_start[unit], self.unit_start[unit + 1])
        shared = np.unique(self.links[np.isin(self.links[:, 0], mine), 1])
        part = sparse.csr_array(self.rows[:, np.concatenate([mine, shared])])
        held = np.diff(part.indptr) > 0
        none = np.zeros(len(shared))
        lower = marks[mine] == 1
        upper = (marks[mine] >= 0) & ((worth[mine] > 0) | self.asked[mine] | lower)
        integer = np.concatenate([np.ones(len(mine), bool), none > 0])
        outcome = exact.solve(
            np.concatenate([worth[mine], none]), part[held], self.lo[held], self.hi[held],
            np.concatenate([lower, none]), np.concatenate([upper, none + 1.0]), integer, 0.0, None,
        )  # fmt: skip
        chosen = None if outcome.values is None else outcome.values[: len(mine)] > 0.5
        return exact.rounded_up(outcome.bound), chosen

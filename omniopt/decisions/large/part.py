"""A part of a large problem: some of its units, with what all others leave of every limit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from omniopt.decisions.large.shape import Large
from omniopt.decisions.large.templates import unit_rows_of
from omniopt.decisions.model import Model, state_model
from omniopt.decisions.system import System
from omniopt.rules.unit_rows import UnitRows
from omniopt.rules.where import expand


@dataclass(frozen=True)
class Part:
    """The integer program of some units, the choice of all others being fixed.

    Attributes
    ----------
    at : ndarray of int64, shape (n,)
        Places of the candidates among those of the whole problem.
    unit : ndarray of int64, shape (n,)
        The unit of each, as its place in the list of the part's units.
    system : System
        Bounds less what the others use.
    units : UnitRows
    members : csr_array, shape (g, n)
    locked : ndarray of int64
    opened : ndarray of bool, shape (g,)
        Cells that the others open.
    used : ndarray of float64, shape (b t,)
        The others' sums of measures by (bin, term).
    """

    at: np.ndarray
    unit: np.ndarray
    system: System
    units: UnitRows
    members: sparse.csr_array
    locked: np.ndarray
    opened: np.ndarray
    used: np.ndarray

    def __len__(self) -> int:
        return len(self.at)

    def model(self, held: np.ndarray) -> Model:
        """Write the part down; ``held`` says of every cell 1 for open, 0 for closed, -1 for free."""
        model = state_model(self)
        if not model.g:
            return model
        z = slice(model.n + model.m, model.n + model.m + model.g)
        model.lower[z] = self.opened | (held == 1)
        model.upper[z] = held != 0
        # "nothing is opened without a contact" are the last rows; where others open a cell, they say nothing
        model.hi[-model.g :][self.opened] = np.inf
        return model


def part_of(large: Large, units: np.ndarray, used: np.ndarray, kept: np.ndarray | None = None) -> Part:
    """Cut some units out of a large problem.

    Parameters
    ----------
    large : Large
    units : ndarray of int64, shape (m,)
        Ascending.
    used : ndarray of float64, shape (b t,)
        The other units' sums of measures by (bin, term).
    kept : ndarray of bool, optional
        Which of the units' candidates to keep; the others are not chosen.

    Returns
    -------
    Part
    """
    columns = large.columns
    first, last = columns.start[units], columns.start[units + 1]
    at = expand(first, last - first)
    unit = np.repeat(np.arange(len(units)), last - first)
    rows = unit_rows_of(large.templates, columns, units)
    if kept is not None:
        at, unit, rows = at[kept], unit[kept], rows.among(kept)
    system = large.system
    rest = system.matrix @ used
    measures = terms_of(large, at)
    place = columns.bin[at].astype(np.int64) * large.bins.width
    part = replace(
        system,
        objective=contributions(system.objective, place, measures),
        matrix=gathered(system.matrix, place, measures),
        lo=system.lo - rest,
        hi=system.hi - rest,
    )
    cells = large.coupling.cells
    members = sparse.csr_array(cells.member.tocsc()[:, place])
    locked = np.flatnonzero(np.isin(at, large.locked))
    return Part(at, unit, part, rows, members, locked, cells.opened(used), used)


def use_of(large: Large, chosen: np.ndarray) -> np.ndarray:
    """Return the sums of a choice's measures by (bin, term), float64 of shape (b t,)."""
    columns, width = large.columns, large.bins.width
    place = columns.bin[chosen].astype(np.int64) * width
    size = len(large.bins) * width
    total = np.bincount(place, minlength=size).astype(np.float64)
    for t in range(1, width):
        total += np.bincount(place + t, columns.measures[chosen, t - 1], minlength=size)
    return total


def objective_of(large: Large, chosen: np.ndarray) -> np.ndarray:
    """Return what each contact of a choice adds to the objective at hand, as maximised."""
    columns, objective = large.columns, large.system.objective
    place = columns.bin[chosen].astype(np.int64) * large.bins.width
    total = objective[place]
    for t in range(1, large.bins.width):
        total += objective[place + t] * columns.measures[chosen, t - 1]
    return total


def terms_of(large: Large, at: np.ndarray) -> np.ndarray:
    """Return the measures of some candidates by term, the 1 of term 0 first."""
    return np.concatenate([np.ones((len(at), 1)), large.columns.measures[at]], axis=1)


def contributions(vector: np.ndarray, place: np.ndarray, measures: np.ndarray) -> np.ndarray:
    """Turn numbers of (bin, term) into numbers of candidates."""
    total = np.zeros(len(place))
    for t in range(measures.shape[1]):
        total += vector[place + t] * measures[:, t]
    return total


def gathered(matrix: sparse.csr_array, place: np.ndarray, measures: np.ndarray) -> sparse.csr_array:
    """Turn rows over (bin, term) into rows over candidates."""
    by_column = matrix.tocsc()
    parts = [by_column[:, place + t] @ sparse.diags_array(measures[:, t]) for t in range(measures.shape[1])]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    found = sparse.csr_array(total)
    found.eliminate_zeros()
    return found

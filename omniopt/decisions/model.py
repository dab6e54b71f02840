"""The integer program as arrays, row by row, and as text that a person can read.

Columns are one binary x per candidate; where several contacts share an occasion, one y per
occasion with x ≤ y; one binary z per cell that its first contact opens, with x ≤ z; and slacks s
of limits that may be missed at a price. Rows are the limits, the unit rows, and these links.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import sparse

from omniopt.decisions.problem import Problem
from omniopt.decisions.system import System
from omniopt.rules.distinct import distinct, numbered
from omniopt.rules.unit_rows import ALWAYS, ANY, NO_CAP, UnitRows


class Stated(Protocol):
    """What a model is written down from: a problem, or a part of a large one."""

    @property
    def system(self) -> System:
        """What is optimised across units."""

    @property
    def units(self) -> UnitRows:
        """The rows within units."""

    @property
    def members(self) -> sparse.csr_array:
        """1 for the candidates whose choice opens a cell, shape (g, n)."""

    @property
    def locked(self) -> np.ndarray:
        """Candidates that have to be chosen."""

    def __len__(self) -> int:
        """How many candidates there are."""


@dataclass(frozen=True)
class Model:
    """``max objective·w`` with ``lo ≤ matrix w ≤ hi``, ``lower ≤ w ≤ upper``, over w = (x, y, z, s).

    Attributes
    ----------
    objective, lower, upper : ndarray of float64, shape (n + m + g + s,)
    integer : ndarray of bool
        Which columns are whole numbers: x and z.
    matrix : csr_array
        Coupling rows (and those of earlier objectives), then unit rows, then links.
    lo, hi : ndarray of float64
    n, m, g, k : int
        Numbers of candidates, occasions, cells, coupling rows.
    unit_row : ndarray of int64, shape (r,)
        For each row within a unit its place in ``problem.units``.
    links : ndarray of int64, shape (l, 2)
        Candidates, and the columns y and then z that they imply.
    cell_links : slice
        Where the rows x ≤ z are; one for each of the last links.
    """

    objective: np.ndarray
    matrix: sparse.csr_array
    lo: np.ndarray
    hi: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    integer: np.ndarray
    n: int
    m: int
    g: int
    k: int
    unit_row: np.ndarray
    links: np.ndarray
    cell_links: slice

    @property
    def units(self) -> slice:
        """The rows that hold within units, with the links between x and y."""
        return slice(self.k, self.cell_links.start)


class _Block:
    """Rows by their entries, collected piece by piece."""

    def __init__(self, width: int) -> None:
        self.width, self.size = width, 0
        self.parts: list[sparse.csr_array] = []
        self.lo: list[np.ndarray] = []
        self.hi: list[np.ndarray] = []

    def add(
        self, size: int, entries: list[tuple[np.ndarray, np.ndarray, float | np.ndarray]],
        lo: float | np.ndarray = -np.inf, hi: float | np.ndarray = np.inf,
    ) -> None:  # fmt: skip
        """Add ``size`` rows with entries (row, column, value)."""
        row = np.concatenate([r for r, _, _ in entries]).astype(np.int64)
        column = np.concatenate([c for _, c, _ in entries]).astype(np.int64)
        value = np.concatenate([np.broadcast_to(np.asarray(v, np.float64), len(r)) for r, _, v in entries])
        part = sparse.coo_array((value, (row, column)), shape=(size, self.width))
        self.parts.append(sparse.csr_array(part))
        self.lo.append(np.broadcast_to(np.asarray(lo, np.float64), size))
        self.hi.append(np.broadcast_to(np.asarray(hi, np.float64), size))
        self.size += size


def state_model(problem: Stated) -> Model:
    """Write a problem down as one model."""
    n, system = len(problem), problem.system
    entry, shared_links, m = _occasions(problem)
    g, width = system.g, n + m + system.extra.shape[1]
    block = _Block(width)
    blank = sparse.csr_array((len(system), m))
    block.parts.append(sparse.csr_array(sparse.hstack([system.matrix, blank, system.extra])))
    block.lo.append(system.lo)
    block.hi.append(system.hi)
    unit_row = _unit_rows(block, problem, entry)
    _linked(block, shared_links)
    _filled(block, problem, entry, shared_links, n)
    members = problem.members.tocoo()
    cell_links = np.stack([members.col, n + m + members.row], axis=1).astype(np.int64)
    cell_links = cell_links[np.lexsort((cell_links[:, 0], cell_links[:, 1]))]
    begin = len(system) + block.size
    _linked(block, cell_links)
    if g:  # nothing is opened without a contact
        z = np.arange(n + m, n + m + g)
        block.add(g, [(z - n - m, z, 1.0), (cell_links[:, 1] - n - m, cell_links[:, 0], -1.0)], hi=0.0)
    lower, upper = np.zeros(width), np.ones(width)
    lower[problem.locked] = 1.0
    upper[n + m + g :] = np.inf
    integer = np.ones(width, bool)
    integer[n : n + m] = integer[n + m + g :] = False
    return Model(
        np.concatenate([system.objective, np.zeros(m), system.extra_objective]),
        sparse.csr_array(sparse.vstack(block.parts)), np.concatenate(block.lo), np.concatenate(block.hi),
        lower, upper, integer, n, m, g, len(system), unit_row, np.concatenate([shared_links, cell_links]),
        slice(begin, begin + len(cell_links)),
    )  # fmt: skip


def _occasions(problem: Stated) -> tuple[np.ndarray, np.ndarray, int]:
    """Give every class that several contacts share a column of its own.

    Returns
    -------
    entry : ndarray of int64, shape (2, e)
        (unit row, column) of every class of every row.
    links : ndarray of int64, shape (l, 2)
        Candidates and the columns of their shared classes.
    m : int
        Number of shared classes.
    """
    units, n = problem.units, len(problem)
    row = units.row
    same = _same_members(numbered(row, units.occasion), units.member, n)
    occasion = numbered(units.rule[row], units.occasion, same)
    # an occasion that only one contact can use needs no y: the contact stands for it
    pair = np.stack(distinct(occasion, units.member))
    shared = np.bincount(pair[0]) > 1
    y = n + np.cumsum(shared) - 1
    column = np.where(shared[occasion], y[occasion], units.member)
    link = pair[:, shared[pair[0]]]
    links = np.stack([link[1], y[link[0]]], axis=1) if link.size else np.zeros((0, 2), np.int64)
    return np.stack(distinct(row, column)), links, int(shared.sum())


def _same_members(which: np.ndarray, member: np.ndarray, n: int) -> np.ndarray:
    """Number the classes of rows anew, so that equal numbers mean equal members.

    The same class may have other members in another window or group, and then it is another one.
    Sets are told apart by the sum of random 64-bit numbers of their members.
    """
    if not len(member):
        return member
    marks = np.random.default_rng(0).integers(0, 2**63, n, dtype=np.int64).view(np.uint64)
    total = np.zeros(int(which.max()) + 1, np.uint64)
    np.add.at(total, which, marks[member])
    return np.unique(total, return_inverse=True)[1][which]


def _unit_rows(block: _Block, problem: Stated, entry: np.ndarray) -> np.ndarray:
    """Add the rows of the rules within units; return the place of each in ``problem.units``."""
    units = problem.units
    kinds = [np.flatnonzero(units.cap < NO_CAP)]
    _chosen_rows(block, entry, kinds[0], hi=units.cap[kinds[0]])
    always = np.flatnonzero((units.lo > 0) & (units.trigger == ALWAYS))
    _chosen_rows(block, entry, always, lo=units.lo[always])
    kinds.append(always)
    named = np.flatnonzero((units.lo > 0) & (units.trigger >= 0))
    _chosen_rows(block, entry, named, lo=0.0, trigger=(units.trigger[named], units.lo[named]))
    kinds.append(named)
    # none or at least lo: each of the row's columns asks for it
    mine = (units.lo > 0) & (units.trigger == ANY)
    any_row, any_column = entry[:, mine[entry[0]]]
    _chosen_rows(block, entry, any_row, lo=0.0, trigger=(any_column, units.lo[any_row]))
    kinds.append(any_row)
    return np.concatenate(kinds)


def _chosen_rows(
    block: _Block, entry: np.ndarray, rows: np.ndarray, lo: float | np.ndarray = -np.inf,
    hi: float | np.ndarray = np.inf, trigger: tuple[np.ndarray, np.ndarray] | None = None,
) -> None:  # fmt: skip
    """Add one row for each of the unit rows: the sum of its classes, less lo times the trigger's column."""
    begin = np.searchsorted(entry[0], rows, side="left")
    count = np.searchsorted(entry[0], rows, side="right") - begin
    at = np.repeat(begin - (np.cumsum(count) - count), count) + np.arange(int(count.sum()))
    entries: list[tuple[np.ndarray, np.ndarray, float | np.ndarray]] = [
        (np.repeat(np.arange(len(rows)), count), entry[1][at], 1.0)
    ]
    if trigger is not None:
        entries.append((np.arange(len(rows)), trigger[0], -trigger[1].astype(np.float64)))
    block.add(len(rows), entries, lo, hi)


def _linked(block: _Block, links: np.ndarray) -> None:
    """Add x ≤ y, or x ≤ z, for every link."""
    number = np.arange(len(links))
    block.add(len(links), [(number, links[:, 0], 1.0), (number, links[:, 1], -1.0)], hi=0.0)


def _filled(block: _Block, problem: Stated, entry: np.ndarray, links: np.ndarray, n: int) -> None:
    """Add y ≤ Σ x for the occasions that help to reach a lower bound."""
    helping = np.unique(entry[1][problem.units.lo[entry[0]] > 0])
    helping = helping[helping >= n]
    mine = links[np.isin(links[:, 1], helping)]
    row = np.searchsorted(helping, mine[:, 1])
    number = np.arange(len(helping))
    block.add(len(helping), [(number, helping, 1.0), (row, mine[:, 0], -1.0)], hi=0.0)


def describe(problem: Problem) -> str:
    """Write a (small) problem out as text: objective, rows by rule and group, in full.

    The same problem gives the same text on every machine; tests keep one for every rule kind.
    """
    model = state_model(problem)
    names = _column_names(problem, model)
    sign = problem.sign
    lines = ["maximise" if sign > 0 else "minimise"]
    lines.append("  " + _sum(sign * model.objective, np.arange(len(names)), names))
    lines.append("subject to")
    for i in range(model.matrix.shape[0]):
        begin, end = model.matrix.indptr[i : i + 2]
        terms = _sum(model.matrix.data[begin:end], model.matrix.indices[begin:end], names)
        lines.append(f"  {_row_name(problem, model, i)}: {_bounded(terms, model.lo[i], model.hi[i])}")
    if len(problem.locked):
        lines.append("locked")
        lines += [f"  {names[j]} = 1" for j in problem.locked]
    kinds = "binary x and z" if model.g else "binary x"
    slacks = ", s >= 0" if len(names) > model.n + model.m + model.g else ""
    return "\n".join([*lines, f"{kinds}, 0 <= y <= 1{slacks}", ""])


def _column_names(problem: Problem, model: Model) -> np.ndarray:
    catalogue, c = problem.catalogue, problem.candidates
    pairs = zip(catalogue.ids("customer")[c.customer], catalogue.ids("action")[c.action], strict=True)
    names = [f"x[{a}, {b}]" for a, b in pairs]
    names += [f"y[{i + 1}]" for i in range(model.m)]
    cells = problem.coupling.cells
    names += [f"z[{problem.label(r, g)}]" for r, g in zip(cells.rule, cells.group, strict=True)]
    names += [
        f"s{'+' if side < 0 else '-'}[{problem.row_label(int(k))}]"
        for k, side in zip(problem.system.slack_row, problem.system.slack_side, strict=True)
    ]
    return np.array(names, dtype=object)


def _row_name(problem: Problem, model: Model, i: int) -> str:
    if i < model.k:
        return (
            problem.row_label(i)
            if i < len(problem.coupling)
            else f"objective {i - len(problem.coupling) + 1}"
        )
    if i < model.k + len(model.unit_row):
        units, row = problem.units, model.unit_row[i - model.k]
        return f"{units.names[units.rule[row]]} [{problem.grouping.names[units.unit[row]]}]"
    return "occasion" if i < model.cell_links.start else "opening"


def _sum(values: np.ndarray, columns: np.ndarray, names: np.ndarray) -> str:
    parts = []
    for value, column in sorted(zip(values, columns, strict=True), key=lambda p: p[1]):
        if value:
            number = "" if abs(value) == 1 else f"{abs(value):.10g} "
            parts.append(f"{'-' if value < 0 else '+'} {number}{names[column]}")
    return " ".join(parts).removeprefix("+ ") or "0"


def _bounded(terms: str, lo: float, hi: float) -> str:
    if lo == hi:
        return f"{terms} = {hi:.10g}"
    left = f"{lo:.10g} <= " if np.isfinite(lo) else ""
    right = f" <= {hi:.10g}" if np.isfinite(hi) else ""
    return f"{left}{terms}{right}"

"""The integer program as arrays, row by row, and as text that a person can read.

Columns are one binary per candidate and, where several contacts share an occasion, one y per
occasion with x ≤ y. Rows are the limits, the unit rows, and these links.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from omniopt.decisions.problem import Problem


@dataclass(frozen=True)
class Model:
    """``max objective·z`` with ``lo ≤ matrix z ≤ hi``, ``lower ≤ z ≤ upper``; the first n of z binary.

    Attributes
    ----------
    objective, lower, upper : ndarray of float64, shape (n + m,)
    matrix : csr_array, shape (k + r + l, n + m)
        Coupling rows, then unit rows, then links of contacts to occasions.
    lo, hi : ndarray of float64
    n, k, r : int
        Numbers of candidates, coupling rows and unit rows.
    occasion : ndarray of int64, shape (n, …)
        For each link the candidate and the column of its occasion, shape (l, 2).
    """

    objective: np.ndarray
    matrix: sparse.csr_array
    lo: np.ndarray
    hi: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    n: int
    k: int
    r: int
    links: np.ndarray


def state_model(problem: Problem) -> Model:
    """Write a problem down as one model."""
    n, units, coupling = len(problem), problem.units, problem.coupling
    row = np.repeat(np.arange(len(units)), np.diff(units.start))
    key = np.stack([units.rule[row], units.occasion])
    _, occasion, members = np.unique(key, axis=1, return_inverse=True, return_counts=True)
    # an occasion that only one contact can use needs no y: the contact stands for it
    pair = np.unique(np.stack([occasion, units.member]), axis=1)
    users = np.bincount(pair[0], minlength=len(members))
    shared = users > 1
    y = n + np.cumsum(shared) - 1
    column = np.where(shared[occasion], y[occasion], units.member) if len(row) else row
    entry = np.unique(np.stack([row, column]), axis=1)
    link = pair[:, shared[pair[0]]]
    links = np.stack([link[1], y[link[0]]], axis=1) if link.size else np.zeros((0, 2), np.int64)
    m = int(shared.sum())
    width = n + m
    ones = np.ones(entry.shape[1])
    blocks = [
        sparse.csr_array(
            (problem.matrix.data, problem.matrix.indices, problem.matrix.indptr), shape=(len(coupling), width)
        ),
        sparse.csr_array(sparse.coo_array((ones, (entry[0], entry[1])), shape=(len(units), width))),
        _link_rows(links, width),
    ]
    matrix = sparse.csr_array(sparse.vstack(blocks))
    lo = np.concatenate([coupling.lo, np.full(len(units) + len(links), -np.inf)])
    hi = np.concatenate([coupling.hi, units.cap.astype(float), np.zeros(len(links))])
    lower = np.zeros(width)
    lower[problem.locked] = 1.0
    objective = np.concatenate([problem.objective, np.zeros(m)])
    return Model(objective, matrix, lo, hi, lower, np.ones(width), n, len(coupling), len(units), links)


def _link_rows(links: np.ndarray, width: int) -> sparse.csr_array:
    number = np.arange(len(links))
    at = (np.concatenate([number, number]), np.concatenate([links[:, 0], links[:, 1]]))
    values = np.concatenate([np.ones(len(links)), -np.ones(len(links))])
    return sparse.csr_array(sparse.coo_array((values, at), shape=(len(links), width)))


def describe(problem: Problem) -> str:
    """Write a (small) problem out as text: objective, rows by rule and group, in full.

    The same problem gives the same text on every machine; tests keep one for every rule kind.
    """
    model = state_model(problem)
    catalogue, c = problem.catalogue, problem.candidates
    x = [
        f"x[{a}, {b}]"
        for a, b in zip(catalogue.ids("customer")[c.customer], catalogue.ids("action")[c.action], strict=True)
    ]
    names = np.array(x + [f"y[{i + 1}]" for i in range(len(model.objective) - model.n)], dtype=object)
    lines = [
        "maximise" if problem.sign > 0 else "minimise",
        "  " + _sum(problem.sign * model.objective, np.arange(len(names)), names),
    ]
    lines.append("subject to")
    for i in range(model.matrix.shape[0]):
        begin, end = model.matrix.indptr[i : i + 2]
        terms = _sum(model.matrix.data[begin:end], model.matrix.indices[begin:end], names)
        lines.append(f"  {_row_name(problem, model, i)}: {_bounded(terms, model.lo[i], model.hi[i])}")
    if len(problem.locked):
        lines.append("locked")
        lines += [f"  {names[j]} = 1" for j in problem.locked]
    return "\n".join([*lines, "binary x, 0 <= y <= 1", ""])


def _row_name(problem: Problem, model: Model, i: int) -> str:
    if i < model.k:
        return problem.row_label(i)
    if i < model.k + model.r:
        units = problem.units
        customer = problem.candidates.customer[units.member[units.start[i - model.k]]]
        return f"{units.names[units.rule[i - model.k]]} [{problem.catalogue.ids('customer')[customer]}]"
    return "occasion"


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

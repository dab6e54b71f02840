"""What simpler practices would do under the same rules.

Each one goes through the candidates in its own order and takes whatever still fits: first, as
far as minimums ask for it, then the rest. Shares cannot be kept on the way (the first contact
of a channel is 100 % of all), so what overfills a share is given back at the end, latest first.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import pandas as pd

from omniopt.decisions import kernels
from omniopt.decisions.problem import Problem, build_problem

if TYPE_CHECKING:
    from omniopt.decisions.large.shape import Large

TOLERANCE = 1e-9
MOST = 1_000_000  # candidates


def baselines(problem: Problem | Large, seed: int | None = None) -> pd.DataFrame | None:
    """Return today's practice, first come first served, and random choice.

    Parameters
    ----------
    problem : Problem or Large
    seed : int, optional
        Seed of the random choice; the project's if not given.

    Returns
    -------
    DataFrame or None
        None where there are more than a million candidates. One row per practice: name, contacts,
        customers, value, cost, response (NaN where the project has no such measure), objective in
        the policy's own sense, and missed, the list of limits that it does not keep. The practices
        are "highest score first" (every offer, by turns, goes to the customer with its highest
        response), "first come, first served" (by date, then by customer) and "random".
    """
    seed = problem.project.spec.seed if seed is None else seed
    if not isinstance(problem, Problem):
        if len(problem) > MOST:
            return None
        problem = build_problem(problem.project, problem.scores)
    orders = {
        "highest score first": _by_score(problem),
        "first come, first served": np.lexsort(
            (problem.candidates.customer, problem.catalogue.actions.day[problem.candidates.action])
        ),
        "random": np.random.default_rng(seed).permutation(len(problem)),
    }
    return pd.DataFrame([_baseline(name, problem, _choose(problem, order)) for name, order in orders.items()])


def _by_score(problem: Problem) -> np.ndarray:
    """Order candidates by their rank within their offer, so that offers take turns."""
    c = problem.candidates
    score = c.measures.get("response", c.measures.get("value", problem.objective))
    offer = c.rows().codes["offer"]
    order = np.lexsort((np.arange(len(c)), -score, offer))
    begin = np.flatnonzero(np.diff(offer[order], prepend=-1))
    rank = np.empty(len(c), np.int64)
    rank[order] = np.arange(len(c)) - np.repeat(begin, np.diff(np.append(begin, len(c))))
    return np.lexsort((offer, rank))


def _choose(problem: Problem, order: np.ndarray) -> np.ndarray:
    index = kernels.UnitIndex.of(problem.unit, problem.units)
    coupling, matrix = problem.coupling, problem.matrix.tocsc()
    sums = np.isnan(coupling.ratio)
    hi, lo = np.where(sums, coupling.hi, np.inf), np.where(sums, coupling.lo, -np.inf)
    order = np.concatenate([problem.locked, order[~np.isin(order, problem.locked)]])
    taken = _greedy(
        order, matrix.indptr, matrix.indices, matrix.data, lo, hi,
        index.start, index.row, index.slot, index.cap, index.slots,
    )  # fmt: skip
    for k in np.flatnonzero(~sums):
        _give_back(problem, int(k), taken, order)
    return taken > 0


def _give_back(problem: Problem, k: int, taken: np.ndarray, order: np.ndarray) -> None:
    """Drop the latest contacts that overfill a share, until it is kept."""
    begin, end = problem.matrix.indptr[k : k + 2]
    sign = 1.0 if math.isfinite(problem.coupling.hi[k]) else -1.0
    use = np.zeros(len(problem))
    use[problem.matrix.indices[begin:end]] = sign * problem.matrix.data[begin:end]
    over = float(use @ (taken > 0))
    guilty = order[(taken[order] > 0) & (use[order] > 0) & ~np.isin(order, problem.locked)][::-1]
    needed = int(np.searchsorted(np.cumsum(use[guilty]), over - TOLERANCE)) + 1 if over > TOLERANCE else 0
    taken[guilty[:needed]] = 0


@numba.njit(cache=True)
def _greedy(order, col_start, col_row, col_use, lo, hi, start, row, slot, cap, slots):  # type: ignore[no-untyped-def]
    """Take candidates in order while everything fits: pass 1 for unmet minimums only, pass 2 for all."""
    taken = np.zeros(len(order), np.int8)
    used = np.zeros(len(lo))
    row_count, slot_count = np.zeros(len(cap), np.int64), np.zeros(slots, np.int64)
    for turn in range(2):
        for j in order:
            if taken[j]:
                continue
            fits, wanted = True, turn == 1
            for e in range(col_start[j], col_start[j + 1]):
                k = col_row[e]
                if used[k] + col_use[e] > hi[k] + 1e-9:
                    fits = False
                if used[k] < lo[k] and col_use[e] > 0:
                    wanted = True
            if not (fits and wanted):
                continue
            if kernels._add(j, start, row, slot, cap, row_count, slot_count):
                taken[j] = 1
                for e in range(col_start[j], col_start[j + 1]):
                    used[col_row[e]] += col_use[e]
            else:
                kernels._remove(j, start, row, slot, row_count, slot_count)
    return taken


def _baseline(name: str, problem: Problem, chosen: np.ndarray) -> dict[str, Any]:
    c, coupling = problem.candidates, problem.coupling
    used = problem.matrix @ chosen.astype(np.float64)
    room = TOLERANCE * np.maximum(1.0, np.abs(used))
    hard = np.isinf(coupling.penalty) & np.isnan(coupling.opening)
    missed = hard & ((used < coupling.lo - room) | (used > coupling.hi + room))
    kept, units = problem.units.kept(chosen), problem.units
    broken = [r for r, m in zip(coupling.rule, missed, strict=True) if m]
    broken += [units.names[i] for i in np.unique(units.rule[~kept])]
    totals = {
        m: math.fsum(c.measures[m][chosen]) if m in c.measures else np.nan
        for m in ("value", "cost", "response")
    }
    return {
        "name": name,
        "contacts": int(chosen.sum()),
        "customers": len(np.unique(c.customer[chosen])),
        **totals,
        "objective": problem.sign * problem.value(chosen) + 0.0,
        "missed": list(dict.fromkeys(broken)),
    }

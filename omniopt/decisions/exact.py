"""The exact solver: PuLP with HiGHS. The only module that imports pulp.

PuLP 3.3 and 4 report differently (3.3 says "Optimal" after a time limit), so status, bound and
values are taken from HiGHS itself through PuLP's solver model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import mul
from typing import Literal

import highspy  # noqa: F401 (before pulp, which would take an interrupted import of it for its absence)
import numpy as np
import pulp
from scipy import sparse

from omniopt.decisions.stop import ASKED, Stop

TOLERANCE = 1e-9  # of rows, reduced costs and integrality, the least that HiGHS accepts being 1e-10
LARGEST = 10  # objectives are scaled so that the largest number is about 2 to this power, if it is less
SAFETY = 1e-10  # relative allowance for the rounding of a bound that HiGHS reports


@dataclass(frozen=True)
class Outcome:
    """What the solver found.

    Attributes
    ----------
    status : {"done", "stopped", "infeasible"}
        ``done``: the gap asked for was reached; ``stopped``: out of time or out of numbers.
    values : ndarray of float64 or None
        The best solution's columns, if there is one.
    bound : float
        No solution has a greater objective; -inf where there is none.
    """

    status: Literal["done", "stopped", "infeasible"]
    values: np.ndarray | None
    bound: float


def solve(
    objective: np.ndarray, matrix: sparse.csr_array, lo: np.ndarray, hi: np.ndarray,
    lower: np.ndarray, upper: np.ndarray, integer: np.ndarray, gap: float, time_limit: float | None,
    distance: float = 0.0, enough: float = math.inf, effort: float = math.inf,
) -> Outcome:  # fmt: skip
    """Maximise ``objective·z`` subject to ``lo ≤ matrix z ≤ hi``.

    Parameters
    ----------
    objective, lower, upper : ndarray, shape (c,)
        ``upper`` may be inf.
    matrix : csr_array, shape (r, c)
    lo, hi : ndarray, shape (r,)
    integer : ndarray of bool, shape (c,)
        Which columns are whole numbers.
    gap, distance : float
        Relative gap, and distance of bound and objective, at which to stop: either will do.
    enough : float
        Objective from which any solution will do.
    time_limit : float or None
        Seconds.
    effort : float
        How often the solver may ask whether to go on, see `Stop`.

    Returns
    -------
    Outcome
    """
    # minimising the negative keeps the sign of HiGHS's bound the same in both PuLP versions
    model = pulp.LpProblem("omniopt", pulp.LpMinimize)
    columns = [
        model.add_variable(
            f"x{j}",
            float(a),
            float(b) if b < math.inf else None,
            pulp.LpInteger if whole else pulp.LpContinuous,
        )
        for j, (a, b, whole) in enumerate(zip(lower, upper, integer, strict=True))
    ]
    scale = _scale(objective)
    matrix, lo, hi = _even(matrix, lo, hi)
    model += pulp.lpSum(map(mul, (-scale * objective).tolist(), columns))
    for i in range(matrix.shape[0]):
        begin, end = matrix.indptr[i : i + 2]
        if begin == end:
            if lo[i] > TOLERANCE or hi[i] < -TOLERANCE:
                return Outcome("infeasible", None, -math.inf)
            continue
        row = pulp.lpSum(
            map(mul, matrix.data[begin:end].tolist(), [columns[j] for j in matrix.indices[begin:end]])
        )
        if lo[i] == hi[i]:
            model += row == float(hi[i]), f"e{i}"
            continue
        if np.isfinite(hi[i]):
            model += row <= float(hi[i]), f"u{i}"
        if np.isfinite(lo[i]):
            model += row >= float(lo[i]), f"l{i}"
    with Stop(effort) as stop:
        solver = pulp.HiGHS(
            msg=False, threads=1, gapRel=gap, gapAbs=scale * distance, timeLimit=time_limit,
            mip_feasibility_tolerance=TOLERANCE, primal_feasibility_tolerance=TOLERANCE,
            dual_feasibility_tolerance=TOLERANCE, objective_target=-scale * enough,
            callbackTuple=(stop.answer, None), callbacksToActivate=ASKED,
        )  # fmt: skip
        model.solve(solver)
    return _outcome(model, columns, scale, lower)


def rounded_up(bound: float) -> float:
    """Allow for the rounding of a bound that the solver reports."""
    return bound + SAFETY * max(1.0, abs(bound)) if math.isfinite(bound) else bound


def _scale(objective: np.ndarray) -> float:
    """Return the power of two that lifts small objectives out of reach of the solver's tolerances."""
    largest = float(np.abs(objective).max(initial=0.0))
    return 1.0 if largest == 0.0 else 2.0 ** max(0, LARGEST - math.frexp(largest)[1])


def _even(
    matrix: sparse.csr_array, lo: np.ndarray, hi: np.ndarray
) -> tuple[sparse.csr_array, np.ndarray, np.ndarray]:
    """Bring each row's largest number to between 1 and 2: HiGHS drops numbers below 1e-9, unasked."""
    if not matrix.nnz:
        return matrix, lo, hi
    largest = abs(matrix).max(axis=1).toarray().ravel()
    factor = np.where(largest > 0, 2.0 ** (1 - np.frexp(largest)[1]), 1.0)
    return sparse.csr_array(sparse.diags_array(factor) @ matrix), lo * factor, hi * factor


def _outcome(
    model: pulp.LpProblem, columns: list[pulp.LpVariable], scale: float, lower: np.ndarray
) -> Outcome:
    highs = model.solverModel
    status = highs.getModelStatus().name
    if status in ("kInfeasible", "kUnboundedOrInfeasible"):  # binaries are bounded, so only one of the two
        return Outcome("infeasible", None, -math.inf)
    info = highs.getInfo()
    bound = -float(info.mip_dual_bound) / scale
    if not math.isfinite(bound):
        bound = math.inf
    found = math.isfinite(info.objective_function_value) and int(info.primal_solution_status) == 2
    if not found:
        return Outcome("done" if status == "kOptimal" else "stopped", None, bound)
    values = np.array([pulp.value(z) for z in columns], np.float64)
    # a column without a coefficient anywhere never reaches HiGHS, and has no value
    values = np.where(np.isnan(values), lower, values)
    return Outcome("done" if status == "kOptimal" else "stopped", values, bound)

"""Other ways to solve the same model, each by ``python benchmarks/rivals.py NAME FILE``.

FILE holds the model as arrays (`save`); what came out is printed as one JSON object. Seconds count
from the arrays: stating the model in the rival's own terms, and solving it.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from operator import mul
from pathlib import Path
from typing import Any

import numpy as np
import pulp
from numba import njit
from scipy import sparse

from omniopt.decisions.model import state_model
from omniopt.decisions.problem import Problem

Found = dict[str, Any]


def save(problem: Problem, file: Path) -> None:
    """Write the arrays of a problem's whole model to a file."""
    model = state_model(problem)
    m = model.matrix
    np.savez(
        file, objective=model.objective, lo=model.lo, hi=model.hi, lower=model.lower, upper=model.upper,
        integer=model.integer, data=m.data, indices=m.indices, indptr=m.indptr,
        customer=problem.candidates.customer,
    )  # fmt: skip


class Arrays:
    """``max objective·x`` with ``lo ≤ matrix x ≤ hi``, ``lower ≤ x ≤ upper``, some x whole."""

    def __init__(self, file: Path) -> None:
        with np.load(file) as read:
            self.objective, self.lo, self.hi = read["objective"], read["lo"], read["hi"]
            self.lower, self.upper, self.integer = read["lower"], read["upper"], read["integer"]
            self.customer = read["customer"]  # of the candidates, which are the first columns
            shape = (len(self.lo), len(self.objective))
            self.matrix = sparse.csr_array((read["data"], read["indices"], read["indptr"]), shape=shape)

    def judged(self, x: np.ndarray) -> Found:
        """What a solution is worth and by how much it breaks a row, relative to the row's bound."""
        x = np.where(self.integer, np.round(x), x)
        used = self.matrix @ x
        over = np.maximum(used - self.hi, self.lo - used).clip(0.0)
        bound = np.where(used > self.hi, self.hi, self.lo)
        broken = float((over / np.maximum(1.0, np.abs(np.nan_to_num(bound, posinf=0.0, neginf=0.0)))).max())
        return {"objective": float(self.objective @ x), "rows_broken_by": broken}


def _times(began: float, built: float, done: float, seconds: float) -> Found:
    cut_off = done - built >= 0.98 * seconds
    return {"build_seconds": built - began, "solve_seconds": done - built, "cut_off": cut_off}


# ---- PuLP


def _stated(a: Arrays) -> tuple[pulp.LpProblem, list[pulp.LpVariable]]:
    """State the model in PuLP as its manual does."""
    model = pulp.LpProblem("rival", pulp.LpMaximize)
    kinds = (pulp.LpContinuous, pulp.LpInteger)
    columns = zip(a.lower.tolist(), a.upper.tolist(), a.integer.tolist(), strict=True)
    x = [
        model.add_variable(f"x{j}", lower, upper if upper < math.inf else None, kinds[whole])
        for j, (lower, upper, whole) in enumerate(columns)
    ]
    model += pulp.lpSum(map(mul, a.objective.tolist(), x))
    m = a.matrix
    for i, (lo, hi) in enumerate(zip(a.lo.tolist(), a.hi.tolist(), strict=True)):
        begin, end = m.indptr[i : i + 2]
        members = [x[j] for j in m.indices[begin:end].tolist()]
        total = pulp.lpSum(map(mul, m.data[begin:end].tolist(), members))
        if not members:
            continue
        if hi < math.inf:
            model += total <= hi
        if lo > -math.inf:
            model += total >= lo
    return model, x


def _pulp(a: Arrays, solver: Any, seconds: float) -> Found:
    began = time.perf_counter()
    model, x = _stated(a)
    built = time.perf_counter()
    status = model.solve(solver)
    done = time.perf_counter()
    values = np.array([np.nan if v.varValue is None else v.varValue for v in x])
    known = not np.isnan(values).all()
    return {
        "status": status.status_str if hasattr(status, "status_str") else pulp.LpStatus[status],  # PuLP 4, 3
        **_times(began, built, done, seconds),
        **(a.judged(np.nan_to_num(values)) if known else {}),
    }


def pulp_cbc(a: Arrays, gap: float, seconds: float, threads: int) -> Found:
    """PuLP with CBC: PuLP 3 brings it along, PuLP 4 takes it from the package cbcbox or from PATH."""
    for name in ("PULP_CBC_CMD", "COIN_CMD"):
        command = getattr(pulp, name, None)
        if command is not None and command(msg=False).available():
            solver = command(msg=False, threads=threads, gapRel=gap, timeLimit=seconds)
            return _pulp(a, solver, seconds)
    return {"absent": "no CBC: install cbcbox, or put cbc on PATH"}


def pulp_highs(a: Arrays, gap: float, seconds: float, threads: int) -> Found:
    """PuLP with HiGHS."""
    return _pulp(a, pulp.HiGHS(msg=False, threads=threads, gapRel=gap, timeLimit=seconds), seconds)


# ---- fed with arrays


def highs_arrays(a: Arrays, gap: float, seconds: float, threads: int) -> Found:
    """HiGHS alone, the model handed over as arrays."""
    import highspy

    began = time.perf_counter()
    lp, columns = highspy.HighsLp(), a.matrix.tocsc()
    lp.num_col_, lp.num_row_ = len(a.objective), len(a.lo)
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = a.objective, a.lower, a.upper
    lp.row_lower_, lp.row_upper_ = a.lo, a.hi
    lp.sense_ = highspy.ObjSense.kMaximize
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = (
        columns.indptr,
        columns.indices,
        columns.data,
    )
    kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
    lp.integrality_ = [kinds[int(whole)] for whole in a.integer.tolist()]
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", threads)
    highs.setOptionValue("mip_rel_gap", gap)
    highs.setOptionValue("time_limit", seconds)
    highs.passModel(lp)
    built = time.perf_counter()
    highs.run()
    done = time.perf_counter()
    info = highs.getInfo()
    known = int(info.primal_solution_status) == 2
    return {
        "status": highs.modelStatusToString(highs.getModelStatus()),
        **_times(began, built, done, seconds),
        "bound": info.mip_dual_bound if math.isfinite(info.mip_dual_bound) else None,
        **(a.judged(np.array(highs.getSolution().col_value)) if known else {}),
    }


def pdlp(a: Arrays, gap: float, seconds: float, threads: int) -> Found:
    """OR-Tools PDLP: the LP relaxation alone, to a relative accuracy of a tenth of the gap."""
    try:
        from ortools.pdlp import solve_log_pb2, solvers_pb2
        from ortools.pdlp.python import pdlp as solver
    except ImportError:
        return {"absent": "no OR-Tools: install the extra bench"}

    began = time.perf_counter()
    program = solver.QuadraticProgram()
    program.objective_vector = -a.objective
    program.constraint_matrix = a.matrix.tocsc()
    program.constraint_lower_bounds, program.constraint_upper_bounds = a.lo, a.hi
    program.variable_lower_bounds, program.variable_upper_bounds = a.lower, a.upper
    ask = solvers_pb2.PrimalDualHybridGradientParams()
    ask.num_threads = threads
    ask.termination_criteria.simple_optimality_criteria.eps_optimal_relative = gap / 10
    ask.termination_criteria.time_sec_limit = seconds
    built = time.perf_counter()
    log = solver.primal_dual_hybrid_gradient(program, ask).solve_log
    done = time.perf_counter()
    best = log.solution_stats.convergence_information
    return {
        "status": solve_log_pb2.TerminationReason.Name(log.termination_reason),
        **_times(began, built, done, seconds),
        "lp_objective": -best[0].primal_objective if best else None,
        "lp_dual_objective": -best[0].dual_objective if best else None,
    }


# ---- by rank; where no rule needs other columns than the candidates


def greedy(a: Arrays, gap: float, seconds: float, threads: int) -> Found:
    """The best scores of all customers first, each as long as every cap and limit permits."""
    return _in_order(a, np.argsort(-a.objective[: len(a.customer)], kind="stable"))


def arbitration(a: Arrays, gap: float, seconds: float, threads: int) -> Found:
    """Customer after customer, each with its best scores first: how contacts are arbitrated as they come."""
    return _in_order(a, np.lexsort((-a.objective[: len(a.customer)], a.customer)))


def _in_order(a: Arrays, order: np.ndarray) -> Found:
    columns = a.matrix.tocsc()
    indices, indptr = columns.indices.astype(np.int64), columns.indptr.astype(np.int64)
    arguments = (a.objective, indptr, indices, columns.data, a.hi)
    _take(order[:0], *arguments)  # compiles
    began = time.perf_counter()
    x = _take(order, *arguments)
    return {"solve_seconds": time.perf_counter() - began, "cut_off": False, **a.judged(x)}


@njit(cache=True)
def _take(
    order: np.ndarray, worth: np.ndarray, start: np.ndarray, row: np.ndarray, use: np.ndarray, hi: np.ndarray
) -> np.ndarray:
    left, x = hi.copy(), np.zeros(len(worth))
    for j in order:
        if worth[j] <= 0.0:
            continue
        fits = True
        for e in range(start[j], start[j + 1]):
            fits &= use[e] <= left[row[e]] + 1e-9
        if fits:
            x[j] = 1.0
            for e in range(start[j], start[j + 1]):
                left[row[e]] -= use[e]
    return x


RIVALS: dict[str, Callable[[Arrays, float, float, int], Found]] = {
    "pulp_cbc": pulp_cbc,
    "pulp_highs": pulp_highs,
    "highs_arrays": highs_arrays,
    "pdlp": pdlp,
    "greedy": greedy,
    "arbitration": arbitration,
}


def main() -> None:
    """Let one rival solve the model in a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("name", choices=list(RIVALS))
    parser.add_argument("file", type=Path)
    parser.add_argument("--gap", type=float, default=1e-4)
    parser.add_argument("--time-limit", type=float, default=600.0, metavar="S")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    found = RIVALS[given.name](Arrays(given.file), given.gap, given.time_limit, given.threads)
    print(json.dumps(found))


if __name__ == "__main__":
    main()

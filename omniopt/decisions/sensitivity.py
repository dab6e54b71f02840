"""What a limit's price means: over which values of its bound it holds, and what comes before and after.

The value of the relaxation, as a function of one bound, is concave and made of straight pieces; a
price is the slope of the piece that the bound lies on. Where two pieces meet at the very bound, one
price holds for more of it and another one for less: the limit is degenerate.

The ends of a piece are found by solving the relaxation again with the bound moved. A piece found
there and the one sought meet where their lines cross or earlier, so that the crossing is the next
place to look; a few looks are enough. Moving a bound leaves the last basis dual feasible, so that
each look takes the dual simplex a few pivots.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np

from omniopt.decisions import kernels
from omniopt.decisions.dual import prove
from omniopt.decisions.model import state_model
from omniopt.decisions.problem import Problem
from omniopt.decisions.progress import Search
from omniopt.decisions.relax import DUAL, DUAL_TOLERANCE, Relaxer

SAME = 1e-7  # relative difference below which two prices, or two places of a bound, are one
STEP = 1e-5  # of a bound: how far beyond the end of a basis the first look is
STRIDE = 16.0  # growth of the steps while the price stays
ENDLESS = 1e9  # of a bound: a price that stays for so long has no end
LOOKS = 60  # solves on either side of one bound, after which the range is what is known of it by then
EFFORT = 200_000  # up to which the ranges are found without being asked for: under half a second
AS_GOOD = 1e-6  # relative difference of two bounds that prices prove, up to which one is as good


@dataclass(frozen=True)
class PriceRange:
    """What one price says.

    Attributes
    ----------
    start, end : float
        The values of the bound between which the relaxation's value changes by price times move;
        infinite where there is no end.
    more, less : float
        The price of a bound that is raised, and of one that is lowered. -inf and inf where the
        relaxation has no solution then.
    """

    start: float
    end: float
    more: float
    less: float

    @property
    def degenerate(self) -> bool:
        """Whether the price changes at the bound itself."""
        return not _same(self.more, self.less)


FREE = PriceRange(-math.inf, math.inf, 0.0, 0.0)  # of a row that is not at its bound


@dataclass(frozen=True)
class _Look:
    """The relaxation with a bound at ``place``: its value, and the price there."""

    place: float
    value: float
    price: float

    def at(self, place: float) -> float:
        """The line that touches the value here."""
        return self.value + self.price * (place - self.place)


def take_relaxed_prices(found: Search) -> None:
    """Have a solve that did without the relaxation take its prices, if they prove as much.

    Ranges are those of the relaxation's prices. Without time for it everything stays as it is.
    """
    problem = found.problem
    if found.relaxer is not None or found.dual is None or not len(problem):
        return
    index = kernels.UnitIndex.of(problem.unit, problem.units)
    relaxer = Relaxer(problem, state_model(problem), index)
    try:
        dual = prove(problem, index, relaxer.solve(found.left()).prices)
    except TimeoutError:
        return
    found.tighten(dual.bound)
    if dual.bound <= found.dual.bound + AS_GOOD * max(1.0, abs(dual.bound)):
        found.dual, found.relaxer = dual, relaxer


def add_ranges(
    entries: list[dict[str, Any]], problem: Problem, found: Search, asked: bool | None = None
) -> None:
    """Put into the certificate's entries of limits over which bounds their prices hold.

    Adds ``price_range`` ([from, to], null for no end, or null for no price), ``degenerate``,
    ``price_more`` and ``price_less``; all are null where they have not been worked out.

    Parameters
    ----------
    entries : list of dict
        The certificate's rules.
    problem : Problem
    found : Search
        The solve that the prices come from.
    asked : bool, optional
        Whether to work them out; if not given, where that takes little.
    """
    relaxer = found.relaxer
    ranges: dict[int, PriceRange | None] | None = None
    if relaxer is not None and asked is not False and (asked or effort(problem, relaxer) <= EFFORT):
        ranges = price_ranges(relaxer, found.deadline)
    limits = [e for e in entries if e["kind"] == "limit"]
    row = iter(range(len(problem.coupling)))
    for entry in limits:
        watched = entry.get("report_only", False)
        k = -1 if watched else next(row)
        past = 0.0 if watched else float(problem.coupling.history[k])
        known = None if ranges is None else ranges.get(k, FREE)
        # where the units' rows are tighter than the relaxation sees, its prices are not those of the bound
        if known is not None and not known.less + SAME >= entry["price"] >= known.more - SAME:
            known = None
        entry |= _as_entry(known, past, abs(entry["price"]) > SAME)


def _as_entry(found: PriceRange | None, past: float, priced: bool) -> dict[str, Any]:
    """Write a range as the certificate does, in terms of the bound as it is shown, past contacts included."""
    if found is None:
        return dict.fromkeys(("price_range", "degenerate", "price_more", "price_less"))
    ends = [v + past if math.isfinite(v) else None for v in (found.start, found.end)]
    more, less = (v + 0.0 if math.isfinite(v) else None for v in (found.more, found.less))
    return {
        "price_range": ends if priced else None, "degenerate": found.degenerate,
        "price_more": more, "price_less": less,
    }  # fmt: skip


def effort(problem: Problem, relaxer: Relaxer) -> int:
    """Count the rows and columns that all looks together may come across: about two microseconds each."""
    return len(problem.coupling) * (len(relaxer.program.columns) + len(relaxer.program.present))


def price_ranges(relaxer: Relaxer, deadline: float = math.inf) -> dict[int, PriceRange | None]:
    """Find the range of every price.

    Parameters
    ----------
    relaxer : Relaxer
        Its program is left as it was, but that columns may have joined it.
    deadline : float
        As of ``time.monotonic``. Rows that are not come to by then have no range.

    Returns
    -------
    dict
        By coupling row, for the rows that have a price or are at their bound.
    """
    late = None if math.isinf(deadline) else max(deadline - time.monotonic(), 0.0)
    try:
        relaxation = relaxer.solve(late)
    except TimeoutError:
        return dict.fromkeys(range(relaxer.model.k))
    rows = _binding(relaxer, relaxation.prices)
    if not len(rows):
        return {}
    bench = _Bench(relaxer, rows)
    found: dict[int, PriceRange | None] = {}
    for k in rows.tolist():
        over = time.monotonic() > deadline
        found[k] = None if over else bench.range_of(k, float(relaxation.prices[k]))
    bench.leave()
    return found


def _binding(relaxer: Relaxer, prices: np.ndarray) -> np.ndarray:
    """Return the coupling rows that have a price or whose bound the relaxation reaches."""
    k, model = len(prices), relaxer.model
    lo, hi = model.lo[:k], model.hi[:k]
    activity = np.array(relaxer.program.highs.getSolution().row_value)[:k]
    room = SAME * np.maximum(1.0, np.abs(activity))
    at = (activity <= lo + room) | (activity >= hi - room)
    sizes = np.diff(model.matrix.indptr)[:k]
    return np.flatnonzero((np.abs(prices) > SAME) | (at & (sizes > 0)))


def _same(a: float, b: float) -> bool:
    return a == b or abs(a - b) <= SAME * max(1.0, min(abs(a), abs(b)))


class _Bench:
    """The program on the bench: one bound at a time is moved, and everything put back afterwards."""

    def __init__(self, relaxer: Relaxer, rows: np.ndarray) -> None:
        self.relaxer, self.model = relaxer, relaxer.model
        self.program, self.highs = relaxer.program, relaxer.program.highs
        self.highs.setOptionValue("simplex_strategy", DUAL)
        self.highs.setOptionValue("time_limit", highspy.kHighsInf)
        self._run()
        self._join_missing()
        self.basis = self.highs.getBasis()
        self.size = len(self.program.present), len(self.program.columns)
        self.base = -self.highs.getObjectiveValue()
        self.activity = np.array(self.highs.getSolution().row_value)
        self.reach = {int(k): self._basis_range(int(k)) for k in rows}

    def leave(self) -> None:
        """Put the program back to where it was."""
        self._restart()
        self._run()

    def range_of(self, k: int, price: float) -> PriceRange:
        """Return the range of one row's price."""
        lo, hi = float(self.model.lo[k]), float(self.model.hi[k])
        price = 0.0 if abs(price) <= SAME else price
        both = lo == hi
        upper = price > 0 or (price == 0 and self._near(k, hi))
        if price == 0 and not upper and not self._near(k, lo):
            return FREE
        self.k, self.moves = k, (both or not upper, both or upper)
        here = _Look(hi if upper else lo, self.base, price)
        sides = []
        for sign, width in ((1.0, self.reach[k][1]), (-1.0, self.reach[k][0])):
            if price == 0 and not both and (sign > 0) == upper:  # a bound that is loosened costs nothing
                sides.append((sign * math.inf, 0.0))
                continue
            # a bound cannot be moved beyond the other one of the same row
            other = math.inf if both else sign * ((lo if upper else hi) - here.place)
            sides.append(self._side(here, sign, width, other if other > 0 else math.inf))
            self.highs.changeRowBounds(k, lo, hi)
            self._restart()
        (end, more), (start, less) = sides
        return PriceRange(start, end, more, less)

    def _near(self, k: int, bound: float) -> bool:
        return math.isfinite(bound) and abs(float(self.activity[k]) - bound) <= SAME * max(1.0, abs(bound))

    def _side(self, here: _Look, sign: float, width: float, most: float) -> tuple[float, float]:
        """Return (end of the piece, price beyond the bound) on one side of a bound.

        Steps grow while the price stays. Once a look lies on another piece, the crossings of its
        line with the first one close in on the end, from beyond.
        """
        scale = max(1.0, abs(here.place))
        known, step = min(width, most), STEP * scale
        impossible = math.inf  # from here on there is known to be no solution
        far, beyond = math.inf, None
        for _ in range(LOOKS):
            if beyond is None:
                far = min(known + step, most)
                far = far if far < impossible else (known + impossible) / 2
            if far - known <= SAME * scale or known >= most:
                break
            look = self._look(here.place + sign * far)
            if look is None:
                impossible, step = far, STEP * scale
                if impossible - known <= 2 * step:  # nearer than that the solver's tolerance would decide
                    break
            elif _same(look.price, here.price):
                known, step = far, step * STRIDE
                if beyond is not None or not here.price:  # nobody asks how long something costs nothing
                    break
                if step > ENDLESS * scale:
                    known = most
            else:
                beyond, before = look, far
                far = sign * (_crossing(here, beyond) - here.place)
                if before - far <= SAME * scale:  # both lines meet here, so that this is the end
                    known = min(far, before)
                    break
        # what is hardly possible is so by the solver's tolerance alone
        if known > (SAME if math.isinf(impossible) else 2 * STEP) * scale:
            return here.place + sign * known, here.price
        if beyond is not None:
            return here.place, beyond.price
        return here.place, -sign * math.inf if impossible < math.inf else here.price

    def _look(self, place: float) -> _Look | None:
        """Solve with the bound moved to a place; None where there is no solution."""
        lo, hi = float(self.model.lo[self.k]), float(self.model.hi[self.k])
        self.highs.changeRowBounds(self.k, place if self.moves[0] else lo, place if self.moves[1] else hi)
        if not self._run():
            # columns that are not in the program might help; to be sure, all of them are asked
            if not self._join(np.flatnonzero(~self.relaxer.active)) or not self._run():
                return None
        self._join_missing()
        price = -float(self.highs.getSolution().row_dual[self.k])
        return _Look(place, -self.highs.getObjectiveValue(), price)

    def _run(self) -> bool:
        self.highs.run()
        return self.highs.getModelStatus() == highspy.HighsModelStatus.kOptimal

    def _restart(self) -> None:
        """Go back to the basis of the unmoved program; what has joined it since stays at rest."""
        rows, columns = len(self.program.present), len(self.program.columns)
        if (rows, columns) != self.size:
            status = highspy.HighsBasisStatus
            more = [status.kBasic] * (rows - self.size[0]), [status.kLower] * (columns - self.size[1])
            self.basis.row_status = list(self.basis.row_status) + more[0]
            self.basis.col_status = list(self.basis.col_status) + more[1]
            self.size = rows, columns
        self.highs.setBasis(self.basis)

    def _join(self, candidates: np.ndarray) -> bool:
        if not len(candidates):
            return False
        self.program.add(candidates)
        self.relaxer.active[candidates] = True
        self.highs.setOptionValue("simplex_strategy", DUAL)
        return True

    def _join_missing(self) -> None:
        """Let the candidates in that the prices show to be missing, until none is."""
        while not self.relaxer.active.all():
            duals = np.zeros(len(self.model.lo))
            duals[self.program.present] = -np.array(self.highs.getSolution().row_dual)
            outside = np.flatnonzero(~self.relaxer.active)
            worth = self.model.objective[outside]
            reduced = worth - (self.model.matrix.T @ duals)[outside]
            missing = reduced > DUAL_TOLERANCE * np.maximum(1.0, np.abs(worth))
            if not self._join(outside[missing]) or not self._run():
                return

    def _basis_range(self, k: int) -> tuple[float, float]:
        """Return how far a row's bound may be lowered and raised while the basis stays feasible."""
        if self.basis.alien:  # it was never factorised: asking HiGHS for it would end the process
            return 0.0, 0.0
        basic = np.asarray(self.highs.getBasicVariables()[1])
        if (basic == -1 - k).any():
            return 0.0, 0.0
        change = np.array(self.highs.getBasisInverseCol(k)[1])
        solution = self.highs.getSolution()
        own, row = basic >= 0, self.program.present[np.where(basic < 0, -1 - basic, 0)]
        column = self.program.columns
        at, lower, upper = (np.empty(len(basic)) for _ in range(3))
        at[own] = np.array(solution.col_value)[basic[own]]
        lower[own], upper[own] = (v[column[basic[own]]] for v in (self.model.lower, self.model.upper))
        at[~own] = np.array(solution.row_value)[-1 - basic[~own]]
        lower[~own], upper[~own] = self.model.lo[row[~own]], self.model.hi[row[~own]]
        change[~own] *= -1.0  # a row's own variable is the negative of its activity
        moving = np.abs(change) > 1e-9
        change, up, down = change[moving], (upper - at)[moving], (at - lower)[moving]
        raised = np.where(change > 0, up, down) / np.abs(change)
        lowered = np.where(change > 0, down, up) / np.abs(change)
        return float(max(lowered.min(initial=np.inf), 0.0)), float(max(raised.min(initial=np.inf), 0.0))


def _crossing(a: _Look, b: _Look) -> float:
    """Return where the lines of two looks cross."""
    return a.place + (b.at(a.place) - a.value) / (a.price - b.price)

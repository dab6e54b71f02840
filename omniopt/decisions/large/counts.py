"""Branching on numbers of contacts: of all that use the same amount of a limit, a whole number is chosen.

"A mail costs 1.40 and 4038 may be spent" allows half a mail in an LP. Where that is what keeps plans
below the bound, one more limit says "at most 878 mails", or "at least 879".
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from omniopt.decisions.large.set_program import SetProgram
from omniopt.decisions.large.shape import Large
from omniopt.decisions.large.whole import amounts_of
from omniopt.decisions.system import System

MOST = 5  # amounts of a limit that are told apart
WHOLE = 1e-4  # from a whole number, which is as good as one


def split_count(program: SetProgram) -> list[System]:
    """Return the two sides of the number of contacts that matters most among those that an LP splits.

    Parameters
    ----------
    program : SetProgram
        Whose LP was solved.

    Returns
    -------
    list of System
        The limits with one more each; empty if the LP splits no such number.
    """
    large, split = program.large, program.split()
    shares, sets = program.shares[split], program.sets.among(np.isin(np.arange(len(program.sets)), split))
    bins = large.columns.bin[sets.member].astype(np.int64)
    number = np.bincount(bins, np.repeat(shares, np.diff(sets.start)), minlength=len(large.bins))
    best, sides = 0.0, []
    for k in np.flatnonzero(program.duals[: large.system.limits]):
        of, amount = amounts_of(large, int(k))
        different = np.unique(amount)
        for a in different if len(different) <= MOST else ():
            mine = of[amount == a]
            total = float(number[mine].sum())
            off = abs(total - round(total))
            if off > WHOLE and off * abs(a * program.duals[k]) > best:
                best = off * abs(a * program.duals[k])
                sides = _sides(large, mine, _others(program, mine) + total)
    return sides


def _others(program: SetProgram, bins: np.ndarray) -> int:
    """Count the contacts in some bins that the LP does not split."""
    mine = np.zeros(len(program.large.bins), bool)
    mine[bins] = True
    whole = program.sets.among(program.shares > 1.0 - WHOLE)
    return sum(int(mine[program.large.columns.bin[at]].sum()) for at in (program.outside, whole.member))


def _sides(large: Large, bins: np.ndarray, total: float) -> list[System]:
    """Add a limit on the number of contacts in some bins: less than ``total``, or more."""
    system = large.system
    place = bins * large.bins.width
    shape = (1, system.matrix.shape[1])
    row = sparse.csr_array((np.ones(len(place)), (np.zeros(len(place), np.int64), place)), shape=shape)
    more = replace(
        system,
        matrix=sparse.csr_array(sparse.vstack([system.matrix, row])),
        extra=sparse.csr_array(sparse.vstack([system.extra, sparse.csr_array((1, system.extra.shape[1]))])),
    )
    below = np.floor(total)
    return [
        replace(more, lo=np.append(system.lo, lo), hi=np.append(system.hi, hi))
        for lo, hi in ((-np.inf, below), (below + 1.0, np.inf))
    ]

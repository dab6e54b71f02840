"""By how much a unit's best set beats its best set without a contact: what the contact is good for."""

from __future__ import annotations

import numpy as np

from omniopt.decisions.large.entries import unit_of
from omniopt.decisions.large.kernels import fill_worths, make_work, making_arrays
from omniopt.decisions.large.prices import worth_table
from omniopt.decisions.large.shape import Large
from omniopt.decisions.large.sweep import Engine
from omniopt.decisions.large.unit_search import find_sets
from omniopt.tables.storage import in_threads

PART = 20_000  # units looked at in one go


def advantages(large: Large, engine: Engine, prices: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """By how much a unit's best set beats its best set without each chosen contact.

    0 for contacts that are not in the best set, another being as good; NaN where it is too hard to tell.

    Parameters
    ----------
    large : Large
    engine : Engine
    prices : ndarray of float64, shape (k + q,)
    chosen : ndarray of int64
        Places of the chosen candidates, ascending.

    Returns
    -------
    ndarray of float64
        One number per chosen candidate.
    """
    table = worth_table(large, prices, np.full(large.system.g, -1, np.int8))
    units, first = np.unique(unit_of(large.columns, chosen), return_index=True)
    start = np.append(first, len(chosen))
    lead = np.zeros(len(chosen))

    def fill(begin: int) -> None:
        end = min(begin + PART, len(units))
        _leads(begin, end, units, start, chosen, engine.data, engine.rules, table, engine.sizes, lead)

    in_threads(fill, range(0, len(units), PART))
    lead[np.isin(chosen, large.locked)] = 0.0
    return lead


@making_arrays
def _leads(first, last, units, start, chosen, data, rules, table, sizes, lead):  # type: ignore[no-untyped-def]
    """Write down the lead of the chosen candidates of units ``first`` to ``last - 1`` of a list."""
    work = make_work(2, sizes)
    in_best = np.zeros(len(work.worth), np.bool_)
    for n in range(first, last):
        u = units[n]
        a, m = data.start[u], data.start[u + 1] - data.start[u]
        fill_worths(a, a + m, data.bin, data.measures, table, work.worth)
        count, best, cut = find_sets(u, m, data, rules, 1, 0.0, work)
        in_best[:m] = False
        for i in range(work.size[0] if count else 0):
            in_best[work.member[0, i]] = True
        for c in range(start[n], start[n + 1]):
            i = chosen[c] - a
            if cut:
                lead[c] = np.nan
            elif in_best[i]:
                worth, work.worth[i] = work.worth[i], -np.inf
                _, without, cut_off = find_sets(u, m, data, rules, 1, 0.0, work)
                work.worth[i] = worth
                lead[c] = np.nan if cut_off else max(best - without, 0.0)

"""A plan at once, for whoever stops the search before it has found one."""

from __future__ import annotations

import numpy as np

from omniopt.decisions.large.entries import unit_of
from omniopt.decisions.large.hunt import Hunt
from omniopt.decisions.large.part import contributions, terms_of, use_of
from omniopt.decisions.large.prices import worth_table
from omniopt.decisions.problem import ROUNDING

ROUNDS = 3  # giving up contacts lowers shares of which they are the smaller part


def hurry(hunt: Hunt) -> None:
    """Offer what units would do best at the latest prices, less what breaks limits.

    Limit by limit, the units whose worth is least for what they use of it have no contact at all,
    until it is kept. What is asked for at least is not looked after: where it is missed, there is
    no plan.

    Parameters
    ----------
    hunt : Hunt
        Gets the plan.
    """
    large, engine = hunt.large, hunt.engine
    system = large.system
    table = worth_table(large, system.clipped(hunt.latest.copy())[0])
    best = engine.best(table, width=0.0)
    nothing = engine.best(np.full_like(table, -np.inf), width=0.0)
    idle = nothing.searched & (nothing.value > -np.inf)
    chosen = np.flatnonzero(best.chosen)
    unit = unit_of(large.columns, chosen)
    if not (idle | (np.bincount(unit, minlength=len(idle)) > 0)).all():
        return  # of some unit that needs a contact no set is known
    place, measures = large.columns.bin[chosen].astype(np.int64) * large.bins.width, terms_of(large, chosen)
    stays = np.ones(len(idle), bool)
    for _ in range(ROUNDS):
        used = use_of(large, chosen[stays[unit]])
        extras = system.extra @ system.extras(large.coupling, used)
        size = np.maximum(1.0, abs(system.matrix) @ np.abs(used))
        broken = np.flatnonzero(system.matrix @ used + extras > system.hi + ROUNDING * size)
        if not len(broken):
            break
        for row in broken:
            each = contributions(system.matrix[[row]].toarray()[0], place, measures)
            use = np.bincount(unit, each, minlength=len(stays)) * stays
            able = np.flatnonzero((use > 0) & idle)
            order = able[np.argsort(best.value[able] / use[able], kind="stable")]
            over = use.sum() + extras[row] - system.hi[row]
            stays[order[: np.searchsorted(np.cumsum(use[order]), over) + 1 if over > 0 else 0]] = False
    hunt.offer(chosen[stays[unit]])

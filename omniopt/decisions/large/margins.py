"""How far the best sets of the units closest to a change lead, at no more cost than that takes."""

from __future__ import annotations

import math

import numpy as np

from omniopt.decisions.large.sweep import BestSets, Engine

SAMPLE = 4_000  # units that tell how far most best sets lead


def closest_sets(engine: Engine, table: np.ndarray, noise: float, count: int) -> BestSets:
    """Return every unit's best set, with its margin for at least the ``count`` units of least margin.

    Looking for another set takes the longer the further below the best one it may be; a sample tells
    how far is enough.

    Parameters
    ----------
    engine : Engine
    table : ndarray of float64, shape (b, t)
    noise : float
        As for `Engine.best`.
    count : int

    Returns
    -------
    BestSets
    """
    width = lead_of(engine, table, noise, count)
    sets = engine.best(table, width=width, noise=noise)
    if math.isfinite(width) and np.isfinite(sets.margin).sum() < count:
        return engine.best(table, noise=noise)
    return sets


def lead_of(engine: Engine, table: np.ndarray, noise: float, count: int) -> float:
    """Return a lead that the best sets of about twice ``count`` units do not have; inf where most are."""
    if 4 * count >= engine.units:
        return math.inf
    some = engine.taken(np.arange(0, engine.units, max(1, engine.units // SAMPLE)))
    margin = some.best(table, noise=noise).margin
    return float(np.quantile(margin, 2.0 * count / engine.units, method="higher"))

"""How wide an interval has to be when results are looked at before their planned end.

Who looks every week and stops at the first significant difference finds one far too often. The remedy is to
spend the error: at each look only so much of it as a function of time allows (Lan and DeMets 1983, Biometrika
70, 659-663). The function here is the one that gives the boundaries of O'Brien and Fleming (1979, Biometrics
35, 549-556): strict at the beginning, at the end hardly more than the usual 1.96. Time is the share of the
planned period that has passed (Lan and DeMets 1989, Statistics in Medicine 8, 1191-1198).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

#: The error that all looks together may make, both sides.
ALPHA = 0.05
_HIGHEST = 8.5  # beyond it nothing is left of a normal distribution to spend
_NODES = 301


def spent(time: float, alpha: float = ALPHA) -> float:
    """Return how much of the error may be spent up to a time.

    Parameters
    ----------
    time : float
        Share of the planned period, above 0; from 1 on everything may be spent.
    alpha : float
        The error of all looks together, both sides.
    """
    # Each side spends its half by itself.
    return float(4 * ndtr(ndtri(alpha / 4) / np.sqrt(min(time, 1.0))))


def boundaries(times: Sequence[float], alpha: float = ALPHA) -> np.ndarray:
    """Return how many standard errors an interval reaches to each side, at each look.

    An effect that is nil leaves any of these intervals with probability `alpha` in all.

    Parameters
    ----------
    times : sequence of float
        Shares of the planned period at which results were or are looked at: above 0, rising, at most 1.
    alpha : float
        The error of all looks together, both sides.

    Returns
    -------
    ndarray of float, shape (looks,)

    Raises
    ------
    ValueError
        When the times do not rise, or are not above 0 and at most 1.

    Examples
    --------
    >>> boundaries([1.0]).round(2), boundaries([0.5, 1.0]).round(2)
    (array([1.96]), array([2.96, 1.97]))
    """
    at = np.asarray(times, float)
    if len(at) and (at[0] <= 0 or at[-1] > 1 or (np.diff(at) <= 0).any()):
        raise ValueError("looks are at rising times, above 0 and at most 1")
    found, before = [], 0.0
    # Brownian motion that no look has stopped: nodes, and density times weight at each.
    nodes, mass = np.zeros(1), np.ones(1)
    for time in at:
        step = np.sqrt(time - before)
        # What was spent so far is what has left: one less what remains.
        target = spent(time, alpha) - (1 - mass.sum())
        edge = _edge(nodes, mass, step, target, _HIGHEST * np.sqrt(time))
        found.append(edge / np.sqrt(time))
        nodes, mass = _continued(nodes, mass, step, edge)
        before = time
    return np.array(found)


def _edge(nodes: np.ndarray, mass: np.ndarray, step: float, target: float, highest: float) -> float:
    """Return the edge beyond which as much leaves as may be spent; the highest where that is nothing."""

    def left_over(edge: float) -> float:
        leaving = ndtr((nodes - edge) / step) + ndtr((-nodes - edge) / step)
        return float(mass @ leaving) - target

    return highest if left_over(highest) >= 0 else float(brentq(left_over, 0.0, highest, xtol=1e-10))


def _continued(
    nodes: np.ndarray, mass: np.ndarray, step: float, edge: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the motion one step later, inside the edges alone (Gauss-Legendre quadrature)."""
    x, weight = _quadrature()
    later = edge * x
    density = np.exp(-0.5 * ((later[:, None] - nodes) / step) ** 2) / (step * np.sqrt(2 * np.pi))
    return later, edge * weight * (density @ mass)


@cache
def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(_NODES)

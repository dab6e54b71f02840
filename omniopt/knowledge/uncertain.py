"""How far scores would be others, had history fallen out otherwise; and scores that allow for it.

A score is an estimate, and whoever takes the highest of many estimates takes the overestimated ones with
preference: the optimizer's curse (Smith and Winkler 2006, Management Science 52, 311-322). What the noise is
like shows when a model learns from half of the customers only. Two halves have nothing in common, so what
their scores agree on is no noise. And scores from one half taken at random scatter about those from all
customers as those do about the truth: the half left out makes up for the half that is used (the jackknife
that deletes half; Shao and Wu 1989, Annals of Statistics 17, 1176-1197).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd

from omniopt.knowledge.calibrate import LOWEST
from omniopt.knowledge.profile import Floats
from omniopt.knowledge.response import fit
from omniopt.project.response import Response
from omniopt.tables import Tables

#: Divisions into two halves from which the reliability is estimated.
DIVISIONS = 3
#: Half samples from which quantiles are taken.
RESAMPLES = 20
#: The quantile that stands for a cautious score.
QUANTILE = 0.2

Caution = Literal["shrink", "quantile"]


def halves(tables: Tables, seed: int, number: int) -> tuple[pd.Index, pd.Index]:
    """Divide the customers of history into two halves at random.

    Parameters
    ----------
    tables : Tables
        With history.
    seed, number : int
        Which division; the order of rows does not matter.

    Returns
    -------
    tuple of two pandas.Index
        Customer ids; of an odd number the second half has one more.
    """
    assert tables.history is not None  # fit asks for it
    ids = pd.Index(np.sort(tables.history["customer_id"].to_numpy(str))).unique()
    mixed = np.random.default_rng([seed, number]).permutation(len(ids))
    return ids[mixed[: len(ids) // 2]], ids[mixed[len(ids) // 2 :]]


def half_scores(
    tables: Tables, seed: int, number: int, response: Response | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score all customers by two models that learnt from one half of the customers each.

    Parameters
    ----------
    tables : Tables
    seed, number : int
        As in `halves`.
    response : Response, optional
        As in `omniopt.knowledge.fit`.

    Returns
    -------
    tuple of two pandas.DataFrame
        customer_id, offer_id, channel, p_response; the same rows in the same order.

    Raises
    ------
    BadInput
        When half of the history is too little to learn from.
    """
    first, second = (fit(tables, seed, half, response).score() for half in halves(tables, seed, number))
    return first, second


def resampled(
    tables: Tables, seed: int, resamples: int, response: Response | None = None
) -> Iterator[pd.DataFrame]:
    """Score all customers again and again, each time by a model that learnt from half of them.

    Yields
    ------
    pandas.DataFrame
        As `half_scores` returns; the next one comes from the other half, then from a new division.
    """
    for number in range(resamples):
        half = halves(tables, seed, number // 2)[number % 2]
        yield fit(tables, seed, half, response).score()


def cautious(
    tables: Tables, scores: pd.DataFrame, how: Caution, seed: int = 0, response: Response | None = None
) -> pd.DataFrame:
    """Return scores that allow for their own uncertainty.

    Parameters
    ----------
    tables : Tables
        What the scores were learnt from.
    scores : pandas.DataFrame
        Those of a model that learnt from all of history.
    how : {"shrink", "quantile"}
        ``shrink`` draws the scores of each offer on each channel to their mean, and the means to the common
        one, as far as two halves of history disagree (see `shrunk`). ``quantile`` takes the lower fifth of
        what half samples say, but never more than the score itself.
    seed : int
    response : Response, optional
        What the scores were learnt by.

    Returns
    -------
    pandas.DataFrame
        The scores with another ``p_response``; the former one is ``p_expected``.

    Raises
    ------
    BadInput
        When half of the history is too little to learn from.
    """
    expected = scores["p_response"].to_numpy(float)
    if how == "shrink":
        pairs = [half_scores(tables, seed, number, response) for number in range(DIVISIONS)]
        arrays = [(a["p_response"].to_numpy(float), b["p_response"].to_numpy(float)) for a, b in pairs]
        cell = scores.groupby(["offer_id", "channel"]).ngroup().to_numpy()
        p = shrunk(expected, cell, arrays)
    else:
        drawn = np.stack(
            [s["p_response"].to_numpy(np.float32) for s in resampled(tables, seed, RESAMPLES, response)]
        )
        p = np.minimum(np.quantile(drawn, QUANTILE, axis=0).astype(float), expected)
    return scores.assign(p_response=p, p_expected=expected)


def shrunk(p: Floats, cell: np.ndarray, halves: list[tuple[Floats, Floats]]) -> Floats:
    """Draw scores to their means by how reliable they are.

    The reliability of a model from half of history is the correlation r of two such models; that of one from
    all of it is 2r / (1 + r) (Spearman 1910 and Brown 1910, British Journal of Psychology 3). A score's best
    guess at the truth is that share of its distance from the mean (Kelley 1927). It is done within each cell,
    and once more with the cells' means.

    Parameters
    ----------
    p : ndarray of float, shape (n,)
        Scores from all of history.
    cell : ndarray of int, shape (n,)
        To which offer and channel each belongs, from 0.
    halves : list of pairs of ndarray of float, shape (n,)
        Scores from two halves of history each.

    Returns
    -------
    ndarray of float, shape (n,)
        Their mean is that of `p`, but for those that would leave (0, 1).
    """
    size = np.bincount(cell)

    def mean(x: Floats) -> Floats:
        return np.bincount(cell, x) / size

    products = np.zeros((3, len(size)))  # of deviations within the cells: a b, a a, b b
    between = np.zeros(3)
    grand = [np.average(mean(x), weights=size) for pair in halves for x in pair]
    for number, (a, b) in enumerate(halves):
        mean_a, mean_b = mean(a), mean(b)
        a, b = a - mean_a[cell], b - mean_b[cell]
        products += [mean(a * b), mean(a * a), mean(b * b)]
        mean_a, mean_b = mean_a - grand[2 * number], mean_b - grand[2 * number + 1]
        between += [np.average(x, weights=size) for x in (mean_a * mean_b, mean_a**2, mean_b**2)]
    inside, outside = _reliability(products), _reliability(between)
    centre = mean(p)
    overall = np.average(centre, weights=size)
    drawn = overall + outside * (centre[cell] - overall) + inside[cell] * (p - centre[cell])
    return np.clip(drawn, LOWEST, 1 - LOWEST)


def _reliability(products: np.ndarray) -> np.ndarray:
    """Return 2r / (1 + r) of sums of products; 0 where two halves do not agree, 1 where nothing varies."""
    both, first, second = products
    spread = np.sqrt(first * second)
    r = np.clip(np.divide(both, spread, out=np.ones_like(spread), where=spread > 0), 0.0, 1.0)
    return 2 * r / (1 + r)

"""From scores to probabilities: how a model's log-odds on later contacts relate to what happened there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from omniopt.knowledge.profile import Floats

#: From so many responses on, calibration is isotonic; below, a sigmoid.
MANY = 1000
#: So many contacts that follow the sigmoid are added to each step of an isotonic calibration.
PRIOR = 10
#: No probability is nearer to 0 or 1 than this.
LOWEST = 1e-6


@dataclass(frozen=True)
class Calibration:
    """A curve from a model's log-odds to probabilities, with a level for each group.

    First a logistic curve (Platt 1999), whose level may differ between groups: response to one category may
    rise while that to another falls. The levels are drawn to the common one, so that a group with few
    contacts keeps near it, and a group that was not seen keeps it. Then, with many responses, an isotonic
    regression on its result. Each of its steps is drawn to the logistic curve as if `PRIOR` more contacts had
    followed that: a few contacts who all answered do not make a probability of 1, and different scores keep
    different probabilities.

    Attributes
    ----------
    slope, intercept : float
        Of the logistic curve.
    levels : dict of str to dict of float to float
        Column of the groups to code to what it adds to the log-odds.
    steps : tuple of two ndarray, or None
        Log-odds after the first part, and the probability at each; in between it is interpolated.
    """

    slope: float
    intercept: float
    levels: dict[str, dict[float, float]]
    steps: tuple[Floats, Floats] | None = None

    @classmethod
    def fit(cls, score: Floats, groups: pd.DataFrame, y: np.ndarray) -> Calibration:
        """Fit the curve.

        Parameters
        ----------
        score : ndarray of float, shape (n,)
            Log-odds of a model that did not see these contacts.
        groups : pandas.DataFrame, n rows
            Codes; each column gives every contact a group.
        y : ndarray of bool, shape (n,)
            Whether each responded. Where all or none did there is no curve to fit, but a rate.
        """
        if not 0 < y.sum() < len(y):
            # As if one more contact had gone either way: a rate of 0 or 1 was seen, not proven.
            rate = (y.sum() + 0.5) / (len(y) + 1)
            return cls(0.0, float(np.log(rate / (1 - rate))), {})
        codes = {name: np.unique(groups[name].to_numpy()) for name in groups}
        columns = [groups[name].to_numpy()[:, None] == codes[name] for name in groups]
        model = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-10, max_iter=200)
        model.fit(np.column_stack([score, *columns]), y)
        slope, *added = model.coef_[0].tolist()
        levels = {name: {float(code): added.pop(0) for code in codes[name]} for name in groups}
        first = cls(slope, float(model.intercept_[0]), levels)
        return first if y.sum() < MANY else first._stepped(first._log_odds(score, groups), y)

    def _stepped(self, log_odds: Floats, y: np.ndarray) -> Calibration:
        level = IsotonicRegression().fit_transform(log_odds, y)
        # Equal levels make a step; rounding keeps the last bit of a float from splitting one.
        steps = pd.Series(log_odds).groupby(np.round(level, 12)).agg(["min", "max", "size"])
        ends = steps[["min", "max"]].to_numpy()
        size, rate = steps["size"].to_numpy()[:, None], steps.index.to_numpy(float)[:, None]
        p = (size * rate + PRIOR * expit(ends)) / (size + PRIOR)
        return replace(self, steps=(ends.ravel(), np.maximum.accumulate(p.ravel())))

    @property
    def method(self) -> str:
        """Which curve it is: sigmoid or isotonic."""
        return "isotonic" if self.steps else "sigmoid"

    def _log_odds(self, score: Floats, groups: pd.DataFrame) -> Floats:
        result = self.slope * score + self.intercept
        for name, levels in self.levels.items():
            result = result + groups[name].map(levels).fillna(0.0).to_numpy()
        return result

    def __call__(self, score: Floats, groups: pd.DataFrame) -> Floats:
        """Return probabilities for log-odds `score` in `groups`."""
        log_odds = self._log_odds(score, groups)
        p = expit(log_odds) if self.steps is None else np.interp(log_odds, *self.steps)
        return np.clip(p, LOWEST, 1 - LOWEST)

"""The pipelines that a project may learn response with, and their log-odds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logit
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from omniopt.knowledge.profile import Floats
from omniopt.project.response import Response

#: What has a level of its own in the calibration, and a weaker penalty in the regression.
LEVELS = ["category", "channel"]
#: Leaves of trees hold so many contacts at least: response is rare, and history is not long.
LEAF = 50
#: A share of trees of 0 or 1 is no certainty: log-odds end here.
SUREST = 1e-4

_MADE: dict[str, tuple[type, dict[str, Any]]] = {
    "logistic": (LogisticRegression, {"C": 0.1, "solver": "newton-cholesky", "tol": 1e-10, "max_iter": 200}),
    "gradient_boosting": (
        HistGradientBoostingClassifier,
        {"learning_rate": 0.05, "max_iter": 100, "max_leaf_nodes": 8, "min_samples_leaf": LEAF,
         "early_stopping": False, "random_state": 0},
    ),
    "random_forest": (
        RandomForestClassifier,
        {"n_estimators": 100, "min_samples_leaf": LEAF, "random_state": 0},
    ),
    "extra_trees": (ExtraTreesClassifier, {"n_estimators": 100, "min_samples_leaf": LEAF, "random_state": 0}),
}  # fmt: skip


def pipeline(codes: list[str], response: Response) -> Pipeline:
    """Return the unfitted pipeline that a project asks for.

    Numbers are drawn in, filled with their mean and standardised; codes become indicators. The penalty of the
    logistic regression draws coefficients to zero: an offer seen rarely or never is predicted from its
    category. That of category and channel is drawn less, so that what the offers of a category have in common
    is told by it.

    Parameters
    ----------
    codes : list of str
        Columns that are codes of text; the others are numbers.
    response : Response
        Names the estimator and its options.
    """
    numbers = make_pipeline(
        FunctionTransformer(_compress),
        SimpleImputer(strategy="mean", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
    )
    indicators = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    stronger = make_pipeline(indicators, FunctionTransformer(_stronger))
    own = [name for name in codes if name not in LEVELS]
    columns = ColumnTransformer([("levels", stronger, LEVELS), ("codes", indicators, own)], remainder=numbers)
    kind, options = _MADE[response.estimator]
    return make_pipeline(columns, kind(**options | response.options))


def log_odds(fitted: Pipeline, rows: pd.DataFrame) -> Floats:
    """Return the log-odds of a response, before calibration."""
    if hasattr(fitted, "decision_function"):
        return np.asarray(fitted.decision_function(rows), float)
    return np.asarray(logit(np.clip(fitted.predict_proba(rows)[:, 1], SUREST, 1 - SUREST)), float)


def _stronger(indicators: Floats) -> Floats:
    """Make indicators larger: the same effect then takes a smaller, less penalised coefficient."""
    return 3 * indicators


def _compress(numbers: pd.DataFrame) -> pd.DataFrame:
    """Draw in large numbers, of either sign: money and counts have long tails."""
    return np.sign(numbers) * np.log1p(np.abs(numbers))

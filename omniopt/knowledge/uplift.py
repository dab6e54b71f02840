"""Uplift: by how much a contact changes the probability of a response, learnt from randomised experiments.

With m₁ and m₀ the response of treated and control customers, learnt apart, the T-learner predicts
m₁(x) − m₀(x). The X-learner learns that difference once more, from the treated as y − m₀(x) and from the
controls as m₁(x) − y, and blends both by the share g of the treated: g·τ₀(x) + (1 − g)·τ₁(x). (Künzel,
Sekhon, Bickel and Yu 2019, PNAS 116, 4156-4165.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from omniopt.errors import Faults
from omniopt.knowledge.experiments import Trial, balance, describe, trials
from omniopt.knowledge.profile import Floats
from omniopt.knowledge.qini import Arms, deciles, difference, qini_curve
from omniopt.tables import Tables

#: Parts of the customers, each predicted by a model learnt from the others.
FOLDS = 5
Learner = Literal["t", "x"]
# Predicts the uplift of customers described as in training.
Effect = Callable[[pd.DataFrame], Floats]


@dataclass(frozen=True)
class UpliftModel:
    """A fitted model of each treatment; made by `fit`.

    Attributes
    ----------
    effects : dict of (str, str or None) to callable
        By offer and channel; None where the experiment does not tell channels apart.
    report : dict
        By the same keys, what it was made from and how good it is; see `fit`.
    """

    tables: Tables
    effects: dict[tuple[str, str | None], Effect]
    report: dict[tuple[str, str | None], dict[str, Any]]

    def add(self, scores: pd.DataFrame) -> pd.DataFrame:
        """Return scores with a column ``uplift``, as of the horizon's first day.

        An experiment that does not tell channels apart speaks of all channels of its offer alike.

        Parameters
        ----------
        scores : DataFrame
            customer_id, offer_id, channel and more.

        Raises
        ------
        BadInput
            When an offer that is scored was in no experiment: how it changes responses is not known.
        """
        cells = scores.groupby(["offer_id", "channel"], sort=True).indices
        keys = {cell: cell if cell in self.effects else (cell[0], None) for cell in cells}
        faults = Faults()
        for offer, channel in (cell for cell, key in keys.items() if key not in self.effects):
            faults.add(
                f"no experiment left customers out of offer {offer} on {channel} at random, so its uplift is "
                "not known",
                file=self.tables.files.get("experiments"), table="experiments", column="offer_id",
                hint="Give it to a random part of the customers, or use the gross response in the objective",
            )  # fmt: skip
        faults.raise_if_any()
        code, ids = pd.factorize(scores["customer_id"], sort=True)
        known = describe(self.tables, ids.to_series(index=range(len(ids))), np.ones(len(ids), np.int64))
        with threadpool_limits(1):
            said = {key: self.effects[key](known) for key in sorted(set(keys.values()), key=str)}
        uplift = np.empty(len(scores))
        for cell, at in cells.items():
            uplift[at] = said[keys[cell]][code[at]]
        return scores.assign(uplift=uplift)


def fit(tables: Tables, seed: int = 0, learner: Learner = "x") -> UpliftModel:
    """Learn from randomised experiments what each treatment changes.

    Parameters
    ----------
    tables : Tables
        As for `omniopt.knowledge.experiments.trials`.
    seed : int
        Decides how customers are divided for the evaluation, and resampled for its intervals; the
        predictions do not depend on it.
    learner : {"x", "t"}
        X-learner or T-learner.

    Returns
    -------
    UpliftModel
        Its ``report`` has for each treatment: ``effect`` (`omniopt.knowledge.qini.difference` of all),
        ``areas`` and ``curve`` (`qini_curve`) and ``deciles``, all from predictions by models that did not
        see the customer; ``balance`` (p-value) and ``of_today`` (covariates known only as they are now).

    Raises
    ------
    BadInput
        When there was no randomisation, or it failed; with the reason.
    """
    found = trials(tables)
    effects, report = {}, {}
    for trial in found:
        key = (trial.offer_id, trial.channel)
        effects[key] = learn(trial.covariates, trial.arms, learner)
        report[key] = _report(trial, seed, learner)
    return UpliftModel(tables, effects, report)


def _report(trial: Trial, seed: int, learner: Learner) -> dict[str, Any]:
    predicted = cross_fitted(trial.covariates, trial.arms, seed, learner)
    curve, areas = qini_curve(predicted, trial.arms, seed)
    return {
        "effect": difference(trial.arms), "areas": areas, "curve": curve,
        "deciles": deciles(predicted, trial.arms),
        "balance": balance(trial.covariates, trial.arms).p_value, "of_today": trial.of_today,
    }  # fmt: skip


def cross_fitted(covariates: pd.DataFrame, arms: Arms, seed: int = 0, learner: Learner = "x") -> Floats:
    """Predict the uplift of each customer by a model that saw nothing of that customer.

    Parameters
    ----------
    covariates : DataFrame, n rows
        As known before the experiment.
    arms : Arms
    seed : int
        Decides the five parts.
    learner : {"x", "t"}

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    who, code = np.unique(arms.customer, return_inverse=True)
    fold = _dealt(arms, code, len(who), seed)
    predicted = np.empty(len(covariates))
    for number in range(FOLDS):
        inside = fold == number
        if inside.any():
            effect = learn(covariates[~inside], part(arms, ~inside), learner)
            with threadpool_limits(1):
                predicted[inside] = effect(covariates[inside])
    return predicted


def _dealt(arms: Arms, code: np.ndarray, people: int, seed: int) -> np.ndarray:
    """Deal customers out to the parts, so that each has its share of every arm's responders and others."""
    kind = np.zeros(people, np.int64)
    np.maximum.at(kind, code, 2 * arms.treated + np.asarray(arms.response, bool))
    order = np.lexsort((np.random.default_rng(seed).permutation(people), kind))
    fold = np.empty(people, np.int64)
    fold[order] = np.arange(people) % FOLDS
    return fold[code]


def part(arms: Arms, at: np.ndarray) -> Arms:
    """Return some of the rows."""
    return Arms(arms.treated[at], arms.response[at], arms.weight[at], arms.customer[at])


def learn(covariates: pd.DataFrame, arms: Arms, learner: Learner = "x") -> Effect:
    """Learn the effect of a treatment; each customer counts inversely to the probability of the arm."""
    t, y, w = arms.treated, np.asarray(arms.response, bool), arms.weight
    with threadpool_limits(1):
        by_arm = [_fitted(_classifier(), covariates[mine], y[mine], w[mine]) for mine in (~t, t)]

        def response(arm: int, rows: pd.DataFrame) -> Floats:
            return np.asarray(by_arm[arm].predict_proba(rows)[:, 1])

        if learner == "t":
            return lambda rows: response(1, rows) - response(0, rows)
        gained = [response(1, covariates[~t]) - y[~t], y[t] - response(0, covariates[t])]
        again = [
            _fitted(_regressor(), covariates[mine], gain, w[mine])
            for mine, gain in zip((~t, t), gained, strict=True)
        ]
    share = float(w[t].sum() / w.sum())
    return lambda rows: np.clip(
        share * again[0].predict(rows) + (1 - share) * again[1].predict(rows), -1.0, 1.0
    )


def _fitted(model: Pipeline, rows: pd.DataFrame, target: np.ndarray, weight: Floats) -> Pipeline:
    # Weights of mean 1 leave the penalty's strength as it is.
    return model.fit(rows, target, **{f"{model.steps[-1][0]}__sample_weight": weight / weight.mean()})


def _classifier() -> Pipeline:
    return make_pipeline(_columns(), LogisticRegression(C=0.1, solver="newton-cholesky", max_iter=200))


def _regressor() -> Pipeline:
    return make_pipeline(_columns(), Ridge(alpha=100.0))


def _columns() -> Any:
    """Standardise numbers, their long tails drawn in, and turn text into indicators."""
    numbers = make_pipeline(
        FunctionTransformer(_compress),
        SimpleImputer(strategy="mean", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
    )
    words = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (words, make_column_selector(dtype_exclude="number")),
    )


def _compress(numbers: pd.DataFrame) -> pd.DataFrame:
    return np.sign(numbers) * np.log1p(np.abs(numbers))

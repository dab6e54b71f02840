"""How likely each customer is to respond to each offer on each channel, learnt from past contacts.

A logistic regression is trained on the earlier contacts, and its scores are turned into probabilities on the
later ones (calibration): responses drift, and the latest contacts say most about the level to expect. How
good the probabilities are is judged on the later contacts too, by cross-fitting: each contact is judged by a
calibration that did not see its customer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from omniopt.errors import BadInput, Fault, Faults
from omniopt.knowledge.calibrate import LOWEST, Calibration
from omniopt.knowledge.evaluate import auc, calibration, log_loss
from omniopt.knowledge.features import Features
from omniopt.knowledge.profile import Floats, category_of
from omniopt.tables import Tables

#: What has a level of its own in the calibration.
LEVELS = ["category", "channel"]
#: Each of the two periods needs so many responses, and so many contacts without one.
FEWEST = 5
#: Share of the contacts that the later period should have, roughly.
LATER = 1 / 3
#: Parts of the later period's customers, each judged by a calibration fitted to the others.
FOLDS = 5


@dataclass(frozen=True)
class ResponseModel:
    """A fitted response model; made by `fit`.

    Attributes
    ----------
    report : dict
        What it was made from and how good it is; see `fit`.
    """

    features: Features
    pipeline: Pipeline
    calibration: Calibration
    weights: dict[str, float]
    report: dict[str, Any]

    def score(self) -> pd.DataFrame:
        """Score every customer for every offer on every channel, as of the horizon's first day.

        Scored are the offers of the actions, or without actions those not over before the horizon; and all
        channels, fallbacks included.

        Returns
        -------
        pandas.DataFrame
            customer_id, offer_id, channel, p_response, sorted by the first three. For a channel that history
            does not know, the response on the known ones (weighted by past contacts) times its
            ``response_index``.

        Raises
        ------
        BadInput
            When a channel that history does not know has no ``response_index``.
        """
        tables = self.features.tables
        assert tables.channels is not None  # fit has asked for it
        # All channels: a fallback need not be in any action.
        offers, channels = _offers(tables), sorted(tables.channels["channel"])
        index = _response_index(tables, [name for name in channels if name not in self.weights])
        customers = self.features.customers
        blocks = np.empty((len(customers), len(offers), len(channels)))
        with threadpool_limits(1):
            for i, known in enumerate(self._known(offers)):
                mean = sum(weight * known[name] for name, weight in self.weights.items())
                for j, channel in enumerate(channels):
                    blocks[:, i, j] = known[channel] if channel in known else mean * index[channel]
        keys = pd.MultiIndex.from_product(
            [customers, offers, channels], names=["customer_id", "offer_id", "channel"]
        ).to_frame(index=False)
        return keys.assign(p_response=np.clip(blocks.ravel(), LOWEST, 1 - LOWEST))

    def _known(self, offers: list[str]) -> Iterator[dict[str, Floats]]:
        """Yield for each offer the probabilities of all customers on each channel that history knows."""
        names = list(self.weights)
        cells = pd.MultiIndex.from_product([offers, names], names=["offer_id", "channel"]).to_frame(
            index=False
        )
        codes = np.column_stack(self.features.codes_of(cells))
        # New offers of one category are one to the model: what it says of the first holds for all.
        said: dict[tuple[int, ...], Floats] = {}
        for first in range(0, len(cells), len(names)):
            keys = [tuple(codes[first + j].tolist()) for j in range(len(names))]
            for key in keys:
                if key not in said:
                    said[key] = self._predict(key)
            yield {name: said[key] for name, key in zip(names, keys, strict=True)}

    def _predict(self, codes: tuple[int, ...]) -> Floats:
        """Return the probability of each customer for one category, offer and channel."""
        n = len(self.features.customers)
        category, offer, channel = (np.full(n, code, np.int64) for code in codes)
        rows = self.features.rows(np.arange(n), (category, offer, channel), np.ones(n, np.int64))
        return self.calibration(self.pipeline.decision_function(rows), rows[LEVELS])


def fit(tables: Tables, seed: int = 0, learn_from: pd.Index | None = None) -> ResponseModel:
    """Learn from past contacts how customers respond.

    A response is the outcome ``responded``. Left out are planned and bounced contacts, those whose outcome is
    not known (``sent``), and all contacts of an offer on a channel and a day of which most outcomes are not
    known yet: its first answers are in, but those who did not answer cannot be told from those who will.

    Parameters
    ----------
    tables : Tables
        History; customers with any attributes; offers with their category. An attribute that changes over
        time may be in history too, as it was at the contact, and is then learnt from there.
    seed : int
        Decides how customers are divided for the evaluation; the scores do not depend on it unless all
        contacts are of one day.
    learn_from : pandas.Index, optional
        Ids of the customers whose contacts train and calibrate the model; all if not given. What happened to
        the others still describes them when they are scored.

    Returns
    -------
    ResponseModel
        Its ``report`` has: ``contacts``, ``responses`` in use and ``left_out`` (reason to count); ``trained``
        and ``calibrated`` (``from``, ``to``: day numbers; ``contacts``, ``responses``; the latter
        ``method``); ``split`` ("by date", or "by customer" if one day holds all); ``auc``, ``log_loss``
        (calibrated, cross-fitted), ``log_loss_uncalibrated`` and ``log_loss_constant`` (the earlier period's
        response rate for all), on the later period; ``calibration`` (`omniopt.knowledge.evaluate.calibration`
        on it); ``offers`` (for each offer scored, the contacts of its own and of its category it was trained
        on); ``attributes``, ``attributes_of_today`` (those known only as they are now) and
        ``attributes_left_out``.

    Raises
    ------
    BadInput
        When a table is missing, or history cannot train a model: too few responses or none, or too few
        contacts without one.
    """
    _check_presence(tables)
    features = Features(tables)
    usable = _usable(features.contacts)
    if learn_from is not None:
        usable = usable & features.contacts["customer_id"].isin(learn_from).to_numpy(bool)
    contacts = features.contacts[usable]
    later, split = _split(contacts, seed, tables)
    rows, y = features.of_contacts(usable), contacts["response"].to_numpy()
    with threadpool_limits(1):
        pipeline = _pipeline(features).fit(rows[~later], y[~later])
        score = pipeline.decision_function(rows[later])
        groups = rows.loc[later, LEVELS]
        calibrated = Calibration.fit(score, groups, y[later])
        judged = _cross_fitted(score, groups, y[later], features.positions(contacts)[later], seed)
    weights = contacts["channel"].value_counts(normalize=True).sort_index().to_dict()
    report = {
        **_counts(features.contacts, usable),
        "trained": _period(contacts[~later]),
        "calibrated": {**_period(contacts[later]), "method": calibrated.method},
        "split": split,
        "auc": auc(judged, y[later]),
        "log_loss": log_loss(judged, y[later]),
        "log_loss_uncalibrated": log_loss(expit(score), y[later]),
        "log_loss_constant": log_loss(np.full(len(score), y[~later].mean()), y[later]),
        "calibration": calibration(judged, y[later]),
        "offers": _trained_on(tables, contacts[~later]),
        "attributes": features.attributes,
        "attributes_of_today": [name for name in features.attributes if name not in features.at_contact],
        "attributes_left_out": features.left_out,
    }
    return ResponseModel(features, pipeline, calibrated, weights, report)


def scores(tables: Tables, seed: int = 0) -> tuple[pd.DataFrame, ResponseModel | None]:
    """Return the scores given with the project, or those of a model fitted to its history.

    Parameters
    ----------
    tables : Tables
        The project's tables.
    seed : int
        As in `fit`.

    Returns
    -------
    tuple
        Scores (customer_id, offer_id, channel, p_response, and value where given), and the model, if one was
        fitted.

    Raises
    ------
    BadInput
        As `fit` and `ResponseModel.score` do.
    """
    if tables.scores is not None:
        return tables.scores, None
    model = fit(tables, seed)
    return model.score(), model


def _response_index(tables: Tables, new: list[str]) -> dict[str, float]:
    """Return the index of each channel that history does not know."""
    given = pd.Series(dtype=float)
    if tables.channels is not None and "response_index" in tables.channels:
        given = tables.channels.set_index("channel")["response_index"]
    index = pd.to_numeric(given.reindex(new), errors="coerce")
    faults = Faults()
    for name in index.index[~(index >= 0)]:
        faults.add(
            f"no past contact shows how customers respond on channel '{name}', and it has no response_index",
            file=tables.files.get("channels"),
            table="channels",
            column="response_index",
            hint="Write its response relative to that of channels in history (1 = the same), or give scores",
        )
    faults.raise_if_any()
    return index.to_dict()


# ---- parts of fit


def _check_presence(tables: Tables) -> None:
    faults = Faults()
    for name in ("customers", "offers", "channels", "history"):
        table = getattr(tables, name)
        if table is None or len(table) == 0:
            hint = f"Give {name}, or a table of scores"
            faults.add("a response model cannot be made without rows in this table", table=name, hint=hint)
    faults.raise_if_any()


def _pipeline(features: Features) -> Pipeline:
    """Return logistic regression over standardised numbers and indicators of codes.

    The penalty draws coefficients to zero: an offer seen rarely or never is predicted from its category. That
    of category and channel is drawn less, so that what the offers of a category have in common is told by it.
    """
    numbers = make_pipeline(
        FunctionTransformer(_compress),
        SimpleImputer(strategy="mean", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
    )
    codes = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    stronger = make_pipeline(codes, FunctionTransformer(_stronger))
    own = [name for name in features.codes if name not in LEVELS]
    columns = ColumnTransformer([("levels", stronger, LEVELS), ("codes", codes, own)], remainder=numbers)
    model = LogisticRegression(C=0.1, solver="newton-cholesky", tol=1e-10, max_iter=200)
    return make_pipeline(columns, model)


def _stronger(indicators: Floats) -> Floats:
    """Make indicators larger: the same effect then takes a smaller, less penalised coefficient."""
    return 3 * indicators


def _compress(numbers: pd.DataFrame) -> pd.DataFrame:
    """Draw in large numbers, of either sign: money and counts have long tails."""
    return np.sign(numbers) * np.log1p(np.abs(numbers))


def _usable(contacts: pd.DataFrame) -> np.ndarray:
    """Mark contacts that can train: outcome known, and so are most of the same offer, channel and day."""
    known = contacts.groupby(["offer_id", "channel", "date"])["known"].transform("mean")
    return (contacts["known"] & (known >= 0.5)).to_numpy()


def _split(contacts: pd.DataFrame, seed: int, tables: Tables) -> tuple[np.ndarray, str]:
    """Mark the later contacts: about a third, by date, with enough to learn from on each side."""
    y = contacts["response"].to_numpy()
    days, code = np.unique(contacts["date"].to_numpy(), return_inverse=True)
    yes = np.bincount(code, weights=y, minlength=len(days)).cumsum()
    no = np.bincount(code, weights=~y, minlength=len(days)).cumsum()
    if not len(y) or min(yes[-1], no[-1]) < 2 * FEWEST:
        raise BadInput([_too_little(contacts, tables)])
    enough = np.minimum.reduce([yes, no, yes[-1] - yes, no[-1] - no]) >= FEWEST
    if enough.any():
        share = 1 - (yes + no) / len(y)
        last = int(np.argmin(np.where(enough, np.abs(share - LATER), np.inf)))
        return code > last, "by date"
    customers, who = np.unique(contacts["customer_id"].to_numpy(str), return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(customers))
    # Responders and others are dealt out in turn, so that each side gets its share of both.
    responder = np.bincount(who, weights=y) > 0
    dealt = np.lexsort([order, responder])
    position = np.empty(len(customers), np.int64)
    position[dealt] = np.arange(len(customers))
    later = position[who] % 3 == 0
    if min(y[later].sum(), (~y[later]).sum(), y[~later].sum(), (~y[~later]).sum()) < 1:
        raise BadInput([_too_little(contacts, tables)])
    return later, "by customer"


def _too_little(contacts: pd.DataFrame, tables: Tables) -> Fault:
    n, yes = len(contacts), int(contacts["response"].sum())
    return Fault(
        f"history cannot train a response model: it has {yes} responses and {n - yes} contacts known to have "
        f"none; at least {2 * FEWEST} of each are needed",
        file=tables.files.get("history"),
        table="history",
        column="outcome",
        hint="Give more history, or a table of scores. 'sent' counts as not known yet: write 'delivered' "
        "where no answer came in time",
    )


def _cross_fitted(
    score: Floats, groups: pd.DataFrame, y: np.ndarray, customer: np.ndarray, seed: int
) -> Floats:
    """Return calibrated probabilities, each from a calibration that saw nothing of the same customer."""
    who, code = np.unique(customer, return_inverse=True)
    fold = (np.random.default_rng(seed).permutation(len(who)) % FOLDS)[code]
    p = np.empty(len(y))
    for number in np.unique(fold):
        inside = fold == number
        seen = Calibration.fit(score[~inside], groups[~inside], y[~inside])
        p[inside] = seen(score[inside], groups[inside])
    return p


# ---- parts of the report


def _period(contacts: pd.DataFrame) -> dict[str, int]:
    return {
        "from": int(contacts["date"].min()),
        "to": int(contacts["date"].max()),
        "contacts": len(contacts),
        "responses": int(contacts["response"].sum()),
    }


def _counts(contacts: pd.DataFrame, usable: np.ndarray) -> dict[str, Any]:
    unknown = int((~contacts["known"]).sum())
    return {
        "contacts": int(usable.sum()),
        "responses": int(contacts["response"][usable].sum()),
        "left_out": {
            "outcome not known": unknown,
            "most outcomes not known yet": int((~usable).sum()) - unknown,
        },
    }


def _trained_on(tables: Tables, contacts: pd.DataFrame) -> pd.DataFrame:
    offers = pd.Series(_offers(tables), dtype="str")
    category = category_of(tables, offers)
    own = offers.map(contacts["offer_id"].value_counts()).fillna(0).astype("int64")
    same = category.map(contacts["category"].value_counts()).fillna(0).astype("int64")
    return pd.DataFrame(
        {"offer_id": offers, "category": category, "contacts": own, "category_contacts": same}
    )


def _offers(tables: Tables) -> list[str]:
    """Return the offers to score: those of the actions, or those not over when the horizon begins."""
    if tables.actions is not None:
        return sorted(tables.actions["offer_id"].unique())
    offers = tables.offers
    assert offers is not None  # fit has asked for it
    if "valid_to" in offers:
        offers = offers[(offers["valid_to"].isna() | (offers["valid_to"] >= 1)).to_numpy(bool)]
    return sorted(offers["offer_id"])

"""How likely each customer is to respond to each offer on each channel, learnt from past contacts.

A logistic regression is trained on the earlier contacts, and its scores are turned into probabilities on the
later ones (calibration): responses drift, and the latest contacts say most about the level to expect. How
good the probabilities are is judged on the later contacts too, by cross-fitting: each contact is judged by a
calibration that did not see its customer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from omniopt.errors import Faults, nearest
from omniopt.knowledge.calibrate import LOWEST, Calibration
from omniopt.knowledge.drift import drift, recalibration, recalibration_in_words, warnings
from omniopt.knowledge.estimators import LEVELS, log_odds, pipeline
from omniopt.knowledge.evaluate import auc, calibration, log_loss
from omniopt.knowledge.features import NOT_ATTRIBUTES, Features
from omniopt.knowledge.leaks import check_leaks
from omniopt.knowledge.periods import later_period, on_planned_channels, usable
from omniopt.knowledge.profile import Floats, Ints, category_of
from omniopt.project.response import Response
from omniopt.tables import Tables

#: Customers that are scored together.
LOT = 1 << 16
#: Lots that are scored at once, each on one core.
WORKERS = 2
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
        lots = [self.table(customers, p) for customers, p in self.lots()]
        return pd.concat(lots, ignore_index=True)

    def table(self, customers: pd.Index, p: Floats) -> pd.DataFrame:
        """Return a lot of scores as a table."""
        names = ["customer_id", "offer_id", "channel"]
        keys = pd.MultiIndex.from_product([customers, self.offers, self.channels], names=names)
        return keys.to_frame(index=False).assign(p_response=p.ravel())

    @property
    def offers(self) -> list[str]:
        """The offers that are scored."""
        return _offers(self.features.tables)

    @property
    def channels(self) -> list[str]:
        """The channels that are scored: all, since a fallback need not be in any action."""
        assert self.features.tables.channels is not None  # fit has asked for it
        return sorted(self.features.tables.channels["channel"])

    def lots(self) -> Iterator[tuple[pd.Index, Floats]]:
        """Score customers lot by lot, in the order of their ids.

        Yields
        ------
        tuple
            Ids of the lot's customers, and the probabilities, shape (customers, offers, channels).
        """
        index = _response_index(
            self.features.tables, [name for name in self.channels if name not in self.weights]
        )
        everybody = self.features.customers
        starts = range(0, max(len(everybody), 1), LOT)
        workers = min(len(starts), os.cpu_count() or 1, WORKERS)

        def scored(first: int) -> tuple[pd.Index, Floats]:
            customer = np.arange(first, min(first + LOT, len(everybody)), dtype=np.int64)
            with threadpool_limits(1):  # how many threads OpenMP takes is each thread's own affair
                return everybody[customer], self._lot(customer, index)

        with threadpool_limits(1), ThreadPoolExecutor(workers) as pool:
            # Not all at once: finished lots would wait in memory for the reader.
            for first in range(0, len(starts), workers):
                yield from pool.map(scored, starts[first : first + workers])

    def _lot(self, customer: Ints, index: dict[str, float]) -> Floats:
        offers, channels = self.offers, self.channels
        p = np.empty((len(customer), len(offers), len(channels)))
        for i, known in enumerate(self._known(offers, customer)):
            mean = sum(weight * known[name] for name, weight in self.weights.items())
            for j, channel in enumerate(channels):
                p[:, i, j] = known[channel] if channel in known else mean * index[channel]
        return np.clip(p, LOWEST, 1 - LOWEST)

    def _known(self, offers: list[str], customer: Ints) -> Iterator[dict[str, Floats]]:
        """Yield for each offer the probabilities of the customers on each channel that history knows."""
        names = list(self.weights)
        cells = pd.MultiIndex.from_product([offers, names], names=["offer_id", "channel"]).to_frame(
            index=False
        )
        codes = np.column_stack(self.features.codes_of(cells))
        past = self.features.past(customer, np.ones(len(customer), np.int64))
        # New offers of one category are one to the model: what it says of the first holds for all.
        said: dict[tuple[int, ...], Floats] = {}
        for first in range(0, len(cells), len(names)):
            keys = [tuple(codes[first + j].tolist()) for j in range(len(names))]
            for key in keys:
                if key not in said:
                    said[key] = self._predict(key, customer, past)
            yield {name: said[key] for name, key in zip(names, keys, strict=True)}

    def _predict(self, codes: tuple[int, ...], customer: Ints, past: pd.DataFrame) -> Floats:
        """Return the probability of each customer for one category, offer and channel."""
        n = len(customer)
        category, offer, channel = (np.full(n, code, np.int64) for code in codes)
        rows = self.features.rows(customer, (category, offer, channel), np.ones(n, np.int64), past)
        return self.calibration(log_odds(self.pipeline, rows), rows[LEVELS])


def fit(
    tables: Tables, seed: int = 0, learn_from: pd.Index | None = None, response: Response | None = None
) -> ResponseModel:
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
        the others still describes them when they are scored, and leaks are not looked for.
    response : Response, optional
        The estimator, and the attributes to leave out; a logistic regression on all if not given.

    Returns
    -------
    ResponseModel
        Its ``report`` has: ``contacts``, ``responses`` in use and ``left_out`` (reason to count); ``trained``
        and ``calibrated`` (``from``, ``to``: day numbers; ``contacts``, ``responses``; the latter
        ``method``); ``split`` ("by date", or "by customer" if one day holds all); ``judged`` (as ``trained``;
        the later contacts on channels of the actions) and on these ``auc``, ``log_loss`` (calibrated,
        cross-fitted), ``log_loss_uncalibrated``, ``log_loss_constant`` (the earlier period's response rate
        for all) and ``calibration`` (`omniopt.knowledge.evaluate.calibration`); ``offers`` (for each offer
        scored, the contacts of its own and of its category it was trained on); ``attributes``,
        ``attributes_of_today`` (those known only as they are now) and ``attributes_left_out``;
        ``estimator``; ``alone`` (how well each attribute predicts by itself, see
        `omniopt.knowledge.leaks`); ``drift`` (`omniopt.knowledge.drift.drift` of what the earlier period
        predicts for the later one), ``recalibration`` (see there) and ``warnings`` (list of str).

    Raises
    ------
    BadInput
        When a table is missing, or history cannot train a model: too few responses or none, or too few
        contacts without one; when an attribute seems to be known only after the contact, or an attribute to
        be left out is not there.
    """
    response = Response() if response is None else response
    _check_presence(tables, response)
    features = Features(tables, response.without)
    chosen = usable(features.contacts)
    if learn_from is not None:
        chosen = chosen & features.contacts["customer_id"].isin(learn_from).to_numpy(bool)
    contacts = features.contacts[chosen]
    later, split = later_period(contacts, seed, tables)
    rows, y = features.of_contacts(chosen), contacts["response"].to_numpy()
    alone = check_leaks(features, rows, contacts, response) if learn_from is None else {}
    with threadpool_limits(1):
        fitted = pipeline(features.codes, response).fit(rows[~later], y[~later])
        score = log_odds(fitted, rows[later])
        groups = rows.loc[later, LEVELS]
        calibrated = Calibration.fit(score, groups, y[later])
        fair = _cross_fitted(score, groups, y[later], features.positions(contacts)[later], seed)
    judged = on_planned_channels(contacts[later], tables)
    p, came = fair[judged], y[later][judged]
    usual = y[~later][on_planned_channels(contacts[~later], tables)].mean()
    weights = contacts["channel"].value_counts(normalize=True).sort_index().to_dict()
    report = {
        **_counts(features.contacts, chosen),
        "trained": _period(contacts[~later]),
        "calibrated": {**_period(contacts[later]), "method": calibrated.method},
        "split": split,
        "judged": _period(contacts[later][judged]),
        "auc": auc(p, came),
        "log_loss": log_loss(p, came),
        "log_loss_uncalibrated": log_loss(expit(score)[judged], came),
        "log_loss_constant": log_loss(np.full(len(p), usual), came),
        "calibration": calibration(p, came),
        "offers": _trained_on(tables, contacts[~later]),
        "attributes": features.attributes,
        "attributes_of_today": [name for name in features.attributes if name not in features.at_contact],
        "attributes_left_out": features.left_out,
        "estimator": response.estimator,
        "alone": alone,
    }
    if learn_from is None:
        report |= _drifted(contacts, rows, later, score, split, pipeline(features.codes, response))
    return ResponseModel(features, fitted, calibrated, weights, report)


def scores(
    tables: Tables, seed: int = 0, response: Response | None = None
) -> tuple[pd.DataFrame, ResponseModel | None]:
    """Return the scores given with the project, or those of a model fitted to its history.

    Parameters
    ----------
    tables : Tables
        The project's tables.
    seed, response
        As in `fit`.

    Returns
    -------
    tuple
        Scores (customer_id, offer_id, channel, p_response, and value where given), and the model, if one was
        fitted. Where ``response`` asks for caution, ``p_response`` is the cautious score. What the model was
        warned of goes with its scores, in ``attrs["warnings"]``.

    Raises
    ------
    BadInput
        As `fit` and `ResponseModel.score` do.
    """
    if tables.scores is not None:
        return tables.scores, None
    model = fit(tables, seed, response=response)
    made = model.score()
    if response is not None and response.caution != "none":
        from omniopt.knowledge.uncertain import cautious  # which fits models itself

        made = cautious(tables, made, response.caution, seed, response)
    made.attrs["warnings"] = model.report["warnings"]
    return made, model


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


def _check_presence(tables: Tables, response: Response) -> None:
    faults = Faults()
    for name in ("customers", "offers", "channels", "history"):
        table = getattr(tables, name)
        if table is None or len(table) == 0:
            hint = f"Give {name}, or a table of scores"
            faults.add("a response model cannot be made without rows in this table", table=name, hint=hint)
    if tables.customers is not None:
        attributes = [name for name in tables.customers if name not in NOT_ATTRIBUTES]
        for name in (*response.without, *response.known_before):
            if name not in attributes:
                faults.add(
                    f"the project file names '{name}' under response, and customers have no such attribute",
                    file=tables.files.get("customers"), table="customers", column=name,
                    hint=nearest(name, attributes),
                )  # fmt: skip
    faults.raise_if_any()


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


def _drifted(
    contacts: pd.DataFrame,
    rows: pd.DataFrame,
    later: np.ndarray,
    score: Floats,
    split: str,
    unfitted: Pipeline,
) -> dict[str, Any]:
    """Say whether response went on as the earlier contacts taught."""
    table = drift(expit(score), contacts[later])
    if split != "by date":
        return {"drift": table, "recalibration": {}, "warnings": []}
    said, again = warnings(table), {}
    if said:
        again = recalibration(contacts, rows, later, float(expit(score).mean()), unfitted)
        said += recalibration_in_words(again)
    return {"drift": table, "recalibration": again, "warnings": said}


def _period(contacts: pd.DataFrame) -> dict[str, int]:
    return {
        "from": int(contacts["date"].min()),
        "to": int(contacts["date"].max()),
        "contacts": len(contacts),
        "responses": int(contacts["response"].sum()),
    }


def _counts(contacts: pd.DataFrame, chosen: np.ndarray) -> dict[str, Any]:
    unknown = int((~contacts["known"]).sum())
    return {
        "contacts": int(chosen.sum()),
        "responses": int(contacts["response"][chosen].sum()),
        "left_out": {
            "outcome not known": unknown,
            "most outcomes not known yet": int((~chosen).sum()) - unknown,
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

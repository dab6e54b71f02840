"""What each candidate is worth.

With delivery rate d, score p, uplift u, chance q to unsubscribe and a fallback channel f,

    response             = d p + (1 - d) d_f p_f
    value                = response × value per response
    cost                 = cost per contact + (1 - d) × unit cost of f + response × incentive
    incremental_response = d u + (1 - d) d_f u_f
    incremental_value    = incremental_response × value per response
    annoyance            = (d q + (1 - d) d_f q_f) × loss
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from omniopt.actions.annoyance import AnnoyanceCost
from omniopt.actions.candidates import Candidates, Delivery
from omniopt.actions.catalogue import Catalogue, Rows
from omniopt.errors import Faults
from omniopt.project.annoyance import Annoyance
from omniopt.tables import Tables

#: Measures that every project's own candidates have, as far as the tables give money and costs.
BASIC = ("value", "cost", "response")
#: Those that scores with an uplift, or the project file's annoyance, add.
FURTHER = ("incremental_response", "incremental_value", "annoyance")


def value_candidates(
    c: Candidates, scores: pd.DataFrame, tables: Tables, annoyance: Annoyance | None, faults: Faults
) -> None:
    """Work out what living candidates are worth and cost from scores, in place.

    Parameters
    ----------
    c : Candidates
        Living candidates (see `Candidates.alive`).
    scores : DataFrame
        customer_id, offer_id, channel, p_response in [0, 1] and optionally value (money per response),
        uplift and p_unsubscribe.
    tables : Tables
    annoyance : Annoyance or None
        What the project file says of it.
    faults : Faults
        Gets every missing score, value or cost as one fault that names it.
    """
    Valuation(c.catalogue, scores, tables, annoyance, faults).value(c, faults)


class Valuation:
    """What it takes to value candidates, looked up once for however many lots of them.

    Parameters
    ----------
    catalogue, scores, tables, annoyance, faults
        As for `value_candidates`.

    Attributes
    ----------
    names : tuple of str
        The measures that it may give.
    """

    def __init__(
        self, catalogue: Catalogue, scores: pd.DataFrame, tables: Tables, annoyance: Annoyance | None,
        faults: Faults,
    ) -> None:  # fmt: skip
        self.scores, self.tables = _Scores(catalogue, scores), tables
        self.delivery = Delivery(catalogue, tables)
        self.annoyance: AnnoyanceCost | None = None
        if annoyance is not None:
            estimated = "p_unsubscribe" not in self.scores.columns
            self.annoyance = AnnoyanceCost(catalogue, tables, annoyance, estimated, faults)
        uplift = FURTHER[:2] if "uplift" in self.scores.columns else ()
        self.names = (*BASIC, *uplift, *(FURTHER[2:] if annoyance is not None else ()))

    def value(self, c: Candidates, faults: Faults) -> None:
        """Work out all measures of living candidates, in place."""
        legs = self._legs(c, faults)
        response = legs.sum("p_response")
        c.measures["response"] = response
        per_response = self._per_response(c, legs, faults)
        if per_response is not None:
            c.measures["value"] = response * per_response
        if "uplift" in self.scores.columns:
            c.measures["incremental_response"] = legs.sum("uplift")
            if per_response is not None:
                c.measures["incremental_value"] = c.measures["incremental_response"] * per_response
        if self.annoyance is not None:
            c.measures["annoyance"] = self._annoyed(self.annoyance, legs)
        _cost(c, legs, response, self.tables, faults)

    def _legs(self, c: Candidates, faults: Faults) -> _Legs:
        """Find the scores of both legs."""
        rows, look_up = c.rows(), self.scores
        first = look_up.find(rows.codes["customer"], rows.codes["offer"], rows.codes["channel"])
        _report_missing(c, first < 0, rows.codes["channel"], self.tables, faults)
        reserve = np.flatnonzero(c.fallback >= 0)
        f = c.fallback[reserve]
        second = look_up.find(rows.codes["customer"][reserve], rows.codes["offer"][reserve], f)
        absent = np.zeros(len(c), bool)
        absent[reserve] = second < 0
        _report_missing(c, absent, c.fallback, self.tables, faults)
        missed = 1.0 - c.delivery
        behind = missed[reserve] * self.delivery.of(rows.codes["customer"][reserve], f)
        return _Legs(rows, first, second, reserve, f, c.delivery, missed, behind, look_up)

    def _per_response(self, c: Candidates, legs: _Legs, faults: Faults) -> np.ndarray | None:
        """Money per response: that of the score, else the offer's; None where neither is given."""
        own = self.scores.value(legs.first)
        unpriced = np.isnan(own)
        if not unpriced.any():
            return own
        offer = np.where(unpriced, legs.rows.codes["offer"], -1)
        offers_own = _column(c, "offer", "value", offer, self.tables, faults)
        return None if offers_own is None else np.where(unpriced, offers_own, own)

    def _annoyed(self, annoyance: AnnoyanceCost, legs: _Legs) -> np.ndarray:
        """Expected loss: the customer's own, times the chance that whichever contact arrives brings it."""
        customer = legs.rows.codes["customer"]
        if "p_unsubscribe" in self.scores.columns:
            return legs.sum("p_unsubscribe") * annoyance.loss[customer]
        chance = legs.d * annoyance.chance(customer, legs.rows.codes["channel"], legs.rows.day)
        at = legs.reserve
        chance[at] += legs.behind * annoyance.chance(customer[at], legs.channel, legs.rows.day[at])
        return chance * annoyance.loss[customer]


@dataclass(frozen=True)
class _Legs:
    """Both legs of candidates: where their scores are, and how likely each arrives.

    Attributes
    ----------
    first, second : ndarray of int64
        Places of the scores; ``second`` is of the candidates in ``reserve``, which have a fallback.
    channel : ndarray of int64
        The fallback channels.
    d, missed : ndarray of float64, shape (n,)
    behind : ndarray of float64
        (1 - d) d_f of those in ``reserve``.
    """

    rows: Rows
    first: np.ndarray
    second: np.ndarray
    reserve: np.ndarray
    channel: np.ndarray
    d: np.ndarray
    missed: np.ndarray
    behind: np.ndarray
    scores: _Scores

    def sum(self, column: str) -> np.ndarray:
        """Return a column of the scores, as expected over both legs."""
        total = self.d * self.scores.column(column, self.first)
        total[self.reserve] += self.behind * self.scores.column(column, self.second)
        return total


def _cost(c: Candidates, legs: _Legs, response: np.ndarray, tables: Tables, faults: Faults) -> None:
    """Cost per contact (the action's own, else the channel's) plus failover plus incentive."""
    action, channel = c.catalogue.entities["action"], c.catalogue.entities["channel"]
    rows, reserve = legs.rows, legs.reserve
    per_contact = None
    if "cost" in action:
        per_contact = _column(c, "action", "cost", c.action, tables, faults)
    elif "unit_cost" in channel:
        per_contact = _column(c, "channel", "unit_cost", rows.codes["channel"], tables, faults)
    if per_contact is None:
        return
    cost = per_contact.copy()
    if len(reserve) and "unit_cost" in channel:
        unit = channel["unit_cost"].to_numpy(np.float64)
        cost[reserve] += legs.missed[reserve] * unit[legs.channel]
    if "incentive_cost" in c.catalogue.entities["offer"]:
        incentive = _column(c, "offer", "incentive_cost", rows.codes["offer"], tables, faults)
        if incentive is not None:
            cost += response * incentive
    c.measures["cost"] = cost


def _column(
    c: Candidates, entity: str, column: str, codes: np.ndarray, tables: Tables, faults: Faults
) -> np.ndarray | None:
    """Gather a numeric column of an entity; None where there is none, a fault where cells are missing."""
    frame = c.catalogue.entities[entity]
    if column not in frame:
        return None
    values = np.where(codes >= 0, frame[column].to_numpy(np.float64)[codes], 0.0)
    plural = f"{entity}s"
    for code in np.unique(codes[np.isnan(values)])[:20]:
        faults.add(
            f"{c.catalogue.ids_of(entity)[code]} has no {column}",
            file=tables.files.get(plural), table=plural, column=column,
            hint="Fill the cell: a missing number is not taken as 0.",
        )  # fmt: skip
    return np.nan_to_num(values)


class _Scores:
    """Scores by customer, offer and channel, found by one integer key."""

    def __init__(self, catalogue: Catalogue, scores: pd.DataFrame) -> None:
        self.offers, self.channels = len(catalogue.entities["offer"]), len(catalogue.entities["channel"])
        codes = [catalogue.codes_of(e, scores[k]) for e, k in
                 (("customer", "customer_id"), ("offer", "offer_id"), ("channel", "channel"))]  # fmt: skip
        key = np.where(
            np.min(codes, axis=0) < 0, -1, (codes[0] * self.offers + codes[1]) * self.channels + codes[2]
        )
        order = np.argsort(key, kind="stable")
        self.key = key[order]
        names = [n for n in ("p_response", "value", "uplift", "p_unsubscribe") if n in scores]
        self.columns = {n: scores[n].to_numpy(np.float64, na_value=np.nan)[order] for n in names}

    def find(self, customer: np.ndarray, offer: np.ndarray, channel: np.ndarray) -> np.ndarray:
        """Return the position of each score, or -1."""
        key = (customer * self.offers + offer) * self.channels + channel
        if not len(self.key):
            return np.full(len(key), -1)
        at = np.minimum(np.searchsorted(self.key, key), len(self.key) - 1)
        return np.where(self.key[at] == key, at, -1)

    def column(self, name: str, at: np.ndarray) -> np.ndarray:
        """Return a column at the positions; what is missing was reported and counts 0 from there on."""
        values = self.columns[name]
        return np.where(at >= 0, values[at], 0.0) if len(values) else np.zeros(len(at))

    def value(self, at: np.ndarray) -> np.ndarray:
        """Return money per response at the positions, NaN where the scores carry none."""
        return self.column("value", at) if "value" in self.columns else np.full(len(at), np.nan)


def _report_missing(
    c: Candidates, missing: np.ndarray, channel: np.ndarray, tables: Tables, faults: Faults
) -> None:
    if not missing.any():
        return
    offer = c.catalogue.actions.codes["offer"][c.action]
    bad = np.flatnonzero(missing)
    found = np.unique(np.stack([c.customer[bad], offer[bad], channel[bad]]), axis=1)
    entities = ("customer", "offer", "channel")
    for codes in found.T[:5]:
        named = [f"{e} {c.catalogue.ids_of(e)[code]}" for e, code in zip(entities, codes, strict=True)]
        faults.add(
            f"no score for {', '.join(named)}",
            file=tables.files.get("scores"), table="scores", column="p_response",
            hint="Add the row, or take the customer out by an eligibility rule.",
        )  # fmt: skip
    if found.shape[1] > 5:
        faults.add(
            f"{found.shape[1] - 5} more scores are missing", file=tables.files.get("scores"), table="scores"
        )

"""Candidates: every customer with every action, what each is worth and why some are out.

A candidate's value follows the response model of the contract: with delivery rate d, score p
and a fallback channel f,

    response = d p + (1 - d) d_f p_f
    value    = response × value per response
    cost     = cost per contact + (1 - d) × unit cost of f + response × incentive
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from omniopt.actions.catalogue import Catalogue, Rows
from omniopt.actions.permission import ALLOWED, NO_CONSENT, NO_TIME_ZONE, Permission
from omniopt.errors import Faults
from omniopt.tables import Tables

# why a candidate is out, in the order in which it is asked
NOT_VALID, NO_CONSENT_FOR = "offer not valid on that date", "no consent for"
NO_ZONE, SILENT = "no time zone", "outside the send days"
OWN_RATE_FROM = 5  # past contacts with a known outcome from which a customer's own delivery rate counts
OWN_RATE_WEIGHT = 5.0  # weight of the channel's rate in the customer's own, in contacts


@dataclass
class Candidates:
    """Candidates as columns, sorted by customer and action id.

    Attributes
    ----------
    customer, action : ndarray of int64, shape (n,)
        Codes into the catalogue.
    reason : ndarray of int16, shape (n,)
        0 while the candidate is alive, else the position in ``reasons`` of why it is out.
    reasons : list of str
        Texts of the reasons; position 0 is unused.
    delivery : ndarray of float64, shape (n,)
        Probability that the first channel delivers.
    fallback : ndarray of int64, shape (n,)
        Channel that takes over when the first one fails, or -1.
    measures : dict of str to ndarray of float64
        Value, cost, response and the further numeric columns of the candidates table.
    """

    catalogue: Catalogue
    customer: np.ndarray
    action: np.ndarray
    reason: np.ndarray
    reasons: list[str]
    delivery: np.ndarray
    fallback: np.ndarray
    measures: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.customer)

    def rows(self, leg: int = 1) -> Rows:
        """Return the candidates as things to match rules against.

        Leg 1 is the contact on its own channel, leg 2 the one on the fallback channel
        (channel code -1 where there is none).
        """
        actions = self.catalogue.actions.take(self.action)
        codes = {"customer": self.customer, **actions.codes}
        if leg == 2:
            codes["channel"] = self.fallback
        return Rows(codes, actions.day)

    def drop(self, mask: np.ndarray, why: str) -> int:
        """Take the masked candidates out, if nothing took them out before; return how many went."""
        hit = mask & (self.reason == ALLOWED)
        if why not in self.reasons:
            self.reasons.append(why)
        self.reason[hit] = self.reasons.index(why)
        return int(hit.sum())

    def take(self, index: np.ndarray) -> Candidates:
        """Return the candidates at the given positions."""
        return Candidates(
            self.catalogue, self.customer[index], self.action[index], self.reason[index], self.reasons,
            self.delivery[index], self.fallback[index], {k: v[index] for k, v in self.measures.items()},
        )  # fmt: skip

    def alive(self) -> Candidates:
        """Return the candidates that nothing took out, as columns of their own."""
        return self.take(np.flatnonzero(self.reason == ALLOWED))


def build_candidates(
    catalogue: Catalogue, tables: Tables, permission: Permission, faults: Faults
) -> Candidates:
    """Pair customers with actions and take out what validity, consent or send times forbid.

    Parameters
    ----------
    catalogue : Catalogue
    tables : Tables
        ``candidates`` is used where given, else every customer meets every action.
    permission : Permission
    faults : Faults

    Returns
    -------
    Candidates
        Without measures where the project has no table of candidates; see `value_candidates`.
    """
    given = tables.candidates
    if given is None:
        customers, actions = len(catalogue.entities["customer"]), len(catalogue.actions)
        customer = np.repeat(np.arange(customers, dtype=np.int64), actions)
        action = np.tile(np.arange(actions, dtype=np.int64), customers)
        measures: dict[str, np.ndarray] = {}
    else:
        customer = catalogue.codes_of("customer", given["customer_id"])
        action = catalogue.codes_of("action", given["action_id"])
        order = np.lexsort((action, customer))
        customer, action = customer[order], action[order]
        measures = {
            str(name): column.to_numpy(np.float64)[order]
            for name, column in given.items()
            if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        }
    channel = catalogue.actions.codes["channel"][action]
    day = catalogue.actions.day[action]
    fallback = catalogue.fallback[channel]
    known = fallback >= 0
    open_to_fallback = np.zeros(len(customer), bool)
    open_to_fallback[known] = permission.reason(customer[known], fallback[known], day[known]) == ALLOWED
    fallback = np.where(open_to_fallback, fallback, -1)
    rates = Delivery(catalogue, tables)
    result = Candidates(
        catalogue, customer, action, np.zeros(len(customer), np.int16), [""],
        rates.of(customer, channel), fallback, measures,
    )  # fmt: skip
    _apply_permission(result, permission, channel, day)
    return result


def _apply_permission(c: Candidates, permission: Permission, channel: np.ndarray, day: np.ndarray) -> None:
    c.drop(invalid_actions(c.catalogue)[c.action], NOT_VALID)
    why = permission.reason(c.customer, channel, day)
    for code, name in enumerate(c.catalogue.ids("channel")):
        if permission.requires_consent[code]:
            c.drop((why == NO_CONSENT) & (channel == code), f"{NO_CONSENT_FOR} {name}")
    c.drop(why == NO_TIME_ZONE, NO_ZONE)
    c.drop((why != ALLOWED) & (why != NO_CONSENT), SILENT)


def invalid_actions(catalogue: Catalogue) -> np.ndarray:
    """Mark the actions whose offer is not valid on their date."""
    offer, actions = catalogue.entities["offer"], catalogue.actions
    out = np.zeros(len(actions), bool)
    for column, wrong in (("valid_from", np.less), ("valid_to", np.greater)):
        if column in offer:
            bound = offer[column].astype("Float64").to_numpy(np.float64, na_value=np.nan)
            # a missing bound is NaN, which no comparison holds for
            out |= wrong(actions.day, bound[actions.codes["offer"]])
    return out


class Delivery:
    """Delivery rate of a channel, the customer's own where history supports it."""

    def __init__(self, catalogue: Catalogue, tables: Tables) -> None:
        channel = catalogue.entities["channel"]
        self.channels = len(channel)
        rate = channel["delivery_rate"].fillna(1.0) if "delivery_rate" in channel else None
        self.base = np.ones(len(channel)) if rate is None else rate.to_numpy(np.float64)
        history = tables.history
        size = len(catalogue.entities["customer"]) * self.channels
        self.tried: np.ndarray = np.zeros(size)
        self.reached: np.ndarray = np.zeros(size)
        if history is None or history.empty or "outcome" not in history:
            return
        known = history["outcome"].notna() & (history["outcome"] != "sent")
        if "planned" in history:
            known &= ~history["planned"].fillna(False).astype(bool)
        customer = catalogue.codes_of("customer", history["customer_id"])
        where = catalogue.codes_of("channel", history["channel"])
        known_mask = known.to_numpy() & (customer >= 0) & (where >= 0)
        key = (customer * self.channels + where)[known_mask]
        reached = (history["outcome"] != "bounced").to_numpy(np.float64)[known_mask]
        self.tried = np.bincount(key, minlength=size).astype(np.float64)
        self.reached = np.bincount(key, weights=reached, minlength=size)

    @property
    def personal(self) -> bool:
        """Whether any customer has a rate of their own."""
        return bool((self.tried >= OWN_RATE_FROM).any())

    def of(self, customer: np.ndarray, channel: np.ndarray) -> np.ndarray:
        """Return the rate for each (customer, channel)."""
        key = customer * self.channels + channel
        base = self.base[channel]
        tried = self.tried[key]
        own = (self.reached[key] + OWN_RATE_WEIGHT * base) / (tried + OWN_RATE_WEIGHT)
        return np.where(tried >= OWN_RATE_FROM, own, base)


def value_candidates(c: Candidates, scores: pd.DataFrame, tables: Tables, faults: Faults) -> None:
    """Work out response, value and cost of living candidates from scores, in place.

    Parameters
    ----------
    c : Candidates
        Living candidates (see `Candidates.alive`).
    scores : DataFrame
        customer_id, offer_id, channel, p_response in [0, 1] and optionally value (money per response).
    tables, faults
        As above; every missing score, value or cost is one fault that names it.
    """
    Valuation(c.catalogue, scores, tables).value(c, faults)


class Valuation:
    """What it takes to value candidates, looked up once for however many lots of them.

    Parameters
    ----------
    catalogue : Catalogue
    scores : DataFrame
        As for `value_candidates`.
    tables : Tables
    """

    def __init__(self, catalogue: Catalogue, scores: pd.DataFrame, tables: Tables) -> None:
        self.scores, self.delivery, self.tables = (
            _Scores(catalogue, scores),
            Delivery(catalogue, tables),
            tables,
        )

    def value(self, c: Candidates, faults: Faults) -> None:
        """Work out response, value and cost of living candidates, in place."""
        look_up, tables = self.scores, self.tables
        rows = c.rows()
        first = look_up.find(rows.codes["customer"], rows.codes["offer"], rows.codes["channel"])
        _report_missing(c, first < 0, rows.codes["channel"], tables, faults)
        d = c.delivery
        response = d * look_up.p(first)
        missed = 1.0 - d
        reserve = np.flatnonzero(c.fallback >= 0)
        f = c.fallback[reserve]
        second = look_up.find(rows.codes["customer"][reserve], rows.codes["offer"][reserve], f)
        absent = np.zeros(len(c), bool)
        absent[reserve] = second < 0
        _report_missing(c, absent, c.fallback, tables, faults)
        d_f = self.delivery.of(rows.codes["customer"][reserve], f)
        response[reserve] += missed[reserve] * d_f * look_up.p(second)
        c.measures["response"] = response
        own = look_up.value(first)
        per_response: np.ndarray | None = own
        unpriced = np.isnan(own)
        if unpriced.any():
            offers_own = _column(
                c, "offer", "value", np.where(unpriced, rows.codes["offer"], -1), tables, faults
            )
            per_response = None if offers_own is None else np.where(unpriced, offers_own, own)
        if per_response is not None:
            c.measures["value"] = response * per_response
        _cost(c, rows, response, missed, reserve, tables, faults)


def _cost(
    c: Candidates, rows: Rows, response: np.ndarray, missed: np.ndarray, reserve: np.ndarray,
    tables: Tables, faults: Faults,
) -> None:  # fmt: skip
    """Cost per contact (the action's own, else the channel's) plus failover plus incentive."""
    action, channel = c.catalogue.entities["action"], c.catalogue.entities["channel"]
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
        cost[reserve] += missed[reserve] * unit[c.fallback[reserve]]
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
        self.response = scores["p_response"].to_numpy(np.float64)[order]
        self.money = scores["value"].to_numpy(np.float64)[order] if "value" in scores else None

    def find(self, customer: np.ndarray, offer: np.ndarray, channel: np.ndarray) -> np.ndarray:
        """Return the position of each score, or -1."""
        key = (customer * self.offers + offer) * self.channels + channel
        if not len(self.key):
            return np.full(len(key), -1)
        at = np.minimum(np.searchsorted(self.key, key), len(self.key) - 1)
        return np.where(self.key[at] == key, at, -1)

    def p(self, at: np.ndarray) -> np.ndarray:
        """Return the scores at the positions; what is missing was reported and counts 0 from there on."""
        return np.where(at >= 0, self.response[at], 0.0) if len(self.response) else np.zeros(len(at))

    def value(self, at: np.ndarray) -> np.ndarray:
        """Return money per response at the positions, NaN where the scores carry none."""
        return np.full(len(at), np.nan) if self.money is None else np.where(at >= 0, self.money[at], 0.0)


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

"""The candidates, rebuilt from the tables: what each is worth and costs, its failover, and why some fell out.

With p the score, d the delivery rate, f the fallback channel and d_f = its own delivery rate::

    response = d·p + (1−d)·d_f·p_f
    value    = response × value per response
    cost     = unit_cost + (1−d)·unit_cost_f + response × incentive_cost

Where the customer may not be contacted on f, or there is none, the terms of f vanish. An action with a cost
of its own costs that instead of the channel's unit cost. With u the uplift and q the chance to unsubscribe,
where they are known::

    incremental_response = d·u + (1−d)·d_f·u_f
    incremental_value    = incremental_response × value per response
    annoyance            = (d·q + (1−d)·d_f·q_f) × what the customer's unsubscribing costs
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from omniopt.audit import annoyance
from omniopt.audit.allowed import Permission, ineligible, offer_valid, vetoed
from omniopt.audit.arrays import code
from omniopt.audit.history import DELIVERED, history_rows, outcome, planned
from omniopt.audit.inputs import Inputs
from omniopt.audit.scope import Rows, Unchecked, World, concat

# A customer's own delivery rate counts from this many contacts on, blended with as many at the channel's
# rate.
OWN_RATE_FROM = 5


@dataclass
class Candidates:
    """Customer × action rows in the order of customer and action.

    Attributes
    ----------
    rows : Rows
        Each candidate on its own channel.
    fallback : ndarray of int
        Position of the fallback channel; -1 where none applies.
    undelivered : ndarray of float
        1 − d, the share that the fallback must carry; 0 where none applies.
    own : dict of str to ndarray
        The measures that belong to the candidate itself.
    objective : ndarray of float
        Contribution to the policy's objective, in its own sign.
    reason : ndarray of int
        0 for a candidate that stays, else 1 + position in `reasons`.
    reasons : list of str
        Why candidates fell out, in the order in which the reasons apply.
    matched : dict of str to int
        For each eligibility rule, how many candidates it speaks of.
    """

    rows: Rows
    fallback: np.ndarray
    undelivered: np.ndarray
    own: dict[str, np.ndarray]
    objective: np.ndarray
    reason: np.ndarray
    reasons: list[str]
    matched: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: np.ndarray) -> Candidates:
        """The candidates at these positions."""
        return Candidates(
            self.rows.take(index),
            self.fallback[index],
            self.undelivered[index],
            {name: values[index] for name, values in self.own.items()},
            self.objective[index],
            self.reason[index],
            self.reasons,
        )

    def drop(self, mask: np.ndarray, reason: str) -> None:
        """Set the reason of those under a mask that have none yet."""
        if reason not in self.reasons:
            self.reasons.append(reason)
        self.reason[mask & (self.reason == 0)] = 1 + self.reasons.index(reason)

    def second_leg(self) -> tuple[np.ndarray, Rows]:
        """Positions of the candidates with a fallback, and their rows on that channel."""
        index = np.flatnonzero(self.fallback >= 0)
        rows = self.rows.take(index)
        rows.channel = self.fallback[index]
        return index, rows


def join(parts: list[Candidates]) -> Candidates:
    """Several lots of candidates, one after the other; at least one."""
    reasons = list(dict.fromkeys(reason for part in parts for reason in part.reasons))
    numbers = [np.array([0, *(1 + reasons.index(r) for r in part.reasons)])[part.reason] for part in parts]

    def all_of(columns: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(columns)

    return Candidates(
        concat([part.rows for part in parts]),
        all_of([part.fallback for part in parts]),
        all_of([part.undelivered for part in parts]),
        {name: all_of([part.own[name] for part in parts]) for name in parts[0].own},
        all_of([part.objective for part in parts]),
        all_of(numbers),
        reasons,
    )


def build(inputs: Inputs, scores: pd.DataFrame | None) -> Candidates:
    """Rebuild all candidates with their measures, before anything is dropped.

    Parameters
    ----------
    inputs : Inputs
        The tables.
    scores : DataFrame or None
        customer_id, offer_id, channel, p_response and perhaps value: the project's, or those its models made.

    Raises
    ------
    Unchecked
        If a number is missing that the value of a candidate needs.
    """
    world = inputs.world
    actions = world.frames["action"]
    if inputs.given is not None:
        customer, action, own = inputs.given.rows(inputs.customers)
    else:
        if inputs.tables.customers is None:
            raise Unchecked("the project has neither candidates nor customers")
        known, listed = inputs.known(), _listed(inputs)
        customer, action = np.repeat(known, len(listed)), np.tile(listed, len(known))
    offer = np.append(_codes(actions, "offer_id", world.ids["offer"]), -1)[action]
    channel = np.append(_codes(actions, "channel", world.ids["channel"]), -1)[action]
    day = np.append(_days(actions), 1)[action]
    rows = Rows(customer, offer, channel, action, day)

    fallback = _fallback(inputs, rows)
    rate = _delivery(inputs, customer, channel)
    undelivered = np.where(fallback >= 0, 1.0 - rate, 0.0)

    if inputs.given is None:
        own = _values(inputs, rows, fallback, rate, scores)
    nothing = np.zeros(len(rows), dtype=np.int64)
    return Candidates(rows, fallback, undelivered, own, np.zeros(len(rows)), nothing, [])


def _listed(inputs: Inputs) -> np.ndarray:
    """The actions that could be taken; an id that only history names has no offer, and is none."""
    world = inputs.world
    return np.flatnonzero(_codes(world.frames["action"], "offer_id", world.ids["offer"]) >= 0)


def rows_per_customer(inputs: Inputs) -> np.ndarray:
    """How many candidates there are of each customer, before anything is dropped."""
    if inputs.given is not None:
        return np.diff(inputs.given.start)
    rows = np.zeros(len(inputs.world.ids["customer"]), dtype=np.int64)
    rows[inputs.known()] = len(_listed(inputs))
    return rows


def _fallback(inputs: Inputs, rows: Rows) -> np.ndarray:
    """The fallback channel of each contact, where the customer may be contacted there, else -1."""
    fallback = _channel_column(inputs.world, "fallback")[rows.channel]
    index = np.flatnonzero(fallback >= 0)
    if len(index):
        there = rows.take(index)
        there.channel = fallback[index]
        allowed = Permission(inputs)
        barred = ~allowed.on(there.customer, there.channel, there.day)
        # A contact that eligibility drops on a channel may not come about there through failover either.
        for _, dropped in ineligible(inputs, there)[0]:
            barred |= dropped
        fallback[index[barred]] = -1
    return fallback


def eliminate(inputs: Inputs, candidates: Candidates) -> list[str]:
    """Set the reason for which each candidate falls out, if it does; the first that applies counts.

    Returns
    -------
    list of str
        The eligibility rules that could not be read; what they would drop stays.
    """
    rows, world, drop = candidates.rows, inputs.world, candidates.drop
    allowed = Permission(inputs)
    drop(~offer_valid(world, rows), "offer not valid on that date")
    without = ~allowed.consent(rows.customer, rows.channel, rows.day)
    for channel in np.unique(rows.channel[without]):
        drop(without & (rows.channel == channel), f"no consent for {world.ids['channel'][channel]}")
    drop(~allowed.zone(rows.customer, rows.channel), "no time zone")
    drop(~allowed.weekday(rows.channel, rows.day), "outside the send days")
    rules, unread = ineligible(inputs, rows)
    for name, dropped in rules:
        drop(dropped, name)
        candidates.matched[name] = int(dropped.sum())
    drop(vetoed(inputs, rows), "veto")
    return unread


def _codes(frame: pd.DataFrame, column: str, ids: pd.Index) -> np.ndarray:
    return code(ids, frame[column]) if column in frame else np.full(len(frame), -1, dtype=np.int64)


def _days(actions: pd.DataFrame) -> np.ndarray:
    if "date" not in actions:
        return np.ones(len(actions), dtype=np.int64)
    return actions["date"].fillna(1).to_numpy(dtype=np.int64)


def _channel_column(world: World, name: str) -> np.ndarray:
    """Positions of the channels named in a column of channels; at the end -1, for an unknown channel."""
    return np.append(_codes(world.frames["channel"], name, world.ids["channel"]), -1)


def _column(frame: pd.DataFrame, name: str, default: float) -> np.ndarray:
    """A column of numbers, or the default where there is no such column; at the end a missing number."""
    column = (
        frame[name].to_numpy(dtype=float, na_value=np.nan) if name in frame else np.full(len(frame), default)
    )
    return np.append(column, np.nan)


def _delivery_rate(world: World) -> np.ndarray:
    """Each channel's own delivery rate; 1 where nothing is said."""
    return np.nan_to_num(_column(world.frames["channel"], "delivery_rate", 1.0), nan=1.0)


def _delivery(inputs: Inputs, customer: np.ndarray, channel: np.ndarray) -> np.ndarray:
    """The customer's own delivery rate on a channel where history supports it, else the channel's."""
    base = _delivery_rate(inputs.world)
    rate = base[channel]
    history = inputs.tables.history
    if history is None or not len(history):
        return rate
    rows, _ = history_rows(inputs)
    ended = outcome(history)
    known = ~planned(history) & (rows.day < 1) & ended.isin((*DELIVERED, "bounced")).to_numpy()
    known &= rows.channel >= 0
    width = len(inputs.world.ids["channel"])
    key, place = np.unique(rows.customer[known] * width + rows.channel[known], return_inverse=True)
    if not len(key):
        return rate
    total = np.bincount(place, minlength=len(key))
    arrived = np.bincount(
        place, weights=(ended[known] != "bounced").to_numpy(dtype=float), minlength=len(key)
    )
    prior = base[key % width]
    own = np.where(total >= OWN_RATE_FROM, (arrived + OWN_RATE_FROM * prior) / (total + OWN_RATE_FROM), prior)
    wanted = customer * width + channel
    at = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
    return np.where((key[at] == wanted) & (channel >= 0), own[at], rate)


def _values(
    inputs: Inputs, rows: Rows, fallback: np.ndarray, rate: np.ndarray, scores: pd.DataFrame | None
) -> dict[str, np.ndarray]:
    """Response, value and cost of candidates that the project builds itself."""
    world = inputs.world
    if scores is None:
        raise Unchecked("there are no scores to value the candidates with")
    n_offers, n_channels = len(world.ids["offer"]), len(world.ids["channel"])
    key = code(world.ids["customer"], scores["customer_id"]) * n_offers + code(
        world.ids["offer"], scores["offer_id"]
    )
    key = key * n_channels + code(world.ids["channel"], scores["channel"])
    order = np.argsort(key, kind="stable")
    key = key[order]

    def look_up(column: np.ndarray, channel: np.ndarray) -> np.ndarray:
        wanted = (rows.customer * n_offers + rows.offer) * n_channels + channel
        at = np.minimum(np.searchsorted(key, wanted), max(len(key) - 1, 0))
        found = (channel >= 0) & (rows.offer >= 0) & (len(key) > 0)
        found &= key[at] == wanted if len(key) else False
        return np.where(found, column[at] if len(key) else np.nan, np.nan)

    has = fallback >= 0
    rate_f = np.where(has, _delivery(inputs, rows.customer, fallback), 0.0)

    def both(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return rate * first + (1.0 - rate) * rate_f * np.where(has, second, 0.0)

    def expected(name: str) -> np.ndarray:
        column = scores[name].to_numpy(dtype=float, na_value=np.nan)[order]
        return both(look_up(column, rows.channel), look_up(column, fallback))

    response = expected("p_response")
    measures = {"response": response}
    money = _column(world.frames["offer"], "value", np.nan)[rows.offer]
    if "value" in scores:
        override = look_up(scores["value"].to_numpy(dtype=float, na_value=np.nan)[order], rows.channel)
        money = np.where(np.isnan(override), money, override)
    priced = "value" in scores or "value" in world.frames["offer"]
    if priced:
        measures["value"] = response * money
    if "uplift" in scores:
        measures["incremental_response"] = expected("uplift")
        if priced:
            measures["incremental_value"] = measures["incremental_response"] * money
    if inputs.annoyance is not None:
        if "p_unsubscribe" in scores:
            gone = expected("p_unsubscribe")
        else:
            gone = both(
                annoyance.chance(inputs, rows, rows.channel), annoyance.chance(inputs, rows, fallback)
            )
        measures["annoyance"] = gone * annoyance.loss(inputs, rows.customer)
    unit = _column(world.frames["channel"], "unit_cost", 0.0)
    of_action = "cost" in world.frames["action"]
    if of_action or "unit_cost" in world.frames["channel"]:
        own = _column(world.frames["action"], "cost", 0.0)[rows.action] if of_action else unit[rows.channel]
        cost = own + np.where(has, (1.0 - rate) * unit[fallback], 0.0)
        measures["cost"] = cost + response * _column(world.frames["offer"], "incentive_cost", 0.0)[rows.offer]
    return measures

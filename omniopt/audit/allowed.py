"""Who may be contacted: consent, time zone, days on which a channel sends, eligibility; it fails closed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from omniopt.audit.history import OUTCOMES, events
from omniopt.audit.inputs import Inputs, code
from omniopt.audit.scope import Rows, Unchecked, World, concat, groups, matches, whole

# By what a contact is the same as one of the past, and the attributes that say so.
SAME: dict[str, list[str]] = {
    "offer": ["offer"],
    "category": ["offer.category"],
    "channel": ["channel"],
    "business_unit": ["offer.business_unit"],
    "all": [],
}


class Permission:
    """Whether a customer may be contacted on a channel on a day: consent, time zone, days on which it sends.

    Parameters
    ----------
    inputs : Inputs
        The tables.
    first, last : int
        The days that will be asked about.
    """

    def __init__(self, inputs: Inputs, first: int, last: int) -> None:
        self.world, self.first = inputs.world, first
        channels = inputs.world.frames["channel"]

        def flags(name: str) -> np.ndarray:
            column = channels[name].fillna(False).to_numpy(dtype=bool) if name in channels else False
            return np.append(np.zeros(len(channels), dtype=bool) | column, False)

        hours = np.zeros(len(channels) + 1, dtype=bool)
        for name in ("send_from", "send_to"):
            if name in channels:
                hours[:-1] |= channels[name].notna().to_numpy()
        self.hours, self.needs_consent = hours, flags("requires_consent")
        zones = inputs.world.frames["customer"].get("timezone")
        self.has_zone = (
            np.zeros(len(inputs.world.ids["customer"]) + 1, dtype=bool)
            if zones is None
            else np.append(
                (zones.notna() & (zones.astype("str").str.strip() != "")).to_numpy(dtype=bool), False
            )
        )
        days = channels["send_days"].fillna(127).to_numpy(dtype=np.int64) if "send_days" in channels else 127
        self.send_days = np.append(np.zeros(len(channels), dtype=np.int64) + days, 127)
        self.width = len(inputs.world.ids["channel"])
        self._consents(inputs, first, last)

    def _consents(self, inputs: Inputs, first: int, last: int) -> None:
        """For each customer and channel with a granted consent, on which days one of them holds."""
        span = last - first + 1
        self.keys, self.granted = np.empty(0, dtype=np.int64), np.zeros((0, span), dtype=bool)
        consents = inputs.tables.consents
        if consents is None or not len(consents):
            return
        rows = consents[consents["granted"].fillna(False).to_numpy(dtype=bool)]
        key = code(self.world.ids["customer"], rows["customer_id"]) * self.width
        key += code(self.world.ids["channel"], rows["channel"])
        begin, end = np.full(len(rows), first), np.full(len(rows), last)
        if "valid_from" in rows:
            begin = np.maximum(rows["valid_from"].fillna(first).to_numpy(dtype=np.int64), first)
        if "valid_to" in rows:
            end = np.minimum(rows["valid_to"].fillna(last).to_numpy(dtype=np.int64), last)
        key, begin, end = key[begin <= end], begin[begin <= end], end[begin <= end]
        self.keys, place = np.unique(key, return_inverse=True)
        change = np.zeros((len(self.keys), span + 1), dtype=np.int32)
        np.add.at(change, (place, begin - first), 1)
        np.add.at(change, (place, end - first + 1), -1)
        self.granted = np.cumsum(change, axis=1)[:, :span] > 0

    def consent(self, customer: np.ndarray, channel: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Consent is there, or none is needed."""
        wanted = customer * self.width + channel
        held = np.zeros(len(customer), dtype=bool)
        if len(self.keys):
            at = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
            held = (self.keys[at] == wanted) & self.granted[at, day - self.first]
        return held | ~self.needs_consent[channel]

    def zone(self, customer: np.ndarray, channel: np.ndarray) -> np.ndarray:
        """The time zone is known, or the channel has no hours."""
        return self.has_zone[customer] | ~self.hours[channel]

    def weekday(self, channel: np.ndarray, day: np.ndarray) -> np.ndarray:
        """The channel sends on that day of the week; days without a calendar have none."""
        if self.world.start is None:
            return np.ones(len(day), dtype=bool)
        of_week = (day - 1 + self.world.start.weekday()) % 7
        return (self.send_days[channel] >> of_week) & 1 == 1

    def on(self, customer: np.ndarray, channel: np.ndarray, day: np.ndarray) -> np.ndarray:
        """All three."""
        return (
            self.consent(customer, channel, day) & self.zone(customer, channel) & self.weekday(channel, day)
        )


def offer_valid(world: World, rows: Rows) -> np.ndarray:
    """The offer is valid on the contact's date; an offer without dates always is."""
    offers = world.frames["offer"]
    valid = np.ones(len(rows), dtype=bool)
    for name, before in (("valid_from", False), ("valid_to", True)):
        if name in offers:
            bound = np.append(offers[name].to_numpy(dtype=float, na_value=np.nan), np.nan)[rows.offer]
            valid &= np.isnan(bound) | ((rows.day <= bound) if before else (rows.day >= bound))
    return valid


def ineligible(inputs: Inputs, rows: Rows) -> tuple[list[tuple[str, np.ndarray]], list[str]]:
    """What each eligibility rule drops, in the policy's order, and why some could not be read.

    Returns
    -------
    dropped : list of (str, ndarray of bool)
        The rule's name and a mask of rows.
    unread : list of str
        One sentence for each rule that this check does not know.
    """
    dropped, unread = [], []
    for rule in inputs.policy.get("eligibility") or []:
        try:
            if isinstance(rule, Mapping) and set(rule) == {"name", "drop"}:
                dropped.append((str(rule["name"]), matches(inputs.world, rows, rule["drop"])))
            elif isinstance(rule, Mapping) and set(rule) == {"name", "after", "drop_same", "for_days"}:
                dropped.append((str(rule["name"]), _suppressed(inputs, rows, rule)))
            else:
                raise Unchecked(
                    "a rule has name and drop, or name, after, drop_same and for_days; no other is known"
                )
        except Unchecked as error:
            name = rule.get("name") if isinstance(rule, Mapping) else rule
            unread.append(f"eligibility rule '{name}' could not be checked: {error}")
    return dropped, unread


def _suppressed(inputs: Inputs, rows: Rows, rule: Mapping[str, Any]) -> np.ndarray:
    """Rows that come too soon after what happened to the customer with the same offer, channel, …."""
    after, same, rest = rule["after"], rule["drop_same"], whole(rule["for_days"], "for_days")
    if not isinstance(after, Mapping) or set(after) - {"outcome", "times", "within_days"}:
        raise Unchecked(f"after: {after!r} is not known to this check")
    named = after.get("outcome")
    outcomes = [named] if isinstance(named, str) else named
    if not isinstance(outcomes, list) or not outcomes or set(map(str, outcomes)) - set(OUTCOMES):
        raise Unchecked(f"outcome: {named!r} is not known to this check")
    times = whole(after.get("times", 1), "times")
    within = whole(after["within_days"], "within_days") if "within_days" in after else None
    if not isinstance(same, str) or same not in SAME:
        raise Unchecked(f"drop_same: {same!r} is not known to this check")
    if "date" not in inputs.world.frames["action"]:
        raise Unchecked("the actions have no dates to count days to")
    past = events(inputs, outcomes)
    # One coding of values for contacts and events; what has no value shares it with nothing.
    index, value, labels = groups(inputs.world, concat([rows, past]), SAME[same])
    told = np.array([None not in label for label in labels], dtype=bool)
    index, value = index[told[value]], value[told[value]]
    mine = index < len(rows)
    event, row = index[~mine] - len(rows), index[mine]
    dropped = np.zeros(len(rows), dtype=bool)
    if not len(event) or not len(row):
        return dropped
    least = min(int(rows.day.min()), int(past.day.min()))
    span = max(int(rows.day.max()), int(past.day.max())) - least + 1
    width = len(labels)

    def time(customer: np.ndarray, value: np.ndarray, day: np.ndarray) -> np.ndarray:
        # Three spans for each customer and value, so that no count of days reaches into the next one's.
        return (customer * width + value) * (3 * span) + (day - least + span)

    when = np.sort(time(past.customer[event], value[~mine], past.day[event]))
    before = when % (3 * span) + 1 if within is None else min(within, span)
    since = np.searchsorted(when, when - before, side="right")
    trigger = when[np.searchsorted(when, when, side="right") - since >= times]
    now = time(rows.customer[row], value[mine], rows.day[row])
    hit = np.searchsorted(trigger, now, side="right") > np.searchsorted(
        trigger, now - min(rest, span), "right"
    )
    dropped[row[hit]] = True
    return dropped


def vetoed(inputs: Inputs, rows: Rows) -> np.ndarray:
    """Contacts that people ruled out."""
    if not inputs.vetoes:
        return np.zeros(len(rows), dtype=bool)
    ids = inputs.world.ids
    pairs = pd.DataFrame(inputs.vetoes, columns=["customer", "action"])
    customer, action = code(ids["customer"], pairs["customer"]), code(ids["action"], pairs["action"])
    there = (customer >= 0) & (action >= 0)
    width = len(ids["action"]) + 1
    return np.isin(rows.customer * width + rows.action, (customer * width + action)[there])

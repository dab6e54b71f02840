"""Who may be contacted: consent, time zone, days on which a channel sends, eligibility; it fails closed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from omniopt.audit.arrays import code
from omniopt.audit.history import OUTCOMES, events
from omniopt.audit.inputs import Inputs
from omniopt.audit.scope import DAYS, Rows, Unchecked, World, concat, groups, matches, once, whole

# By what a contact is the same as one of the past, and the attributes that say so.
SAME: dict[str, list[str]] = {
    "offer": ["offer"],
    "category": ["offer.category"],
    "channel": ["channel"],
    "business_unit": ["offer.business_unit"],
    "all": [],
}


# Between the days of one customer and channel and those of the next.
_SPAN = 4 * DAYS


class Permission:
    """Whether a customer may be contacted on a channel on a day: consent, time zone, days on which it sends.

    Parameters
    ----------
    inputs : Inputs
        The tables.
    """

    def __init__(self, inputs: Inputs) -> None:
        self.world = inputs.world
        channels = inputs.world.frames["channel"]

        def flags(name: str) -> np.ndarray:
            column = channels[name].fillna(False).to_numpy(dtype=bool) if name in channels else False
            return np.append(np.zeros(len(channels), dtype=bool) | column, False)

        hours = np.zeros(len(channels) + 1, dtype=bool)
        for name in ("send_from", "send_to"):
            if name in channels:
                hours[:-1] |= channels[name].notna().to_numpy()
        self.hours, self.needs_consent = hours, flags("requires_consent")
        self.has_zone = once(self.world, ("zones", "customer.timezone"), lambda: _has_zone(self.world))
        days = channels["send_days"].fillna(127).to_numpy(dtype=np.int64) if "send_days" in channels else 127
        self.send_days = np.append(np.zeros(len(channels), dtype=np.int64) + days, 127)
        self.width = len(inputs.world.ids["channel"])
        self._consents(inputs)

    def _consents(self, inputs: Inputs) -> None:
        """The granted consents of each customer and channel by their first day, and how far they reach."""
        self.since, self.until = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        consents = inputs.tables.consents
        if consents is None or not len(consents):
            return
        granted = consents["granted"].fillna(False).to_numpy(dtype=bool)
        rows = consents[granted]
        key = inputs.customer_of("consents")[granted] * self.width
        key += code(self.world.ids["channel"], rows["channel"])
        begin, end = np.full(len(rows), -DAYS), np.full(len(rows), DAYS)
        if "valid_from" in rows:
            begin = rows["valid_from"].fillna(-DAYS).to_numpy(dtype=np.int64)
        if "valid_to" in rows:
            end = rows["valid_to"].fillna(DAYS).to_numpy(dtype=np.int64)
        order = np.lexsort((begin, key))
        self.since = (key * _SPAN + begin)[order]
        # The latest end of those that have begun; one of another customer or channel has ended long before.
        self.until = np.maximum.accumulate((key * _SPAN + end)[order])

    def consent(self, customer: np.ndarray, channel: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Consent is there, or none is needed."""
        now = (customer * self.width + channel) * _SPAN + day
        begun = np.searchsorted(self.since, now, side="right")
        held = np.append(self.until, np.iinfo(np.int64).min)[begun - 1] >= now
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


def _has_zone(world: World) -> np.ndarray:
    """Customers whose time zone is known; at the end False, for an unknown customer."""
    zones = world.frames["customer"].get("timezone")
    if zones is None:
        return np.zeros(len(world.ids["customer"]) + 1, dtype=bool)
    said = zones.notna() & (zones.astype("str").str.strip() != "")
    return np.append(said.to_numpy(dtype=bool), False)


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

"""Who may be contacted: consent, time zone, days on which a channel sends, eligibility; it fails closed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from omniopt.audit.inputs import Inputs, code
from omniopt.audit.scope import Rows, Unchecked, World, matches


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
            if not isinstance(rule, Mapping) or set(rule) != {"name", "drop"}:
                raise Unchecked("only name and drop are known to this check")
            dropped.append((str(rule["name"]), matches(inputs.world, rows, rule["drop"])))
        except Unchecked as error:
            name = rule.get("name") if isinstance(rule, Mapping) else rule
            unread.append(f"eligibility rule '{name}' could not be checked: {error}")
    return dropped, unread


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

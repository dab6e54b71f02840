"""Whether a customer may be contacted on a channel on a day. Everything fails closed.

Consent needs a row that grants it on that very day; send hours need a known time zone;
a channel is silent outside its send days. Reasons come in this order, the first one counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from omniopt.actions.catalogue import Catalogue
from omniopt.errors import Faults
from omniopt.tables import Tables

ALLOWED, NO_CONSENT, NO_TIME_ZONE, NOT_A_SEND_DAY = 0, 1, 2, 3
EVERY_DAY = 127


@dataclass(frozen=True)
class Permission:
    """What the consents, time zones and channels allow, prepared for bulk look-up.

    Attributes
    ----------
    consent_key : ndarray of int64
        Sorted ``customer * channels + channel`` of every granted consent row.
    consent_from, consent_to : ndarray of int64
        First and last day of each of these rows.
    """

    channels: int
    consent_key: np.ndarray
    consent_from: np.ndarray
    consent_to: np.ndarray
    requires_consent: np.ndarray
    requires_zone: np.ndarray
    has_zone: np.ndarray
    send_days: np.ndarray
    first_weekday: int

    def reason(self, customer: np.ndarray, channel: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Return ALLOWED or the first reason against each (customer, channel, day), int8."""
        reason = np.zeros(len(customer), np.int8)
        weekday_bit = 1 << ((self.first_weekday + day - 1) % 7)
        reason[(self.send_days[channel] & weekday_bit) == 0] = NOT_A_SEND_DAY
        reason[self.requires_zone[channel] & ~self.has_zone[customer]] = NO_TIME_ZONE
        asked = np.flatnonzero(self.requires_consent[channel])
        granted = self._granted(customer[asked] * self.channels + channel[asked], day[asked])
        reason[asked[~granted]] = NO_CONSENT
        return reason

    def _granted(self, key: np.ndarray, day: np.ndarray) -> np.ndarray:
        first = np.searchsorted(self.consent_key, key, side="left")
        count = np.searchsorted(self.consent_key, key, side="right") - first
        granted = np.zeros(len(key), bool)
        for nth in range(int(count.max(initial=0))):  # a handful: the purposes of one customer and channel
            row = np.minimum(first + nth, len(self.consent_key) - 1)
            granted |= (nth < count) & (self.consent_from[row] <= day) & (day <= self.consent_to[row])
        return granted


def build_permission(catalogue: Catalogue, tables: Tables, faults: Faults) -> Permission:
    """Prepare the look-up from the tables of consents, customers and channels.

    Raises nothing: what is wrong goes into ``faults``.
    """
    channel = catalogue.entities["channel"]
    customer = catalogue.entities["customer"]
    key, first, last = _consents(catalogue, tables.consents, len(channel))
    send_days = np.full(len(channel), EVERY_DAY, np.int64)
    if "send_days" in channel:
        send_days = channel["send_days"].astype("Float64").fillna(EVERY_DAY).to_numpy(np.int64)
    if catalogue.start is None and (send_days != EVERY_DAY).any():
        faults.add(
            "send days need calendar dates",
            file=tables.files.get("channels"), table="channels", column="send_days",
            hint="Give the project a horizon with a start date.",
        )  # fmt: skip
    # 1970-01-01 was a Thursday, weekday 3 counted from Monday
    first_weekday = 0 if catalogue.start is None else int((catalogue.start.astype(int) + 3) % 7)
    has_zone = (
        customer["timezone"].notna().to_numpy() if "timezone" in customer else np.zeros(len(customer), bool)
    )
    requires_zone = np.zeros(len(channel), bool)
    for column in ("send_from", "send_to"):
        if column in channel:
            requires_zone |= channel[column].notna().to_numpy()
    asks = channel["requires_consent"].fillna(False) if "requires_consent" in channel else None
    requires_consent = np.zeros(len(channel), bool) if asks is None else asks.to_numpy(bool)
    return Permission(
        len(channel), key, first, last, requires_consent, requires_zone, has_zone, send_days, first_weekday
    )


def _consents(
    catalogue: Catalogue, table: pd.DataFrame | None, channels: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    none = np.zeros(0, np.int64)
    if table is None or table.empty:
        return none, none, none
    granted = table[table["granted"].astype(bool)]
    customer = catalogue.codes_of("customer", granted["customer_id"])
    channel = catalogue.codes_of("channel", granted["channel"])
    key = np.where((customer >= 0) & (channel >= 0), customer * channels + channel, -1)
    far = np.iinfo(np.int64).max
    first = _days(granted, "valid_from", -far)
    last = _days(granted, "valid_to", far)
    order = np.lexsort((last, first, key))
    return key[order], first[order], last[order]


def _days(table: pd.DataFrame, column: str, missing: int) -> np.ndarray:
    if column not in table:
        return np.full(len(table), missing, np.int64)
    return table[column].astype("Int64").fillna(missing).to_numpy(np.int64)

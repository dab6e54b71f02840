"""What the reference reads: the tables in plain Python, who may be contacted, what a scope means.

Written from the words of the contract alone, like the rest of the reference; it imports nothing of the
package.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

COUNTED = ("sent", "delivered", "opened", "clicked", "responded", "rejected", "unsubscribed")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DATES = ("date", "valid_from", "valid_to")
IDS = {"customer": "customer_id", "offer": "offer_id", "channel": "channel", "action": "action_id"}
TABLES = {"customer": "customers", "offer": "offers", "channel": "channels", "action": "actions"}


class Broken(Exception):
    """The project is at fault: a number or a row is missing."""


@dataclass(frozen=True)
class Contact:
    """A contact that is possible, or one of the past (``action`` may then be unknown)."""

    customer: str
    action: str | None
    offer: str
    channel: str
    day: int
    fallback: str | None = None
    delivery: float = 1.0
    own: Mapping[str, float] = field(default_factory=dict, hash=False, compare=False)

    @property
    def key(self) -> tuple[str, str | None]:
        return self.customer, self.action

    @property
    def legs(self) -> list[Contact]:
        """The contact on its own channel, and on the fallback's."""
        return [self] if self.fallback is None else [self, replace(self, channel=self.fallback)]


def text(value: Any) -> str:
    """Ids are compared as text; 7, 7.0 and "7" are one id."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def linear(expression: str) -> list[tuple[float, str]]:
    """``value - 0.5 * cost`` as [(1, value), (-0.5, cost)]."""
    terms = re.findall(r"([+-]?)\s*(?:([\d.]+)\s*\*\s*)?([a-z_]\w*)", expression)
    return [((-1.0 if sign == "-" else 1.0) * float(factor or 1), name) for sign, factor, name in terms]


class Tables:
    """A project's tables and candidates.

    ``history`` holds the past contacts that count in rules, ``alive`` the candidates that may be
    chosen, ``dropped`` the reason of each that may not.
    """

    def __init__(
        self, tables: Mapping[str, pd.DataFrame], policy: Mapping[str, Any],
        horizon: Mapping[str, Any] | None = None, multi_valued: Mapping[str, str] | None = None,
        vetoes: Sequence[tuple[str, str]] = (),
    ) -> None:  # fmt: skip
        self.policy, self.multi_valued = policy, dict(multi_valued or {})
        self.start = None if horizon is None else dt.date.fromisoformat(str(horizon["start"])[:10])
        self.tables = {name: self._plain(frame) for name, frame in tables.items()}
        self.entities = {e: {r[IDS[e]]: r for r in self.tables.get(t, [])} for e, t in TABLES.items()}
        days = [r["date"] for r in self.tables["actions"] if r.get("date") is not None]
        self.dated = bool(days)
        self.first_day, self.last_day = (min(days), max(days)) if days else (1, 1)
        if horizon is not None:
            self.first_day, self.last_day = 1, int(horizon["days"])
        rows = self.tables.get("history", [])
        self.past = [self._past(r) for r in rows]
        self.history = [c for c, r in zip(self.past, rows, strict=True)
                        if r.get("planned") or r.get("outcome") in COUNTED]  # fmt: skip
        self.dropped: dict[tuple[str, str], str] = {}
        self.alive: list[Contact] = []
        vetoed = {(text(c), text(a)) for c, a in vetoes}
        for contact in self._pairs():
            why, contact = self._why_not(contact)
            if why is None and contact.key in vetoed:
                why = "veto"
            if why is not None:
                self.dropped[contact.key] = why
            else:
                self.alive.append(self._valued(contact))
        named = {r["customer_id"] for t in ("candidates", "scores") for r in self.tables.get(t, [])}
        self.customers = sorted(self.entities["customer"] or named)

    # what the tables say

    def _plain(self, frame: pd.DataFrame) -> list[dict[str, Any]]:
        rows = []
        for record in frame.to_dict("records"):
            row = {}
            for name, value in record.items():
                if value is None or value is pd.NaT or value is pd.NA or value != value or value == "":
                    row[name] = None
                elif name.endswith("_id") or name in ("channel", "offer", "action", "fallback"):
                    row[name] = text(value)
                elif name in DATES:
                    row[name] = self.day(value)
                else:
                    row[name] = value
            rows.append(row)
        return rows

    def day(self, value: Any) -> int:
        """A date as the number of its day, the horizon's first day being 1."""
        if isinstance(value, str):
            value = dt.date.fromisoformat(value[:10])
        if isinstance(value, dt.datetime):
            value = value.date()
        if isinstance(value, dt.date):
            assert self.start is not None, "a date needs a horizon"
            return (value - self.start).days + 1
        return int(value)

    def _past(self, row: Mapping[str, Any]) -> Contact:
        own = {
            k: float(v) for k, v in row.items()
            if isinstance(v, int | float) and not isinstance(v, bool) and k not in ("value", "date")
        }  # fmt: skip
        return Contact(
            row["customer_id"],
            row.get("action_id"),
            row["offer_id"],
            row["channel"],
            row["date"],
            own=own,
        )

    def _pairs(self) -> Iterator[Contact]:
        """Candidates before anything is dropped, sorted by customer and action."""
        actions = self.entities["action"]
        given = self.tables.get("candidates")
        if given is None:
            crossed = itertools.product(self.entities["customer"], actions)
            pairs: dict[tuple[str, str], dict[str, float]] = {pair: {} for pair in crossed}
        else:
            pairs = {(r["customer_id"], r["action_id"]): {k: float(v) for k,
                v in r.items() if not isinstance(v, str)}
                     for r in given}  # fmt: skip
        for customer, action in sorted(pairs):
            row = actions[action]
            yield Contact(
                customer,
                action,
                row["offer_id"],
                row["channel"],
                row.get("date", 1),
                own=pairs[customer, action],
            )

    # who may be contacted

    def _why_not(self, contact: Contact) -> tuple[str | None, Contact]:
        """The first reason why a candidate is out, and the candidate with its fallback and delivery rate."""
        offer = self.entities["offer"].get(contact.offer, {})
        fallback = self.entities["channel"].get(contact.channel, {}).get("fallback")
        if fallback is not None and self._silent(replace(contact, channel=fallback)) is not None:
            fallback = None
        contact = replace(
            contact, fallback=fallback, delivery=self._delivery(contact.customer, contact.channel)
        )
        first, last = offer.get("valid_from"), offer.get("valid_to")
        if (first is not None and contact.day < first) or (last is not None and contact.day > last):
            return "offer not valid on that date", contact
        silent = self._silent(contact)
        if silent is not None:
            return silent, contact
        for rule in self.policy.get("eligibility") or []:
            legs = [self._out(leg, rule) for leg in contact.legs]
            if legs[0]:
                return rule["name"], contact
            if any(legs):  # not the contact but its detour is forbidden
                contact = replace(contact, fallback=None)
        return None, contact

    def _out(self, leg: Contact, rule: Mapping[str, Any]) -> bool:
        """Whether an eligibility rule speaks of a candidate, on its own channel or on the fallback's."""
        if "drop" in rule:
            return self.matches(leg, rule["drop"])
        if not self.dated:
            raise Broken(f"{rule['name']} needs dates")
        return any(
            0 <= leg.day - day < rule["for_days"]
            for value in self._same(leg, rule["drop_same"])
            for day in self._triggers(leg.customer, value, rule)
        )

    def _triggers(self, customer: str, value: Any, rule: Mapping[str, Any]) -> list[int]:
        """The days on which a customer's outcomes about one offer, category, … were as many as it takes."""
        after = rule["after"]
        wanted = after["outcome"] if isinstance(after["outcome"], list) else [after["outcome"]]
        days = [
            c.day for c, r in zip(self.past, self.tables.get("history", []), strict=True)
            if c.customer == customer and r.get("outcome") in wanted
            and value in self._same(c, rule["drop_same"])
        ]  # fmt: skip
        within = after.get("within_days", math.inf)
        return [e for e in days if sum(e - within < d <= e for d in days) >= after.get("times", 1)]

    def _same(self, contact: Contact, what: str) -> list[Any]:
        """What a contact is of, for rules that drop the same: its offer, its categories, …"""
        if what == "all":
            return ["everything"]
        if what in ("category", "business_unit"):
            if not any(what in row for row in self.entities["offer"].values()):
                raise Broken(f"offer.{what} is missing")
            return self.values(contact, f"offer.{what}")
        return self.values(contact, what)

    def _silent(self, contact: Contact) -> str | None:
        """Why a customer cannot be contacted on a channel on a day."""
        channel = self.entities["channel"].get(contact.channel, {})
        if channel.get("requires_consent"):
            granted = [
                r for r in self.tables.get("consents", [])
                if r["customer_id"] == contact.customer and r["channel"] == contact.channel and r["granted"]
                and (r.get("valid_from") is None or r["valid_from"] <= contact.day)
                and (r.get("valid_to") is None or contact.day <= r["valid_to"])
            ]  # fmt: skip
            if not granted:
                return f"no consent for {contact.channel}"
        hours = channel.get("send_from") is not None or channel.get("send_to") is not None
        if hours and self.entities["customer"].get(contact.customer, {}).get("timezone") is None:
            return "no time zone"
        if channel.get("send_days") is not None:
            assert self.start is not None
            weekday = (self.start + dt.timedelta(days=contact.day - 1)).weekday()
            if weekday not in send_days(channel["send_days"]):
                return "outside the send days"
        return None

    def _delivery(self, customer: str, channel: str) -> float:
        """The customer's own delivery rate from five past contacts of known outcome, else the channel's."""
        usual = self.entities["channel"].get(channel, {}).get("delivery_rate")
        usual = 1.0 if usual is None else usual
        known = [
            r["outcome"] for r in self.tables.get("history", [])
            if r["customer_id"] == customer and r["channel"] == channel and not r.get("planned")
            and r.get("outcome") not in (None, "sent")
        ]  # fmt: skip
        if len(known) < 5:
            return usual
        return (sum(o != "bounced" for o in known) + 5 * usual) / (len(known) + 5)

    def _valued(self, contact: Contact) -> Contact:
        """Response, value and cost, where the project works them out itself."""
        if "candidates" in self.tables:
            return contact
        offer, channel = self.entities["offer"][contact.offer], self.entities["channel"][contact.channel]
        action = self.entities["action"][contact.action]
        scores = {(r["customer_id"], r["offer_id"], r["channel"]): r for r in self.tables["scores"]}
        score = scores[contact.customer, contact.offer, contact.channel]
        missed = 1.0 - contact.delivery
        response = contact.delivery * score["p_response"]
        cost = action["cost"] if action.get("cost") is not None else channel["unit_cost"]
        if contact.fallback is not None:
            behind = scores[contact.customer, contact.offer, contact.fallback]["p_response"]
            response += missed * self._delivery(contact.customer, contact.fallback) * behind
            cost += missed * self.entities["channel"][contact.fallback]["unit_cost"]
        each = score["value"] if score.get("value") is not None else offer["value"]
        cost += response * (offer.get("incentive_cost") or 0.0)
        return replace(contact, own={"response": response, "value": response * each, "cost": cost})

    # what a rule speaks of

    def values(self, contact: Contact, attribute: str) -> list[Any]:
        """The values of an attribute; none if the cell is empty, several where cells hold several."""
        if attribute == "date":
            return [contact.day]
        entity, _, column = attribute.partition(".")
        one = getattr(contact, entity)
        if not column or column == IDS[entity]:
            return [] if one is None else [one]
        value = self.entities[entity].get(one, {}).get(column)
        if value is None:
            return []
        if attribute in self.multi_valued:
            return [part.strip() for part in value.split(self.multi_valued[attribute])]
        return [value]

    def matches(self, contact: Contact, where: Mapping[str, Any]) -> bool:
        return all(self._holds(self.values(contact, a), a, condition) for a, condition in where.items())

    def _holds(self, values: list[Any], attribute: str, condition: Any) -> bool:
        if isinstance(condition, Mapping):
            return all(self._compares(values, attribute, how, what) for how, what in condition.items())
        return self._compares(
            values, attribute, "in", condition if isinstance(condition, list) else [condition]
        )

    def _compares(self, values: list[Any], attribute: str, how: str, what: Any) -> bool:
        if how == "is_null":
            return (not values) == what
        if not values:
            return False
        if attribute.rpartition(".")[2] in DATES:
            what = [self.day(w) for w in what] if isinstance(what, list) else self.day(what)
        (one, *_) = values
        wanted = what if isinstance(what, list) else [what]
        equal = any(v == w or (isinstance(v, str) and v == text(w)) for v in values for w in wanted)
        return {
            "eq": lambda: equal, "in": lambda: equal, "ne": lambda: not equal, "not_in": lambda: not equal,
            "lt": lambda: one < what, "le": lambda: one <= what, "gt": lambda: one > what,
            "ge": lambda: one >= what,
        }[how]()  # fmt: skip

    def groups(self, contact: Contact, per: Sequence[str]) -> list[tuple[Any, ...]]:
        """The groups that a contact is in: one for every combination of its values."""
        parts = [self.values(contact, attribute) for attribute in per]
        if not all(parts):
            raise Broken(f"{contact.key} has an empty cell, which a rule is per")
        return list(itertools.product(*parts))


def send_days(written: str) -> set[int]:
    """Weekdays of ``mon-fri``, ``mon;wed`` or ``mon,tue``, Monday being 0."""
    days: set[int] = set()
    for part in re.split(r"[;,\s]+", written.strip().lower()):
        first, _, last = part.partition("-")
        days |= set(range(WEEKDAYS.index(first), WEEKDAYS.index(last or first) + 1))
    return days

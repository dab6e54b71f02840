"""The rules in plain Python, by loops and by trying every plan: slow, short, and independent.

Written from the words of the contract alone; it imports nothing of the package. It reads the DataFrames
that a project is given, finds the candidates, and checks every rule literally: every window, every pair,
every group. The tests compare the optimizer with it on projects of up to a dozen candidates.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

CLOSE = 1e-9
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


@dataclass(frozen=True)
class Row:
    """One limit for one group: ``lo ≤ Σ numerator − ratio Σ denominator ≤ hi``."""

    name: str
    group: tuple[tuple[str, Any], ...]
    lo: float
    hi: float
    ratio: float | None
    numerator: tuple[float, ...]
    denominator: tuple[float, ...]

    @functools.cached_property
    def weights(self) -> list[float]:
        r = self.ratio or 0.0
        return [a - r * b for a, b in zip(self.numerator, self.denominator, strict=True)]

    @functools.cached_property
    def sizes(self) -> list[float]:
        """How large the numbers are that each weight is made of; rounding goes by them."""
        r = abs(self.ratio or 0.0)
        return [abs(a) + r * abs(b) for a, b in zip(self.numerator, self.denominator, strict=True)]

    def holds(self, chosen: Sequence[int]) -> bool:
        used = sum(self.weights[j] for j in chosen)
        slip = CLOSE * sum(self.sizes[j] for j in chosen)
        return self.lo - slip <= used <= self.hi + slip


@dataclass(frozen=True)
class Answer:
    feasible: bool
    objective: float | None = None
    chosen: tuple[int, ...] = ()
    plans: int = 0


def text(value: Any) -> str:
    """Ids are compared as text; 7, 7.0 and "7" are one id."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def linear(expression: str) -> list[tuple[float, str]]:
    """``value - 0.5 * cost`` as [(1, value), (-0.5, cost)]."""
    terms = re.findall(r"([+-]?)\s*(?:([\d.]+)\s*\*\s*)?([a-z_]\w*)", expression)
    return [((-1.0 if sign == "-" else 1.0) * float(factor or 1), name) for sign, factor, name in terms]


class Reference:
    """A project's candidates, rules and best plan.

    ``history`` holds the past contacts that count in contact rules, ``alive`` the candidates that may be
    chosen, ``dropped`` the reason of each that may not.
    """

    def __init__(
        self, tables: Mapping[str, pd.DataFrame], policy: Mapping[str, Any],
        horizon: Mapping[str, Any] | None = None, multi_valued: Mapping[str, str] | None = None,
        vetoes: Sequence[tuple[str, str]] = (), locks: Sequence[tuple[str, str]] = (),
    ) -> None:  # fmt: skip
        self.policy, self.multi_valued = policy, dict(multi_valued or {})
        self.start = None if horizon is None else dt.date.fromisoformat(str(horizon["start"])[:10])
        self.tables = {name: self._plain(frame) for name, frame in tables.items()}
        self.entities = {e: {r[IDS[e]]: r for r in self.tables.get(t, [])} for e, t in TABLES.items()}
        self.past = [self._past(r) for r in self.tables.get("history", [])]
        self.history = [c for c, r in zip(self.past, self.tables.get("history", []), strict=True)
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
        self.locked = {(text(c), text(a)) for c, a in locks}
        self.objectives, self.sign = self._objective()
        self.rows = [row for rule in policy.get("limits") or [] for row in self._limit(rule)]

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
        return Contact(row["customer_id"], row.get("action_id"), row["offer_id"], row["channel"], row["date"])

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
            legs = [self.matches(leg, rule["drop"]) for leg in contact.legs]
            if legs[0]:
                return rule["name"], contact
            if any(legs):  # not the contact but its detour is forbidden
                contact = replace(contact, fallback=None)
        return None, contact

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

    # limits

    def amounts(self, contact: Contact, expression: str, by_channel: bool) -> list[float]:
        """What each leg of a contact uses of a measure."""
        missed = 1.0 - contact.delivery
        use = [0.0 for _ in contact.legs]
        for factor, name in linear(expression):
            if name == "contacts":
                amounts = [1.0, missed if by_channel else 0.0]
            elif name in contact.own:
                amounts = [contact.own[name], 0.0]
            else:
                entity = next(
                    e
                    for e in ("action", "channel", "offer")
                    if any(name in r for r in self.entities[e].values())
                )
                found = [self.entities[entity][getattr(leg, entity)].get(name) for leg in contact.legs]
                if None in found:
                    raise Broken(f"{name} is missing")
                amounts = [found[0], missed * found[1] if entity == "channel" and len(found) > 1 else 0.0]
            for leg in range(len(use)):
                use[leg] += factor * amounts[leg]
        return use

    def _objective(self) -> tuple[list[float], float]:
        objective, sign = self.policy["objective"], 1.0
        if isinstance(objective, Mapping):
            ((sense, objective),) = objective.items()
            sign = 1.0 if sense == "maximise" else -1.0
        return [sum(self.amounts(c, objective, False)) for c in self.alive], sign

    def _limit(self, rule: Mapping[str, Any]) -> Iterator[Row]:
        where, over = rule.get("where", {}), rule.get("over")
        per = [rule["per"]] if isinstance(rule.get("per"), str) else rule.get("per", [])
        if isinstance(over, str):
            over = {"measure": over, "where": where}
        names = [*where, *per, *(over or {}).get("where", {})]
        by_channel = any(n.split(".")[0] == "channel" for n in names)
        sums = [self._sum(rule.get("measure", "contacts"), where, per, by_channel)]
        if over is not None:
            sums.append(self._sum(over["measure"], over.get("where", {}), per, by_channel))
        occurring = {key for part in sums for key in part}
        tables = {
            side: self._table(rule[side], where, per)
            for side in ("min", "max")
            if isinstance(rule.get(side), Mapping)
        }
        keys = occurring.union(*tables.values()) if per else {()}
        for key in sorted(keys, key=repr):
            bound: dict[str, float] = {}
            for side in ("min", "max"):
                if side in tables:
                    if key not in tables[side] and key in occurring:
                        raise Broken(f"{rule['name']} has no {side} for {key}")
                    if key in tables[side]:
                        bound[side] = tables[side][key]
                elif rule.get(side) is not None:
                    bound[side] = float(rule[side])
            top, *bottom = ([part.get(key, {}).get(j, 0.0) for j in range(len(self.alive))] for part in sums)
            group = tuple(zip(per, key, strict=True))
            if over is None:
                yield Row(rule["name"], group, bound.get("min", -math.inf), bound.get("max", math.inf),
                    None, tuple(top),
                          (0.0,) * len(top))  # fmt: skip
            for side, lo, hi in (("min", 0.0, math.inf), ("max", -math.inf, 0.0)) if over is not None else ():
                if side in bound:
                    yield Row(rule["name"], group, lo, hi, bound[side], tuple(top), tuple(bottom[0]))

    def _sum(
        self, measure: str, where: Mapping[str, Any], per: Sequence[str], by_channel: bool
    ) -> dict[Any, dict[int, float]]:
        """Group → candidate → amount."""
        found: dict[Any, dict[int, float]] = {}
        for j, contact in enumerate(self.alive):
            amounts = self.amounts(contact, measure, by_channel)
            legs = zip(contact.legs, amounts, strict=True) if by_channel else [(contact, sum(amounts))]
            for leg, amount in legs:
                for key in self.groups(leg, per) if self.matches(leg, where) else []:
                    group = found.setdefault(key, {})
                    group[j] = group.get(j, 0.0) + amount
        return found

    def _table(
        self, bound: Mapping[str, str], where: Mapping[str, Any], per: Sequence[str]
    ) -> dict[Any, float]:
        """Group → bound, from the rows of the limit's table that are in the limit's own scope."""
        found: dict[Any, float] = {}
        for row in self.tables[bound["table"]]:
            told = {a: self._told(row, a) for a in {*where, *per}}
            # a contact with several values is in scope by one of them and yet in the group of another
            known = [
                (a, condition)
                for a, condition in where.items()
                if told[a] is not None and a not in self.multi_valued
            ]
            if all(self._holds(told[a], a, condition) for a, condition in known):
                key = tuple(told[a][0] for a in per)  # type: ignore[index]
                if key in found or row[bound["column"]] is None:
                    raise Broken(f"{bound['table']} has two rows for {key}, or an empty cell")
                found[key] = float(row[bound["column"]])
        return found

    def _told(self, row: Mapping[str, Any], attribute: str) -> list[Any] | None:
        """What a row of a limit's table says of an attribute; None if it says nothing."""
        entity, _, column = attribute.partition(".")
        for name in (attribute, column or entity, f"{attribute}_id"):
            if name in row:
                return [] if row[name] is None else [row[name]]
        for name in (IDS.get(entity), entity):  # an offer's row also tells the offer's category
            if column and name in row:
                value = self.entities[entity].get(text(row[name]), {}).get(column)
                return [] if value is None else [value]
        return None

    # rules for each customer

    def keeps_contact_rules(self, chosen: Sequence[Contact]) -> bool:
        """Whether contacts of one customer keep all contact rules and conflicts."""
        rules, conflicts = self.policy.get("contact") or [], self.policy.get("conflicts") or []
        return all(all(n <= cap for n, cap in self.windows(chosen, r)) for r in rules) and not any(
            self._clashes(chosen, rule) for rule in conflicts
        )

    def windows(self, chosen: Sequence[Contact], rule: Mapping[str, Any]) -> list[tuple[int, int]]:
        """(count, cap) of every window and group that holds a chosen contact."""
        if not chosen:
            return []
        (customer,) = {c.customer for c in chosen}
        cap = rule["max"]
        if isinstance(cap, Mapping):
            cap = self.entities["customer"][customer][cap["column"].partition(".")[2]]
        days, per = rule.get("days"), rule.get("per", [])
        per = [per] if isinstance(per, str) else per
        past = [
            h
            for h in self.history
            if h.customer == customer and days is not None and rule.get("history", True)
        ]
        counted: dict[tuple[Any, ...], list[tuple[int, Contact, bool]]] = {}
        for number, (contact, now) in enumerate([(c, True) for c in chosen] + [(h, False) for h in past]):
            keys = {
                key
                for leg in contact.legs
                if self.matches(leg, rule.get("where", {}))
                for key in self.groups(leg, per)
            }
            for key in keys:
                counted.setdefault(key, []).append((number, contact, now))
        seen = []
        for members in counted.values():
            reach = [c.day for _, c, _ in members]
            starts = [None] if days is None else range(min(reach) - days, max(reach) + 1)
            for start in starts:
                inside = [m for m in members if start is None or start <= m[1].day <= start + days - 1]
                if any(now for _, _, now in inside):
                    occasions = rule.get("count") == "occasions"
                    kinds = {(c.channel, c.day) if occasions else number for number, c, _ in inside}
                    seen.append((len(kinds), int(cap)))
        return seen

    def _clashes(self, chosen: Sequence[Contact], rule: Mapping[str, Any]) -> bool:
        customer = {c.customer for c in chosen}
        past = [h for h in self.history if h.customer in customer]
        orders = [(rule["first"], rule["then"])]
        if rule.get("either_order"):
            orders.append((rule["then"], rule["first"]))
        for first, then in orders:
            for i in [*chosen, *past]:
                for j in chosen:
                    if i is j or not self._either(i, first) or not self._either(j, then):
                        continue
                    lag = j.day - i.day
                    if 0 <= lag < rule["days"] or (rule.get("either_order") and 0 <= -lag < rule["days"]):
                        return True
        return False

    def _either(self, contact: Contact, where: Mapping[str, Any]) -> bool:
        return any(self.matches(leg, where) for leg in contact.legs)

    # plans

    @functools.cached_property
    def customer_plans(self) -> list[list[tuple[int, ...]]]:
        """For each customer every set of candidates that keeps the rules for customers, and the locks."""
        plans = []
        for customer in sorted({c.customer for c in self.alive}):
            mine = [j for j, c in enumerate(self.alive) if c.customer == customer]
            locked = {j for j in mine if self.alive[j].key in self.locked}
            sets = itertools.chain.from_iterable(
                itertools.combinations(mine, n) for n in range(len(mine) + 1)
            )
            plans.append(
                [s for s in sets if locked <= set(s) and self.keeps_contact_rules([self.alive[j] for j in s])]
            )
        return plans

    def keeps_all(self, chosen: Sequence[int]) -> bool:
        """Whether a plan keeps every rule and every lock."""
        by_customer: dict[str, list[Contact]] = {}
        for j in chosen:
            by_customer.setdefault(self.alive[j].customer, []).append(self.alive[j])
        return (
            all(row.holds(chosen) for row in self.rows)
            and all(self.keeps_contact_rules(own) for own in by_customer.values())
            and self.locked <= {self.alive[j].key for j in chosen}
        )

    def solve(self) -> Answer:
        """Try every plan."""
        if self.locked - {c.key for c in self.alive}:
            raise Broken("a lock names no candidate")
        weights, sizes = [row.weights for row in self.rows], [row.sizes for row in self.rows]
        options = []
        for sets in self.customer_plans:
            options.append([
                (self.sign * sum(self.objectives[j] for j in s), s, [sum(w[j] for j in s) for w in weights],
                 [sum(w[j] for j in s) for w in sizes])
                for s in sets
            ])  # fmt: skip
        best, chosen, plans = -math.inf, (), 0
        for parts in itertools.product(*options):
            plans += 1
            value = sum(p[0] for p in parts)
            if value <= best:
                continue
            for k, row in enumerate(self.rows):
                used, slip = sum(p[2][k] for p in parts), CLOSE * sum(p[3][k] for p in parts)
                if not row.lo - slip <= used <= row.hi + slip:
                    break
            else:
                best, chosen = value, tuple(j for p in parts for j in p[1])
        if best == -math.inf:
            return Answer(False, plans=plans)
        return Answer(True, self.sign * best, chosen, plans)

    def proven_by(self, prices: Sequence[float]) -> float:
        """The bound that prices of the rows prove, in the policy's own sense."""
        bound = sum(p * (row.hi if p > 0 else row.lo) for p, row in zip(prices, self.rows, strict=True) if p)
        worth = self.worth(prices)
        for sets in self.customer_plans:
            bound += max((sum(worth[j] for j in s) for s in sets), default=-math.inf)
        return self.sign * bound

    def worth(self, prices: Sequence[float]) -> list[float]:
        """Each candidate's objective, as maximised, less what it uses at the prices."""
        used = [
            sum(p * row.weights[j] for p, row in zip(prices, self.rows, strict=True))
            for j in range(len(self.alive))
        ]
        return [self.sign * v - u for v, u in zip(self.objectives, used, strict=True)]


def send_days(written: str) -> set[int]:
    """Weekdays of ``mon-fri``, ``mon;wed`` or ``mon,tue``, Monday being 0."""
    days: set[int] = set()
    for part in re.split(r"[;,\s]+", written.strip().lower()):
        first, _, last = part.partition("-")
        days |= set(range(WEEKDAYS.index(first), WEEKDAYS.index(last or first) + 1))
    return days

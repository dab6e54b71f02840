"""Random projects of up to a dozen candidates, which mix all kinds of rules.

Numbers are multiples of 1/4 or 1/8, so that sums are exact and a plan that fills a limit to the brim is
neither here nor there for rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pandas as pd
from reference import Reference

import omniopt as oo

START = "2026-11-23"  # a Monday
CHANNELS = ("call", "email", "sms")
OUTCOMES = ("sent", "delivered", "bounced", "opened", "responded", "rejected")


@dataclass
class Case:
    tables: dict[str, pd.DataFrame]
    policy: dict[str, Any]
    horizon: dict[str, Any] | None
    multi_valued: dict[str, str]
    vetoes: list[tuple[str, str]] = field(default_factory=list)
    locks: list[tuple[str, str]] = field(default_factory=list)

    def reference(self) -> Reference:
        return Reference(self.tables, self.policy, self.horizon, self.multi_valued, self.vetoes, self.locks)

    def project(self) -> oo.Project:
        project = oo.Project.from_frames(
            self.policy, horizon=self.horizon, multi_valued=self.multi_valued, **self.tables
        )
        lists = [
            pd.DataFrame(pairs, columns=["customer_id", "action_id"]) for pairs in (self.vetoes, self.locks)
        ]
        return project.with_decisions(*lists) if self.vetoes or self.locks else project

    def __repr__(self) -> str:
        """What a failing test prints: enough to make the case again by hand."""
        parts = [f"{name}\n{frame.to_csv(index=False)}" for name, frame in self.tables.items()]
        return "\n".join(
            [
                *parts,
                f"policy {self.policy}",
                f"horizon {self.horizon}, vetoes {self.vetoes}, locks {self.locks}",
            ]
        )


class Maker:
    """Draws one case; every choice comes from the given random numbers."""

    def __init__(self, random: Random) -> None:
        self.r = random
        self.names = 0

    def some(self, options: Sequence[Any], least: int = 0, most: int | None = None) -> list[Any]:
        most = len(options) if most is None else min(most, len(options))
        picked = self.r.sample(list(options), self.r.randint(min(least, most), most))
        return sorted(picked, key=str)

    def often(self, percent: int) -> bool:
        return self.r.randint(1, 100) <= percent

    def quarters(self, low: int, high: int) -> float:
        return self.r.randint(low, high) / 4

    def name(self, kind: str) -> str:
        self.names += 1
        return f"{kind} {self.names}"

    def case(self) -> Case:
        self.scored = self.often(40)
        self.dated = self.often(85)
        self.horizon = (
            {"start": START, "days": self.r.randint(3, 12)} if self.scored or self.often(60) else None
        )
        self.days = self.horizon["days"] if self.horizon else 8
        self.channels = self.some(CHANNELS, 1)
        tables = {
            "channels": self.make_channels(),
            "offers": self.make_offers(),
            "customers": self.make_customers(),
        }
        tables["actions"] = self.make_actions()
        if self.scored:
            tables["scores"] = self.make_scores()
        else:
            tables["candidates"] = self.make_candidates()
        self.past = []
        if self.often(60):
            self.past = self.make_history()
            tables["history"] = pd.DataFrame(self.past)
        if tables["channels"]["requires_consent"].any() and self.often(80):
            tables["consents"] = self.make_consents()
        self.tables = tables
        policy = {"objective": self.objective()}
        policy["eligibility"] = [
            self.eligibility() for _ in range(self.r.randint(1, 2) if self.often(35) else 0)
        ]
        policy["limits"] = [self.limit() for _ in range(self.r.randint(0, 3))]
        if self.dated:
            policy["contact"] = [self.contact() for _ in range(self.r.randint(0, 3))]
            policy["conflicts"] = [self.conflict() for _ in range(self.r.randint(0, 2))]
        else:
            policy["contact"] = [
                {k: v for k, v in self.contact().items() if k != "days"} for _ in range(self.r.randint(0, 2))
            ]
        case = Case(tables, policy, self.horizon, {"action.products": ";"})
        self.decide(case)
        return case

    # tables

    def make_channels(self) -> pd.DataFrame:
        rows = []
        for channel in self.channels:
            others = [c for c in self.channels if c != channel]
            rows.append({
                "channel": channel, "kind": "voice" if channel == "call" else "written",
                "unit_cost": self.quarters(0, 12), "minutes": self.quarters(0, 8),
                "delivery_rate": self.r.choice([1.0, 1.0, 0.75, 0.5]),
                "fallback": self.r.choice(others) if others and self.often(40) else None,
                "requires_consent": self.often(15),
                "send_from": "08:00" if self.often(15) else None,
                "send_days": self.r.choice(["mon-fri", "mon;wed;sat",
                    "tue,thu"]) if self.horizon and self.often(15) else None,
            })  # fmt: skip
        return pd.DataFrame(rows).astype({"fallback": "str", "send_from": "str", "send_days": "str"})

    def make_offers(self) -> pd.DataFrame:
        rows = []
        for offer in self.some(["loan", "card", "fund"], 1):
            rows.append({
                "offer_id": offer, "category": self.r.choice(["credit", "savings"]),
                "value": self.quarters(20, 200),
                "incentive_cost": self.quarters(0, 8), "weight": self.quarters(1, 8),
                "valid_from": self.r.randint(1, 2) if self.often(15) else None,
                "valid_to": self.r.randint(2, self.days) if self.often(15) else None,
            })  # fmt: skip
        self.offers = [r["offer_id"] for r in rows]
        self.categories = sorted({r["category"] for r in rows})
        return pd.DataFrame(rows).astype({"valid_from": "Int64", "valid_to": "Int64"})

    def make_customers(self) -> pd.DataFrame:
        self.customers = ["ann", "bob", "cal"][: self.r.choice([1, 2, 2, 3, 3])]
        rows = [{
            "customer_id": c, "region": self.r.choice(["north", "south"]),
            "age": self.r.randint(15, 70) if self.often(85) else None,
            "max_offers": self.r.randint(0, 3), "vip": self.often(30),
            "timezone": "Europe/Madrid" if self.often(75) else None,
        } for c in self.customers]  # fmt: skip
        self.regions = sorted({r["region"] for r in rows})
        return pd.DataFrame(rows).astype({"age": "Float64", "timezone": "str"})

    def make_actions(self) -> pd.DataFrame:
        most = 12 // len(self.customers) if self.scored else 6
        rows = []
        for number in range(self.r.randint(min(2, most), most)):
            row = {
                "action_id": f"a{number + 1}",
                "offer_id": self.r.choice(self.offers),
                "channel": self.r.choice(self.channels),
            }
            row["products"] = ";".join(self.some(["x", "y", "z"], 1, 2))
            if self.dated:
                row["date"] = self.r.randint(1, self.days)
            rows.append(row)
        self.actions = [r["action_id"] for r in rows]
        self.products = sorted({p for r in rows for p in r["products"].split(";")})
        return pd.DataFrame(rows)

    def make_candidates(self) -> pd.DataFrame:
        pairs = [(c, a) for c in self.customers for a in self.actions]
        rows = [{
            "customer_id": c, "action_id": a, "value": self.quarters(-4, 40), "cost": self.quarters(0, 12),
            "points": self.quarters(-4, 8),
        } for c, a in self.some(pairs, min(5, len(pairs)), 12)]  # fmt: skip
        return pd.DataFrame(rows)

    def make_scores(self) -> pd.DataFrame:
        rows = [{"customer_id": c, "offer_id": o, "channel": k, "p_response": self.r.randint(0, 8) / 8}
                for c in self.customers for o in self.offers for k in self.channels]  # fmt: skip
        frame = pd.DataFrame(rows)
        return frame.assign(value=[self.quarters(20, 100) for _ in rows]) if self.often(25) else frame

    def make_history(self) -> list[dict[str, Any]]:
        number = self.r.randint(1, 4) if self.often(70) else self.r.randint(5, 9)
        rows = []
        for _ in range(number):
            planned = self.often(25)
            rows.append({
                "customer_id": self.r.choice(self.customers), "offer_id": self.r.choice(self.offers),
                "channel": self.r.choice(self.channels),
                "date": self.r.randint(1, self.days) if planned else self.r.randint(-9, 0),
                "outcome": None if planned else self.r.choice(OUTCOMES), "planned": planned,
                "action_id": self.r.choice(self.actions) if self.often(70) else None,
            })  # fmt: skip
        unique = {tuple(r[k] for k in ("customer_id", "offer_id", "channel", "date")): r for r in rows}
        return list(unique.values())

    def make_consents(self) -> pd.DataFrame:
        rows = []
        for customer in self.customers:
            for channel in self.channels:
                for purpose in self.some(["news", "service"], 0, 2) if self.often(60) else ["news"]:
                    rows.append({
                        "customer_id": customer, "channel": channel, "purpose": purpose,
                        "granted": self.often(85),
                        "valid_from": self.r.randint(1, 3) if self.often(25) else None,
                        "valid_to": self.r.randint(3, self.days) if self.often(25) else None,
                    })  # fmt: skip
        columns = ["customer_id", "channel", "purpose", "granted", "valid_from", "valid_to"]
        frame = pd.DataFrame(rows, columns=columns)
        return frame.astype({"granted": "bool", "valid_from": "Int64", "valid_to": "Int64"})

    # rules

    def objective(self) -> Any:
        if self.scored:
            return self.r.choice(
                [
                    "value - cost",
                    "value",
                    "response",
                    {"maximise": "2 * value - 0.5 * cost"},
                    {"minimise": "cost - value"},
                ]
            )
        return self.r.choice(
            [
                "value - cost",
                "value",
                {"minimise": "cost"},
                {"minimise": "cost - value"},
                "value - 0.5 * minutes",
                "contacts",
            ]
        )

    def where(self, channel_likely: int = 40, history: bool = False) -> dict[str, Any]:
        """A scope of no, one or two entries."""
        entries: list[tuple[str, Any]] = [
            ("offer", self.r.choice(self.offers)), ("offer.category", self.r.choice(self.categories)),
            ("customer.region", self.r.choice(self.regions)), ("customer.vip", self.often(50)),
            ("customer.age", {self.r.choice(["lt", "le", "gt", "ge"]): self.r.randint(18, 60)}),
            ("customer.age", {"is_null": self.often(50)}),
            ("offer.weight", {self.r.choice(["eq", "ne", "ge"]): self.quarters(1, 8)}),
            ("action.products", self.r.choice(self.products)),
            ("action.products", {self.r.choice(["not_in", "in"]): self.some(self.products, 1, 2)}),
        ]  # fmt: skip
        if self.dated:
            entries.append(("date", {self.r.choice(["le", "ge", "ne"]): self.r.randint(1, self.days)}))
        found = dict(self.r.sample(entries, self.r.choice([0, 0, 1, 1, 2])))
        if self.often(channel_likely):
            found |= self.r.choice([
                {"channel": self.r.choice(self.channels)}, {"channel": self.some(self.channels, 1)},
                {"channel.kind": self.kind()}, {"channel.minutes": {"ge": self.quarters(0, 8)}},
                {"channel": {"ne": self.r.choice(self.channels)}},
            ])  # fmt: skip
        return found

    def kind(self) -> str:
        return (
            "voice"
            if self.channels == ["call"] or ("call" in self.channels and self.often(50))
            else "written"
        )

    def per(self) -> list[str]:
        options = [
            "customer.region",
            "offer",
            "offer.category",
            "channel",
            "channel.kind",
            "action.products",
            "customer.vip",
        ]
        if self.dated:
            options.append("date")
        return self.r.sample(options, self.r.choice([1, 1, 1, 2]))

    def eligibility(self) -> dict[str, Any]:
        where = self.where() or {"customer.age": {"lt": 30}}
        return {"name": self.name("drop"), "drop": where}

    def measure(self) -> str:
        own = ["value", "cost", "response"] if self.scored else ["value", "cost", "points"]
        return self.r.choice(
            ["contacts", "contacts", "minutes", "weight", *own, "cost + 0.5 * contacts", "value - cost"]
        )

    def limit(self) -> dict[str, Any]:
        rule: dict[str, Any] = {"name": self.name("limit")}
        if where := self.where():
            rule["where"] = where
        if self.often(40):
            rule["per"] = self.per() if self.often(80) else self.per()[0]
        if self.often(25):
            return self.ratio(rule)
        rule["measure"] = self.measure()
        if rule["measure"] == "contacts" and self.often(50):
            del rule["measure"]
        table = "per" in rule and self.often(40)
        low, high = sorted([self.quarters(-8, 16), self.quarters(0, 24)])
        kind = self.r.choice(["max", "max", "max", "min", "both"])
        if kind in ("max", "both"):
            rule["max"] = self.table(rule, [high, high + 1, high + 2.5]) if table else high
        if kind in ("min", "both"):
            rule["min"] = self.table(rule, [low, low - 1]) if table and self.often(50) else min(low, 3.0)
            if kind == "both" and not isinstance(rule["min"], Mapping) and rule["min"] > low:
                rule["min"] = low
        return rule

    def ratio(self, rule: dict[str, Any]) -> dict[str, Any]:
        share = self.often(60)
        if share:
            rule["over"] = {"measure": "contacts"}
            if self.often(30):
                rule["over"]["where"] = self.where()
        else:
            rule |= {"measure": "value", "over": self.r.choice(["cost", "cost + contacts"])}
        side = self.r.choice(["max", "min", "both"])
        low, high = (self.r.choice([0.25, 0.5]), self.r.choice([0.5, 0.75])) if share else (1.5, 4.0)
        rule |= {"max": {"max": high}, "min": {"min": low}, "both": {"min": low, "max": high}}[side]
        return rule

    def table(self, rule: dict[str, Any], numbers: Sequence[float]) -> dict[str, str]:
        """A table with a bound for every combination there is, and some that the rule does not speak of."""
        per = [rule["per"]] if isinstance(rule["per"], str) else rule["per"]
        levels = {  # everything there is
            "customer.region": self.regions, "offer": self.offers, "offer.category": self.categories,
            "channel": self.channels,
            "channel.kind": sorted({"voice" if c == "call" else "written" for c in self.channels}),
            "action.products": self.products, "customer.vip": [False, True],
            "date": list(range(1, self.days + 1)),
        }  # fmt: skip
        rows: list[dict[str, Any]] = [{}]
        for attribute in per:
            column = attribute if self.often(50) else attribute.rpartition(".")[2]
            if attribute == "offer" and self.often(50):
                column = "offer_id"
            rows = [row | {column: value} for row in rows for value in levels[attribute]]
        where = rule.get("where", {})
        for attribute in ("customer.region", "offer.category", "channel"):
            if isinstance(where.get(attribute), str) and attribute not in per and self.often(50):
                column = attribute.rpartition(".")[2]
                rows = [row | {column: value} for row in rows for value in levels[attribute]]
        name = self.name("table").replace(" ", "_")
        self.tables[name] = pd.DataFrame([row | {"bound": self.r.choice(numbers)} for row in rows])
        return {"table": name, "column": "bound"}

    def contact(self) -> dict[str, Any]:
        rule: dict[str, Any] = {"name": self.name("contact"), "max": self.r.choice([0, 1, 1, 1, 2, 2, 3])}
        if where := self.where():
            rule["where"] = where
        if self.often(15):
            rule["max"] = {"column": "customer.max_offers"}
        if self.often(75):
            rule["days"] = self.r.choice([1, 2, 3, 5, 7, 14, 30])
            if self.often(20):
                rule["history"] = False
        if self.often(30):
            options = ["offer", "offer.category", "channel", "channel.kind", "customer.region"]
            if all(row["action_id"] for row in self.past) or self.often(0):
                options.append("action.products")
            rule["per"] = self.r.sample(options, self.r.choice([1, 1, 2]))
        if self.often(25):
            rule["count"] = self.r.choice(["occasions", "occasions", "offers"])
        return rule

    def conflict(self) -> dict[str, Any]:
        first = self.where(channel_likely=60)
        rule = {"name": self.name("conflict"), "first": first,
            "then": copy.deepcopy(first) if self.often(30) else self.where(60),
                "days": self.r.choice([1, 2, 3, 5, 10, 30])}  # fmt: skip
        if self.often(40):
            rule["either_order"] = self.often(80)
        return rule

    def decide(self, case: Case) -> None:
        """Sometimes a contact is vetoed or locked."""
        if self.often(20):
            alive = [c.key for c in case.reference().alive]
            if len(alive) > 1:
                case.vetoes, case.locks = [alive[0]], [alive[-1]] if self.often(60) else []


def make(random: Random) -> Case:
    """Draw a case."""
    return Maker(random).case()


def kinds(case: Case) -> set[str]:
    """What a case has in it, rule kind by rule kind."""
    policy = case.policy
    there = {
        "objective minimise": "minimise" in policy["objective"],
        "objective maximise": "minimise" not in policy["objective"],
        "scores": "scores" in case.tables,
        "candidates": "candidates" in case.tables,
        "table history": "history" in case.tables,
        "table consents": "consents" in case.tables,
        "vetoes": case.vetoes,
        "locks": case.locks,
        "no horizon": case.horizon is None,
    }
    found = {kind for kind, is_there in there.items() if is_there}
    for section in ("eligibility", "limits", "contact", "conflicts"):
        for rule in policy.get(section, []):
            found |= {f"{section}.{key}" for key in rule}
            found |= {
                f"{section}.{key} table" for key in ("min", "max") if isinstance(rule.get(key), Mapping)
            }
            if isinstance(rule.get("over"), Mapping):
                found |= {f"{section}.over.{key}" for key in rule["over"]}
            if rule.get("count") == "occasions":
                found.add("contact.occasions")
            if "action.products" in rule.get("per", []):
                found.add(f"{section}.per multi-valued")
    channels = case.tables["channels"]
    found |= {f"channels.{c}" for c in ("fallback", "send_from", "send_days") if channels[c].notna().any()}
    if channels["requires_consent"].any():
        found.add("channels.requires_consent")
    return found

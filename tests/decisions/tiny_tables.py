"""The tables of random projects: small, with every oddity that a rule could stumble over.

Numbers are multiples of 1/4 or 1/8, so that sums are exact and a plan that fills a limit to the brim is
neither here nor there for rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pandas as pd

START = "2026-11-23"  # a Monday
# weeks and months end inside; the last has a whole month of four whole weeks
CALENDARS = ((START, 3, 12), ("2026-11-26", 3, 12), ("2026-12-30", 3, 9), ("2027-01-31", 29, 31))
CHANNELS = ("call", "email", "sms")
OUTCOMES = ("sent", "delivered", "bounced", "opened", "clicked", "responded", "rejected", "unsubscribed")


class TableMaker:
    """Draws the tables of one case; every choice comes from the given random numbers."""

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

    def make_tables(self) -> dict[str, pd.DataFrame]:
        """All tables but those that limits read their bounds from."""
        self.scored = self.often(40)
        self.dated = self.often(88)
        self.horizon, self.days = None, 8
        if self.scored or self.often(65):
            start, least, most = self.r.choice(CALENDARS[:1] * 4 + CALENDARS)
            self.days = self.r.randint(least, most)
            self.horizon = {"start": start, "days": self.days}
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
        if self.often(65):
            self.past = self.make_history()
            tables["history"] = pd.DataFrame(self.past)
        if tables["channels"]["requires_consent"].any() and self.often(80):
            tables["consents"] = self.make_consents()
        return tables

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
        self.several_categories = self.often(20)
        rows = []
        for offer in self.some(["loan", "card", "fund"], 1):
            categories = self.some(["credit", "savings", "plastic"][: 2 + self.several_categories], 1, 2)
            rows.append({
                "offer_id": offer,
                "category": ";".join(categories) if self.several_categories else self.r.choice(categories),
                "business_unit": self.r.choice(["retail", "private"]) if self.often(85) else None,
                "value": self.quarters(20, 200),
                "incentive_cost": self.quarters(0, 8), "weight": self.quarters(1, 8),
                "valid_from": self.r.randint(1, 2) if self.often(15) else None,
                "valid_to": self.r.randint(2, self.days) if self.often(15) else None,
            })  # fmt: skip
        self.offers = [r["offer_id"] for r in rows]
        self.categories = sorted({c for r in rows for c in r["category"].split(";")})
        frame = pd.DataFrame(rows)
        return frame.astype({"valid_from": "Int64", "valid_to": "Int64", "business_unit": "str"})

    def make_customers(self) -> pd.DataFrame:
        self.customers = ["ann", "bob", "cal"][: self.r.choice([1, 2, 2, 3, 3])]
        homes = {c: self.r.choice(["h1", "h1", "h2"]) for c in self.customers}
        most = {home: self.r.randint(0, 3) for home in sorted(set(homes.values()))}
        rows = [{
            "customer_id": c, "region": self.r.choice(["north", "south"]),
            "age": self.r.randint(15, 70) if self.often(85) else None,
            "max_offers": self.r.randint(0, 3), "min_offers": self.r.choice([0, 0, 0, 1]),
            "household_id": homes[c], "max_home": most[homes[c]], "min_home": min(1, most[homes[c]]),
            "vip": self.often(30), "timezone": "Europe/Madrid" if self.often(75) else None,
        } for c in self.customers]  # fmt: skip
        self.regions = sorted({r["region"] for r in rows})
        return pd.DataFrame(rows).astype({"age": "Float64", "timezone": "str"})

    def make_actions(self) -> pd.DataFrame:
        most = 12 // len(self.customers) if self.scored else 6
        late = self.r.choice([self.days, self.days, min(self.days, 9)])
        rows = []
        for number in range(self.r.randint(min(2, most), most)):
            row = {
                "action_id": f"a{number + 1}",
                "offer_id": self.r.choice(self.offers),
                "channel": self.r.choice(self.channels),
                "agent": self.r.choice(["kim", "lee"]),
            }
            row["products"] = ";".join(self.some(["x", "y", "z"], 1, 2))
            if self.dated:
                row["date"] = self.r.randint(1, late)
            rows.append(row)
        self.actions = [r["action_id"] for r in rows]
        self.agents = sorted({r["agent"] for r in rows})
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
        """Past contacts and commitments; at times one customer's same outcome again and again."""
        number = self.r.randint(1, 4) if self.often(70) else self.r.randint(5, 9)
        again = (self.r.choice(self.customers), self.r.choice(OUTCOMES)) if self.often(35) else None
        rows = []
        for _ in range(number):
            planned = self.often(25)
            customer, outcome = again or (self.r.choice(self.customers), self.r.choice(OUTCOMES))
            rows.append({
                "customer_id": customer, "offer_id": self.r.choice(self.offers),
                "channel": self.r.choice(self.channels),
                "date": self.r.randint(1, self.days) if planned else self.r.randint(-9, 0),
                "outcome": None if planned else outcome, "planned": planned,
                "action_id": self.r.choice(self.actions) if self.often(70) else None,
                "cost": self.quarters(0, 12), "points": self.quarters(-4, 8), "value": self.quarters(0, 40),
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

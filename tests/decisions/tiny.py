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
from tiny_tables import START, TableMaker

import omniopt as oo

__all__ = ["START", "Case", "Maker", "kinds", "make"]


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


class Maker(TableMaker):
    """Draws one case; every choice comes from the given random numbers."""

    def case(self) -> Case:
        self.tables = self.make_tables()
        policy: dict[str, Any] = {"objective": self.objectives()}
        policy["eligibility"] = [
            self.eligibility() for _ in range(self.r.randint(1, 2) if self.often(65) else 0)
        ]
        policy["limits"] = [self.limit() for _ in range(self.r.randint(0, 3))]
        policy["contact"] = [self.contact() for _ in range(self.r.randint(0, 3 if self.dated else 2))]
        if self.dated:
            policy["conflicts"] = [self.conflict() for _ in range(self.r.choice([0, 0, 1, 1, 2]))]
            policy["requires"] = [self.requires() for _ in range(self.r.choice([0, 0, 0, 1, 1, 2]))]
        self.charge(policy)
        several = {"action.products": ";"} | ({"offer.category": ";"} if self.several_categories else {})
        case = Case(self.tables, policy, self.horizon, several)
        self.decide(case)
        return case

    # the objective

    def objectives(self) -> Any:
        if self.often(75):
            return self.objective()
        ranks = [self.objective() for _ in range(self.r.choice([2, 2, 3]))]
        for number, rank in enumerate(ranks):
            if self.often(60):
                rank = {"maximise": rank} if isinstance(rank, str) else rank
                ranks[number] = rank | {"within": self.r.choice([0, 0.125, 0.25, 0.5, 1])}
        return ranks

    def objective(self) -> Any:
        own = ["response", {"maximise": "2 * value - 0.5 * cost"}] if self.scored else [
            {"minimise": "cost"}, "value - 0.5 * minutes", {"minimise": "contacts"}]  # fmt: skip
        common = ["value - cost", "value - cost", "value", {"minimise": "cost - value"}, "contacts"]
        return copy.deepcopy(self.r.choice([*common, *own]))

    def charge(self, policy: dict[str, Any]) -> None:
        """Where something has a fixed cost, objectives and other limits may name it."""
        if not any("fixed_cost" in rule for rule in policy["limits"]):
            return
        ranks = policy["objective"] if isinstance(policy["objective"], list) else [policy["objective"]]
        for number, rank in enumerate(ranks):
            if self.often(25):
                told = {"maximise": rank} if isinstance(rank, str) else dict(rank)
                sense = next(s for s in ("maximise", "minimise") if s in told)
                factor = self.r.choice(["- 0.5 *", "-", "- 2 *"] if sense == "maximise" else ["+", "+ 0.5 *"])
                told[sense] += f" {factor} fixed_cost"
                ranks[number] = told
        policy["objective"] = ranks if isinstance(policy["objective"], list) else ranks[0]
        for rule in policy["limits"]:
            if "rolling_days" not in rule and self.often(30):
                if isinstance(rule.get("over"), str):
                    rule["over"] += " + fixed_cost"
                elif isinstance(rule.get("over"), Mapping) and self.often(50):
                    rule["over"]["measure"] += " + 0.5 * fixed_cost"
                elif not rule.get("all_or_nothing"):
                    rule["measure"] = self.r.choice(["fixed_cost", "cost + fixed_cost", "value - fixed_cost"])

    def where(self, channel_likely: int = 40, history: bool = False) -> dict[str, Any]:
        """A scope of no, one or two entries."""
        entries: list[tuple[str, Any]] = [
            ("offer", self.r.choice(self.offers)), ("offer.category", self.r.choice(self.categories)),
            ("action.agent", self.r.choice(self.agents)),
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
        if not self.dated or self.often(50):
            return {"name": self.name("drop"), "drop": self.where() or {"customer.age": {"lt": 30}}}
        seen = sorted({row["outcome"] for row in self.past if row["outcome"]}) or ["rejected"]
        after: dict[str, Any] = {"outcome": self.r.choice([self.r.choice(seen), [*seen, "rejected"]])}
        if isinstance(after["outcome"], list):
            after["outcome"] = sorted(set(after["outcome"]))
        if self.often(50):
            after["times"] = self.r.choice([1, 2, 2, 3])
        if self.often(50):
            after["within_days"] = self.r.choice([1, 2, 3, 5, 10])
        same = self.r.choice(["offer", "category", "channel", "business_unit", "all"])
        days = self.r.choice([3, 6, 9, 15])
        return {"name": self.name("rest"), "after": after, "drop_same": same, "for_days": days}

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
        shape = self.r.choice(["plain"] * 4 + ["ratio"] * 3 + ["rolling"] * 3 + ["cell"] * 3)
        if shape == "rolling" and self.dated:
            self.roll(rule)
        if shape == "ratio" or ("rolling_days" in rule and self.often(20)):
            self.ratio(rule)
        elif shape == "cell":
            self.cell(rule)
        else:
            self.bounds(rule)
        self.known_of_the_past(rule)
        if self.often(20):
            # what is below the line may be in groups that the table's rows in the scope do not tell
            table = "per" in rule and not isinstance(rule.get("over"), Mapping) and self.often(30)
            rule["penalty"] = self.table(rule, [0, 1, 2.5]) if table else self.r.choice([0, 0.5, 1, 2, 4, 50])
        if self.often(8):
            rule["report_only"] = True
        return rule

    def bounds(self, rule: dict[str, Any]) -> None:
        rule["measure"] = self.measure()
        if rule["measure"] == "contacts" and self.often(50):
            del rule["measure"]
        table = "per" in rule and self.often(40)
        low, high = sorted([self.quarters(-8, 16), self.quarters(0, 24)])
        kind = self.r.choice(["max", "max", "max", "min", "both"])
        if kind in ("max", "both"):
            rule["max"] = self.table(rule, [high, high + 1, high + 2.5]) if table else high
        if kind in ("min", "both"):
            low = min(low, 3.0 if "rolling_days" not in rule else self.r.choice([-1, 0, 0.5, 1]))
            rule["min"] = self.table(rule, [low, low - 1]) if table and self.often(50) else low

    def known_of_the_past(self, rule: dict[str, Any]) -> None:
        """Measure in windows what is known of past contacts; of their value and response nothing is."""
        if "rolling_days" in rule and self.past:
            for name in ("measure", "over"):
                if isinstance(rule.get(name), str):
                    rule[name] = rule[name].replace("value", "minutes").replace("response", "contacts")

    def roll(self, rule: dict[str, Any]) -> None:
        rule["rolling_days"] = self.r.choice([1, 2, 3, 5, 7, 14, self.days, max(1, self.days - 1)])
        known = all(row["action_id"] for row in self.past)
        if "per" in rule:
            per = [rule["per"]] if isinstance(rule["per"], str) else rule["per"]
            rule["per"] = [a for a in per if a != "date" and (known or a != "action.products")] or ["offer"]

    def cell(self, rule: dict[str, Any]) -> None:
        """All or nothing, a fixed cost, or both."""
        both = self.r.choice(["all", "all", "cost", "all and cost", "all and cost"])
        if both != "all":
            table = "per" in rule and self.often(30)
            rule["fixed_cost"] = self.table(rule, [0, 1.5, 4]) if table else self.quarters(0, 20)
        if both == "cost":
            if self.often(30):
                rule["max"] = self.quarters(4, 16)
            return
        rule |= {"all_or_nothing": True, "min": self.quarters(1, 16)}
        if self.often(60):
            rule |= {"measure": self.measure()}
        else:
            rule["min"] = self.r.choice([1, 2, 2, 3])
        if self.often(30):
            rule["max"] = rule["min"] + self.quarters(0, 8)
        if "per" in rule and self.often(30):
            rule["min"] = self.table(rule, [rule["min"], rule["min"] - 0.5])

    def ratio(self, rule: dict[str, Any]) -> None:
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

    def table(self, rule: dict[str, Any], numbers: Sequence[float]) -> dict[str, str]:
        """A table with a bound for every combination there is, and some that the rule does not speak of."""
        per = [rule["per"]] if isinstance(rule["per"], str) else rule["per"]
        levels = {  # everything there is
            "customer.region": self.regions, "offer": self.offers, "offer.category": self.categories,
            "action.agent": self.agents,
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
            if attribute == "offer.category" and self.several_categories:
                continue
            if isinstance(where.get(attribute), str) and attribute not in per and self.often(50):
                column = attribute.rpartition(".")[2]
                rows = [row | {column: value} for row in rows for value in levels[attribute]]
        name = self.name("table").replace(" ", "_")
        self.tables[name] = pd.DataFrame([row | {"bound": self.r.choice(numbers)} for row in rows])
        return {"table": name, "column": "bound"}

    def contact(self) -> dict[str, Any]:
        rule: dict[str, Any] = {"name": self.name("contact")}
        if where := self.where():
            rule["where"] = where
        home = self.often(25)
        if home:
            rule["unit"] = "household"
        self.numbers(rule, "home" if home else "offers")
        if self.dated and self.often(75):
            rule["days"] = self.r.choice([1, 2, 3, 5, 7, 14, 30])
            if self.horizon and self.often(30):
                rule["every"] = self.r.choice(["week", "week", "month"])
                del rule["days"]
            elif "min" in rule and not rule.get("min_or_none"):
                rule["days"] = self.r.choice([self.days, max(1, self.days - 1), 30])
            if self.often(20):
                rule["history"] = False
        if self.often(30):
            options = ["offer", "offer.category", "channel", "channel.kind", "customer.region"]
            if all(row["action_id"] for row in self.past):
                options += ["action.products", "action.agent"]
            rule["per"] = self.r.sample(options, self.r.choice([1, 1, 2]))
        if self.often(40):
            kinds = ["offer", "channel", "channel.kind", "action.agent"]
            kinds += [] if self.several_categories else ["offer.category"]
            rule["count"] = self.r.choice(["occasions", "occasions", "offers", *kinds])
        return rule

    def numbers(self, rule: dict[str, Any], whose: str) -> None:
        """The most and the least of a contact rule."""
        kind = self.r.choice(["max"] * 12 + ["min or none"] * 3 + ["min"] * 2)
        if kind == "max" or self.often(30):
            column = self.often(18)
            rule["max"] = (
                {"column": f"customer.max_{whose}"} if column else self.r.choice([0, 1, 1, 1, 2, 2, 3])
            )
        if kind == "min or none":
            rule |= {"min": 2 if self.often(80) else 3, "min_or_none": True}
            if isinstance(rule.get("max"), int):
                rule["max"] = max(2, rule["max"])
                rule["min"] = min(rule["min"], rule["max"])
        if kind == "min":
            rule["min"] = {"column": f"customer.min_{whose}"} if self.often(30) else 1
            if self.often(50):  # not of everybody
                rule["where"] = rule.get("where", {}) | {"customer.vip": True}
            if isinstance(rule.get("max"), int):
                rule["max"] = max(1, rule["max"])

    def conflict(self) -> dict[str, Any]:
        first = self.where(channel_likely=60)
        rule = {"name": self.name("conflict"), "first": first,
            "then": copy.deepcopy(first) if self.often(30) else self.where(60),
                "days": self.r.choice([1, 2, 3, 5, 10, 30])}  # fmt: skip
        if self.often(40):
            rule["either_order"] = self.often(80)
        return rule

    def requires(self) -> dict[str, Any]:
        rule = {"name": self.name("requires"), "offer": self.where(60) or {"offer": self.offers[0]},
            "needs": self.where(60), "days": self.r.choice([0, 1, 2, 5, 10, 30])}  # fmt: skip
        if self.often(60):
            rule["order"] = self.r.choice(["any", "any", "before"])
        return rule

    def decide(self, case: Case) -> None:
        """Sometimes a contact is vetoed or locked."""
        if self.often(20):
            alive = [c.key for c in case.reference().alive]
            if len(alive) > 1:
                case.vetoes, case.locks = [alive[0]], [alive[-1]] if self.often(60) else []


def make(random: Random) -> Case:
    """Draw a case; again, twice at most, where next to nothing could be chosen."""
    for _ in range(2):
        case = Maker(random).case()
        if len(case.reference().alive) >= 3:
            return case
    return Maker(random).case()


def kinds(case: Case) -> set[str]:
    """What a case has in it, rule kind by rule kind."""
    policy = case.policy
    ranks = policy["objective"] if isinstance(policy["objective"], list) else [policy["objective"]]
    there = {
        "objective minimise": "minimise" in ranks[0],
        "objective maximise": "minimise" not in ranks[0],
        "objective ranks": len(ranks) > 1,
        "objective within": any(isinstance(r, Mapping) and r.get("within") for r in ranks[:-1]),
        "objective fixed_cost": "fixed_cost" in str(ranks),
        "scores": "scores" in case.tables,
        "candidates": "candidates" in case.tables,
        "table history": "history" in case.tables,
        "table consents": "consents" in case.tables,
        "vetoes": case.vetoes,
        "locks": case.locks,
        "no horizon": case.horizon is None,
        "several categories": "offer.category" in case.multi_valued,
    }
    found = {kind for kind, is_there in there.items() if is_there}
    for section in ("eligibility", "limits", "contact", "conflicts", "requires"):
        for rule in policy.get(section, []):
            found |= {f"{section}.{key}" for key in rule}
            found |= {f"{section}.{key} table" for key in ("min", "max", "fixed_cost", "penalty")
                      if isinstance(rule.get(key), Mapping)}  # fmt: skip
            found |= {f"eligibility.after {key}" for key in rule.get("after", [])}
            if isinstance(rule.get("over"), Mapping):
                found |= {f"{section}.over.{key}" for key in rule["over"]}
            if "fixed_cost" in str([rule.get("measure"), rule.get("over")]):
                found.add("limits.measure fixed_cost")
            if "over" in rule and "rolling_days" in rule:
                found.add("limits.over rolling")
            if rule.get("count", "offers") != "offers":
                found.add("contact.occasions" if rule["count"] == "occasions" else "contact.attribute")
            if "min" in rule and section == "contact" and not rule.get("min_or_none"):
                found.add("contact.min hard")
            if rule.get("order") == "any":
                found.add("requires.order any")
            if "action.products" in rule.get("per", []):
                found.add(f"{section}.per multi-valued")
    channels = case.tables["channels"]
    found |= {f"channels.{c}" for c in ("fallback", "send_from", "send_days") if channels[c].notna().any()}
    if channels["requires_consent"].any():
        found.add("channels.requires_consent")
    return found

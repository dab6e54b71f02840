"""Policies that no plan can keep, by family: made so that a person can say why."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

import omniopt as oo

DAYS = 14
START = "2026-11-23"
REGIONS = ["North", "South"]
OFFERS = {"loan": "credit", "card": "credit", "fund": "savings", "account": "savings"}
CHANNELS = {"call": (4.0, 6.0), "mail": (1.0, 0.0), "email": (0.25, 0.0)}
DATES = [1, 3, 6, 8, 10, 13]


@dataclass
class World:
    """A policy, tables and locks, all of them plain."""

    policy: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    locks: list[tuple[str, str]] = field(default_factory=list)

    def project(self) -> oo.Project:
        made = oo.Project.from_frames(
            self.policy,
            horizon={"start": START, "days": DAYS},
            **{k: v.copy() for k, v in self.tables.items()},
        )
        return (
            made.with_decisions(None, pd.DataFrame(self.locks, columns=["customer_id", "action_id"]))
            if self.locks
            else made
        )

    def copy(self) -> World:
        return copy.deepcopy(self)


def world(seed: int, customers: int = 6, share: float = 0.4) -> World:
    """Customers in two regions and households of two, each with some of the actions."""
    rng = np.random.default_rng(seed)
    ids = [f"c{i + 1}" for i in range(customers)]
    actions = pd.DataFrame(
        [(f"{o}-{c}-{d}", o, c, d) for o in OFFERS for c in CHANNELS for d in DATES[seed % 2 :: 2]],
        columns=["action_id", "offer_id", "channel", "date"],
    )
    pairs = [(c, a) for c in ids for a in actions["action_id"] if rng.random() < share]
    candidates = pd.DataFrame(pairs, columns=["customer_id", "action_id"])
    candidates["value"] = rng.integers(4, 60, len(pairs)) / 4
    channel = candidates["action_id"].str.split("-").str[1]
    candidates["cost"] = channel.map({c: cost for c, (cost, _) in CHANNELS.items()}).to_numpy(float)
    tables = {
        "actions": actions,
        "candidates": candidates,
        "customers": pd.DataFrame({
            "customer_id": ids, "region": [REGIONS[i % 2] for i in range(customers)],
            "household_id": [f"h{i // 2}" for i in range(customers)], "least": 1, "most": 2,
        }),
        "offers": pd.DataFrame({"offer_id": list(OFFERS), "category": list(OFFERS.values())}),
        "channels": pd.DataFrame({"channel": list(CHANNELS), "minutes": [m for _, m in CHANNELS.values()]}),
    }  # fmt: skip
    return World(
        {"objective": "value - cost", "limits": [], "contact": [], "conflicts": [], "requires": []}, tables
    )


def count(made: World, **where: str) -> int:
    """Count candidates of an offer, on a channel, or both."""
    parts = made.tables["candidates"]["action_id"].str.split("-", expand=True)
    mask = np.ones(len(parts), bool)
    for name, value in where.items():
        mask &= (parts[{"offer": 0, "channel": 1}[name]] == value).to_numpy()
    return int(mask.sum())


def customers_with(made: World, offer: str) -> int:
    table = made.tables["candidates"]
    return int(table.loc[table["action_id"].str.startswith(f"{offer}-"), "customer_id"].nunique())


# the families, each by a number


def guarantee_against_budget(seed: int) -> World:
    made = world(seed)
    made.policy["limits"] = [
        {"name": "budget", "measure": "cost", "max": 3.0 + seed},
        {"name": "calls", "where": {"channel": "call"}, "min": 2 + seed},
        {"name": "mails", "where": {"channel": "mail"}, "max": 4},
    ]
    return made


def guarantee_against_capacity(seed: int) -> World:
    made = world(seed)
    dates = sorted(made.tables["actions"]["date"].unique())
    grid = [(d, r) for d in dates for r in REGIONS]
    made.tables["capacity"] = pd.DataFrame(grid, columns=["date", "region"]).assign(minutes=6.0)
    made.policy["limits"] = [
        {"name": "call desk", "where": {"channel": "call"}, "per": ["date", "customer.region"],
         "measure": "minutes", "max": {"table": "capacity", "column": "minutes"}},
        {"name": "loan guarantee", "where": {"channel": "call", "customer.region": "North",
         "date": {"eq": int(dates[0])}}, "min": 3},
        {"name": "budget", "measure": "cost", "max": 40 + seed},
    ]  # fmt: skip
    table = made.tables["candidates"]
    extra = [(c, f"{o}-call-{dates[0]}") for c in ("c1", "c3", "c5") for o in ("loan", "card")]
    more = pd.DataFrame(extra, columns=["customer_id", "action_id"]).assign(value=5.0, cost=4.0)
    made.tables["candidates"] = pd.concat([table, more]).drop_duplicates(["customer_id", "action_id"])
    return made


def two_guarantees_against_a_cap(seed: int) -> World:
    made = world(seed, customers=5)
    both = customers_with(made, "loan"), customers_with(made, "fund")
    made.policy["limits"] = [
        {"name": "loans", "where": {"offer": "loan"}, "min": both[0]},
        {"name": "funds", "where": {"offer": "fund"}, "min": both[1]},
        {"name": "cards", "where": {"offer": "card"}, "min": 0, "max": 9},
    ]
    made.policy["contact"] = [{"name": "pressure", "max": 1, "days": 14}]
    return made


def share_against_minimum(seed: int) -> World:
    made = world(seed)
    made.policy["limits"] = [
        {"name": "call share", "where": {"channel": "call"}, "over": {"measure": "contacts"}, "max": 0.25},
        {"name": "some calls", "where": {"channel": "call"}, "min": 4 + seed},
        {"name": "few contacts", "max": 8 + seed},
    ]
    return made


def household_against_customer(seed: int) -> World:
    made = world(seed)
    made.policy["contact"] = [
        {"name": "household", "unit": "household", "max": 1, "days": 14},
        {"name": "everyone", "min": 1},
        {"name": "mail", "where": {"channel": "mail"}, "max": 3 + seed},
    ]
    return made


def requirement_without_its_offer(seed: int) -> World:
    made = world(seed)
    made.policy["eligibility"] = [{"name": "no accounts", "drop": {"offer": "account"}}]
    made.policy["requires"] = [
        {
            "name": "card needs account",
            "offer": {"offer": "card"},
            "needs": {"offer": "account"},
            "days": 14,
            "order": "any",
        }
    ]
    made.policy["limits"] = [
        {"name": "cards", "where": {"offer": "card"}, "min": 1 + seed},
        {"name": "cost", "measure": "cost", "max": 50},
    ]
    return made


def conflict_against_guarantees(seed: int) -> World:
    made = world(seed, customers=4, share=0.6)
    made.policy["conflicts"] = [
        {
            "name": "never both",
            "first": {"offer": "loan"},
            "then": {"offer": "fund"},
            "days": 30,
            "either_order": True,
        }
    ]
    made.policy["limits"] = [
        {"name": "loans", "where": {"offer": "loan"}, "min": count(made, offer="loan") - seed + 1},
        {"name": "funds", "where": {"offer": "fund"}, "min": 3},
    ]
    return made


def minimum_without_candidates(seed: int) -> World:
    made = world(seed)
    table = made.tables["candidates"]
    gone = [f"c{i}" for i in range(1, 2 + seed)]
    made.tables["candidates"] = table[~table["customer_id"].isin(gone)]
    made.policy["contact"] = [{"name": "everyone", "min": 1}, {"name": "pressure", "max": 3}]
    return made


def all_or_nothing_against_a_guarantee(seed: int) -> World:
    made = world(seed)
    loans = count(made, offer="loan")
    made.policy["limits"] = [
        {
            "name": "launch",
            "where": {"offer": "loan"},
            "min": loans + 2 + seed,
            "all_or_nothing": True,
            "fixed_cost": 5,
        },
        {"name": "some loans", "where": {"offer": "loan", "channel": "mail"}, "min": 1},
        {"name": "budget", "measure": "cost", "max": 60},
    ]
    return made


def rolling_against_a_guarantee(seed: int) -> World:
    made = world(seed)
    made.policy["limits"] = [
        {"name": "e-mail per week", "where": {"channel": "email"}, "max": 2 + seed % 2, "rolling_days": 7},
        {"name": "e-mails", "where": {"channel": "email"}, "min": 6 + seed},
        {"name": "calls", "where": {"channel": "call"}, "max": 5},
    ]
    return made


def locks_against_caps(seed: int) -> World:
    made = world(seed)
    table = made.tables["candidates"]
    mine = table[table["customer_id"] == "c2"]["action_id"].iloc[: 3 + seed % 2]
    made.locks = [("c2", str(a)) for a in mine]
    made.policy["contact"] = [
        {"name": "pressure", "max": 2},
        {"name": "calls", "where": {"channel": "call"}, "max": 9},
    ]
    return made


def locks_against_a_limit(seed: int) -> World:
    made = world(seed)
    table = made.tables["candidates"]
    calls = table[table["action_id"].str.contains("-call-")].iloc[: 2 + seed]
    made.locks = list(zip(calls["customer_id"], calls["action_id"], strict=True))
    made.policy["limits"] = [
        {
            "name": "call desk",
            "where": {"channel": "call"},
            "measure": "minutes",
            "max": 6.0 * (1 + seed) - 1,
        },
        {"name": "all", "max": 20},
    ]
    return made


def table_against_table(seed: int) -> World:
    made = world(seed)
    made.tables["quotas"] = pd.DataFrame({"offer_id": list(OFFERS), "least": [2.0 + seed, 1.0, 0.0, 0.0]})
    made.tables["desks"] = pd.DataFrame({"region": REGIONS, "most": [1.0, float(seed)]})
    made.policy["limits"] = [
        {"name": "quota", "per": "offer", "min": {"table": "quotas", "column": "least"}},
        {"name": "desk", "where": {"offer.category": "credit"}, "per": "customer.region",
         "max": {"table": "desks", "column": "most"}},
        {"name": "value", "measure": "value", "min": 1},
    ]  # fmt: skip
    return made


def own_column_against_a_cap(seed: int) -> World:
    made = world(seed)
    made.tables["customers"].loc[seed % 3, "least"] = 3 + seed
    made.policy["contact"] = [
        {"name": "own minimum", "min": {"column": "customer.least"}},
        {"name": "pressure", "max": 2},
        {"name": "funds", "where": {"offer": "fund"}, "max": 2},
    ]
    return made


def two_clashes(seed: int) -> World:
    made = world(seed)
    made.policy["limits"] = [
        {"name": "few mails", "where": {"channel": "mail"}, "max": 1},
        {"name": "mails", "where": {"channel": "mail"}, "min": 2 + seed},
        {"name": "few calls", "where": {"channel": "call"}, "max": 2},
        {"name": "calls", "where": {"channel": "call"}, "min": 3 + seed},
        {"name": "everything", "max": 30},
    ]
    return made


def hurdle_against_a_guarantee(seed: int) -> World:
    made = world(seed)
    table = made.tables["candidates"]
    calls = table["action_id"].str.contains("-call-")
    table.loc[calls, "value"] = 5.0 + np.arange(calls.sum()) % 3 / 4
    made.policy["limits"] = [
        {"name": "hurdle", "measure": "value", "over": "cost", "where": {"channel": "call"}, "min": 1.5},
        {"name": "calls", "where": {"channel": "call"}, "min": 3 + seed},
    ]
    return made


def none_or_some_against_a_lock(seed: int) -> World:
    made = world(seed)
    table = made.tables["candidates"]
    mine = table[(table["customer_id"] == "c1") & table["action_id"].str.contains("-mail-")]
    made.locks = [("c1", str(mine["action_id"].iloc[0]))]
    made.policy["contact"] = [
        {
            "name": "none or a campaign",
            "where": {"channel": "mail"},
            "min": len(mine) + 1 + seed,
            "min_or_none": True,
        },
        {"name": "pressure", "max": 20},
    ]
    return made


def whole_numbers_only(seed: int) -> World:
    """Two points a contact never make an odd number, though halves of contacts would."""
    made = world(seed)
    table = made.tables["candidates"]
    made.tables["candidates"] = table.assign(points=2.0)
    made.policy["limits"] = [
        {"name": "at least", "measure": "points", "min": 3.0 + 2 * seed},
        {"name": "at most", "measure": "points", "max": 3.0 + 2 * seed},
        {"name": "budget", "measure": "cost", "max": 50},
    ]
    made.policy["contact"] = [{"name": "pressure", "max": 4}]
    return made


FAMILIES: list[Callable[[int], World]] = [
    guarantee_against_budget, guarantee_against_capacity, two_guarantees_against_a_cap, share_against_minimum,
    household_against_customer, requirement_without_its_offer, conflict_against_guarantees,
    minimum_without_candidates, all_or_nothing_against_a_guarantee, rolling_against_a_guarantee,
    locks_against_caps, locks_against_a_limit, table_against_table, own_column_against_a_cap, two_clashes,
    hurdle_against_a_guarantee, none_or_some_against_a_lock, whole_numbers_only,
]  # fmt: skip
SEEDS = (1, 2, 3)


def cases() -> Iterator[tuple[str, World]]:
    """Every family with every seed."""
    for family in FAMILIES:
        for seed in SEEDS:
            yield f"{family.__name__}-{seed}", family(seed)


# the policy reduced to a clash, and changed by a repair: by their words alone


def reduced(made: World, members: list[Any]) -> World:
    """Keep only the rules of a clash, each with its own side and group."""
    out = made.copy()
    out.policy |= {section: [] for section in ("limits", "contact", "conflicts", "requires")}
    out.locks = [(m.group["customer_id"], m.group["action_id"]) for m in members if m.kind == "lock"]
    for section in ("limits", "contact", "conflicts", "requires"):
        for rule in made.policy.get(section) or []:
            mine = [m for m in members if m.kind != "lock" and m.rule == rule["name"]]
            if section == "limits":
                out.policy[section] += [_one(rule, m, i) for i, m in enumerate(_windows(mine))]
            elif section == "contact" and mine:
                sides = {m.side for m in mine}
                out.policy[section].append({k: v for k, v in rule.items() if k not in {"min", "max"} - sides})
            elif mine:
                out.policy[section].append(rule)
    return out


def _windows(members: list[Any]) -> list[Any]:
    """Windows of one rolling limit cannot be written apart: the limit stands for all of them."""
    seen: dict[str, Any] = {}
    for m in members:
        seen.setdefault(str((m.side, {k: v for k, v in m.group.items() if k != "from"})), m)
    return list(seen.values())


def _one(rule: dict[str, Any], member: Any, number: int) -> dict[str, Any]:
    """Write one row of a limit as a limit of its own."""
    group = {k: v for k, v in member.group.items() if k != "from"}
    group = {k: {"eq": v} if k == "date" else v for k, v in group.items()}
    one = {k: v for k, v in rule.items() if k not in ("per", "min", "max", "fixed_cost")}
    one["name"] = f"{rule['name']} {member.side} {number}"
    one["where"] = {**rule.get("where", {}), **group}
    if group and isinstance(one.get("over"), dict):
        one["over"] = one["over"] | {"where": {**one["over"].get("where", {}), **group}}
    one[member.side] = member.bound
    if rule.get("all_or_nothing") and member.side == "max":
        del one["all_or_nothing"]
    return one


def mended(made: World, moves: Any, share: float = 1.0) -> World:
    """Change policy and tables as a repair says; with a ``share`` only so far."""
    out = made.copy()
    for move in moves:
        if move.kind == "lock":
            out.locks.remove((move.group["customer_id"], move.group["action_id"]))
            continue
        section = {"limit": "limits", "contact": "contact", "conflict": "conflicts", "requires": "requires"}[
            move.kind
        ]
        rule = next(r for r in out.policy[section] if r["name"] == move.rule)
        if move.after is None:
            out.policy[section].remove(rule)
            continue
        after = move.after if move.before is None else move.before + share * (move.after - move.before)
        bound = rule[move.side]
        if isinstance(bound, dict) and "table" in bound:
            table = out.tables[bound["table"]]
            mask = np.ones(len(table), bool)
            for attribute, value in move.group.items():
                column = attribute.rpartition(".")[2]
                column = column if column in table else f"{column}_id"
                day = (pd.Timestamp(value) - pd.Timestamp(START)).days + 1 if attribute == "date" else value
                mask &= (table[column] == day).to_numpy()
            assert mask.sum() == 1
            table.loc[mask, bound["column"]] = after
        elif isinstance(bound, dict):
            table, column = out.tables["customers"], bound["column"].rpartition(".")[2]
            mine = table["customer_id"].isin(move.customers)
            table.loc[mine, column] = int(after)
        else:
            rule[move.side] = int(after) if move.kind == "contact" else after
    return out

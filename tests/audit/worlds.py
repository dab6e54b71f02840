"""Small random projects that use every part of the contract the optimiser knows."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import further
import numpy as np
import pandas as pd
import yaml

START = datetime.date(2026, 11, 23)
CHANNELS = ["app", "call", "email", "sms"]


def make(root: Path, seed: int, everything: bool = False) -> Path:
    """Write a random project into `root`; return its file. Even seeds bring candidates, odd ones scores.

    With `everything` the policy has rules of every kind, none of which can make it impossible.
    """
    rng = np.random.default_rng(seed)
    days = int(rng.integers(1, 16))
    own = seed % 2 == 0
    tables = _people(rng, days)
    actions = _actions(rng, days, tables["offers"]["offer_id"].tolist())
    by_name = own or rng.random() < 0.7
    if by_name:
        tables["actions"] = actions
    if own:
        tables["candidates"] = _candidates(rng, tables["customers"]["customer_id"].tolist(), actions)
    else:
        tables["scores"] = _scores(rng, tables)
    tables["capacity"] = _capacity(rng, days)
    project: dict[str, Any] = {
        "version": 1,
        "name": f"world-{seed}",
        "seed": seed,
        "horizon": {"start": START, "days": days},
        "tables": {name: f"{name}.csv" for name in tables},
        "multi_valued": {"offer.tags": ";"},
        "policy": policy(rng, len(tables["customers"]), by_name),
    }
    if everything:
        further.extend(project["policy"], np.random.default_rng([7, seed]), by_name)
    for name, frame in tables.items():
        frame.sample(frac=1, random_state=seed).to_csv(root / f"{name}.csv", index=False)
    file = root / "omniopt.yaml"
    file.write_text(yaml.safe_dump(project, sort_keys=False))
    return file


def _date(day: int) -> str:
    return str(START + datetime.timedelta(days=int(day) - 1))


def _people(rng: np.random.Generator, days: int) -> dict[str, pd.DataFrame]:
    n = int(rng.integers(3, 12))
    customers = pd.DataFrame(
        {
            "customer_id": [f"c{k}" for k in range(n)],
            "region": ["n", "s", "w", *rng.choice(["n", "s", "w"], n - 3)],
            "age": np.where(rng.random(n) < 0.2, None, rng.integers(15, 70, n)),
            "vip": rng.choice(["true", "false"], n),
            "max_offers": rng.integers(0, 4, n),
            "timezone": np.where(rng.random(n) < 0.2, None, "Europe/Madrid"),
            "household_id": [f"h{k // 2}" for k in range(n)],
        }
    )
    offers = pd.DataFrame(
        {
            "offer_id": ["card", "fund", "loan"],
            "category": ["plastic", "invest", "credit"],
            "business_unit": ["retail", "private", "retail"],
            "tags": ["p;q", "r", "q"],
            "value": rng.integers(20, 80, 3),
            "incentive_cost": rng.integers(0, 5, 3),
            "valid_to": [None, _date(max(1, days - 2)), None],
        }
    )
    channels = pd.DataFrame(
        {
            "channel": CHANNELS,
            "unit_cost": [0.1, 4.0, 0.5, 1.0],
            "delivery_rate": [0.7, None, 0.9, 1.0],
            "fallback": ["email", None, "sms", None],
            "requires_consent": [False, False, True, rng.random() < 0.5],
            "send_from": [None, "09:00", None, None],
            "send_days": [None, "mon-fri", None, "mon;wed;sat"],
            "minutes": [0, 10, 1, 0],
        }
    )
    pairs = [(c, ch) for c in customers["customer_id"] for ch in CHANNELS if rng.random() < 0.7]
    consents = pd.DataFrame(pairs, columns=["customer_id", "channel"])
    consents["purpose"] = "news"
    consents["granted"] = rng.random(len(consents)) < 0.9
    consents["valid_from"] = np.where(rng.random(len(consents)) < 0.2, _date(days // 2 + 1), None)
    return {
        "customers": customers,
        "offers": offers,
        "channels": channels,
        "consents": consents,
        "history": _history(rng, customers["customer_id"].tolist(), days),
    }


def _history(rng: np.random.Generator, customers: list[str], days: int) -> pd.DataFrame:
    rows = {}
    outcomes = ["sent", "delivered", "bounced", "opened", "responded", "rejected"]
    for _ in range(int(rng.integers(0, 60))):
        day = int(rng.integers(-25, days + 1))
        key = (
            rng.choice(customers),
            rng.choice(["card", "fund", "loan"]),
            rng.choice(["email", "sms", "app", "call"]),
            day,
        )
        planned = day > 0
        action = f"a{rng.integers(0, 2)}" if rng.random() < 0.5 else None
        rows[key] = (_date(day), None if planned else rng.choice(outcomes), planned, action)
    columns = ["customer_id", "offer_id", "channel", "date", "outcome", "planned", "action_id"]
    frame = pd.DataFrame([(*key[:3], *rest) for key, rest in rows.items()], columns=columns)
    # Tenths, whose sums are not exact: rounding may decide which of two windows is called the tighter one.
    return frame.assign(cost=[(5 * k % 7 + 1) / 10 for k in range(len(frame))])


def _actions(rng: np.random.Generator, days: int, offers: list[str]) -> pd.DataFrame:
    n = int(rng.integers(2, 9))
    return pd.DataFrame(
        {
            "action_id": [f"a{k}" for k in range(n)],
            "offer_id": rng.choice(offers, n),
            "channel": rng.choice(CHANNELS, n),
            "date": [_date(day) for day in rng.integers(1, days + 1, n)],
            "wave": ["first", "second", *rng.choice(["first", "second"], n - 2)],
            "effort": rng.integers(1, 4, n),
            "agent": ["kim" if k % 2 else "lee" for k in range(n)],
        }
    )


def _candidates(rng: np.random.Generator, customers: list[str], actions: pd.DataFrame) -> pd.DataFrame:
    pairs = [(c, a) for c in customers for a in actions["action_id"] if rng.random() < 0.8]
    frame = pd.DataFrame(pairs or [(customers[0], "a0")], columns=["customer_id", "action_id"])
    frame["value"] = rng.integers(1, 40, len(frame)) / 2
    frame["cost"] = rng.integers(1, 8, len(frame)) / 2
    frame["risk"] = rng.integers(0, 5, len(frame))
    return frame


def _scores(rng: np.random.Generator, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    frame = pd.MultiIndex.from_product(
        [tables["customers"]["customer_id"], tables["offers"]["offer_id"], CHANNELS],
        names=["customer_id", "offer_id", "channel"],
    ).to_frame(index=False)
    frame["p_response"] = rng.integers(0, 50, len(frame)) / 100
    frame["value"] = np.where(rng.random(len(frame)) < 0.2, 55, None)
    return frame


def _capacity(rng: np.random.Generator, days: int) -> pd.DataFrame:
    frame = pd.MultiIndex.from_product(
        [["n", "s", "w"], [_date(day) for day in range(1, days + 1)]], names=["region", "date"]
    ).to_frame(index=False)
    frame["minutes"] = rng.integers(0, 3, len(frame)) * 10
    return frame


def policy(rng: np.random.Generator, n: int, named: bool) -> dict[str, Any]:
    """A random policy without minimums that might be out of reach."""

    def some(rules: list[dict], most: int) -> list[dict]:
        picked = rng.permutation(len(rules))[: int(rng.integers(0, most + 1))]
        return [rules[k] for k in sorted(picked)]

    limits = [
        {"name": "reach", "where": {"customer.region": {"ne": "w"}}, "min": 1},
        {
            "name": "spend",
            "measure": "cost",
            "min": 1.0,
            "max": 12.5,
            "per": ["channel"],
            "where": {"channel": "call"},
        },
        {
            "name": "busy",
            "per": ["offer.category", "channel"],
            "where": {"channel.minutes": {"ge": 1}},
            "max": 2,
        },
        {"name": "budget", "measure": "cost", "max": float(rng.integers(3, 40))},
        {
            "name": "desk",
            "where": {"channel": "call"},
            "per": ["date", "customer.region"],
            "measure": "minutes",
            "max": {"table": "capacity", "column": "minutes"},
        },
        {"name": "minutes", "measure": "minutes", "max": float(rng.integers(0, 60))},
        {"name": "sms load", "where": {"channel": "sms"}, "max": float(rng.integers(1, 8)) / 2},
        {"name": "by channel", "per": ["channel"], "max": int(rng.integers(1, n))},
        {"name": "by tag", "per": "offer.tags", "max": int(rng.integers(1, n))},
        {
            "name": "mail share",
            "where": {"channel": ["email", "sms"]},
            "over": {"measure": "contacts"},
            "max": 0.6,
        },
        {
            "name": "loan share",
            "where": {"offer": "loan"},
            "over": {"measure": "contacts"},
            "per": ["customer.region"],
            "min": 0.1,
            "max": 0.7,
        },
        {"name": "hurdle", "measure": "value", "over": "cost", "min": 1.5},
        {
            "name": "old",
            "where": {"customer.age": {"gt": 40}, "date": {"le": _date(9)}},
            "max": int(rng.integers(1, n)),
        },
        {"name": "mixed", "measure": "0.5 * minutes + cost", "max": float(rng.integers(5, 60)), "min": 0},
    ]
    contact = [
        {"name": "pressure", "max": int(rng.integers(1, 3)), "days": int(rng.integers(2, 9))},
        {"name": "fresh", "max": 1, "days": 4, "history": False, "where": {"channel": {"ne": "app"}}},
        {"name": "per category", "max": 1, "days": 30, "per": ["offer.category"]},
        {"name": "per tag", "max": 1, "per": ["offer.tags"]},
        {"name": "own cap", "max": {"column": "customer.max_offers"}},
        {"name": "occasions", "max": 1, "days": 5, "count": "occasions"},
        {"name": "late", "where": {"date": {"gt": 3}, "customer.region": ["n", "s"]}, "max": 1, "days": 20},
        {"name": "few sms", "where": {"channel": "sms"}, "max": 1, "days": 6, "per": ["channel"]},
    ]
    conflicts = [
        {"name": "calls apart", "first": {"channel": "call"}, "then": {"channel": "call"}, "days": 9},
        {
            "name": "card then loan",
            "first": {"offer": "card"},
            "then": {"offer": "loan"},
            "days": int(rng.integers(1, 9)),
        },
        {
            "name": "never both",
            "first": {"offer": "loan"},
            "then": {"offer": "fund"},
            "days": 6,
            "either_order": True,
        },
        {"name": "texts", "first": {"channel": "sms"}, "then": {"offer.tags": "q"}, "days": 3},
    ]
    eligibility = [
        {"name": "adults", "drop": {"customer.age": {"lt": 18}}},
        {"name": "unknown age", "drop": {"customer.age": {"is_null": True}, "offer": "loan"}},
        {"name": "vips", "drop": {"customer.vip": True, "offer.category": ["invest", "plastic"]}},
        {"name": "late texts", "drop": {"channel": "sms", "date": {"ge": _date(6)}}},
    ]
    if named:
        contact.append(
            {"name": "waves", "where": {"action.wave": "first"}, "max": 1, "days": 9, "per": ["offer"]}
        )
        conflicts.append(
            {"name": "same wave", "first": {"action.wave": "first"}, "then": {"action": "a1"}, "days": 5}
        )
        limits.append({"name": "effort", "measure": "effort", "where": {"action.wave": "second"}, "max": 9})
        eligibility.append(
            {"name": "not first", "drop": {"action.wave": "first", "customer.region": {"not_in": ["n"]}}}
        )
    objective = ["value - cost", "value", {"maximise": "value - 0.5 * cost"}][int(rng.integers(0, 3))]
    return {
        "objective": objective,
        "eligibility": some(eligibility, 3),
        "limits": some(limits, 4),
        "contact": some(contact, 3),
        "conflicts": some(conflicts, 2),
    }

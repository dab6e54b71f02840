"""Rules of every further kind for a random world; none of them can make its policy impossible."""

from __future__ import annotations

from typing import Any

import numpy as np


def extend(policy: dict[str, Any], rng: np.random.Generator, named: bool) -> None:
    """Add some rules of every kind to a policy.

    Parameters
    ----------
    policy : dict
        Gets the rules; its objective may become one of several ranks.
    rng : Generator
    named : bool
        The project has a table of actions, whose attributes rules may name.
    """

    def some(rules: list[dict], least: int, most: int) -> list[dict]:
        picked = rng.permutation(len(rules))[: int(rng.integers(least, most + 1))]
        return [rules[k] for k in sorted(picked)]

    policy["limits"] = [
        *(limit for limit in policy["limits"] if "min" not in limit or "over" in limit),
        *some(limits(rng), 2, 5),
    ]
    policy["contact"] = [*policy["contact"], *some(contact(rng, named), 1, 4)]
    policy["requires"] = some(requires(rng), 0, 2)
    policy["eligibility"] = [*policy["eligibility"], *some(eligibility(rng), 0, 2)]
    if rng.random() < 0.4:
        within = float(rng.choice([0.0, 0.05, 0.3]))
        ranks = [{"maximise": "value - cost", "within": within}, {"minimise": "contacts"}]
        policy["objective"] = [*ranks, {"maximise": "value - fixed_cost"}][: int(rng.integers(2, 4))]


def limits(rng: np.random.Generator) -> list[dict]:
    """Windows, cells, prices, and limits that are only watched."""
    return [
        {"name": "texts a week", "where": {"channel": "sms"}, "max": 2, "rolling_days": 7, "penalty": 3.5},
        {
            "name": "outlay",
            "measure": "cost",
            "max": float(rng.integers(4, 12)),
            "rolling_days": 3,
            "per": ["customer.region"],
            "penalty": float(rng.integers(0, 3)),
        },
        {"name": "presence", "min": int(rng.integers(1, 4)), "rolling_days": 4, "penalty": 1.25},
        {
            "name": "share of texts",
            "where": {"channel": "sms"},
            "over": {"measure": "contacts"},
            "max": 0.5,
            "rolling_days": 5,
            "penalty": 2,
        },
        {
            "name": "launch",
            "where": {"offer": "fund"},
            "per": ["customer.region"],
            "min": int(rng.integers(1, 4)),
            "max": 5,
            "all_or_nothing": True,
            "fixed_cost": float(rng.integers(0, 6)),
        },
        {
            "name": "print run",
            "where": {"channel": ["app", "sms"]},
            "per": ["channel", "offer.tags"],
            "measure": "cost",
            "min": float(rng.integers(1, 5)),
            "all_or_nothing": True,
            "penalty": 0.75,
        },
        {"name": "set-up", "per": ["offer.business_unit"], "fixed_cost": float(rng.integers(1, 9))},
        {"name": "guarantee", "where": {"offer": "card"}, "min": int(rng.integers(1, 9)), "penalty": 2.25},
        {"name": "return", "measure": "value", "over": "cost + fixed_cost", "min": 1.2},
        {"name": "all costs", "measure": "cost + 0.5 * fixed_cost", "max": float(rng.integers(10, 40))},
        {
            "name": "dear share",
            "where": {"offer": "loan"},
            "over": {"measure": "contacts"},
            "min": 0.6,
            "max": 0.9,
            "penalty": 1.5,
        },
        {"name": "watched", "where": {"channel": "email"}, "max": 1, "min": 1, "report_only": True},
        {
            "name": "watched cell",
            "where": {"offer": "loan"},
            "min": 3,
            "all_or_nothing": True,
            "fixed_cost": 4,
            "report_only": True,
        },
        {"name": "watched week", "max": 2, "rolling_days": 7, "report_only": True, "per": ["offer"]},
    ]


def contact(rng: np.random.Generator, named: bool) -> list[dict]:
    """Calendars, households, minimums that nothing satisfies as well, and counts of attributes."""
    rules = [
        {"name": "a week", "max": int(rng.integers(1, 4)), "every": "week"},
        {"name": "a month", "max": 2, "every": "month", "per": ["offer.category"]},
        {"name": "home", "unit": "household", "max": int(rng.integers(1, 5)), "days": 9},
        {"name": "visits", "unit": "household", "max": 2, "days": 6, "count": "occasions"},
        {"name": "few channels", "max": int(rng.integers(1, 3)), "days": 10, "count": "channel"},
        {"name": "twice or never", "where": {"offer": "loan"}, "min": 2, "min_or_none": True},
        {
            "name": "all week or never",
            "min": 2,
            "max": 4,
            "min_or_none": True,
            "every": "week",
            "history": False,
        },
        {
            "name": "home or not",
            "unit": "household",
            "min": 2,
            "min_or_none": True,
            "days": 5,
            "history": False,
            "per": ["offer"],
        },
    ]
    if named:
        rules.append({"name": "one agent", "max": 1, "count": "action.agent", "days": 20})
    return rules


def requires(rng: np.random.Generator) -> list[dict]:
    """Contacts that need others, or one of the past."""
    days = int(rng.integers(0, 9))
    return [
        {"name": "card first", "offer": {"offer": "loan"}, "needs": {"offer": "card"}, "days": days + 20},
        {
            "name": "with a text",
            "offer": {"channel": "call"},
            "needs": {"channel": ["sms", "email"]},
            "days": days,
            "order": "any",
        },
        {"name": "same tag", "offer": {"offer.tags": "q"}, "needs": {"offer.tags": "q"}, "days": 9},
    ]


def eligibility(rng: np.random.Generator) -> list[dict]:
    """A rest after what happened."""
    return [
        {"name": "rest", "after": {"outcome": "rejected"}, "drop_same": "category", "for_days": 20},
        {
            "name": "line down",
            "after": {"outcome": ["bounced"], "times": 2, "within_days": 20},
            "drop_same": "channel",
            "for_days": int(rng.integers(1, 30)),
        },
        {
            "name": "too much",
            "after": {"outcome": ["sent", "opened", "delivered"], "times": 2},
            "drop_same": str(rng.choice(["offer", "business_unit", "all"])),
            "for_days": 8,
        },
    ]

"""Short ways to write a case down: a policy in one line, tables of a few words, the plan as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from bank import FOUR_WEEKS, contacts, decide, refused, table, tables_of

CALL, EMAIL, SMS = {"channel": "call"}, {"channel": "email"}, {"channel": "sms"}


def policy(objective: Any = "value", **sections: Any) -> dict[str, Any]:
    """A policy; rules without a name are called ``limits 1``, ``limits 2``, ``contact 1`` and so on."""
    made: dict[str, Any] = {"objective": objective}
    for section, rules in sections.items():
        several = rules if isinstance(rules, list) else [rules]
        made[section] = [{"name": f"{section} {n}"} | rule for n, rule in enumerate(several, 1)]
    return made


def offered(*lines: str) -> pd.DataFrame:
    """Candidates of some value: ``ann loan-email-3 5``."""
    return table("customer_id action_id value", *lines)


def costed(*lines: str) -> pd.DataFrame:
    """Candidates of some value and cost: ``ann loan-email-3 5 2``."""
    return table("customer_id action_id value cost", *lines)


def past(*lines: str) -> pd.DataFrame:
    """What happened, ``ann loan call -3 delivered -``, and what is promised, ``ann loan call 5 - true``."""
    return table("customer_id offer_id channel date outcome planned", *lines)


def solve(
    rules: Mapping[str, Any], candidates: pd.DataFrame, horizon: Any = FOUR_WEEKS,
    multi_valued: Mapping[str, str] | None = None, **tables: pd.DataFrame,
) -> Any:  # fmt: skip
    """The plan; its optimum is the brute force's."""
    more = {} if multi_valued is None else {"multi_valued": multi_valued}
    return decide(rules, tables_of(candidates, **tables), horizon, **more)


def chosen(rules: Mapping[str, Any], candidates: pd.DataFrame, *more: Any, **tables: Any) -> list[str]:
    """The plan's contacts as ``ann loan-email-3``, sorted."""
    return contacts(solve(rules, candidates, *more, **tables))


def days(
    rules: Mapping[str, Any], offer: str, channel: str, on: str, history: Sequence[str] = (), **tables: Any
) -> str:
    """The days on which ann gets an offer that she could have on any of these; earlier is worth more."""
    candidates = offered(*(f"ann {offer}-{channel}-{d} {100 - int(d)}" for d in on.split()))
    given = {"history": past(*history)} if history else {}
    found = chosen(rules, candidates, **given, **tables)
    return " ".join(str(d) for d in sorted(int(c.rpartition("-")[2]) for c in found))


def faults(
    rules: Mapping[str, Any], candidates: pd.DataFrame, horizon: Any = FOUR_WEEKS, **tables: Any
) -> str:
    """What is said against a project that cannot be read."""
    return refused(rules, tables_of(candidates, **tables), horizon)

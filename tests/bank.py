"""A small bank for cases written by hand: tables in a few words, answers that a person can check.

An action is named offer-channel-day, so ``loan-email-3`` is the loan by e-mail on the third day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from reference import Broken, Reference

import omniopt as oo

MONDAY = "2026-11-23"
FOUR_WEEKS = {"start": MONDAY, "days": 28}


def about(*keys: str) -> Callable[[Any], Any]:
    """Say which keys of the policy a case written by hand is about; a test looks for keys without a case."""
    assert keys
    return lambda function: function


def table(header: str, *lines: str) -> pd.DataFrame:
    """Make a table of words; ``-`` is an empty cell, numbers and true/false are read as such."""
    names = header.split()
    rows = [[_cell(word) for word in line.split()] for line in lines]
    assert all(len(row) == len(names) for row in rows), lines
    return pd.DataFrame(rows, columns=names)


def _cell(word: str) -> Any:
    if word in ("-", "true", "false"):
        return {"-": None, "true": True, "false": False}[word]
    try:
        return float(word) if "." in word else int(word)
    except ValueError:
        return word


def actions_of(candidates: pd.DataFrame) -> pd.DataFrame:
    """The actions that the candidates' action ids speak of."""
    rows = [(a, *a.split("-")) for a in sorted(set(candidates["action_id"]))]
    frame = pd.DataFrame(rows, columns=["action_id", "offer_id", "channel", "date"])
    return frame.astype({"date": int})


def tables_of(candidates: pd.DataFrame, **tables: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {"actions": actions_of(candidates), "candidates": candidates} | tables


def project(
    policy: Mapping[str, Any], tables: Mapping[str, pd.DataFrame], horizon: Any = None, **more: Any
) -> oo.Project:
    return oo.Project.from_frames(policy, horizon=horizon, **more, **tables)


def contacts(plan: Any) -> list[str]:
    """The plan as ``ann loan-email-1``, sorted."""
    return sorted(
        f"{c} {a}" for c, a in zip(plan.contacts["customer_id"], plan.contacts["action_id"], strict=True)
    )


def decide(
    policy: Mapping[str, Any], tables: Mapping[str, pd.DataFrame], horizon: Any = None, **more: Any
) -> Any:
    """Solve; the reference has to come to the same optimum, or to none."""
    reference = Reference(tables, policy, horizon, more.get("multi_valued"))
    answer = reference.solve()
    try:
        plan = oo.optimize(project(policy, tables, horizon, **more), gap=0.0)
    except oo.Infeasible:
        assert not answer.feasible
        raise
    assert answer.feasible
    place = {c.key: j for j, c in enumerate(reference.alive)}
    keys = zip(plan.contacts["customer_id"], plan.contacts["action_id"], strict=True)
    chosen = [place[key] for key in keys]
    assert reference.keeps_all(chosen)
    # with ranks the first need not be at its best, and which of the last rank's best plans it is is open
    for number, best in enumerate(answer.best):
        rank, value = reference.ranks[number], reference.value(chosen, number)
        assert rank.sign * value >= rank.floor(best) - 1e-9 * max(1.0, abs(best))
        assert number < len(answer.best) - 1 or abs(value - best) < 1e-9
    assert abs(plan.objective - reference.value(chosen)) < 1e-9
    assert plan.status == ("optimal" if plan.gap <= 1e-9 else "within_gap")
    assert plan.gap <= 1e-9 or len(answer.best) > 1
    return plan


def refused(
    policy: Mapping[str, Any], tables: Mapping[str, pd.DataFrame], horizon: Any = None, **more: Any
) -> str:
    """The faults of a project that cannot be read, as one text."""
    try:
        oo.optimize(project(policy, tables, horizon, **more))
    except oo.BadInput as error:
        return "\n".join(str(fault) for fault in error.faults)
    raise AssertionError("the project was accepted")


def broken(policy: Mapping[str, Any], tables: Mapping[str, pd.DataFrame], horizon: Any = None) -> bool:
    """Whether the reference, too, misses a number."""
    try:
        Reference(tables, policy, horizon).solve()
    except Broken:
        return True
    return False


def entry(plan: Any, name: str, **group: Any) -> dict[str, Any]:
    """The certificate's entry of a rule, of one group."""
    found = [e for e in plan.certificate["rules"] if e["name"] == name and (not group or e["group"] == group)]
    assert len(found) == 1, found
    return found[0]

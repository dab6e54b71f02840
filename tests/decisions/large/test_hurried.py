"""A plan at once: limits are kept by giving up the units that lose least for what they use."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import omniopt as oo
from omniopt.errors import StoppedWithoutPlan

WORTH = [9.0, 8.0, 6.0, 5.0, 3.0]


def project(limits: list[dict], contact: list[dict] | None = None) -> oo.Project:
    """Five customers, each with a call and a letter; a letter brings 2 less."""
    actions = pd.DataFrame(
        [("call", "card", "call"), ("mail", "card", "mail")], columns=["action_id", "offer_id", "channel"]
    )
    candidates = pd.DataFrame(
        [(f"c{i}", a, w - 2 * (a == "mail")) for i, w in enumerate(WORTH) for a in ("call", "mail")],
        columns=["customer_id", "action_id", "value"],
    )
    policy = {
        "objective": "value", "limits": limits, "contact": contact or [{"name": "one each", "max": 1}],
    }  # fmt: skip
    return oo.Project.from_frames(policy, actions=actions, candidates=candidates)


def hurried(made: oo.Project, monkeypatch: pytest.MonkeyPatch, prices: list[float]) -> oo.Plan:
    """Run out of time at certain prices."""

    def stopped(large, engine, start, held, gap, deadline, progress, use=None):
        progress(np.inf, np.array(prices))
        raise KeyboardInterrupt

    monkeypatch.setattr("omniopt.decisions.large.search.lowered", stopped)
    return oo.optimize(made, solver="decomposed")


def chosen(plan: oo.Plan) -> list[str]:
    return sorted(plan.contacts["customer_id"] + " " + plan.contacts["action_id"])


def test_the_least_worth_for_what_they_use_are_given_up(monkeypatch):
    calls = [{"name": "calls", "where": {"channel": "call"}, "max": 3}]
    assert chosen(hurried(project(calls), monkeypatch, [0.0])) == ["c0 call", "c1 call", "c2 call"]


def test_good_prices_leave_little_to_give_up(monkeypatch):
    calls = [{"name": "calls", "where": {"channel": "call"}, "max": 3}]
    plan = hurried(project(calls), monkeypatch, [2.5])
    assert chosen(plan) == [f"c{i} mail" for i in range(5)]
    assert plan.bound == pytest.approx(3 * 2.5 + 31 - 10)


def test_what_is_left_of_a_limit_broken_by_another_one_stays(monkeypatch):
    limits = [
        {"name": "calls", "where": {"channel": "call"}, "max": 4},
        {"name": "all", "max": 2},
    ]
    assert chosen(hurried(project(limits), monkeypatch, [0.0, 0.0])) == ["c0 call", "c1 call"]


def test_units_that_must_have_a_contact_keep_it(monkeypatch):
    calls = [{"name": "calls", "where": {"channel": "call"}, "max": 3}]
    must = [{"name": "one each", "max": 1, "min": 1}]
    with pytest.raises(KeyboardInterrupt):
        hurried(project(calls, must), monkeypatch, [0.0])
    assert len(hurried(project(calls, must), monkeypatch, [2.5]).contacts) == 5


def test_minimums_that_are_missed_make_it_no_plan(monkeypatch):
    limits = [{"name": "letters", "where": {"channel": "mail"}, "min": 2}]
    with pytest.raises(KeyboardInterrupt):
        hurried(project(limits), monkeypatch, [0.0])


def test_time_that_is_up_at_once_leaves_a_plan():
    calls = [{"name": "calls", "where": {"channel": "call"}, "max": 3}]
    plan = oo.optimize(project(calls), solver="decomposed", time_limit=1e-9)
    assert plan.contacts["action_id"].eq("call").sum() <= 3
    limits = [*calls, {"name": "letters", "where": {"channel": "mail"}, "min": 2}]
    with pytest.raises(StoppedWithoutPlan, match="in time"):
        oo.optimize(project(limits), solver="decomposed", time_limit=1e-9)

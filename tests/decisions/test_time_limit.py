"""What a time limit leaves: the plan at hand, and never a claim beyond what was proven."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import omniopt as oo
from omniopt.errors import StoppedWithoutPlan


def market(customers: int) -> oo.Project:
    """Many customers, six actions of random value, quotas that all bind."""
    rng = np.random.default_rng(3)
    actions = pd.DataFrame(
        {"action_id": list("abcdef"), "offer_id": list("xxyyzz"), "channel": ["call", "mail"] * 3}
    )
    candidates = pd.DataFrame(
        {
            "customer_id": np.repeat([f"c{i}" for i in range(customers)], 6),
            "action_id": np.tile(actions["action_id"].to_numpy(), customers),
            "value": rng.gamma(2.0, 1.0, 6 * customers),
            "cost": np.tile([4.0, 1.0] * 3, customers),
        }
    )
    policy = {
        "objective": "value",
        "limits": [
            {"name": "budget", "measure": "cost", "max": customers / 2},
            {"name": "quota", "per": ["offer"], "max": customers // 8},
        ],
        "contact": [{"name": "one each", "max": 1}],
    }
    return oo.Project.from_frames(policy, actions=actions, candidates=candidates)


def test_an_earlier_plan_survives_a_limit_that_is_too_short() -> None:
    project = market(5_000)
    plan = oo.optimize(project)
    again = oo.optimize(project, time_limit=1e-3, warm_start=plan)
    assert again.status == "stopped_early"
    assert again.objective == plan.objective
    assert again.bound >= plan.bound - 1e-6


def test_without_one_it_says_that_time_ran_out() -> None:
    with pytest.raises(StoppedWithoutPlan, match="in time: give it more"):
        oo.optimize(market(5_000), time_limit=1e-3)

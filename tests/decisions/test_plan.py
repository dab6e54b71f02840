"""A plan as its reader meets it."""

from __future__ import annotations

import pandas as pd

import omniopt as oo


def test_a_plan_is_shown_on_one_line() -> None:
    """As the last line of a cell it says what it is worth, and not all that its certificate claims."""
    actions = pd.DataFrame({"action_id": ["call", "mail"], "offer_id": "card", "channel": ["call", "mail"]})
    candidates = pd.DataFrame(
        {
            "customer_id": ["ann", "ann", "bob"],
            "action_id": ["call", "mail", "call"],
            "value": [500.5, 3, 600],
        }
    )
    policy = {"objective": "value", "contact": [{"name": "one each", "max": 1}]}
    plan = oo.optimize(oo.Project.from_frames(policy, actions=actions, candidates=candidates))
    shown = repr(plan)
    assert shown.startswith("<Plan: optimal, objective 1,100.50, bound 1,100.50, gap ")
    assert shown.endswith(", 2 contacts>")

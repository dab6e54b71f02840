"""Impossible policies are told in words that name what cannot be kept."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

import omniopt as oo

CALL = {"channel": "call"}


def project(limits: list[dict[str, Any]], *locks: tuple[str, str]) -> oo.Project:
    """Ann may get a call or a letter, Bob a call; one contact each."""
    made = oo.Project.from_frames(
        {"objective": "value", "limits": limits, "contact": [{"name": "one each", "max": 1}]},
        actions=pd.DataFrame(
            {"action_id": ["call", "mail"], "offer_id": "card", "channel": ["call", "mail"]}
        ),
        candidates=pd.DataFrame(
            {
                "customer_id": ["ann", "ann", "bob"],
                "action_id": ["call", "mail", "call"],
                "value": [5.0, 3.0, 4.0],
            }
        ),
    )
    return (
        made.with_decisions(None, pd.DataFrame(locks, columns=["customer_id", "action_id"]))
        if locks
        else made
    )


@pytest.mark.parametrize(
    ("limits", "locks", "words"),
    [
        pytest.param(
            [{"name": "guarantee", "min": 3}], [], ["'guarantee'", "at least 3", "at most 2"], id="minimum"
        ),
        pytest.param(
            [{"name": "guarantee", "where": CALL, "min": 2}, {"name": "desk", "where": CALL, "max": 1}],
            [],
            ["'guarantee'", "beside the other rules"],
            id="minimum against maximum",
        ),
        pytest.param(
            [{"name": "desk", "where": CALL, "max": 1}],
            [("ann", "call"), ("bob", "call")],
            ["'desk'", "at most 1", "at least 2"],
            id="locks against a maximum",
        ),
        pytest.param(
            [], [("ann", "call"), ("ann", "mail")], ["locked", "ann"], id="locks against one another"
        ),
    ],
)
def test_names_what_cannot_be_kept(
    limits: list[dict[str, Any]], locks: list[tuple[str, str]], words: list[str]
) -> None:
    with pytest.raises(oo.Infeasible) as error:
        oo.optimize(project(limits, *locks))
    assert all(word in error.value.reason for word in words), error.value.reason


def test_names_a_limit_that_asks_for_some_where_there_are_none() -> None:
    nobody = project([{"name": "guarantee", "min": 1}])
    policy = nobody.effective_policy() | {"eligibility": [{"name": "none", "drop": {"offer": "card"}}]}
    tables = nobody.read()
    made = oo.Project.from_frames(policy, actions=tables.actions, candidates=tables.candidates)
    with pytest.raises(oo.Infeasible, match="no candidates, but the limit 'guarantee'"):
        oo.optimize(made)

"""The report's section on how much of the plan is owed to chance."""

from __future__ import annotations

import pandas as pd
import pytest
from test_rule_costs import words_of

from omniopt.learning.stability import Stability
from omniopt.runs import chance
from omniopt.runs.notebook import Run
from omniopt.runs.report import Result

KEPT = pd.DataFrame({
    "customer_id": list("abcd"), "action_id": "a1", "offer_id": ["card", "card", "loan", "loan"],
    "channel": "mail",
    "kept": [1.0, 0.8, 0.5, 0.0], "kept_offer": [1.0, 1.0, 1.0, 0.0],
})  # fmt: skip
FOUND = Stability(
    pd.DataFrame({"claimed": [110.0, 90.0], "rescored": [95.0, 85.0]}),
    KEPT,
    pd.DataFrame({"contacts": [4] * 10, "same": [3] * 10, "same_offers": [3] * 10, "objective": 1.0}),
)


@pytest.fixture
def learnt(result: Result, monkeypatch: pytest.MonkeyPatch) -> Result:
    """A result whose scores the run has learnt itself."""
    monkeypatch.setattr(Run, "own_model", True)
    return result


def test_what_another_model_says_and_what_stays_is_told(learnt: Result) -> None:
    chance.keep(learnt.run, FOUND)
    said = words_of(chance.chance(learnt))
    assert "its own was worth 100 on average, the other, which had no part in it, 90." in said
    assert "up to 10.0 % of what such a plan promises" in said
    assert "10 more plans were made" in said and "Of the 4 contacts, 57.5 % stay on average" in said
    assert "for 75.0 % the customer gets the same offer" in said
    assert "90.0 %" in said and "25.0 %" in said  # of the two offers


def test_without_resampling_the_way_to_it_is_told(learnt: Result) -> None:
    chance.keep(learnt.run, None)
    assert "with the parameter resamples it does" in words_of(chance.chance(learnt))


def test_scores_that_came_with_the_project_are_not_judged(result: Result) -> None:
    assert "how sure they are it does not say" in words_of(chance.chance(result))

"""A plan that was not run: by hand, and refused where the draws cannot speak for it."""

from __future__ import annotations

import pandas as pd
import pytest

from omniopt.errors import BadInput
from omniopt.learning.off_policy import off_policy

#: Of 200 customers each got one of two contacts; of those with a, 30 of 100 answered; with b, 10 of 100.
DRAWS = pd.DataFrame(
    {
        "customer_id": [f"c{i:03d}" for i in range(200)],
        "action_id": ["a"] * 100 + ["b"] * 100,
        "probability": 0.5,
        "response": [i < 30 for i in range(100)] + [i < 10 for i in range(100)],
        "money": [10.0 * (i < 30) - 1 for i in range(100)] + [10.0 * (i < 10) - 1 for i in range(100)],
        "predicted_response": 0.25,
        "predicted_money": 1.5,
    }
)


def plan(actions: list[str], customers: int = 1000) -> pd.DataFrame:
    rows = [(f"c{i:03d}", action) for i in range(customers) for action in actions]
    frame = pd.DataFrame(rows, columns=["customer_id", "action_id"])
    return frame.assign(predicted_response=0.25, predicted_money=1.5)


def test_by_hand() -> None:
    """A letter to each of a thousand brings 300 responses, whatever the model said; 2 each, less nothing."""
    found = off_policy(DRAWS, plan(["a"])).set_index("metric")
    assert found.loc["response", ["predicted", "ips", "dr"]].tolist() == pytest.approx([250, 300, 300])
    assert found.loc["money", ["predicted", "ips", "dr"]].tolist() == pytest.approx([1500, 2000, 2000])
    row = found.loc["response"]
    assert (row["contacts"], row["draws"], row["matched"], row["effective"]) == (1000, 200, 100, 100)
    half = 1.98 * (0.3 * 0.7 / 99) ** 0.5 * 1000
    assert row["ips_high"] - row["ips"] == pytest.approx(half, rel=0.01)


def test_two_contacts_of_a_customer_add_up() -> None:
    found = off_policy(DRAWS, plan(["a", "b"])).set_index("metric")
    assert found.loc["response", "ips"] == pytest.approx(400)
    assert found.loc["response", "overlap"] == 1


def test_a_good_prediction_narrows_the_doubly_robust_interval() -> None:
    knows = DRAWS.assign(predicted_response=DRAWS["response"] * 0.8, predicted_money=DRAWS["money"])
    row = off_policy(knows, plan(["a"])).set_index("metric").loc["response"]
    assert row["dr_high"] - row["dr_low"] < 0.25 * (row["ips_high"] - row["ips_low"])


def refused(draws: pd.DataFrame, other: pd.DataFrame, possible: pd.DataFrame | None = None) -> str:
    with pytest.raises(BadInput) as caught:
        off_policy(draws, other, possible)
    return str(caught.value)


def test_without_overlap_nothing_is_estimated() -> None:
    assert "no contact was drawn at random" in refused(DRAWS[:0], plan(["a"]))
    assert "overlap is missing" in refused(DRAWS, plan(["c"]))
    assert "overlap is missing: only" in refused(DRAWS, plan(["a", "c"]))
    # A plan that was followed, with probability 1, says nothing of another.
    certain = DRAWS.assign(probability=1.0)
    assert "overlap is missing" in refused(certain, plan(["a"]))
    possible = pd.concat([plan(["a", "b"])[["customer_id", "action_id"]]]).query("customer_id < 'c150'")
    assert "only 50%" in refused(DRAWS, plan(["a"], 200), possible[possible["action_id"] == "b"])


def test_too_few_draws_and_too_few_responses_are_refused() -> None:
    assert "count as 40" in refused(DRAWS[60:140], plan(["a"]))
    assert "brought 9 responses" in refused(DRAWS.assign(response=[i < 9 for i in range(200)]), plan(["a"]))


def test_a_probability_that_is_none_is_told_with_its_row() -> None:
    said = refused(DRAWS.assign(probability=[0.0] + [0.5] * 199), plan(["a"]))
    assert "row 1" in said and "0.0 is no probability" in said
    twice = DRAWS.assign(customer_id="c000")
    assert "two contacts at random" in refused(twice, plan(["a"]))

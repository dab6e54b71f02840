from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from omniopt.review import words

POLICY = {
    "limits": [
        {"name": "budget", "max": 45, "min": 3},
        {"name": "desk", "max": {"table": "t", "column": "c"}},
    ],
    "contact": [{"name": "pressure", "max": 2, "days": 7}],
}


def plan(objective: float, bound: float, contacts: int = 2, status: str = "within_gap") -> Any:
    frame = pd.DataFrame({"value": [10.0] * contacts, "cost": [float("nan")] * contacts})
    return SimpleNamespace(objective=objective, bound=bound, contacts=frame, status=status, gap=0.05)


@pytest.mark.parametrize(
    ("changes", "vetoes", "locks", "said"),
    [
        ({}, 0, 0, "nothing changed"),
        ({"budget": {"max": 45}, "desk": {"scale": 1}}, 0, 0, "nothing changed"),
        ({"budget": {"max": 40}}, 1, 0, "budget at most 40 instead of 45 and 1 veto"),
        ({"desk": {"scale": 1.2}}, 2, 3, "desk at 120 % of its maximum, 2 vetoes and 3 locks"),
        ({"desk": {"max": 9}}, 0, 1, "desk at most 9 and 1 lock"),
        (
            {"budget": {"min": 5, "max": None}},
            0,
            0,
            "budget at least 5 instead of 3 and budget with max left out",
        ),
        ({"pressure": {"days": 14}}, 0, 0, "pressure with days 14"),
    ],
)
def test_changes(changes: dict[str, Any], vetoes: int, locks: int, said: str) -> None:
    assert words.of_changes(POLICY, changes, vetoes, locks) == said


@pytest.mark.parametrize(
    ("before", "after", "maximises", "certain"),
    [
        # the best before lies in 100 to 110, the best after in 80 to 85: it falls by 15 to 30
        (plan(100, 110), plan(80, 85), True, "loses 15 to 30."),
        (plan(80, 85), plan(100, 110), True, "gains 15 to 30."),
        (plan(100, 100), plan(90, 90), True, "loses 10."),
        (plan(100, 110), plan(105, 107), True, "loses at most 5 and gains at most 7:"),
        # costs: the best before lies in 90 to 100, the best after in 120 to 130
        (plan(100, 90), plan(130, 120), False, "loses 20 to 40."),
        (plan(130, 120), plan(100, 90), False, "gains 20 to 40."),
    ],
)
def test_what_is_certain(before: Any, after: Any, maximises: bool, certain: str) -> None:
    said = words.of_two_plans("value", "a change", before, after, maximises)
    assert said[2].startswith("For certain, the best possible ") and certain in said[2]


def test_the_difference_and_the_sums() -> None:
    said = words.of_two_plans("value", "a change", plan(100, 100), plan(90, 95, 1, "stopped_early"), True)
    assert said[0] == "With a change, value comes to 90 instead of 100: 10 less (10.0 %)."
    assert (
        said[1] == "Value falls by 10 and there is 1 contact fewer."
    )  # a cost that does not exist is left out
    assert said[3] == "Solving stopped before the gap asked for: 5.00 % is still open."
    same = words.of_two_plans("value", "a change", plan(0, 0), plan(0, 0), True)
    assert same[0].endswith("instead of 0: no difference.")
    assert same[1] == "There are as many contacts."


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [(255.6, 243.9, ("255.6", "243.9")), (251.53, 251.497, ("251.53", "251.50")), (7.0, 7.0, ("7", "7"))],
)
def test_a_difference_that_is_there_can_be_seen(a: float, b: float, said: tuple[str, str]) -> None:
    assert words.told_apart(a, b) == said


@pytest.mark.parametrize(
    ("parts", "said"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_lists_in_words(parts: list[str], said: str) -> None:
    assert words.listed(parts) == said

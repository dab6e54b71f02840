"""What the check does not know, or cannot read, is a finding: it is never passed in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mini
import pytest
from mini import edit_policy

from omniopt.audit import verify


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return mini.make(tmp_path)


UNKNOWN: dict[str, Callable[[dict], object]] = {
    "a limit with a strange key": lambda p: p["limits"][0].update(rolling_weeks=7),
    "a limit without a bound": lambda p: [p["limits"][0].pop("min"), p["limits"][0].pop("max")],
    "windows of no days": lambda p: p["limits"][0].update(rolling_days=0),
    "windows of days per day": lambda p: p["limits"][0].update(rolling_days=7, per=["date"]),
    "windows with a fixed cost": lambda p: p["limits"][0].update(rolling_days=7, fixed_cost=1),
    "windows that measure fixed costs": lambda p: p["limits"][0].update(
        rolling_days=7, measure="cost + fixed_cost"
    ),
    "windows of what history does not tell": lambda p: p["limits"][0].update(rolling_days=7),
    "all or nothing without a minimum": lambda p: p["limits"][1].update(all_or_nothing=True),
    "all or nothing of a ratio": lambda p: p["limits"][2].update(all_or_nothing=True),
    "all or nothing, perhaps": lambda p: p["limits"][0].update(all_or_nothing="perhaps"),
    "a negative penalty": lambda p: p["limits"][0].update(penalty=-1),
    "a penalty in a table that lacks it": lambda p: p["limits"][1].update(
        penalty={"table": "capacity", "column": "pain"}
    ),
    "households of nobody": lambda p: p["contact"][0].update(unit="household"),
    "a unit nobody knows": lambda p: p["contact"][0].update(unit="village"),
    "a calendar decade": lambda p: p["contact"][1].update(every="decade"),
    "a calendar week of three days": lambda p: p["contact"][1].update(every="week", days=3),
    "neither most nor least": lambda p: p["contact"][0].pop("max"),
    "none of nothing": lambda p: p["contact"][0].update(min_or_none=True),
    "a minimum in words": lambda p: p["contact"][1].update(min="one"),
    "a minimum in a column of words": lambda p: p["contact"][1].update(min={"column": "customer.region"}),
    "a count of nothing": lambda p: p["contact"][1].update(count="offer.colour"),
    "after and drop": lambda p: p["eligibility"][0].update(
        after={"outcome": "sent"}, drop_same="all", for_days=3
    ),
    "after what never happens": lambda p: p["eligibility"].append(
        {"name": "rest", "after": {"outcome": ["bored"]}, "drop_same": "category", "for_days": 90}
    ),
    "the same as nothing": lambda p: p["eligibility"].append(
        {"name": "rest", "after": {"outcome": ["sent"]}, "drop_same": "mood", "for_days": 90}
    ),
    "the same business unit, of which there is none": lambda p: p["eligibility"].append(
        {"name": "rest", "after": {"outcome": ["sent"]}, "drop_same": "business_unit", "for_days": 90}
    ),
    "requires without days": lambda p: p.update(
        requires=[{"name": "first", "offer": {"offer": "card"}, "needs": {"offer": "loan"}}]
    ),
    "requires in a strange order": lambda p: p.update(
        requires=[{"name": "f", "offer": {}, "needs": {}, "days": 3, "order": "after"}]
    ),
    "a conflict in either order, perhaps": lambda p: p["conflicts"][0].update(either_order="perhaps"),
    "all or nothing of no minimum": lambda p: p["limits"][1].update(all_or_nothing=True, min=None),
    "a limit per number": lambda p: p["limits"][0].update(per=5),
    "a contact rule per number": lambda p: p["contact"][0].update(per=[5]),
    "a limit within a number": lambda p: p["limits"][0].update(where=5),
    "a number of limits": lambda p: p.update(limits=5),
    "a number of reasons": lambda p: p.update(eligibility=5),
    "an unknown section": lambda p: p.update(wishes=[]),
    "ranks within less than nothing": lambda p: p.update(
        objective=[{"maximise": "value", "within": -1}, {"minimise": "cost"}]
    ),
    "ranks of two senses": lambda p: p.update(objective=[{"maximise": "value", "minimise": "cost"}]),
    "no objective": lambda p: p.update(objective=[]),
    "an unknown measure": lambda p: p["limits"][0].update(measure="joules"),
    "an unknown attribute": lambda p: p["limits"][1].update(where={"customer.mood": "good"}),
    "an unknown comparison": lambda p: p["limits"][1].update(where={"customer.region": {"like": "n"}}),
    "code instead of a measure": lambda p: p["limits"][0].update(measure="__import__('os').getpid()"),
    "a product of measures": lambda p: p["limits"][0].update(measure="value * cost"),
    "a table that is not there": lambda p: p["limits"][1].update(max={"table": "seats", "column": "n"}),
    "a bound that is text": lambda p: p["limits"][0].update(max="lots"),
    "a conflict without days": lambda p: p["conflicts"][0].pop("days"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_cannot_be_checked_is_never_passed_silently(folder: Path, name: str) -> None:
    edit_policy(folder, UNKNOWN[name])
    result = verify(folder)
    assert not result.ok
    assert "could not be checked" in str(result)

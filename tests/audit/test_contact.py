"""Windows and conflicts at their edges, and limits whose contacts have two legs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from omniopt.audit import bound, contact, inputs, limits, pairs
from omniopt.audit.candidates import Candidates, build
from omniopt.audit.history import history_rows
from omniopt.audit.scope import Rows, Unchecked, linear
from omniopt.errors import Faults
from omniopt.project import Project


def case(actions: list[tuple], past: list[tuple] = [], **more: Any) -> tuple[inputs.Inputs, Candidates, Rows]:  # noqa: B006
    """One customer who may get every action (offer, channel, day); the past is planned if its day is > 0."""
    frame = pd.DataFrame(actions, columns=["offer_id", "channel", "date"])
    frame.insert(0, "action_id", [f"a{k}" for k in range(len(frame))])
    candidates = pd.DataFrame(
        {"customer_id": "u", "action_id": frame["action_id"], "value": 1.0, "cost": 2.0}
    )
    history = pd.DataFrame(past, columns=["offer_id", "channel", "date"]).astype({"date": "int64"})
    history.insert(0, "customer_id", "u")
    history["outcome"] = "sent"
    history["planned"] = history["date"] > 0
    project = Project.from_frames(
        {"objective": "value"}, actions=frame, candidates=candidates, history=history, **more
    )
    read = project.read()
    given = inputs.Inputs(read, project.policy, inputs.build_world(read, {}, None, None), [], [])
    rows, counted = history_rows(given)
    return given, build(given, None), rows.take(counted)


def best(setting: tuple, rules: list[dict] = [], conflicts: list[dict] = []) -> float:  # noqa: B006
    """How many contacts the customer can get at most."""
    given, candidates, past = setting
    read = [contact.read_contact(given, {"name": "r", **rule}) for rule in rules]
    apart = [pairs.read_conflict({"name": "c", **rule}) for rule in conflicts]
    none = np.zeros(len(candidates), dtype=bool)
    rules = bound.Rules(read, apart)
    return bound.search(given, candidates, np.ones(len(candidates)), none, np.arange(0), rules, past).total


def days(*when: int, channel: str = "email") -> list[tuple]:
    return [("A", channel, day) for day in when]


def test_a_window_of_seven_days_lets_the_eighth_day_in() -> None:
    rule = {"max": 1, "days": 7}
    assert best(case(days(1, 7)), [rule]) == 1
    assert best(case(days(1, 8)), [rule]) == 2


def test_windows_begin_before_the_horizon() -> None:
    rule = {"max": 1, "days": 7}
    assert best(case(days(1), past=days(-5)), [rule]) == 0
    assert best(case(days(1), past=days(-6)), [rule]) == 1
    assert best(case(days(1), past=days(-5)), [{**rule, "history": False}]) == 1
    # Without days history never counts, not even a commitment inside the horizon.
    assert best(case(days(1), past=days(0, 2)), [{"max": 1}]) == 1


def test_commitments_later_in_the_horizon_count() -> None:
    assert best(case(days(1), past=days(7)), [{"max": 1, "days": 7}]) == 0
    assert best(case(days(1), past=days(8)), [{"max": 1, "days": 7}]) == 1


def test_where_history_alone_exceeds_a_cap_no_contact_joins_it() -> None:
    """Not even one in the same call: the window would still hold more than the rule allows."""
    rule = {"max": 1, "days": 5, "count": "occasions"}
    one_call = [("A", "call", 3)]
    assert best(case(one_call, past=[("B", "call", 3)]), [rule]) == 1
    assert best(case(one_call, past=[("B", "call", 3), ("B", "email", 1)]), [rule]) == 0
    # Where history just fills it, what counts anew is out, and what joins an occasion is not.
    assert best(case([*one_call, ("A", "email", 3)], past=[("B", "call", 3)]), [rule]) == 1


def test_one_call_carries_two_offers() -> None:
    two = [("A", "call", 1), ("B", "call", 1), ("A", "email", 1)]
    assert best(case(two), [{"max": 1, "days": 3, "count": "occasions"}]) == 2
    assert best(case(two), [{"max": 1, "days": 3}]) == 1


def test_a_conflict_of_three_days_lets_the_fourth_day_in() -> None:
    rule = {"first": {"offer": "A"}, "then": {"offer": "B"}, "days": 3}
    assert best(case([("A", "email", 1), ("B", "email", 3)]), [], [rule]) == 1
    assert best(case([("A", "email", 1), ("B", "email", 4)]), [], [rule]) == 2
    assert best(case([("B", "email", 1), ("A", "email", 2)]), [], [rule]) == 2
    assert best(case([("B", "email", 1), ("A", "email", 2)]), [], [{**rule, "either_order": True}]) == 1
    assert best(case([("A", "email", 1), ("B", "email", 1)]), [], [rule]) == 1


def test_history_counts_as_the_first_of_a_conflict() -> None:
    rule = {"first": {"offer": "A"}, "then": {"offer": "B"}, "days": 3}
    past = [("A", "email", 0)]
    assert best(case([("B", "email", 2)], past=past), [], [rule]) == 0
    assert best(case([("B", "email", 3)], past=past), [], [rule]) == 1
    assert best(case([("A", "email", 2)], past=[("B", "email", 0)]), [], [rule]) == 1
    assert (
        best(case([("A", "email", 2)], past=[("B", "email", 0)]), [], [{**rule, "either_order": True}]) == 0
    )


def test_a_contact_does_not_conflict_with_itself() -> None:
    rule = {"first": {"channel": "call"}, "then": {"channel": "call"}, "days": 9}
    assert best(case(days(1, channel="call")), [], [rule]) == 1
    assert best(case(days(1, 2, channel="call")), [], [rule]) == 1


CHANNELS = pd.DataFrame(
    {
        "channel": ["email", "sms"],
        "delivery_rate": [0.75, 1.0],
        "fallback": ["sms", None],
        "minutes": [1.0, 8.0],
    }
)


def used(rule: dict, chosen: list[bool] | None = None, **more: Any) -> dict[tuple, float]:
    given, candidates, _ = case([("A", "email", 1), ("A", "sms", 2)], channels=CHANNELS, **more)
    limit = limits.read(given, candidates, {"name": "x", "max": 99, **rule})
    mask = np.ones(2, dtype=bool) if chosen is None else np.array(chosen)
    block = limit.blocks[0]
    return dict(zip(limit.labels, block.sums(block.top, mask)[0].tolist(), strict=True))


def test_a_limit_that_names_a_channel_sees_each_leg_on_its_own() -> None:
    # An e-mail arrives in three of four cases; the fourth goes out as a text message.
    assert used({"where": {"channel": "email"}}) == {(): 1.0}
    assert used({"where": {"channel": "sms"}}) == {(): 1.25}
    assert used({"per": ["channel"]}) == {("email",): 1.0, ("sms",): 1.25}
    assert used({"per": ["channel"], "measure": "minutes"}) == {("email",): 1.0, ("sms",): 10.0}
    assert used({"where": {"channel.minutes": {"gt": 5}}, "measure": "cost"}) == {(): 2.0}


def test_a_limit_that_names_none_counts_the_contact_once_and_the_resources_of_both_legs() -> None:
    assert used({}) == {(): 2.0}
    assert used({"measure": "minutes"}) == {(): 11.0}
    assert used({"measure": "2 * contacts - (minutes / 2) + cost"}) == {(): 4.0 - 5.5 + 4.0}
    assert used({"where": {"date": {"ge": 2}}}) == {(): 1.0}


def test_both_sums_of_a_share_see_the_legs_if_one_of_them_names_a_channel() -> None:
    given, candidates, _ = case([("A", "email", 1), ("A", "sms", 2)], channels=CHANNELS)
    rule = {"name": "x", "max": 1, "where": {"channel": "sms"}, "over": {"measure": "contacts"}}
    limit = limits.read(given, candidates, rule)
    everything = np.ones(2, dtype=bool)
    (block,) = limit.blocks
    assert block.over is not None
    assert block.sums(block.top, everything)[0] == [1.25] and block.sums(block.over, everything)[0] == [2.25]


def test_groups_come_from_candidates_and_table_alike() -> None:
    table = pd.DataFrame(
        {"channel": ["email", "sms", "call", "call"], "date": [1, 2, 1, 2], "n": [1, 2, 3, 4]}
    )
    bound_of = {"table": "seats", "column": "n"}
    given, candidates, _ = case([("A", "email", 1), ("A", "sms", 2)], seats=table)
    limit = limits.read(given, candidates, {"name": "x", "per": ["date", "channel"], "max": bound_of})
    assert dict(zip(limit.labels, limit.blocks[0].high.tolist(), strict=True)) == {
        ("1", "email"): 1, ("2", "sms"): 2, ("1", "call"): 3, ("2", "call"): 4,
    }  # fmt: skip
    # Rows for other channels than the rule's are no groups of the rule.
    rule = {"name": "x", "per": ["channel", "date"], "where": {"channel": "call"}, "min": 0, "max": bound_of}
    assert limits.read(given, candidates, rule).labels == [("call", "1"), ("call", "2")]
    given, candidates, _ = case([("A", "email", 1), ("A", "fax", 2)], seats=table)
    with pytest.raises(Unchecked, match="gives no max"):
        limits.read(given, candidates, {"name": "x", "per": ["date", "channel"], "max": bound_of})
    twice = pd.concat([table, table])
    given, candidates, _ = case([("A", "email", 1)], seats=twice)
    with pytest.raises(Unchecked, match="two rows"):
        limits.read(given, candidates, {"name": "x", "per": ["date", "channel"], "max": bound_of})


def test_measures_are_parsed_and_never_evaluated() -> None:
    assert linear("value - cost") == {"value": 1.0, "cost": -1.0}
    assert linear("0.5 * (minutes + 2 * cost) - -value") == {"minutes": 0.5, "cost": 1.0, "value": 1.0}
    assert linear("minutes / 4") == {"minutes": 0.25}
    for text in (
        "value ** 2",
        "f(value)",
        "value +",
        "1 + value",
        "value * cost",
        "'a'",
        "value if cost else 1",
        7,
    ):
        with pytest.raises(Unchecked):
            linear(text)


def test_a_broken_window_is_told_with_customer_and_days() -> None:
    given, candidates, past = case(days(1, 3), past=days(-1))
    rule = contact.read_contact(given, {"name": "pressure", "max": 2, "days": 5})
    faults = Faults()
    state = contact.reached(given, candidates, np.ones(2, dtype=bool), rule, past, faults)
    assert [str(f) for f in faults] == [
        "rule 'pressure': broken: customer u has 3 contacts in 5 days from day -1, at most 2."
    ]
    assert state == {"used": 3.0, "slack": -1.0, "at_cap": 1.0}

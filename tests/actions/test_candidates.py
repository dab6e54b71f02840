"""What a contact is worth, worked out by hand from the response model of the contract."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from bank import FOUR_WEEKS, refused, table
from reference import Reference

import omniopt as oo

ACTIONS = table("action_id offer_id channel date", "m loan email 1")
OFFERS = table("offer_id value incentive_cost", "loan 100 4")
CHANNELS = table("channel unit_cost delivery_rate fallback", "email 1 0.75 call", "call 8 0.5 -")
SCORES = table("customer_id offer_id channel p_response", "ann loan email 0.5", "ann loan call 0.25")


def given(**changed: pd.DataFrame) -> dict[str, pd.DataFrame]:
    customers = table("customer_id name", "ann Ann")
    return {
        "customers": customers,
        "actions": ACTIONS,
        "offers": OFFERS,
        "channels": CHANNELS,
        "scores": SCORES,
    } | changed


def only(**changed: pd.DataFrame) -> dict[str, Any]:
    """The one contact of a plan that has but one candidate; the reference has to agree on its worth."""
    policy = {"objective": "value - cost", "limits": [{"name": "one", "min": 1}]}
    plan = oo.optimize(oo.Project.from_frames(policy, horizon=FOUR_WEEKS, **given(**changed)))
    (row,) = plan.contacts.to_dict("records")
    (contact,) = Reference(given(**changed), policy, FOUR_WEEKS).alive
    for name, amount in contact.own.items():
        assert row[name] == pytest.approx(amount, abs=1e-12)
    return row


def test_response_value_and_cost_with_failover() -> None:
    """0.75 · 0.5 + 0.25 · 0.5 · 0.25 = 0.40625 responses, for 1 + 0.25 · 8 + 0.40625 · 4 = 4.625 in money."""
    row = only()
    assert row["response"] == 0.40625
    assert row["value"] == 40.625
    assert row["cost"] == 4.625
    assert row["objective"] == 36.0
    assert row["fallback"] == "call"


def test_without_a_fallback_what_is_not_delivered_is_lost() -> None:
    row = only(channels=table("channel unit_cost delivery_rate", "email 1 0.75", "call 8 0.5"))
    assert (row["response"], row["value"], row["cost"]) == (0.375, 37.5, 2.5)


def test_delivery_is_certain_unless_said_otherwise() -> None:
    row = only(channels=table("channel unit_cost", "email 1", "call 8"))
    assert (row["response"], row["value"], row["cost"]) == (0.5, 50, 3)


def test_a_value_in_the_scores_overrides_the_offers() -> None:
    scores = table(
        "customer_id offer_id channel p_response value", "ann loan email 0.5 10", "ann loan call 0.25 20"
    )
    assert only(scores=scores)["value"] == pytest.approx(4.0625)


def test_an_action_may_have_a_cost_of_its_own() -> None:
    row = only(actions=table("action_id offer_id channel date cost", "m loan email 1 3"))
    assert row["cost"] == pytest.approx(3 + 2 + 0.40625 * 4)


def past(*outcomes: str) -> pd.DataFrame:
    rows = [f"ann loan email {-day} {outcome}" for day, outcome in enumerate(outcomes)]
    return table("customer_id offer_id channel date outcome", *rows)


def test_the_customers_own_delivery_rate_counts_from_five_known_outcomes() -> None:
    """(1 + 5 · 0.75) / (5 + 5) = 0.475 after one delivery in five; `sent` tells nothing."""
    four = past("bounced", "bounced", "bounced", "opened", "sent", "sent")
    assert only(history=four)["response"] == 0.40625
    five = past("bounced", "bounced", "bounced", "bounced", "opened", "sent")
    assert only(history=five)["response"] == pytest.approx(0.475 * 0.5 + 0.525 * 0.5 * 0.25)


def test_without_actions_every_offer_meets_every_channel_on_every_day() -> None:
    tables = given(
        scores=table("customer_id offer_id channel p_response", "ann loan email 0.5", "ann loan call 0.25")
    )
    del tables["actions"]
    tables["offers"] = table("offer_id value valid_to", "loan 100 3")
    plan = oo.optimize(
        oo.Project.from_frames({"objective": "value"}, horizon={"start": "2026-11-23", "days": 5}, **tables)
    )
    assert len(plan.contacts) == 6
    assert plan.contacts["date"].astype(str).str[:10].unique().tolist() == [
        "2026-11-23",
        "2026-11-24",
        "2026-11-25",
    ]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"scores": table("customer_id offer_id channel p_response", "ann loan call 0.25")},
            ["ann", "loan", "email", "score"]),
        ({"scores": table("customer_id offer_id channel p_response", "ann loan email 0.5")},
            ["ann", "loan", "call", "score"]),
        ({"offers": table("offer_id value", "loan -")}, ["loan", "value"]),
        ({"channels": table("channel unit_cost", "email -", "call 8")}, ["email", "unit_cost"]),
        ({"offers": table("offer_id value incentive_cost", "loan 3 -")}, ["loan", "incentive_cost"]),
    ],
)  # fmt: skip
def test_a_missing_number_is_named_and_not_guessed(
    changed: dict[str, pd.DataFrame], words: list[str]
) -> None:
    faults = refused({"objective": "value - cost"}, given(**changed), FOUR_WEEKS)
    assert all(word in faults for word in words), faults


def test_ids_are_compared_as_text() -> None:
    """7 in one table and "7" in another are one customer."""
    tables = {
        "customers": pd.DataFrame({"customer_id": [7, 8], "region": ["n", "s"]}),
        "actions": pd.DataFrame({"action_id": [1], "offer_id": ["3"], "channel": ["email"]}),
        "candidates": pd.DataFrame({"customer_id": ["7", "8"], "action_id": ["1", "1"], "value": [1.0, 2.0]}),
    }
    policy = {
        "objective": "value",
        "limits": [{"name": "n", "where": {"customer.region": "n", "offer": 3}, "max": 0}],
    }
    plan = oo.optimize(oo.Project.from_frames(policy, **tables))
    assert plan.contacts["customer_id"].tolist() == ["8"]


def test_measures_are_looked_up_in_candidates_then_actions_channels_offers() -> None:
    tables = {
        "actions": table("action_id offer_id channel size weight", "a loan call 2 5"),
        "candidates": table("customer_id action_id value size", "ann a 9 3"),
        "channels": table("channel weight minutes", "call 7 11"),
        "offers": table("offer_id minutes gifts", "loan 13 17"),
    }
    for measure, expected in (
        ("size", 3),
        ("weight", 5),
        ("minutes", 11),
        ("gifts", 17),
        ("contacts", 1),
        ("value - 2 * size", 3),
    ):
        policy = {"objective": "value", "limits": [{"name": "m", "measure": measure, "max": 100}]}
        plan = oo.optimize(oo.Project.from_frames(policy, **tables))
        assert plan.certificate["rules"][0]["used"] == expected


@pytest.mark.parametrize(
    "written", ["profit", "value * cost", "value ** 2", "__import__('os')", "value -", "", "1 / 0 * value"]
)
def test_what_is_no_measure_is_refused(written: str) -> None:
    tables = {
        "actions": table("action_id offer_id channel", "a loan call"),
        "candidates": table("customer_id action_id value cost", "ann a 9 3"),
    }
    assert refused({"objective": written}, tables)
    assert "m" in refused(
        {"objective": "value", "limits": [{"name": "m", "measure": written or " ", "max": 1}]}, tables
    )

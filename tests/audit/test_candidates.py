"""The value of a contact, worked out by hand, and why candidates fall out."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from omniopt.audit import inputs
from omniopt.audit.candidates import Candidates, build, eliminate
from omniopt.audit.history import history_rows
from omniopt.audit.scope import Unchecked
from omniopt.project import Project

MONDAY = datetime.date(2026, 11, 23)


def rebuilt(policy: dict[str, Any] | None = None, **tables: pd.DataFrame) -> tuple[Candidates, inputs.Inputs]:
    project = Project.from_frames(
        {"objective": "value", **(policy or {})}, horizon={"start": MONDAY, "days": 7}, **tables
    )
    read = project.read()
    world = inputs.build_world(read, {}, MONDAY, 7)
    given = inputs.Inputs(read, project.policy, world, [("ann", "wed")], [])
    return build(given, read.scores), given


def base() -> dict[str, pd.DataFrame]:
    return {
        "customers": pd.DataFrame({"customer_id": ["ann", "bob"], "timezone": ["Europe/Madrid", None]}),
        "offers": pd.DataFrame({"offer_id": ["loan"], "value": [100.0], "incentive_cost": [2.0]}),
        "channels": pd.DataFrame(
            {
                "channel": ["email", "sms"],
                "unit_cost": [0.1, 0.5],
                "delivery_rate": [0.8, 0.9],
                "fallback": ["sms", None],
                "requires_consent": [False, True],
                "minutes": [1.0, 3.0],
            }
        ),
        "actions": pd.DataFrame(
            {
                "action_id": ["mon", "wed"],
                "offer_id": "loan",
                "channel": "email",
                "date": ["2026-11-23", "2026-11-25"],
            }
        ),
        "scores": pd.DataFrame(
            {
                "customer_id": ["ann", "ann", "bob", "bob"],
                "offer_id": "loan",
                "channel": ["email", "sms"] * 2,
                "p_response": [0.5, 0.3, 0.4, 0.2],
                "value": [None, None, 50.0, 999.0],
            }
        ),
        "consents": pd.DataFrame(
            {
                "customer_id": ["ann"],
                "channel": ["sms"],
                "purpose": ["x"],
                "granted": [True],
                "valid_from": ["2026-11-25"],
            }
        ),
    }


def test_value_cost_and_response_with_a_fallback_that_consent_allows_from_wednesday_on() -> None:
    found, _ = rebuilt(**base())
    # ann mon, ann wed, bob mon, bob wed
    assert list(found.fallback) == [-1, 1, -1, -1]
    response = [0.8 * 0.5, 0.8 * 0.5 + 0.2 * 0.9 * 0.3, 0.8 * 0.4, 0.8 * 0.4]
    assert found.own["response"] == pytest.approx(response)
    assert found.own["value"] == pytest.approx([40.0, 45.4, 16.0, 16.0])
    assert found.own["cost"] == pytest.approx(
        [0.1 + 0.8, 0.1 + 0.2 * 0.5 + 0.454 * 2, 0.1 + 0.64, 0.1 + 0.64]
    )
    assert found.undelivered == pytest.approx([0.0, 0.2, 0.0, 0.0])


def test_a_customer_of_five_known_outcomes_has_a_delivery_rate_of_its_own() -> None:
    outcomes = ["bounced", "bounced", "bounced", "opened", "responded", "sent"]
    tables = base()
    tables["history"] = pd.DataFrame(
        {
            "customer_id": ["ann"] * 6 + ["bob"] * 4,
            "offer_id": "loan",
            "channel": "email",
            "date": [f"2026-11-{day:02d}" for day in (*range(1, 7), *range(1, 5))],
            "outcome": [*outcomes, *["bounced"] * 4],
        }
    )
    found, given = rebuilt(**tables)
    # Two of five arrived, and five more count at the channel's 0.8; bob's four are too few.
    assert found.own["response"][0] == pytest.approx((2 + 4) / 10 * 0.5)
    assert found.own["response"][2] == pytest.approx(0.8 * 0.4)
    rows, counted = history_rows(given)
    assert rows.day.tolist() == [*range(-21, -15), *range(-21, -17)]
    assert counted.tolist() == [False] * 3 + [True] * 3 + [False] * 4


def reasons(found: Candidates, given: inputs.Inputs) -> list[str]:
    assert eliminate(given, found) == []
    return [found.reasons[k - 1] if k else "" for k in found.reason]


def test_each_candidate_falls_out_for_the_first_reason_that_applies() -> None:
    tables = base()
    tables["offers"]["valid_from"] = ["2026-11-25"]
    found, given = rebuilt(**tables)
    # A veto comes last.
    assert reasons(found, given) == [
        "offer not valid on that date",
        "veto",
        "offer not valid on that date",
        "",
    ]
    tables = base()
    tables["channels"]["requires_consent"] = [True, False]
    tables["channels"]["send_from"] = ["09:00", None]
    found, given = rebuilt(**tables)
    assert reasons(found, given) == ["no consent for email"] * 4
    tables["channels"]["requires_consent"] = [False, False]
    found, given = rebuilt(**tables)
    assert reasons(found, given) == ["", "veto", "no time zone", "no time zone"]
    tables = base()
    tables["channels"]["send_days"] = ["tue;wed", None]
    found, given = rebuilt(
        {"eligibility": [{"name": "bobs", "drop": {"customer.timezone": {"is_null": True}}}]}, **tables
    )
    assert reasons(found, given) == ["outside the send days", "veto", "outside the send days", "bobs"]


def test_a_fallback_is_not_used_on_days_it_does_not_send_nor_without_a_time_zone_nor_if_ineligible() -> None:
    tables = base()
    tables["channels"]["requires_consent"] = [False, False]
    found, _ = rebuilt(**tables)
    assert list(found.fallback) == [1, 1, 1, 1]
    found, _ = rebuilt(
        {"eligibility": [{"name": "late texts", "drop": {"channel": "sms", "date": {"gt": MONDAY}}}]},
        **tables,
    )
    assert list(found.fallback) == [1, -1, 1, -1]
    tables["channels"]["send_days"] = [None, "mon"]
    tables["channels"]["send_to"] = [None, "20:00"]
    found, _ = rebuilt(**tables)
    assert list(found.fallback) == [1, -1, -1, -1]


def test_the_end_of_a_consent_counts() -> None:
    tables = base()
    tables["channels"]["requires_consent"] = [True, True]
    tables["consents"] = pd.DataFrame(
        {
            "customer_id": ["ann", "ann", "bob", "bob"],
            "channel": "email",
            "purpose": ["a", "b", "a", "b"],
            "granted": [True, False, True, True],
            "valid_from": [None, None, "2026-11-01", "2026-11-25"],
            "valid_to": ["2026-11-24", None, "2026-11-22", "2026-11-25"],
        }
    )
    found, given = rebuilt(**tables)
    no = "no consent for email"
    assert reasons(found, given) == ["", no, no, ""]


def test_actions_without_a_table_are_offers_by_channels_by_dates() -> None:
    tables = base()
    del tables["actions"]
    found, given = rebuilt(**tables)
    assert len(found) == 2 * 1 * 2 * 7
    assert "loan|email|2026-11-29" in given.world.ids["action"]
    assert set(found.rows.day) == set(range(1, 8))


def test_an_action_of_its_own_cost_and_no_cost_at_all() -> None:
    tables = base()
    tables["actions"]["cost"] = [3.0, 4.0]
    found, _ = rebuilt(**tables)
    assert found.own["cost"] == pytest.approx(
        [3.0 + 0.8, 4.0 + 0.2 * 0.5 + 0.454 * 2, 3.0 + 0.64, 4.0 + 0.64]
    )
    tables = base()
    del tables["channels"]["unit_cost"]
    assert "cost" not in rebuilt(**tables)[0].own


def test_a_missing_score_is_never_zero() -> None:
    tables = base()
    tables["scores"] = tables["scores"].iloc[[0, 2, 3]]
    found, _ = rebuilt(**tables)
    # ann's text message has no score, and it is the fallback of her e-mail on Wednesday only
    assert np.isnan(found.own["response"]).tolist() == [False, True, False, False]
    project = Project.from_frames({"objective": "value"}, horizon={"start": MONDAY, "days": 7}, **tables)
    read = project.read()
    given = inputs.Inputs(read, project.policy, inputs.build_world(read, {}, MONDAY, 7), [], [])
    with pytest.raises(Unchecked, match="no scores"):
        build(given, None)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bank_calls import bank
from market import Market
from sklearn.metrics import roc_auc_score

from omniopt.errors import BadInput
from omniopt.knowledge import fit
from omniopt.knowledge.leaks import IMPLAUSIBLE, purity, separation
from omniopt.project.response import Response

ANSWERED = "it seems to be known only after the contact"


def test_separation_by_hand() -> None:
    """Both halves teach that value 1 responds; in one stratum alone all four pairs are in order."""
    values, y = np.array([0.0, 0, 1, 1] * 2), np.array([False, False, True, True] * 2)
    half = np.arange(8) < 4
    assert separation(values, y, np.zeros(8, np.int64), half) == 1.0
    assert np.isnan(separation(values, y, np.arange(8), half))  # no pair shares a stratum


def test_separation_of_one_stratum_is_the_area_under_the_curve() -> None:
    rng = np.random.default_rng(2)
    values = rng.integers(0, 8, 4000).astype(float)
    y = rng.random(4000) < 0.1 + 0.08 * values
    found = separation(values, y, np.zeros(4000, np.int64), rng.random(4000) < 0.5)
    assert found == pytest.approx(roc_auc_score(y, values), abs=0.02)


def test_what_only_follows_the_season_separates_nobody() -> None:
    rng = np.random.default_rng(3)
    month = rng.integers(0, 12, 6000)
    y = rng.random(6000) < 0.05 + 0.05 * month
    half = rng.random(6000) < 0.5
    assert separation(month.astype(float), y, np.zeros(6000, np.int64), half) > 0.65
    assert separation(month.astype(float), y, month, half) == pytest.approx(0.5)


def test_a_missing_value_is_a_value_too() -> None:
    y = np.arange(200) % 4 == 0
    values = np.where(y, np.nan, 1.0)
    assert separation(values, y, np.zeros(200, np.int64), np.arange(200) < 100) == 1.0
    assert purity(values, y) > 0.9


def test_what_only_buyers_have_is_a_leak() -> None:
    """Few buy, so the amount orders few pairs; but all who have one responded."""
    market = Market(500, seed=6)
    rng = np.random.default_rng(0)
    answered = (market.history["outcome"] == "responded").to_numpy()
    amount = np.where(answered & (rng.random(len(answered)) < 0.2), rng.gamma(2.0, 30.0, len(answered)), 0.0)
    customers = market.customers.assign(amount=0.0)
    with pytest.raises(BadInput, match=f"history, column amount: {ANSWERED}: of the contacts with one of"):
        fit(market.tables(customers=customers, history=market.history.assign(amount=amount)))


def test_visits_to_a_shop_make_no_leak_of_what_visitors_do_not_tell() -> None:
    """Every visit counts as a response, and those who only visit have told neither age nor region."""
    market = Market(500, seed=6)
    ids = [f"w{i:03}" for i in range(200)]
    visitors = pd.DataFrame({"customer_id": ids, "age": np.nan, "region": None})
    visits = pd.DataFrame({"customer_id": ids, "offer_id": "old a", "channel": "shop", "date": -9})
    tables = market.tables(
        customers=pd.concat([market.customers, visitors]),
        history=pd.concat([market.history, visits.assign(outcome="responded")]),
        channels=pd.DataFrame({"channel": ["mail", "email", "shop"]}),
    )
    assert set(fit(tables).report["alone"]) == {"age", "region"}


def test_what_is_missing_when_scores_are_made_is_a_leak() -> None:
    market = Market(500, seed=6)
    minutes = np.random.default_rng(0).uniform(1, 9, len(market.history))  # says nothing of the response
    customers = market.customers.assign(minutes=pd.Series([None] * 500, dtype="float64"))
    tables = market.tables(customers=customers, history=market.history.assign(minutes=minutes))
    with pytest.raises(BadInput, match="filled for 100% of past contacts and missing for 100% of customers"):
        fit(tables)
    assert "minutes" not in fit(tables, response=Response(without=("minutes",))).report["attributes"]


def test_all_leaks_are_told_at_once_and_what_is_known_before_may_stay(market: Market) -> None:
    rate = (market.history["outcome"] == "responded").to_numpy(float)
    history = market.history.assign(first=rate, second=1 - rate)
    tables = market.tables(customers=market.customers.assign(first=0.0, second=0.0), history=history)
    with pytest.raises(BadInput) as told:
        fit(tables)
    assert [fault.column for fault in told.value.faults] == ["first", "second"]
    report = fit(tables, response=Response(known_before=("first",), without=("second",))).report
    assert report["alone"]["first"] == 1.0


@pytest.mark.parametrize("place", ["customers", "history"])
def test_the_length_of_a_call_is_caught_and_nothing_else(shared_data: Path, place: str) -> None:
    with pytest.raises(BadInput) as told:
        fit(bank(shared_data, duration=place), seed=1)
    assert [(fault.table, fault.column) for fault in told.value.faults] == [(place, "duration")]
    assert "without: [duration]" in str(told.value)


@pytest.mark.parametrize("one_day", [True, False])
def test_honest_columns_raise_no_alarm(shared_data: Path, one_day: bool) -> None:
    """Interest rates and the like follow the time, and even without dates stay below the mark."""
    alone = fit(bank(shared_data, one_day=one_day), seed=1).report["alone"]
    assert len(alone) == 18
    assert max(alone.values()) < IMPLAUSIBLE - (0.01 if one_day else 0.2)


def test_no_alarm_in_a_mail_test(shared_data: Path) -> None:
    """Half of Hillstrom's mailing: what was known of customers before; who visited and bought is a leak."""
    people = pd.read_csv(shared_data / "data" / "hillstrom" / "half_A.csv.gz")
    mailed = people[people["segment"] != "No E-Mail"].reset_index(drop=True)
    ids = mailed["row_id"].astype(str)
    known = mailed.drop(columns=["row_id", "segment", "visit", "conversion", "spend"])
    history = pd.DataFrame(
        {"customer_id": ids, "offer_id": mailed["segment"], "channel": "email", "date": -14}
    )
    history["outcome"] = np.where(mailed["visit"] == 1, "responded", "delivered")
    from market import read

    def tables(customers: pd.DataFrame):  # type: ignore[no-untyped-def]
        return read(
            customers=customers.assign(customer_id=ids), history=history,
            offers=pd.DataFrame({"offer_id": sorted(set(mailed["segment"]))}),
            channels=pd.DataFrame({"channel": ["email"]}),
        )  # fmt: skip

    assert max(fit(tables(known)).report["alone"].values()) < 0.65
    with pytest.raises(BadInput) as told:
        fit(tables(known.assign(spend=mailed["spend"])))
    assert [fault.column for fault in told.value.faults] == ["spend"]

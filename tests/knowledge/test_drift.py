from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bank_calls import bank
from market import Market
from scipy.stats import binom

from omniopt.knowledge import fit
from omniopt.knowledge.drift import drift, recalibration_in_words, warnings


def contacts(days: list[int], responses: list[int], offers: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame({"date": days, "response": np.array(responses, bool), "offer_id": offers})
    return frame.assign(channel="mail")


def test_cells_by_hand() -> None:
    table = drift(
        np.array([0.5, 0.1, 0.3, 0.1]), contacts([-1, -30, -31, -61], [1, 0, 0, 1], ["x", "x", "y", "y"])
    )
    rows = table[["by", "cell", "contacts", "responses", "predicted_rate", "rate"]].values.tolist()
    assert rows == [
        ["all", "all", 4, 2, pytest.approx(0.25), 0.5],
        ["month", "-90", 1, 1, pytest.approx(0.1), 1.0],
        ["month", "-60", 1, 0, pytest.approx(0.3), 0.0],
        ["month", "-30", 2, 1, pytest.approx(0.3), 0.5],
        ["offer", "x", 2, 1, pytest.approx(0.3), 0.5],
        ["offer", "y", 2, 1, pytest.approx(0.2), 0.5],
        ["channel", "mail", 4, 2, pytest.approx(0.25), 0.5],
    ]
    assert not table["drifted"].any()  # four contacts prove nothing
    assert warnings(table) == []


def test_what_chance_explains_is_no_drift() -> None:
    """With the true probabilities hardly any report in a hundred has a drifted cell."""
    rng = np.random.default_rng(1)
    n, alarms = 3000, 0
    for _ in range(60):
        p = rng.uniform(0.02, 0.3, n)
        frame = contacts(
            list(rng.integers(-300, 0, n)), list(rng.random(n) < p), list(rng.choice(["x", "y"], n))
        )
        alarms += bool(drift(p, frame)["drifted"].any())
    assert alarms <= binom.isf(0.001, 60, 0.01)


def test_a_small_but_certain_difference_is_no_drift_to_act_on() -> None:
    y = np.arange(100_000) % 10 == 0
    frame = contacts([-1] * len(y), list(y), ["x"] * len(y))
    assert not drift(np.full(len(y), 0.11), frame)["drifted"].any()
    assert drift(np.full(len(y), 0.13), frame)["drifted"].all()


def test_the_offer_that_drifted_is_named() -> None:
    y = np.r_[np.arange(2000) % 4 == 0, np.arange(2000) % 10 == 0]
    frame = contacts([-1] * 4000, list(y), ["x"] * 2000 + ["y"] * 2000)
    said = warnings(drift(np.full(4000, 0.175), frame))
    assert said == [
        "response to offer x has drifted: predicted 17.5 %, actual 25.0 % (23.2 % to 26.9 %)",
        "response to offer y has drifted: predicted 17.5 %, actual 10.0 % (8.8 % to 11.4 %)",
    ]


def test_a_market_that_stays_as_it_is_raises_no_warning(market: Market) -> None:
    report = fit(market.tables()).report
    assert report["warnings"] == []
    assert report["recalibration"] == {}
    assert set(report["drift"]["by"]) == {"all", "month", "offer", "channel"}


def test_recalibration_on_the_newest_fifth_catches_a_lasting_change() -> None:
    """Response triples at day -50, the last of the earlier period, which is in its newest fifth."""
    market = Market(1500, seed=4)
    history = market.history.copy()
    customer = history["customer_id"].str[1:].astype(int).to_numpy()
    offer = (history["offer_id"] == "old b").to_numpy()
    p = market.p(customer, offer, (history["channel"] == "email").to_numpy())
    risen = np.minimum(3 * p, 0.95)
    rng = np.random.default_rng(8)
    new = (history["date"] >= -50).to_numpy()
    answered = rng.random(len(p)) < np.where(new, risen, p)
    history["outcome"] = np.where(answered, "responded", "delivered")
    report = fit(market.tables(history=history)).report
    again = report["recalibration"]
    assert report["warnings"]
    assert again["halved"] == (again["error_recalibrated"] <= again["error"] / 2)
    assert again["halved"]
    assert "halves the error of the mean" in report["warnings"][-1]


def test_without_enough_to_try_it_says_so() -> None:
    assert recalibration_in_words({}) == [
        "whether recalibrating helps cannot be said: the newest fifth holds too few responses"
    ]


def test_the_calls_of_a_bank_drift(shared_data: Path) -> None:
    """Of the last 30 % of calls 24 % were answered, which the first 70 % could not tell."""
    report = fit(bank(shared_data), seed=1).report
    whole = report["drift"].iloc[0]
    assert whole["drifted"]
    assert whole["predicted_rate"] < whole["low"]
    again = report["recalibration"]
    assert any(line.startswith("response has drifted") for line in report["warnings"])
    assert ("halves" if again["halved"] else "cannot halve") in report["warnings"][-1]

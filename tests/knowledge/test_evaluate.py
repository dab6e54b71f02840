from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from omniopt.errors import BadInput
from omniopt.knowledge.evaluate import auc, calibration, compare, interval, join, log_loss

SCORES = pd.DataFrame(
    {
        "customer_id": ["1", "2", "3", "4", "1", "2"],
        "offer_id": ["x", "x", "x", "x", "y", "y"],
        "channel": "mail",
        "p_response": [0.9, 0.5, 0.4, 0.2, 0.1, 0.1],
    }
)
OUTCOMES = pd.DataFrame(
    [
        ("1", "x", "mail", "responded"),
        ("2", "x", "mail", "delivered"),
        ("3", "x", "mail", "responded"),
        ("4", "x", "mail", "bounced"),
        ("9", "x", "mail", "responded"),  # no score
        ("1", "y", "mail", "sent"),
        ("2", "y", "mail", "rejected"),
    ],
    columns=["customer_id", "offer_id", "channel", "outcome"],
)


def test_auc_by_hand() -> None:
    assert auc([0.9, 0.5, 0.4], [True, False, True]) == 0.5
    assert auc([0.9, 0.4, 0.5], [True, False, True]) == 1.0
    assert auc([0.5, 0.5], [True, False]) == 0.5
    assert math.isnan(auc([0.1, 0.2], [True, True]))
    assert math.isnan(auc([], []))


def test_auc_against_all_pairs() -> None:
    rng = np.random.default_rng(1)
    p, y = rng.integers(0, 6, 80) / 6, rng.random(80) < 0.3
    pairs = np.sign(p[y][:, None] - p[~y][None, :])
    assert auc(p, y) == pytest.approx(((pairs + 1) / 2).mean())


def test_log_loss_by_hand() -> None:
    assert log_loss([0.5, 0.25], [True, False]) == pytest.approx((math.log(2) - math.log(0.75)) / 2)
    assert math.isnan(log_loss([], []))


@pytest.mark.parametrize(("yes", "n"), [(0, 7), (3, 40), (40, 40), (604, 3647)])
def test_interval_is_wilsons(yes: int, n: int) -> None:
    low, high = interval([yes], [n])
    other = binomtest(yes, n).proportion_ci(0.95, method="wilson")
    assert low[0] == pytest.approx(other.low, abs=1e-12)
    assert high[0] == pytest.approx(other.high, abs=1e-12)


def test_interval_of_nothing_is_everything() -> None:
    assert [float(end[0]) for end in interval([0], [0])] == [0.0, 1.0]


def test_calibration_groups_by_hand() -> None:
    p = [0.1, 0.1, 0.2, 0.2, 0.6, 0.8]
    table = calibration(p, [False, False, False, True, True, True], bins=3)
    assert table["contacts"].to_list() == [2, 2, 2]
    assert table["responses"].to_list() == [0, 1, 2]
    assert table["predicted_rate"].to_list() == pytest.approx([0.1, 0.2, 0.7])
    assert table["rate"].to_list() == [0.0, 0.5, 1.0]


def test_equal_scores_share_a_group() -> None:
    table = calibration(np.full(50, 0.2), np.arange(50) < 10, bins=10)
    assert table["contacts"].to_list() == [50]
    assert table["rate"].to_list() == [0.2]
    assert calibration([], []).empty


def test_compare_by_hand() -> None:
    table = compare(SCORES, OUTCOMES).set_index("offer_id")
    assert table.loc["x", ["contacts", "unscored", "responses"]].to_list() == [3, 1, 2]
    assert table.loc["x", "predicted"] == pytest.approx(1.8)
    assert table.loc["x", "rate"] == pytest.approx(2 / 3)
    assert table.loc["x", "auc"] == 0.5
    assert table.loc["y", ["contacts", "unscored", "responses"]].to_list() == [1, 0, 0]
    assert table.loc["all", ["contacts", "unscored", "responses"]].to_list() == [4, 1, 2]
    assert table.loc["all", "predicted"] == pytest.approx(1.9)
    assert table["within"].all()


def test_compare_says_when_a_prediction_was_off() -> None:
    people = np.arange(400).astype(str)
    scores = pd.DataFrame({"customer_id": people, "offer_id": "x", "channel": "mail", "p_response": 0.4})
    outcomes = scores.assign(outcome=np.where(np.arange(400) < 80, "responded", "delivered"))
    table = compare(scores, outcomes.drop(columns="p_response"))
    assert table["within"].to_list() == [False, False]
    assert (table["high"] < 0.25).all()


def test_compare_without_a_single_match() -> None:
    table = compare(SCORES.assign(channel="email"), OUTCOMES)
    assert table["contacts"].to_list() == [0, 0, 0]
    assert table["within"].isna().all()
    empty = compare(SCORES, OUTCOMES.iloc[:0])
    assert empty[["offer_id", "contacts"]].to_numpy().tolist() == [["all", 0]]


def test_join_keeps_repeats_and_leaves_planned_out() -> None:
    twice = pd.concat([OUTCOMES.assign(date=1), OUTCOMES.assign(date=2)]).assign(planned=False)
    twice.iloc[0, twice.columns.get_loc("planned")] = True
    assert len(join(SCORES, twice)) == 9
    assert join(SCORES, twice)["p_response"].isna().sum() == 2


def test_missing_columns_are_named_together() -> None:
    with pytest.raises(BadInput) as caught:
        compare(SCORES.drop(columns="p_response"), OUTCOMES.drop(columns=["channel", "outcome"]))
    said = str(caught.value)
    assert all(words in said for words in ("'p_response'", "'channel'", "'outcome'"))

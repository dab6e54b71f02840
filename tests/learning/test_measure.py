"""Measured effects: against hand and library, in strata, by household, with several parts compared."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from omniopt.errors import Faults
from omniopt.learning.measure import (
    Arms,
    _skewed,
    _unskewed,
    arms_of,
    compared,
    difference,
    effects,
    split_as_planned,
)
from omniopt.learning.outcomes import checked


def arms(treated: list[bool] | np.ndarray, stratum: object = "", weight: float = 1.0) -> Arms:
    side = np.asarray(treated, bool)
    strata = np.full(len(side), stratum, object) if isinstance(stratum, str) else np.asarray(stratum, object)
    ids = pd.Index([f"c{i:04d}" for i in range(len(side))])
    return Arms(ids, side, strata, np.full(len(side), weight))


def experiment(treated: np.ndarray, offer: str = "", share: float = 0.2, **columns: object) -> pd.DataFrame:
    frame = {"customer_id": [f"c{i:04d}" for i in range(len(treated))], "offer_id": offer}
    frame |= {"arm": np.where(treated, "treated", "control"), "stratum": ""}
    frame |= {"probability": np.where(treated, 1 - share, share)}
    return pd.DataFrame(frame | columns)


def outcomes(**columns: object) -> pd.DataFrame:
    faults = Faults()
    rows = checked(pd.DataFrame({"date": 1, "outcome": "responded", **columns}), None, faults)
    assert not faults
    return rows


def test_by_hand_two_strata() -> None:
    """North: 20 of 40 against 5 of 10. South: 8 of 20 against 0 of 20. So 0 and 0.4, weighed 5 : 4."""
    side = np.repeat([True, False, True, False], [40, 10, 20, 20])
    y = np.concatenate([np.arange(40) < 20, np.arange(10) < 5, np.arange(20) < 8, np.zeros(20)])
    found = difference(y, arms(side, np.repeat(["north", "south"], [50, 40])))
    assert found["effect"] == pytest.approx(0.4 * 40 / 90)
    assert found["mean_treated"] == pytest.approx((0.5 * 50 + 0.4 * 40) / 90)
    assert found["total"] == pytest.approx(0.4 * 40 / 90 * 60)
    assert (found["treated"], found["control"]) == (60, 30)
    assert found["low"] < found["effect"] < found["high"]


@given(st.lists(st.floats(-5, 5), min_size=24, max_size=60), st.integers(10, 14))
def test_one_stratum_is_the_test_of_welch(values: list[float], control: int) -> None:
    """On values that are not skewed: each stands there with its opposite."""
    half = np.array(values) + np.arange(len(values)) / 7
    y, side = np.concatenate([half, -half]), np.tile(np.arange(len(half)) >= control, 2)
    y += 0.5 * side
    found = difference(y, arms(side))
    welch = ttest_ind(y[side], y[~side], equal_var=False)
    assert found["p"] == pytest.approx(welch.pvalue, abs=1e-9)
    low, high = welch.confidence_interval()
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=1e-6)


def test_an_early_look_has_the_wider_interval_and_the_larger_p() -> None:
    rng = np.random.default_rng(0)
    y, side = rng.normal(size=400), np.arange(400) >= 100
    usual, early = difference(y, arms(side)), difference(y, arms(side), 2.96)
    assert early["high"] - early["low"] > 1.5 * (usual["high"] - usual["low"])
    assert early["p"] > usual["p"]
    for shift in np.linspace(0, 1, 21):
        found = difference(y + shift * side, arms(side), 2.96)
        assert (found["p"] < 0.05) == (found["low"] > 0 or found["high"] < 0)


def test_too_few_are_not_compared_and_small_strata_are_taken_together() -> None:
    nine = difference(np.ones(30), arms(np.arange(30) >= 9))
    assert np.isnan(nine["effect"]) and nine["control"] == 9
    strata = np.array(["big"] * 60 + ["a"] * 12 + ["b"] * 12, object)
    side = np.tile([True, False], 42)
    y = (np.arange(84) % 3 == 0).astype(float)
    together = np.where(strata == "big", "big", "small").astype(object)
    assert difference(y, arms(side, strata)) == pytest.approx(difference(y, arms(side, together)))


def test_nobody_responded_is_no_certainty() -> None:
    found = difference(np.zeros(200), arms(np.arange(200) >= 50))
    assert found["effect"] == 0 and found["low"] < -0.01 and found["high"] > 0.01
    assert found["p"] == 1.0


def test_households_count_as_one_draw() -> None:
    """Each customer twice, as two members of a household: the interval stays as wide as with one."""
    rng = np.random.default_rng(1)
    treated = rng.random(400) > 0.3
    y = rng.normal(size=400) + 0.1 * treated
    once = difference(y, arms_of(experiment(treated, share=0.3)))
    twice = experiment(np.repeat(treated, 2), share=0.3)
    home = pd.Series(np.repeat(np.arange(400), 2).astype(str), twice["customer_id"])
    double = difference(np.repeat(y, 2), arms_of(twice, household=home))
    assert double["error"] == pytest.approx(once["error"], rel=1e-9)
    alone = difference(np.repeat(y, 2), arms_of(twice))
    assert alone["error"] < 0.75 * double["error"]
    # households that are in both arms were not drawn as a whole
    mixed = pd.Series(np.arange(800).astype(str), twice["customer_id"])
    mixed.iloc[:] = [str(k % 7) for k in range(800)]
    assert difference(np.repeat(y, 2), arms_of(twice, household=mixed))["error"] == alone["error"]


def test_unequal_chances_within_a_stratum_are_weighed() -> None:
    """Who was held out more often counts less: with two kinds, half each, both means are in between."""
    kind = np.repeat([0, 1], 400)
    treated = np.concatenate([np.arange(400) < 300, np.arange(400) < 100])
    chance = np.where(kind == 0, 0.75, 0.25)
    table = experiment(treated, probability=np.where(treated, chance, 1 - chance))
    found = difference(kind.astype(float), arms_of(table))
    assert (found["mean_treated"], found["mean_control"]) == pytest.approx((0.5, 0.5))


def test_parts_add_up_and_say_how_many_they_are() -> None:
    rng = np.random.default_rng(5)
    treated = rng.random(600) > 0.25
    ids = np.array([f"c{i:04d}" for i in range(600)])
    who = ids[rng.random(600) < 0.2 + 0.2 * treated]
    answers = outcomes(
        customer_id=who,
        offer_id=rng.choice(["card", "loan"], len(who)),
        channel=rng.choice(["mail", "shop"], len(who)),
        value=rng.gamma(2, 5, len(who)),
    )
    plan = pd.DataFrame({"customer_id": ids[treated], "offer_id": "card", "channel": "mail", "cost": 1.0})
    units = pd.DataFrame({"offer_id": ["card", "loan"], "business_unit": ["retail", "lending"]})
    people = pd.DataFrame({"customer_id": ids, "age": np.arange(600) % 3})
    table = experiment(treated, stratum=np.where(np.arange(600) % 2, "odd", "even"))
    found = effects(table, answers, plan, units, people, ("age",)).set_index(["scope", "name", "metric"])
    whole = found.loc[("all", "all", "money"), "effect"]
    for scope in ("offer", "channel", "department"):
        assert found.loc[scope].xs("money", level="metric")["effect"].sum() == pytest.approx(whole)
    segments = found.loc["segment"].index.get_level_values(0).unique()
    assert list(segments) == ["even", "odd", "age: 0", "age: 1", "age: 2"]
    assert compared(found.reset_index()) == len(found) - 2
    parts = found[found.index.get_level_values(0) != "all"]
    assert (parts["p_adjusted"] >= parts["p"]).all()
    assert parts["p_adjusted"].min() == pytest.approx(min(parts["p"].min() * len(parts), 1))
    assert found.loc[("all", "all", "money"), "p_adjusted"] == found.loc[("all", "all", "money"), "p"]


def test_the_cost_of_the_contacts_is_taken_off_the_treated() -> None:
    treated = np.arange(100) >= 30
    ids = [f"c{i:04d}" for i in range(100)]
    plan = pd.DataFrame({"customer_id": ids[30:], "offer_id": "card", "channel": "mail", "cost": 2.0})
    answers = outcomes(customer_id=ids, offer_id="card", value=10.0)
    found = effects(experiment(treated), answers, plan).set_index(["scope", "metric"])
    assert found.loc[("all", "money"), "effect"] == -2
    assert found.loc[("all", "response"), "effect"] == 0
    without = effects(experiment(treated), answers.drop(columns="value"), plan)
    assert set(without["metric"]) == {"response"}


def test_the_control_group_of_an_offer_leaves_out_who_gets_nothing_at_all() -> None:
    treated, offer = np.arange(200) >= 20, np.arange(200) % 4 > 0
    table = pd.concat([experiment(treated), experiment(offer, offer="loan", share=0.25)])
    found = effects(table, outcomes(customer_id=["c0100"], offer_id="loan"), pd.DataFrame(
        columns=["customer_id", "offer_id", "channel", "cost"])).set_index("scope")  # fmt: skip
    row = found.loc["offer's own control"]
    assert (row["name"], row["treated"], row["control"]) == ("loan", 135, 45)


def test_the_order_of_rows_changes_nothing() -> None:
    rng = np.random.default_rng(2)
    treated = rng.random(300) > 0.3
    table = experiment(treated, stratum=rng.choice(["a", "b"], 300))
    answers = outcomes(customer_id=[f"c{i:04d}" for i in range(0, 300, 3)], value=rng.random(100))
    plan = pd.DataFrame({"customer_id": ["c0299"], "offer_id": "x", "channel": "m", "cost": 0.5})
    first = effects(table, answers, plan)
    second = effects(table.sample(frac=1, random_state=1), answers.sample(frac=1, random_state=2), plan)
    pd.testing.assert_frame_equal(first, second, rtol=1e-12)


def test_a_split_that_is_not_as_planned_is_noticed() -> None:
    rng = np.random.default_rng(4)
    treated = rng.random(20_000) > 0.2
    assert split_as_planned(experiment(treated, share=0.2)) > 0.001
    lost = experiment(treated, share=0.2)
    lost = lost[(lost["arm"] == "treated") | (np.arange(20_000) % 8 > 0)]
    assert split_as_planned(lost) < 1e-6


def test_intervals_of_skewed_values_reach_further_to_where_the_few_large_ones_are() -> None:
    rng = np.random.default_rng(8)
    side = np.arange(900) >= 100
    y = np.where(rng.random(900) < 0.15, rng.lognormal(3, 1, 900), 0.0)
    found = difference(y, arms(side))
    # The small arm decides: what it has too few of are the large values, so its mean may well be higher.
    assert found["effect"] - found["low"] > found["high"] - found["effect"]


def test_the_correction_for_skewness_and_its_inverse() -> None:
    for skewness in (-0.3, 0.0, 1e-7, 0.2):
        for score in (-2.5, 0.0, 1.96):
            assert _unskewed(_skewed(score, skewness), skewness) == pytest.approx(score, abs=1e-6)
    assert _skewed(2.0, 0.3) > 2.0

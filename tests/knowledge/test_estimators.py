from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bank_calls import bank
from market import Market

from omniopt.errors import BadInput, Faults
from omniopt.knowledge import fit
from omniopt.knowledge.estimators import pipeline
from omniopt.knowledge.stream import write_scores
from omniopt.project.file import validated
from omniopt.project.response import ESTIMATORS, Response
from omniopt.tables import read_parquet


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_and_option_that_may_be_named_is_one(name: str) -> None:
    made = pipeline(["category", "offer", "channel"], Response(estimator=name))[-1]
    assert set(ESTIMATORS[name]) <= set(made.get_params())


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_learns_the_market(market: Market, name: str) -> None:
    shuffled = market.history.sample(frac=1, random_state=1)
    one = fit(market.tables(), response=Response(estimator=name))
    other = fit(market.tables(history=shuffled), seed=5, response=Response(estimator=name))
    assert one.report["estimator"] == name
    assert one.report["auc"] > 0.65
    table = one.score()
    assert table["p_response"].between(0, 1, inclusive="neither").all()
    pd.testing.assert_frame_equal(table, other.score(), check_exact=True)


def read_response(response: object) -> None:
    raw = {"version": 1, "name": "m", "tables": {"customers": "c.csv"}, "policy": {}, "response": response}
    validated(raw, "omniopt.yaml", Faults())


@pytest.mark.parametrize(
    ("response", "said"),
    [
        ({"estimator": "random_forrest"}, "did you mean 'random_forest'"),
        ({"estimator": 3}, "response.estimator"),
        ({"estimater": "logistic"}, "the key 'estimater' is unknown. Did you mean 'estimator'"),
        ({"options": {"c": 1}}, "logistic has no option 'c', did you mean 'C'"),
        ({"options": {"C": 0}}, "C is a number above 0"),
        ({"options": {"C": True}}, "C is a number above 0"),
        ({"estimator": "random_forest", "options": {"max_features": 2}}, "at most 1"),
        (
            {"estimator": "random_forest", "options": {"n_estimators": 1.5, "depth": 3}},
            "whole number from 1 to 10000",
        ),
        ({"estimator": "random_forest", "options": {"n_estimators": 1.5, "depth": 3}}, "no option 'depth'"),
    ],
)
def test_a_model_that_cannot_be_made_is_told_with_what_can(response: object, said: str) -> None:
    with pytest.raises(BadInput) as told:
        read_response(response)
    assert said.lower() in str(told.value).lower()
    assert "omniopt.yaml" in str(told.value)


def test_options_reach_the_estimator(market: Market) -> None:
    weak = fit(market.tables(), response=Response(options={"C": 1e-6}))
    assert np.abs(weak.pipeline[-1].coef_).max() < 1e-2


def test_a_column_to_leave_out_that_is_not_there_is_named(market: Market) -> None:
    with pytest.raises(BadInput, match="customers, column agee: .* [Dd]id you mean 'age'"):
        fit(market.tables(), response=Response(without=("agee",)))


@pytest.mark.parametrize("key", ["without", "known_before"])
def test_an_id_is_no_attribute_to_leave_out_or_to_vouch_for(market: Market, key: str) -> None:
    with pytest.raises(BadInput, match="names 'customer_id' under response, and customers have no such attr"):
        fit(market.tables(), response=Response(**{key: ("customer_id",)}))


@pytest.mark.parametrize("name", ["logistic", "gradient_boosting"])
def test_calls_of_a_bank_on_a_random_split(shared_data: Path, name: str) -> None:
    """A baseline without duration has 0.783."""
    report = fit(bank(shared_data, one_day=True), seed=1, response=Response(estimator=name)).report
    assert report["split"] == "by customer"
    assert report["auc"] >= 0.78


def test_lots_are_written_as_they_are_scored(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omniopt.knowledge.response.LOT", 400)
    model = fit(market.tables())
    rows = write_scores(model, tmp_path / "scores.parquet")
    assert rows == 1500 * 4 * 2
    pd.testing.assert_frame_equal(read_parquet(tmp_path / "scores.parquet"), model.score(), check_exact=True)
    monkeypatch.setattr("omniopt.knowledge.response.LOT", 1 << 16)
    np.testing.assert_allclose(
        model.score()["p_response"], read_parquet(tmp_path / "scores.parquet")["p_response"]
    )
    assert [path.name for path in tmp_path.iterdir()] == ["scores.parquet"]


def test_an_interrupted_writing_leaves_the_older_file(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fit(market.tables())
    (tmp_path / "scores.parquet").write_text("older")

    def broken(_: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr("omniopt.knowledge.response.ResponseModel.lots", broken)
    with pytest.raises(KeyboardInterrupt):
        write_scores(model, tmp_path / "scores.parquet")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["older"]

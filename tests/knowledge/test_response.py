from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from market import Market

from omniopt.errors import BadInput
from omniopt.knowledge import fit, scores
from omniopt.knowledge.evaluate import auc, calibration
from omniopt.project.response import Response
from omniopt.tables import Tables


@pytest.fixture(scope="module")
def model(market: Market):  # type: ignore[no-untyped-def]
    return fit(market.tables(), seed=1)


def test_scores_come_near_the_true_probabilities(market: Market, model) -> None:  # type: ignore[no-untyped-def]
    table = model.score()
    assert list(table) == ["customer_id", "offer_id", "channel", "p_response"]
    assert len(table) == 1500 * 4 * 2
    assert table["p_response"].between(0, 1).all()
    order = table[["customer_id", "offer_id", "channel"]]
    pd.testing.assert_frame_equal(order, order.sort_values(list(order), ignore_index=True))
    customer = table["customer_id"].str[1:].astype(int).to_numpy()
    truth = market.p(customer, table["offer_id"].str.endswith("b"), (table["channel"] == "email").to_numpy())
    assert np.corrcoef(truth, table["p_response"])[0, 1] > 0.97
    assert np.abs(truth - table["p_response"]).mean() < 0.03
    by_cell = table.assign(truth=truth).groupby(["offer_id", "channel"])[["truth", "p_response"]].mean()
    assert (by_cell["truth"] - by_cell["p_response"]).abs().max() < 0.03


def test_a_new_offer_starts_from_its_category(model) -> None:  # type: ignore[no-untyped-def]
    means = model.score().groupby(["offer_id", "channel"])["p_response"].mean().unstack()
    assert means.loc["new b", "mail"] == pytest.approx(means.loc["old b", "mail"], rel=0.15)
    assert means.loc["new b", "mail"] > 1.5 * means.loc["new a", "mail"]
    offers = model.report["offers"].set_index("offer_id")
    assert offers.loc["new a", "contacts"] == 0
    assert offers.loc["new a", "category_contacts"] == offers.loc["old a", "contacts"] > 1000


def test_report_tells_periods_and_counts(market: Market, model) -> None:  # type: ignore[no-untyped-def]
    report = model.report
    trained, later = report["trained"], report["calibrated"]
    assert report["split"] == "by date"
    assert (trained["from"], trained["to"], later["from"], later["to"]) == (-120, -50, -40, -10)
    assert trained["contacts"] + later["contacts"] == report["contacts"] == 1500 * 12
    answered = market.history["outcome"] == "responded"
    assert trained["responses"] == answered[market.history["date"] <= -50].sum()
    assert later["responses"] == answered[market.history["date"] > -50].sum()
    assert later["method"] == ("isotonic" if later["responses"] >= 1000 else "sigmoid")
    assert report["calibration"]["contacts"].sum() == later["contacts"]
    assert report["left_out"] == {"outcome not known": 0, "most outcomes not known yet": 0}
    assert report["attributes"] == report["attributes_of_today"] == ["age", "region"]
    assert 0.65 < report["auc"] < 0.8
    assert report["log_loss"] < report["log_loss_constant"]
    json.dumps({k: v for k, v in report.items() if not isinstance(v, pd.DataFrame)})


@pytest.mark.parametrize("change", ["shuffled rows", "another seed"])
def test_scores_do_not_depend_on(market: Market, model, change: str) -> None:  # type: ignore[no-untyped-def]
    if change == "another seed":
        other = fit(market.tables(), seed=99).score()
    else:
        frames = {
            name: getattr(market, name).sample(frac=1, random_state=i)
            for i, name in enumerate(("customers", "offers", "channels", "history"))
        }
        again = fit(market.tables(**frames), seed=1)
        assert again.report["auc"] == model.report["auc"]
        other = again.score()
    pd.testing.assert_frame_equal(model.score(), other, check_exact=True)


def test_threads_and_hash_seed_change_no_bit(market: Market, tmp_path: Path) -> None:
    for name in ("customers", "offers", "channels", "history"):
        getattr(market, name).to_parquet(tmp_path / f"{name}.parquet")
    code = """
import hashlib, sys
import pandas as pd
from omniopt.errors import Faults
from omniopt.knowledge import fit
from omniopt.tables import read_tables

names = ["customers", "offers", "channels", "history"]
frames = {name: pd.read_parquet(f"{sys.argv[1]}/{name}.parquet") for name in names}
model = fit(read_tables(frames, None, None, {}, Faults()))
print(hashlib.sha256(model.score()["p_response"].to_numpy().tobytes()).hexdigest(), model.report["auc"])
"""
    said = {
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ
            | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "PYTHONHASHSEED": seed},
        ).stdout
        for threads, seed in (("1", "1"), ("4", "2"))
    }
    assert len(said) == 1


def test_a_label_cannot_reach_its_own_features(market: Market) -> None:
    """Were a contact's own outcome among its features, responses drawn at random could be predicted."""
    rng = np.random.default_rng(3)
    random = np.where(rng.random(len(market.history)) < 0.2, "responded", "delivered")
    model = fit(market.tables(history=market.history.assign(outcome=random)), seed=0)
    assert abs(model.report["auc"] - 0.5) < 0.04
    assert model.report["log_loss"] < model.report["log_loss_constant"] + 0.002


def test_later_responses_do_not_reach_earlier_training(market: Market) -> None:
    """The regression is trained on the earlier period: what the later one holds must not move it."""
    later = market.history["date"] > -50
    turned = market.history["outcome"].map({"responded": "delivered", "delivered": "responded"})
    turned = market.history.assign(outcome=market.history["outcome"].where(~later, turned))
    one, two = (fit(market.tables(history=h)).pipeline[-1] for h in (market.history, turned))
    np.testing.assert_array_equal(one.coef_, two.coef_)
    np.testing.assert_array_equal(one.intercept_, two.intercept_)


def test_attributes_are_learnt_as_they_were_at_the_contact() -> None:
    """Visits of today are caused by the response; those at the contact say nothing about it."""
    small = Market(600, seed=2)
    answered = small.history["outcome"] == "responded"
    visits = answered.groupby(small.history["customer_id"]).sum().reindex(small.customers["customer_id"])
    rng = np.random.default_rng(0)
    customers = small.customers[["customer_id"]].assign(visits=visits.to_numpy())
    then = small.history.assign(visits=rng.poisson(2.0, len(small.history)))
    naive = fit(small.tables(customers=customers), response=Response(known_before=("visits",)))
    honest = fit(small.tables(customers=customers, history=then))
    assert naive.report["attributes_of_today"] == ["visits"]
    assert honest.report["attributes_of_today"] == []
    assert naive.report["auc"] > honest.report["auc"] + 0.05


def test_calibration_follows_a_change_of_level(market: Market) -> None:
    """In the later period the odds of a response are three times as high as the earlier one can know."""
    history = market.history.copy()
    later = (history["date"] > -50).to_numpy()
    customer = history["customer_id"].str[1:].astype(int).to_numpy()
    p = market.p(customer, history["offer_id"] == "old b", history["channel"] == "email")[later]
    answered = np.random.default_rng(6).random(later.sum()) < 3 * p / (1 + 2 * p)
    history.loc[later, "outcome"] = np.where(answered, "responded", "delivered")
    report = fit(market.tables(history=history)).report
    assert report["calibrated"]["method"] == "isotonic"
    assert report["log_loss"] < report["log_loss_uncalibrated"] - 0.02
    table = report["calibration"]
    assert table["predicted_rate"].between(table["low"], table["high"]).mean() >= 0.7


def test_cells_without_a_response_or_a_contact() -> None:
    """Nobody answers offer b by email; on one channel there is a single contact. Neither stops anything."""
    small = Market(800, seed=7)
    silent = (small.history["offer_id"] == "old b") & (small.history["channel"] == "email")
    history = small.history.assign(outcome=small.history["outcome"].mask(silent, "delivered"))
    history.loc[0, "channel"] = "call"
    channels = pd.DataFrame({"channel": ["mail", "email", "call"]})
    table = fit(small.tables(history=history, channels=channels)).score()
    assert table["p_response"].between(1e-6, 1 - 1e-6).all()
    means = table.groupby(["offer_id", "channel"])["p_response"].mean().unstack()
    assert means.loc["old b", "email"] < means.loc["old b", "mail"]
    assert means.notna().all(axis=None)


def test_contacts_whose_outcome_is_not_known_do_not_train(market: Market, model) -> None:  # type: ignore[no-untyped-def]
    """The last mailing is still running: its first answers are in, the others may yet come."""
    running = market.history["date"] == -10
    early = market.history.assign(
        outcome=market.history["outcome"].mask(running & (market.history["outcome"] == "delivered"), "sent")
    )
    report = fit(market.tables(history=early)).report
    assert report["calibrated"]["to"] == -20
    answered = int((running & (market.history["outcome"] == "responded")).sum())
    assert report["left_out"] == {
        "outcome not known": 1500 - answered,
        "most outcomes not known yet": answered,
    }


def test_a_stray_sent_row_leaves_the_others_in(market: Market) -> None:
    history = market.history.copy()
    history.loc[[0, 5], "outcome"] = "sent"
    report = fit(market.tables(history=history)).report
    assert report["contacts"] == 1500 * 12 - 2


def test_one_day_alone_is_split_by_customer() -> None:
    day = Market(900, seed=8, rounds=1)
    report = fit(day.tables(), seed=3).report
    assert report["split"] == "by customer"
    assert report["trained"]["contacts"] == 600
    assert report["calibrated"]["contacts"] == 300


def test_a_channel_that_history_does_not_know(market: Market) -> None:
    channels = pd.DataFrame(
        {"channel": ["mail", "email", "app", "call"], "response_index": [None, None, 0.5, 90.0]}
    )
    table = fit(market.tables(channels=channels)).score()
    wide = table.pivot(index=["customer_id", "offer_id"], columns="channel", values="p_response")
    share = (market.history["channel"] == "mail").mean()
    known = share * wide["mail"] + (1 - share) * wide["email"]
    np.testing.assert_allclose(wide["app"], 0.5 * known)
    assert (wide["call"] <= 1).all()


@pytest.mark.parametrize("index", [None, [1.0, 1.0, None], [1.0, 1.0, -2.0]])
def test_a_channel_without_index_is_named(market: Market, index: list[float | None] | None) -> None:
    channels = pd.DataFrame({"channel": ["mail", "email", "app"]})
    if index:
        channels["response_index"] = index
    with pytest.raises(BadInput, match="channels, column response_index: .* channel 'app'"):
        fit(market.tables(channels=channels)).score()


def test_only_offers_of_the_actions_are_scored(market: Market) -> None:
    actions = pd.DataFrame({"action_id": ["1"], "offer_id": ["new a"], "channel": ["mail"]})
    table = fit(market.tables(actions=actions)).score()
    assert set(table["offer_id"]) == {"new a"}
    assert set(table["channel"]) == {"mail", "email"}  # email may be the fallback
    over = market.offers.assign(valid_to=[0, 1, None, 9])
    assert set(fit(market.tables(offers=over)).score()["offer_id"]) == {"old b", "new a", "new b"}


def test_attributes_of_every_kind() -> None:
    small = Market(400, seed=9)
    n = np.arange(400)
    customers = small.customers.assign(
        note=[f"free text {i}" for i in n],
        vip=n % 3 == 0,
        maybe=pd.Series([True, None] * 200, dtype="boolean"),
        empty=pd.Series([None] * 400, dtype="float64"),
        constant=7,
        recency=n / 7.0,  # called as a column of the profile
        town=pd.Series(["Ulm", None] * 200),
    )
    customers.loc[::5, "age"] = None
    report = fit(small.tables(customers=customers)).report
    assert report["attributes_left_out"] == ["note"]
    assert set(report["attributes"]) == {
        "age",
        "region",
        "vip",
        "maybe",
        "empty",
        "constant",
        "recency",
        "town",
    }


def test_an_attribute_of_two_kinds_is_named() -> None:
    small = Market(50, seed=9)
    with pytest.raises(BadInput, match="history, column age: it holds text here"):
        fit(small.tables(history=small.history.assign(age="old")))


HISTORIES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "only responses": lambda h: h.assign(outcome="responded"),
    "no response": lambda h: h.assign(outcome="delivered"),
    "nine responses": lambda h: h.assign(outcome=["responded"] * 9 + ["delivered"] * (len(h) - 9)),
    "nothing known": lambda h: h.assign(outcome="sent"),
    "nothing received": lambda h: h.assign(outcome="bounced"),
    "all planned": lambda h: (
        h.assign(planned=True, date=5).drop(columns="outcome").drop_duplicates("customer_id")
    ),
}


@pytest.mark.parametrize("case", HISTORIES)
def test_a_history_that_cannot_train_is_refused_in_words(case: str) -> None:
    small = Market(100, seed=1)
    with pytest.raises(BadInput, match=r"history, column outcome: history cannot train a response model"):
        scores(small.tables(history=HISTORIES[case](small.history)))


def test_an_empty_history_is_refused_in_words() -> None:
    small = Market(20)
    with pytest.raises(BadInput, match="table history: a response model cannot be made"):
        scores(small.tables(history=small.history.iloc[:0]))
    with pytest.raises(BadInput, match="table customers: .*\n.*table history"):
        fit(Tables(offers=small.offers, channels=small.channels))


def test_given_scores_are_used_as_they_are(market: Market) -> None:
    given = pd.DataFrame(
        {"customer_id": ["c00001"], "offer_id": ["new a"], "channel": ["mail"], "p_response": [0.3]}
    )
    table, model = scores(market.tables(scores=given))
    assert model is None
    assert table["p_response"].to_list() == [0.3]


def test_without_attributes_and_categories_the_past_still_tells(market: Market) -> None:
    tables = market.tables(customers=market.customers[["customer_id"]], offers=market.offers[["offer_id"]])
    report = fit(tables).report
    assert report["attributes"] == []
    assert report["auc"] > 0.6
    assert report["offers"]["category"].to_list() == report["offers"]["offer_id"].to_list()


def test_real_calls_of_a_bank_calibrate(shared_data: Path, make: Callable[..., Tables]) -> None:
    """41,188 real calls, whose response drifts from 5 % to 24 %: only calibrated scores are usable."""
    calls = pd.read_csv(shared_data / "data" / "bank_marketing" / "bank-additional-full.csv.gz", sep=";")
    assert len(calls) == 41188
    person = pd.Series(np.arange(len(calls)).astype(str))
    told = [
        "age",
        "job",
        "marital",
        "education",
        "default",
        "housing",
        "loan",
        "pdays",
        "previous",
        "poutcome",
    ]
    history = pd.DataFrame({"customer_id": person, "offer_id": "deposit", "channel": calls["contact"]})
    history["date"] = (np.arange(len(calls)) - len(calls)) // 50
    history["outcome"] = np.where(calls["y"] == "yes", "responded", "delivered")
    tables = make(
        customers=calls[told].assign(customer_id=person),
        offers=pd.DataFrame({"offer_id": ["deposit"]}),
        channels=pd.DataFrame({"channel": ["cellular", "telephone"]}),
        history=history,
    )
    report = fit(tables, seed=1).report
    assert report["contacts"] == 41188
    assert report["responses"] == 4640
    assert report["calibrated"]["method"] == "isotonic"
    assert report["auc"] > 0.58
    assert report["log_loss"] < report["log_loss_uncalibrated"] - 0.1
    assert report["log_loss"] < report["log_loss_constant"] - 0.1
    table = report["calibration"]
    assert (table["predicted_rate"] - table["rate"]).abs().max() < 0.05


def test_real_offers_by_channel_with_empty_cells(shared_data: Path, make: Callable[..., Tables]) -> None:
    """9,134 insurance customers, 4 offers × 4 channels: six of the 16 cells hold no response at all."""
    file = (
        shared_data / "data" / "ibm_customer_value" / "WA_Fn-UseC_-Marketing-Customer-Value-Analysis.csv.gz"
    )
    people = pd.read_csv(file)
    history = people.rename(
        columns={"Customer": "customer_id", "Renew Offer Type": "offer_id", "Sales Channel": "channel"}
    )[["customer_id", "offer_id", "channel"]]
    history["outcome"] = np.where(people["Response"] == "Yes", "responded", "delivered")
    day = pd.to_datetime(people["Effective To Date"].str.replace("-", "/"), format="%m/%d/%y")
    history["date"] = (day - pd.Timestamp("2011-03-01")).dt.days
    cells = pd.crosstab(history["offer_id"], [history["channel"], history["outcome"]])
    assert (cells.xs("responded", axis=1, level=1) == 0).to_numpy().sum() == 6
    customers = people[["Customer", "Income", "Coverage", "EmploymentStatus"]].rename(
        columns={"Customer": "customer_id"}
    )
    model = fit(
        make(
            customers=customers,
            offers=history[["offer_id"]].drop_duplicates(),
            channels=history[["channel"]].drop_duplicates(),
            history=history,
        )
    )
    table = model.score()
    assert len(table) == 9134 * 16
    assert len(table[["offer_id", "channel"]].drop_duplicates()) == 16
    assert table["p_response"].between(0, 1, inclusive="neither").all()
    assert model.report["auc"] > 0.65
    assert model.report["log_loss"] < model.report["log_loss_constant"]
    joined = history.merge(table, on=["customer_id", "offer_id", "channel"])
    y = (joined["outcome"] == "responded").to_numpy()
    assert auc(joined["p_response"], y) > 0.65
    assert len(calibration(joined["p_response"], y)) > 5


def test_is_judged_by_contacts_on_channels_that_are_planned() -> None:
    """Visits to a shop, every one of them a response, are told from mails by their channel alone."""
    market = Market(600)
    visits = market.history.assign(channel="shop", outcome="responded")
    frames = {
        "history": pd.concat([market.history, visits], ignore_index=True),
        "channels": pd.DataFrame({"channel": ["mail", "email", "shop"]}),
    }
    actions = pd.DataFrame({"action_id": ["m", "e"], "offer_id": "new a", "channel": ["mail", "email"]})
    easy = fit(market.tables(**frames)).report
    fair = fit(market.tables(**frames, actions=actions)).report
    assert easy["judged"]["contacts"] == easy["calibrated"]["contacts"] == 2 * fair["judged"]["contacts"]
    assert easy["auc"] > 0.85 > 0.78 > fair["auc"] > 0.6
    assert fair["log_loss_constant"] < easy["log_loss_constant"]
    assert fair["calibration"]["contacts"].sum() == fair["judged"]["contacts"]

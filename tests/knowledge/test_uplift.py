"""Uplift is learnt from randomised experiments, judged by customers it did not see, and refused without."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market import read
from trial import PAST, Experiment

import omniopt as oo
from omniopt.audit import verify
from omniopt.errors import BadInput
from omniopt.knowledge import uplift
from omniopt.knowledge.experiments import balance, trials
from omniopt.knowledge.qini import Arms, deciles, difference, qini_curve


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return Experiment()


def arms(treated: list[int], response: list[int], weight: list[float] | None = None) -> Arms:
    n = len(treated)
    return Arms(
        np.array(treated, bool), np.array(response, bool), np.array(weight or [1.0] * n), np.arange(n)
    )


# ---- by hand


def test_the_difference_weighs_customers_by_their_chance_of_the_arm() -> None:
    """Treated: (2 · 1 + 6 · 0) / 8 = 0.25; control: one of two."""
    found = difference(arms([1, 1, 0, 0], [1, 0, 1, 0], [2, 6, 1, 1]))
    assert (found["rate_treated"], found["rate_control"], found["uplift"]) == (0.25, 0.5, -0.25)
    assert found["low"] < -0.25 < found["high"]


def test_newcombes_interval_is_the_published_one() -> None:
    """Newcombe 1998, table II, case (a), method 10: 56/70 against 48/80 is 0.2, from 0.0524 to 0.3339."""
    treated = [1] * 70 + [0] * 80
    found = difference(arms(treated, [1] * 56 + [0] * 14 + [1] * 48 + [0] * 32))
    assert [found[k] for k in ("uplift", "low", "high")] == pytest.approx([0.2, 0.0524, 0.3339], abs=5e-5)


def test_the_curve_of_eight_customers() -> None:
    """The upper half has 2 of 2 against 0 of 2 responses, all have 2 of 4 against 2 of 4."""
    curve, areas = qini_curve(
        np.array([8.0, 7, 6, 5, 4, 3, 2, 1]), arms([1, 0, 1, 0, 1, 0, 1, 0], [1, 0, 1, 0, 0, 1, 0, 1])
    )
    gain = curve.set_index(curve["share"].round(2))["gain"]
    assert (gain[0.0], gain[0.5], gain[1.0]) == (0.0, 0.5, 0.0)
    assert areas["auuc"] > 0 and areas["qini"] == areas["auuc"]
    back, worse = qini_curve(
        -np.array([8.0, 7, 6, 5, 4, 3, 2, 1]), arms([1, 0, 1, 0, 1, 0, 1, 0], [1, 0, 1, 0, 0, 1, 0, 1])
    )
    assert worse["auuc"] < 0 and back["gain"].iloc[10] == -0.5


def test_deciles_go_from_the_highest_prediction_down() -> None:
    found = deciles(np.array([1.0, 4, 2, 3]), arms([1, 1, 0, 0], [0, 1, 0, 0]), groups=2)
    assert found["predicted"].tolist() == [3.5, 1.5]
    assert found["uplift"].tolist() == [1.0, 0.0]
    assert (found["treated"] + found["control"]).tolist() == [2, 2]


rows = st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 5)), min_size=4, max_size=40).filter(
    lambda r: {True, False} == {row[0] for row in r}
)


@settings(max_examples=25)
@given(rows, st.randoms())
def test_the_order_of_rows_is_nothing(cells: list[tuple], random: Any) -> None:
    n = len(cells)
    treated, response, score = (np.array(column) for column in zip(*cells, strict=True))
    order = np.array(random.sample(range(n), n))
    one = Arms(treated, response, np.ones(n), np.arange(n))
    other = Arms(treated[order], response[order], np.ones(n), order)
    curve, areas = qini_curve(score.astype(float), one)
    again, same = qini_curve(score[order].astype(float), other)
    pd.testing.assert_frame_equal(curve, again)
    assert areas == same
    assert curve["gain"].iloc[-1] == pytest.approx(difference(one)["uplift"])


# ---- a known effect


@pytest.mark.parametrize("learner", ["t", "x"])
def test_the_known_effect_is_found(experiment: Experiment, learner: uplift.Learner) -> None:
    model = uplift.fit(experiment.tables(), 3, learner)
    said = model.report["x", None]
    assert said["effect"]["low"] < experiment.effect.mean() < said["effect"]["high"]
    assert said["areas"]["qini_low"] > 0
    scores = pd.DataFrame({"customer_id": experiment.ids, "offer_id": "x", "channel": "mail"})
    found = model.add(scores)["uplift"].to_numpy()
    assert np.corrcoef(found, experiment.effect)[0, 1] > 0.9
    assert found.mean() == pytest.approx(experiment.effect.mean(), abs=0.03)
    table = said["deciles"]
    assert table["uplift"].iloc[:3].mean() > 0.1 > -0.05 > table["uplift"].iloc[-3:].mean()


def test_noise_is_not_called_a_ranking() -> None:
    none = Experiment(seed=5, strength=0.0)
    areas = uplift.fit(none.tables()).report["x", None]["areas"]
    assert areas["qini_low"] < 0 < areas["qini_high"]


def test_a_small_control_group_counts_for_as_many_as_it_stands_for() -> None:
    experiment = Experiment(6000, seed=2, share=0.9)
    said = uplift.fit(experiment.tables()).report["x", None]
    assert said["effect"]["low"] < experiment.effect.mean() < said["effect"]["high"]


def test_shuffled_rows_give_the_same_bytes(experiment: Experiment) -> None:
    shuffled = experiment.tables(
        **{n: getattr(experiment, n).sample(frac=1, random_state=1, ignore_index=True)
           for n in ("customers", "experiments", "outcomes")}
    )  # fmt: skip
    scores = pd.DataFrame({"customer_id": experiment.ids, "offer_id": "x", "channel": "mail"})
    one, other = uplift.fit(experiment.tables(), 1), uplift.fit(shuffled, 1)
    pd.testing.assert_frame_equal(one.add(scores), other.add(scores))
    assert one.report["x", None]["areas"] == other.report["x", None]["areas"]


def test_what_the_experiment_holds_of_its_first_day_is_used(experiment: Experiment) -> None:
    """Today's age may have come about by the treatment; the experiment's own column has not."""
    drawn = experiment.experiments.assign(age=experiment.age)
    today = experiment.customers.assign(age=np.where(experiment.responded, 99.0, 1.0))
    said = uplift.fit(experiment.tables(experiments=drawn, customers=today)).report["x", None]
    assert said["of_today"] == ["region"] and said["areas"]["qini_low"] > 0


def test_what_comes_after_the_first_day_of_the_horizon_is_not_seen(experiment: Experiment) -> None:
    """Answers and experiments of the future are corrupted, and nothing changes."""
    later = pd.DataFrame({"customer_id": experiment.ids[::2], "date": 1, "outcome": "responded"})
    drawn = experiment.experiments.assign(date=2, arm=experiment.experiments["arm"].to_numpy()[::-1])
    one = uplift.fit(experiment.tables())
    other = uplift.fit(
        experiment.tables(
            outcomes=pd.concat([experiment.outcomes, later]),
            experiments=pd.concat([experiment.experiments, drawn]),
        )
    )
    scores = pd.DataFrame({"customer_id": experiment.ids, "offer_id": "x", "channel": "mail"})
    pd.testing.assert_frame_equal(one.add(scores), other.add(scores))
    bare = experiment.tables(outcomes=experiment.outcomes.drop(columns="outcome"))
    pd.testing.assert_frame_equal(one.add(scores), uplift.fit(bare).add(scores))
    assert "no treated row names an offer" in refused(experiment, experiments=drawn)


def test_missing_attributes_and_flags_are_values_of_their_own(experiment: Experiment) -> None:
    customers = experiment.customers.assign(vip=pd.Series(experiment.age < 30, dtype="boolean"))
    customers.loc[::7, "region"] = None
    customers.loc[::5, "age"] = np.nan
    customers.loc[::11, "vip"] = pd.NA
    model = uplift.fit(experiment.tables(customers=customers))
    assert model.report["x", None]["areas"]["qini_low"] > 0
    scores = pd.DataFrame({"customer_id": experiment.ids, "offer_id": "x", "channel": "mail"})
    found = model.add(scores)["uplift"]
    assert found.between(-1, 1).all() and found.nunique() > 1000


def test_outcomes_count_for_the_experiment_they_follow(experiment: Experiment) -> None:
    """One customer in two experiments: the answer between them is the first one's."""
    drawn = pd.concat([experiment.experiments, experiment.experiments.assign(date=-5)])
    (trial,) = trials(experiment.tables(experiments=drawn))
    by_date = trial.rows.groupby("date")["response"].sum()
    assert by_date[-20] == experiment.responded.sum() and by_date[-5] == 0


# ---- refusals


def refused(experiment: Experiment, **instead: Any) -> str:
    with pytest.raises(BadInput) as error:
        uplift.fit(experiment.tables(**instead))
    return str(error.value)


def test_without_randomisation_there_is_no_uplift(experiment: Experiment) -> None:
    assert "no randomised experiment" in refused(experiment, experiments=None)
    assert "those contacted had been chosen" in refused(experiment, experiments=None)
    assert "not known what became of those who were left out" in refused(experiment, outcomes=None)
    drawn = experiment.experiments
    treated = drawn[drawn["arm"] == "treated"]
    assert "offer x: nobody was left out of it at random" in refused(experiment, experiments=treated)
    sure = drawn.assign(probability=1.0)
    assert "came into their arm for certain" in refused(experiment, experiments=sure)


def test_arms_that_differ_beyond_chance_are_no_experiment(experiment: Experiment) -> None:
    drawn = experiment.experiments
    old = pd.Series(experiment.age > 60)
    chosen = drawn[~(old & (drawn["arm"] == "treated") & (np.arange(len(drawn)) % 2 == 0))]
    said = refused(experiment, experiments=chosen)
    assert "the arms differ in what was known of the customers before, beyond chance" in said
    assert "age (" in said and "is not uplift" in said


def test_arms_that_were_not_kept_to_are_no_experiment(experiment: Experiment) -> None:
    n = len(experiment.ids)
    contacts = pd.DataFrame({
        "customer_id": experiment.ids, "offer_id": "x", "channel": "mail", "date": -18,
        "outcome": "delivered",
    })  # fmt: skip
    half = contacts[experiment.treated & (np.arange(n) % 2 == 0)]
    assert "of the treated were contacted, so the arms do not tell" in refused(experiment, history=half)
    said = refused(experiment, history=contacts)
    assert "100% of the control customers were contacted" in said
    assert uplift.fit(experiment.tables(history=contacts[experiment.treated]))


def test_outcomes_of_the_treated_alone_tell_nothing(experiment: Experiment) -> None:
    mine = experiment.outcomes["customer_id"].isin(experiment.ids[experiment.treated])
    said = refused(experiment, outcomes=experiment.outcomes[mine])
    assert "0 of" in said and "control customers responded" in said and "have to be in the table" in said


def test_a_customer_in_both_arms_is_named(experiment: Experiment) -> None:
    drawn = experiment.experiments.assign(run_id="one")
    twice = pd.concat([drawn.iloc[:1].assign(run_id="two"), drawn])
    with pytest.raises(BadInput, match="customer c000000 stands in two rows of one day"):
        uplift.fit(experiment.tables(experiments=twice))


def test_an_offer_without_experiment_has_no_uplift(experiment: Experiment) -> None:
    scores = pd.DataFrame({"customer_id": experiment.ids[:1], "offer_id": "y", "channel": "mail"})
    with pytest.raises(BadInput, match="out of offer y on mail at random, so its uplift is not known"):
        uplift.fit(experiment.tables()).add(scores)


@pytest.mark.parametrize(
    ("column", "cell", "words"),
    [
        ("arm", "treatd", "'treatd' is no arm of an experiment"),
        ("probability", 1.5, "1.5 is no probability"),
        ("probability", 0, "0 is no chance: nobody was drawn by it. Write a number above 0"),
        ("date", None, "the cell is empty"),
        ("customer_id", "nobody", "'nobody' is not in"),
    ],
)
def test_bad_cells_are_named(experiment: Experiment, column: str, cell: Any, words: str) -> None:
    drawn = experiment.experiments.astype({column: object})
    drawn.loc[3, column] = cell
    with pytest.raises(BadInput, match=words):
        experiment.tables(experiments=drawn)


def test_a_random_draw_is_found_balanced_as_often_as_it_should_be() -> None:
    """The test's p-value is uniform under a random draw: 5 % are below 0.05, within chance (four sigma)."""
    rng = np.random.default_rng(0)
    small = 0
    for _ in range(400):
        frame = pd.DataFrame({"a": rng.exponential(1, 300), "b": rng.choice(["u", "v", "w"], 300)})
        treated = rng.random(300) < 0.3
        drawn = Arms(treated, treated, np.where(treated, 1 / 0.3, 1 / 0.7), np.arange(300))
        small += balance(frame, drawn).p_value < 0.05
    assert abs(small - 20) < 4 * np.sqrt(400 * 0.05 * 0.95)


# ---- in a plan


def test_a_plan_counts_what_contacts_change(experiment: Experiment, tmp_path: Path) -> None:
    """The model says who is put off: those get nothing, though they respond as well as the others do."""
    rng = np.random.default_rng(1)
    past = pd.DataFrame({
        "customer_id": experiment.ids[:600], "offer_id": "y", "channel": "mail",
        "date": -30 + np.arange(600) % 9,
        "outcome": np.where(rng.random(600) < 0.3, "responded", "delivered"),
    })  # fmt: skip
    frames = experiment.frames(history=past)
    frames["offers"] = pd.DataFrame({"offer_id": ["x", "y"], "value": [10.0, 10.0]})
    frames["channels"] = pd.DataFrame({"channel": ["mail"]})
    frames["actions"] = pd.DataFrame({"action_id": ["m"], "offer_id": ["x"], "channel": ["mail"]})
    made = oo.Project.from_frames({"objective": "incremental_value"}, **frames)
    plan = oo.optimize(made)
    age = pd.Series(experiment.age, experiment.ids)
    assert age[plan.contacts["customer_id"]].max() < age.drop(plan.contacts["customer_id"]).max()
    assert plan.contacts["incremental_value"].min() > 0
    plan.save(tmp_path)
    assert verify(tmp_path, made).ok
    gross = oo.optimize(oo.Project.from_frames({"objective": "value"}, **frames))
    assert len(gross.contacts) == len(experiment.ids) > len(plan.contacts)


def test_scores_without_uplift_cannot_be_planned_by_it() -> None:
    experiment = Experiment(200)
    frames = experiment.frames()
    frames["offers"] = pd.DataFrame({"offer_id": ["x"], "value": [10.0]})
    frames["channels"] = pd.DataFrame({"channel": ["mail"]})
    frames["scores"] = pd.DataFrame(
        {"customer_id": experiment.ids, "offer_id": "x", "channel": "mail", "p_response": 0.1}
    )
    frames["actions"] = pd.DataFrame({"action_id": ["m"], "offer_id": ["x"], "channel": ["mail"]})
    for solver in ("exact", "decomposed"):
        with pytest.raises(BadInput, match="counts what contacts change, and the scores do not say it"):
            oo.optimize(oo.Project.from_frames({"objective": "incremental_value"}, **frames), solver=solver)


# ---- Hillstrom's e-mail test


@pytest.fixture(scope="module")
def hillstrom(shared_data: Path) -> pd.DataFrame:
    file = shared_data / "data" / "hillstrom" / "half_A.csv.gz"
    if not file.is_file():
        pytest.skip("the reference data hold no hillstrom/half_A.csv.gz")
    with gzip.open(file) as opened:
        frame = pd.read_csv(opened)
    return frame.rename(columns={"channel": "bought_by"}).assign(customer_id=frame["row_id"].astype("str"))


OFFER = {"Mens E-Mail": "mens", "Womens E-Mail": "womens"}


def e_mail_test(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Hillstrom's test as the tables of a project."""
    known = "customer_id recency history_segment history mens womens zip_code newbie bought_by".split()
    offer = frame["segment"].map(OFFER)
    return {
        "customers": frame[known],
        "offers": pd.DataFrame({"offer_id": ["mens", "womens"]}),
        "channels": pd.DataFrame({"channel": ["email"]}),
        "experiments": pd.DataFrame({
            "customer_id": frame["customer_id"], "offer_id": offer,
            "arm": np.where(offer.isna(), "control", "treated"), "probability": 1 / 3, "date": -14,
        }),
        "outcomes": pd.DataFrame(
            {"customer_id": frame["customer_id"][frame["visit"] == 1], "date": -1, "outcome": "responded"}
        ),
        "history": pd.DataFrame(PAST).assign(date=0),
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("learner", ["t", "x"])
def test_hillstrom_the_area_under_the_curve_is_above_zero(
    hillstrom: pd.DataFrame, learner: uplift.Learner
) -> None:
    model = uplift.fit(read(**e_mail_test(hillstrom)), 7, learner)
    for offer, effect in (("mens", 0.18574 - 0.11027), ("womens", 0.15371 - 0.11027)):
        said = model.report[offer, None]
        assert said["effect"]["uplift"] == pytest.approx(effect, abs=1e-4)
        assert said["areas"]["auuc_low"] > 0, said["areas"]
    assert model.report["womens", None]["areas"]["qini_low"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("learner", ["t", "x"])
def test_hillstrom_half_mens_half_womens_by_score_beats_random(
    hillstrom: pd.DataFrame, learner: uplift.Learner
) -> None:
    """Each half is given its e-mails by models of the other; judged by those who happened to get the same."""
    better, whole = 0, read(**e_mail_test(hillstrom))
    for seed in range(10):
        mine = np.random.default_rng(seed).permutation(len(hillstrom)) % 2 == 0
        came, at_random = [], []
        for train, test in ((mine, ~mine), (~mine, mine)):
            learnt = [
                (t.offer_id, uplift.learn(t.covariates, t.arms, learner))
                for t in trials(read(**e_mail_test(hillstrom[train])))
            ]
            judged = hillstrom[test]
            model = uplift.UpliftModel(whole, {(offer, None): effect for offer, effect in learnt}, {})
            keys = {"customer_id": judged["customer_id"], "channel": "email"}
            said = {
                offer: model.add(pd.DataFrame(keys | {"offer_id": offer}))["uplift"].to_numpy()
                for offer, _ in learnt
            }
            rank = pd.Series(said["womens"] - said["mens"]).rank(method="first").to_numpy()
            given_ = np.where(rank <= len(judged) / 2, "mens", "womens")
            got, visit = judged["segment"].map(OFFER).to_numpy(), judged["visit"].to_numpy()
            came.append(np.mean([visit[(given_ == o) & (got == o)].mean() for o in said]))
            at_random.append(np.mean([visit[got == o].mean() for o in said]))
        better += np.mean(came) > np.mean(at_random)
    assert better >= 9

"""Control groups and contacts at random: who is in them in both solvers, and whether the check finds lies."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tiny
from click.testing import CliRunner
from held_out import LEARNING, project

import omniopt as oo
from omniopt.audit.siphash import chances
from omniopt.audit.verify import verify
from omniopt.cli import cli
from omniopt.errors import BadInput, Infeasible, OmnioptError
from omniopt.learning import control
from omniopt.learning.power import detectable, outlook
from omniopt.rules.holdout import chance
from omniopt.tables import read_parquet


def _text(ids: list[str]) -> pd.api.extensions.ExtensionArray:
    return pd.array(ids, dtype="str")


def test_a_number_follows_from_key_and_id_for_ever() -> None:
    # Held in a file, for who is held out must not change with a version of a library.
    assert chance(_text(["C1", "C2"]), "2026") == pytest.approx([0.88659766, 0.51886661], abs=1e-8)


def test_the_check_hashes_alike_with_code_of_its_own() -> None:
    ids = ["", "a", "ü", "日本", "12345678", "x" * 40, *(f"c{i}" for i in range(300))]
    assert (chance(_text(ids), "k", "x") == chances(pa.array(ids), "k", "x")).all()


def test_shares_come_out_and_groups_are_independent() -> None:
    ids = _text([f"c{i}" for i in range(100_000)])
    one, other = (chance(ids, "k", offer) < 0.05 for offer in "xy")
    # Four standard errors of a share of 5 %, and of one of 0.25 %.
    assert abs(one.mean() - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 1e5)
    assert abs((one & other).mean() - 0.0025) < 4 * np.sqrt(0.0025 / 1e5)


def test_nobody_moves_when_others_come_or_go_or_rows_change_places() -> None:
    def arms(made: oo.Project) -> pd.Series:
        frame = oo.optimize(made).experiment
        return frame[frame["arm"] != "explored"].set_index(["customer_id", "offer_id"])["arm"]

    learning = {"control": LEARNING["control"]}
    first, fewer = arms(project(learning)), arms(project(learning, customers=60))
    assert fewer.equals(first[fewer.index])
    shuffled = project(learning)
    frames = {name: frame.sample(frac=1, random_state=3) for name, frame in shuffled.frames.items()}
    assert arms(dataclasses.replace(shuffled, frames=frames)).equals(first)


@pytest.mark.parametrize("solver", ["exact", "decomposed"])
def test_who_is_held_out_gets_nothing_and_who_explores_one_contact(solver: str, tmp_path: Path) -> None:
    made = project(LEARNING)
    plan = oo.optimize(made, solver=solver)
    ids = made.frames["customers"]["customer_id"]
    held = set(ids[chance(_text(ids), "2026") < 0.1])
    explored = set(ids[chance(_text(ids), "explore", "who") < 0.1]) - held
    assert held and not held & set(plan.contacts["customer_id"])
    for offer in "xyz":
        mine = plan.contacts[plan.contacts["offer_id"] == offer]
        assert not set(ids[chance(_text(ids), "2026", offer) < 0.1]) & set(mine["customer_id"])
    drawn = plan.contacts[plan.contacts["customer_id"].isin(explored)]
    assert set(drawn["customer_id"]) == explored and not drawn["customer_id"].duplicated().any()
    left = {who: 4 - (plan.dropped["customer_id"] == who).sum() for who in explored}
    assert set(left.values()) == {1}  # the others gave way
    # One over the contacts of offers that the customer is not held out from.
    offers = made.frames["actions"]["offer_id"]
    for row in drawn.itertuples():
        could = [o for o in offers if chance(_text([row.customer_id]), "2026", o)[0] >= 0.1]
        assert row.probability == 1 / len(could)
    assert (plan.contacts.loc[~plan.contacts["customer_id"].isin(explored), "probability"] == 1).all()
    assert plan.certificate["dropped"]["control group"] == 4 * len(held)
    arms = plan.experiment[plan.experiment["offer_id"].isna()].groupby("arm")
    assert set(arms.get_group("control")["customer_id"]) == held
    assert set(arms.get_group("explored")["customer_id"]) == explored
    assert arms["probability"].unique().map(list).to_dict() == {
        "control": [0.1], "explored": [pytest.approx(0.09)], "treated": [pytest.approx(0.81)]
    }  # fmt: skip
    plan.save(tmp_path)
    assert verify(tmp_path, made).findings == []
    assert oo.decisions.Plan.load(tmp_path).experiment.equals(plan.experiment)


def test_arms_come_scope_by_scope_and_are_written_alike(tmp_path: Path) -> None:
    plan = oo.optimize(project(LEARNING))
    scopes = dict(plan.scopes())
    assert list(scopes) == ["", "x", "y", "z"]
    assert pd.concat(scopes.values(), ignore_index=True).equals(plan.experiment)
    plan.save(tmp_path / "one")
    loaded = oo.decisions.Plan.load(tmp_path / "one")
    assert control.powers(loaded).equals(control.powers(plan))
    loaded.save(tmp_path / "two")
    one, two = (tmp_path / name / "experiment.parquet" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_a_household_is_held_out_as_a_whole() -> None:
    made = project({"control": {"share": 0.3, "unit": "household"}, "explore": {"share": 0.3}})
    plans = [oo.optimize(made, solver=solver) for solver in ("exact", "decomposed")]
    frame = plans[0].experiment
    assert frame.equals(plans[1].experiment)
    arms = frame.assign(household=frame["customer_id"].str[1:].astype(int) // 2).groupby("household")["arm"]
    assert (arms.nunique() == 1).all()
    explored = frame.loc[frame["arm"] == "explored", "customer_id"]
    mine = plans[0].contacts[plans[0].contacts["customer_id"].isin(explored)]
    assert 2 * len(mine) == len(explored)  # one contact for each household


def test_draws_are_even_among_what_is_allowed() -> None:
    learning = {"explore": {"share": 0.9}}
    plan = oo.optimize(project(learning, 2000, limits=[]))
    drawn = plan.contacts[plan.contacts["probability"] < 1]["action_id"].value_counts()
    assert len(drawn) == 4 and (abs(drawn - 450) < 4 * np.sqrt(1800 * 3 / 16)).all()


def test_what_history_forbids_is_not_drawn() -> None:
    made = project({"explore": {"share": 0.99}}, 40, limits=[])
    history = pd.DataFrame({
        "customer_id": made.frames["customers"]["customer_id"], "offer_id": "x", "channel": "e",
        "date": "2026-11-22", "outcome": "delivered",
    })  # fmt: skip
    rules = [{"name": "one a week", "max": 1, "days": 3}]
    made = oo.Project.from_frames(made.policy | {"contact": rules}, horizon=made.spec.horizon,
                                  history=history, **made.frames)  # fmt: skip
    for solver in ("exact", "decomposed"):
        plan = oo.optimize(made, solver=solver)
        drawn = plan.contacts[plan.contacts["probability"] < 1]
        assert set(drawn["action_id"]) == {"c", "d"} and set(drawn["probability"]) == {0.5}


def test_where_nothing_can_be_drawn_the_plan_decides() -> None:
    two = [{"name": "two at least", "min": 2}]
    plan = oo.optimize(project({"explore": {"share": 0.5}}, 20, limits=[], contact=two))
    (entry,) = plan.certificate["learning"]
    assert entry["drawn"] == 0 and entry["without_draw"] == entry["in_group"] > 0
    assert set(plan.experiment["arm"]) == {"treated"}
    assert plan.contacts["customer_id"].nunique() == 20


@pytest.mark.parametrize("solver", ["exact", "decomposed"])
def test_an_impossible_draw_is_named(solver: str) -> None:
    nothing = [{"name": "no contacts", "max": 0}]
    with pytest.raises(Infeasible, match="under the draw of action [a-d] for customer c") as told:
        oo.optimize(project({"explore": {"share": 0.5}}, 20, limits=nothing), solver=solver)
    assert "lock" not in told.value.reason
    assert [m.rule for m in told.value.diagnosis.clash.members if m.kind == "lock"] == ["exploration"]


def test_a_draw_that_alone_is_too_much_may_be_drawn_again_but_not_taken_back() -> None:
    made = project({"explore": {"share": 0.5}}, 20, limits=[])
    drawn = oo.optimize(made).contacts.query("probability < 1").iloc[0]
    only = {"customer.customer_id": drawn["customer_id"], "action": drawn["action_id"]}
    rules = made.policy | {"limits": [{"name": "never this", "where": only, "max": 0}]}
    with pytest.raises(Infeasible) as told:
        oo.optimize(dataclasses.replace(made, policy=rules))
    way = f"another contact than {drawn['action_id']}, or none: change explore.key"
    assert f"have chance draw customer {drawn['customer_id']} {way}" in told.value.reason
    assert "take back" not in told.value.reason


def test_people_may_not_insist_on_who_is_held_out() -> None:
    made = project({"control": {"share": 0.5}}, 20)
    ids = made.frames["customers"]["customer_id"]
    who = ids[chance(_text(ids), "control") < 0.5].iloc[0]
    lock = pd.DataFrame({"customer_id": [who], "action_id": ["a"]})
    for solver in ("exact", "decomposed"):
        with pytest.raises(BadInput, match="cannot hold: control group"):
            oo.optimize(made.with_decisions(None, lock), solver=solver)


def test_whom_people_insist_on_is_not_explored(tmp_path: Path) -> None:
    made = project({"explore": {"share": 0.99}}, 20, limits=[])
    ids = made.frames["customers"]["customer_id"]
    lock = pd.DataFrame({"customer_id": [ids[3]], "action_id": ["a"]})
    made = made.with_decisions(None, lock)
    for solver in ("exact", "decomposed"):
        plan = oo.optimize(made, solver=solver)
        row = plan.experiment.set_index("customer_id").loc[ids[3]]
        assert row["arm"] == "treated" and row["probability"] == 1.0
        plan.save(tmp_path)
        assert verify(tmp_path, made).findings == []


@pytest.mark.parametrize("seed", range(24))
def test_both_solvers_and_the_check_agree_whatever_the_rules(seed: int, tmp_path: Path) -> None:
    random = Random(seed)
    made = tiny.make(random).project()
    learning: dict[str, Any] = {"explore": {"share": random.choice([0.3, 0.6]), "key": seed}}
    learning["control"] = {"share": 0.2, "per_offer": 0.2, "key": seed}
    made = dataclasses.replace(made, policy=made.policy | {"learning": learning})
    plans = []
    for solver in ("exact", "decomposed"):
        try:
            plans.append(oo.optimize(made, solver=solver, gap=1e-9))
        except OmnioptError as error:
            plans.append(type(error))
    if isinstance(plans[0], type) or isinstance(plans[1], type):
        assert plans[0] == plans[1]
        return
    one, other = plans
    assert one.certificate["learning"] == other.certificate["learning"]
    assert one.certificate["dropped"] == other.certificate["dropped"]
    assert one.experiment.equals(other.experiment)
    for plan in plans:
        plan.save(tmp_path)
        assert verify(tmp_path, made).findings == []


@pytest.mark.parametrize(
    ("learning", "message"),
    [
        ("yes", "'learning' is not a mapping"),
        ({"controls": {"share": 0.1}}, "unknown key 'controls'"),
        ({"control": {"shares": 0.1}}, "unknown key 'control.shares'"),
        ({"control": {"share": 5}}, "'control.share' takes a share above 0 and below 1, not 5"),
        ({"control": {"by": "customer.region"}}, "'control' needs share or per_offer"),
        ({"control": {"share": 0.1, "by": "customer.regoin"}}, "'by' names no column of customers"),
        ({"explore": {}}, "the key 'explore.share' is missing"),
        ({"control": {"share": 0.1, "unit": "flat"}}, "'control.unit' takes 'customer' or 'household'"),
    ],
)
def test_what_is_wrong_is_said(learning: Any, message: str) -> None:
    for solver in ("exact", "decomposed"):
        with pytest.raises(BadInput, match=message):
            oo.optimize(project(learning), solver=solver)


def test_a_rule_may_not_bear_the_name_of_a_group() -> None:
    rules = [{"name": "control group", "drop": {"customer.region": "north"}}]
    with pytest.raises(BadInput, match="name is that of a group of learning"):
        oo.optimize(project({"control": {"share": 0.1}}, eligibility=rules))


def test_a_plan_without_learning_says_nothing_of_it() -> None:
    plan = oo.optimize(project(None))
    assert plan.experiment is None and "learning" not in plan.certificate
    assert "probability" not in plan.contacts


def test_what_learning_costs_is_bounded_by_the_plan_without_it() -> None:
    made = project(LEARNING)
    plan, free = oo.optimize(made), oo.optimize(project({"explore": LEARNING["explore"]}))
    found = control.costs(made, plan)
    assert found["control"]["estimate"] == pytest.approx(free.objective - plan.objective)
    assert all(0 <= cost["estimate"] <= cost["at_most"] + 1e-6 for cost in found.values())


def test_power_by_hand() -> None:
    # (1.96 + 0.84) · √(0.05 · 0.95) · √(1/9500 + 1/500) = 2.80 · 0.218 · 0.0459 = 0.0280
    spread = np.sqrt(0.05 * 0.95)
    assert detectable(spread, 9500, 500) == pytest.approx(0.0280, abs=1e-4)
    assert np.isnan(detectable(spread, 10, 0))


def test_a_test_of_that_size_finds_the_difference_four_times_in_five() -> None:
    random = np.random.default_rng(7)
    treated, held = 400, 100
    gap, error = detectable(3.0, treated, held), 3.0 * np.sqrt(1 / treated + 1 / held)
    means = [random.normal(m, 3 / np.sqrt(n), 20_000) for m, n in ((gap, treated), (0, held))]
    assert (np.abs(means[0] - means[1]) > 1.96 * error).mean() == pytest.approx(0.8, abs=0.01)


def test_outlook_by_hand() -> None:
    contacts = pd.DataFrame({"customer_id": ["a", "a", "b"], "response": [0.5, 0.5, 0.2], "value": [5, 5, 4]})
    told = outlook(contacts, 4)
    assert told["rate"] == pytest.approx((0.75 + 0.2) / 4) and told["money"] == pytest.approx(14 / 4)
    # Of a customer: E y² is 10² + 2 · 0.25 · 10² for a, 4² + 0.16 · 20² for b, 0 for two others.
    assert told["money_spread"] == pytest.approx(np.sqrt((150 + 80) / 4 - 3.5**2))


def test_strata_and_their_balance() -> None:
    shares, p = control.strata(oo.optimize(project(LEARNING)).experiment)
    assert list(shares["stratum"]) == ["north", "south"] and 0 < p <= 1
    uneven = pd.DataFrame({"offer_id": None, "arm": ["control"] * 50 + ["treated"] * 50,
                           "stratum": ["a"] * 50 + ["b"] * 50})  # fmt: skip
    assert control.strata(uneven)[1] < 1e-20


def test_from_the_command_line(tmp_path: Path) -> None:
    made, folder = project(LEARNING), tmp_path / "project"
    folder.mkdir()
    for name, frame in made.frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    spec = {"version": 1, "name": "learns", "horizon": {"start": "2026-11-23", "days": 7},
            "tables": {name: f"{name}.csv" for name in made.frames}, "policy": made.policy}  # fmt: skip
    (folder / "omniopt.yaml").write_text(json.dumps(spec))
    plan = str(tmp_path / "plan")

    def said(*words: str) -> str:
        result = CliRunner().invoke(cli, words)
        assert result.exit_code == 0, result.output
        return result.output

    said("optimize", str(folder), "--out", plan)
    said("verify", plan)
    held = read_parquet(tmp_path / "plan" / "dropped.parquet").query("reason == 'control group'")
    assert len(held)

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from market import Market
from pydantic import ValidationError

import omniopt as oo
from omniopt.learning import stability as module
from omniopt.learning.stability import stability
from omniopt.project.response import Response

POLICY = {
    "objective": "value",
    "limits": [{"name": "letters", "max": 80}],
    "contact": [{"name": "one each", "max": 1}],
}


def project_of(market: Market, **tables: Any) -> oo.Project:
    offers = pd.DataFrame({"offer_id": ["old a", "old b"], "category": ["a", "b"], "value": 10.0})
    actions = pd.DataFrame([
        {"action_id": f"{offer} {channel}", "offer_id": offer, "channel": channel, "date": 1}
        for offer in offers["offer_id"] for channel in ("mail", "email")
    ])  # fmt: skip
    frames = {name: getattr(market, name) for name in ("customers", "channels", "history")}
    return oo.Project.from_frames(
        POLICY, horizon={"start": "2026-01-01", "days": 10}, offers=offers, actions=actions, **frames | tables
    )


def misleading(seed: int) -> Market:
    """A market with thirty attributes that say nothing, for a model to be misled by."""
    market = Market(600, seed=seed, rounds=3)
    rng = np.random.default_rng(50 + seed)
    noise = pd.DataFrame(rng.normal(size=(600, 30)), columns=[f"n{k}" for k in range(30)])
    market.customers = pd.concat([market.customers, noise], axis=1)
    market.history["date"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(market.history["date"], "D")
    return market


@pytest.fixture(scope="module")
def market() -> Market:
    return misleading(0)


@pytest.mark.parametrize("markets", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_a_plan_is_worth_less_to_a_model_that_did_not_choose_it(markets: int) -> None:
    """And what it is truly worth lies between the two, but for a level that all have wrong."""
    claimed, rescored, true = 0.0, 0.0, 0.0
    for seed in range(markets):
        market = misleading(seed)
        project = project_of(market)
        found = stability(project, oo.optimize(project), resamples=0)
        assert found is not None and len(found.rescored) == 2 * module.DIVISIONS
        claimed += found.rescored["claimed"].mean()
        rescored += found.rescored["rescored"].mean()
        for scores in module.half_scores(project.read(), project.spec.seed, 0):
            level = scores["p_response"].sum() / (worth_of(market, scores) / 10)
            true += level * worth_of(market, oo.optimize(project, scores=scores).contacts) / 2
    assert rescored < true < claimed / 1.05


def worth_of(market: Market, contacts: pd.DataFrame) -> float:
    who = contacts["customer_id"].str[1:].astype(int).to_numpy()
    category, channel = contacts["offer_id"] == "old b", contacts["channel"] == "email"
    return float(10 * market.p(who, category.to_numpy(int), channel.to_numpy(int)).sum())


def test_contacts_that_stay_are_counted(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    project = project_of(market)
    plan = oo.optimize(project)
    one = oo.knowledge.scores(project.read(), 0)[0]
    other = one.assign(p_response=one["p_response"].where(one["channel"] == "email", 1e-4))
    monkeypatch.setattr(module, "resampled", lambda *_: iter([one, other]))
    found = stability(project, plan, resamples=2)
    assert found is not None
    email = (found.kept["channel"] == "email").to_numpy()
    assert found.again["same"].tolist() == [len(plan.contacts), int((found.kept["kept"] == 1.0).sum())]
    assert (found.kept["kept"][~email] == 0.5).all()
    assert (found.kept["kept_offer"] >= found.kept["kept"]).all()
    told = found.as_dict()
    assert told["plans"] == 2 and told["contacts"] == len(plan.contacts)
    assert told["kept_always"] == found.again["same"][1] and told["kept_mostly"] == len(plan.contacts)


def test_given_scores_cannot_be_made_again(market: Market) -> None:
    scores = oo.knowledge.scores(project_of(market).read(), 0)[0]
    project = project_of(market, scores=scores)
    assert stability(project, oo.optimize(project)) is None


@pytest.mark.parametrize("how", ["shrink", "quantile"])
def test_a_project_can_ask_for_cautious_scores(market: Market, how: str) -> None:
    plain = project_of(market)
    careful = replace(
        plain, spec=plain.spec.model_copy(update={"response": Response.model_validate({"caution": how})})
    )
    plan, other = oo.optimize(plain), oo.optimize(careful)
    assert other.objective < plan.objective
    assert other.scores is not None and (other.scores["p_expected"] > 0).all()
    assert any("cautious ones" in note for note in other.certificate["notes"])
    assert not any("cautious ones" in note for note in plan.certificate["notes"])


def test_an_unknown_caution_is_refused() -> None:
    with pytest.raises(ValidationError, match="shrink"):
        Response.model_validate({"caution": "srink"})

"""Projects at the edge of sense: nothing to choose, nothing worth choosing, all alike, far apart in size."""

from __future__ import annotations

import functools
from typing import Any

import pandas as pd
import pytest
from bank import contacts, decide, entry, project, table, tables_of

import omniopt as oo
from omniopt.decisions.large import close


@pytest.fixture(autouse=True, params=["exact", "decomposed", "decomposed, however few"])
def solver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every test is one for each solver, and one for prices where the exact solver would do the rest."""
    name, *few = request.param.split(", ")
    if few:
        monkeypatch.setattr(close, "WHOLE", 0)
    monkeypatch.setattr(oo, "optimize", functools.partial(oo.optimize, solver=name))
    return str(name)


THREE = table(
    "customer_id action_id value cost", "ann loan-call-1 5 2", "ann loan-email-1 3 1", "bob loan-call-1 4 2"
)
CAP = {"name": "cap", "max": 1}


def test_all_candidates_dropped() -> None:
    policy = {"objective": "value", "eligibility": [{"name": "all", "drop": {"offer": "loan"}}],
        "contact": [CAP],
              "limits": [{"name": "budget", "measure": "cost", "max": 3}],
              "conflicts": [{"name": "apart", "first": {}, "then": {}, "days": 3}]}  # fmt: skip
    plan = decide(policy, tables_of(THREE))
    assert (plan.status, plan.objective, plan.bound, plan.gap) == ("optimal", 0, 0, 0)
    assert plan.certificate["candidates"] == 0 and len(plan.dropped) == 3
    assert entry(plan, "budget")["used"] == 0


def test_all_candidates_dropped_but_one_is_asked_for() -> None:
    policy = {
        "objective": "value",
        "eligibility": [{"name": "all", "drop": {"offer": "loan"}}],
        "limits": [{"name": "some", "min": 1}],
    }
    with pytest.raises(oo.Infeasible):
        decide(policy, tables_of(THREE))


def test_a_minimum_out_of_reach_is_told_with_what_can_be_reached() -> None:
    policy = {
        "objective": "value",
        "contact": [CAP],
        "limits": [{"name": "calls", "where": {"channel": "call"}, "min": 3}],
    }
    with pytest.raises(oo.Infeasible, match="limit 'calls' asks for at least 3 contacts") as error:
        decide(policy, tables_of(THREE))
    assert "the candidates bring at most 2" in str(error.value)
    assert "lower 'calls' from 3 to 2" in str(error.value)


def test_one_customer_one_candidate_no_rules() -> None:
    plan = decide(
        {"objective": "value"}, tables_of(table("customer_id action_id value", "ann loan-call-1 5"))
    )
    assert contacts(plan) == ["ann loan-call-1"]
    assert plan.contacts["advantage"].tolist() == [5]


@pytest.mark.parametrize("objective", ["value - 9 * cost", {"minimise": "value"}, {"minimise": "cost"}])
def test_nothing_is_worth_doing(objective: Any) -> None:
    plan = decide({"objective": objective, "contact": [CAP]}, tables_of(THREE))
    assert len(plan.contacts) == 0
    assert (plan.status, plan.objective) == ("optimal", 0)


def test_a_capacity_of_zero() -> None:
    policy = {"objective": "value", "limits": [{"name": "desk", "where": {"channel": "call"}, "max": 0}]}
    plan = decide(policy, tables_of(THREE))
    assert contacts(plan) == ["ann loan-email-1"]
    assert entry(plan, "desk")["slack"] == 0


def test_a_contact_cap_of_zero() -> None:
    plan = decide({"objective": "value", "contact": [{"name": "none", "max": 0}]}, tables_of(THREE))
    assert len(plan.contacts) == 0


@pytest.mark.parametrize("section", ["limits", "contact", "conflicts", "eligibility"])
def test_a_rule_that_matches_nothing_is_noted_and_harmless(section: str) -> None:
    offers = table("offer_id category", "loan credit", "card plastic")
    scope = {"offer.category": "plastic"}
    rule: dict[str, Any] = {
        "limits": {"where": scope, "max": 1}, "contact": {"where": scope, "max": 1, "days": 7},
        "conflicts": {"first": scope, "then": scope, "days": 7}, "eligibility": {"drop": scope},
    }[section]  # fmt: skip
    plan = decide(
        {"objective": "value", section: [{"name": "on cards"} | rule]}, tables_of(THREE, offers=offers)
    )
    assert plan.objective == 12
    assert any("on cards" in note for note in plan.certificate["notes"])
    assert len(plan.rules) == 1


def test_customers_that_are_all_alike() -> None:
    """Any three of forty: the optimum is certain, the choice is the same every time."""
    lines = [f"c{n:02d} loan-{k}-1 5 1" for n in range(40) for k in ("call", "email")]
    candidates = table("customer_id action_id value cost", *lines)
    policy = {
        "objective": "value",
        "contact": [CAP],
        "limits": [{"name": "budget", "measure": "cost", "max": 3}],
    }
    plans = [oo.optimize(project(policy, tables_of(candidates)), gap=0.0) for _ in range(2)]
    assert plans[0].objective == 15 and plans[0].status == "optimal"
    assert contacts(plans[0]) == contacts(plans[1])
    assert plans[0].contacts["customer_id"].is_unique


def test_values_of_very_different_size() -> None:
    """1e9 and 1e-9 in one plan: the small ones are not lost, the claims stay true."""
    lines = ["ann a-call-1 1e9 1", "bob a-call-1 1e-9 1", "cal a-call-1 -1e-9 1", "dan a-call-1 2.5 1"]
    candidates = table(
        "customer_id action_id value cost", *(line.replace("1e9", "1000000000.0") for line in lines)
    )
    candidates["value"] = candidates["value"].astype(float)
    plan = oo.optimize(project({"objective": "value"}, tables_of(candidates)), gap=0.0)
    assert [c for c in contacts(plan) if c != "bob a-call-1"] == ["ann a-call-1", "dan a-call-1"]
    assert "bob a-call-1" in contacts(plan) or not close.WHOLE  # to prices 1e-9 is rounding beside 1e9
    policy = {"objective": "value", "limits": [{"name": "budget", "measure": "cost", "max": 2}]}
    plan = oo.optimize(project(policy, tables_of(candidates)), gap=0.0)
    assert contacts(plan) == ["ann a-call-1", "dan a-call-1"]
    assert plan.bound >= 1e9 + 2.5
    assert plan.status in ("optimal", "stopped_early") and (plan.status == "optimal") == (plan.gap <= 1e-9)


def test_only_tiny_values() -> None:
    candidates = table("customer_id action_id value", "ann a-call-1 1", "bob a-call-1 2", "cal a-call-1 3")
    candidates["value"] *= 1e-9
    policy = {"objective": "value", "limits": [{"name": "two", "max": 2}]}
    plan = oo.optimize(project(policy, tables_of(candidates)), gap=0.0)
    assert plan.objective == pytest.approx(5e-9, rel=1e-6)


def test_customers_without_candidates_are_no_trouble() -> None:
    customers = table("customer_id region", "ann north", "bob south", "zoe west")
    policy = {
        "objective": "value",
        "contact": [CAP],
        "limits": [{"name": "each", "per": ["customer.region"], "max": 1}],
    }
    assert decide(policy, tables_of(THREE, customers=customers)).objective == 9


def test_a_policy_that_is_nothing_but_an_objective() -> None:
    plan = decide({"objective": {"maximise": "value - cost"}}, tables_of(THREE))
    assert plan.objective == 7 and plan.certificate["coupling_rows"] == 0
    assert plan.rules.empty


def test_history_of_people_and_actions_that_are_not_planned_for() -> None:
    past = table("customer_id offer_id channel date outcome", "zed loan call 0 sent", "ann loan call 0 sent")
    policy = {"objective": "value", "contact": [CAP | {"days": 7}]}
    plan = decide(policy, tables_of(THREE, history=past), {"start": "2026-11-23", "days": 7})
    assert contacts(plan) == ["bob loan-call-1"]


def test_the_solver_is_the_one_asked_for(solver: str) -> None:
    of = project({"objective": "value", "contact": [CAP]}, tables_of(THREE))
    plan = oo.optimize(of)
    assert (plan.objective, plan.certificate["solver"]) == (9, solver)
    assert oo.optimize(of, solver="auto").certificate["solver"] == "exact"  # for so few candidates


@pytest.mark.parametrize(
    "wrong", [{"gap": -1}, {"gap": float("nan")}, {"time_limit": 0}, {"solver": "magic"}, {"gap": "small"}]
)
def test_wrong_arguments_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(oo.BadInput):
        oo.optimize(project({"objective": "value"}, tables_of(THREE)), **wrong)


def test_a_warm_start_changes_nothing_but_the_way() -> None:
    base = project({"objective": "value", "contact": [CAP]}, tables_of(THREE))
    first = oo.optimize(base)
    again = oo.optimize(base, warm_start=first)
    pd.testing.assert_frame_equal(first.contacts, again.contacts)


def test_no_plan_in_no_time_is_told() -> None:
    """With hardly any time the answer is a feasible plan with an honest status, or that there is none."""
    lines = [
        f"c{n} loan-{k}-{d} {1 + (n * 7 + d) % 5} {1 + n % 3}"
        for n in range(300)
        for k in ("call", "email")
        for d in (1, 2)
    ]
    candidates = table("customer_id action_id value cost", *lines)
    policy = {
        "objective": "value",
        "contact": [CAP],
        "limits": [{"name": "budget", "measure": "cost", "max": 101.5}],
    }
    try:
        plan = oo.optimize(project(policy, tables_of(candidates)), gap=0.0, time_limit=1e-6)
    except oo.OmnioptError as error:
        assert error.exit_code == 4
    else:
        assert plan.bound >= plan.objective
        assert plan.contacts["cost"].sum() <= 101.5
        assert (plan.status == "optimal") == (plan.gap <= 1e-9)

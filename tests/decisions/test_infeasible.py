"""What is said of an impossible policy, word by word; and the test before a long solve."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
from click.testing import CliRunner
from impossible import DAYS, START, guarantee_against_budget, two_clashes, world

import omniopt as oo
from omniopt.cli import cli
from omniopt.decisions import build_problem, exact, infeasible, kernels, member_rows, oracle
from omniopt.decisions.infeasible import diagnose, quick_test

CALL = {"channel": "call"}
EVERYONE = [
    {"name": "all", "min": 1, "where": {"customer.least": {"ge": 1}}},
    {"name": "no mail", "where": {"channel": "mail"}, "max": 0},
]


def project(
    limits: list[dict[str, Any]], *locks: tuple[str, str], contact: list[dict[str, Any]] | None = None
) -> oo.Project:
    """Ann may get a call or a letter, Bob a call; one contact each."""
    made = oo.Project.from_frames(
        {
            "objective": "value",
            "limits": limits,
            "contact": [{"name": "one each", "max": 1}] if contact is None else contact,
        },
        actions=pd.DataFrame(
            {"action_id": ["call", "mail"], "offer_id": "card", "channel": ["call", "mail"]}
        ),
        candidates=pd.DataFrame(
            {
                "customer_id": ["ann", "ann", "bob"],
                "action_id": ["call", "mail", "call"],
                "value": [5.0, 3.0, 4.0],
            }
        ),
        customers=pd.DataFrame({"customer_id": ["ann", "bob", "cal"], "least": [1, 2, 0]}),
    )
    held = pd.DataFrame(locks, columns=["customer_id", "action_id"])
    return made.with_decisions(None, held) if locks else made


def said(made: oo.Project) -> str:
    """The message of an impossible project."""
    with pytest.raises(oo.Infeasible) as error:
        oo.optimize(made)
    return error.value.reason


@pytest.mark.parametrize(
    ("made", "words"),
    [
        pytest.param(
            project([{"name": "guarantee", "min": 3}]),
            "limit 'guarantee' asks for at least 3 contacts, but under contact rule 'one each' "
            "(at most 1 contact) the candidates bring at most 2\n"
            "raise contact rule 'one each' from 1 to 2: the plan is then worth 12.00\n"
            "lower 'guarantee' from 3 to 2: the plan is then worth 9.00",
            id="a minimum out of reach",
        ),
        pytest.param(
            project(
                [{"name": "guarantee", "where": CALL, "min": 2}, {"name": "desk", "where": CALL, "max": 1}]
            ),
            "'desk' is 1 contact short of 'guarantee' (at least 2 contacts): "
            "raise it to 2, or lower 'guarantee' to 1\n"
            "raise 'desk' from 1 to 2: the plan is then worth 9.00\n"
            "lower 'guarantee' from 2 to 1: the plan is then worth 7.00",
            id="a minimum against a maximum",
        ),
        pytest.param(
            project([{"name": "desk", "where": CALL, "max": 1}], ("ann", "call"), ("bob", "call")),
            "limit 'desk' allows at most 1 contact, but under the lock of customer ann on action call and "
            "the lock of customer bob on action call the candidates bring at least 2\n"
            "raise 'desk' from 1 to 2: the plan is then worth 9.00\n"
            "take back the lock of customer ann on action call: the plan is then worth 7.00\n"
            "take back the lock of customer bob on action call: the plan is then worth 5.00",
            id="locks against a maximum",
        ),
        pytest.param(
            project([], ("ann", "call"), ("ann", "mail")),
            "the locked contacts of customer ann break contact rule 'one each' (at most 1 contact)\n"
            "raise contact rule 'one each' from 1 to 2: the plan is then worth 12.00\n"
            "take back the lock of customer ann on action mail: the plan is then worth 9.00\n"
            "take back the lock of customer ann on action call: the plan is then worth 7.00",
            id="locks against one another",
        ),
        pytest.param(
            project([], contact=[{"name": "own minimum", "min": {"column": "customer.least"}}]),
            "contact rule 'own minimum' cannot be kept together for customer bob\n"
            "lower contact rule 'own minimum' for customer bob from 2 to 1: the plan is then worth 12.00",
            id="a customer's own minimum",
        ),
        pytest.param(
            project(
                [], contact=[{"name": "everyone", "min": 1}, {"name": "a call", "where": CALL, "max": 1}]
            ),
            "contact rule 'everyone' asks for at least 1 contact, but customer cal can get none\n"
            "lower contact rule 'everyone' from 1 to 0: the plan is then worth 12.00",
            id="a customer without candidates",
        ),
    ],
)
def test_the_message_word_by_word(made: oo.Project, words: str) -> None:
    assert said(made) == words


def test_a_desk_that_is_too_small_for_a_guarantee_is_told_as_a_planner_would() -> None:
    """345 customers can only be called about a loan, 4 minutes each; 155 others get a letter."""
    ids = [f"c{i:03d}" for i in range(500)]
    made = oo.Project.from_frames(
        {
            "objective": "value",
            "limits": [
                {"name": "call desk", "where": CALL, "per": ["date", "customer.region"], "measure": "minutes",
                 "max": {"table": "capacity", "column": "minutes"}},
                {"name": "loan guarantee", "where": {"offer": "loan"}, "min": 500},
            ],
        },
        horizon={"start": "2026-11-30", "days": 7},
        actions=pd.DataFrame(
            {"action_id": ["call", "mail"], "offer_id": "loan", "channel": ["call", "mail"], "date": 1}
        ),
        channels=pd.DataFrame({"channel": ["call", "mail"], "minutes": [4.0, 0.0]}),
        customers=pd.DataFrame({"customer_id": ids, "region": "North"}),
        candidates=pd.DataFrame(
            {"customer_id": ids, "action_id": ["call"] * 345 + ["mail"] * 155, "value": 1.0}
        ),
        capacity=pd.DataFrame({"date": [1], "region": ["North"], "minutes": [1200.0]}),
    )  # fmt: skip
    assert said(made) == (
        "'call desk' 2026-11-30 in North is 180 minutes short of 'loan guarantee' (at least 500 contacts): "
        "raise it to 1,380, or lower 'loan guarantee' to 455\n"
        "raise 'call desk' 2026-11-30 in North from 1,200 to 1,380: the plan is then worth 500.00\n"
        "lower 'loan guarantee' from 500 to 455: the plan is then worth 455.00"
    )


def test_names_a_limit_that_asks_for_some_where_there_are_none() -> None:
    nobody = project([{"name": "guarantee", "min": 1}])
    policy = nobody.effective_policy() | {"eligibility": [{"name": "none", "drop": {"offer": "card"}}]}
    tables = nobody.read()
    made = oo.Project.from_frames(policy, actions=tables.actions, candidates=tables.candidates)
    assert said(made) == (
        "limit 'guarantee' asks for at least 1 contact, but the candidates bring at most 0\n"
        "lower 'guarantee' from 1 to 0: the plan is then worth 0.00"
    )


def test_several_clashes_are_all_told_with_moves_that_mend_them_together() -> None:
    lines = said(two_clashes(1).project()).splitlines()
    assert {line.split(" is ")[0] for line in lines[:2]} == {"'few mails'", "'few calls'"}
    assert all(line.count("from") == 2 for line in lines[2:]) and len(lines) == 6


def test_a_limit_that_may_be_missed_never_clashes() -> None:
    made = guarantee_against_budget(1)
    made.policy["limits"][1]["penalty"] = 2.0
    assert oo.optimize(made.project()).status == "optimal"


def test_the_error_carries_the_diagnosis_through_pickle_and_json() -> None:
    with pytest.raises(oo.Infeasible) as error:
        oo.optimize(two_clashes(2).project())
    again = pickle.loads(pickle.dumps(error.value))
    assert again.diagnosis == error.value.diagnosis and again.reason == error.value.reason
    told = again.diagnosis.as_dict()
    assert {m["side"] for m in json.loads(json.dumps(told))["clash"]["members"]} == {"min", "max"}
    assert told["minimal"] and len(told["further"]) == 1
    assert oo.Infeasible("why").diagnosis is None


def test_the_command_carries_the_diagnosis_as_json(tmp_path: Path) -> None:
    made = two_clashes(3)
    for name, table in made.tables.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    spec = {
        "version": 1, "name": "impossible", "horizon": {"start": START, "days": DAYS}, "policy": made.policy,
        "tables": {name: f"{name}.csv" for name in made.tables},
    }  # fmt: skip
    (tmp_path / "omniopt.yaml").write_text(json.dumps(spec), encoding="utf-8")
    result = CliRunner().invoke(cli, ["optimize", str(tmp_path), "--out", str(tmp_path / "out"), "--json"])
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["status"]) == (3, "infeasible")
    assert answer["diagnosis"]["minimal"] and answer["diagnosis"]["text"] == answer["error"]
    assert [len(way["moves"]) for way in answer["diagnosis"]["repairs"]] == [2, 2, 2, 2]


def test_out_of_time_is_said_instead_of_claiming_a_smallest_set() -> None:
    found = diagnose(build_problem(guarantee_against_budget(1).project()), seconds=0.0)
    assert found is not None and not found.minimal and not found.repairs
    assert "time ran out: perhaps not all of these rules are needed for the clash" in found.text


def test_a_plan_that_is_possible_has_no_diagnosis() -> None:
    assert diagnose(build_problem(world(1).project())) is None


def index_of(problem: Any) -> kernels.UnitIndex:
    return kernels.UnitIndex.of(problem.unit, problem.units)


def test_the_quick_test_solves_nothing_where_nothing_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    made = world(2)
    made.policy["limits"] = [{"name": "calls", "where": CALL, "min": 2}, {"name": "all", "max": 9}]
    made.policy["contact"] = [{"name": "one or more", "min": 1}, {"name": "pressure", "max": 2}]
    problem = build_problem(made.project())

    def solver(*_: Any) -> None:
        raise AssertionError("the quick test must not call a solver")

    monkeypatch.setattr(exact, "solve", solver)
    monkeypatch.setattr(oracle, "_Program", solver)
    assert quick_test(problem, index_of(problem)) is None


@pytest.mark.parametrize(
    ("limits", "contact", "locks"),
    [
        pytest.param([{"name": "reach", "min": 3}], [{"name": "one", "max": 1}], [], id="a limit's minimum"),
        pytest.param([{"name": "calls", "where": CALL, "max": 1}], EVERYONE, [], id="a limit's maximum"),
        pytest.param([], [{"name": "two", "min": 2}], [], id="a customer's minimum"),
        pytest.param([], [{"name": "none", "max": 0}], [("ann", "call")], id="a lock"),
    ],
)  # fmt: skip
def test_the_quick_test_finds_what_single_rules_cannot_reach(
    limits: list[dict[str, Any]], contact: list[dict[str, Any]], locks: list[tuple[str, str]]
) -> None:
    problem = build_problem(project(limits, *locks, contact=contact))
    with pytest.raises(oo.Infeasible) as error:
        quick_test(problem, index_of(problem))
    assert error.value.diagnosis is not None and error.value.diagnosis.minimal


def test_the_reach_of_a_limit_is_worked_out_only_where_it_is_not_easily_met() -> None:
    problem = build_problem(project([{"name": "easy", "min": 2}], contact=[]))
    assert infeasible.out_of_reach(problem, index_of(problem)) is None
    hard = build_problem(project([{"name": "hard", "min": 4}], contact=[]))
    assert infeasible.out_of_reach(hard, index_of(hard)) == (0, "min")


def test_the_grain_of_a_sum_tells_which_bounds_it_can_meet() -> None:
    made = world(1)
    made.policy["limits"] = [
        {"name": "minutes", "measure": "minutes", "max": 20},
        {"name": "cost", "measure": "cost", "max": 3.9},
        {"name": "odd", "measure": "0.3333333333 * value", "max": 5},
    ]
    rows = member_rows.MemberRows.of(build_problem(made.project()))
    assert rows.grain.tolist() == [6.0, 0.25, 0.0]
    assert np.allclose(rows.hi, [18.0, 3.75, 5.0])


def test_what_rounding_leaves_of_a_ratio_is_no_number_to_scale_by() -> None:
    """A row of the diagnosis holds nothing but 1e-15, what is left of 0.3 - 3 × 0.1."""
    with pytest.raises(oo.Infeasible, match="cannot be kept together"):
        oo.optimize(tiny.make(Random(1001025)).project(), gap=0.0)

"""Why a large problem has no plan: a clash that is true, smallest, and told by the command."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

import omniopt as oo
from omniopt.cli import cli
from omniopt.decisions import repair
from omniopt.decisions.diagnosis import Diagnosis
from omniopt.decisions.large import close, infeasible, search
from omniopt.decisions.large.build import build_large
from omniopt.decisions.large.prices import Prices
from omniopt.decisions.large.sweep import Engine
from omniopt.errors import Infeasible

COST = {"call": 2.0, "mail": 1.0, "email": 0.25}
CALLS = {"name": "calls", "where": {"channel": "call"}, "min": 30}
MAILS = {"name": "mails", "where": {"channel": "mail"}, "min": 40}
BUDGET = {"name": "budget", "measure": "cost", "max": 80.0}  # 100 are needed
OTHERS = [
    {"name": "reach", "max": 90},
    {"name": "e-mails", "where": {"channel": "email"}, "max": 20},
    {"name": "response", "measure": "response", "min": 0.5},
]
HORIZON = {"start": "2026-11-23", "days": 7}
ONE_EACH = {"name": "one each", "max": 1}


@pytest.fixture(autouse=True)
def as_if_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat small problems as if they had millions of candidates."""
    monkeypatch.setattr(infeasible, "SMALL", 0)
    monkeypatch.setattr(close, "WHOLE", 0)


def tables(customers: int = 100) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(3)
    actions = pd.DataFrame({"action_id": list(COST), "offer_id": "card", "channel": list(COST), "date": 1})
    candidates = pd.DataFrame(
        [(f"c{i:03d}", action) for i in range(customers) for action in COST],
        columns=["customer_id", "action_id"],
    )
    candidates["value"] = rng.gamma(1.0, 5.0, len(candidates))
    candidates["response"] = rng.uniform(0.0, 0.1, len(candidates))
    candidates["cost"] = candidates["action_id"].map(COST)
    return {"actions": actions, "candidates": candidates}


def project(rules: dict) -> oo.Project:
    return oo.Project.from_frames(rules, horizon=HORIZON, **tables())


def policy(limits: list[dict], contact: list[dict] | None = None, **rules: Any) -> dict:
    return {"objective": "value", "limits": limits, "contact": contact or [ONE_EACH], **rules}


def diagnosis(rules: dict, **options: Any) -> Diagnosis:
    with pytest.raises(Infeasible) as caught:
        oo.optimize(project(rules), solver="decomposed", **options)
    assert caught.value.diagnosis is not None
    return caught.value.diagnosis


def has_plan(rules: dict) -> bool:
    try:
        oo.optimize(project(rules), solver="exact", gap=0.5)
    except Infeasible:
        return False
    return True


def test_two_minimums_against_a_budget() -> None:
    limits = [CALLS, *OTHERS, MAILS, BUDGET]
    found = diagnosis(policy(limits))
    members = {(member.rule, member.side) for member in found.clash.members}
    assert members == {("calls", "min"), ("mails", "min"), ("budget", "max")}
    assert found.minimal and not found.clash.customers
    moves = {way.moves[0].rule: way.moves[0].after for way in found.repairs}
    assert moves["budget"] == pytest.approx(100.0)
    assert (moves["calls"], moves["mails"]) == pytest.approx((20.0, 20.0))
    assert "'budget'" in found.text and "'calls'" in found.text and "'mails'" in found.text
    # what is named clashes by itself, and no part of it does
    assert not has_plan(policy([CALLS, MAILS, BUDGET]))
    assert all(has_plan(policy([r for r in (CALLS, MAILS, BUDGET) if r is not out]))
               for out in (CALLS, MAILS, BUDGET))  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_every_member_of_a_clash_is_needed(seed: int) -> None:
    """Random limits, most of which have nothing to do with it."""
    rng = np.random.default_rng(seed)
    limits = [
        {"name": f"{side} {channel}", "where": {"channel": channel}, side: int(number)}
        for channel in COST for side, number in (("min", rng.integers(10, 60)), ("max", rng.integers(60, 90)))
    ]  # fmt: skip
    limits += [{"name": "budget", "measure": "cost", "max": float(rng.integers(40, 90))},
               {"name": "reach", "max": int(rng.integers(60, 110))}]  # fmt: skip
    if has_plan(policy(limits)):
        plan = oo.optimize(project(policy(limits)), solver="decomposed")
        assert len(plan.contacts)
        return
    found = diagnosis(policy(limits))
    named = [member.rule for member in found.clash.members]
    clash = [rule for rule in limits if rule["name"] in named]
    assert not has_plan(policy(clash))
    assert found.minimal
    assert all(has_plan(policy([rule for rule in clash if rule is not out])) for out in clash)


def test_prices_that_run_off_prove_a_clash_without_the_others() -> None:
    dear = {"name": "call budget", "where": {"channel": "call"}, "measure": "cost", "max": 50.0}
    large, _ = build_large(project(policy([CALLS, *OTHERS[:1], dear])))
    engine = Engine(large.columns, large.templates, large.system, large.bins.width)
    prices = np.array([-1.0, 0.05, 0.55])
    assert large.coupling.rule == ["calls", "reach", "call budget"]
    proof = infeasible._proof_for(large, engine)
    assert proof.value(prices.copy())[0] > 0  # 90 * 0.05 is more than the two prove
    assert infeasible.is_impossible(large, engine, prices)
    found = proof._scaled(prices)
    assert found is not None and found.tolist() == [-1.0, 0.0, 0.55]
    with pytest.raises(Infeasible, match="of cost short of 'calls'"):
        raise infeasible.clash_of(large, engine, prices)


def test_prices_that_are_still_running_off_are_asked_for_a_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    dear = {"name": "call budget", "where": {"channel": "call"}, "measure": "cost", "max": 50.0}

    def unsettled(large, *_: object) -> Prices:
        return Prices(np.array([-100.0, 5.0, 55.0]), 1e6, False, 1.0, np.inf, 0.0)

    monkeypatch.setattr(search, "lowered", unsettled)
    monkeypatch.setattr(search, "close", None)  # is not asked
    with pytest.raises(Infeasible, match="of cost short of 'calls'"):
        oo.optimize(project(policy([CALLS, *OTHERS[:1], dear])), solver="decomposed")


def test_a_minimum_that_whole_numbers_put_out_of_reach() -> None:
    """Between 30.2 and 30.8 calls there is no number of calls."""
    found = diagnosis(policy([{"name": "calls", "where": {"channel": "call"}, "min": 30.2, "max": 30.8}]))
    assert {(member.rule, member.side) for member in found.clash.members} == {
        ("calls", "min"),
        ("calls", "max"),
    }
    assert {way.moves[0].side: way.moves[0].after for way in found.repairs} == {"min": 30.0, "max": 31.0}


def test_conflicts_that_leave_a_minimum_out_of_reach() -> None:
    """100 customers, and nobody may get both: 120 contacts are too many."""
    rules = policy(
        [{"name": "reach", "min": 120}, *OTHERS[1:]], [{"name": "three", "max": 3}],
        conflicts=[{"name": f"{a} or {b}", "first": {"channel": a}, "then": {"channel": b}, "days": 7}
                   for a in COST for b in COST if a != b],
    )  # fmt: skip
    found = diagnosis(rules)
    assert [(member.rule, member.side) for member in found.clash.members] == [("reach", "min")]
    assert found.repairs[0].moves[0].after == pytest.approx(100.0)


def test_customers_without_a_choice() -> None:
    rules = policy([CALLS], [ONE_EACH, {"name": "two at least", "min": 2}])
    found = diagnosis(rules)
    assert [(member.kind, member.rule) for member in found.clash.members] == [("contact", "two at least")]
    assert len(found.clash.customers) == 100 and found.clash.unit == "customer"
    assert "two at least" in found.text and "c000" in found.text


def test_the_command_tells_it_as_json(tmp_path: Path) -> None:
    for name, table in tables().items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    spec = {"version": 1, "name": "clash", "horizon": HORIZON,
            "tables": {name: f"{name}.csv" for name in tables()},
            "policy": policy([CALLS, *OTHERS, MAILS, BUDGET])}  # fmt: skip
    (tmp_path / "omniopt.yaml").write_text(yaml.safe_dump(spec))
    arguments = [
        "optimize",
        str(tmp_path),
        "--out",
        str(tmp_path / "out"),
        "--solver",
        "decomposed",
        "--json",
    ]
    result = CliRunner().invoke(cli, arguments)
    told = json.loads(result.stdout)
    assert (result.exit_code, told["status"], told["exit_status"]) == (3, "infeasible", 3)
    assert "budget" in json.dumps(told["diagnosis"]["clash"]["members"])
    assert told["diagnosis"]["minimal"] is True
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "rules",
    [
        policy([CALLS, *OTHERS, MAILS, BUDGET]),
        policy([CALLS, MAILS | {"penalty": 0.01}, BUDGET | {"max": 50.0}]),
        policy([{"name": "many calls", "where": {"channel": "call"}, "min": 120}, *OTHERS]),
    ],
    ids=["budget", "soft", "reach"],
)
def test_ways_out_are_the_same_by_either_solver(rules: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of problems of middling size every way out is solved for, by prices too."""
    monkeypatch.setattr(infeasible, "SMALL", 10**6)
    monkeypatch.setattr(repair, "SMALL", 0)
    found = diagnosis(rules)
    with pytest.raises(Infeasible) as caught:
        oo.optimize(project(rules), solver="exact")
    exact = caught.value.diagnosis
    assert {(m.rule, m.side) for m in found.clash.members} == {(m.rule, m.side) for m in exact.clash.members}
    mine, theirs = ({w.moves[0].rule: w for w in told.repairs} for told in (found, exact))
    assert mine.keys() == theirs.keys()
    for rule, way in theirs.items():
        assert mine[rule].moves[0].after == way.moves[0].after
        assert mine[rule].objective == pytest.approx(way.objective, rel=2e-3)

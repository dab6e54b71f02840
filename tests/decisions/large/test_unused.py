"""What limits have to leave unused: never more than some whole numbers of contacts leave."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import omniopt as oo
from omniopt.audit.verify import verify
from omniopt.decisions.large import close, unused
from omniopt.decisions.large.build import build_large
from omniopt.decisions.large.hunt import Hunt
from omniopt.decisions.large.prices import worth_table
from omniopt.decisions.large.sweep import Engine, bound_of


def calls(customers: int, cost: list[float], limits: list[dict], worth: float = 10.0) -> dict:
    """So many customers who can be called, each once, in two regions where a call costs different amounts."""
    region = np.arange(customers) % 2
    names = [f"c{i:04d}" for i in range(customers)]
    actions = pd.DataFrame({"action_id": ["call"], "offer_id": ["card"], "channel": ["call"]})
    people = pd.DataFrame({"customer_id": names, "region": np.array(["north", "south"])[region]})
    candidates = pd.DataFrame(
        {
            "customer_id": names,
            "action_id": "call",
            "value": worth + np.random.default_rng(0).uniform(0.0, 1e-3, customers),
            "cost": np.array(cost)[region],
        }
    )
    policy = {"objective": "value", "limits": [{"name": f"l{i}", **rule} for i, rule in enumerate(limits)]}
    return {"policy": policy, "actions": actions, "customers": people, "candidates": candidates}


def hunt_of(tables: dict, prices: list[float], chosen: list[int]) -> Hunt:
    large = build_large(oo.Project.from_frames(**tables))[0]
    engine = Engine(large.columns, large.templates, large.system, large.bins.width)
    hunt = Hunt(large, engine, 1e-6, math.inf, lambda *_: None)
    array = np.array(prices)
    hunt.price(array, bound_of(large, array, engine.sweep(worth_table(large, array))))
    assert hunt.offer(np.array(chosen))
    return hunt


def test_a_budget_that_calls_do_not_divide():
    """10 may be spent, a call is worth about 10 and costs 3: three of them, though prices allow 3 1/3."""
    hunt = hunt_of(calls(10, [3.0, 3.0], [{"measure": "cost", "max": 10.0}]), [10.0 / 3.0], [0, 1, 2])
    assert hunt.from_prices == pytest.approx(33.34, abs=0.02)
    aimed = unused.prove_unused(hunt)
    assert aimed.system.hi == pytest.approx([9.0], abs=1e-6)
    assert hunt.large.system.hi == [10.0]
    assert hunt.bound == pytest.approx(30.0, abs=0.02)
    assert hunt.bound >= hunt.objective
    assert hunt.by_exact


def test_each_region_has_its_own_and_what_divides_is_left_alone():
    north, south = (
        {"measure": "cost", "where": {"customer.region": r}, "max": 10.0} for r in ("north", "south")
    )
    tables = calls(20, [3.0, 5.0], [north, south])
    hunt = hunt_of(tables, [10.0 / 3.0, 2.0], [0, 1, 2, 3, 4])  # three in the north, two in the south
    aimed = unused.prove_unused(hunt)
    assert hunt.from_prices - hunt.bound == pytest.approx(10.0 / 3.0, rel=1e-6)
    assert aimed.system.hi == pytest.approx([9.0, 10.0], abs=1e-6)


def test_a_better_choice_is_aimed_at():
    """Of 11, two calls at 3 and one at 5 use all; the plan has three at 3."""
    regions = {"where": {"customer.region": "north"}, "max": 100}  # tells them apart
    limits = [{"measure": "cost", "max": 11.0}, regions]
    hunt = hunt_of(calls(20, [3.0, 5.0], limits), [10.0 / 3.0, 0.0], [0, 2, 4])
    aimed = unused.prove_unused(hunt)
    assert aimed.system.hi == pytest.approx([11.0, 100.0], abs=1e-6)
    assert hunt.bound == pytest.approx(hunt.from_prices, rel=1e-6)


def test_nothing_is_asked_where_it_would_not_help(monkeypatch):
    monkeypatch.setattr(unused, "_least", None)
    hunt = hunt_of(calls(10, [3.0, 3.0], [{"measure": "cost", "max": 9.0}]), [10.0 / 3.0], [0, 1, 2])
    unused.prove_unused(hunt)  # the budget is spent
    hunt = hunt_of(calls(10, [3.0, 3.0], [{"measure": "cost", "max": 10.0}]), [1e-3], [0, 1, 2])
    unused.prove_unused(hunt)  # the price says next to nothing


@pytest.mark.parametrize("seed", range(40))
def test_no_numbers_of_contacts_leave_less(seed):
    rng = np.random.default_rng(seed)
    bins, rows = 5, int(rng.integers(1, 5))
    amount = rng.choice([0.0, 0.0, 0.7, 1.0, 1.4, 2.5, -1.0, 9.1], (rows, bins))
    groups = [frozenset(np.flatnonzero(own)[:1] // 2) or frozenset({0}) for own in amount]
    counts = rng.integers(0, 4, bins).astype(float)
    left, price = rng.uniform(0.0, 5.0, rows), rng.uniform(0.1, 3.0, rows)
    side = amount @ counts + left
    least = math.inf
    for other in itertools.product(range(7), repeat=bins):
        rest = side - amount @ np.array(other)
        if (rest >= -1e-12).all():
            least = min(least, float(price @ rest))
    stated = unused._Rows(np.arange(rows), sparse.csr_array(amount), left, price, np.full(rows, 1e-9), groups)
    hunt = hunt_of(calls(2, [1.0, 1.0], [{"measure": "cost", "max": 1.0}]), [1.0], [0])
    assert -1e-9 <= unused._least(stated, counts, hunt, np.zeros(rows)) <= least + 1e-7


def test_the_plan_is_proven_and_the_check_agrees(tmp_path, monkeypatch):
    monkeypatch.setattr(close, "WHOLE", 0)
    monkeypatch.setattr(close, "PROVABLE", 0)
    regions = [
        {"measure": "cost", "where": {"customer.region": r}, "max": m}
        for r, m in (("north", 100.0), ("south", 101.5))
    ]
    tables = calls(400, [7.0, 4.0], regions)
    tables["candidates"]["value"] += 0.1 * np.random.default_rng(1).random(400)
    folder = tmp_path / "p"
    folder.mkdir()
    for name in ("actions", "customers", "candidates"):
        tables[name].to_csv(folder / f"{name}.csv", index=False)
    names = "{actions: actions.csv, customers: customers.csv, candidates: candidates.csv}"
    (folder / "omniopt.yaml").write_text(
        f"version: 1\nname: p\ntables: {names}\npolicy: {tables['policy']}\n"
    )
    plan = oo.optimize(oo.Project.load(folder), gap=1e-6, solver="decomposed")
    assert plan.status in ("within_gap", "optimal")
    assert plan.certificate["bound_by"] == "exact"
    plan.save(tmp_path / "out")
    verdict = verify(tmp_path / "out")
    assert verdict.ok
    assert verdict.bound_proven > plan.bound  # prices alone prove less

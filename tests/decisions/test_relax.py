"""The LP begun where prices and a choice have come to: the same answer, in fewer steps."""

import math
from random import Random

import numpy as np
import pytest
import tiny
from bank import project, table, tables_of

from omniopt.decisions import build_problem
from omniopt.decisions.model import Model, state_model
from omniopt.decisions.relax import LinearProgram


def solved(model: Model, prices: np.ndarray | None = None, chosen: np.ndarray | None = None):
    """Values, duals and steps of the LP; None if it has no solution."""
    program = LinearProgram(model, np.arange(model.n))
    if prices is not None:
        program.begin(prices, chosen)
    found = program.solve(math.inf)
    return found and (*found, program.highs.getInfo().simplex_iteration_count)


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_the_answer_does_not_depend_on_the_beginning(first):
    compared = 0
    for number in range(first, first + 20):
        model = state_model(build_problem(tiny.make(Random(number)).project()))
        if not model.n:
            continue
        rng = np.random.default_rng(number)
        plain = solved(model)
        prices = rng.normal(size=model.k) * (rng.random(model.k) < 0.7)
        finite = np.where(prices > 0, model.hi[: model.k], model.lo[: model.k])
        prices[np.isinf(finite)] = 0.0
        begun = solved(model, prices, np.flatnonzero(rng.random(model.n) < 0.5))
        assert (plain is None) == (begun is None)
        if plain is None:
            continue
        compared += 1
        worth = [float(model.objective @ found[0]) for found in (plain, begun)]
        assert worth[1] == pytest.approx(worth[0], rel=1e-7, abs=1e-7)
        kept = model.matrix @ begun[0]
        assert (kept >= model.lo - 1e-6).all() and (kept <= model.hi + 1e-6).all()
        assert len(begun[1]) == len(model.lo)
    assert compared > 5


def one_each(customers: int) -> Model:
    """So many customers, four kinds of contact, at most one each, a budget and a quota of calls."""
    rng = np.random.default_rng(1)
    rows = [
        f"c{i} {offer}-{channel}-1 {rng.gamma(2.0, 5.0):.3f} {cost + rng.random():.3f}"
        for i in range(customers)
        for offer in ("loan", "card")
        for channel, cost in (("call", 5.0), ("email", 1.0))
    ]
    policy = {
        "objective": "value",
        "limits": [
            {"name": "budget", "measure": "cost", "max": 1.5 * customers},
            {"name": "calls", "where": {"channel": "call"}, "max": customers // 10},
        ],
        "contact": [{"name": "one each", "max": 1}],
    }
    candidates = table("customer_id action_id value cost", *rows)
    return state_model(build_problem(project(policy, tables_of(candidates))))


def test_good_prices_leave_few_steps():
    model = one_each(400)
    values, duals, steps = solved(model)
    again, _, few = solved(model, duals[: model.k], np.flatnonzero(values[: model.n] > 0.5))
    assert float(model.objective @ again) == pytest.approx(float(model.objective @ values), rel=1e-9)
    assert steps > 100
    assert few < steps / 5

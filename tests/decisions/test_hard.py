"""A customer whose search is cut is solved row by row, and told apart from one that cannot be served."""

from __future__ import annotations

import numpy as np
import pandas as pd

import omniopt as oo
from omniopt.decisions import build_problem, dual, kernels
from omniopt.decisions.hard import HardUnits


def test_an_optimum_is_bounded_closely_and_an_impossible_wish_is_minus_infinity() -> None:
    actions = pd.DataFrame({"action_id": list("abc"), "offer_id": list("abc"), "channel": "mail"})
    candidates = pd.DataFrame({"customer_id": "ann", "action_id": list("abc"), "value": [3.0, 2.0, 4.0]})
    policy = {"objective": "value", "contact": [{"name": "two", "max": 2}]}
    problem = build_problem(oo.Project.from_frames(policy, actions=actions, candidates=candidates))
    units = HardUnits(problem, kernels.UnitIndex.of(problem.unit, problem.units).unit_start)

    value, chosen = units.solve(0, problem.objective, dual.forced(problem))
    assert 7.0 <= value <= 7.0 + 1e-6
    assert chosen is not None and chosen.tolist() == [True, False, True]
    assert units.solve(0, problem.objective, np.ones(3, np.int8)) == (-np.inf, None)

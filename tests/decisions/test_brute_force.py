"""The optimizer beside plain brute force, on thousands of random tiny projects."""

from __future__ import annotations

import json
from collections import Counter
from random import Random

import numpy as np
import pytest
import tiny
from agree import CLOSE, assert_same, check, check_optimum, check_plan, optimum, rows_of
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from portions import slow_after
from reference import Answer, Reference

from omniopt.decisions import dual, kernels, relax, restrict

NUMBERS = st.integers(0, 10**9)  # a case can be made again by its number: tiny.make(Random(number))
QUICK = settings(
    max_examples=300, deadline=None, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture],
)  # fmt: skip


@pytest.mark.parametrize("part", slow_after(1, 6))
@settings(QUICK, max_examples=50)
@given(number=NUMBERS)
def test_plan_and_proof_are_those_of_brute_force(part: int, number: int) -> None:
    assert_same(tiny.make(Random(6 * number + part)))


@pytest.mark.parametrize("part", slow_after(1, 3))
@settings(QUICK, max_examples=20)
@given(number=NUMBERS)
def test_default_gap_is_kept(part: int, number: int) -> None:
    assert_same(tiny.make(Random(3 * number + part)), gap=1e-4)


@pytest.mark.parametrize("part", slow_after(1, 3))
@settings(QUICK, max_examples=40)
@given(number=NUMBERS)
def test_fixing_and_repair_lose_nothing(part: int, number: int) -> None:
    """With next to nothing left open at first, the same optimum comes out of fixing, repair and proof."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(restrict, "WHOLE", 3)
        patch.setattr(restrict, "FIRST_UNDECIDED", 3)
        patch.setattr(restrict, "GROWTH", 2)
        patch.setattr(relax, "SIFT_FROM", 2)
        patch.setattr(relax, "CLOSEST", 1)
        assert_same(tiny.make(Random(3 * number + part)))


@pytest.mark.parametrize("most", [200, 1, 0])
@pytest.mark.parametrize("part", slow_after(1, 3))
@settings(QUICK, max_examples=15)
@given(number=NUMBERS)
def test_searches_that_are_cut_lose_nothing(part: int, most: int, number: int) -> None:
    """Customers whose best sets the search does not find in time go to the exact solver, or are bounded.

    What the prices prove may then be less than they could, so only the plan and its bounds are compared.
    """
    case = tiny.make(Random(9 * number + 3 * part + most % 3))
    note(str(case))
    with pytest.MonkeyPatch.context() as patch:
        # compiled code holds its constants, so the search runs as plain Python here
        for name in ("_solve_unit", "best_sets", "margins"):
            patch.setattr(kernels, name, getattr(kernels, name).py_func)
        patch.setattr(kernels, "NODE_LIMIT", 1)
        patch.setattr(dual, "MOST", most)
        plan = optimum(case, gap=0.0)
    reference = case.reference()
    answer = reference.solve()
    assert (plan is not None) == answer.feasible
    if plan is not None:
        chosen = rows_of(reference, plan)
        check_plan(reference, plan, chosen)
        check_optimum(reference, answer, plan, chosen, 0.0)
        sign, best = reference.sign, answer.best[0]
        for bound in (plan.bound, plan.certificate["bound_from_prices"]):
            assert sign * bound >= sign * best - 1e-9 * max(1.0, abs(best))


def cases(numbers: range) -> list[tiny.Case]:
    return [tiny.make(Random(n)) for n in numbers]


def test_every_kind_of_rule_is_in_the_mix() -> None:
    """The generator draws each kind often, and problems that are neither empty nor mostly impossible."""
    seen: Counter[str] = Counter()
    numbers = 250
    for case in cases(range(numbers)):
        seen.update(tiny.kinds(case))
        reference = case.reference()
        answer = reference.solve()
        seen["feasible" if answer.feasible else "infeasible"] += 1
        seen["five or more candidates"] += len(reference.alive) >= 5
        seen["a limit binds"] += answer.feasible and _binds(reference, answer)
        seen["several customers in a household"] += any(len(unit) > 1 for unit in reference.units)
        seen["a fallback"] += any(c.fallback for c in reference.alive)
        seen.update(f"dropped: {why.split(' ')[0]}" for why in set(reference.dropped.values()))
    wanted = {
        "feasible": 150, "infeasible": 15, "five or more candidates": 100, "a limit binds": 30,
        "a fallback": 30, "several customers in a household": 40,
        "objective maximise": 50, "objective minimise": 40, "objective ranks": 30, "objective within": 15,
        "objective fixed_cost": 5, "scores": 50, "candidates": 50, "table history": 50,
        "table consents": 15, "vetoes": 7, "locks": 5, "no horizon": 25, "several categories": 20,
        "channels.fallback": 30, "channels.send_from": 15, "channels.send_days": 15,
        "channels.requires_consent": 30,
        "eligibility.drop": 30, "eligibility.after": 30, "eligibility.drop_same": 30,
        "eligibility.for_days": 30, "eligibility.after times": 15, "eligibility.after within_days": 15,
        "limits.where": 50, "limits.per": 30, "limits.measure": 50, "limits.min": 50, "limits.max": 50,
        "limits.min table": 5, "limits.max table": 15, "limits.over": 30, "limits.over.measure": 20,
        "limits.over.where": 5, "limits.per multi-valued": 7, "limits.rolling_days": 30,
        "limits.over rolling": 7, "limits.all_or_nothing": 30, "limits.fixed_cost": 20,
        "limits.fixed_cost table": 3, "limits.measure fixed_cost": 5, "limits.penalty": 30,
        "limits.penalty table": 3, "limits.report_only": 15,
        "contact.where": 50, "contact.per": 30, "contact.max": 100, "contact.max table": 20,
        "contact.min": 30, "contact.min hard": 15, "contact.min table": 7, "contact.min_or_none": 20,
        "contact.days": 75, "contact.every": 20, "contact.history": 20, "contact.count": 30,
        "contact.occasions": 20, "contact.attribute": 30, "contact.unit": 30,
        "conflicts.first": 50, "conflicts.then": 50, "conflicts.days": 50, "conflicts.either_order": 30,
        "requires.offer": 40, "requires.needs": 40, "requires.days": 40, "requires.order": 20,
        "requires.order any": 15,
        "dropped: offer": 10, "dropped: no": 20, "dropped: outside": 10, "dropped: drop": 20,
        "dropped: rest": 10, "dropped: veto": 7,
    }  # fmt: skip
    assert {kind: (seen[kind], least) for kind, least in wanted.items() if seen[kind] < least} == {}


def _binds(reference: Reference, answer: Answer) -> bool:
    """Whether the best sets of all customers would together break a limit."""
    free = sum(
        max(reference.sign * sum(reference.objectives[j] for j in s) for s in sets)
        for sets in reference.unit_plans
    )
    return free > reference.sign * answer.best[0] + CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_thousands_more(part: int) -> None:
    for number in range(10_000 + 500 * part, 10_000 + 500 * (part + 1)):
        case = tiny.make(Random(number))
        try:
            check(case)
        except Exception as error:
            raise AssertionError(f"case {number}:\n{case}") from error


def test_certificate_is_json_without_nan() -> None:
    for case in cases(range(2000, 2010)):
        plan = optimum(case)
        if plan is not None:
            json.dumps(plan.certificate, allow_nan=False)
            assert np.isfinite(plan.objective)

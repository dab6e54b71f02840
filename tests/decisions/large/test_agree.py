"""The decomposed solver beside plain brute force, on random tiny projects that mix all kinds of rules."""

from __future__ import annotations

from random import Random

import pytest
import tiny
from agree import check, check_plan, optimum, rows_of
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from portions import slow_after

import omniopt as oo
from omniopt.decisions.large import close
from omniopt.errors import Infeasible, StoppedWithoutPlan

NUMBERS = st.integers(0, 10**9)  # a case can be made again by its number: tiny.make(Random(number))
QUICK = settings(
    max_examples=30, deadline=None, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture],
)  # fmt: skip


def assert_bracketed(case: tiny.Case, gap: float) -> None:
    """The bound is not below the optimum, the plan not above it, and their distance is the gap claimed."""
    reference = case.reference()
    answer = reference.solve()
    plan = optimum(case, gap=gap, solver="decomposed")
    assert (plan is not None) == answer.feasible
    if plan is None:
        return
    sign, best = reference.sign, answer.best[0]
    room = 1e-9 * max(1.0, abs(best))
    check_plan(reference, plan, rows_of(reference, plan))
    assert plan.certificate["solver"] == "decomposed"
    assert sign * plan.bound >= sign * best - room
    if len(reference.ranks) == 1:
        assert sign * plan.objective <= sign * best + room
    assert abs(plan.bound - plan.objective) <= plan.gap * max(1.0, abs(plan.bound)) + room
    assert plan.status == "stopped_early" or plan.gap <= plan.certificate["gap_target"] + 1e-9


@pytest.mark.parametrize("part", slow_after(1, 4))
@settings(QUICK)
@given(number=NUMBERS)
def test_plan_and_proof_are_those_of_brute_force(part: int, number: int) -> None:
    """So few candidates all go to the exact solver in the end, and nothing may be lost on the way."""
    case = tiny.make(Random(4 * number + part))
    note(str(case))
    check(case, 0.0, solver="decomposed")


@pytest.mark.parametrize("gap", [1e-4, 0.02])
@pytest.mark.parametrize("part", slow_after(1, 3))
@settings(QUICK, max_examples=10)
@given(number=NUMBERS)
def test_bound_optimum_and_plan_are_in_order(part: int, gap: float, number: int) -> None:
    """With next to nothing left open at first, units join until the gap is met."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(close, "WHOLE", 0)
        patch.setattr(close, "FIRST", (1, 1))
        patch.setattr(close, "GROWTH", 2)
        patch.setattr(close, "FIRST_WHOLE", 1)
        case = tiny.make(Random(3 * number + part))
        note(str(case))
        assert_bracketed(case, gap)


@pytest.mark.parametrize("part", slow_after(1, 3))
@settings(QUICK)
@given(number=NUMBERS)
def test_a_plan_made_at_once_keeps_all_rules(part: int, number: int) -> None:
    case = tiny.make(Random(3 * number + part))
    note(str(case))
    stopped_at_once(case)


def stopped_at_once(case: tiny.Case) -> bool:
    """Press Ctrl-C as soon as anything is told; return whether there was a plan."""
    reference = case.reference()
    answer = reference.solve()

    def press(*_: object) -> None:
        raise KeyboardInterrupt

    try:
        plan = oo.optimize(case.project(), gap=0.0, solver="decomposed", progress=press)
    except Infeasible:
        assert not answer.feasible
        return False
    except (KeyboardInterrupt, StoppedWithoutPlan):
        return False
    assert answer.feasible
    check_plan(reference, plan, rows_of(reference, plan))
    sign, best = reference.sign, answer.best[0]
    assert sign * plan.bound >= sign * best - 1e-9 * max(1.0, abs(best))
    return True


def test_an_open_cell_may_cost_more_than_all_contacts_are_worth(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fixed cost in the denominator of a ratio with a penalty: the plan is worth little, but it is one."""
    monkeypatch.setattr(close, "WHOLE", 0)
    assert_bracketed(tiny.make(Random(1119)), 1e-3)


def test_a_limit_that_no_whole_number_of_contacts_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """From 0.25 to 1.75, where a contact costs 2.25."""
    monkeypatch.setattr(close, "WHOLE", 0)
    assert_bracketed(tiny.make(Random(10205)), 0.0)


def test_sets_that_are_at_hand_do_not_join_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second rank whose first sets miss limits, at prices that limits cannot have."""
    monkeypatch.setattr(close, "WHOLE", 0)
    monkeypatch.setattr(close, "FIRST", (1, 1))
    monkeypatch.setattr(close, "FIRST_WHOLE", 1)
    assert_bracketed(tiny.make(Random(1545)), 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("hundred", range(10))
def test_thousands_of_problems(hundred: int) -> None:
    for number in range(200 * hundred, 200 * hundred + 200):
        with pytest.MonkeyPatch.context() as patch:
            if number % 2:
                patch.setattr(close, "WHOLE", 0)
                patch.setattr(close, "FIRST", (1, 1))
                patch.setattr(close, "FIRST_WHOLE", 1)
            assert_bracketed(tiny.make(Random(number)), 0.0 if number % 4 < 2 else 1e-3)

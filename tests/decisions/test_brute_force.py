"""The optimizer beside plain brute force, on thousands of random tiny projects."""

from __future__ import annotations

import json
import math
from collections import Counter
from random import Random
from typing import Any

import numpy as np
import pytest
import tiny
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from reference import Answer, Reference

import omniopt as oo
from omniopt.decisions import dual, kernels, relax, restrict

CLOSE = 1e-6
NUMBERS = st.integers(0, 10**9)  # a case can be made again by its number: tiny.make(Random(number))
QUICK = settings(
    max_examples=300, deadline=None, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture],
)  # fmt: skip


def optimum(case: tiny.Case, **options: Any) -> oo.decisions.Plan | None:
    try:
        return oo.optimize(case.project(), **options)
    except oo.Infeasible:
        return None


def assert_same(case: tiny.Case, gap: float = 0.0) -> tuple[Reference, Answer, Any]:
    """Solve both ways and compare everything that a plan claims."""
    note(str(case))
    return check(case, gap)


def check(case: tiny.Case, gap: float = 0.0) -> tuple[Reference, Answer, Any]:
    reference = case.reference()
    answer = reference.solve()
    plan = optimum(case, gap=gap)
    assert (plan is not None) == answer.feasible
    if plan is not None:
        chosen = rows_of(reference, plan)
        check_plan(reference, plan, chosen)
        check_proof(reference, answer, plan, gap)
        check_limits(reference, plan, chosen)
        check_contact(reference, plan, chosen)
    return reference, answer, plan


def rows_of(reference: Reference, plan: Any) -> list[int]:
    """The plan's contacts as positions among the reference's candidates."""
    place = {c.key: j for j, c in enumerate(reference.alive)}
    keys = list(zip(plan.contacts["customer_id"], plan.contacts["action_id"], strict=True))
    assert set(keys) <= set(place) and len(set(keys)) == len(keys)
    return [place[key] for key in keys]


def check_plan(reference: Reference, plan: Any, chosen: list[int]) -> None:
    """Every contact is a candidate as the reference sees it, and together they keep every rule."""
    assert plan.certificate["candidates"] == len(reference.alive)
    assert {tuple(k) for k in plan.dropped[["customer_id", "action_id"]].to_numpy()} == set(reference.dropped)
    assert dict(Counter(reference.dropped.values())) == plan.certificate["dropped"]
    assert reference.keeps_all(chosen)
    for j, row in zip(chosen, plan.contacts.itertuples(), strict=True):
        contact = reference.alive[j]
        assert (row.offer_id, row.channel) == (contact.offer, contact.channel)
        assert (row.fallback if isinstance(row.fallback, str) else None) == contact.fallback
        assert row.date == contact.day if reference.start is None else reference.day(row.date) == contact.day
        assert row.objective == pytest.approx(reference.objectives[j], abs=1e-9)
        for name, amount in contact.own.items():
            assert getattr(row, name, amount) == pytest.approx(amount, abs=1e-9)


def check_proof(reference: Reference, answer: Answer, plan: Any, gap: float) -> None:
    """The bounds hold, the prices prove what they are said to, and the status claims no more than that."""
    sign, best = reference.sign, answer.objective
    tolerance = CLOSE + gap * max(1.0, abs(plan.bound))
    assert plan.objective == pytest.approx(best, abs=tolerance)
    assert sign * plan.bound >= sign * best - 1e-9 * max(1.0, abs(best))
    assert sign * plan.bound >= sign * plan.objective
    assert plan.gap == pytest.approx(abs(plan.bound - plan.objective) / max(1.0, abs(plan.bound)), abs=1e-15)
    assert plan.status == (
        "optimal" if plan.gap <= 1e-9 else "within_gap" if plan.gap <= gap else "stopped_early"
    )
    from_prices = plan.certificate["bound_from_prices"]
    assert sign * from_prices >= sign * best - 1e-9 * max(1.0, abs(best))
    prices = [r["price"] for r in in_order(reference, plan)]
    assert from_prices == pytest.approx(reference.proven_by(prices), abs=CLOSE)
    assert sign * from_prices >= sign * reference.proven_by(prices) - 1e-12
    worth = reference.worth(prices)
    place = {c.key: j for j, c in enumerate(reference.alive)}
    for row in plan.alternatives.itertuples():
        assert row.worth == pytest.approx(worth[place[row.customer_id, row.action_id]], abs=CLOSE)


def in_order(reference: Reference, plan: Any) -> list[dict[str, Any]]:
    """The certificate's entries of limits, in the order of the reference's rows."""
    start = reference.start
    found = {}
    for entry in plan.certificate["rules"]:
        if entry["kind"] == "limit":
            group = tuple(
                (a, reference.day(v) if a == "date" and start else v) for a, v in entry["group"].items()
            )
            side = "min" if entry["min"] is not None else "max"
            key = entry["name"], group, side if "vacuous" in entry else ""
            assert key not in found
            found[key] = entry
    keys = [row.key[:3] for row in reference.rows]
    assert set(keys) == set(found)
    assert len(keys) == plan.certificate["coupling_rows"]
    return [found[key] for key in keys]


def check_limits(reference: Reference, plan: Any, chosen: list[int]) -> None:
    """Use and slack of every limit are the sums that the reference makes."""
    for row, entry in zip(reference.rows, in_order(reference, plan), strict=True):
        top = sum(row.numerator[j] for j in chosen)
        used = sum(row.weights[j] for j in chosen)
        slack = min(used - row.lo, row.hi - used)
        assert entry["slack"] == (pytest.approx(slack, abs=CLOSE) if math.isfinite(slack) else None)
        if row.ratio is None:
            assert entry["used"] == pytest.approx(used, abs=CLOSE)
            assert (entry["min"], entry["max"]) == tuple(
                b if math.isfinite(b) else None for b in (row.lo, row.hi)
            )
        else:
            bottom = sum(row.denominator[j] for j in chosen)
            assert {entry["min"], entry["max"]} == {None, row.ratio}
            assert entry["vacuous"] == (bottom == 0)
            assert entry["used"] == (None if bottom == 0 else pytest.approx(top / bottom, abs=CLOSE))


def check_contact(reference: Reference, plan: Any, chosen: list[int]) -> None:
    """No customer is over a cap, and no entry claims a fuller or an emptier window than there is."""
    entries = {e["name"]: e for e in plan.certificate["rules"] if e["kind"] == "contact"}
    for rule in reference.policy.get("contact", []):
        counts = [(w.most, *w.chosen_and_count(frozenset(chosen))) for w in reference.windows_of(rule)]
        room = [most - count for most, now, count in counts if now]
        assert min(room, default=0) >= 0
        entry = entries[rule["name"]]
        assert entry["slack"] is None or entry["slack"] <= min(room, default=math.inf)


@pytest.mark.parametrize("half", [0, 1])
@settings(QUICK, max_examples=150)
@given(number=NUMBERS)
def test_plan_and_proof_are_those_of_brute_force(half: int, number: int) -> None:
    assert_same(tiny.make(Random(2 * number + half)))


@settings(QUICK, max_examples=60)
@given(NUMBERS)
def test_default_gap_is_kept(number: int) -> None:
    assert_same(tiny.make(Random(number)), gap=1e-4)


@settings(QUICK, max_examples=120)
@given(NUMBERS)
def test_fixing_and_repair_lose_nothing(number: int) -> None:
    """With next to nothing left open at first, the same optimum comes out of fixing, repair and proof."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(restrict, "WHOLE", 3)
        patch.setattr(restrict, "FIRST_UNDECIDED", 3)
        patch.setattr(restrict, "GROWTH", 2)
        patch.setattr(relax, "SIFT_FROM", 2)
        patch.setattr(relax, "CLOSEST", 1)
        assert_same(tiny.make(Random(number)))


@pytest.mark.parametrize("most", [200, 1, 0])
@settings(QUICK, max_examples=40)
@given(number=NUMBERS)
def test_searches_that_are_cut_lose_nothing(most: int, number: int) -> None:
    """Customers whose best sets the search does not find in time go to the exact solver, or are bounded.

    What the prices prove may then be less than they could, so only the plan and its bounds are compared.
    """
    case = tiny.make(Random(3 * number + most % 3))
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
        check_plan(reference, plan, rows_of(reference, plan))
        sign, best = reference.sign, answer.objective
        assert plan.objective == pytest.approx(best, abs=CLOSE)
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
        seen["a fallback"] += any(c.fallback for c in reference.alive)
        seen.update(f"dropped: {why.split(' ')[0]}" for why in set(reference.dropped.values()))
    wanted = {
        "feasible": 150, "infeasible": 15, "five or more candidates": 75, "a limit binds": 30,
        "a fallback": 30,
        "objective maximise": 50, "objective minimise": 50, "scores": 50, "candidates": 50,
        "table history": 50,
        "table consents": 15, "vetoes": 7, "locks": 5, "no horizon": 25, "channels.fallback": 30,
        "channels.send_from": 15,
        "channels.send_days": 15, "channels.requires_consent": 30, "eligibility.drop": 30,
        "limits.where": 50, "limits.per": 30,
        "limits.measure": 50, "limits.min": 30, "limits.max": 50, "limits.min table": 5,
        "limits.max table": 15,
        "limits.over": 30, "limits.over.measure": 20, "limits.over.where": 5, "limits.per multi-valued": 7,
        "contact.where": 50, "contact.per": 30, "contact.max": 100, "contact.max table": 20,
        "contact.days": 100,
        "contact.history": 20, "contact.count": 30, "contact.occasions": 20, "conflicts.first": 50,
        "conflicts.then": 50,
        "conflicts.days": 50, "conflicts.either_order": 30, "dropped: offer": 10, "dropped: no": 20,
        "dropped: outside": 10,
        "dropped: drop": 30, "dropped: veto": 7,
    }  # fmt: skip
    assert {kind: (seen[kind], least) for kind, least in wanted.items() if seen[kind] < least} == {}


def _binds(reference: Reference, answer: Answer) -> bool:
    """Whether the best sets of all customers would together break a limit."""
    free = sum(
        max(reference.sign * sum(reference.objectives[j] for j in s) for s in sets)
        for sets in reference.unit_plans
    )
    return free > reference.sign * answer.objective + CLOSE


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

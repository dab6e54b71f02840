"""Impossible policies: each diagnosis is smallest, each way out works and moves no bound too far."""

from __future__ import annotations

import pytest
from impossible import FAMILIES, SEEDS, World, cases, mended, reduced

import omniopt as oo
from omniopt.decisions import oracle, repair
from omniopt.decisions.diagnosis import Diagnosis

CASES = list(cases())
# one of each family every time, the others in the slow tests
WORLDS = [
    pytest.param(made, id=name, marks=[] if name.endswith("-1") else pytest.mark.slow) for name, made in CASES
]


def possible(made: World) -> oo.Plan | None:
    """The plan, if there is one."""
    try:
        return oo.optimize(made.project(), gap=1e-4)
    except oo.Infeasible:
        return None


def diagnosis_of(made: World) -> Diagnosis:
    with pytest.raises(oo.Infeasible) as error:
        oo.optimize(made.project())
    found = error.value.diagnosis
    assert found is not None and found.text == error.value.reason
    return found


def test_there_are_fifty_policies_and_no_two_alike() -> None:
    assert len(CASES) == len(FAMILIES) * len(SEEDS) >= 50
    assert len({str((made.policy, made.locks, made.tables)) for _, made in CASES}) == len(CASES)


@pytest.mark.parametrize("made", WORLDS)
def test_a_clash_is_impossible_and_less_of_it_is_possible(made: World) -> None:
    found = diagnosis_of(made)
    assert found.minimal
    for clash in (found.clash, *found.further):
        members = list(clash.members)
        assert possible(reduced(made, members)) is None
        for member in members:
            rest = [
                m for m in members if m is not member and (m.rule, "from" in m.group) != (member.rule, True)
            ]
            assert possible(reduced(made, rest)) is not None, member


@pytest.mark.parametrize("made", WORLDS)
def test_every_way_out_works_and_goes_no_further_than_it_has_to(made: World) -> None:
    found = diagnosis_of(made)
    assert found.repairs
    sign = -1.0 if "minimise" in made.policy["objective"] else 1.0
    for way in found.repairs:
        plan = possible(mended(made, way.moves))
        assert plan is not None, way.text
        assert way.objective is not None
        assert sign * plan.objective >= sign * way.objective - 1e-6
        assert plan.objective == pytest.approx(way.objective, rel=2e-3)
        numbers = [m for m in way.moves if m.kind == "limit" and m.after is not None]
        if len(way.moves) == len(numbers) == 1:
            assert possible(mended(made, way.moves, share=0.98)) is None, way.text
    lost = [way.lost for way in found.repairs]
    assert lost == sorted(lost, key=lambda v: v if v is not None else float("inf")) and lost[0] == 0.0


@pytest.mark.parametrize(
    "family",
    [
        "guarantee_against_budget",
        "guarantee_against_capacity",
        "two_guarantees_against_a_cap",
        "conflict_against_guarantees",
        "table_against_table",
        "all_or_nothing_against_a_guarantee",
        "hurdle_against_a_guarantee",
        "whole_numbers_only",
    ],
)
def test_the_ways_of_large_problems_lead_to_the_same_clash(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = next(w for name, w in CASES if name == f"{family}-2")
    straight = diagnosis_of(made)
    monkeypatch.setattr(oracle, "STRAIGHT", 4)
    monkeypatch.setattr(oracle, "LARGE", 0)
    monkeypatch.setattr(oracle, "SAMPLE", 40)
    monkeypatch.setattr(repair, "SMALL", 0)
    found = diagnosis_of(made)
    assert found.minimal and found.clash == straight.clash
    ways = {tuple((m.rule, m.side) for m in r.moves) for r in found.repairs}
    assert ways == {tuple((m.rule, m.side) for m in r.moves) for r in straight.repairs}
    for way in found.repairs:
        assert possible(mended(made, way.moves)) is not None, way.text

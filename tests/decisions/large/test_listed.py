"""The best sets of units, listed, against plain enumeration."""

import numpy as np
import pytest
from enumerated import CASES, Case

from omniopt.decisions.large.listed import Listed, joined, list_sets, sets_in
from omniopt.decisions.large.shape import FREE

EVERYTHING = 1e9  # a width that leaves no set out


def by_unit(listed: Listed) -> dict[int, list[tuple[int, ...]]]:
    found: dict[int, list[tuple[int, ...]]] = {}
    for i, unit in enumerate(listed.unit):
        members = listed.member[listed.start[i] : listed.start[i + 1]]
        found.setdefault(int(unit), []).append(tuple(sorted(members.tolist())))
    return found


@pytest.mark.parametrize("most", [3, 5])
@pytest.mark.parametrize("kind", CASES, ids=str)
def test_the_best_sets_are_listed(kind, most):
    case = Case(**kind)
    units = np.arange(1, case.columns.units, 3)
    found = by_unit(list_sets(case.engine, case.table, units, most, EVERYTHING))
    for u in units.tolist():
        sets, free = case.sets(u), case.rules[case.columns.template[u]][0] == FREE
        worth = {members: value for value, members in sets}
        mine = found.get(u, [])
        assert len(mine) == len(set(mine)) == min(1 if free else most, len(sets))
        best = [value for value, _ in sets[: len(mine)]]
        assert sorted((worth[s] for s in mine), reverse=True) == pytest.approx(best, abs=1e-12)


def test_sets_that_lose_more_than_the_width_are_left_out():
    case = Case(seed=4)
    units = np.arange(case.columns.units)
    for u, sets in by_unit(list_sets(case.engine, case.table, units, 6, 0.5)).items():
        worth = {members: value for value, members in case.sets(u)}
        assert max(worth.values()) - min(worth[s] for s in sets) <= 0.5 + 1e-12


def test_sets_of_a_choice():
    case = Case(seed=2)
    chosen = case.engine.best(case.table).chosen
    units = np.array([5, 2, 9])
    listed = sets_in(case.columns, units, chosen)
    start = case.columns.start
    assert listed.unit.tolist() == [5, 2, 9]
    for u, sets in by_unit(listed).items():
        assert sets == [tuple((np.flatnonzero(chosen[start[u] : start[u + 1]]) + start[u]).tolist())]


def test_some_of_the_sets_and_lists_one_after_the_other():
    one = Listed(np.array([3, 3, 7]), np.array([0, 2, 2, 3]), np.array([10, 11, 30]))
    two = Listed(np.array([1]), np.array([0, 1]), np.array([4]))
    both = joined([one, two])
    assert by_unit(both) == {3: [(10, 11), ()], 7: [(30,)], 1: [(4,)]}
    assert by_unit(both.among(np.array([False, True, False, True]))) == {3: [()], 1: [(4,)]}

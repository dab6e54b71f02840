"""The kernels against plain enumeration, on random tiny units with every kind of row."""

import numpy as np
import pytest
from enumerated import CASES, KEYS, Case

from omniopt.decisions.large import passes, sweep, unit_search
from omniopt.decisions.large.kernels import make_work
from omniopt.decisions.large.shape import FREE, GENERAL


@pytest.mark.parametrize("kind", CASES, ids=str)
def test_best_and_second_best(kind):
    case = Case(**kind)
    found = case.engine.best(case.table)
    assert found.searched.all()
    for u in range(case.columns.units):
        sets = case.sets(u)
        if not sets:
            assert found.value[u] == -np.inf
            continue
        assert found.value[u] == pytest.approx(sets[0][0], abs=1e-12)
        second = sets[0][0] - sets[1][0] if len(sets) > 1 else np.inf
        assert found.margin[u] == pytest.approx(second, abs=1e-12)
        chosen = tuple(
            np.flatnonzero(found.chosen[slice(*case.columns.start[u : u + 2])]) + case.columns.start[u]
        )
        assert dict((s, w) for w, s in sets)[chosen] == pytest.approx(sets[0][0], abs=1e-12)
    near = case.engine.best(case.table, width=0.5)
    close = found.margin < 0.5
    assert (near.value == found.value).all()
    assert near.margin[close] == pytest.approx(found.margin[close], abs=1e-12)
    assert (near.margin[~close] == np.inf).all()


@pytest.mark.parametrize("kind", CASES, ids=str)
def test_losses(kind):
    case = Case(**kind)
    units = np.arange(0, case.columns.units, 2)
    found, loss = case.engine.best(case.table), case.engine.losses(case.table, units)
    at = 0
    for u in units:
        sets = case.sets(u)
        for j in range(case.columns.start[u], case.columns.start[u + 1]):
            if sets:
                other = [w for w, s in sets if (j in s) != found.chosen[j]]
                assert loss[at] == pytest.approx(sets[0][0] - other[0] if other else np.inf, abs=1e-12)
            at += 1
    assert at == len(loss)


def split(sets: list, width: float) -> np.ndarray:
    """Return the split among sets that makes Σ p w - width/2 Σ p² greatest."""
    worth = np.array([w for w, _ in sets])
    level = max((worth[:k].sum() - width) / k for k in range(1, len(worth) + 1))
    return np.maximum(worth - level, 0.0) / width


@pytest.mark.parametrize("kind", CASES, ids=str)
@pytest.mark.parametrize("width", [0.0, 0.3])
def test_sums(kind, width):
    case = Case(**kind)
    keep = np.array([bool(case.sets(u)) for u in range(case.columns.units)])
    found = case.engine.sweep(case.table, width=width, curvature=width > 0)
    assert found.impossible == (-1 if keep.all() else int(np.flatnonzero(~keep)[0]))
    value, smooth, mixed, use, bent = 0.0, 0.0, 0.0, 0.0, 0.0
    for u in np.flatnonzero(keep):
        parts = [case.sets(u)]
        if case.rules[case.columns.template[u]][0] == FREE and width > 0:
            own = range(*case.columns.start[u : u + 2])
            parts = [sorted([(case.worth[j], (j,)), (0.0, ())], reverse=True) for j in own]
        for sets in parts:
            sets = [s for s in sets if s[0] > -np.inf]
            value += sets[0][0]
            if width == 0:
                use = use + case.use[list(sets[0][1])].sum(axis=0)
                continue
            p = split(sets, width)
            order = np.argsort(-p, kind="stable")[: passes.MANY]
            worth = np.array([w for w, _ in sets])
            each = np.array([case.use[list(s)].sum(axis=0) for _, s in sets])
            mixed += p @ worth
            smooth += p @ worth + width / 2 * (1 - p @ p)
            use = use + p @ each
            spread = (case.system.matrix @ each[order].T).T[p[order] > 0]
            spread = spread - spread.mean(axis=0)
            bent = bent + spread.T @ spread / width
    assert found.value == pytest.approx(value)
    if not kind["ties"]:
        assert found.use == pytest.approx(use, abs=1e-9)
    if width > 0:
        assert found.smooth == pytest.approx(smooth)
        assert found.mixed == pytest.approx(mixed)
        assert found.curvature == pytest.approx(bent, abs=1e-9)


def test_near_units_are_taken_apart():
    case = Case(5, units=500)
    margin, whole = case.engine.best(case.table).margin, case.engine.sweep(case.table)
    rest, close, settled = case.engine.near(case.table, 0.4)
    assert close.units == (margin < 0.4).sum()
    inside = close.sweep(case.table)
    assert rest.value + inside.value == pytest.approx(whole.value)
    assert rest.use + inside.use == pytest.approx(whole.use)
    assert np.array_equal(settled, case.engine.chosen(case.table, close.origin))


def test_any_number_of_threads_gives_the_same(monkeypatch):
    monkeypatch.setattr(sweep, "PART_SIZE", 100)
    case = Case(6, units=1000)
    results = []
    for threads in "123":
        monkeypatch.setenv("OMNIOPT_THREADS", threads)
        one = case.engine.sweep(case.table, width=0.3, curvature=True)
        best = case.engine.best(case.table, noise=1e-3)
        results.append([one.value, one.smooth, one.mixed, *one.use, *one.curvature.ravel(), *best.value])
    assert len(case.engine.cuts) > 10
    assert results[0] == results[1] == results[2]


def test_a_sample_is_every_so_manyth_unit():
    case = Case(7, units=400)
    value = case.engine.best(case.table).value[::7]
    assert case.engine.sweep(case.table, stride=7).value == pytest.approx(value[np.isfinite(value)].sum())
    assert case.engine.taken(np.arange(0, 400, 7)).best(case.table).value == pytest.approx(value)


def test_noise_splits_ties_and_is_small():
    case = Case(9, units=600, ties=True)
    plain, noisy = case.engine.best(case.table), case.engine.best(case.table, noise=1e-6)
    able = np.isfinite(plain.value)
    assert (noisy.value[able] >= plain.value[able]).all()
    assert (noisy.value[able] <= plain.value[able] + KEYS * 1e-6).all()
    assert (noisy.margin > 0).all()


def test_a_search_that_is_cut_bounds_from_above(monkeypatch):
    case = Case(0, units=60)
    exact = case.engine.best(case.table)
    monkeypatch.setattr(unit_search, "NODE_LIMIT", 1)  # compiled in, but Python reads it anew
    search = unit_search.search.py_func
    cuts = 0
    for u in np.flatnonzero(np.isfinite(exact.value)):
        if case.rules[case.columns.template[u]][0] != GENERAL:
            continue
        first, last = case.columns.start[u : u + 2]
        work = make_work.py_func(2, case.engine.sizes)
        work.worth[: last - first] = case.worth[first:last]
        count, upper, cut = search(u, last - first, case.engine.data, case.engine.rules, 2, np.inf, -1, work)
        cuts += cut
        assert upper >= exact.value[u] - 1e-12
        assert cut or upper == pytest.approx(exact.value[u], abs=1e-12)
        assert (work.rows == 0).all() and (work.chosen == 0).all()
    assert cuts > 5

"""The kernels against plain enumeration, on random tiny units with every kind of row."""

import itertools

import numpy as np
import pytest
from scipy import sparse

from omniopt.decisions.large import passes, sweep, unit_search
from omniopt.decisions.large.kernels import make_work
from omniopt.decisions.large.shape import FREE, GENERAL, ONE, Columns, Templates
from omniopt.decisions.large.sweep import Engine
from omniopt.decisions.system import System
from omniopt.rules.unit_rows import ALWAYS, ANY, NO_CAP

KEYS = 7
ROWS = 4


def random_template(rng: np.random.Generator) -> tuple[int, list[dict]]:
    """Return a shape and rows: members with their classes, cap, lo, trigger, optional."""
    shape = int(rng.choice([ONE, FREE, GENERAL, GENERAL, GENERAL, GENERAL]))
    keys = list(range(KEYS))
    if shape == ONE:
        return shape, [dict(members=keys, classes=keys, cap=1, lo=0, trigger=ALWAYS, optional=False)]
    if shape == FREE:
        return shape, []
    rows = []
    for _ in range(rng.integers(1, 7)):
        members = sorted(rng.choice(keys, rng.integers(1, KEYS + 1), replace=False).tolist())
        classes = [int(c) for c in rng.integers(0, 3, len(members))] if rng.random() < 0.4 else members
        row = dict(members=members, classes=classes, cap=int(rng.integers(0, 4)) or 1, lo=0, trigger=ALWAYS,
                   optional=False)  # fmt: skip
        if rng.random() < 0.3:
            trigger = int(rng.choice([ALWAYS, ANY, rng.integers(0, KEYS)]))
            row |= dict(lo=int(rng.integers(1, 3)), trigger=trigger, optional=bool(rng.random() < 0.5),
                        cap=NO_CAP)  # fmt: skip
        elif rng.random() < 0.05:
            row["cap"] = 0
        rows.append(row)
    return shape, rows


def as_templates(all_rows: list[tuple[int, list[dict]]]) -> Templates:
    """Lay templates out as arrays."""
    parts = {k: [] for k in ("entry_row", "entry_slot", "lo", "cap", "trigger", "optional", "slots", "shape")}
    entries, rows_of = [], []
    for shape, rows in all_rows:
        slot = {}
        by_key = [[] for _ in range(KEYS)]
        for r, row in enumerate(rows):
            for member, kind in zip(row["members"], row["classes"], strict=True):
                by_key[member].append((r, slot.setdefault((r, kind), len(slot))))
            for name in ("lo", "cap", "trigger", "optional"):
                parts[name].append(row[name])
        entries += [len(e) for e in by_key]
        for e in by_key:
            parts["entry_row"] += [r for r, _ in e]
            parts["entry_slot"] += [s for _, s in e]
        rows_of.append(len(rows))
        parts["slots"].append(len(slot))
        parts["shape"].append(shape)
    types = dict(optional=bool, shape=np.int8)
    arrays = {k: np.array(v, types.get(k, np.int32)) for k, v in parts.items()}
    return Templates(
        key_start=np.arange(len(all_rows) + 1) * KEYS,
        entry_start=np.concatenate([[0], np.cumsum(entries)]).astype(np.int64),
        row_start=np.concatenate([[0], np.cumsum(rows_of)]).astype(np.int64),
        rule=np.zeros(len(arrays["lo"]), np.int32),
        names=["rule"],
        **arrays,
    )


def allowed(chosen: set[int], present: set[int], rows: list[dict]) -> bool:
    """Whether a set of keys keeps the rows of a unit that has candidates for ``present``."""
    for row in rows:
        inside = list(zip(row["members"], row["classes"], strict=True))
        count = len({kind for key, kind in inside if key in chosen})
        asks = {ALWAYS: True, ANY: count > 0}.get(row["trigger"], row["trigger"] in chosen)
        if row["optional"] and not present.intersection(row["members"]):
            asks = False
        if count > row["cap"] or (asks and count < row["lo"]):
            return False
    return True


class Case:
    """Random units with their candidates, and what enumeration says about each."""

    def __init__(self, seed: int, units: int = 300, terms: int = 1, keyed: bool = False, ties: bool = False):
        rng = np.random.default_rng(seed)
        self.rules = [random_template(rng) for _ in range(units // 4)]
        template = rng.integers(0, len(self.rules), units).astype(np.int32)
        self.keys = [
            np.sort(rng.choice(KEYS, rng.integers(1, KEYS + 1), replace=False)) for _ in range(units)
        ]
        sizes = [len(k) for k in self.keys]
        n = sum(sizes)
        base = (rng.integers(0, 3, units) * KEYS).astype(np.int32)
        self.bins, width = 3 * KEYS, 1 + terms
        bins = np.concatenate([k + b for k, b in zip(self.keys, base, strict=True)]).astype(np.int32)
        measures = rng.normal(size=(n, terms))
        self.table = rng.normal(size=(self.bins, width))
        if ties:
            measures, self.table = np.round(measures), np.round(self.table)
        self.table[rng.random(self.bins) < 0.1, 0] = -np.inf
        start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        key = np.concatenate(self.keys).astype(np.int32) if keyed else np.zeros(0, np.int32)
        if keyed:
            bins = rng.permutation(bins)
        self.columns = Columns(start, bins, measures, np.arange(units, dtype=np.int32), base, key, template)
        matrix = sparse.csr_array(sparse.random(ROWS, self.bins * width, 0.5, rng=rng))
        none = np.zeros(0)
        lo, nobody = np.full(ROWS, -np.inf), none.astype(int)
        self.system = System(
            np.zeros(self.bins * width), none, matrix, sparse.csr_array((ROWS, 0)), lo, np.ones(ROWS), 0,
            nobody, none, ROWS,
        )  # fmt: skip
        self.engine = Engine(self.columns, as_templates(self.rules), self.system, width)
        rows = self.table[bins]
        self.worth = rows[:, 0] + (rows[:, 1:] * measures).sum(axis=1)
        self.use = np.zeros((n, self.bins * width))
        for t in range(width):
            self.use[np.arange(n), bins * width + t] = 1.0 if t == 0 else measures[:, t - 1]

    def sets(self, u: int) -> list[tuple[float, tuple[int, ...]]]:
        """All sets that keep a unit's rows, best first; candidates as places."""
        first, keys = self.columns.start[u], self.keys[u].tolist()
        rows = self.rules[self.columns.template[u]][1]
        found = []
        for size in range(len(keys) + 1):
            for chosen in itertools.combinations(range(len(keys)), size):
                worth = sum((self.worth[first + i] for i in chosen), 0.0)
                if worth > -np.inf and allowed({keys[i] for i in chosen}, set(keys), rows):
                    found.append((worth, tuple(first + i for i in chosen)))
        return sorted(found, key=lambda f: -f[0])


CASES = [dict(seed=s, terms=s % 3, keyed=s % 4 == 3, ties=s % 2 == 1) for s in range(8)]


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
    rest, close = case.engine.near(case.table, 0.4)
    assert close.units == (margin < 0.4).sum()
    inside = close.sweep(case.table)
    assert rest.value + inside.value == pytest.approx(whole.value)
    assert rest.use + inside.use == pytest.approx(whole.use)


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

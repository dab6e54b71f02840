"""Random tiny units with every kind of row, and what plain enumeration says about each."""

import itertools

import numpy as np
from scipy import sparse

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

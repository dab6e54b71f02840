"""Plans where units have conflicts: sets that join when they are asked for, and branching on counts."""

import itertools
import math
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import omniopt as oo
from omniopt.decisions.branching import FREE
from omniopt.decisions.large import by_sets, set_program
from omniopt.decisions.large.build import build_large
from omniopt.decisions.large.by_sets import close_by_sets, is_for
from omniopt.decisions.large.hunt import Hunt, judged
from omniopt.decisions.large.infeasible import Impossible
from omniopt.decisions.large.prices import lowered
from omniopt.decisions.large.shape import Large
from omniopt.decisions.large.sweep import Engine

COST = {"call": 9.1, "mail": 1.4, "text": 0.35}
DAYS = (1, 5, 9)
LAG = 5  # days between two contacts by the same channel


def campaign(values: pd.DataFrame, limits: list[dict]) -> Large:
    """State a campaign of three channels on three days, with lags, for customers with some values."""
    grid = list(itertools.product(COST, DAYS))
    actions = pd.DataFrame(grid, columns=["channel", "date"])
    actions["action_id"] = [f"{channel}-{day}" for channel, day in grid]
    actions["offer_id"] = "card"
    values["cost"] = values["action_id"].str.split("-").str[0].map(COST)
    policy = {
        "objective": "value",
        "limits": limits,
        "contact": [{"name": "at most two", "max": 2}],
        "conflicts": [
            {"name": c, "first": {"channel": c}, "then": {"channel": c}, "days": LAG} for c in COST
        ],
    }
    project = oo.Project.from_frames(
        policy, actions=actions, candidates=values, horizon={"start": "2026-11-23", "days": 14}
    )
    return build_large(project)[0]


def drawn(seed: int, customers: int, limits: list[dict], ties: bool = False) -> Large:
    rng = np.random.default_rng(seed)
    ids = [f"{channel}-{day}" for channel, day in itertools.product(COST, DAYS)]
    rows = [(f"c{i:05d}", a) for i in range(customers) for a in sorted(rng.choice(ids, 5, replace=False))]
    values = pd.DataFrame(rows, columns=["customer_id", "action_id"])
    values["value"] = rng.integers(1, 5, len(rows)) if ties else rng.gamma(1.0, 5.0, len(rows))
    return campaign(values, limits)


def searched(large: Large, gap: float) -> Hunt:
    """Lower the bound and close by sets, and by nothing else."""
    engine = Engine(large.columns, large.templates, large.system, large.bins.width)
    hunt = Hunt(large, engine, gap, math.inf, lambda *_: None)
    held = np.full(0, FREE, np.int8)
    found = lowered(large, engine, np.zeros(len(large.system)), held, gap, math.inf, lambda *_: None)
    hunt.price(found.prices, found.bound)
    close_by_sets(hunt, found.prices, found.noise, held)
    return hunt


def optimum(large: Large) -> float:
    """Try every choice, customer after customer; states are the limits' totals."""
    columns, system = large.columns, large.system
    use = system.matrix.toarray()[:, columns.bin.astype(np.int64) * large.bins.width]
    action = large.catalogue.ids("action")[large.bins.action[columns.bin % large.bins.kinds]]
    channel, day = zip(*((a.split("-")[0], int(a.split("-")[1])) for a in action), strict=True)
    worth = columns.measures[:, large.bins.terms.index("value")]
    best = {(0.0,) * len(system): 0.0}
    for u in range(columns.units):
        sets = [()]
        mine = range(columns.start[u], columns.start[u + 1])
        for size in (1, 2):
            for some in itertools.combinations(mine, size):
                if all(
                    channel[i] != channel[j] or abs(day[i] - day[j]) >= LAG
                    for i, j in itertools.combinations(some, 2)
                ):
                    sets.append(some)
        after = defaultdict(lambda: -math.inf)
        for (total, value), some in itertools.product(best.items(), sets):
            chosen = list(some)
            key = tuple(np.round(np.add(total, use[:, chosen].sum(axis=1)), 9))
            after[key] = max(after[key], value + worth[chosen].sum())
        best = dict(after)
    kept = [
        v for total, v in best.items()
        if all(system.lo - 1e-7 <= total) and all(np.array(total) <= system.hi + 1e-7)
    ]  # fmt: skip
    return max(kept, default=-math.inf)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with next to no sets, so that nearly all have to join."""
    for name, value in (
        ("FIRST", (1, 1)),
        ("GROWTH", 2),
        ("LISTED", 2),
        ("MOST", 3),
        ("ALTERNATIVES", (1, 8, 64)),
    ):
        monkeypatch.setattr(by_sets, name, value)
    monkeypatch.setattr(set_program, "JOINING", 2)


LIMITS = [
    {"name": "budget", "measure": "cost", "max": 16.0},
    {"name": "mails", "where": {"channel": "mail"}, "min": 1, "max": 3},
    {"name": "first day", "where": {"date": {"le": 1}}, "max": 2},
]


@pytest.mark.usefixtures("few")
@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.booleans())
def test_bound_optimum_and_plan_are_in_order(seed: int, ties: bool) -> None:
    large = drawn(seed, 5, LIMITS, ties)
    assert is_for(large)
    best, hunt = optimum(large), searched(large, 1e-9)
    room = 1e-7 * max(1.0, abs(best))
    assert hunt.bound >= best - room
    if hunt.chosen is not None:
        value, kept = judged(large, hunt.chosen)
        assert kept and value == pytest.approx(hunt.objective)
        assert value <= best + room


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_few_sets_to_begin_with_are_enough(seed: int, ties: bool) -> None:
    customers = 300
    limits = [
        {"name": "budget", "measure": "cost", "max": 1.5 * customers},
        {"name": "reach", "per": ["channel", "date"], "max": 0.12 * customers},
        {"name": "calls", "where": {"channel": "call"}, "min": 0.1 * customers},
    ]
    hunt = searched(drawn(seed, customers, limits, ties), 1e-3)
    assert hunt.reached()
    assert judged(hunt.large, hunt.chosen)[1]


def test_half_a_mail_is_no_mail() -> None:
    """4.90 buy three mails and two texts; prices alone allow three mails and a half."""
    values = pd.DataFrame(
        [(f"c{i}", action, value) for i in range(9) for action, value in (("mail-1", 10.0), ("text-5", 1.0))],
        columns=["customer_id", "action_id", "value"],
    )
    limits = [
        {"name": "budget", "measure": "cost", "max": 4.9},
        {"name": "no calls", "where": {"channel": "call"}, "max": 5},
    ]
    values.loc[len(values)] = [
        "c0",
        "mail-9",
        0.5,
    ]  # with a conflict in sight, customers are no longer simple
    large = campaign(values, limits)
    hunt = searched(large, 1e-6)
    assert hunt.from_prices == pytest.approx(35.0)
    assert (hunt.objective, hunt.bound) == pytest.approx((32.0, 32.0))
    assert hunt.by_exact


def test_limits_that_leave_too_little_are_proven_impossible() -> None:
    customers = 400
    least = [{"name": "mails", "where": {"channel": "mail", "date": 1}, "min": 100},
             {"name": "texts", "where": {"channel": "text", "date": 1}, "min": 100}]  # fmt: skip
    budget = {"name": "budget", "measure": "cost", "max": 174.0}  # 175 are needed
    with pytest.raises(Impossible):
        searched(drawn(1, customers, [*least, budget]), 1e-4)
    assert searched(drawn(1, customers, [*least, budget | {"max": 176.0}]), 1e-2).chosen is not None

"""When looking further is given up: once it brings next to nothing, whatever the clock says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import test_by_sets
from test_attempts import project as project

import omniopt as oo
from omniopt.decisions.large import by_sets, close
from omniopt.decisions.large.hunt import Hunt

NOTHING = np.zeros(0, np.int64)  # of the plan without a contact, which these limits allow


def keep_on(hunt: Hunt) -> None:
    """Find the empty plan, and no better bound."""
    hunt.offer(NOTHING)


def come_closer(hunt: Hunt) -> None:
    """Take a fifth off what is missing."""
    hunt.offer(NOTHING)
    hunt.tighten(hunt.bound - 0.2 * (hunt.bound - hunt.objective))


@pytest.mark.parametrize(
    ("happens", "enough", "attempts"),
    [(keep_on, False, 1 + close.VAIN), (keep_on, True, 2), (come_closer, False, 6)],
    ids=["in vain", "units are not what is missing", "closer each time"],
)
def test_more_units_join_as_long_as_they_bring_something(
    project: oo.Project, monkeypatch: pytest.MonkeyPatch,
    happens: Callable[[Hunt], None], enough: bool, attempts: int,
) -> None:  # fmt: skip
    sizes = list[int]()

    def tried(attempt: Any, *_: bool) -> bool:
        sizes.append(len(attempt.units))
        happens(attempt.hunt)
        attempt.enough = enough
        return True

    monkeypatch.setattr(close, "FIRST", (10, 10))
    monkeypatch.setattr(close._Attempt, "tried", tried)
    monkeypatch.setattr(close, "_proven", lambda *_: False)
    monkeypatch.setattr(close, "prove_unused", lambda _: None)
    plan = oo.optimize(project, gap=1e-4, solver="decomposed")
    assert plan.status == "stopped_early"
    # 4,000 customers are open after ten, forty, 160, 640 and 2,560 of them
    assert sizes == [10, 40, 160, 640, 2_560, 4_000][:attempts]


@pytest.mark.parametrize(
    ("happens", "nodes"),
    [(keep_on, 1 + by_sets.VAIN), (come_closer, 5 * by_sets.VAIN)],
    ids=["in vain", "closer each time"],
)
def test_nodes_are_looked_at_as_long_as_they_bring_something(
    monkeypatch: pytest.MonkeyPatch, happens: Callable[[Hunt], None], nodes: int
) -> None:
    looked = list[by_sets._Node]()

    def planned(hunt: Hunt, node: by_sets._Node, *_: Any) -> tuple[float, list[Any], None]:
        looked.append(node)
        happens(hunt)
        return node.proven, [node.system] * 2 if len(looked) < nodes else [], None

    def lowered(hunt: Hunt, system: Any, prices: np.ndarray, *_: Any) -> by_sets._Node:
        return by_sets._Node(system, prices[:-1], hunt.bound)

    monkeypatch.setattr(by_sets, "_planned", planned)
    monkeypatch.setattr(by_sets, "_lowered", lowered)
    limits = [{"name": "budget", "measure": "cost", "max": 16.0}]
    hunt = test_by_sets.searched(test_by_sets.drawn(1, 30, limits), 1e-6)
    assert not hunt.reached()
    assert len(looked) == nodes

"""Ctrl-C: the best plan so far, at once. Effort: the same wherever it is spent."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import highspy
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import omniopt as oo
from omniopt.decisions import exact
from omniopt.decisions.stop import Stop


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Hear of Ctrl-C even where the tests run in the background of a shell, which has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press(seconds: float) -> threading.Timer:
    """Press Ctrl-C after some time."""
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    return timer


def hard() -> dict[str, Any]:
    """A program that keeps the exact solver busy for longer than anybody would wait."""
    random = np.random.default_rng(0)
    rows = random.integers(1, 100, (60, 400)).astype(float)
    return {
        "objective": random.integers(1, 100, 400).astype(float),
        "matrix": sparse.csr_array(rows), "lo": np.full(60, -np.inf), "hi": 0.3 * rows.sum(axis=1),
        "lower": np.zeros(400), "upper": np.ones(400), "integer": np.ones(400, bool), "gap": 0.0,
    }  # fmt: skip


def test_the_exact_solver_lets_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pressed when the solver asks for the first time: before, Python itself would hear of it."""
    answer, timers = Stop.answer, []

    def asked(stop: Stop, *told: Any) -> None:
        if not timers:
            timers.append(press(0.1))
        answer(stop, *told)

    monkeypatch.setattr(Stop, "answer", asked)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        exact.solve(**hard(), time_limit=60.0)
    assert time.monotonic() - began < 50
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_effort_is_the_same_on_any_machine() -> None:
    few, again, more = (exact.solve(**hard(), time_limit=60.0, effort=most) for most in (10, 10, 60))
    assert few.status == again.status == more.status == "stopped"
    assert (few.bound, more.bound) == (again.bound, pytest.approx(min(few.bound, more.bound)))
    assert few.values is not None and again.values is not None
    assert few.values.tolist() == again.values.tolist()


def test_nothing_is_heard_of_in_other_threads() -> None:
    before = signal.getsignal(signal.SIGINT)
    heard: list[bool] = []

    def listen() -> None:
        with Stop() as stop:
            stop.watch(highspy.Highs())
            heard.append(signal.getsignal(signal.SIGINT) is before)

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert heard == [True]


@pytest.fixture
def project() -> oo.Project:
    """Three hundred customers with four candidates each, and a budget that is hard to use up exactly."""
    random = np.random.default_rng(3)
    actions = pd.DataFrame({"action_id": list("abcd"), "offer_id": list("abcd"), "channel": "mail"})
    candidates = pd.DataFrame({"customer_id": np.repeat([f"c{i:03}" for i in range(300)], 4)})
    candidates["action_id"] = list("abcd") * 300
    candidates["value"] = random.uniform(1, 9, 1200)
    candidates["cost"] = random.uniform(1, 3, 1200)
    policy = {
        "objective": [{"maximise": "value", "within": 0.1}, {"minimise": "cost"}],
        "limits": [{"name": "budget", "measure": "cost", "max": 200}],
        "contact": [{"name": "one each", "max": 1}],
    }
    return oo.Project.from_frames(policy, actions=actions, candidates=candidates)


@pytest.mark.parametrize("solver", ["exact", "decomposed"])
def test_the_best_plan_so_far_is_returned(project: oo.Project, solver: str, tmp_path: Path) -> None:
    shown: list[float] = []

    def tell(step: str, best: float, bound: float) -> None:
        if math.isfinite(best):
            shown.append(best)
            raise KeyboardInterrupt

    plan = oo.optimize(project, gap=0.0, solver=solver, progress=tell)
    assert len(shown) <= 2  # of the second objective the first plan is known
    for claim, sign in zip(plan.certificate["ranks"], (1, -1), strict=True):
        assert math.isfinite(claim["bound_from_prices"])
        assert sign * claim["bound"] >= sign * claim["best"]
    assert plan.certificate["ranks"][0]["best"] == pytest.approx(shown[0])
    plan.save(tmp_path)
    assert plan.contacts["cost"].sum() <= 200


def press_at_once(step: str, best: float, bound: float) -> None:
    raise KeyboardInterrupt


def test_without_a_plan_there_is_nothing_to_return(project: oo.Project) -> None:
    with pytest.raises(KeyboardInterrupt):
        oo.optimize(project, gap=0.0, solver="exact", progress=press_at_once)


def test_prices_make_a_plan_at_once(project: oo.Project) -> None:
    plan = oo.optimize(project, gap=0.0, solver="decomposed", progress=press_at_once)
    assert plan.certificate["status"] == "stopped_early"
    assert 0 < plan.contacts["cost"].sum() <= 200

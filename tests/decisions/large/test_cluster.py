"""The decomposed solver on a cluster: the same bytes as on one machine, whatever becomes of the workers."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import sparse

import omniopt as oo
from omniopt.cli import cli
from omniopt.decisions.large import prices as prices_module
from omniopt.decisions.large import sweep as sweep_module
from omniopt.decisions.large.shape import FREE, GENERAL, ONE, Columns, Templates
from omniopt.decisions.large.sweep import Engine
from omniopt.decisions.system import System

distributed = pytest.importorskip("distributed")
from omniopt.decisions.large import cluster as cluster_module  # noqa: E402
from omniopt.decisions.large.cluster import engines  # noqa: E402

UNITS, EACH, GROUPS, ROWS = 4_000, 6, 5, 7


@pytest.fixture(scope="module")
def workers() -> Iterator[Any]:
    """A cluster of three processes, each with a nanny that starts it anew."""
    with distributed.LocalCluster(
        n_workers=3, threads_per_worker=1, memory_limit=0, dashboard_address=":0", silence_logs=50
    ) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def many_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_module, "PART_SIZE", 1_000)


@pytest.fixture(scope="module")
def problem() -> tuple[Columns, Templates, System, int]:
    """Units of all three shapes: one contact at most, no row, at most two of distinct keys."""
    rng = np.random.default_rng(5)
    bins, n = GROUPS * EACH, UNITS * EACH
    group = rng.integers(0, GROUPS, UNITS).astype(np.int32)
    columns = Columns(
        start=np.arange(0, n + 1, EACH),
        bin=(np.repeat(group, EACH) * EACH + np.tile(np.arange(EACH), UNITS)).astype(np.int32),
        measures=rng.integers(0, 20, (n, 2)) / 4,
        customer=np.arange(UNITS, dtype=np.int32),
        base=group * np.int32(EACH),
        key=np.zeros(0, np.int32),
        template=rng.integers(0, 3, UNITS).astype(np.int32),
    )
    templates = Templates(
        key_start=np.array([0, EACH, 2 * EACH, 3 * EACH]),
        entry_start=np.concatenate([np.arange(EACH + 1), np.full(EACH, EACH), EACH + np.arange(1, EACH + 1)]),
        entry_row=np.zeros(2 * EACH, np.int32),
        entry_slot=np.tile(np.arange(EACH, dtype=np.int32), 2),
        row_start=np.array([0, 1, 1, 2]),
        lo=np.zeros(2, np.int32),
        cap=np.array([1, 2], np.int32),
        trigger=np.full(2, -1, np.int32),
        optional=np.zeros(2, np.bool_),
        rule=np.zeros(2, np.int32),
        slots=np.array([EACH, 0, EACH], np.int32),
        shape=np.array([ONE, FREE, GENERAL], np.int8),
        names=["cap"],
    )
    matrix = sparse.random_array((ROWS, bins * 3), density=0.3, rng=rng, format="csr")
    none = np.zeros(0)
    system = System(
        rng.normal(size=bins * 3), none, sparse.csr_array(matrix), sparse.csr_array((ROWS, 0)),
        np.full(ROWS, -np.inf), np.ones(ROWS), 0, none, none, ROWS,
    )  # fmt: skip
    return columns, templates, system, 3


def table(system: System, seed: int = 0) -> np.ndarray:
    prices = np.random.default_rng(seed).uniform(0, 0.5, ROWS)
    return (system.objective - system.matrix.T @ prices).reshape(-1, 3)


def same(one: Any, other: Any) -> None:
    for field in fields(one):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name), field.name)


def assert_agree(here: Engine, there: Engine, worth: np.ndarray) -> None:
    for options in ({}, {"stride": 7}, {"width": 0.5, "curvature": True}, {"stride": 3, "width": 2.0}):
        same(here.sweep(worth, **options), there.sweep(worth, **options))
    same(here.best(worth), there.best(worth))
    same(here.best(worth, width=0.5, noise=0.25), there.best(worth, width=0.5, noise=0.25))
    (rest, close, _), (rest_there, close_there, _) = here.near(worth, 0.3), there.near(worth, 0.3)
    same(rest, rest_there)
    assert 0 < close.units < UNITS
    same(close.sweep(worth, width=0.5, curvature=True), close_there.sweep(worth, width=0.5, curvature=True))
    units = np.array([3, 17, 2_000])
    np.testing.assert_array_equal(here.losses(worth, units), there.losses(worth, units))


def test_passes_are_the_same_to_the_last_bit(workers: Any, problem: Any) -> None:
    here, system = Engine(*problem), problem[2]
    assert len(here.cuts) > 10
    with engines(workers.scheduler_address) as engine_of:
        assert_agree(here, engine_of(*problem), table(system))


def test_one_worker_brings_the_same(problem: Any) -> None:
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0", silence_logs=50
        ) as one,
        engines(one.scheduler_address) as engine_of,
    ):
        assert_agree(Engine(*problem), engine_of(*problem), table(problem[2]))


def test_a_worker_that_dies_is_survived(workers: Any, problem: Any) -> None:
    here, worth = Engine(*problem), table(problem[2])
    wanted = [here.sweep(table(problem[2], seed), width=0.5, curvature=True) for seed in range(12)]
    with engines(workers.scheduler_address) as engine_of, distributed.Client(workers) as client:
        there = engine_of(*problem)
        same(here.sweep(worth), there.sweep(worth))
        killer = threading.Timer(0.3, kill_one, [client])
        killer.start()
        for seed, sums in enumerate(wanted):
            same(sums, there.sweep(table(problem[2], seed), width=0.5, curvature=True))
            time.sleep(0.1)
        killer.join()
        kill_one(client)  # between two passes: what it held is gone when the next one begins
        same(here.best(worth), there.best(worth))


def kill_one(client: Any) -> None:
    """End a worker's process; its nanny starts another one."""
    pids = sorted(client.run(os.getpid).values())
    os.kill(pids[0], signal.SIGKILL)


def within() -> Any:
    """A cluster of one worker within this process."""
    return distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0", silence_logs=50
    )


def test_this_machine_goes_on_alone(problem: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "PATIENCE", 1)
    here, worth = Engine(*problem), table(problem[2])
    with within() as cluster, engines(cluster.scheduler_address) as engine_of:
        there = engine_of(*problem)
        same(here.sweep(worth), there.sweep(worth))
        cluster.scale(0)
        while cluster.scheduler.workers:
            time.sleep(0.05)
        with pytest.warns(RuntimeWarning, match="goes on alone"):
            same(here.sweep(worth, stride=3), there.sweep(worth, stride=3))
        same(here.best(worth), there.best(worth))  # and stays alone


def test_a_scheduler_that_goes_away_is_survived(problem: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "ANSWER", 2)
    here, worth = Engine(*problem), table(problem[2])
    with within() as cluster, engines(cluster.scheduler_address) as engine_of:
        there = engine_of(*problem)
        same(here.sweep(worth), there.sweep(worth))
        cluster.close()
        with pytest.warns(RuntimeWarning, match="goes on alone"):
            same(here.best(worth), there.best(worth))


@pytest.fixture(scope="module")
def project() -> oo.Project:
    """Tight budgets and capacities over many customers."""
    rng, n, k = np.random.default_rng(1), 3_000, 8
    actions = [f"a{i}" for i in range(k)]
    customers = [f"c{i:05d}" for i in range(n)]
    tables = {
        "actions": pd.DataFrame(
            {
                "action_id": actions,
                "offer_id": [f"o{i % 4}" for i in range(k)],
                "channel": [("call", "mail", "sms")[i % 3] for i in range(k)],
            }
        ),
        "customers": pd.DataFrame({"customer_id": customers, "region": rng.choice(["n", "s", "e"], n)}),
        "candidates": pd.DataFrame(
            {
                "customer_id": np.repeat(customers, k),
                "action_id": np.tile(actions, n),
                "value": rng.beta(1, 12, n * k) * rng.uniform(20, 100, n * k),
                "cost": np.tile(rng.uniform(0.5, 3, k), n),
            }
        ),
    }
    policy = {
        "objective": "value - cost",
        "limits": [
            {"name": "budget", "measure": "cost", "max": 0.6 * n},
            {"name": "calls", "where": {"channel": "call"}, "per": "customer.region", "max": 0.05 * n},
            {"name": "first offer", "where": {"offer": "o1"}, "min": 0.2 * n},
        ],
        "contact": [{"name": "one each", "max": 1}],
    }
    return oo.Project.from_frames(policy, **tables)


@pytest.fixture
def by_the_close_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a small project go the way of large ones: samples, then the units close to a change."""
    monkeypatch.setattr(prices_module, "SMALL", 500)
    monkeypatch.setattr(prices_module, "FIRST", 200)


def plan_bytes(plan: oo.Plan, folder: Path) -> bytes:
    plan.save(folder)
    return (folder / "plan.parquet").read_bytes()


@pytest.mark.usefixtures("by_the_close_ones")
def test_plans_are_the_same_bytes_on_any_number_of_workers(
    project: oo.Project, workers: Any, tmp_path: Path
) -> None:
    here = oo.optimize(project, gap=1e-4, solver="decomposed")
    there = oo.optimize(project, gap=1e-4, cluster=workers.scheduler_address)
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0", silence_logs=50
    ) as one:
        alone = oo.optimize(project, gap=1e-4, cluster=one.scheduler_address)
    assert here.gap <= 1e-4
    assert len(here.contacts) > 500
    wanted = plan_bytes(here, tmp_path / "here")
    assert plan_bytes(there, tmp_path / "there") == wanted
    assert plan_bytes(alone, tmp_path / "alone") == wanted
    assert there.certificate["bound"] == here.certificate["bound"]
    assert there.certificate["rules"] == here.certificate["rules"]


@pytest.mark.usefixtures("by_the_close_ones")
def test_a_plan_is_the_same_if_workers_die_on_the_way(
    project: oo.Project, workers: Any, tmp_path: Path
) -> None:
    here = oo.optimize(project, gap=1e-4, solver="decomposed")
    steps = []
    with distributed.Client(workers) as client:

        def kill_at_times(step: str, best: float, bound: float) -> None:
            steps.append(step)
            if len(steps) in (1, 3):
                kill_one(client)

        there = oo.optimize(project, gap=1e-4, cluster=workers.scheduler_address, progress=kill_at_times)
    assert len(steps) >= 3
    assert plan_bytes(there, tmp_path / "there") == plan_bytes(here, tmp_path / "here")


def test_a_cluster_that_is_not_there(project: oo.Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "ANSWER", 1)
    with pytest.raises(oo.BadInput, match=r"no cluster answers at 'tcp://127\.0\.0\.1:1'.*dask scheduler"):
        oo.optimize(project, cluster="tcp://127.0.0.1:1")
    with pytest.raises(oo.BadInput, match="no cluster answers at 'what://is this'"):
        oo.optimize(project, cluster="what://is this")
    with distributed.LocalCluster(
        n_workers=0, processes=False, dashboard_address=":0", silence_logs=50
    ) as empty:
        with pytest.raises(oo.BadInput, match="no cluster answers"):
            oo.optimize(project, cluster=empty.scheduler_address)


def test_what_a_cluster_needs(project: oo.Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(oo.BadInput, match="the exact solver works on one machine"):
        oo.optimize(project, solver="exact", cluster="local")
    monkeypatch.setattr(sys.modules["omniopt.decisions.optimize"], "find_spec", lambda name: None)
    with pytest.raises(oo.BadInput, match=r"not installed.*pip install 'omniopt\[cluster\]'"):
        oo.optimize(project, cluster="local")


def test_workers_of_another_version(
    project: oo.Project, workers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "__version__", "0.0.0")
    with pytest.raises(oo.BadInput, match=r"have to run omniopt 0\.0\.0, but there is .* at tcp://"):
        oo.optimize(project, cluster=workers.scheduler_address)


def test_the_command_takes_a_cluster(workers: Any, tmp_path: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(cli, ["init", str(tmp_path / "project")]).exit_code == 0
    files = [str(tmp_path / "project"), "--out", str(tmp_path / "out")]
    said = runner.invoke(cli, ["optimize", *files, "--cluster", workers.scheduler_address, "--json"])
    assert said.exit_code == 0, said.output
    assert (tmp_path / "out" / "plan.parquet").exists()

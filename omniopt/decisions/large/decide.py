"""From a project to a plan, by the decomposed solver."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pandas as pd

from omniopt.decisions.large.build import build_large
from omniopt.decisions.large.result import large_plan
from omniopt.decisions.large.search import search_by_rank
from omniopt.decisions.large.sweep import Engine
from omniopt.decisions.large.warm import restated, warm_prices
from omniopt.decisions.plan import Plan
from omniopt.decisions.progress import Progress
from omniopt.project import Project


def decide(
    project: Project, gap: float, time_limit: float | None, warm_start: Plan | None,
    scores: pd.DataFrame | None, progress: Progress, cluster: str | None = None,
) -> Plan:  # fmt: skip
    """Solve a project by prices; the parameters are those of `omniopt.optimize`."""
    with _engines(cluster) as engine_of:
        return _decided(engine_of, project, gap, time_limit, warm_start, scores, progress)


def _engines(cluster: str | None) -> AbstractContextManager[Callable[..., Engine]]:
    """Return what makes engines: here, or on a cluster for as long as it is connected."""
    if cluster is None:
        return nullcontext(Engine)
    from omniopt.decisions.large.cluster import engines  # asks for packages that few have

    return engines(cluster)


def _decided(
    engine_of: Callable[..., Engine], project: Project, gap: float, time_limit: float | None,
    warm_start: Plan | None, scores: pd.DataFrame | None, progress: Progress,
) -> Plan:  # fmt: skip
    began = time.perf_counter()
    before = None if warm_start is None else warm_start.problem
    large, read, use = restated(project, before, scores), 0.0, None  # the data may be in memory still
    if large is None:
        large, read = build_large(project, scores)
    else:
        use = large.extra["use"]
    large.extra["scores"] = scores
    built = time.perf_counter()
    start = None if warm_start is None else warm_prices(large, warm_start)
    engine = engine_of(large.columns, large.templates, large.system, large.bins.width)
    found = search_by_rank(large, engine, gap, time_limit, progress, start, use)
    seconds = {"read": read, "build": built - began - read, "solve": time.perf_counter() - built}
    return large_plan(large, found, gap, seconds)

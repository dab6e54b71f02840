"""From a project to a plan, by the decomposed solver."""

from __future__ import annotations

import time

import pandas as pd

from omniopt.decisions.large.build import build_large
from omniopt.decisions.large.result import large_plan
from omniopt.decisions.large.search import search_by_rank
from omniopt.decisions.large.sweep import Engine
from omniopt.decisions.large.warm import warm_prices
from omniopt.decisions.plan import Plan
from omniopt.decisions.progress import Progress
from omniopt.project import Project


def decide(
    project: Project, gap: float, time_limit: float | None, warm_start: Plan | None,
    scores: pd.DataFrame | None, progress: Progress,
) -> Plan:  # fmt: skip
    """Solve a project by prices; the parameters are those of `omniopt.optimize`."""
    began = time.perf_counter()
    large, read = build_large(project, scores)
    built = time.perf_counter()
    start = None if warm_start is None else warm_prices(large, warm_start)
    engine = Engine(large.columns, large.templates, large.system, large.bins.width)
    found = search_by_rank(large, engine, gap, time_limit, progress, start)
    seconds = {"read": read, "build": built - began - read, "solve": time.perf_counter() - built}
    return large_plan(large, found, gap, seconds)

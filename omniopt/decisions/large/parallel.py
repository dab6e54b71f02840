"""A compiled function's work on ranges of units, as many at a time as there are cores."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np


def in_parts(job: Callable[..., Any], cuts: np.ndarray, *arguments: Any) -> Iterator[Any]:
    """Run a compiled function for each range of units, as many at a time as there are cores."""
    ranges = [(int(a), int(z)) for a, z in zip(cuts[:-1], cuts[1:], strict=True)]
    threads = int(os.environ.get("OMNIOPT_THREADS") or _cores())
    if threads == 1 or len(ranges) == 1:
        return iter([job(a, z, *arguments) for a, z in ranges])
    return _pool(threads).map(lambda part: job(*part, *arguments), ranges)


def _cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="omniopt")

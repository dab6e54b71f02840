"""Where long arrays live: in memory, or in a file that the system pages in and out as needed."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

LONG = 1 << 26  # bytes from which an array may lie in a file

Item = TypeVar("Item")
Result = TypeVar("Result")


def empty_array(shape: int | tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an array to be filled, in memory or, if long arrays hold half of it already, in a file.

    The file has no name, and is gone as soon as nothing refers to the array. It lies where the
    environment's TMPDIR says, or in the system's folder for temporary files.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size < LONG:
        return np.empty(shape, dtype)
    if _room.take(size):
        array = np.empty(shape, dtype)
        weakref.finalize(array, _room.give_back, size)
        return array
    with tempfile.TemporaryFile(prefix="omniopt-") as file:
        return np.memmap(file, dtype=dtype, mode="w+", shape=shape)


class _Room:
    """Memory that long arrays may have: half of what was available when the first one came."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.left: int | None = None

    def take(self, size: int) -> bool:
        """Take some, if there is as much."""
        with self.lock:
            if self.left is None:
                self.left = available_memory() // 2
            fits = size <= self.left
            self.left -= size * fits
            return fits

    def give_back(self, size: int) -> None:
        """Give back what an array had."""
        with self.lock:
            self.left = (self.left or 0) + size


_room = _Room()


def available_memory() -> int:
    """Return how many bytes of memory can be had without swapping, as far as the system says."""
    found = [4 << 30]
    with contextlib.suppress(AttributeError, OSError, ValueError):
        found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2]
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found = [1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1])]
    with contextlib.suppress(OSError, ValueError):  # a container may have been given less
        group = Path("/sys/fs/cgroup")
        most, used = ((group / f"memory.{name}").read_text() for name in ("max", "current"))
        found.append(max(int(most) - int(used), 0))
    return min(found)


def workers() -> int:
    """Return how many threads to use: OMNIOPT_THREADS, or as many as there are cores for the process."""
    asked = os.environ.get("OMNIOPT_THREADS", "")
    if asked.isdigit() and int(asked):
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_threads(job: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Do a job for every item, several at a time; return the results in the items' order."""
    items = list(items)
    threads = min(workers(), len(items))
    if threads < 2:
        return [job(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(job, items))

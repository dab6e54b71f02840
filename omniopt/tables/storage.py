"""Where long arrays live: in memory, or in a file that the system pages in and out as needed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

IN_MEMORY = 2 << 30  # bytes from which an array lies in a file

Item = TypeVar("Item")
Result = TypeVar("Result")


def empty_array(shape: int | tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an array to be filled, in a temporary file if it is long.

    The file has no name, and is gone as soon as nothing refers to the array. It lies where the
    environment's TMPDIR says, or in the system's folder for temporary files.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= IN_MEMORY:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(prefix="omniopt-") as file:
        return np.memmap(file, dtype=dtype, mode="w+", shape=shape)


class Spool:
    """An array that grows piece by piece, its length unknown beforehand.

    The pieces go to a temporary file, so that no moment needs them twice in memory.
    """

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self.file = tempfile.TemporaryFile(prefix="omniopt-")

    def add(self, piece: np.ndarray) -> None:
        """Append a piece."""
        np.ascontiguousarray(piece, self.dtype).tofile(self.file)

    def whole(self) -> np.ndarray:
        """Return all pieces in a row; nothing can be added any more."""
        with self.file as file:
            length = file.tell() // self.dtype.itemsize
            file.seek(0)
            if length * self.dtype.itemsize <= IN_MEMORY:
                return np.fromfile(file, self.dtype)
            return np.memmap(file, dtype=self.dtype, mode="r+", shape=length)


def workers() -> int:
    """Return how many threads to use: OMNIOPT_THREADS, or as many as there are cores for the process."""
    asked = os.environ.get("OMNIOPT_THREADS", "")
    if asked.isdigit() and int(asked):
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_threads(job: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Do a job for every item, several at a time; return the results in the items' order."""
    with ThreadPoolExecutor(workers()) as pool:
        return list(pool.map(job, items))

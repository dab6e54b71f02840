"""Reading that begins while the packages are imported that plans need.

Only what is usual begins early: a Parquet table of many candidates that the project file names plainly.
All else, faults included, is left to the reader of tables, which comes by later.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omniopt.tables.coded import Coded

MANY = 1_000_000  # candidates from which reading takes a while

_reading: dict[Path, Future[Coded | None]] = {}


def begin(project: Path) -> None:
    """Begin to read the candidates of a project, if they are many and there is nothing odd about them.

    Parameters
    ----------
    project : Path
        The project file, or the folder that holds ``omniopt.yaml``.
    """
    with contextlib.suppress(Exception):  # whatever is wrong, who reads it for good says it better
        import yaml

        file = project / "omniopt.yaml" if project.is_dir() else project
        tables = yaml.load(file.read_text(encoding="utf-8-sig"), yaml.BaseLoader)["tables"]
        path = file.parent / tables["candidates"]

        import pyarrow.parquet as pq

        from omniopt.tables.coded import read_coded
        from omniopt.tables.parts import parts_of

        parts = parts_of(path) if path.is_dir() else [path]
        if sum(pq.read_metadata(part).num_rows for part in parts) >= MANY:
            _reading[path] = begun(read_coded, path)


def taken(path: Path) -> Future[Coded | None] | None:
    """Return what was begun for a table, once."""
    return _reading.pop(path, None)


def begun(work: Callable[..., Any], *arguments: Any) -> Future[Any]:
    """Begin some work in a thread of its own."""
    pool = ThreadPoolExecutor(1)
    started = pool.submit(work, *arguments)
    pool.shutdown(wait=False)
    return started

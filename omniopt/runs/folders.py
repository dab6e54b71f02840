"""Where runs live: a run folder appears whole or not at all, under kill -9 too, and when two start at once.

A run works in ``.<run_id>.running`` beside its final place and is renamed when it is complete. While it works
it holds a lock on a file, which the operating system drops when the process ends, however it ends; a working
folder whose lock can be had was left behind by a killed run and is put aside, into ``failed/``, when the next
run starts.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO

FAILED = "failed"
_RUNNING = ".running"


def slug(name: str, fallback: str = "project") -> str:
    """Turn any text into a name that is safe as a file's name everywhere.

    Examples
    --------
    >>> slug("Weekly offers, 2026/47"), slug("../../etc"), slug("日本")
    ('Weekly-offers-2026-47', 'etc', 'project')
    """
    return re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-")[:60] or fallback


class RunFolder:
    """A working folder that becomes a run folder, or is put aside.

    Parameters
    ----------
    reports : Path
        Where run folders are; made if it is not there.
    name : str
        The project's name; it becomes the end of the run's id.

    Attributes
    ----------
    run_id : str
        Start in UTC, then the project's name; unique among the folders in `reports`.
    work : Path
        Where the run writes.
    """

    def __init__(self, reports: Path, name: str) -> None:
        self.reports = reports
        reports.mkdir(parents=True, exist_ok=True)
        with _alone(reports):
            put_aside_killed(reports)
            self.run_id = self._claim(f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{slug(name)}")
        self.work = reports / f".{self.run_id}{_RUNNING}"

    def _claim(self, wanted: str) -> str:
        number = 1
        while True:
            run_id = wanted if number == 1 else f"{wanted}-{number}"
            work = self.reports / f".{run_id}{_RUNNING}"
            taken = (work, self.reports / run_id, self.reports / FAILED / run_id)
            if not any(path.exists() for path in taken):
                work.mkdir()
                self._lock = _lock(work)
                return run_id
            number += 1

    def finish(self) -> Path:
        """Put the complete folder into its place and return it."""
        return self._move(self.reports / self.run_id)

    def fail(self) -> Path:
        """Put the folder aside, for reading, and return its new place."""
        return self._move(self.reports / FAILED / self.run_id)

    def _move(self, place: Path) -> Path:
        place.parent.mkdir(parents=True, exist_ok=True)
        with _alone(self.reports):
            (self.work / ".lock").unlink(missing_ok=True)
            os.rename(self.work, place)
        self._lock.close()
        return place

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        # Left without a word on how it ended, by Ctrl-C or by a fault of ours: put the folder aside.
        if self.work.exists():
            mark(self.work, "interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
            self.fail()


def put_aside_killed(reports: Path) -> list[Path]:
    """Move what killed runs left behind into ``failed/`` and return the new places.

    The caller holds the lock of `reports`.
    """
    moved = []
    for work in sorted(reports.glob(f".*{_RUNNING}")):
        try:
            lock = _lock(work)
        except BlockingIOError:
            continue  # it runs
        mark(work, "interrupted")
        (work / ".lock").unlink()
        place = reports / FAILED / work.name.removeprefix(".").removesuffix(_RUNNING)
        place.parent.mkdir(exist_ok=True)
        os.rename(work, place)
        lock.close()
        moved.append(place)
    return moved


def mark(folder: Path, status: str, error: str | None = None) -> None:
    """Write into the manifest of a run that did not end well how it ended."""
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return  # killed before there was one
    manifest |= {"status": status, "finished": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "error": error}
    path.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _lock(folder: Path) -> IO[str]:
    """Lock a folder by a file in it, at once; raises BlockingIOError where another process holds it."""
    file = open(folder / ".lock", "w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    return file


@contextmanager
def _alone(reports: Path) -> Iterator[None]:
    """Hold the lock of the whole place for the moments in which folders are claimed and moved."""
    with open(reports / ".lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

"""Passes over all units on the workers of a dask cluster, with the same results as on one machine.

Units are cut into the same parts as on one machine. A part's candidates are sent to a worker once
and stay there; a table of worths goes out with every pass, and what each part adds up to comes back
and is added in the order of the parts: the same sums to the last bit, whoever made them.

If a worker dies its parts are sent again and the pass is made once more. If no worker is left for
long, this machine goes on alone, since it has all candidates itself.
"""

from __future__ import annotations

import functools
import logging
import math
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np
from distributed import CancelledError, Client, Future, KilledWorker, LocalCluster, wait

from omniopt import __version__
from omniopt.decisions.large import passes
from omniopt.decisions.large.curvature import Rows
from omniopt.decisions.large.kernels import Data, Rules
from omniopt.decisions.large.shape import Columns, Templates
from omniopt.decisions.large.sweep import BestSets, Engine, read_only
from omniopt.decisions.system import System
from omniopt.errors import BadInput, Fault

LOCAL = "local"
ANSWER = 30  # seconds that a cluster has to answer
PATIENCE = 120  # seconds that it may be without any worker later on
ATTEMPTS = 8  # at one pass
LOST = (CancelledError, KilledWorker, OSError)  # how a pass ends if a worker dies, or if there is none


@contextmanager
def engines(address: str) -> Iterator[Callable[[Columns, Templates, System, int], ClusterEngine]]:
    """Connect with a cluster, and yield what makes engines that work on it.

    Parameters
    ----------
    address : str
        Of the scheduler, such as ``tcp://10.0.0.1:8786``; or ``local`` for a worker on each of this
        machine's cores.

    Raises
    ------
    BadInput
        If nobody answers there, or whoever answers cannot run this package.
    """
    with ExitStack() as stack:
        try:
            if address == LOCAL:
                client = stack.enter_context(Client(stack.enter_context(_local())))
            else:
                client = stack.enter_context(Client(address, timeout=ANSWER))
            client.wait_for_workers(1, timeout=ANSWER)
        except (OSError, ValueError) as error:
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BadInput(
                Fault(
                    f"no cluster answers at {address!r}: {why}",
                    hint=f"Name the address that dask scheduler shows when it starts, or {LOCAL!r}.",
                )
            ) from None
        _check_versions(client)
        yield functools.partial(ClusterEngine, client=client)


def _local() -> LocalCluster:
    """Start a worker on each core, which leaves it to this process what Ctrl-C means."""
    in_front = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if in_front else None  # is inherited
    try:
        return LocalCluster(
            n_workers=len(os.sched_getaffinity(0)), threads_per_worker=1, memory_limit=0,
            dashboard_address=":0", silence_logs=logging.ERROR,
        )  # fmt: skip
    finally:
        if in_front:
            signal.signal(signal.SIGINT, before)


def _check_versions(client: Client) -> None:
    """See to it that all workers run what this machine runs: results are the same only then."""
    found = client.run(_version, on_error="return")
    other = {f"{v} at {at}" for at, v in found.items() if v != __version__}
    if other:
        raise BadInput(
            Fault(
                f"the workers have to run omniopt {__version__}, but there is {sorted(other)[0]}",
                hint="Install the same version on all machines, with the same packages.",
            )
        )


def _version() -> str:
    return __version__


class ClusterEngine(Engine):
    """Solves all units at given worths, on the workers of a cluster.

    Parameters
    ----------
    columns, templates, system, width_of_table
        As for `Engine`.
    client : Client
        Of the cluster.
    """

    lists = False

    def __init__(
        self, columns: Columns, templates: Templates, system: System, width_of_table: int, client: Client
    ) -> None:
        super().__init__(columns, templates, system, width_of_table)
        self.client, self.alone = client, False
        ranges = zip(self.cuts[:-1].tolist(), self.cuts[1:].tolist(), strict=True)
        self.parts = [_Kept(client, functools.partial(self._part, *r)) for r in ranges]
        self.kept_rules = _Kept(client, lambda: self.rules)
        self.kept_rows = _Kept(client, lambda: self.rows)

    def of(self, system: System) -> ClusterEngine:
        """Return the engine of the same units under other coupling rows."""
        other = super().of(system)
        assert isinstance(other, ClusterEngine)
        other.kept_rows = _Kept(self.client, lambda: other.rows)
        return other

    def best(self, table: np.ndarray, *, width: float = math.inf, noise: float = 0.0) -> BestSets:
        """Return every unit's best set, see `Engine.best`."""
        parts = self._on_workers(_best, np.asarray(table, np.float64), float(width), float(noise), self.sizes)
        if parts is None:
            return super().best(table, width=width, noise=noise)
        sizes = np.diff(self.data.start[self.cuts]).tolist()
        return BestSets(
            np.concatenate([part.value for part in parts]),
            np.concatenate([part.margin for part in parts]),
            np.concatenate([_unpacked(part.chosen, n) for part, n in zip(parts, sizes, strict=True)]),
            np.concatenate([part.searched for part in parts]),
            max(part.contacts for part in parts),
            self.largest,
        )

    def _sums(
        self, stride: int, rows: Rows, table: np.ndarray, width: float, near: np.ndarray
    ) -> Iterator[passes.Sums]:
        """Return what the parts add up to, in their order; mark the units that are ``near``."""
        parts = self._on_workers(
            _sums, table, self.kept_rows, rows.count, stride, width, len(near) > 0, self.sizes
        )
        if parts is None:
            yield from super()._sums(stride, rows, table, width, near)
            return
        for (sums, marks), first, last in zip(parts, self.cuts[:-1], self.cuts[1:], strict=True):
            if len(near):
                near[first:last] = _unpacked(marks, last - first)
            yield sums

    def _on_workers(self, job: Callable[..., Any], table: np.ndarray, *arguments: Any) -> list[Any] | None:
        """Run a job on every part, and return what comes back in their order; None if nobody is left."""
        for _ in range(0 if self.alone else ATTEMPTS):
            try:
                parts = [part.future() for part in self.parts]
                given = (_Kept(self.client, lambda: table), self.kept_rules, *arguments)
                same = [[v.future() if isinstance(v, _Kept) else v] * len(parts) for v in given]
                return _gathered(self.client, self.client.map(job, parts, *same, pure=False))
            except TimeoutError:
                break
            except LOST:
                if self.client.status != "running":
                    break
        if not self.alone:
            self.alone = True
            said = "the workers of the cluster are gone: this machine goes on alone"
            warnings.warn(said, RuntimeWarning, stacklevel=4)
        return None

    def _part(self, first: int, last: int) -> Data:
        """Return the candidates of units ``first`` to ``last - 1``."""
        data, units = self.data, slice(first, last)
        a, z = int(data.start[first]), int(data.start[last])
        key = data.key[a:z] if len(data.key) else data.key
        return Data(
            data.start[first : last + 1] - a, data.bin[a:z], data.measures[a:z], data.base[units], key,
            data.template[units], first,
        )  # fmt: skip


class _Kept:
    """What the workers keep, one of them to begin with, and get again if it was lost."""

    def __init__(self, client: Client, value: Callable[[], Any]) -> None:
        self.client, self.value = client, value
        self.sent: Future | None = None

    def future(self) -> Future:
        """Return the value as the cluster knows it."""
        if self.sent is None or self.sent.status != "finished":
            # not to all at once: that waits for ever if one of them dies meanwhile
            (self.sent,) = self.client.scatter([self.value()], hash=False, timeout=PATIENCE)
        return self.sent


def _gathered(client: Client, futures: list[Future]) -> list[Any]:
    """Wait for results for as long as there are workers."""
    while True:
        try:
            with client.as_current():
                wait(futures, timeout=PATIENCE)
            return client.gather(futures)
        except TimeoutError:
            if not client.nthreads():
                raise


class _Sets(NamedTuple):
    """`BestSets` of a part; ``chosen`` and ``searched`` are packed to bits."""

    value: np.ndarray
    margin: np.ndarray
    chosen: np.ndarray
    searched: np.ndarray
    contacts: int


# What follows runs on the workers.


def _sums(
    part: Data, table: np.ndarray, rules: Rules, rows: Rows, count: int, stride: int, width: float,
    split: bool, sizes: tuple[int, ...],
) -> tuple[passes.Sums, np.ndarray]:  # fmt: skip
    """Add up over a part; with ``split`` also say which units are near a change."""
    units = len(part.start) - 1
    near = np.zeros(units if split else 0, np.bool_)
    part, rules, rows = _plain(part), _plain(rules), _plain(rows)._replace(count=count)
    sums = passes.sweep_part(0, units, stride, part, rules, rows, read_only(table), width, near, sizes)
    if sums.impossible >= 0:
        sums = sums._replace(impossible=part.first + sums.impossible)
    return sums._replace(chosen=sums.chosen[:0]), np.packbits(near)


def _best(
    part: Data, table: np.ndarray, rules: Rules, width: float, noise: float, sizes: tuple[int, ...]
) -> _Sets:
    """Find the best sets of a part."""
    units, n = len(part.start) - 1, len(part.bin)
    value, margin = np.empty(units), np.empty(units)
    chosen, searched = np.zeros(n, np.bool_), np.empty(units, np.bool_)
    part, rules = _plain(part), _plain(rules)
    contacts = passes.best_part(
        0, units, part, rules, read_only(table), width, noise, sizes, value, margin, chosen, searched
    )
    return _Sets(value, margin, np.packbits(chosen), searched, contacts)


def _plain(values: Any) -> Any:
    """Bring arrays that have travelled to the one type that the kernels are compiled for."""
    return type(values)(*(read_only(v) if isinstance(v, np.ndarray) else v for v in values))


def _unpacked(bits: np.ndarray, count: int) -> np.ndarray:
    return np.unpackbits(bits, count=int(count)).view(np.bool_)
